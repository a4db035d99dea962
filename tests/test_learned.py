"""Bounds from history: quiet on healthy numbers of every sort, loud on what anyone would want to hear of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import learned
from checks.learned import Learned, Learning, Point, Scale
from checks.window import Window

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)


def window(number: int, length: timedelta = DAY) -> Window:
    return Window(MONDAY + number * length, MONDAY + (number + 1) * length)


def points(values: Sequence[float], rows: int = 1000, length: timedelta = DAY) -> list[Point]:
    return [Point(window(i, length), float(v), rows) for i, v in enumerate(values)]


def verdict(
    value: float, past: Sequence[float], scale: Scale = "number", rows: int = 1000, upward: bool = False, least: float = 0.0
) -> Learned:
    found = learned.judge(value, points(past, rows), window(len(past)), rows, scale, upward, least)
    assert isinstance(found, Learned)
    return found


def alarms(values: Sequence[float], scale: Scale, rows: int = 1000, upward: bool = False) -> float:
    """The share of windows after the first 35 that are flagged, each judged by those before it."""
    past = points(values, rows)
    found = [learned.judge(p.value, past[:i], p.window, rows, scale, upward) for i, p in enumerate(past) if i >= 35]
    return sum(isinstance(f, Learned) and f.score > 1 for f in found) / len(found)


def test_below_eight_windows_nothing_is_learned() -> None:
    found = learned.judge(99.0, points([1.0] * 7), window(7), 1000, "number")
    assert found == Learning(7)
    assert "7 of 8" in str(found)


def test_with_eight_windows_something_is() -> None:
    assert verdict(99.0, [1.0] * 8).score > 1


def test_a_past_that_is_not_finite_does_not_count() -> None:
    assert isinstance(learned.judge(1.0, points([math.nan] * 9), window(9), 10, "number"), Learning)


@pytest.mark.parametrize(
    ("windows", "low", "high", "places", "at_most"),
    [(80, 3, 5, [4, 7, 9, 29, 41, 42, 75], 15.85), (47, 4, 5, [7, 11, 27, 29], 9.0), (47, 1, 2, [1, 11, 13, 16, 24], 8.34)],
)
@pytest.mark.parametrize("beside", range(4))
def test_a_forecast_that_is_exactly_so_much_worse_is_none(
    windows: int, low: int, high: int, places: list[int], at_most: float, beside: int
) -> None:
    """Of numbers that hardly change one forecast is wrong three times where the other is twice: no rounding decides."""
    past = [float(high if place in places else low) for place in range(windows)]
    traces = [learned.Trace(12.0, points(past), 1000, "count") for _ in range(1 + beside)]
    for found in learned.judge_all(traces, window(windows)):
        assert isinstance(found, Learned)
        assert found.at_most == pytest.approx(at_most, abs=0.01)


def test_it_pages_only_once_settled() -> None:
    assert not verdict(1e6, [1.0, 2.0] * 17).may_page
    assert verdict(1e6, [1.0, 2.0] * 18).may_page


def test_a_constant_past_allows_the_same_and_not_another() -> None:
    assert verdict(5.0, [5.0] * 40).score == 0
    assert verdict(5.01, [5.0] * 40).score < 1
    assert verdict(50.0, [5.0] * 40).score > 2


def test_a_share_that_was_always_zero_may_be_chance_but_not_one_in_ten() -> None:
    assert verdict(0.001, [0.0] * 40, "share", upward=True).score < 1
    assert verdict(0.1, [0.0] * 40, "share", upward=True).score > 2


def test_the_same_share_is_odd_in_many_rows_and_chance_in_few() -> None:
    few = verdict(0.05, [0.0] * 40, "share", rows=30, upward=True)
    many = verdict(0.05, [0.0] * 40, "share", rows=10_000, upward=True)
    assert few.score < 1 < many.score


def test_less_is_never_bad_where_only_more_is() -> None:
    found = verdict(0.0, [0.3, 0.31] * 20, "share", upward=True)
    assert found.score == 0
    assert found.at_least is None


def test_half_the_rows_is_odd() -> None:
    assert verdict(500, [1000, 1010, 990, 1005] * 10, "count").score > 1


def test_one_past_incident_does_not_blind_it() -> None:
    past = [100.0, 101.0, 99.0, 100.5] * 10
    past[20] = 10_000.0
    assert verdict(5_000.0, past, "count").score > 1


def test_a_weekend_is_judged_as_a_weekend() -> None:
    rng = np.random.default_rng(2)
    week = [1000, 1000, 1000, 1000, 1000, 300, 300]
    past = [week[i % 7] * rng.normal(1, 0.02) for i in range(84)]
    saturday = learned.judge(300.0, points(past[:82]), window(82), 1000, "count")
    empty_saturday = learned.judge(30.0, points(past[:82]), window(82), 1000, "count")
    assert isinstance(saturday, Learned)
    assert isinstance(empty_saturday, Learned)
    assert saturday.score < 1 < empty_saturday.score
    assert "on Saturdays" in empty_saturday.words("rows")


def test_hourly_windows_are_compared_with_the_same_hour() -> None:
    hour = timedelta(hours=1)
    values = [10_000.0 if 8 <= i % 24 < 20 else 100.0 for i in range(24 * 7)]
    past = points(values, length=hour)
    night = learned.judge(100.0, past, window(len(past), hour), 100, "count")
    assert isinstance(night, Learned)
    assert night.score < 1
    assert night.like == " at 00:00"


def test_a_change_too_small_to_be_worth_telling_is_not_told() -> None:
    assert verdict(5.5, [5.0] * 40).score > 0.8
    assert verdict(5.5, [5.0] * 40, least=1.0).score == pytest.approx(0.5, abs=0.05)


def test_the_bounds_told_are_the_bounds_used() -> None:
    past = list(np.random.default_rng(4).normal(50, 3, 60))
    found = verdict(55.0, past)
    assert found.at_least is not None
    assert found.at_most is not None
    for value in (found.at_least * 1.0001, found.at_most * 0.9999):
        assert verdict(value, past).score <= 1
    for value in (found.at_least * 0.99, found.at_most * 1.01):
        assert verdict(value, past).score > 1


def test_what_is_usual_is_said_in_words() -> None:
    said = verdict(0.38, [0.001, 0.002, 0.003, 0.004] * 10, "share", upward=True).words("share")
    assert said == "usual: 0.1 % to 0.4 %, 40 windows"
    assert learned.usual(points([0.001] * 50), window(50), "share") == "usual: 0.1 % on Tuesdays, 7 windows"
    assert learned.usual(points([0.001] * 7), window(7), "share") == ""


def noise(rng: np.random.Generator, n: int) -> list[float]:
    return list(rng.normal(10, 1, n))


def heavy(rng: np.random.Generator, n: int) -> list[float]:
    return list(rng.standard_t(3, n) * 5 + 100)


def trend(rng: np.random.Generator, n: int) -> list[float]:
    return [100 + 0.5 * i + float(rng.normal(0, 3)) for i in range(n)]


def walk(rng: np.random.Generator, n: int) -> list[float]:
    return list(100 + np.cumsum(rng.normal(0, 1, n)))


def weekly(rng: np.random.Generator, n: int) -> list[float]:
    return [float([9, 10, 10, 10, 11, 5, 4][i % 7] + rng.normal(0, 0.3)) for i in range(n)]


def zero_inflated(rng: np.random.Generator, n: int) -> list[float]:
    return [float(rng.binomial(1000, 0.01) / 1000) if rng.random() < 0.2 else 0.0 for _ in range(n)]


@pytest.mark.parametrize(
    ("series", "scale"),
    [(noise, "number"), (heavy, "number"), (trend, "number"), (walk, "number"), (weekly, "number"), (zero_inflated, "share")],
    ids=lambda x: getattr(x, "__name__", x),
)
def test_healthy_numbers_of_every_sort_stay_quiet(series: Callable[[np.random.Generator, int], list[float]], scale: Scale) -> None:
    rates = [alarms(series(np.random.default_rng(seed), 200), scale, upward=scale == "share") for seed in range(5)]
    assert np.mean(rates) <= 0.01


numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(
    st.lists(numbers, max_size=60),
    numbers,
    st.integers(0, 10**9),
    st.sampled_from(["share", "count", "number", "distance"]),
    st.booleans(),
)
def test_any_numbers_give_a_finite_score(past: list[float], value: float, rows: int, scale: Scale, upward: bool) -> None:
    found = learned.judge(value, points(past, rows), window(len(past)), rows, scale, upward)
    if isinstance(found, Learned):
        assert 0 <= found.score <= 1e6
        assert math.isfinite(found.expected)
        assert "\n" not in found.words("number")


WEEK = (950, 900, 940, 960, 970, 700, 880)


def of_weekdays(windows: int, seed: int) -> list[float]:
    chance = np.random.default_rng(seed)
    return [WEEK[i % 7] * (1 + chance.normal(0, 0.015)) for i in range(windows)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("snow", [None, 5, 20, 33, 50])
def test_one_snowy_day_in_eight_weeks_does_not_hide_a_third_fewer_rows(snow: int | None, seed: int) -> None:
    past = of_weekdays(56, seed)
    if snow is not None:
        past[snow] *= 0.45
    assert verdict(0.67 * WEEK[0], past, "count").score > 1


@pytest.mark.parametrize("seed", range(3))
def test_a_monday_like_a_saturday_is_a_holiday(seed: int) -> None:
    assert verdict(WEEK[5], of_weekdays(56, seed), "count").score < 1


def month_ends(value: float, last: float) -> list[float]:
    """Ninety days up to the eve of a month's last day: `value`, and `last` on the last day of each month before."""
    first = datetime(2026, 3, 2, tzinfo=UTC)
    days = [first + n * DAY for n in range(90)]
    return [last if (day + DAY).month != day.month else value + 0.2 * (day.day % 5) for day in days]


def on_may_31(value: float, past: Sequence[float]) -> Learned:
    first = datetime(2026, 3, 2, tzinfo=UTC)
    windows = [Window(first + n * DAY, first + (n + 1) * DAY) for n in range(91)]
    known = [Point(w, v, 1000) for w, v in zip(windows[:-1], past, strict=True)]
    found = learned.judge(value, known, windows[-1], 1000, "number")
    assert isinstance(found, Learned)
    return found


def test_a_month_end_is_like_those_before_it() -> None:
    past = month_ends(100.0, 180.0)
    like = on_may_31(181.0, past)
    assert like.score < 1
    assert like.details()["forecast"] == "the same day of earlier months"
    assert on_may_31(300.0, past).score > 1, "like no day at all"
    assert on_may_31(100.5, past).score < 1, "like any other day"
    assert on_may_31(181.0, month_ends(100.0, 100.0)).score > 1, "no month end was like that"


@pytest.mark.parametrize(
    ("day", "edge"),
    [("2026-05-31", "last"), ("2026-06-01", "first"), ("2026-02-28", "last"), ("2028-02-28", ""), ("2026-05-30", "")],
)
def test_which_days_are_at_the_edge_of_a_month(day: str, edge: str) -> None:
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    assert learned.month_edge(Window(start, start + DAY)) == edge
    assert learned.month_edge(Window(start, start + timedelta(hours=1))) == ""


def test_in_a_short_history_the_second_sunday_is_like_the_first_but_a_fault_goes_on() -> None:
    rng = np.random.default_rng(9)
    days = [float(100 + rng.normal(0, 2)) for _ in range(13)]
    days[6] = 30.0
    assert verdict(30.0, days).score < 1, "a week later"
    days[6], days[12] = 100.0, 30.0
    assert verdict(30.0, days).score > 1, "the day after"
