"""Distances from profiles beside exact ones on all rows: measured through Parquet, DuckDB and the reference's pinned grid.

Our own are held against their definitions, Evidently's against Evidently's own functions. What a profile does not know is the order
of rows inside a place, so what differs is noise of a few rows, far below that of the samples themselves.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from checks.distance import methods
from checks.masses import Masses, aligned
from checks.profile import Counts
from monitor.testing import accuracy, shapes

PAIRS = {sides.name: sides for sides in shapes.pairs()}
EVERY = methods()
OURS = {
    "kolmogorov_smirnov": 0.002,
    "jensen_shannon": 0.002,
    "wasserstein": 0.001,
    "asinh_wasserstein": 0.001,
    "psi_tenths": 0.01,
    "hellinger_tenths": 0.002,
    # A cut of the reference's tenths may be off by two rows on either side.
    "total_variation": 0.003,
}
DISTANCES = {"wasserstein": 0.001, "psi": 0.01, "kl_div": 0.01, "jensenshannon": 0.002, "hellinger": 0.003}
"""Within so much, PSI and its kin or 1 %. Hellinger's number of bins hangs on the number of different values, of which a profile
knows only about how many there are."""
P_VALUES = {"mannw": 0.005, "anderson": 0.005, "cramer_von_mises": 0.005, "t_test": 0.001}
ROUNDED = "integers beyond 2^53"
"""Evidently takes these for floats, in which they are all equal, and refuses or calls them so; we do not."""
SMALL = {"small, normal"}
"""A few hundred rows with two or three in a place: one of them is 0.004 there, which is then the error."""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Masses, Masses]]:
    """Current and reference of every pair."""
    return accuracy.masses(PAIRS.values(), tmp_path_factory.mktemp("pairs"))


@pytest.fixture(scope="module")
def evidently(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float | str]]:
    """Pair -> method -> what Evidently's own function says of all rows, or how it fails."""
    numbers = sorted(m.name for m in EVERY.values() if m.threshold is not None and m.numbers and m.name != "empirical_mmd")
    # Its kernel is rows x rows.
    asked = {name: [*numbers, *(["empirical_mmd"] if len(s.reference) <= 1000 else [])] for name, s in PAIRS.items()}
    found = accuracy.by_evidently(
        ((PAIRS[name].reference, PAIRS[name].current, "num", methods) for name, methods in asked.items()),
        tmp_path_factory.mktemp("evidently"),
    )
    return dict(zip(asked, found, strict=True))


@pytest.mark.parametrize("name", sorted(PAIRS))
def test_our_distances_are_the_exact_ones(name: str, measured: dict[str, tuple[Masses, Masses]]) -> None:
    current, reference = measured[name]
    for method, tolerance in OURS.items():
        exact = accuracy.exact(method, PAIRS[name])
        allowed = max(tolerance, 0.01 * exact if method == "psi_tenths" else 0.0) * (2.5 if name in SMALL else 1)
        assert EVERY[method](current, reference) == pytest.approx(exact, abs=allowed), method


def test_a_million_rows_are_no_less_exact(tmp_path: Path) -> None:
    sides = shapes.huge()
    ((current, reference),) = accuracy.masses([sides], tmp_path).values()
    for method in OURS:
        assert EVERY[method](current, reference) == pytest.approx(accuracy.exact(method, sides), abs=0.0002), method


@pytest.mark.parametrize("name", sorted(set(PAIRS) - {ROUNDED}))
def test_evidently_s_distances_are_those_of_its_own_functions(
    name: str, measured: dict[str, tuple[Masses, Masses]], evidently: dict[str, dict[str, float | str]]
) -> None:
    current, reference = measured[name]
    for method, tolerance in DISTANCES.items():
        exact = float(evidently[name][method])
        allowed = max(tolerance, 0.01 * exact if method in {"psi", "kl_div"} else 0.0) * (1.5 if name in SMALL else 1)
        assert EVERY[method](current, reference) == pytest.approx(exact, abs=allowed), method
    # In roots of the unit: relative to the spread, and in a place that the reference has empty rows are taken as spread evenly.
    unit = math.sqrt(float(np.subtract(*np.quantile(PAIRS[name].reference, [0.95, 0.05]))) or 1.0)
    assert EVERY["ed"](current, reference) == pytest.approx(float(evidently[name]["ed"]), abs=0.002 * unit)


@pytest.mark.parametrize("name", sorted(set(PAIRS) - {ROUNDED, "constant, as it was"}))
def test_evidently_s_p_values_are_those_of_its_own_functions(
    name: str, measured: dict[str, tuple[Masses, Masses]], evidently: dict[str, dict[str, float | str]]
) -> None:
    current, reference = measured[name]
    for method, tolerance in P_VALUES.items():
        # Beside 1e9 a float has few digits for 0.001: the means of Evidently's t-test are off by a hundredth of their noise.
        allowed = 0.01 if name.startswith("offset 1e9") else tolerance
        assert EVERY[method](current, reference) == pytest.approx(float(evidently[name][method]), abs=allowed), method


@pytest.mark.parametrize("name", sorted(set(PAIRS) - {ROUNDED}))
def test_the_p_value_of_ks_is_that_of_a_gap_within_two_thousandths(
    name: str, measured: dict[str, tuple[Masses, Masses]], evidently: dict[str, dict[str, float | str]]
) -> None:
    """The p-value is steep: 0.002 of the statistic, which is what a profile is exact to, may be 0.1 of it at 4000 rows."""
    sides = PAIRS[name]
    exact = float(evidently[name]["ks"])
    gap, rows = (
        accuracy.exact("kolmogorov_smirnov", sides),
        len(sides.current) * len(sides.reference) / (len(sides.current) + len(sides.reference)),
    )
    found = EVERY["ks"](*measured[name])
    if found == pytest.approx(exact, rel=1e-6):
        return
    low, high = (float(stats.kstwo.sf(min(max(gap + off, 0.0), 1.0), round(rows))) for off in (0.002, -0.002))
    assert low - 0.01 <= found <= high + 0.01
    assert found == pytest.approx(exact, abs=0.06)


@pytest.mark.parametrize("name", sorted(PAIRS))
def test_the_p_value_of_epps_and_singleton_is_evidently_s(
    name: str, measured: dict[str, tuple[Masses, Masses]], evidently: dict[str, dict[str, float | str]]
) -> None:
    exact, found = evidently[name]["es"], EVERY["es"](*measured[name])
    if isinstance(exact, str):
        # It refuses a column whose quartiles are equal.
        assert "interquartile range" in exact
        assert math.isnan(found) or name == ROUNDED
    elif name != "yes and no":
        # Of two values its rank, and with it p, is decided by rounding.
        assert found == pytest.approx(exact, abs=0.06 if name.startswith(("sentinel", "with outliers")) else 0.01)


@pytest.mark.parametrize("name", sorted(name for name, sides in PAIRS.items() if len(sides.reference) <= 1000))
def test_the_p_value_of_mmd_is_evidently_s_to_what_its_draws_are_worth(
    name: str, measured: dict[str, tuple[Masses, Masses]], evidently: dict[str, dict[str, float | str]]
) -> None:
    found, exact = EVERY["empirical_mmd"](*measured[name]), float(evidently[name]["empirical_mmd"])
    middle = (found + exact) / 2
    # Both are shares of a hundred draws.
    assert abs(found - exact) <= 4 * math.sqrt(2 * max(middle * (1 - middle), 0.01) / 100)


def _mix(name: str, rows: int, values: str, shares: list[float]) -> list[str]:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return [str(v) for v in rng.choice(list(values), rows, p=shares)]


MIXES = {
    "three, moved": (_mix("a", 800, "abc", [0.6, 0.3, 0.1]), _mix("b", 800, "abc", [0.5, 0.3, 0.2])),
    "three, alike": (_mix("c", 800, "abc", [0.6, 0.3, 0.1]), _mix("d", 800, "abc", [0.6, 0.3, 0.1])),
    "a new value": (_mix("e", 800, "abc", [0.6, 0.3, 0.1]), _mix("f", 800, "abcd", [0.6, 0.28, 0.1, 0.02])),
    "a value gone": (_mix("g", 800, "abcd", [0.6, 0.28, 0.1, 0.02]), _mix("h", 800, "abc", [0.6, 0.3, 0.1])),
    "two, moved": (_mix("i", 500, "xy", [0.5, 0.5]), _mix("j", 500, "xy", [0.56, 0.44])),
    "two, alike": (_mix("k", 500, "xy", [0.9, 0.1]), _mix("l", 500, "xy", [0.9, 0.1])),
    "unequal rows": (_mix("m", 900, "abc", [0.6, 0.3, 0.1]), _mix("n", 300, "abc", [0.55, 0.33, 0.12])),
    "one value": (["a"] * 50, ["a"] * 50),
    "many": (_mix("o", 3000, "abcdefghijklmnop", [1 / 16] * 16), _mix("p", 2000, "abcdefghijklmnop", [1 / 16] * 16)),
}


@pytest.fixture(scope="module")
def of_mixes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float | str]]:
    categories = sorted(m.name for m in EVERY.values() if m.threshold is not None and m.categories and not m.sampled)
    asked = ((reference, current, "cat", categories) for reference, current in MIXES.values())
    return dict(zip(MIXES, accuracy.by_evidently(asked, tmp_path_factory.mktemp("mixes")), strict=True))


@pytest.mark.parametrize("name", sorted(MIXES))
def test_evidently_s_methods_for_categories_are_its_own_functions(name: str, of_mixes: dict[str, dict[str, float | str]]) -> None:
    before, now = aligned([Counts({v: side.count(v) for v in sorted(set(side))}) for side in MIXES[name]])
    for method, exact in of_mixes[name].items():
        found = EVERY[method](now, before)
        if isinstance(exact, str):
            # It computes these for as many rows on both sides only, and fisher_exact for two values.
            assert method in {"g_test", "fisher_exact"}
            assert (math.isnan(found) or len(MIXES[name][0]) != len(MIXES[name][1])) is True
        elif math.isnan(exact):
            assert (name, found) == ("one value", 1.0)
        elif method == "TVD":
            assert abs(found - exact) <= 0.06  # 1000 draws on each side
        else:
            assert found == pytest.approx(exact, abs=1e-9), method


def test_every_method_of_evidently_s_is_here(tmp_path: Path) -> None:
    """Its registry beside ours: names and thresholds."""
    theirs = accuracy.registry()
    ours = {m.name: m.threshold for m in EVERY.values() if m.threshold is not None}
    assert ours == theirs
