"""What every distance promises: finite, nothing between equals, noise as said; and the arrays they are computed from."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from checks.distance import Distance, PValue, methods, moved
from checks.distances_ranks import _limit, _variance
from checks.gathering import gathered
from checks.grid import Grid, Zone
from checks.histogram import Cells, Histogram
from checks.masses import Masses, aligned, pooled
from checks.pair import Pair
from checks.pieces import Pieces
from checks.profile import Counts
from checks.stack import Stack

Values = NDArray[np.float64]
EVERY = methods()
COMPUTED = {name: m for name, m in EVERY.items() if not m.sampled}
NUMBERS = sorted(name for name, m in COMPUTED.items() if m.numbers)
CATEGORIES = sorted(name for name, m in COMPUTED.items() if m.categories)
DISTANCES = sorted(name for name, m in COMPUTED.items() if not m.p_value)


def histogram(values: Sequence[float] | Values, grid: Grid) -> Histogram:
    apart = np.asarray(values, dtype=np.float64) - float(grid.center)
    keys = grid.keys(apart)
    cells = []
    for key in np.unique(keys).tolist():
        inside = apart[keys == key]
        # Held where a float ends, as the product does.
        with np.errstate(over="ignore"):
            cells.append((key, len(inside), float(inside.sum()), bool(inside.min() == inside.max())))
    ends = (float(np.min(values)), float(np.max(values))) if len(values) else (None, None)
    return Histogram({grid: Cells.of(cells)}, low=ends[0], high=ends[1])


def sides(current: Sequence[float] | Values, reference: Sequence[float] | Values, grid: Grid) -> tuple[Masses, Masses]:
    before, now = aligned([histogram(reference, grid), histogram(current, grid)])
    return now, before


def counted(current: dict[str, int], reference: dict[str, int]) -> tuple[Masses, Masses]:
    before, now = aligned([Counts(reference), Counts(current)])
    return now, before


GRID = Grid(0.0, 1.0)


@pytest.mark.parametrize("name", NUMBERS)
def test_equal_numbers_are_at_no_distance(name: str) -> None:
    values = np.random.default_rng(1).normal(size=300)
    value = EVERY[name](*sides(values, values, GRID))
    if name == "mannw":
        assert value == pytest.approx(0.5, abs=0.01)  # one-sided
    elif name == "anderson":
        assert value == 0.25  # the most that it says
    else:
        assert value == pytest.approx(1.0 if EVERY[name].p_value else 0.0, abs=1e-6)


@pytest.mark.parametrize("name", CATEGORIES)
def test_equal_counts_are_at_no_distance(name: str) -> None:
    counts = {"a": 70, "b": 30}
    assert EVERY[name](*counted(counts, counts)) == pytest.approx(1.0 if EVERY[name].p_value else 0.0, abs=1e-7)


@pytest.mark.parametrize("name", NUMBERS)
def test_one_and_the_same_constant_is_at_no_distance(name: str) -> None:
    value = EVERY[name](*sides([0.1] * 30, [0.1] * 50, GRID))
    if name == "es":
        assert math.isnan(value)
    else:
        assert value == {"anderson": 0.25}.get(name, 1.0 if EVERY[name].p_value else 0.0)


@pytest.mark.parametrize("name", NUMBERS)
def test_nothing_in_common_is_far_apart(name: str) -> None:
    value = EVERY[name](*sides([1000.0 + i for i in range(50)], [0.0, 1.0] * 25, GRID))
    if EVERY[name].p_value:
        assert value <= 0.001
    else:
        most = {
            "kolmogorov_smirnov": 1.0,
            "total_variation": 1.0,
            "hellinger": 1.0,
            "hellinger_tenths": 1.0,
            "jensen_shannon": 0.8325,
        }
        assert value >= most.get(name, 0.5)


@pytest.mark.parametrize("name", ["psi", "kl_div", "jensenshannon", "hellinger", "TVD", "jensen_shannon", "total_variation"])
def test_a_new_value_that_nobody_had_is_far_apart(name: str) -> None:
    value = EVERY[name](*counted({"new": 100}, {"a": 60, "b": 40}))
    assert value == 0.0 if EVERY[name].p_value else value > 0.8


@pytest.mark.parametrize("name", sorted(set(NUMBERS) & set(DISTANCES)))
def test_the_noise_of_numbers_is_about_what_chance_gives(name: str) -> None:
    rng = np.random.default_rng(3)
    chance, said = [], []
    for _ in range(40):
        pair = sides(rng.normal(size=400), rng.normal(size=2000), GRID)
        chance.append(EVERY[name](*pair))
        said.append(EVERY[name].floor(*pair))
    # The outer bins of equal width hold next to nothing: chi-square is a rough guide there, and an empty one weighs much.
    rough = {"psi": 6.0, "kl_div": 6.0}.get(name, 1.5)
    assert 0.6 < np.mean(chance) / np.mean(said) < rough


@pytest.mark.parametrize("name", sorted(set(CATEGORIES) & set(DISTANCES)))
def test_the_noise_of_categories_is_about_what_chance_gives(name: str) -> None:
    rng = np.random.default_rng(3)
    chance, said = [], []
    for _ in range(60):
        drawn = [dict(zip("abcde", rng.multinomial(n, [0.4, 0.3, 0.15, 0.1, 0.05]).tolist(), strict=True)) for n in (400, 2000)]
        chance.append(EVERY[name](*counted(*drawn)))
        said.append(EVERY[name].floor(*counted(*drawn)))
    assert 0.75 < np.mean(chance) / np.mean(said) < 1.35


@pytest.mark.parametrize("name", sorted(set(COMPUTED) - set(DISTANCES)))
def test_p_values_of_chance_are_even(name: str) -> None:
    rng = np.random.default_rng(4)
    found = []
    for _ in range(60):
        if EVERY[name].numbers:
            pair = sides(rng.normal(size=150), rng.normal(size=150), GRID)
        else:
            pair = counted(*(dict(zip("ab", rng.multinomial(150, [0.6, 0.4]).tolist(), strict=True)) for _ in range(2)))
        found.append(EVERY[name](*pair))
    assert all(0 <= p <= 1 for p in found)
    # The tests of counts take the reference for the truth: their p-values are too low, as Evidently's are.
    low, high = {"anderson": (0.1, 0.25), "chisquare": (0.25, 0.6), "g_test": (0.25, 0.6)}.get(name, (0.36, 0.7))
    assert low < np.mean(found) < high


numbers = st.floats(-1e308, 1e308, allow_nan=False) | st.sampled_from([0.0, 1e-300, -1.0, 1e15])


@given(st.lists(numbers, min_size=2, max_size=30), st.lists(numbers, min_size=2, max_size=30))
@example(current=[0.0, 0.0], reference=[9.999999999999996e307, -7.976931348623156e307])
def test_any_finite_numbers_have_finite_distances(current: list[float], reference: list[float]) -> None:
    pair = sides(current, reference, GRID)
    for name in NUMBERS:
        value = EVERY[name](*pair)
        assert 0 <= value <= (1 if EVERY[name].p_value else 1e300) or (name == "es" and math.isnan(value)), name
        assert 0 <= EVERY[name].floor(*pair) <= 1e300, name


@given(
    st.dictionaries(st.text(max_size=3), st.integers(1, 50), min_size=1),
    st.dictionaries(st.text(max_size=3), st.integers(1, 50), min_size=1),
)
def test_the_distances_of_categories_are_finite_and_those_that_are_symmetric_are(a: dict[str, int], b: dict[str, int]) -> None:
    for name in CATEGORIES:
        there, back = EVERY[name](*counted(a, b)), EVERY[name](*counted(b, a))
        assert 0 <= there <= 1e3 or (name == "fisher_exact" and math.isnan(there)), name
        if name not in {"kl_div", "chisquare", "g_test", "TVD"}:
            assert there == pytest.approx(back, abs=1e-9, nan_ok=True), name


def test_a_value_that_may_be_among_the_others_is_not_called_new() -> None:
    now, before = aligned([Counts({"a": 50, "z": 50}), Counts({"a": 50}, other=50)])
    assert EVERY["total_variation"](now, before) == 0.0
    assert moved(now, before) is not None


def test_what_grew_among_the_others_is_seen() -> None:
    now, before = aligned([Counts({"a": 50, "z": 50}), Counts({"a": 90}, other=10)])
    assert EVERY["total_variation"](now, before) == pytest.approx(0.4)


@pytest.mark.parametrize("name", sorted(EVERY))
def test_a_method_says_what_it_is(name: str) -> None:
    said = type(EVERY[name]).__doc__ or ""
    assert re.search(r"\(\d{4}\)|half-normal", said), "its source, or its noise"
    assert re.search(r"0 to |0 and up|0\.5 \(not at all\) to 1|between 0|p-value, |same as", said), "its range"
    if not isinstance(EVERY[name], PValue):
        assert "Noise" in said
    else:
        assert "p-value" in said or "probability" in said


def test_two_methods_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from checks import distance, distances_own

    class Wasserstein(Distance):
        name = "wasserstein"

    Wasserstein.__module__ = distances_own.__name__
    monkeypatch.setattr(distances_own, "Twin", Wasserstein, raising=False)
    with pytest.raises(ValueError, match="two drift methods are called wasserstein"):
        distance.methods.__wrapped__()


# Many windows at once


def test_pools_are_the_windows_before_each() -> None:
    rng = np.random.default_rng(5)
    windows = aligned([histogram(rng.normal(i / 10, 1, 200).round(1), GRID) for i in range(12)])
    pools = Stack.of(windows).pools(most=4, least=2)
    for row, end in enumerate(range(2, 13)):
        alone = Stack.of([pooled(windows[max(0, end - 4) : end])])
        assert np.array_equal(pools.rows[row], alone.rows[0])
        assert pools.values[row][alone.rows[0] > 0] == pytest.approx(alone.values[0][alone.rows[0] > 0], abs=1e-9)
        assert (pools.low[row], pools.high[row]) == (alone.low[0], alone.high[0])
        # A pool may take for mixed what is one value, never the other way round.
        assert not (pools.exact[row] & ~alone.exact[0] & (alone.rows[0] > 0)).any()


@pytest.mark.parametrize("name", NUMBERS)
def test_many_comparisons_are_the_same_as_one_at_a_time(name: str) -> None:
    rng = np.random.default_rng(6)
    reference, *windows = aligned([histogram(rng.normal(size=n), GRID) for n in (500, 100, 130, 90)])
    together = EVERY[name].many(Pair(Stack.of(windows), Stack.of([reference])))
    alone = [EVERY[name](window, reference) for window in windows]
    # Of a history, ks has the limiting distribution.
    assert together.tolist() == pytest.approx(alone, abs=0.1 if name == "ks" else 1e-9)


SHAPES: dict[str, Callable[[np.random.Generator], Values]] = {
    "normal": lambda rng: rng.normal(size=2000),
    "Cauchy": lambda rng: rng.standard_cauchy(2000),
    "whole numbers": lambda rng: rng.poisson(4, 2000).astype(float),
    "a spike": lambda rng: np.where(rng.random(2000) < 0.5, 0.5, rng.normal(size=2000)),
    "two modes": lambda rng: rng.normal(size=2000) * 0.01 + 100.0 * (rng.random(2000) < 0.4),
}
ZONED = Grid(0.0, 1.0, (Zone(0.5, math.nextafter(0.5, 1), 0.5, 1.0), Zone(99.0, 101.0, 100.0, 0.01)))


@pytest.mark.parametrize("shape", sorted(SHAPES))
@pytest.mark.parametrize("name", ["asinh_wasserstein", "wasserstein", "kolmogorov_smirnov", "jensen_shannon"])
def test_a_gathered_history_is_as_far_apart_as_a_whole_one(name: str, shape: str) -> None:
    rng = np.random.default_rng(7)
    histograms = [histogram(SHAPES[shape](rng), ZONED) for _ in range(12)]
    whole, few = Stack.of(aligned(histograms)), gathered(histograms, EVERY[name].coarse)
    assert few.rows.shape[1] <= whole.rows.shape[1]
    assert few.rows.sum(axis=1).tolist() == [2000.0] * 12
    assert (few.lower[1:] >= few.upper[:-1]).all()
    filled = few.rows > 0
    assert (few.rows * few.values)[filled].sum() == pytest.approx((whole.rows * whole.values).sum(), rel=1e-4, abs=0.1)
    far, near = (EVERY[name].between(Pair(s.part(slice(6, None)), s.part(slice(-1)).pools(6, 6))) for s in (whole, few))
    assert near.tolist() == pytest.approx(far.tolist(), rel=0.15, abs=0.001)


def test_gathering_brings_windows_of_other_grids_along() -> None:
    rng = np.random.default_rng(9)
    values = [rng.normal(size=500) for _ in range(3)]
    found = gathered([histogram(v, grid) for v, grid in zip(values, (GRID, Grid(0.1, 2.0), ZONED), strict=True)], 1 / 1000)
    assert found.rows.sum(axis=1).tolist() == [500.0] * 3
    assert ((found.shares * found.values).sum(axis=1)).tolist() == pytest.approx([v.mean() for v in values], abs=1e-6)
    assert found.low.tolist() == pytest.approx([v.min() for v in values])


def test_gathering_takes_values_at_the_ends_of_a_float() -> None:
    found = gathered([histogram([-1.7e308, 0.0, 1e-300, 1.7e308], GRID), histogram([1.0], GRID)], 1 / 1000)
    assert found.rows.sum(axis=1).tolist() == [4.0, 1.0]
    assert np.isfinite(found.at).all()


def test_a_value_with_a_place_of_its_own_parts_the_place_around_it() -> None:
    spike = Grid(0.0, 1.0, (Zone(0.5, math.nextafter(0.5, 1), 0.5, 1.0),))
    reference, current = [0.499] * 10 + [0.5] * 80 + [0.501] * 10, [0.499] * 30 + [0.5] * 60 + [0.5005] * 10
    now, before = sides(current, reference, spike)
    assert now.upper is not None
    assert now.lower is not None
    assert (now.upper[:-1] > now.lower[1:]).any(), "the places overlap, or this tests nothing"
    stack = Stack.of([now, before])
    assert (stack.upper[:-1] <= stack.lower[1:]).all()
    assert stack.rows.sum(axis=1).tolist() == [100, 100]
    # What lies on both sides of it in one place is parted by its mean alone.
    assert EVERY["kolmogorov_smirnov"](now, before) == pytest.approx(0.2, abs=0.07)
    apart = Pieces.of(Pair.of(*sides([0.5] * 50, [0.4995] * 50, spike)))
    assert (apart.reference_before * apart.current).sum() == 50 * 50


def test_ranks_know_which_of_two_values_in_one_place_is_the_larger() -> None:
    grid = Grid(0.0, 100.0)
    assert len({grid.bucket(x) for x in (0.1, 0.2, 0.3)}) == 1
    assert EVERY["kolmogorov_smirnov"](*sides([0.2] * 20, [0.1] * 20, grid)) == 1.0
    assert EVERY["mannw"](*sides([0.2] * 20, [0.1] * 20, grid)) < 1e-8
    assert EVERY["mannw"](*sides([0.1] * 20, [0.2] * 20, grid)) > 1 - 1e-8
    between = sides([0.2] * 20, [0.1, 0.3] * 10, grid)
    assert EVERY["kolmogorov_smirnov"](*between) == pytest.approx(0.5, abs=0.01)
    assert EVERY["mannw"](*between) == pytest.approx(0.5, abs=0.02)


# Formulas beside scipy's own


@pytest.mark.parametrize(("n", "m"), [(30, 40), (1000, 1500)])
def test_the_variance_of_anderson_and_darling_is_scipy_s(n: int, m: int) -> None:
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=n), rng.normal(0.1, 1, m)
    z = np.concatenate([x, y])
    order = np.argsort(z)
    first = np.cumsum(order < n)[:-1]
    j = np.arange(1, n + m)
    raw = (((n + m) * first - j * n) ** 2 / (j * (n + m - j))).sum() / (n * m)
    standard = stats.anderson_ksamp([x, y], variant="right", method=stats.PermutationMethod(n_resamples=9)).statistic
    assert (raw - 1) / math.sqrt(_variance(n, m)) == pytest.approx(standard, rel=1e-6)


def test_the_limit_of_cramer_and_von_mises_is_the_tables() -> None:
    # Anderson and Darling (1952), table 1.
    assert _limit(np.array([0.11888, 0.34730, 0.46136, 0.74346])).tolist() == pytest.approx([0.5, 0.9, 0.95, 0.99], abs=2e-5)
    assert _limit(np.array([30.0, 1e6])).tolist() == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize(("a", "b"), [([3, 17], [11, 9]), ([40, 60], [25, 130])])
def test_fisher_is_scipy_s_also_for_unequal_numbers_of_rows(a: list[int], b: list[int]) -> None:
    found = EVERY["fisher_exact"](*counted(dict(zip("xy", a, strict=True)), dict(zip("xy", b, strict=True))))
    assert found == pytest.approx(stats.fisher_exact([a, b])[1])


def test_a_huge_column_has_a_permutation_test() -> None:
    """Numpy refuses to draw from more than 1e9 rows."""
    alike = counted({"a": 3 * 10**9, "b": 10**9}, {"a": 6 * 10**9, "b": 2 * 10**9})
    assert EVERY["TVD"](*alike) == 1.0
    assert EVERY["TVD"](*counted({"a": 3 * 10**9, "b": 10**9}, {"a": 10**9, "b": 10**9})) == 0.0
