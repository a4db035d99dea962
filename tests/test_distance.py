"""The distances on profiles against exact ones on the raw values, and against Evidently's."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats  # type: ignore[import-untyped]
from scipy.spatial.distance import jensenshannon  # type: ignore[import-untyped]

from checks import distance, masses
from checks.profile import Counts, Grid, Histogram

Values = NDArray[np.float64]
ROWS = 4000


def measured(values: Values, grid: Grid) -> Histogram:
    buckets: dict[int, tuple[int, float]] = {}
    for x in values.tolist():
        n, total = buckets.get(grid.bucket(x), (0, 0.0))
        buckets[grid.bucket(x)] = (n + 1, total + x)
    return Histogram.of(grid, buckets)


def grid_of(values: Values) -> Grid:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return Grid(float(middle), float((high - low) / 1.349) or float(values.std()) or 1.0)


def pair(current: Values, reference: Values) -> tuple[masses.Masses, masses.Masses]:
    grid = grid_of(reference)
    now, before = masses.aligned([measured(current, grid), measured(reference, grid)])
    return now, before


def normal(rng: np.random.Generator) -> tuple[Values, Values]:
    return rng.normal(0.3, 1.2, ROWS), rng.normal(0, 1, ROWS)


def log_normal(rng: np.random.Generator) -> tuple[Values, Values]:
    return rng.lognormal(0.2, 1, ROWS), rng.lognormal(0, 1, ROWS)


def pareto(rng: np.random.Generator) -> tuple[Values, Values]:
    return rng.pareto(1.5, ROWS) * 1.3, rng.pareto(1.5, ROWS)


def poisson(rng: np.random.Generator) -> tuple[Values, Values]:
    return rng.poisson(4.5, ROWS).astype(float), rng.poisson(4, ROWS).astype(float)


def mostly_zero(rng: np.random.Generator) -> tuple[Values, Values]:
    return rng.exponential(1, ROWS) * (rng.random(ROWS) < 0.4), rng.exponential(1, ROWS) * (rng.random(ROWS) < 0.3)


def epoch_seconds(rng: np.random.Generator) -> tuple[Values, Values]:
    return 1.75e9 + rng.random(ROWS) * 86400, 1.75e9 + rng.random(ROWS) * 80000


SHAPES = [normal, log_normal, pareto, poisson, mostly_zero, epoch_seconds]


@pytest.fixture(params=SHAPES, ids=lambda shape: shape.__name__)
def raw(request: pytest.FixtureRequest) -> tuple[Values, Values]:
    shape: Callable[[np.random.Generator], tuple[Values, Values]] = request.param
    return shape(np.random.default_rng(7))


def test_kolmogorov_smirnov_is_the_exact_one_to_two_thousandths(raw: tuple[Values, Values]) -> None:
    exact = stats.ks_2samp(*raw).statistic
    assert distance.kolmogorov_smirnov(*pair(*raw)) == pytest.approx(exact, abs=0.002)


def test_wasserstein_is_the_exact_one_to_a_thousandth(raw: tuple[Values, Values]) -> None:
    exact = stats.wasserstein_distance(*raw)
    assert distance.wasserstein(*pair(*raw)) == pytest.approx(exact, rel=1e-3)
    assert distance.wasserstein_normed(*pair(*raw)) == pytest.approx(exact / raw[1].std(), rel=1e-3)


def test_jensen_shannon_is_the_exact_one_on_the_reference_s_tenths(raw: tuple[Values, Values]) -> None:
    current, reference = raw
    if len(np.unique(reference)) <= distance.FEW:
        values = np.unique(np.concatenate(raw))
        p, q = (np.array([(side == v).mean() for v in values]) for side in raw)
    else:
        edges = np.unique(np.quantile(reference, np.arange(1, 10) / 10, method="inverted_cdf"))
        p, q = (np.bincount(np.searchsorted(edges, side), minlength=len(edges) + 1) / ROWS for side in raw)
    assert distance.jensen_shannon(*pair(current, reference)) == pytest.approx(jensenshannon(p, q), abs=0.01)


COUNTS = Counts({"a": 700, "b": 250, "c": 50}), Counts({"a": 500, "b": 400, "d": 100})


@pytest.mark.parametrize("name", sorted(distance.FOR_CATEGORIES))
def test_categories_are_as_far_apart_as_their_formula_says(name: str) -> None:
    p, q = np.array([0.7, 0.25, 0.05, 0.0]), np.array([0.5, 0.4, 0.0, 0.1])
    floored = np.maximum(p, 1e-4), np.maximum(q, 1e-4)
    wanted = {
        "psi": float(((floored[0] - floored[1]) * np.log(floored[0] / floored[1])).sum()),
        "jensen_shannon": float(jensenshannon(p, q)),
        "total_variation": float(np.abs(p - q).sum() / 2),
        "hellinger": math.sqrt(1 - float(np.sqrt(p * q).sum())),
    }
    now, before = masses.aligned(COUNTS)
    assert distance.FOR_CATEGORIES[name](now, before) == pytest.approx(wanted[name], abs=1e-12)


def test_a_value_that_may_be_among_the_others_is_not_called_new() -> None:
    now, before = masses.aligned([Counts({"a": 50, "z": 50}), Counts({"a": 50}, other=50)])
    assert distance.total_variation(now, before) == 0.0
    assert distance.moved(now, before) is not None


def test_what_grew_among_the_others_is_seen() -> None:
    now, before = masses.aligned([Counts({"a": 50, "z": 50}), Counts({"a": 90}, other=10)])
    assert distance.total_variation(now, before) == pytest.approx(0.4)


@pytest.mark.parametrize("name", sorted(distance.FOR_NUMBERS))
def test_equal_numbers_are_at_no_distance(name: str) -> None:
    values = np.random.default_rng(1).normal(size=300)
    assert distance.FOR_NUMBERS[name](*pair(values, values)) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(("name", "most"), [("kolmogorov_smirnov", 1.0), ("total_variation", 1.0), ("hellinger", 1.0)])
def test_nothing_in_common_is_the_largest_distance(name: str, most: float) -> None:
    now, before = pair(np.full(50, 1000.0), np.array([0.0, 1.0] * 25))
    assert distance.FOR_NUMBERS[name](now, before) == pytest.approx(most)


@pytest.mark.parametrize("name", sorted(distance.FOR_NUMBERS))
def test_noise_is_about_what_chance_gives(name: str) -> None:
    rng = np.random.default_rng(3)
    grid = Grid(0.0, 1.0)
    chance, said = [], []
    for _ in range(40):
        now, before = masses.aligned([measured(rng.normal(size=n), grid) for n in (200, 2000)])
        chance.append(distance.FOR_NUMBERS[name](now, before))
        said.append(distance.noise(name, now, before))
    assert 0.75 < np.mean(chance) / np.mean(said) < 1.35


values = st.floats(-1e308, 1e308, allow_nan=False) | st.sampled_from([0.0, 1e-300, -1.0, 1e15])


@given(st.lists(values, min_size=1, max_size=30), st.lists(values, min_size=1, max_size=30))
def test_any_finite_numbers_have_finite_distances(current: list[float], reference: list[float]) -> None:
    grid = Grid(0.0, 1.0)
    now, before = masses.aligned([_bounded_sums(measured(np.array(v), grid)) for v in (current, reference)])
    for name, measure in distance.FOR_NUMBERS.items():
        assert 0 <= measure(now, before) <= 1e300, name
        assert 0 <= distance.noise(name, now, before) <= 1e300, name


def _bounded_sums(h: Histogram) -> Histogram:
    """What a stored histogram holds: sums that do not overflow."""
    sums = {b: (n, max(min(total, 1.7e308), -1.7e308)) for b, (n, total) in h.buckets.items()}
    return Histogram.of(h.grid, sums)


@given(
    st.dictionaries(st.text(max_size=3), st.integers(1, 50), min_size=1),
    st.dictionaries(st.text(max_size=3), st.integers(1, 50), min_size=1),
)
def test_the_distances_of_categories_are_symmetric(a: dict[str, int], b: dict[str, int]) -> None:
    now, before = masses.aligned([Counts(a), Counts(b)])
    for name, measure in distance.FOR_CATEGORIES.items():
        assert measure(now, before) == pytest.approx(measure(before, now), abs=1e-9), name


def test_evidently_says_the_same_where_the_definitions_agree(evidently_drift: Callable[..., float]) -> None:
    rng = np.random.default_rng(5)
    current, reference = rng.choice(list("abc"), 600, p=[0.5, 0.3, 0.2]), rng.choice(list("abc"), 800, p=[0.6, 0.3, 0.1])
    now, before = masses.aligned([Counts(Counter(side.tolist())) for side in (current, reference)])
    for ours, theirs in (("psi", "psi"), ("jensen_shannon", "jensenshannon"), ("hellinger", "hellinger")):
        assert distance.FOR_CATEGORIES[ours](now, before) == pytest.approx(evidently_drift(current, reference, theirs), rel=1e-6), (
            ours
        )
    numbers = rng.normal(0.4, 1, 600), rng.normal(0, 1, 800)
    assert distance.wasserstein_normed(*pair(*numbers)) == pytest.approx(evidently_drift(*numbers, "wasserstein"), rel=1e-3)


@pytest.fixture
def evidently_drift(monkeypatch: pytest.MonkeyPatch) -> Callable[..., float]:
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    import warnings

    import pandas as pd

    def drift(current: Any, reference: Any, method: str) -> float:
        # Evidently's dependencies warn at import and at every run; that is theirs.
        with warnings.catch_warnings(action="ignore"):
            from evidently import Report
            from evidently.metrics import ValueDrift

            run = Report([ValueDrift(column="x", method=method)]).run(pd.DataFrame({"x": current}), pd.DataFrame({"x": reference}))
            return float(run.dict()["metrics"][0]["value"])

    return drift
