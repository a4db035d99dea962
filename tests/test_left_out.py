"""Windows that will never be measured are told, once, by the window after them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from checks.result import Severity, Status
from checks.window import Window
from monitor import daemon
from monitor.config import Config, load
from monitor.dataset import Dataset
from monitor.left_out import MOST, left_out
from monitor.runner import Finished, Runner
from monitor.store import ledger, looking
from monitor.store.store import Store
from tests.test_runner import InLine, work

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TOML = """
[sources.shop]
url = "duckdb:///shop.duckdb"
[datasets.orders]
source = "shop"
table = "orders"
time_column = "at"
catchup = "2d"
auto = false
checks = [{kind = "row_count", at_least = 1}]
[channels.team]
kind = "webhook"
url = "http://127.0.0.1:9/nobody"
"""


def dataset(every: str = "1d", timezone: str = "UTC") -> Dataset:
    return Dataset(name="orders", table="orders", time_column="at", every=every, timezone=timezone)


def day(n: int) -> Window:
    start = datetime(2026, 11, n, tzinfo=UTC)
    return Window(start, start + DAY)


def test_the_windows_between_two_are_counted_and_how_to_measure_them_is_said() -> None:
    said = left_out(dataset(), day(10).end, day(20))

    assert said is not None
    assert said.message == (
        "left_out: 9 windows from 2026-11-11T00:00 to 2026-11-20T00:00 will not be measured: older than catchup (1w); "
        "datavigil backfill orders --from 2026-11-11T00:00 --to 2026-11-20T00:00 would do it"
    )
    assert (said.status, said.severity, said.value, said.score) == (Status.FAILED, Severity.WARNING, 9.0, 9.0)


def test_times_are_the_datasets_own() -> None:
    berlin = dataset(timezone="Europe/Berlin")
    start = datetime(2026, 11, 19, 23, tzinfo=UTC)

    said = left_out(berlin, start - 2 * DAY, Window(start, start + DAY, "Europe/Berlin"))

    assert said is not None
    assert "2 windows from 2026-11-18T00:00 to 2026-11-20T00:00" in said.message


def test_one_window_is_one_window() -> None:
    said = left_out(dataset(), day(18).end, day(20))

    assert said is not None
    assert "left_out: 1 window from" in said.message


@pytest.mark.parametrize(
    "last_end",
    [None, day(20).start, day(20).end, day(20).start - 5 * HOUR],
    ids=["the first ever", "the one before", "a later one", "a changed length, less than a window apart"],
)
def test_nothing_is_said_where_nothing_was_left_out(last_end: datetime | None) -> None:
    assert left_out(dataset(), last_end, day(20)) is None


def test_very_many_are_not_all_counted() -> None:
    said = left_out(dataset("1m"), day(1).start, Window(day(20).start, day(20).start + timedelta(minutes=1)))

    assert said is not None
    assert f"{MOST} or more windows" in said.message


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("create table orders as select timestamp '2026-10-01' + interval (range) hour as at from range(2000)")
    (tmp_path / "config.toml").write_text(TOML)
    return load(tmp_path / "config.toml", {})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path}/store.db")
    made.migrate()
    yield made
    made.close()


def told(finished: list[Finished]) -> list[tuple[int, list[str]]]:
    """Day of the window, and what happened to incidents with it."""
    return [(f.window.start.day, [str(c.happened) for c in f.decision.news.changes] if f.decision else []) for f in finished]


def test_after_a_long_pause_it_is_told_once_and_ends_by_itself(settings: Config, store: Store) -> None:
    runner = Runner(settings, store, InLine())
    work(runner, NOON - 10 * DAY)

    assert told(work(runner, NOON)) == [(22, ["opened"])]
    [incident] = looking.found_incidents(store)
    assert (incident.family, incident.severity) == ("arrival", "warning")
    assert [row.check for row in looking.found_results(store, failed=True)] == ["left_out"]

    assert told(work(runner, NOON + DAY)) == [(23, [])]
    assert told(work(runner, NOON + 2 * DAY)) == [(24, ["resolved"])]


def test_nothing_is_told_where_measuring_goes_on_without_a_hole(settings: Config, store: Store) -> None:
    runner = Runner(settings, store, InLine())
    finished = [f for n in range(4) for f in work(runner, NOON + n * DAY)]

    assert told(finished) == [(22, []), (23, []), (24, []), (25, [])]
    assert {r.check for f in finished for r in f.measured.results} == {"row_count"}


def test_what_a_backfill_left_behind_the_last_window_is_told(settings: Config, store: Store) -> None:
    daemon.backfill(settings, store, "orders", NOON - 30 * DAY, NOON - 20 * DAY, False, lambda *_: None)
    runner = Runner(settings, store, InLine())

    [finished] = work(runner, NOON)

    assert "left_out: 19 windows from 2026-11-03T00:00 to 2026-11-22T00:00" in finished.measured.results[-1].message


def test_a_backfill_itself_tells_nothing(settings: Config, store: Store) -> None:
    found: list[Finished | None] = []
    for ago in (30, 10):
        span = (NOON - ago * DAY, NOON - (ago - 2) * DAY)
        daemon.backfill(settings, store, "orders", *span, False, lambda f, _: found.append(f))

    assert {r.check for f in found if f for r in f.measured.results} == {"row_count"}


def test_a_window_that_cannot_be_measured_says_it_too(settings: Config, store: Store, tmp_path: Path) -> None:
    runner = Runner(settings, store, InLine())
    work(runner, NOON - 10 * DAY)
    (tmp_path / "shop.duckdb").unlink()

    runner.tick(NOON)
    [finished] = runner.collect(NOON)

    assert finished.measured.state == "errored"
    assert [r.check for r in finished.measured.results][-1] == "left_out"
    assert finished.decision is not None
    assert {c.incident.family for c in finished.decision.news.changes} >= {"arrival", "source"}


def test_a_window_that_somebody_else_is_at_is_not_left_out(settings: Config, store: Store) -> None:
    runner = Runner(settings, store, InLine())
    work(runner, NOON - DAY)
    assert ledger.claim(store, "orders", day(22), HOUR) is not None

    [finished] = work(runner, NOON + DAY)

    assert finished.window == day(23)
    assert {r.check for r in finished.measured.results} == {"row_count"}
