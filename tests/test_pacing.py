"""A source's rate: how many windows are started on it, whoever starts them, and that nobody else waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy import func, select, update

from checks.window import Window
from monitor import daemon
from monitor.config import Config, ConfigError, load
from monitor.job import Measured
from monitor.rates import parse
from monitor.runner import Finished, Runner
from monitor.sources.duckdb import DuckDB
from monitor.store import ledger
from monitor.store.ledger import NotYet
from monitor.store.store import Store
from monitor.store.tables import sources, windows

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CHECKS = 'checks = [{kind = "row_count"}]'
PACED = ("shop", parse("10/h"))


class Never:
    """A pool whose work never ends."""

    def schedule(self, function: Callable[..., Measured], args: Sequence[Any], timeout: float) -> Future[Measured]:
        return Future()


def window(hours: int = 0) -> Window:
    return Window(NOON + hours * HOUR, NOON + (hours + 1) * HOUR)


def count(store: Store) -> int:
    with store.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(windows)).scalar_one())


def let_pass(store: Store, time: timedelta) -> None:
    """As if so much time had passed on the store's clock."""
    with store.begin() as connection:
        for row in connection.execute(select(sources)).all():
            connection.execute(update(sources).where(sources.c.name == row.name).values(free_at=row.free_at - time))


# Claims.


def test_a_claim_beyond_the_rate_is_refused_with_the_time_to_wait_and_takes_nothing(store: Store) -> None:
    assert ledger.claim(store, "orders", window(), HOUR, paced=PACED) is not None

    with pytest.raises(NotYet, match="source shop: its rate allows the next window in") as refused:
        ledger.claim(store, "orders", window(1), HOUR, paced=PACED)

    assert timedelta(minutes=5) < refused.value.wait <= timedelta(minutes=6)
    assert count(store) == 1


def test_when_the_time_has_come_the_next_is_let_through(store: Store) -> None:
    ledger.claim(store, "orders", window(), HOUR, paced=PACED)

    let_pass(store, timedelta(minutes=6))

    assert ledger.claim(store, "orders", window(1), HOUR, paced=PACED) is not None
    with pytest.raises(NotYet):
        ledger.claim(store, "orders", window(2), HOUR, paced=PACED)


def test_sources_are_paced_apart_and_those_without_a_rate_not_at_all(store: Store) -> None:
    ledger.claim(store, "orders", window(), HOUR, paced=PACED)

    assert ledger.claim(store, "refunds", window(), HOUR, paced=("other", parse("10/h"))) is not None
    assert ledger.claim(store, "visits", window(), HOUR) is not None


def test_a_window_that_is_somebody_elses_uses_nothing_up(store: Store) -> None:
    ledger.claim(store, "orders", window(), HOUR)

    assert ledger.claim(store, "orders", window(), HOUR, paced=PACED) is None
    assert ledger.claim(store, "orders", window(1), HOUR, paced=PACED) is not None


def test_a_rate_that_was_raised_is_in_force_at_once(store: Store) -> None:
    ledger.claim(store, "orders", window(), HOUR, paced=("shop", parse("1/d")))

    assert ledger.claim(store, "orders", window(1), HOUR, paced=("shop", parse("10/m"))) is not None


def test_of_many_daemons_one_gets_the_turn(store: Store) -> None:
    gate = threading.Barrier(6)

    def race(n: int) -> bool:
        gate.wait(30)
        try:
            return ledger.claim(store, f"dataset-{n}", window(), HOUR, paced=PACED) is not None
        except NotYet:
            return False

    with ThreadPoolExecutor(6) as pool:
        won = list(pool.map(race, range(6)))

    assert won.count(True) == 1
    assert count(store) == 1


def test_who_waited_for_another_daemon_comes_after_it(store: Store) -> None:
    ledger.claim(store, "orders", window(), HOUR, paced=PACED)
    let_pass(store, HOUR)

    with ThreadPoolExecutor(1) as pool:
        with store.begin() as connection:
            connection.execute(select(sources).with_for_update())
            waiting = pool.submit(ledger.claim, store, "refunds", window(), HOUR, paced=PACED)
            wait([waiting], 0.3)
            assert not waiting.done()
            following = store.clock(connection) + timedelta(minutes=6)
            connection.execute(update(sources).values(free_at=following))

        with pytest.raises(NotYet):
            waiting.result(30)


# The runner.


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("create table orders as select timestamp '2026-11-20' + interval (range) hour as at from range(72)")
    return tmp_path


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path}/store.db")
    made.migrate()
    yield made
    made.close()


def config(home: Path, rate: str, *datasets: tuple[str, str], concurrency: int = 8) -> Config:
    """Datasets as (name, source); the source `slow` has the rate."""
    lines = [f'[sources.slow]\nurl = "duckdb:///shop.duckdb"\nconcurrency = {concurrency}\n{rate}']
    lines.append('[sources.quick]\nurl = "duckdb:///shop.duckdb"\n[daemon]\nworkers = 2')
    lines += [
        f'[datasets.{name}]\nsource = "{source}"\ntable = "orders"\ntime_column = "at"\nauto = false\n{CHECKS}'
        for name, source in datasets
    ]
    (home / "config.toml").write_text("\n".join(lines))
    return load(home / "config.toml", {})


def test_only_so_many_windows_of_a_source_are_started_and_the_others_do_not_wait(home: Path, local: Store) -> None:
    settings = config(home, 'rate = "10/h"', ("a", "slow"), ("b", "slow"), ("c", "slow"), ("d", "quick"), ("e", "quick"))
    runner = Runner(settings, local, Never())

    runner.tick(NOON)

    assert sorted(dataset.source for dataset in (r.dataset for r in runner.running.values())) == ["quick", "quick", "slow"]
    assert runner.held == {"slow"}


def test_a_second_daemon_on_the_store_starts_nothing_more(home: Path, local: Store) -> None:
    settings = config(home, 'rate = "10/h"', ("a", "slow"), ("b", "slow"))
    Runner(settings, local, Never()).tick(NOON)
    second = Runner(settings, local, Never())

    second.tick(NOON)

    assert second.running == {}
    assert second.held == {"slow"}


def test_the_next_is_started_when_the_rate_allows_it_and_then_nothing_is_held(home: Path, local: Store) -> None:
    settings = config(home, 'rate = "10/h"', ("a", "slow"), ("b", "slow"))
    runner = Runner(settings, local, Never())
    runner.tick(NOON)

    let_pass(local, timedelta(minutes=6))
    runner.tick(NOON)
    assert sorted(runner.running) == ["a", "b"]

    runner.tick(NOON)
    assert runner.held == set()


def test_without_a_rate_nothing_is_held(home: Path, local: Store) -> None:
    runner = Runner(config(home, "", ("a", "slow"), ("b", "slow")), local, Never())

    runner.tick(NOON)

    assert sorted(runner.running) == ["a", "b"]
    assert runner.held == set()


def test_a_backlog_on_one_source_does_not_hold_up_another(home: Path, local: Store) -> None:
    backlog = [(f"old-{n}", "slow") for n in range(9)]
    settings = config(home, "", *backlog, ("new", "quick"))
    for name, _ in backlog:
        claim = ledger.claim(local, name, Window(NOON - 6 * DAY - 12 * HOUR, NOON - 5 * DAY - 12 * HOUR), HOUR)
        assert claim is not None
        ledger.record(local, claim, Measured("done", [], 1), NOON, [name], None)
    runner = Runner(settings, local, Never())

    runner.tick(NOON)

    assert len(runner.running) == 4
    assert "new" in runner.running


def test_once_waits_for_the_rate_and_does_everything(home: Path, local: Store) -> None:
    settings = config(home, 'rate = "5/s"', ("a", "slow"), ("b", "slow"), ("c", "slow"))
    finished: list[Finished] = []

    daemon.run_due(settings, local, NOON, None, finished.append)

    assert sorted(f.dataset.name for f in finished) == ["a", "b", "c"]
    assert {f.measured.state for f in finished} == {"done"}


def test_a_backfill_waits_for_the_rate_and_does_everything(home: Path, local: Store) -> None:
    settings = config(home, 'rate = "5/s"', ("a", "slow"))
    finished: list[Finished | None] = []

    count = daemon.backfill(settings, local, "a", NOON - 4 * DAY, NOON, False, lambda f, _: finished.append(f))

    assert count == 3
    assert [f and f.measured.state for f in finished] == ["done", "done", "done"]


def test_the_daemon_looks_again_soon_while_something_waits_for_a_rate(home: Path, local: Store) -> None:
    settings = config(home, 'rate = "10/h"', ("a", "slow"), ("b", "slow"))
    pool = Never()
    running = daemon.Daemon(settings, local, Runner(settings, local, pool))
    running.tick()
    assert len(running.runner.running) == 1

    let_pass(local, timedelta(minutes=6))
    running.collect()

    assert len(running.runner.running) == 2


# The config.


def test_a_wrong_rate_is_told_with_its_place(home: Path) -> None:
    with pytest.raises(ConfigError) as wrong:
        config(home, "rate = 10", ("a", "slow"))

    assert wrong.value.faults == [
        'source "slow": rate: 10 is not a rate; write a number, a slash and s, m, h, d or w, such as 10/m or 2/30s'
    ]


def test_a_source_says_its_rate() -> None:
    assert DuckDB(url="duckdb:///a.db", rate="10/m").rate == parse("10/m")
    assert DuckDB(url="duckdb:///a.db").rate is None
