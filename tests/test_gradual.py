"""Small changes that stay: the last seven windows together against the weeks before."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from checks import gradual, learned
from checks.gradual import Lasting
from checks.learned import Learned, Point, Trace
from checks.result import Severity
from checks.scales import Scale
from checks.window import Window

START, DAY = datetime(2026, 1, 5, tzinfo=UTC), timedelta(days=1)


def judged(
    values: list[float], scale: Scale = "count", lasting: Lasting = "level", every: timedelta = DAY, upward: bool = False
) -> Learned:
    """The verdict on the last of the values."""
    windows = [Window(START + n * every, START + (n + 1) * every) for n in range(len(values))]
    past = [Point(window, value, 2000) for window, value in zip(windows[:-1], values[:-1], strict=True)]
    trace = Trace(values[-1], past, 2000, scale, upward=upward, lasting=lasting)
    [found] = learned.judge_all([trace], windows[-1])
    assert isinstance(found, Learned)
    return found


def counts(seed: int, windows: int = 90, noise: float = 0.03) -> list[float]:
    chance = random.Random(seed)
    return [round(2000 * (1 + noise * chance.gauss(0, 1))) for _ in range(windows)]


def fewer(values: list[float], by: float, last: int) -> list[float]:
    return [value * (1 - by) if n >= len(values) - last else value for n, value in enumerate(values)]


def first_told(values: list[float], last: int, lasting: Lasting) -> int | None:
    """Which of the last windows, each judged when it was new, was the first beyond its bounds."""
    days = range(last)
    return next((n for n in days if judged(values[: len(values) - last + n + 1], lasting=lasting).score > 1), None)


def test_what_no_window_shows_by_itself_a_week_together_does() -> None:
    values = fewer(counts(1), 0.1, 7)
    assert first_told(values, 7, "") is None
    day = first_told(values, 7, "level")
    assert day is not None
    assert day > 0
    told = judged(values[: 90 - 7 + day + 1])
    assert told.slow is not None
    assert told.severity is Severity.WARNING
    assert told.lasting("rows").startswith("; on average of the last 7 windows it is 1")
    assert told.lasting("rows").endswith(" allowed")
    assert told.details()["judge"] == "gradual"
    assert told.details()["together"] == 7


def test_a_slow_ramp_is_told() -> None:
    values = counts(2)
    ramp = [value * (1 - 0.02 * max(n - 82, 0)) for n, value in enumerate(values)]
    assert first_told(ramp, 7, "") is None
    assert first_told(ramp, 7, "level") is not None


@pytest.mark.parametrize("weekend", [1.0, 0.4])
def test_healthy_tables_are_left_alone(weekend: float) -> None:
    told = 0
    for seed in range(100):
        values = [value * (weekend if n % 7 > 4 else 1) for n, value in enumerate(counts(seed, 91))]
        told += judged(values).slow is not None
    assert told <= 1


def test_one_bad_window_says_nothing_of_those_after_it() -> None:
    values = counts(3)
    values[85] = 10
    assert judged(values).slow is None


def test_it_never_pages_however_far_out() -> None:
    chance = random.Random(4)
    # So restless from day to day that no day alone is odd, and then half for a week.
    values = [1000 * 2 ** chance.choice([-1, 1]) for _ in range(84)]
    told = [judged([*values, *[500.0] * n]) for n in range(1, 8)]
    assert all(one.score <= 2 and one.severity is Severity.WARNING for one in told)


def test_a_level_that_one_window_told_is_not_told_for_weeks() -> None:
    values = counts(5, 110)
    shifted = fewer(values, 0.4, 20)
    assert judged(shifted[:91]).score > 1, "the first window of it tells"
    after = [judged(shifted[: 91 + day]) for day in range(6, 20)]
    assert [one.slow for one in after] == [None] * 14


def test_what_was_told_for_a_week_is_the_new_level() -> None:
    values = fewer(counts(1, 120), 0.1, 37)
    told = [judged(values[: 84 + day]).slow is not None for day in range(37)]
    assert 1 <= sum(told) <= 10
    assert not any(told[15:])


def test_what_was_never_there_is_told_the_third_time() -> None:
    few = [0.0] * 60
    assert judged([*few, 0.0005], "share", "new").score < 1
    assert judged([*few, 0.0005, 0.0, 0.0005], "share", "new").slow is None
    third = judged([*few, 0.0005, 0.0, 0.0005, 0.0005], "share", "new")
    assert third.slow is not None
    assert third.score > 1
    assert third.severity is Severity.WARNING
    assert third.lasting("share") == "; it is there in 3 of the last 7 windows, and in none before"
    # Told once: the next window has it too, and a table that always had it now and then is not news.
    assert judged([*few, 0.0005, 0.0, 0.0005, 0.0005, 0.0005], "share", "new").slow is None
    assert judged([0.0005, *few, 0.0005, 0.0, 0.0005, 0.0005], "share", "new").slow is None


def test_less_is_no_news_where_only_more_is_bad() -> None:
    chance = random.Random(6)
    shares = [0.05 + 0.005 * chance.gauss(0, 1) for _ in range(90)]
    less = [share * (0.6 if n >= 83 else 1) for n, share in enumerate(shares)]
    assert judged(less, "share", upward=True).slow is None


def test_neither_hours_nor_a_short_history_are_taken_together() -> None:
    values = fewer(counts(1), 0.1, 7)
    assert judged(values, every=timedelta(hours=1)).slow is None
    assert judged(values[-34:]).slow is None


def room(windows: int, at_once: int) -> float:
    """By how much the last seven windows together may differ where so many numbers are judged at once."""
    values = np.log(np.array([counts(1, windows)], dtype=np.float64)).T
    flags = np.zeros(1, dtype=bool)
    return float(gradual.stretch(values, np.full_like(values, 0.02), flags, ~flags, flags, at_once).allowed[0])


def test_the_more_numbers_are_judged_at_once_the_more_is_allowed_in_a_short_history() -> None:
    assert room(42, 6000) > 1.05 * room(42, 400) > 1.02 * room(42, 1)
    assert room(91, 6000) == room(91, 1)


def test_a_wider_allowance_holds_for_it_too() -> None:
    windows = [Window(START + n * DAY, START + (n + 1) * DAY) for n in range(90)]
    values = fewer(counts(1), 0.1, 7)
    past = [Point(window, value, 2000) for window, value in zip(windows[:-1], values[:-1], strict=True)]
    trace = Trace(values[-1], past, 2000, "count", lasting="level")
    scores = [learned.judge_all([trace], windows[-1], learned.Allowance(width))[0] for width in (0.75, 1.0, 1.5)]
    assert [one.slow is not None for one in scores if isinstance(one, Learned)] == [True, True, False]
