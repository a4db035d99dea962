"""The days of short windows: what becomes of the profiles of hours, and who reads what of them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, event, func, insert, select, text, update
from sqlalchemy.exc import OperationalError

from checks.grid import Grid
from checks.histogram import Histogram
from checks.profile import Answer, Counts, Number, Profile
from checks.result import Family, Result, Status
from checks.window import Window
from monitor.coarsening import PARTS, Coarsening
from monitor.config import load
from monitor.job import Measured
from monitor.merging import VALUES, together
from monitor.store import days, ledger, past, pruning
from monitor.store.store import Store
from monitor.store.tables import profiles, results, windows

MIDNIGHT = datetime(2026, 9, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
COARSE = Grid(0.0, 1.0)
LATER = MIDNIGHT + 100 * DAY
ORDERS = '[datasets.orders]\ntable = "orders.parquet"\ntime_column = "at"\nevery = "1h"\n'


class InLine:
    """The pool of worker processes, in this process. `asked` is how many profiles each piece of work was given."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def schedule(self, function: Callable[..., Any], args: Sequence[Any], timeout: float) -> Future[Any]:
        self.asked.append(len(args[0]))
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args))
        except Exception as fault:
            future.set_exception(fault)
        return future


class Waiting:
    """A pool whose work is done when the test says so."""

    def __init__(self) -> None:
        self.futures: list[tuple[Future[Any], Callable[..., Any], Sequence[Any]]] = []

    def schedule(self, function: Callable[..., Any], args: Sequence[Any], timeout: float) -> Future[Any]:
        self.futures.append((Future(), function, args))
        return self.futures[-1][0]

    def finish(self) -> None:
        future, function, args = self.futures.pop()
        future.set_result(function(*args))


def hour(n: float) -> Window:
    return Window(MIDNIGHT + n * HOUR, MIDNIGHT + (n + 1) * HOUR)


def day(n: int = 0) -> Window:
    return Window(MIDNIGHT + n * DAY, MIDNIGHT + (n + 1) * DAY)


def profile(rows: int, value: float = 1.0, grid: Grid = COARSE, counted: Mapping[str, int] | None = None) -> Profile:
    """So many rows, all of them this value."""
    buckets = {grid.bucket(value): (rows, rows * value)} if rows else {}
    answers: dict[str, Answer] = {"rows": Number(rows, "add"), "distribution(x)": Histogram.of(grid, buckets)}
    if counted:
        answers["categories(c)"] = Counts(counted, 0, len(counted))
    return Profile({"x": "float64"}, rows, {("", ""): answers})


def measure(store: Store, window: Window, body: bytes, again: bool = False, now: datetime | None = None) -> None:
    claim = ledger.claim(store, "orders", window, HOUR, again)
    assert claim is not None
    result = Result("row_count", "row_count", Family.ARRIVAL, Status.PASSED, "as usual", value=1.0)
    assert ledger.record(store, claim, Measured("done", [result], 1, 0.1, body), now or window.end, ["orders"], None) is not None


def measure_hours(store: Store, *hours: float, rows: int = 10) -> None:
    """As `measure`, for many hours at once."""
    body = profile(rows).to_bytes()
    times = [{"dataset": "orders", "lane": "live", "start": hour(n).start, "end": hour(n).end, "rows": rows} for n in hours]
    with store.begin() as connection:
        done = [{**row, "state": "done", "finished_at": row["end"], "merged": False} for row in times]
        connection.execute(insert(windows), done)
        connection.execute(insert(profiles), [{**row, "body": body} for row in times])


def measure_again(store: Store, n: int, rows: int, now: datetime = LATER) -> None:
    measure(store, hour(n), profile(rows).to_bytes(), again=True, now=now)


def coarsening(store: Store, folder: Path, toml: str = ORDERS, workers: Any = None) -> Coarsening:
    (folder / "config.toml").write_text(toml)
    return Coarsening(load(folder / "config.toml", {}), store, workers or InLine())


def settle(work: Coarsening, now: datetime = LATER) -> None:
    """Steps until nothing is left to do."""
    for _ in range(60):
        work.step(now)
        if not (work._found or work._at_work or days.unmerged(work.store, ["orders"], now - DAY - HOUR)):
            break
    work.step(now)


def lanes(store: Store) -> dict[str, int]:
    with store.reading() as connection:
        found = connection.execute(select(profiles.c.lane, func.count().label("number")).group_by(profiles.c.lane))
        return {row.lane: row.number for row in found}


def stored_day(store: Store, n: int = 0) -> Profile | None:
    with store.reading() as connection:
        body = connection.execute(
            select(profiles.c.body).where(profiles.c.lane == "day", profiles.c.start == day(n).start)
        ).scalar()
    return Profile.from_bytes(body) if body else None


def marks(store: Store) -> list[bool | None]:
    with store.reading() as connection:
        return list(connection.execute(select(windows.c.merged).order_by(windows.c.start)).scalars())


# Becoming a day.


def test_the_hours_of_a_day_that_is_over_become_its_profile_and_stay(store: Store, tmp_path: Path) -> None:
    measure_hours(store, *range(24))

    settle(coarsening(store, tmp_path), day().end + HOUR)

    made = stored_day(store)
    assert made is not None
    assert made.rows == 240
    assert lanes(store) == {"live": 24, "day": 1}
    assert marks(store) == [True] * 24


def test_a_day_that_is_not_over_or_not_settled_is_left(store: Store, tmp_path: Path) -> None:
    measure_hours(store, *range(24))

    settle(coarsening(store, tmp_path), day().end + HOUR / 2)
    settle(coarsening(store, tmp_path, ORDERS + 'delay = "3h"\n'), day().end + 3 * HOUR)

    assert lanes(store) == {"live": 24}
    assert marks(store) == [False] * 24


def test_days_are_those_of_the_datasets_zone(store: Store, tmp_path: Path) -> None:
    measure_hours(store, *range(24))

    settle(coarsening(store, tmp_path, ORDERS + 'timezone = "America/New_York"\n'))

    with store.reading() as connection:
        found = connection.execute(select(profiles.c.start, profiles.c.end, profiles.c.rows).where(profiles.c.lane == "day")).all()
    assert [tuple(row) for row in found] == [
        (MIDNIGHT - 20 * HOUR, MIDNIGHT + 4 * HOUR, 40),
        (MIDNIGHT + 4 * HOUR, MIDNIGHT + 28 * HOUR, 200),
    ]


def test_windows_of_a_day_and_longer_are_left_alone(store: Store, tmp_path: Path) -> None:
    measure(store, day(), profile(5).to_bytes())

    settle(coarsening(store, tmp_path, ORDERS.replace("1h", "1d")))

    assert lanes(store) == {"live": 1}
    assert marks(store) == [None]


def test_half_days_that_last_longer_where_the_clocks_change_are_parts_of_their_day(store: Store) -> None:
    measure(store, Window(MIDNIGHT, MIDNIGHT + 13 * HOUR), profile(5).to_bytes())

    assert marks(store) == [False]


def test_a_dataset_that_is_not_in_the_config_keeps_its_hours(store: Store, tmp_path: Path) -> None:
    measure_hours(store, *range(24))

    settle(coarsening(store, tmp_path, ORDERS.replace("orders", "refunds")))

    assert lanes(store) == {"live": 24}


def test_a_measured_hour_waits_for_its_day_and_a_window_without_a_profile_does_not(store: Store) -> None:
    measure(store, hour(0), profile(5).to_bytes())
    claim = ledger.claim(store, "orders", hour(1), HOUR)
    assert claim is not None
    ledger.record(store, claim, Measured("no_data", [], 0), LATER, ["orders"], None)

    assert marks(store) == [False, None]


def test_a_window_that_comes_later_is_put_in_later(store: Store, tmp_path: Path) -> None:
    measure_hours(store, *range(20))
    work = coarsening(store, tmp_path)
    settle(work)

    measure_hours(store, 20, 21)
    settle(work)

    made = stored_day(store)
    assert made is not None
    assert made.rows == 220
    assert lanes(store)["day"] == 1


def test_a_day_of_many_windows_is_put_together_in_bounded_steps(store: Store, tmp_path: Path) -> None:
    measure_hours(store, *(n / 12 for n in range(24 * 12)), rows=1)
    pool = InLine()

    settle(coarsening(store, tmp_path, ORDERS.replace("1h", "5m"), pool))

    made = stored_day(store)
    assert made is not None
    assert made.rows == 288
    assert pool.asked == [PARTS, PARTS + 1, 88 + 1]


def test_one_dataset_with_a_long_past_does_not_hold_up_the_others(store: Store, tmp_path: Path) -> None:
    measure_hours(store, *range(24 * 5))
    claim = ledger.claim(store, "refunds", hour(0), HOUR)
    assert claim is not None
    ledger.record(store, claim, Measured("done", [], 1, 0.1, profile(1).to_bytes()), LATER, ["refunds"], None)
    work = coarsening(store, tmp_path, ORDERS + ORDERS.replace("orders", "refunds"))

    for _ in range(3):
        work.step(LATER)

    with store.reading() as connection:
        made = connection.execute(select(profiles.c.dataset).where(profiles.c.lane == "day")).scalars().all()
    assert sorted(made) == ["orders", "refunds"]


# A crash, another daemon, a fault.


def test_nothing_is_lost_when_the_process_dies_with_a_day_at_work(store: Store, tmp_path: Path) -> None:
    measure_hours(store, *range(24))
    dying = coarsening(store, tmp_path, workers=Waiting())
    dying.step(LATER)

    assert marks(store) == [False] * 24
    settle(coarsening(store, tmp_path))
    made = stored_day(store)
    assert made is not None
    assert made.rows == 240


def test_a_window_measured_again_meanwhile_spoils_the_work_and_it_is_done_again(store: Store, tmp_path: Path) -> None:
    measure_hours(store, *range(24))
    pool = Waiting()
    work = coarsening(store, tmp_path, workers=pool)
    work.step(LATER)
    measure_again(store, 3, 1000)

    pool.finish()
    work.step(LATER)
    assert stored_day(store) is None

    settle(coarsening(store, tmp_path))
    made = stored_day(store)
    assert made is not None
    assert made.rows == 1230


def test_two_daemons_that_make_the_same_day_make_it_once(store: Store, tmp_path: Path) -> None:
    measure_hours(store, *range(24))
    pools = [Waiting(), Waiting()]
    both = [coarsening(store, tmp_path, workers=pool) for pool in pools]
    for work in both:
        work.step(LATER)

    for work, pool in zip(both, pools, strict=True):
        pool.finish()
        work.step(LATER)

    made = stored_day(store)
    assert made is not None
    assert made.rows == 240
    assert lanes(store) == {"live": 24, "day": 1}


def test_a_store_that_fails_while_a_day_is_written_keeps_all_as_it_was(store: Store, tmp_path: Path) -> None:
    measure_hours(store, *range(24))
    work = coarsening(store, tmp_path)
    work.step(LATER)

    def fails(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE windows SET merged"):
            raise OperationalError(statement, {}, Exception("disk I/O error"))

    event.listen(store.engine, "before_cursor_execute", fails)
    with pytest.raises(OperationalError):
        work.step(LATER)
    event.remove(store.engine, "before_cursor_execute", fails)

    assert (lanes(store), marks(store)) == ({"live": 24}, [False] * 24)
    settle(work)
    assert lanes(store) == {"live": 24, "day": 1}


def test_a_profile_that_cannot_be_read_is_said_and_the_next_day_is_made(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    measure_hours(store, *range(48))
    measure(store, hour(5), b"nonsense", again=True)

    settle(coarsening(store, tmp_path))

    assert "dataset orders: the profiles of 2026-09-01 stay as they are, they cannot be put together: error:" in caplog.text
    assert stored_day(store) is None
    assert stored_day(store, 1) is not None
    assert sum("stay as they are" in message for message in caplog.messages) == 1


def test_a_worker_that_was_killed_costs_a_try(store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    measure_hours(store, *range(24))
    pool = Waiting()
    work = coarsening(store, tmp_path, workers=pool)
    for _ in range(2):
        work.step(LATER)
        pool.futures.pop()[0].set_exception(RuntimeError("killed"))
    work.step(LATER)
    pool.finish()
    work.step(LATER)

    made = stored_day(store)
    assert made is not None
    assert made.rows == 240
    assert caplog.messages == []


def test_windows_whose_profiles_are_gone_hold_nothing_up(store: Store, tmp_path: Path) -> None:
    measure_hours(store, *range(48))
    with store.begin() as connection:
        connection.execute(delete(profiles).where(profiles.c.start < day(1).start))

    settle(coarsening(store, tmp_path))

    assert stored_day(store) is None
    assert stored_day(store, 1) is not None


# Forgetting the hours.


def test_old_hours_are_forgotten_and_their_days_stay(store: Store, tmp_path: Path) -> None:
    measure_hours(store, *range(24 * 8))
    work = coarsening(store, tmp_path, ORDERS + '[store]\ncoarsen_after = "3d"\n')
    before = _all(store, results)

    settle(work, day(8).start + 2 * HOUR)

    with store.reading() as connection:
        oldest = connection.execute(select(func.min(profiles.c.start)).where(profiles.c.lane == "live")).scalar()
    assert oldest == day(8).start - 120 * HOUR  # the last 120 stay, though they end before three days ago
    assert lanes(store) == {"live": 120, "day": 8}
    assert _all(store, results) == before


def test_hours_stay_until_they_are_old_enough(store: Store, tmp_path: Path) -> None:
    measure_hours(store, *range(24 * 8))

    settle(coarsening(store, tmp_path), day(8).end)

    assert lanes(store) == {"live": 192, "day": 8}


def test_the_last_windows_before_a_pause_stay_whatever_their_age(store: Store, tmp_path: Path) -> None:
    measure_hours(store, *range(100))

    settle(coarsening(store, tmp_path), LATER + 300 * DAY)

    assert lanes(store)["live"] == 100
    assert len(past.history(store, "orders", LATER, 90)) == 90


def test_an_hour_that_is_in_no_day_is_not_forgotten(store: Store, tmp_path: Path) -> None:
    measure_hours(store, *range(24 * 8))
    with store.begin() as connection:
        connection.execute(update(windows).where(windows.c.start == hour(7).start).values(merged=None))

    settle(coarsening(store, tmp_path))

    with store.reading() as connection:
        left = connection.execute(
            select(profiles.c.start).where(profiles.c.lane == "live", profiles.c.start < day(3).start)
        ).scalars()
        assert list(left) == [hour(7).start]


def test_forgetting_is_bounded(store: Store, tmp_path: Path) -> None:
    measure_hours(store, *range(24 * 8))
    settle(coarsening(store, tmp_path), day(8).end)

    assert days.drop(store, ["orders"], LATER, LATER, most=10) == 10
    assert days.drop(store, ["refunds"], LATER, LATER) == 0
    assert lanes(store)["live"] == 182


def test_retention_forgets_days_too(store: Store, tmp_path: Path) -> None:
    measure_hours(store, *range(24))
    work = coarsening(store, tmp_path)
    settle(work)

    pruning.prune(store, work.config.store, day().end + 401 * DAY)

    assert lanes(store) == {}


# Measured again.


def test_a_day_is_made_anew_when_one_of_its_hours_is_measured_again(store: Store, tmp_path: Path) -> None:
    measure_hours(store, *range(24))
    work = coarsening(store, tmp_path)
    settle(work)

    measure_again(store, 3, 1000)
    assert stored_day(store) is None
    assert len(past.between(store, "orders", day().start, day().end)) == 24

    settle(work)
    made = stored_day(store)
    assert made is not None
    assert made.rows == 1230


def test_a_day_whose_hours_are_forgotten_is_made_anew_when_all_of_them_are_measured_again(store: Store, tmp_path: Path) -> None:
    measure_hours(store, *range(24 * 8))
    work = coarsening(store, tmp_path)
    settle(work)
    now = LATER + HOUR

    for n in range(23):
        measure_again(store, n, 100, now)
        settle(work, now)
    made = stored_day(store)
    assert made is not None
    assert made.rows == 240
    assert [b.rows for *_, body in past.between(store, "orders", *_edges(0)) if (b := Profile.from_bytes(body))] == [240]

    measure_again(store, 23, 100, now)
    settle(work, now)
    made = stored_day(store)
    assert made is not None
    assert made.rows == 2400


def test_an_hour_that_was_measured_again_alone_is_forgotten_after_a_day(store: Store, tmp_path: Path) -> None:
    measure_hours(store, *range(24 * 8))
    work = coarsening(store, tmp_path)
    settle(work)
    measure_again(store, 3, 100)

    settle(work, LATER + 2 * DAY)

    assert lanes(store) == {"live": 120, "day": 8}
    made = stored_day(store)
    assert made is not None
    assert made.rows == 240


def test_a_window_that_could_not_be_measured_again_stays_in_its_day(store: Store, tmp_path: Path) -> None:
    measure_hours(store, *range(24))
    work = coarsening(store, tmp_path)
    settle(work)
    claim = ledger.claim(store, "orders", hour(3), HOUR, again=True)
    assert claim is not None
    failed = Result("measure", "measure", Family.SOURCE, Status.ERRORED, "no such table")
    ledger.record(store, claim, Measured("errored", [failed], error="no such table"), LATER, ["orders"], None)

    settle(work)

    made = stored_day(store)
    assert made is not None
    assert made.rows == 240
    assert marks(store) == [True] * 24


# Reading.


def test_a_reference_reads_days_where_there_are_such_and_hours_elsewhere(store: Store, tmp_path: Path) -> None:
    measure_hours(store, *range(24 * 3 + 5))
    settle(coarsening(store, tmp_path), day(2).end + HOUR)

    found = past.between(store, "orders", day().start, day(4).start)

    assert [(start, end) for start, end, _ in found] == [
        *((day(n).start, day(n).end) for n in range(3)),
        *((hour(72 + n).start, hour(72 + n).end) for n in range(5)),
    ]
    assert sum(Profile.from_bytes(body).rows for *_, body in found) == 770


def test_a_stretch_that_cuts_a_day_reads_its_hours(store: Store, tmp_path: Path) -> None:
    measure_hours(store, *range(48))
    settle(coarsening(store, tmp_path), day(1).end + HOUR)

    found = past.between(store, "orders", hour(20).start, day(1).end)

    assert [start for start, *_ in found] == [*(hour(n).start for n in range(20, 24)), day(1).start]


def test_history_is_made_of_windows_never_of_days(store: Store, tmp_path: Path) -> None:
    measure_hours(store, *range(24 * 3))
    settle(coarsening(store, tmp_path))

    assert {end - start for start, end, _ in past.history(store, "orders", LATER, 500)} == {HOUR}


# Putting together.


def test_together_is_the_sum_and_the_empty_windows_take_nothing_away() -> None:
    empty = replace(profile(0), parts={("", ""): {"rows": Number(0, "add")}})
    rows, body = together([p.to_bytes() for p in (empty, profile(10, 1.0), profile(30, 2.0), empty)])

    whole = Profile.from_bytes(body)
    answer = whole.answers()["distribution(x)"]
    assert (rows, whole.rows) == (40, 40)
    assert isinstance(answer, Histogram)
    assert answer.total() == 70.0


def test_the_grid_is_that_of_the_fullest_window_and_the_layout_that_of_the_last() -> None:
    fine = Grid(1000.0, 0.001)
    few, much = profile(1, 0.0), profile(100, 1000.0, fine)
    last = replace(profile(5, 1000.0, fine), schema={"x": "float64", "y": "string"})

    _, body = together([p.to_bytes() for p in (few, much, last)])

    whole = Profile.from_bytes(body)
    answer = whole.answers()["distribution(x)"]
    assert isinstance(answer, Histogram)
    assert answer.grid == fine
    assert whole.schema == last.schema


def test_only_empty_windows_give_an_empty_day() -> None:
    rows, body = together([profile(0).to_bytes(), profile(0).to_bytes()])

    assert (rows, Profile.from_bytes(body).answers()["rows"]) == (0, Number(0, "add"))


def test_of_very_many_values_the_most_frequent_are_kept_by_name_and_no_row_is_lost() -> None:
    many = [profile(2000, counted={f"v{n}": n % 7 + 1 for n in range(i * 800, i * 800 + 800)}) for i in range(2)]

    _, body = together([p.to_bytes() for p in many])

    answer = Profile.from_bytes(body).answers()["categories(c)"]
    assert isinstance(answer, Counts)
    assert len(answer.counts) == VALUES
    assert answer.total == sum(n % 7 + 1 for n in range(1600))
    assert min(answer.counts.values()) >= 3
    assert answer.distinct == 1600
    assert answer.error == pytest.approx(3 / answer.total)


def test_a_window_of_an_outdated_form_counts_as_not_measured() -> None:
    outdated = zlib.compress(json.dumps({"v": 0, "schema": {}, "rows": 7, "parts": []}).encode())

    rows, _ = together([outdated, profile(10).to_bytes()])

    assert rows == 10
    with pytest.raises(ValueError, match="none that this version can read"):
        together([outdated])


def test_nothing_to_put_together_is_refused() -> None:
    with pytest.raises(ValueError, match="none that this version can read"):
        together([])


def _edges(n: int) -> tuple[datetime, datetime]:
    return day(n).start, day(n).end


def _all(store: Store, table: Any) -> list[Any]:
    with store.reading() as connection:
        return [tuple(row) for row in connection.execute(select(table).order_by(table.c.id))]


def test_the_indexes_are_used_to_find_what_is_to_be_put_together(store: Store) -> None:
    seen: list[tuple[str, Any]] = []
    event.listen(store.engine, "before_cursor_execute", lambda _c, _cu, statement, given, *_: seen.append((statement, given)))
    days.unmerged(store, ["orders", "refunds"], LATER)
    statement, given = next(s for s in seen if "min(" in s[0])
    with store.begin() as connection:
        if not store.sqlite:
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        how = "EXPLAIN " if not store.sqlite else "EXPLAIN QUERY PLAN "
        plan = str(connection.exec_driver_sql(how + statement, given).all())
    assert "ix_windows_unmerged" in plan
