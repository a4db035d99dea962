"""The straight line on real files: due, measured, recorded, tried again; the workers stand in this process but where it says so."""

from __future__ import annotations

import resource
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from checks.profile import Number, Profile
from checks.result import Status
from checks.window import Window
from monitor import daemon, worker
from monitor.coarsening import Coarsening
from monitor.config import Config, load
from monitor.job import Measured
from monitor.pool import workers
from monitor.runner import Finished, Runner
from monitor.store import ledger, looking
from monitor.store.store import Store
from monitor.store.tables import deliveries, windows

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

ORDERS = """
[datasets.orders]
table = "landing/orders-{start:%Y-%m-%d}.parquet"
auto = false
checks = [{kind = "missing", column = "amount", at_most = 0.1, severity = "critical"}, {kind = "row_count", at_least = 1}]
"""
REFUNDS = ORDERS.replace("orders", "refunds")
TEAM = """
[channels.team]
kind = "webhook"
url = "http://127.0.0.1:9/nobody"
"""


class InLine:
    """A stand-in for the pool of worker processes: does the work at once, in this process. `asked` are the jobs, in order."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.timeouts: list[float] = []

    def schedule(self, function: Callable[..., Measured], args: Sequence[Any], timeout: float) -> Future[Measured]:
        self.asked += args
        self.timeouts.append(timeout)
        future: Future[Measured] = Future()
        try:
            future.set_result(function(*args))
        except Exception as fault:
            future.set_exception(fault)
        return future


class Never:
    """A pool whose work never ends."""

    def schedule(self, function: Callable[..., Measured], args: Sequence[Any], timeout: float) -> Future[Measured]:
        return Future()


class Slow(InLine):
    """Does what is judged apart only when it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[tuple[Callable[..., Any], Sequence[Any], Future[Any]]] = []

    def schedule(self, function: Callable[..., Any], args: Sequence[Any], timeout: float) -> Future[Any]:
        if function is not worker.judge_apart:
            return super().schedule(function, args, timeout)
        future: Future[Any] = Future()
        self.held.append((function, args, future))
        return future

    def release(self) -> None:
        for function, args, future in self.held:
            future.set_result(function(*args))
        self.held.clear()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "landing").mkdir()
    return tmp_path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path}/store.db")
    made.migrate()
    yield made
    made.close()


def config(home: Path, *parts: str) -> Config:
    (home / "config.toml").write_text("\n".join(parts))
    return load(home / "config.toml", {})


def land(home: Path, day: int, name: str = "orders", missing: int = 0, rows: int = 20) -> None:
    """The file of a day in November 2026, with so many missing amounts."""
    file = home / "landing" / f"{name}-2026-11-{day:02}.parquet"
    amounts = f"select case when range >= {missing} then range * 1.5 end as amount from range({rows})"
    with duckdb.connect() as connection:
        connection.execute(f"copy ({amounts}) to '{file}' (format parquet)")


def november(day: int) -> Window:
    return Window(datetime(2026, 11, day, tzinfo=UTC), datetime(2026, 11, day + 1, tzinfo=UTC))


def days(finished: Sequence[Finished]) -> list[int]:
    return [f.window.start.day for f in finished]


def work(runner: Runner, now: datetime) -> list[Finished]:
    """Tick and collect until nothing is due."""
    out: list[Finished] = []
    while True:
        runner.tick(now)
        if not runner.running:
            return out
        out += runner.collect(now)


def rows(store: Store) -> list[Any]:
    with store.reading() as connection:
        return list(connection.execute(select(windows).order_by(windows.c.dataset, windows.c.start)))


def written(store: Store) -> list[Any]:
    with store.reading() as connection:
        return list(connection.execute(select(deliveries)))


# What is due.


def test_a_new_dataset_begins_with_its_last_closed_window(home: Path, store: Store) -> None:
    for day in (20, 21, 22):
        land(home, day)
    runner = Runner(config(home, ORDERS), store, InLine())

    [finished] = work(runner, NOON)

    assert finished.window == november(22)
    assert finished.measured.state == "done"
    assert [(r.check, str(r.status)) for r in finished.measured.results] == [
        ("missing(amount)", "passed"),
        ("row_count", "passed"),
    ]
    assert {r.check for r in looking.found_results(store)} == {"missing(amount)", "row_count"}
    assert work(runner, NOON) == []


def test_missed_windows_are_caught_up_oldest_first(home: Path, store: Store) -> None:
    for day in range(10, 23):
        land(home, day)
    settings = config(home, ORDERS)
    work(Runner(settings, store, InLine()), NOON - 5 * DAY)

    caught = work(Runner(settings, store, InLine()), NOON)

    assert days(caught) == [18, 19, 20, 21, 22]


def test_windows_older_than_the_catch_up_are_left_out(home: Path, store: Store) -> None:
    for day in range(10, 23):
        land(home, day)
    settings = config(home, ORDERS.replace("auto", 'catchup = "2d"\nauto'))
    work(Runner(settings, store, InLine()), NOON - 10 * DAY)

    assert days(work(Runner(settings, store, InLine()), NOON)) == [22]


def test_a_window_waits_for_its_delay(home: Path, store: Store) -> None:
    land(home, 21)
    land(home, 22)
    runner = Runner(config(home, ORDERS.replace("auto", 'delay = "13h"\nauto')), store, InLine())

    assert days(work(runner, NOON)) == [21]
    assert work(runner, NOON + HOUR - MINUTE) == []
    assert days(work(runner, NOON + HOUR)) == [22]


def test_only_the_named_datasets_are_due(home: Path, store: Store) -> None:
    runner = Runner(config(home, ORDERS, REFUNDS), store, InLine())

    assert [dataset.name for dataset, _ in runner.due(NOON, ["refunds"])] == ["refunds"]


# Who does it.


def test_a_window_is_one_daemons_only(home: Path, store: Store) -> None:
    settings = config(home, ORDERS)
    first, second = Runner(settings, store, Never()), Runner(settings, store, Never())

    first.tick(NOON)
    second.tick(NOON)

    assert list(first.running) == ["orders"]
    assert second.running == {}


def test_what_is_given_back_at_shutdown_is_done_by_the_next(home: Path, store: Store) -> None:
    land(home, 22)
    settings = config(home, ORDERS)
    stopped = Runner(settings, store, Never())
    stopped.tick(NOON)

    stopped.give_back()

    assert stopped.running == {}
    assert days(work(Runner(settings, store, InLine()), NOON)) == [22]


def test_a_daemon_that_was_overtaken_records_nothing_and_says_so(
    home: Path, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    land(home, 22)
    settings = config(home, ORDERS)
    slow = Runner(settings, store, InLine())
    slow.tick(NOON)
    ledger.give_back(store, [r.claim for r in slow.running.values()])
    work(Runner(settings, store, InLine()), NOON)
    caplog.set_level("INFO", "datavigil.window")

    [finished] = slow.collect(NOON)

    assert finished.decision is None
    assert "lost=claim" in caplog.text
    assert len(looking.found_results(store)) == 2


def test_one_window_of_a_dataset_at_a_time_and_no_more_than_the_source_allows(home: Path, store: Store) -> None:
    names = ("a", "b", "c", "d")
    parts = [ORDERS.replace("orders", name) for name in names]
    runner = Runner(config(home, "[sources.files]\nconcurrency = 3", *parts), store, Never())

    runner.tick(NOON)
    runner.tick(NOON + MINUTE)

    assert sorted(runner.running) == ["a", "b", "c"]
    assert len(rows(store)) == 3


def test_a_worker_is_given_the_datasets_deadline_and_its_history(home: Path, store: Store) -> None:
    for day in (20, 21, 22):
        land(home, day)
    pool = InLine()
    settings = config(home, ORDERS.replace("auto", 'timeout = "90s"\nauto'))

    for day in (21, 22, 23):
        work(Runner(settings, store, pool), NOON.replace(day=day))

    assert pool.timeouts == [90.0] * 3
    assert [[start.day for start, _, _ in job.history] for job in pool.asked] == [[], [20], [20, 21]]


def test_a_fixed_reference_is_read_from_the_store(home: Path, store: Store) -> None:
    for day in (18, 19, 20, 21, 22):
        land(home, day)
    pool = InLine()
    settings = config(home, ORDERS.replace("auto", "reference = {from = 2026-11-18, to = 2026-11-20}\nauto"))

    for day in (19, 20, 21, 22, 23):
        work(Runner(settings, store, pool), NOON.replace(day=day))

    assert [start.day for start, _, _ in pool.asked[-1].reference] == [18, 19]


def test_the_reference_of_an_hourly_dataset_is_made_of_the_days_before_and_todays_hours(home: Path, store: Store) -> None:
    hourly = ORDERS.replace("auto", 'every = "1h"\nreference = "previous 3d"\nauto')
    settings, hour = config(home, hourly), november(10).start
    for n in range(24 * 6 + 5):
        window = Window(hour + n * HOUR, hour + (n + 1) * HOUR)
        claim = ledger.claim(store, "orders", window, HOUR)
        assert claim is not None
        body = Profile({}, 1, {("", ""): {"rows": Number(1, "add")}}).to_bytes()
        ledger.record(store, claim, Measured("done", [], 1, 0.1, body), window.end, ["orders"], None)
    runner = Runner(settings, store, InLine())
    coarsening = Coarsening(settings, store, InLine())
    for _ in range(8):
        coarsening.step(november(16).start + 3 * HOUR)

    found = runner.reference(settings.datasets["orders"], Window(november(16).start + 5 * HOUR, november(16).start + 6 * HOUR))

    assert found is not None
    lengths = [(end - start) / HOUR for start, end, _ in found]
    assert lengths == [24.0, 24.0, 24.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert runner.reference(config(home, ORDERS).datasets["orders"], november(16)) is None


# What goes wrong.


def test_a_window_that_errors_is_tried_again_ever_more_slowly_and_others_go_on(home: Path, store: Store) -> None:
    shutil.rmtree(home / "landing")
    pool, now = InLine(), NOON
    runner = Runner(config(home, ORDERS), store, pool)

    waits = []
    for _ in range(8):
        [finished] = work(runner, now)
        assert finished.measured.state == "errored"
        [row] = rows(store)
        waits.append((row.next_attempt_at - now) / MINUTE)
        assert work(runner, row.next_attempt_at - timedelta(seconds=1)) == []
        now = row.next_attempt_at

    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
    [row] = rows(store)
    assert (row.state, row.attempts) == ("errored", 8)
    assert "landing" in row.error


def test_what_could_not_be_measured_is_caught_up_oldest_first_when_the_source_is_back(home: Path, store: Store) -> None:
    folder, away = home / "landing", home / "away"
    for day in (20, 21, 22):
        land(home, day, missing=20)
    folder.rename(away)
    settings = config(home, ORDERS)
    for day in (21, 22, 23):
        work(Runner(settings, store, InLine()), NOON.replace(day=day))
    assert {row.state for row in rows(store)} == {"errored"}
    assert {row.check for row in looking.found_results(store)} == {"measure"}

    away.rename(folder)
    caught = work(Runner(settings, store, InLine()), NOON + HOUR)

    assert days(caught) == [20, 21, 22]
    assert {row.state for row in rows(store)} == {"done"}
    assert {row.check for row in looking.found_results(store)} == {"missing(amount)", "row_count"}


def test_an_errored_window_holds_no_later_window_up(home: Path, store: Store) -> None:
    land(home, 22)
    (home / "landing/orders-2026-11-21.parquet").write_text("not Parquet")
    runner = Runner(config(home, ORDERS), store, InLine())

    work(runner, NOON - DAY)
    later = work(runner, NOON - DAY + 30 * timedelta(seconds=1))
    later += work(runner, NOON)

    assert [(f.window.start.day, f.measured.state) for f in later] == [(21, "errored"), (22, "done")]


def test_a_broken_dataset_harms_no_other(home: Path, store: Store) -> None:
    land(home, 22, "refunds")
    (home / "landing/orders-2026-11-22.parquet").write_text("not Parquet")

    finished = {f.dataset.name: f for f in work(Runner(config(home, ORDERS, REFUNDS), store, InLine()), NOON)}

    assert finished["orders"].measured.state == "errored"
    assert finished["refunds"].measured.state == "done"


def test_a_file_that_is_not_there_is_no_data_and_opens_an_incident(home: Path, store: Store) -> None:
    land(home, 20)

    [finished] = work(Runner(config(home, ORDERS, TEAM), store, InLine()), NOON)

    assert finished.measured.state == "no_data"
    [incident] = looking.found_incidents(store)
    assert (incident.subject, incident.family, incident.severity) == ("orders", "arrival", "critical")


def test_a_failure_is_recorded_with_its_incident_and_what_is_to_be_told(home: Path, store: Store) -> None:
    settings = config(home, ORDERS, TEAM)
    for day, missing in ((18, 0), (19, 10), (20, 10), (21, 0), (22, 0)):
        land(home, day, missing=missing)

    for day in (19, 20, 21, 22, 23):
        work(Runner(settings, store, InLine()), NOON.replace(day=day))

    [incident] = looking.found_incidents(store, everything=True)
    assert (incident.since.day, incident.opened_at.day, incident.resolved_at.day) == (19, 20, 23)
    with store.reading() as connection:
        told = connection.execute(select(deliveries.c.key, deliveries.c.state).order_by(deliveries.c.id)).all()
    opened = f"inc:1-{incident.opened_at:%Y%m%dT%H%M%S%f}:team"
    # Nobody sent the first: one message tells both.
    assert [tuple(row) for row in told] == [(f"{opened}:open:1", "superseded"), (f"{opened}:combined:2", "pending")]


def test_a_window_of_the_past_is_measured_and_nobody_is_told(home: Path, store: Store) -> None:
    land(home, 20, missing=20)
    settings = config(home, ORDERS, TEAM)
    runner = Runner(settings, store, InLine())

    assert runner.start(settings.datasets["orders"], november(20), NOON, tells=False)
    [finished] = runner.collect(NOON)

    assert [str(r.status) for r in finished.measured.results] == ["failed", "passed"]
    assert looking.found_incidents(store, everything=True) == []


EVIDENTLY = ORDERS.replace(
    "checks = [", """checks = [{kind = "evidently", metric = "MeanValue", column = "amount", at_most = 1, id = "mean"}, """
)


def test_what_is_slow_to_judge_delays_no_alert(home: Path, store: Store) -> None:
    land(home, 22, missing=10)
    pool = Slow()
    runner = Runner(config(home, EVIDENTLY, TEAM), store, pool)
    runner.tick(NOON)
    assert runner.collect(NOON) == []
    [told] = written(store)
    assert "amount" in told.payload
    [before] = looking.found_incidents(store)
    assert ledger.claim(store, "orders", november(22), HOUR) is None, "the window is still ours"

    pool.release()
    [finished] = runner.collect(NOON)

    assert {r.check: str(r.status) for r in finished.measured.results} == {
        "missing(amount)": "failed",
        "row_count": "passed",
        "mean": "failed",
    }
    assert finished.decision is not None
    assert [str(c.happened) for c in finished.decision.news.changes] == ["opened", "opened"], "both, for the reports"
    assert before in looking.found_incidents(store)
    assert len(written(store)) == 2
    assert runner.running == {}
    runner.tick(NOON)
    assert runner.running == {}


def test_a_window_taken_over_before_its_slow_verdicts_tells_nothing_twice(home: Path, store: Store) -> None:
    land(home, 22, missing=10)
    first = Runner(config(home, EVIDENTLY, TEAM), store, Slow())
    first.tick(NOON)
    first.collect(NOON)
    first.give_back()

    pool = Slow()
    second = Runner(config(home, EVIDENTLY, TEAM), store, pool)
    second.tick(NOON)
    assert second.collect(NOON) == []
    assert len(written(store)) == 1
    pool.held[0][2].set_exception(MemoryError())
    pool.held.clear()
    [finished] = second.collect(NOON)

    errored = [r for r in finished.measured.results if str(r.status) == "errored"]
    assert [r.check for r in errored] == ["mean"]
    assert "the worker process failed (MemoryError" in errored[0].message


def test_a_window_that_the_store_cannot_take_now_is_recorded_when_it_can(
    home: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(home, 22)
    pool = InLine()
    runner = Runner(config(home, ORDERS), store, pool)
    runner.tick(NOON)

    def full(*_: Any, **__: Any) -> None:
        raise OperationalError("insert", {}, Exception("database or disk is full"))

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "record", full)
        for _ in range(3):
            with pytest.raises(OperationalError):
                runner.collect(NOON)
    assert looking.found_results(store) == []

    [finished] = runner.collect(NOON)

    assert finished.measured.state == "done"
    assert len(pool.asked) == 1, "it was measured once"
    assert len(looking.found_results(store)) == 2


class Doubled(InLine):
    """Results that break the store's own rules, as a check with a bug could give them."""

    def schedule(self, function: Callable[..., Measured], args: Sequence[Any], timeout: float) -> Future[Measured]:
        done = super().schedule(function, args, timeout).result()
        future: Future[Measured] = Future()
        future.set_result(replace(done, results=[*done.results, *done.results]) if args[0].dataset.name == "orders" else done)
        return future


def test_results_that_no_store_takes_are_an_errored_window_and_others_go_on(home: Path, store: Store) -> None:
    land(home, 22)
    land(home, 22, "refunds")
    runner = Runner(config(home, ORDERS, REFUNDS), store, Doubled())

    finished = {f.dataset.name: f for f in work(runner, NOON)}

    assert finished["refunds"].measured.state == "done"
    orders = finished["orders"].measured
    assert orders.state == "errored"
    assert str(orders.error).startswith("what was measured cannot be recorded: UNIQUE constraint failed: results.dataset")
    assert [row.state for row in rows(store)] == ["errored", "done"]
    assert [i.subject for i in looking.found_incidents(store)] == ["orders"]


class Dying:
    """A pool whose workers, real processes, end in the middle of their work."""

    def __init__(self, pool: Any, function: Callable[[int], Any], code: int) -> None:
        self.pool, self.function, self.code = pool, function, code

    def schedule(self, function: Callable[..., Measured], args: Sequence[Any], timeout: float) -> Future[Measured]:
        future: Future[Measured] = self.pool.schedule(self.function, args=[self.code], timeout=timeout)
        return future


def ended(runner: Runner, now: datetime) -> list[Finished]:
    """What real workers come to; waits for them, not for a time."""
    runner.tick(now)
    out: list[Finished] = []
    while runner.running:
        out += runner.collect(now, patience=1.0)
    return out


def test_k3_a_worker_that_dies_is_an_errored_window_that_is_tried_again(home: Path, store: Store) -> None:
    land(home, 22)
    settings = config(home, ORDERS)
    with workers(1) as pool:
        [killed] = ended(Runner(settings, store, Dying(pool, signal.raise_signal, signal.SIGKILL)), NOON)
        [crashed] = ended(Runner(settings, store, Dying(pool, signal.raise_signal, signal.SIGSEGV)), NOON + HOUR)
        [well] = ended(Runner(settings, store, pool), NOON + 2 * HOUR)

    assert killed.measured.state == "errored"
    assert "was killed, most likely for want of memory" in str(killed.measured.error)
    assert "died (signal 11), most likely in the driver of the source" in str(crashed.measured.error)
    assert (well.measured.state, well.window) == ("done", november(22))
    assert [row.attempts for row in rows(store)] == [3]


def eat(megabytes: int) -> int:
    """Needs more memory than it may have."""
    resource.setrlimit(resource.RLIMIT_AS, (2**30, resource.RLIM_INFINITY))
    return len(bytearray(megabytes * 2**20))


def test_k3_a_worker_that_may_have_no_more_memory_is_an_errored_window_and_the_next_one_is_well(home: Path, store: Store) -> None:
    land(home, 22)
    settings = config(home, ORDERS)
    with workers(1) as pool:
        [starved] = ended(Runner(settings, store, Dying(pool, eat, 4096)), NOON)
    with workers(1) as pool:
        [well] = ended(Runner(settings, store, pool), NOON + HOUR)

    assert starved.measured.state == "errored"
    assert "MemoryError" in str(starved.measured.error)
    assert (well.measured.state, well.window) == ("done", november(22))


def test_p5_what_always_breaks_is_tried_again_at_growing_pauses(home: Path, store: Store) -> None:
    (home / "landing/orders-2026-11-22.parquet").write_text("not Parquet")
    runner = Runner(config(home, ORDERS), store, InLine())
    tries, now = [], NOON
    while now < NOON + 3 * HOUR:
        tries += [now for _ in work(runner, now)]
        now += MINUTE

    pauses = [(later - earlier) // MINUTE for earlier, later in pairwise(tries)]
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30, 30]
    assert len(looking.found_incidents(store)) == 1


HANGING = """
[datasets.slow]
query = \"\"\"select timestamp '2026-11-22 12:00' as at, sum(a.range * b.range) as amount
from range(10000000) a, range(10000000000) b\"\"\"
time_column = "at"
timeout = "2s"
auto = false
checks = [{kind = "missing", column = "amount", at_most = 0.1}]
"""


def test_p2_a_query_that_hangs_is_killed_at_its_deadline_and_others_go_on(home: Path, store: Store) -> None:
    land(home, 22)
    with workers(2) as pool:
        finished = {f.dataset.name: f for f in ended(Runner(config(home, HANGING, ORDERS), store, pool), NOON)}

    assert finished["orders"].measured.state == "done"
    slow = finished["slow"].measured
    assert slow.state == "errored"
    assert slow.error == "it took longer than 2 s and was ended; raise timeout, or make the window smaller"
    assert [(r.check, r.status) for r in slow.results] == [("measure", Status.ERRORED)]


def test_once_tries_each_window_once_and_ends(home: Path, store: Store) -> None:
    (home / "landing/orders-2026-11-22.parquet").write_text("not Parquet")
    land(home, 22, "refunds")
    seen: list[Finished] = []

    for _ in range(2):
        daemon.run_due(config(home, ORDERS, REFUNDS), store, NOON, None, seen.append)

    assert sorted((f.dataset.name, f.measured.state) for f in seen) == [
        ("orders", "errored"),
        ("orders", "errored"),
        ("refunds", "done"),
    ]


def test_a_backfill_measures_oldest_first_and_only_what_is_not_there(home: Path, store: Store) -> None:
    for day in (20, 21, 22):
        land(home, day, missing=20)
    settings = config(home, ORDERS, TEAM)
    seen: list[int | None] = []

    def measured(finished: Finished | None, total: int) -> None:
        assert total == 3
        seen.append(finished.window.start.day if finished else None)

    for again in (False, False, True):
        daemon.backfill(settings, store, "orders", november(20).start, november(22).end, again, measured)

    assert seen == [20, 21, 22, None, None, None, 20, 21, 22]
    assert looking.found_incidents(store, everything=True) == []


# What is said of a window.


def test_a_window_is_one_line_in_the_log(home: Path, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    land(home, 22, missing=20)
    caplog.set_level("INFO", "datavigil.window")

    work(Runner(config(home, ORDERS, TEAM), store, InLine()), NOON)

    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("window dataset=orders start=2026-11-22T00:00:00+00:00 state=done rows=20 seconds=")
    assert line.endswith("passed=1 failed=1 skipped=0 errored=0 news=INC-1:opened")
