"""The asinh grid: the same buckets in every engine as in Python, and sound for every sort of column."""

from __future__ import annotations

import math
import random
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from checks.grid import split
from checks.profile import Grid, Histogram, Profile
from checks.question import Distribution, Population
from checks.window import Window
from monitor.measuring.fitting import grid_of
from monitor.measuring.grid import pinned
from monitor.measuring.measure import measure, reading
from monitor.sources.base import Place, Source
from monitor.sources.files import Files
from monitor.sources.postgres import Postgres
from monitor.sources.sqlite import SQLite

DAY = Window(datetime(2024, 3, 5, tzinfo=UTC), datetime(2024, 3, 6, tzinfo=UTC))
NASTY = [1e300, -1e300, 1.7e308, -1.7e308, 5e-324, -5e-324, 1e-200, 0.0, -0.0, 2.5, 1e100, 1e101, math.inf, -math.inf, math.nan]


def nasty(rows: int) -> list[float | None]:
    """Every hard value many times between ordinary ones, heavy tails and missing ones."""
    draw = random.Random(7)
    out: list[float | None] = []
    for n in range(rows):
        kind = n % 10
        if kind == 0:
            out.append(NASTY[n // 10 % len(NASTY)])
        elif kind == 1:
            out.append(None)
        elif kind < 5:
            out.append(math.ldexp(draw.random() - 0.5, draw.randint(-300, 300)))
        else:
            out.append(draw.gauss(3.25, 1.5))
    return out


def expected(values: list[float | None], grid: Grid) -> Counter[int]:
    return Counter(grid.bucket(v) for v in values if v is not None and math.isfinite(v))


def measured(source: Source, table: str, grid: Grid | None = None, column: str = "x") -> Histogram:
    with reading(source, Place(table=table), DAY, timedelta(seconds=60)) as opened:
        asked = {Population(): [Distribution(column)]}
        answer = measure(opened, asked, {f"distribution({column})": grid} if grid else {}).answers()[f"distribution({column})"]
    assert isinstance(answer, Histogram), answer
    return answer


def parquet(folder: Path, values: list[float | None]) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = folder / f"{len(list(folder.iterdir()))}.parquet"
    pq.write_table(pa.table({"x": pa.array(values, pa.float64(), from_pandas=False)}), file)
    return str(file)


GRID = Grid(3.25, 1.5)
KEY = "distribution(x)"


def agrees(found: Histogram, values: list[float | None], nan_is_missing: bool = False) -> None:
    nan = sum(v is not None and math.isnan(v) for v in values)
    missing = sum(v is None for v in values)
    assert {b: n for b, (n, _) in found.buckets.items()} == expected(values, GRID)
    assert (found.nan, found.missing) == ((0, missing + nan) if nan_is_missing else (nan, missing))
    assert found.positive_infinity == sum(v == math.inf for v in values)
    assert found.negative_infinity == sum(v == -math.inf for v in values)
    sums: dict[int, list[float]] = {}
    for value in values:
        if value is not None and math.isfinite(value):
            sums.setdefault(GRID.bucket(value), []).append(value)
    for bucket, (_, total) in found.buckets.items():
        size = max(sum(abs(v) / 2 for v in sums[bucket]) * 2, 5e-324)
        exact = max(min(math.fsum(v / 2**10 for v in sums[bucket]) * 2**10, 1.7e308), -1.7e308)
        assert abs(total / 2 - exact / 2) <= 1e-9 * min(size, 1.7e308), bucket


def test_a_hundred_thousand_nasty_values_fall_into_the_same_buckets_in_duckdb(tmp_path: Path) -> None:
    values = nasty(100_000)
    agrees(measured(Files(), parquet(tmp_path, values), GRID), values)


def test_a_hundred_thousand_nasty_values_fall_into_the_same_buckets_in_sqlite(tmp_path: Path) -> None:
    values = nasty(100_000)
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
        connection.execute("CREATE TABLE t (x DOUBLE)")
        connection.executemany("INSERT INTO t VALUES (?)", [(v,) for v in values])
    connection.close()
    source = SQLite(url=SecretStr(f"sqlite:///{tmp_path}/a.db"))
    agrees(measured(source, "t", GRID), values, nan_is_missing=True)


def test_a_hundred_thousand_nasty_values_fall_into_the_same_buckets_in_postgres(postgres) -> None:  # type: ignore[no-untyped-def]
    values = nasty(100_000)
    postgres.run("DROP TABLE IF EXISTS nasty", "CREATE TABLE nasty (x float8)")
    for start in range(0, len(values), 10_000):
        some = ", ".join("(NULL)" if v is None else f"('{v!r}')" for v in values[start : start + 10_000])
        postgres.run(f"INSERT INTO nasty VALUES {some}")
    agrees(measured(Postgres(url=SecretStr(postgres.reader)), "nasty", GRID), values)


@pytest.mark.parametrize(
    ("values", "grid"),
    [
        ([], Grid(0.0, 1.0)),
        ([None, math.nan, math.inf], Grid(0.0, 1.0)),
        ([5.0] * 10, Grid(5.0, 0.005)),
        ([0.0] * 10, Grid(0.0, 0.001)),
        ([5.0], Grid(5.0, 0.005)),
    ],
)
def test_a_column_without_variety_has_a_grid(values: list[float | None], grid: Grid) -> None:
    assert grid_of(values) == grid


def test_the_grid_of_a_normal_column_is_its_median_and_its_deviation() -> None:
    draw = random.Random(1)
    grid = grid_of([draw.gauss(100, 15) for _ in range(5000)])
    assert grid.center == pytest.approx(100, abs=1)
    assert grid.scale == pytest.approx(15, rel=0.05)


def test_a_column_of_which_half_is_zero_has_a_grid_as_wide_as_its_values() -> None:
    assert grid_of([0.0] * 90 + [float(n) for n in range(10)]).scale > 0.1


@given(st.lists(st.one_of(st.none(), st.floats(width=64)), max_size=40))
def test_every_finite_value_has_a_bucket_on_the_grid_made_of_its_column(values: list[float | None]) -> None:
    grid = grid_of(values)
    assert math.isfinite(grid.center)
    assert 0 < grid.scale < math.inf
    finite = [v for v in values if v is not None and math.isfinite(v)]
    keys = np.array([grid.bucket(v) for v in finite], dtype=np.int64)
    assert all(abs(split(keys)[1]) < 1_000_000)
    assert keys.tolist() == grid.keys(np.array([v - grid.center for v in finite])).tolist()


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=64), min_size=1, max_size=20))
def test_duckdb_and_python_agree_on_the_bucket_of_any_float_on_any_grid(values: list[float]) -> None:
    import ibis

    from monitor.measuring import grid as grids

    grid = grid_of(values)
    connection = ibis.duckdb.connect()
    rows = " UNION ALL ".join(f"SELECT CAST('{v!r}' AS DOUBLE) AS x" for v in values)
    table = connection.sql(rows, schema={"x": "float64"})
    less = grids.apart(table.x, grid)
    k, z = grids.placed(less, grid)
    found = table.select(b=grids.bucket(less, k, z, has_nan=True))
    buckets = sorted(int(b) for (b,) in connection.raw_sql(connection.compile(found)).fetchall())
    assert buckets == sorted(grid.bucket(v) for v in values)
    connection.disconnect()


def whole(histogram: Histogram) -> Profile:
    return Profile({"x": "float64"}, histogram.finite, {("", ""): {"distribution(x)": histogram}})


def test_a_grid_is_pinned_once_enough_varying_values_were_seen() -> None:
    some = Grid(1.0, 2.0)
    assert pinned([whole(Histogram.of(some, {0: (49, 49.0), 3: (1, 1.2)}))]) == {KEY: some}
    assert pinned([whole(Histogram.of(some, {0: (48, 49.0), 3: (1, 1.2)}))]) == {}
    assert pinned([whole(Histogram.of(some, {0: (500, 500.0)}))]) == {}


def test_the_newest_profile_with_enough_values_pins_the_grid() -> None:
    old, new = Grid(1.0, 2.0), Grid(1.5, 2.0)
    enough = {0: (40, 40.0), 3: (20, 24.0)}
    assert pinned([whole(Histogram.of(old, enough)), whole(Histogram.of(new, enough))]) == {KEY: new}
    assert pinned([whole(Histogram.of(old, enough)), whole(Histogram.of(new, {0: (1, 1.0)}))]) == {KEY: old}


def test_a_grid_that_most_values_have_left_is_made_anew() -> None:
    some = Grid(1.0, 2.0)
    assert pinned([whole(Histogram.of(some, {0: (49, 49.0), 300: (51, 1e4)}))]) == {}
    assert pinned([whole(Histogram.of(some, {0: (30, 29.0), 1: (21, 21.0), -300: (49, -1e4)}))]) == {KEY: some}


def test_a_grid_whose_rows_crowd_in_one_bucket_is_made_anew() -> None:
    some, few = Grid(1.0, 2.0), dict.fromkeys(range(1, 400), (2, 2.0))
    assert pinned([whole(Histogram.of(some, few | {0: (30, 30.0)}))]) == {KEY: some}
    assert pinned([whole(Histogram.of(some, few | {0: (80, 80.0)}))]) == {}


def test_integers_and_decimals_that_a_float_cannot_hold_are_measured(tmp_path: Path) -> None:
    import duckdb

    file = tmp_path / "big.parquet"
    connection = duckdb.connect()
    connection.execute(
        f"COPY (SELECT 9223372036854775807 - i AS big, (i || '12345678901234567890.12')::DECIMAL(38,2) AS x FROM range(100) r(i)) "
        f"TO '{file}'"
    )
    connection.close()
    assert measured(Files(), str(file)).finite == 100
    assert measured(Files(), str(file), column="big").finite == 100
