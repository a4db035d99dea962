"""Columns that hold one value per window: what was there before is no finding, what never was is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from checks import limits
from checks.attribute import was_there
from checks.base import Check, Past, View
from checks.drift import Drift
from checks.mix import Mix
from checks.numbers import Numbers
from checks.pending import judged
from checks.profile import Answers, Counts, Grid, Histogram
from checks.result import Result, Status
from checks.window import Window

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
ROWS = 200
GRID = Grid(0.0, 1.0)
HOLIDAY = 46


def day(number: int) -> Window:
    return Window(MONDAY + number * DAY, MONDAY + (number + 1) * DAY)


def flag(value: int, rows: int = ROWS) -> Answers:
    return {"distribution(x)": Histogram.of(GRID, {GRID.bucket(value): (rows, float(value * rows))}, low=value, high=value)}


def mixed(ones: int) -> Answers:
    buckets = {GRID.bucket(0): (ROWS - ones, 0.0), GRID.bucket(1): (ones, float(ones))}
    return {"distribution(x)": Histogram.of(GRID, buckets, low=0, high=1)}


def name(value: str) -> Answers:
    return {"categories(x)": Counts({value: ROWS}, distinct=1)}


def verdict(check: Check, now: Answers, past: Sequence[Answers], type_: str = "int64") -> Result:
    history = [Past(day(number), ROWS, answers, {"x": type_}) for number, answers in enumerate(past)]
    window = day(len(past))
    [found] = judged(check, View(window, window.end, ROWS, {"x": type_}, now, history=history))
    return found


NUMERIC = [Numbers(column="x"), Drift(column="x")]
NAMED = [Mix(column="x"), Drift(column="x")]


@pytest.mark.parametrize("check", NUMERIC, ids=["numbers", "drift"])
def test_a_holiday_s_flag_is_no_finding_where_there_was_a_holiday(check: Check) -> None:
    past = [flag(number == HOLIDAY) for number in range(80)]
    assert verdict(check, flag(1), past).status is Status.PASSED
    assert verdict(check, flag(0), past).status is Status.PASSED


@pytest.mark.parametrize("check", NUMERIC, ids=["numbers", "drift"])
def test_the_first_holiday_of_all_is_a_finding(check: Check) -> None:
    assert verdict(check, flag(1), [flag(0) for _ in range(80)]).status is Status.FAILED


def test_what_never_was_there_is_a_finding() -> None:
    past = [flag(number == HOLIDAY) for number in range(80)]
    assert verdict(Numbers(column="x"), flag(7), past).status is Status.FAILED
    # So is a day of which half is a holiday.
    assert verdict(Numbers(column="x"), mixed(100), past).status is Status.FAILED


@pytest.mark.parametrize("check", NAMED, ids=["mix", "drift"])
def test_a_model_that_is_tried_for_a_day_once_more_is_no_finding(check: Check) -> None:
    past = [name("v2" if number == HOLIDAY else "v1") for number in range(80)]
    assert verdict(check, name("v2"), past, "string").status is Status.PASSED
    assert verdict(check, name("v3"), past, "string").status is Status.FAILED


def test_a_column_that_varies_within_windows_is_none_of_them() -> None:
    varied = [mixed(90 + number % 20) for number in range(79)]
    assert verdict(Numbers(column="x"), flag(1), [*varied, flag(1)]).status is Status.FAILED


def test_a_window_of_a_row_or_two_holds_one_value_by_chance() -> None:
    few, many = (flag(1, rows)["distribution(x)"] for rows in (2, 20))
    assert isinstance(few, Histogram)
    assert isinstance(many, Histogram)
    assert was_there(many, [many])
    assert not was_there(few, [few])
    assert not was_there(many, [])


def test_a_short_history_gives_more_room_where_many_numbers_are_judged() -> None:
    assert limits.unsure(10) == limits.unsure(10, 100) < limits.unsure(10, 5000)
    assert limits.unsure(limits.SETTLED, 5000) == 1


def counted(day_: int, of: int = 1000) -> Answers:
    """The next numbers of a sequence, on one grid, some hundred windows wide."""
    grid, first = Grid(30.0 * of, 30.0 * of), day_ * of
    buckets: dict[int, tuple[int, float]] = {}
    for x in range(first, first + of):
        n, total = buckets.get(grid.bucket(x), (0, 0.0))
        buckets[grid.bucket(x)] = (n + 1, total + x)
    return {"distribution(x)": Histogram.of(grid, buckets, low=first, high=first + of - 1)}


@pytest.mark.parametrize("windows", [8, 9, 12, 40])
def test_ids_that_are_counted_on_are_no_finding_and_those_that_begin_anew_are(windows: int) -> None:
    past = [counted(number) for number in range(windows)]
    on = verdict(Numbers(column="x"), counted(windows), past)
    assert on.status is Status.PASSED, on.message
    if windows == 40:
        assert verdict(Numbers(column="x"), counted(0), past).status is Status.FAILED
