"""The slope of Theil and Sen: SciPy's, but without NumPy in the daemon."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta

import pytest

from alerts.trend import theil_sen
from monitor.deciding import slow_drift


@pytest.mark.parametrize("seed", range(20))
def test_the_slope_and_its_interval_are_scipys(seed: int) -> None:
    from scipy.stats import theilslopes

    chance = random.Random(seed)
    # Rounded, so that some values come more than once.
    points = [(float(day), round(0.2 + 0.01 * day + chance.gauss(0, 0.05), 2)) for day in range(10 + seed)]
    found = theil_sen(points)
    assert found is not None
    theirs = theilslopes([y for _, y in points], [x for x, _ in points], alpha=0.99)
    assert found.per_x == pytest.approx(theirs.slope)
    assert found.start == pytest.approx(theirs.intercept)
    assert (found.low, found.high) == pytest.approx((theirs.low_slope, theirs.high_slope))


def test_a_steady_rise_is_sure_and_reaches_the_bound_on_a_date() -> None:
    found = theil_sen([(day, 0.4 + 0.02 * day) for day in range(20)])
    assert found is not None
    assert found.rises
    assert found.reaches(1.0) == pytest.approx(30)


def test_three_wild_days_make_no_rise() -> None:
    found = theil_sen([(day, 0.4 + (day % 3) * 0.01 + (5.0 if day in {17, 18, 19} else 0)) for day in range(20)])
    assert found is not None
    assert not found.rises


def test_what_stands_still_reaches_nothing() -> None:
    found = theil_sen([(day, 0.5) for day in range(20)])
    assert found is not None
    assert (found.rises, found.reaches(1.0)) == (False, None)


def test_many_columns_of_noise_are_not_told() -> None:
    chance, end = random.Random(7), datetime(2026, 11, 22, tzinfo=UTC)
    days = [end - timedelta(days=27 - n) for n in range(28)]
    noise = {("orders", f"drift(c{n})", f"c{n}", ""): [(at, chance.random() * 0.95) for at in days] for n in range(1500)}
    risen = {("orders", "drift(x)", "x", ""): [(at, 0.5 + 0.01 * n + chance.gauss(0, 0.02)) for n, at in enumerate(days)]}

    found = slow_drift({**noise, **risen}, end)

    assert [decision.about for _, decision in found] == ["orders.x"]
    assert sum(s.rises for points in noise.values() if (s := theil_sen([(n, y) for n, (_, y) in enumerate(points)]))) > 0


def test_few_points_and_points_of_one_day_have_no_slope() -> None:
    assert theil_sen([(day, day) for day in range(9)]) is None
    assert theil_sen([(1.0, float(n)) for n in range(20)]) is None


def test_two_days_alone_are_never_sure() -> None:
    found = theil_sen([(n % 2, n % 2) for n in range(10)])
    assert found is not None
    assert math.isfinite(found.per_x)
