"""The trend among the forecasts: taken where a number really grows, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from checks import learned
from checks.forecast import TREND, forecasts
from checks.learned import Learned, Point, Scale
from checks.window import Window

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
WINDOWS, SERIES = 90, 12
Array = NDArray[np.float64]


def verdicts(past: Array, now: Array, scale: Scale = "number") -> list[Learned]:
    """One per series, of windows x series."""
    windows = [Window(MONDAY + n * DAY, MONDAY + (n + 1) * DAY) for n in range(len(past) + 1)]
    traces = [
        learned.Trace(float(value), [Point(w, float(v), 2000) for w, v in zip(windows, one, strict=False)], 2000, scale)
        for value, one in zip(now, past.T, strict=True)
    ]
    found = learned.judge_all(traces, windows[-1])
    return [one for one in found if isinstance(one, Learned)]


def share_told(past: Array, now: Array, scale: Scale = "number") -> float:
    return sum(one.score > 1 for one in verdicts(past, now, scale)) / SERIES


def counter(chance: np.random.Generator, windows: int) -> Array:
    """A total that is carried on: 100 a day, give or take 30."""
    return np.asarray(1000 + np.cumsum(np.maximum(chance.normal(100, 30, (windows, SERIES)), 0), axis=0))


def falling(chance: np.random.Generator, windows: int) -> Array:
    return np.asarray(20_000 - np.cumsum(chance.normal(100, 30, (windows, SERIES)), axis=0))


def stationary(chance: np.random.Generator, windows: int) -> Array:
    return chance.normal(100, 10, (windows, SERIES))


def walk(chance: np.random.Generator, windows: int) -> Array:
    return np.asarray(1000 + np.cumsum(chance.normal(0, 10, (windows, SERIES)), axis=0))


def weekly(chance: np.random.Generator, windows: int) -> Array:
    week = np.array([1, 1, 1, 1, 1, 0.4, 0.4])[np.arange(windows) % 7]
    return np.asarray(100 * week[:, None] * chance.lognormal(0, 0.05, (windows, SERIES)))


def test_a_straight_line_is_forecast_whatever_one_window_was() -> None:
    values: Array = 1000 + 10 * np.arange(60, dtype=np.float64)[:, None]
    values[-1] *= 3
    made = forecasts(values, (-1,) * 61)
    assert made[TREND][-1] == pytest.approx(1000 + 10 * 60)
    assert np.isnan(made[TREND][:22]).all()
    assert np.isfinite(made[TREND][22:]).all()


def test_a_new_level_is_no_trend() -> None:
    values = np.where(np.arange(60) < 45, 100.0, 300.0)[:, None] + np.random.default_rng(1).normal(0, 5, (60, 1))
    assert TREND not in forecasts(values, (-1,) * 61)


def test_after_a_reset_the_trend_is_still_that_of_the_counter() -> None:
    values: Array = 1000 + 10 * np.arange(90, dtype=np.float64)[:, None]
    values[74:] -= 1700
    made = forecasts(values, (-1,) * 91)
    assert made[TREND][-1] == pytest.approx(values[-1] + 10)


@pytest.mark.parametrize("make", [counter, falling])
def test_what_grows_or_falls_is_judged_by_its_trend(make: Callable[[np.random.Generator, int], Array]) -> None:
    values = make(np.random.default_rng(3), WINDOWS + 1)
    past, now = values[:-1], values[-1]
    assert share_told(past, now) == 0
    assert share_told(past, 1.2 * now) == 1, "a jump"
    assert share_told(past, past[-28]) == 1, "the state of four weeks ago"
    assert share_told(past, 0.01 * now) == 1, "begun anew"
    assert TREND in {one.forecaster for one in verdicts(past, now)}


@pytest.mark.parametrize("make", [stationary, weekly])
def test_what_has_no_trend_is_not_judged_by_one(make: Callable[[np.random.Generator, int], Array]) -> None:
    values = make(np.random.default_rng(4), WINDOWS + 1)
    assert TREND not in {one.forecaster for one in verdicts(values[:-1], values[-1])}


@pytest.mark.parametrize("make", [counter, falling, stationary, walk, weekly])
def test_a_healthy_series_stays_quiet_day_by_day(make: Callable[[np.random.Generator, int], Array]) -> None:
    values = make(np.random.default_rng(5), 120)
    told = [share_told(values[max(0, n - 90) : n], values[n]) for n in range(35, 120, 3)]
    assert np.mean(told) <= 0.003


def test_the_day_after_a_bad_one_stays_quiet() -> None:
    values = counter(np.random.default_rng(6), WINDOWS + 1)
    values[-2] *= 3
    assert share_told(values[:-1], values[-1]) == 0


def test_a_growing_table_that_loses_a_fifth_of_its_rows_is_told() -> None:
    born = np.random.default_rng(7).poisson(60, (WINDOWS + 1, SERIES))
    rows: Array = 10_000 + np.cumsum(born, axis=0, dtype=np.float64)
    assert share_told(rows[:-1], rows[-1], "count") == 0
    assert share_told(rows[:-1], 0.8 * rows[-1], "count") == 1
