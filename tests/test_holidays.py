"""Holidays, where the dataset names a country: no examples of ordinary days, and judged against days of rest and earlier ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from checks import learned
from checks.base import Past, View
from checks.drift import Drift
from checks.freshness import Freshness
from checks.grid import Grid
from checks.histogram import Cells, Histogram
from checks.learned import ORDINARY, Learned, Trace
from checks.numbers import Numbers
from checks.pending import judged
from checks.profile import Counts, Number, Profile
from checks.result import Result, Severity, Status
from checks.row_count import RowCount
from checks.series import Series
from checks.special import Special, Specials, filled, ordinary
from checks.times import Times
from checks.window import Window
from monitor import printing_told, special_days, worker
from monitor.dataset import Dataset
from monitor.earlier import earlier
from monitor.job import Job
from monitor.sources.files import Files

FIRST, DAY, HOUR = datetime(2025, 1, 1, tzinfo=UTC), timedelta(days=1), timedelta(hours=1)
WINDOWS = tuple(Window(FIRST + n * DAY, FIRST + (n + 1) * DAY) for n in range(450))
DAYS = special_days.of(("US",), WINDOWS)
THANKSGIVING = next(n for n, one in enumerate(WINDOWS) if one.start.date().isoformat() == "2025-11-27")
GRID = Grid(0.0, 1.0)
Values = NDArray[np.float64]


def level(at: Window) -> float:
    """Sundays have six tenths of a weekday's rows, holidays about as many, some fewer, some more; after them there are more."""
    day = DAYS.get(at.start)
    if at.start.weekday() >= 5 or day is None:
        return 0.6 if at.start.weekday() >= 5 else 1.0
    return {"holiday": 0.48 + 0.04 * (len(day.name) % 12), "bridging day": 0.8, "day after": 1.1}[day.kind]


def rows(seed: int, numbers: int = 8) -> Values:
    """Windows x numbers."""
    chance = np.random.default_rng(seed)
    return np.array([1000 * level(one) * np.exp(0.05 * chance.standard_normal(numbers)) for one in WINDOWS])


def verdicts(values: Values, place: int, days: Specials, now: Values | None = None) -> list[Learned]:
    past = slice(max(place - 90, 0), place)
    n = len(values[past])
    traces = [
        Trace(value, Series(WINDOWS[past], values[past, at], np.full(n, 1000.0)), 1000, "count", lasting="level")
        for at, value in enumerate(values[place] if now is None else now)
    ]
    return [found for found in learned.judge_all(traces, WINDOWS[place], days=days) if isinstance(found, Learned)]


def alarms(days: Specials, seed: int) -> Counter[str]:
    """Numbers beyond their bounds in more than a year, on special days and in the weeks after them."""
    values, found = rows(seed), Counter[str]()
    for place in range(60, len(WINDOWS)):
        where = "special" if WINDOWS[place].start in DAYS else "other"
        found[where] += sum(one.score > 1 for one in verdicts(values, place, days))
    return found


def test_a_year_with_holidays_is_quiet_with_the_key_and_not_without() -> None:
    assert not +alarms(DAYS, 1)
    without = alarms(ORDINARY, 1)
    assert without["special"] > 10
    assert without["other"] > 0


def test_a_fault_on_a_holiday_is_odd_against_holidays_too_and_warns() -> None:
    values = rows(2)
    found = verdicts(values, THANKSGIVING, DAYS, 0.3 * values[THANKSGIVING])
    assert all(one.score > 1 and one.severity is Severity.WARNING and not one.may_page for one in found)
    assert found[0].details()["day"] == "holiday: Thanksgiving Day"
    assert found[0].details()["forecast"] == "ordinary days, days of rest and earlier holidays"
    # The very same on the day before is no holiday's.
    assert {one.severity for one in verdicts(values, THANKSGIVING - 1, DAYS, 0.1 * values[THANKSGIVING - 1])} == {Severity.CRITICAL}


def test_what_no_such_day_was_is_told_on_the_upper_side_too() -> None:
    values = rows(3)
    assert all(one.score > 1 for one in verdicts(values, THANKSGIVING, DAYS, np.full(8, 3000.0)))
    assert all(one.score < 1 for one in verdicts(values, THANKSGIVING, DAYS, np.full(8, 1000.0))), "it is open all the same"
    assert all(one.score < 1 for one in verdicts(values, THANKSGIVING, DAYS, np.full(8, 800.0))), "half a day"


def test_where_no_weekend_is_known_earlier_holidays_are_what_a_holiday_may_be() -> None:
    chance = np.random.default_rng(4)
    off = [(0.4 if (day := DAYS.get(one.start)) and day.kind == "holiday" else 1.0) for one in WINDOWS]
    values = np.array([1000 * part * np.exp(0.03 * chance.standard_normal(8)) for part in off])
    assert all(one.score < 1 for one in verdicts(values, THANKSGIVING, DAYS))
    assert all(one.score > 1 for one in verdicts(values, THANKSGIVING + 2, DAYS, values[THANKSGIVING])), "no holiday"
    values[[n for n in range(THANKSGIVING) if WINDOWS[n].start in DAYS]] = 1000.0
    assert all(one.score > 1 for one in verdicts(values, THANKSGIVING, DAYS)), "no holiday was like it"


def test_last_year_s_holiday_is_what_this_one_may_be() -> None:
    """Christmas is empty as no day since last Christmas was; numbers of rows and of a column alike."""
    place = next(n for n, one in enumerate(WINDOWS) if one.start.date().isoformat() == "2025-12-25")
    last_year = Window(WINDOWS[place].start - 365 * DAY, WINDOWS[place].end - 365 * DAY)
    days = {**DAYS, last_year.start: DAYS[WINDOWS[place].start]}
    chance = np.random.default_rng(11)

    def measured(mean: float) -> dict[str, Any]:
        values = chance.normal(mean, 1.0, 300)
        keys, counts = np.unique(GRID.keys(values), return_counts=True)
        cells = [(int(k), int(n), float(values[GRID.keys(values) == k].sum()), False) for k, n in zip(keys, counts, strict=True)]
        return {"distribution(x)": Histogram({GRID: Cells.of(cells)}, low=float(values.min()), high=float(values.max()))}

    def told(older: Sequence[Window]) -> Status:
        known = [*older, *WINDOWS[place - 90 : place]]
        past = [Past(one, 300, measured(3.0 if one is last_year else 10.0), {"x": "float64"}) for one in known]
        at, now = WINDOWS[place], measured(3.0)
        view = View(at, at.end, 300, {"x": "float64"}, now, history=past, days=days)
        return judged(Numbers(column="x"), view)[0].status

    assert told([]) is Status.FAILED
    assert told([last_year]) is Status.PASSED


def test_holidays_do_not_widen_what_an_ordinary_day_may_be() -> None:
    values, place = rows(5), THANKSGIVING + 6
    fault = 0.6 * values[place]
    by, without = (verdicts(values, place, days, fault) for days in (DAYS, ORDINARY))
    assert all(one.score > other.score for one, other in zip(by, without, strict=True))
    assert len(by[0].record) < 90
    assert not {at for at, _ in by[0].record} & DAYS.keys(), "a holiday is no false alarm of the table"


def test_where_no_window_is_special_verdicts_are_the_same_bit_for_bit() -> None:
    values = rows(6)
    christmas: Specials = {datetime(2031, 12, 25, tzinfo=UTC): Special("holiday", "Christmas Day")}
    for place in (50, 95, THANKSGIVING):
        by, without = (verdicts(values, place, days) for days in (christmas, ORDINARY))
        assert by == without
        assert [one.record for one in by] == [one.record for one in without]
        assert all("day" not in one.details() and not one.on_day for one in without)


def test_a_week_together_counts_what_was_to_be_expected_instead_of_a_holiday() -> None:
    """Two holidays in seven days take a quarter of the week's rows; a loss on the other five is told all the same."""
    chance = np.random.default_rng(7)
    values = np.array([1000 * np.exp(0.03 * chance.standard_normal(8)) for _ in WINDOWS])
    places = {THANKSGIVING - 2, THANKSGIVING - 1}
    week: Specials = {WINDOWS[place].start: Special("holiday", "Fair") for place in places}
    for place in places:
        values[place] *= 0.8
    quiet = verdicts(values, THANKSGIVING + 1, week)
    assert not [one for one in quiet if one.slow]
    values[[n for n in range(THANKSGIVING - 5, THANKSGIVING + 2) if n not in places]] *= 0.88
    assert any(one.slow for one in verdicts(values, THANKSGIVING + 1, week))


def test_a_filled_week_keeps_its_days() -> None:
    values = np.array([[level(one)] for one in WINDOWS[:100]])
    gone = [n for n in range(40, 99) if WINDOWS[n].start in DAYS and WINDOWS[n].start.weekday() < 5]
    kept = [n for n in range(99) if n not in gone]
    assert gone
    assert filled(values, WINDOWS[:99], kept)[gone] == pytest.approx(1.0)


def test_where_hardly_any_other_day_is_known_holidays_are_examples_too() -> None:
    every: Specials = {one.start: Special("holiday", "Fair") for one in WINDOWS[:10]}
    assert ordinary(WINDOWS[:23], WINDOWS[23], every) == list(range(23))
    assert ordinary(WINDOWS[:24], WINDOWS[24], every) == list(range(10, 24))


def hourly(length: int) -> tuple[Window, ...]:
    first = datetime(2026, 5, 25, tzinfo=UTC) - length * HOUR
    return tuple(Window(first + n * HOUR, first + (n + 1) * HOUR) for n in range(length + 48))


def test_hours_of_a_holiday_are_no_examples_of_the_hours_after() -> None:
    """Memorial Day is a Monday; from Tuesday on, hours are judged by the weeks before it. History is the last 90 hours and the
    same hour of the days before, as the runner gives it."""
    windows = hourly(24 * 30)
    days = special_days.of(("US",), windows)
    chance = np.random.default_rng(8)

    def value(at: Window) -> float:
        return (200 if at.start.date().isoformat() == "2026-05-25" else 1000) * float(np.exp(0.04 * chance.standard_normal()))

    values = {one.start: value(one) for one in windows}

    def score(place: int, by: Specials, times: float = 1.0) -> float:
        now = windows[place]
        known = [one for n, one in enumerate(windows[:place]) if n >= place - 90 or one.start.hour == now.start.hour]
        past = Series.made(known, [values[one.start] for one in known], [1000] * len(known))
        [found] = learned.judge_all([Trace(times * values[now.start], past, 1000, "count")], now, days=by)
        assert isinstance(found, Learned)
        return found.score

    noon, tuesday = len(windows) - 36, len(windows) - 12
    assert (windows[noon].start.day, windows[noon].start.hour) == (25, 12)
    assert score(noon, days) > 1, "the first holiday that is known, and no Sunday is like it"
    assert score(tuesday, days) < 1
    holidays = {start: day for start, day in days.items() if day.kind == "holiday"}
    assert score(tuesday, holidays, 0.6) > 1, "too few for any day but a holiday"
    assert score(tuesday, ORDINARY, 0.6) < 1, "the holiday's hours were examples"


def test_hours_of_a_number_that_grows_all_the_time_are_no_leap_after_a_holiday() -> None:
    windows = hourly(24 * 30)
    days, chance = special_days.of(("US",), windows), np.random.default_rng(4)
    counted = dict(zip([one.start for one in windows], np.cumsum(chance.uniform(50, 150, len(windows))).tolist(), strict=True))

    def score(place: int, more: float = 0.0) -> float:
        now = windows[place]
        known = [one for n, one in enumerate(windows[:place]) if n >= place - 90 or one.start.hour == now.start.hour]
        past = Series.made(known, [counted[one.start] for one in known], [1000] * len(known))
        [found] = learned.judge_all([Trace(counted[now.start] + more, past, 1000)], now, days=days)
        assert isinstance(found, Learned)
        return found.score

    assert max(score(place) for place in range(len(windows) - 48, len(windows))) < 1
    assert score(len(windows) - 1, more=100_000) > 1, "a leap is one"


# Through the worker: what the dataset says, and what is told.


def profile(count: float) -> Profile:
    return Profile({"a": "int64"}, int(count), {("", ""): {"rows": Number(int(count), "add")}})


def told(place: int, times: float, **more: Any) -> Result:
    dataset = Dataset(name="orders", table="{start:%Y-%m-%d}.parquet", auto=False, checks=(RowCount(),), **more)
    values = rows(9, 1)[:, 0]
    stored = [(WINDOWS[n].start, WINDOWS[n].end, profile(values[n]).to_bytes()) for n in range(place - 90, place)]
    job = Job(dataset, Files(), WINDOWS[place], WINDOWS[place].end, stored)
    found = worker.concluded(job, worker.chosen(dataset, {"a": "int64"}), profile(times * values[place]), earlier(job))
    [result] = found.results
    return result


def test_a_dataset_with_holidays_tells_so_and_pages_on_none() -> None:
    fault = told(THANKSGIVING, 0.1, holidays="US")
    assert (fault.status, fault.severity) == (Status.FAILED, Severity.WARNING)
    assert "on a holiday (Thanksgiving Day)" in fault.message
    assert "learning" not in fault.message
    said = "\n".join(printing_told.explained({"result": _row(fault), "judged": fault.details, "why": "it is told"}))
    assert "no ordinary day (holiday: Thanksgiving Day)" in said
    assert told(THANKSGIVING, 0.1, holidays="DE").severity is Severity.CRITICAL
    assert told(THANKSGIVING, 0.1).severity is Severity.CRITICAL
    assert "on a day that bridges a holiday and a weekend (Thanksgiving Day)" in told(THANKSGIVING + 1, 0.1, holidays="US").message
    assert "on the day after a holiday (Veterans Day)" in told(THANKSGIVING - 15, 0.1, holidays="US").message


def _row(result: Result) -> Mapping[str, Any]:
    return {
        "id": 1,
        "dataset": "orders",
        "check": result.check,
        "status": "failed",
        "severity": "warning",
        "message": result.message,
        "start": WINDOWS[THANKSGIVING].start,
        "end": WINDOWS[THANKSGIVING].end,
    }


def test_an_empty_window_and_a_bound_that_was_given_know_no_holiday() -> None:
    assert told(THANKSGIVING, 0.0, holidays="US").severity is Severity.CRITICAL


# Checks that look at their own history in another way.


def seen(place: int, now: Any, past: Sequence[Any], schema: dict[str, str], days: Specials) -> View:
    windows = WINDOWS[place - len(past) : place]
    history = [Past(window, 1000, answers, schema) for window, answers in zip(windows, past, strict=True)]
    at = WINDOWS[place]
    return View(at, at.end, 1000, schema, now, history=history, days=days)


def test_drift_compares_an_ordinary_day_with_ordinary_days_only() -> None:
    chance = np.random.default_rng(10)

    def shares(other: float) -> dict[str, Any]:
        n = int(chance.binomial(1000, other))
        return {"categories(t)": Counts({"shop": 1000 - n, "web": n}, distinct=2)}

    place, schema = THANKSGIVING + 5, {"t": "string"}
    past = [shares(0.9 if one.start in DAYS else 0.1) for one in WINDOWS[place - 60 : place]]
    fault = shares(0.25)
    by, without = (judged(Drift(column="t"), seen(place, fault, past, schema, days))[0] for days in (DAYS, ORDINARY))
    assert (by.status, without.status) == (Status.FAILED, Status.PASSED)
    assert "the last 28 windows; " in by.message
    holiday = judged(Drift(column="t"), seen(THANKSGIVING, shares(0.9), past[: 60 - 5], schema, DAYS))[0]
    assert holiday.status is Status.PASSED
    new = judged(Drift(column="t"), seen(THANKSGIVING, shares(1.0), [shares(0.1)] * 55, schema, DAYS))[0]
    assert (new.status, new.severity) == (Status.FAILED, Severity.WARNING)
    assert "on a holiday (Thanksgiving Day)" in new.message


def test_times_and_freshness_take_a_holiday_for_what_it_is() -> None:
    def times(at: Window, first: float) -> dict[str, Any]:
        begins = at.start + timedelta(hours=first)
        found = [begins + n * timedelta(minutes=10) for n in range(30)]
        newest = Number(found[-1].timestamp(), "max")
        return {"categories(at)": Counts({one.isoformat(): 10 for one in found}, distinct=30), "watermark": newest}

    place = THANKSGIVING
    past = [times(one, 12 if one.start in DAYS else 6 + 0.01 * n) for n, one in enumerate(WINDOWS[place - 60 : place])]
    for at, days, status in (
        (place, DAYS, Status.PASSED),
        (place + 5, DAYS, Status.FAILED),
        (place + 5, ORDINARY, Status.PASSED),  # as late as on a holiday, which is taken for what a day may be
    ):
        known = [*past, *(times(one, 12 if one.start in DAYS else 6.5) for one in WINDOWS[place:at])]
        [found] = judged(Times(column="at"), seen(at, times(WINDOWS[at], 12), known, {"at": "string"}, days))
        assert found.status is status
    [late] = judged(Freshness(), seen(place, times(WINDOWS[place], -30), past, {"at": "string"}, DAYS))
    assert (late.status, late.severity) == (Status.FAILED, Severity.WARNING)
