"""A distribution merges like the rows it was measured on, whatever grids it lies on, and keeps what a bucket knows."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.grid import Grid, Zone
from checks.histogram import Histogram, pack, unpack
from checks.masses import aligned, pooled
from checks.profile import Profile, merge
from checks.question import Categories, Distribution, Population, Question
from checks.window import Window
from monitor.measuring.fitting import grid_of
from monitor.measuring.measure import measure, pinned, reading
from monitor.sources.base import Place
from monitor.sources.files import Files

DAY = Window(datetime(2024, 3, 5, tzinfo=UTC), datetime(2024, 3, 6, tzinfo=UTC))
GRIDS = [Grid(0.0, 1.0), Grid(10.0, 2.0, (Zone(-11.0, -9.0, -10.0, 0.01),)), Grid(5.0, 0.1)]


def counted(values: Sequence[float], grid: Grid) -> Histogram:
    buckets: dict[int, tuple[int, float]] = {}
    for x in values:
        rows, total = buckets.get(grid.bucket(x), (0, 0.0))
        buckets[grid.bucket(x)] = (rows + 1, total + x)
    ends = {"low": min(values), "high": max(values)} if values else {}
    return Histogram.of(grid, buckets, **ends)


def measured(sql: str, *asked: Question, grids: dict[str, Grid] | None = None) -> Profile:
    with reading(Files(), Place(query=sql), DAY, timedelta(seconds=60)) as opened:
        return measure(opened, {Population(): asked}, grids or {})


histograms = st.builds(counted, st.lists(st.integers(-300, 300).map(float), max_size=15), st.sampled_from(GRIDS))


@given(histograms, st.sampled_from(GRIDS), st.lists(st.integers(-300, 300).map(float), max_size=4))
def test_the_rows_of_the_buckets_that_begin_before_a_value(histogram: Histogram, grid: Grid, ends: list[float]) -> None:
    cells = histogram.cells_on(grid)
    begins, _ = grid.edges(cells.keys)
    for _ in range(2):  # Kept after the first time.
        lower, upto = histogram.rising(grid)
        for end in (*ends, *begins.tolist(), math.inf):
            assert upto[lower.searchsorted(end)] == cells.rows[begins < end].sum()


def close(a: Histogram, b: Histogram) -> bool:
    """The same up to the rounding of sums."""
    assert a.cells.keys() == b.cells.keys()
    for grid, cells in a.cells.items():
        assert np.array_equal(cells.keys, b.cells[grid].keys)
        assert np.array_equal(cells.rows, b.cells[grid].rows)
        assert np.array_equal(cells.exact, b.cells[grid].exact)
        assert np.allclose(cells.sums, b.cells[grid].sums, rtol=1e-12, atol=1e-9)
    return (a.low, a.high, a.missing) == (b.low, b.high, b.missing)


@given(histograms, histograms, histograms)
def test_merging_does_not_care_about_grouping_or_order_also_of_different_grids(a: Histogram, b: Histogram, c: Histogram) -> None:
    assert close(a.plus(b).plus(c), a.plus(b.plus(c)))
    assert close(a.plus(b), b.plus(a))


@given(histograms, histograms)
def test_it_comes_back_from_json(a: Histogram, b: Histogram) -> None:
    both = a.plus(b)
    assert unpack(json.loads(json.dumps(pack(both)))) == both


def test_a_reference_of_28_merged_days_is_the_profile_of_the_28_days_at_once() -> None:
    sql = (
        "SELECT i // 500 AS day, CASE WHEN i % 7 = 0 THEN NULL ELSE sin(i) * 100 + 1e6 END AS x, i % 13 AS n, "
        "'v' || (i % 40) AS c FROM range(14000) r(i)"
    )
    asked: list[Question] = [Distribution("x"), Distribution("n"), Categories("c")]
    first = measured(f"SELECT * FROM ({sql}) WHERE day = 0", *asked)
    grids = pinned([first])
    days = [measured(f"SELECT * FROM ({sql}) WHERE day = {day}", *asked, grids=grids) for day in range(28)]
    whole, together = measured(sql, *asked, grids=grids), merge(days)
    assert together is not None
    assert together.rows == whole.rows == 14000
    for key in ("distribution(x)", "distribution(n)"):
        one, other = whole.answers()[key], together.answers()[key]
        assert isinstance(one, Histogram)
        assert isinstance(other, Histogram)
        assert close(one, other)
    assert whole.answers()["categories(c)"] == together.answers()["categories(c)"]


def test_a_bucket_knows_whether_all_of_its_rows_hold_one_value() -> None:
    once, twice = counted([3.0], GRIDS[0]), counted([3.0, 3.0 + 1e-9], GRIDS[0])
    (grid,) = once.cells
    assert once.plus(once).cells[grid].exact.all()
    assert not once.plus(twice).cells[grid].exact.any()
    assert not counted([3.0], GRIDS[0]).plus(counted([3.0 + 1e-6], GRIDS[0])).cells[grid].exact.any()


def test_two_far_narrow_modes_have_a_grid_each() -> None:
    draw = random.Random(3)
    values = [draw.gauss(1e6 * draw.randint(0, 1), 1e-3) for _ in range(10_000)]
    grid = grid_of(values)
    assert counted(values, grid).crowded() < 0.01
    assert len(counted(values, grid).buckets) > 200


def test_a_value_that_many_rows_have_has_a_bucket_for_itself() -> None:
    draw = random.Random(4)
    values = [0.0 if draw.random() < 0.3 else draw.lognormvariate(0, 2) for _ in range(10_000)]
    found = counted(values, grid_of(values))
    assert found.buckets[grid_of(values).bucket(0.0)] == (values.count(0.0), 0.0)


@pytest.mark.parametrize("values", [[1.0, 2.0, 3.0], [*range(10), *range(10**6, 10**6 + 10)], [0.1, 0.2, 1e9, 1e9 + 1, -5e12]])
def test_a_column_of_few_values_has_a_bucket_for_each(values: list[float]) -> None:
    grid = grid_of([float(v) for v in values] * 50)
    assert len({grid.bucket(float(v)) for v in values}) == len(values)


def test_neighbours_beyond_what_a_float_can_tell_apart_are_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "ids.parquet"
    sql = "SELECT 1152921504606846976 + i % 1000 AS x, (18446744073709551615 - i % 1000)::UBIGINT AS u FROM range(20000) r(i)"
    duckdb.execute(f"COPY ({sql}) TO '{file}'")
    found = measured(f"SELECT * FROM '{file}'", Distribution("x"), Distribution("u")).answers()
    for key, low in (("distribution(x)", 2**60), ("distribution(u)", 2**64 - 1000)):
        histogram = found[key]
        assert isinstance(histogram, Histogram)
        assert (histogram.low, histogram.high) == (low, low + 999)
        assert histogram.filled > 200
        assert histogram.deviation() == pytest.approx(288.67, rel=1e-3)
        assert unpack(json.loads(json.dumps(pack(histogram)))) == histogram


def test_an_offset_a_million_million_times_the_spread_keeps_its_shape() -> None:
    sql = "SELECT 1234567890.123 + (i % 1000) * 1e-6 AS x FROM range(20000) r(i)"
    found = measured(sql, Distribution("x")).answers()["distribution(x)"]
    assert isinstance(found, Histogram)
    assert found.filled > 200
    assert found.deviation() == pytest.approx(2.8867e-4, rel=1e-3)


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        ("i % 2 = 0", 0, 1),
        ("TIMESTAMP '2024-03-05 00:00:00' + INTERVAL 1 MINUTE * i", 1709596800, 1709596800 + 999 * 60),
        ("DATE '2024-03-05' + i::INTEGER", 1709596800, 1709596800 + 999 * 86400),
        ("(i / 8)::DECIMAL(10, 3)", 0, 124.875),
    ],
    ids=["boolean", "time", "date", "decimal"],
)
def test_what_is_no_float_has_a_distribution_too(value: str, low: float, high: float) -> None:
    found = measured(f"SELECT {value} AS x FROM range(1000) r(i)", Distribution("x")).answers()["distribution(x)"]
    assert isinstance(found, Histogram)
    assert (found.low, found.high, found.finite) == (low, high, 1000)


def test_texts_have_a_distribution_of_their_lengths() -> None:
    sql = "SELECT CASE WHEN i % 10 = 0 THEN NULL ELSE repeat('ü', i % 10) END AS x FROM range(1000) r(i)"
    found = measured(sql, Distribution("x", "length")).answers()["distribution(length(x))"]
    assert isinstance(found, Histogram)
    assert (found.low, found.high, found.missing) == (1, 9, 100)
    assert found.mean() == pytest.approx(5)


def test_a_hundred_columns_take_at_most_a_megabyte() -> None:
    shapes = ["random()", "-ln(1 - random())", "sqrt(-2 * ln(1 - random())) * cos(6.2831853 * random())", "floor(random() * 1000)"]
    columns = ", ".join(f"{shapes[n % 4]} * {n + 1} AS c{n}" for n in range(100))
    profile = measured(f"SELECT {columns} FROM range(50000)", *(Distribution(f"c{n}") for n in range(100)))
    assert all(isinstance(profile.answers()[f"distribution(c{n})"], Histogram) for n in range(100))
    assert len(profile.to_bytes()) < 1_000_000


def test_aligned_masses_have_edges_in_order_that_hold_their_means() -> None:
    draw = random.Random(5)
    values = [draw.choice([0.0, draw.gauss(0, 1), draw.gauss(1e5, 1e-2)]) for _ in range(5000)]
    grid = grid_of(values)
    one, two = aligned([counted(values[:2500], grid), counted(values[2500:], grid)])
    for m in (one, two, pooled([one, two])):
        assert m.sums is not None
        assert m.lower is not None
        assert m.upper is not None
        assert (np.diff(m.lower) >= 0).all()
        filled = m.rows > 0
        means = m.sums[filled] / m.rows[filled]
        slack = 1e-9 * np.maximum(np.abs(means), 1e-3)
        assert (means >= m.lower[filled] - slack).all()
        assert (means <= m.upper[filled] + slack).all()
    assert (pooled([one, two]).low, pooled([one, two]).high) == (min(values) - grid.center, max(values) - grid.center)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1e15, 1e15), min_size=1, max_size=60), st.integers(0, 3))
def test_zones_are_the_same_in_duckdb_and_in_python(values: list[float], spikes: int) -> None:
    column = [*values, *(values[:1] * 50 * spikes), *(v * 1e-9 for v in values)]
    rows = " UNION ALL ".join(f"SELECT CAST('{v!r}' AS DOUBLE) AS x" for v in column)
    found = measured(rows, Distribution("x")).answers()["distribution(x)"]
    assert isinstance(found, Histogram)
    assert found.buckets.keys() == {found.grid.bucket(v) for v in column}
    assert found.low == min(column)
    assert found.high == max(column)
    assert math.isclose(found.total() or 0.0, math.fsum(column), rel_tol=1e-9, abs_tol=1e-6 * max(abs(v) for v in column))
