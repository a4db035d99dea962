"""Profiles merge like the rows they were measured on, and come back from the store as they went in."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.profile import Broken, Counts, Grid, Histogram, Number, Outdated, Profile, Rows, merge

GRID = Grid(10.0, 2.0)
finite = st.floats(-1e12, 1e12)
small = st.integers(0, 1000)


def measured(values: list[float], grid: Grid = GRID) -> Histogram:
    buckets: dict[int, tuple[int, float]] = {}
    for x in values:
        n, total = buckets.get(grid.bucket(x), (0, 0.0))
        buckets[grid.bucket(x)] = (n + 1, total + x)
    return Histogram.of(grid, buckets)


# Whole sums add up exactly in any order, so that "equal" means equal.
whole = st.integers(-(10**6), 10**6).map(float)
histograms = st.builds(
    lambda values, missing, nan: Histogram.of(GRID, measured(values).buckets, missing=missing, nan=nan),
    st.lists(whole, max_size=20),
    small,
    small,
)
counts = st.builds(
    lambda c, other, missing: Counts(c, other, None if other else len(c), missing),
    st.dictionaries(st.text(max_size=5), st.integers(1, 100), max_size=8),
    small,
    small,
)
added = st.builds(Number, st.none() | st.integers(-(10**9), 10**9), st.just("add"))
largest = st.builds(Number, st.none() | st.floats(allow_nan=False), st.just("max"))
profiles = st.builds(
    lambda h, c, a, m, rows: Profile({"x": "float64"}, rows, {("", ""): {"h": h, "c": c, "a": a, "m": m}, ("", "k=1"): {"a": a}}),
    histograms,
    counts,
    added,
    largest,
    small,
)


@given(profiles, profiles, profiles)
def test_merging_does_not_care_about_grouping(a: Profile, b: Profile, c: Profile) -> None:
    assert a.plus(b).plus(c) == a.plus(b.plus(c))


@given(profiles, profiles)
def test_merging_does_not_care_about_order(a: Profile, b: Profile) -> None:
    assert a.plus(b) == b.plus(a)


@given(profiles)
def test_a_profile_comes_back_from_its_bytes(profile: Profile) -> None:
    assert Profile.from_bytes(profile.to_bytes()) == profile


@given(st.lists(finite, min_size=1, max_size=40), st.lists(finite, max_size=40))
def test_two_windows_merged_are_measured_as_one(first: list[float], second: list[float]) -> None:
    merged, one = measured(first).plus(measured(second)), measured(first + second)
    assert {b: n for b, (n, _) in merged.buckets.items()} == {b: n for b, (n, _) in one.buckets.items()}
    assert merged.total() == pytest.approx(one.total(), rel=1e-9, abs=1e-3)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_does_not_know_come_back(value: float) -> None:
    profile = Profile({}, 1, {("", ""): {"n": Number(value, "max")}})
    (back,) = Profile.from_bytes(profile.to_bytes()).answers().values()
    assert isinstance(back, Number)
    assert str(back.value) == str(value)


def test_samples_and_broken_answers_are_not_stored() -> None:
    frame: Any = object()
    profile = Profile({}, 1, {("", ""): {"b": Broken("no"), "r": Rows(frame), "n": Number(1)}})
    assert set(Profile.from_bytes(profile.to_bytes()).answers()) == {"n"}


def test_a_sum_that_overflows_is_stored_as_what_a_float_can_hold() -> None:
    profile = Profile({}, 1, {("", ""): {"h": Histogram.of(GRID, {40000: (2, math.inf)})}})
    (back,) = Profile.from_bytes(profile.to_bytes()).answers().values()
    assert isinstance(back, Histogram)
    assert math.isfinite(back.buckets[40000][1])


def test_what_does_not_merge_is_left_out() -> None:
    one = Profile({}, 1, {("", ""): {"n": Number(3), "only here": Number(1, "add")}})
    other = Profile({}, 1, {("", ""): {"n": Number(3)}})
    assert one.plus(other).answers() == {}


def test_nothing_merged_is_nothing() -> None:
    assert merge([]) is None


def test_a_profile_of_an_older_form_is_told_apart() -> None:
    import json
    import zlib

    with pytest.raises(Outdated):
        Profile.from_bytes(zlib.compress(json.dumps({"v": 1}).encode()))


def test_a_profile_of_a_newer_version_is_refused() -> None:
    import json
    import zlib

    with pytest.raises(ValueError, match="upgrade"):
        Profile.from_bytes(zlib.compress(json.dumps({"v": 3}).encode()))


@given(st.lists(finite, min_size=2, max_size=60))
def test_mean_and_sum_are_exact(values: list[float]) -> None:
    h = measured(values)
    assert h.total() == pytest.approx(math.fsum(values), rel=1e-9, abs=1e-3)
    assert h.mean() == pytest.approx(math.fsum(values) / len(values), rel=1e-9, abs=1e-3)


@given(st.floats(-1e300, 1e300))
def test_a_value_lies_in_its_bucket(x: float) -> None:
    (low,), (high,) = GRID.edges(np.array([GRID.bucket(x)]))
    slack = 1e-9 * max(abs(x), 1.0)
    assert low - slack <= x - GRID.center <= high + slack


@given(st.lists(whole, min_size=1, max_size=30), st.floats(-100, 100), st.floats(0.01, 1000))
def test_another_grid_keeps_rows_and_sum(values: list[float], center: float, scale: float) -> None:
    moved = measured(values).on(Grid(center, scale))
    assert moved.finite == len(values)
    assert moved.total() == pytest.approx(sum(values), rel=1e-9, abs=1e-6)
