"""Medians of many small sets at once are those that are found one by one."""

from __future__ import annotations

from itertools import product
from statistics import median, median_low

import numpy as np
import pytest
from numpy.typing import NDArray

from checks.medians import NETWORKS, TOGETHER, Chosen, among, halfway, sliding

Array = NDArray[np.float64]


def values(windows: int, numbers: int = 3, seed: int = 0) -> Array:
    """With many that are equal, and some that are very large."""
    chance = np.random.default_rng(seed)
    found: Array = chance.integers(-4, 5, (windows, numbers)) * chance.choice([1.0, 1e300], (windows, numbers), p=[0.9, 0.1])
    return found


def same(found: Array, expected: list[list[float]]) -> bool:
    return bool(np.array_equal(found, np.array(expected), equal_nan=True))


def one_by_one(given: Array, places: list[list[int]], least: int) -> list[list[float]]:
    """Lower medians of the windows at these places, of those whose numbers are all known."""
    known = [[place for place in those if np.isfinite(given[place]).all()] for those in places]
    return [[median_low(given[those, n]) if len(those) >= least else np.nan for n in range(given.shape[1])] for those in known]


@pytest.mark.parametrize("number", sorted(NETWORKS))
def test_a_network_finds_the_middle_of_whatever_comes(number: int) -> None:
    """By the zero-one principle (Knuth, vol. 3): what is right for all zeros and ones is right for all values."""
    chosen = Chosen.of(np.arange(number)[None, :], np.ones(number, dtype=bool))
    for bits in product([0.0, 1.0], repeat=number):
        assert among(np.array(bits)[:, None], chosen, 1)[0, 0] == median_low(bits)


@pytest.mark.parametrize("number", sorted(NETWORKS))
@pytest.mark.parametrize("seed", range(5))
def test_of_as_many_as_there_are(number: int, seed: int) -> None:
    chance, given = np.random.default_rng(seed), values(40, seed=seed)
    places = [sorted(chance.choice(40, chance.integers(0, number + 1), replace=False).tolist()) for _ in range(60)]
    filled = np.array([[*those, *[-1] * (number - len(those))] for those in places])
    for least in (1, 3):
        found = among(given, Chosen.of(filled, np.ones(40, dtype=bool)), least)
        assert same(found, one_by_one(given, places, least))
    if seed:
        given[chance.choice(40, 9, replace=False), 0] = np.nan
    assert same(among(given, Chosen.of(filled, np.ones(40, dtype=bool)), 2), one_by_one(given, places, 2))


@pytest.mark.parametrize("windows", [*range(1, 36), 61, 62, 63, 64, 90, 118])
def test_of_those_before_each(windows: int) -> None:
    given = values(windows, seed=windows)
    places = [list(range(max(at - 28, 0), at)) for at in range(windows + 1)]
    for least in (1, 4, 15):
        assert same(sliding(given, 28, least), one_by_one(given, places, least))


@pytest.mark.parametrize("most", [8, 10, 16])
def test_of_another_even_number_before_each(most: int) -> None:
    given = values(70, numbers=1)
    places = [list(range(max(at - most, 0), at)) for at in range(71)]
    assert most >= 2 * TOGETHER
    assert same(sliding(given, most, 3), one_by_one(given, places, 3))


@pytest.mark.parametrize("seed", range(5))
def test_halfway_between_the_two_in_the_middle(seed: int) -> None:
    chance, given = np.random.default_rng(seed), values(30, seed=seed) / 1e10
    places = [sorted(chance.choice(30, chance.integers(0, 7), replace=False).tolist()) for _ in range(40)]
    filled = np.array([[*those, *[-1] * (6 - len(those))] for those in places])
    found = halfway(given, Chosen.of(filled, np.ones(30, dtype=bool)), 2)
    assert same(found, [[median(given[those, n]) if len(those) > 1 else np.nan for n in range(3)] for those in places])
