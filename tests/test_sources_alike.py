"""The same table in every kind of database gives the same profile."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from checks.profile import Answer, Answers, Broken, Grid, Histogram, Keyed, Number, Profile
from checks.question import Categories, Distribution, Duplicates, Keys, Population, Question, Sample, Scalar, Watermark
from checks.window import Window
from monitor.kinds import source_kinds
from monitor.measuring.measure import measure, reading
from monitor.sources.base import Place, Source, scheme_of

DAY = Window(datetime(2024, 3, 5, tzinfo=UTC), datetime(2024, 3, 6, tzinfo=UTC))
IN_WINDOW = 97
COLUMNS = ("id", "amount", "price", "country", "paid", "at", "seen", "born", "big", "wild", "label", "fine", "edge", "gone")
NUMBERS = ("id", "amount", "price", "big", "wild", "fine", "edge", "gone")
EXACT = ("id", "amount", "price", "fine", "big")
Row = tuple[Any, ...]
WILD = (1e300, -1e300, 1e-300, math.nan, math.inf, -math.inf, None, 0.0, 0.1, 1 / 3, 1e17, -2.5)
LABELS = ("a", "A", " a", "ü\u00df", "\U0001f600", "x" * 300, "line\nbreak", "it's", '"quoted"', "1.0", "1", None)
EDGES = {"edge": Grid(0.0, 1.0)}
"""A grid whose edges the column `edge` lies on, to the last bit."""


def rows(lacks: str = "") -> list[Row]:
    """Two days, 100 rows each; only the second is the window. `lacks`: what the engine has none of, `nan` or `infinity`."""
    out: list[Row] = []
    for n in range(200):
        at = datetime(2024, 3, 4) + timedelta(minutes=14 * n + 7 * (n >= 100), microseconds=250_000 * (n % 3))
        wild = WILD[n % len(WILD)]
        out.append(
            (
                n,
                None if n % 10 == 3 else n * 1.25 - 40,
                Decimal(n % 7) + Decimal("0.50"),
                None if n % 20 == 5 else ("DE", "FR", "a'b", "")[n % 4],
                None if n % 25 == 7 else n % 3 == 0,
                at,
                at.replace(tzinfo=UTC),
                date(1980, 1, 1) + timedelta(days=n % 5),
                (2**53 + n, 2**63 - 1 - n % 2, -(2**62) - n)[n % 3],
                None if _has_not(wild, lacks) else wild,
                LABELS[n % len(LABELS)],
                (Decimal(n) / 7).quantize(Decimal("0.000001")),
                math.sinh((n - 100) / 64),
                None,
            )
        )
    return out


def _has_not(value: float | None, lacks: str) -> bool:
    return value is not None and ((math.isnan(value) and "nan" in lacks) or (math.isinf(value) and "infinity" in lacks))


@dataclass(frozen=True)
class Home:
    """Where the table lies, what the source is called, and which numbers it cannot hold (they are NULL there)."""

    source: Source
    place: Place
    lacks: str = ""
    instants_only: bool = False
    """Every time is an instant there: no wall-clock times."""


def source(url: str, **settings: Any) -> Source:
    """The source of a url, chosen as the config does: the kind that answers best."""
    scheme = scheme_of(url)
    kind = max(source_kinds(), key=lambda kind: kind.answers_to(scheme))
    assert kind.answers_to(scheme) > 0
    return kind(url=SecretStr(url), **settings)


def write_parquet(file: Path, lacks: str = "") -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = [pa.int64(), pa.float64(), pa.decimal128(10, 2), pa.string(), pa.bool_()]
    kinds += [pa.timestamp("us"), pa.timestamp("us", tz="UTC"), pa.date32()]
    kinds += [pa.int64(), pa.float64(), pa.string(), pa.decimal128(18, 6), pa.float64(), pa.float64()]
    arrays = [pa.array(values, kind) for values, kind in zip(zip(*rows(lacks), strict=True), kinds, strict=True)]
    pq.write_table(pa.table(dict(zip(COLUMNS, arrays, strict=True))), file)
    return file


def in_parquet(folder: Path, _: pytest.FixtureRequest, lacks: str = "") -> Home:
    file = write_parquet(folder / f"orders{lacks}.parquet", lacks)
    return Home(source(""), Place(table=str(file), time_column="at"), lacks)


def in_duckdb(folder: Path, request: pytest.FixtureRequest) -> Home:
    import duckdb

    in_parquet(folder, request)
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        connection.execute("CREATE TABLE orders AS FROM read_parquet(?)", [str(folder / "orders.parquet")])
    return Home(source(f"duckdb:///{folder}/shop.duckdb"), Place(table="orders", time_column="at"))


def in_sqlite(folder: Path, _: pytest.FixtureRequest) -> Home:
    with closing(sqlite3.connect(folder / "shop.db")) as connection, connection:
        connection.execute(
            "CREATE TABLE orders (id BIGINT, amount DOUBLE, price DECIMAL(10,2), country TEXT, paid BOOLEAN, "
            "at TIMESTAMP, seen TIMESTAMP, born DATE, big BIGINT, wild DOUBLE, label TEXT, fine DECIMAL(18,6), "
            "edge DOUBLE, gone DOUBLE)"
        )
        connection.executemany(f"INSERT INTO orders VALUES ({', '.join('?' * len(COLUMNS))})", [plain(r) for r in rows()])
    connection.close()
    return Home(source(f"sqlite:///{folder}/shop.db"), Place(table="orders", time_column="at"), "nan")


def plain(row: Row) -> Row:
    """A row as SQLite keeps it: decimals as floats, times and dates as text."""
    kinds = {Decimal: float, datetime: str, date: str}
    return tuple(kinds.get(type(value), lambda value: value)(value) for value in row)


def in_postgres(_: Path, request: pytest.FixtureRequest) -> Home:
    server = request.getfixturevalue("postgres")
    server.run(
        "DROP TABLE IF EXISTS orders",
        "CREATE TABLE orders (id bigint, amount float8, price numeric(10,2), country text, paid boolean, at timestamp, "
        "seen timestamptz, born date, big bigint, wild float8, label text, fine numeric(18,6), edge float8, gone float8)",
        *inserts(),
    )
    return Home(source(server.reader), Place(table="orders", time_column="at"))


def in_mariadb(folder: Path, request: pytest.FixtureRequest) -> Home:
    pytest.importorskip("MySQLdb")
    home = in_mariadb_by_sqlalchemy(folder, request)
    return Home(source(home.source.url.get_secret_value().replace("mysql+pymysql://", "mysql://")), home.place, home.lacks)


def in_mariadb_by_sqlalchemy(_: Path, request: pytest.FixtureRequest) -> Home:
    server, lacks = request.getfixturevalue("mariadb"), "nan,infinity"
    server.run(
        "DROP TABLE IF EXISTS orders",
        "SET time_zone = '+00:00'",
        "CREATE TABLE orders (id bigint, amount double, price decimal(10,2), country varchar(20), paid boolean, at datetime(6), "
        "seen timestamp(6) null, born date, big bigint, wild double, label varchar(400), fine decimal(18,6), edge double, "
        "gone double) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin",
        *(statement.replace("+00:00'", "'") for statement in inserts(lacks)),
    )
    return Home(source(server.reader.replace("mysql://", "mysql+pymysql://")), Place(table="orders", time_column="at"), lacks)


def in_spark(folder: Path, request: pytest.FixtureRequest) -> Home:
    """In a catalogue of a real cluster: driver and executors are processes of their own."""
    cluster = request.getfixturevalue("spark")
    file = write_parquet(folder / "lake.parquet")
    cluster.run("DROP TABLE IF EXISTS orders", f"CREATE TABLE orders USING parquet LOCATION 'file://{file}'")
    return Home(source(cluster.master), Place(table="orders", time_column="at"))


def in_spark_by_connect(folder: Path, request: pytest.FixtureRequest) -> Home:
    return Home(source(request.getfixturevalue("spark").connect), in_spark(folder, request).place)


def in_clickhouse(folder: Path, _: pytest.FixtureRequest) -> Home:
    """In ClickHouse's own engine, as chDB has it, on a folder."""
    pytest.importorskip("chdb")
    import clickhouse_connect

    columns = (
        "id Int64, amount Nullable(Float64), price Nullable(Decimal(10,2)), country Nullable(String), paid Nullable(Bool), "
        "at DateTime64(6), seen DateTime64(6,'UTC'), born Date32, big Int64, wild Nullable(Float64), label Nullable(String), "
        "fine Decimal(18,6), edge Float64, gone Nullable(Float64)"
    )
    file, url = write_parquet(folder / "orders.parquet"), f"chdb:///{folder}/shop"
    with closing(clickhouse_connect.get_client(dsn=url)) as client:
        client.command("SET session_timezone = 'UTC'")
        client.command(f"CREATE TABLE orders ({columns}) ENGINE = MergeTree ORDER BY tuple()")
        client.command(f"INSERT INTO orders SELECT * FROM file('{file}', Parquet)")
    return Home(source(url), Place(table="orders", time_column="at"), instants_only=True)


def inserts(lacks: str = "") -> Iterable[str]:
    return (f"INSERT INTO orders VALUES ({', '.join(literal(value) for value in row)})" for row in rows(lacks))


def literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, (bool, int, Decimal)) or (isinstance(value, float) and math.isfinite(value)):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


HOMES = [
    in_parquet,
    in_duckdb,
    in_sqlite,
    in_postgres,
    in_mariadb,
    in_mariadb_by_sqlalchemy,
    in_clickhouse,
    in_spark,
    in_spark_by_connect,
]
Maker = Callable[[Path, pytest.FixtureRequest], Home]


@pytest.fixture(params=HOMES, ids=lambda home: home.__name__)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    maker: Maker = request.param
    return maker(tmp_path, request)


def column(form: str, name: str, expression: Callable[[Any], Any]) -> Scalar:
    """A question about one column, in the form that a check asks it."""
    return Scalar(f"{form}({name})", lambda t: expression(t[name]), "add")


def scalars() -> list[Question]:
    """Every form of expression that the checks use."""
    sound = 1.7e308
    found: list[Question] = [column("missing", name, lambda c: c.isnull().sum()) for name in COLUMNS]
    found += [column("present", name, lambda c: c.count()) for name in COLUMNS]
    found += [column("minimum", name, lambda c: c.min(where=None)) for name in EXACT]
    found += [column("maximum", name, lambda c: c.max(where=None)) for name in EXACT]
    return [
        *found,
        column("minimum", "wild", lambda c: c.min(where=(c >= -sound) & (c <= sound))),
        column("sum", "amount", lambda c: c.sum()),
        column("mean", "fine", lambda c: c.cast("float64").mean()),
        column("true", "paid", lambda c: c.sum()),
        column("others", "country", lambda c: (~c.isin(["DE", "FR"])).sum()),
        column("others", "id", lambda c: (~c.isin([1, 150])).sum()),
        column("newest", "at", lambda c: c.cast("timestamp").max().epoch_seconds()),
    ]


def questions() -> list[Question]:
    found: list[Question] = scalars()
    found += [Distribution(c) for c in NUMBERS]
    found += [Categories(c) for c in COLUMNS if c not in {"wild", "edge", "gone"}]
    found += [Duplicates(("country",)), Duplicates(("id",)), Duplicates(("price", "paid")), Watermark(), Sample(rows=10)]
    return found


def profile(home: Home, place: Place | None = None, window: Window = DAY, asked: list[Question] | None = None) -> Profile:
    every = questions() if asked is None else asked
    per_segment: list[Question] = [q for q in every if not isinstance(q, Sample)]
    populations = {Population(): every}
    if asked is None:
        populations |= {Population(by="country"): per_segment, Population(where="amount > 100 -- large"): per_segment[:12]}
    with reading(home.source, place or home.place, window, timedelta(seconds=120)) as opened:
        return measure(opened, populations, EDGES)


def storable(answers: Answers) -> dict[str, Any]:
    assert not {key: answer for key, answer in answers.items() if isinstance(answer, Broken)}
    return {key: answer for key, answer in answers.items() if not key.startswith("sample")}


def test_every_kind_gives_the_same_profile(home: Home, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    expected, found = profile(in_parquet(tmp_path, request, home.lacks)), profile(home)
    assert found.rows == IN_WINDOW
    assert found.parts.keys() == expected.parts.keys()
    for part, answers in expected.parts.items():
        ours, theirs = storable(found.parts[part]), storable(answers)
        assert ours.keys() == theirs.keys()
        assert not [(key, ours[key], theirs[key]) for key in theirs if not alike(key, ours[key], theirs[key])], part


def alike(key: str, found: Answer, expected: Answer) -> bool:
    """Equal counts; sums to 1e-9; times to the second that some engines cut them to; a bucket may differ by the rows that lie
    within 1e-12 of its edges."""
    if key in {"watermark", "newest(at)"}:
        return bool(math.floor(found.value) == math.floor(expected.value))  # type: ignore[union-attr, arg-type]
    if isinstance(found, Number) and isinstance(expected, Number):
        return found == expected or (found.merge == expected.merge and close(found.value, expected.value))
    if isinstance(found, Histogram) and isinstance(expected, Histogram):
        return same_histogram(key.removeprefix("distribution(").removesuffix(")"), found, expected)
    return found == expected


def same_histogram(column: str, found: Histogram, expected: Histogram) -> bool:
    marks = ("missing", "nan", "negative_infinity", "positive_infinity", "finite", "grid")
    if any(getattr(found, mark) != getattr(expected, mark) for mark in marks):
        return False
    movable = on_an_edge(column, found.grid)
    for bucket in found.buckets.keys() | expected.buckets.keys():
        (n, s), (m, t) = found.buckets.get(bucket, (0, 0.0)), expected.buckets.get(bucket, (0, 0.0))
        if abs(n - m) > movable[bucket] + movable[bucket + 1] or (n == m and not movable[bucket] and not close(s, t)):
            return False
    return True


def on_an_edge(column: str, grid: Grid) -> Counter[int]:
    """Bucket -> how many rows lie within 1e-12 of its lower edge."""
    near: Counter[int] = Counter()
    for row in rows():
        value = row[COLUMNS.index(column)]
        if value is not None and math.isfinite(value) and abs(value) < 1e200:
            height = 64 * math.asinh((float(value) - grid.center) / grid.scale)
            near[round(height)] += abs(height - round(height)) < 64e-12
    return near


def close(found: float | None, expected: float | None) -> bool:
    if found is None or expected is None or isinstance(expected, int):
        return found == expected
    return math.isclose(found, expected, rel_tol=1e-9)


def test_every_kind_picks_the_same_keys(home: Home, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    asked: list[Question] = [Keys(("id", "country"), ("amount", "price", "paid", "label"), most=20)]
    there = in_parquet(tmp_path, request, home.lacks)
    theirs, ours = (profile(one, asked=asked).answers()[asked[0].key] for one in (there, home))
    assert isinstance(theirs, Keyed)
    assert len(theirs.keys) == 20
    assert theirs.full
    assert ours == theirs


def test_every_kind_counts_booleans_as_0_and_1(home: Home) -> None:
    found = profile(home, asked=[Distribution("paid")]).answers()["distribution(paid)"]
    assert isinstance(found, Histogram)
    assert (found.missing, found.finite, found.low, found.high) == (4, 93, 0.0, 1.0)
    assert found.total() == 31


def test_the_comparison_above_sees_a_row_in_another_bucket() -> None:
    grid = Grid(0.0, 1.0)
    one = Histogram.of(grid, {5: (2, 1.0), 6: (1, 0.5)})
    assert same_histogram("gone", one, one)
    assert not same_histogram("gone", Histogram.of(grid, {5: (1, 1.0), 6: (2, 0.5)}), one)
    assert not same_histogram("gone", Histogram.of(grid, {5: (2, 1.0), 6: (1, 0.5 + 1e-6)}), one)
    assert not same_histogram("gone", Histogram.of(grid, {5: (2, 1.0), 6: (1, 0.5)}, missing=1), one)
    assert same_histogram("edge", Histogram.of(grid, {5: (1, 0.5), 6: (2, 1.0)}), one)


def test_a_query_gives_the_same_as_its_table(home: Home) -> None:
    if home.place.table and home.place.table.endswith(".parquet"):
        query = f"select * from '{home.place.table}'"
    else:
        query = "select * from orders"
    # A query of MariaDB's does not tell that `paid` is a boolean, nor what sort of text a binary collation compares.
    few: list[Question] = [
        Distribution("amount"),
        Distribution("wild"),
        Categories("country"),
        Categories("at"),
        Duplicates(("price",)),
        Watermark(),
    ]
    table, query_of_it = profile(home, asked=few), profile(home, Place(query=query, time_column="at"), asked=few)
    assert storable(query_of_it.answers()) == storable(table.answers())


@pytest.mark.parametrize("column", ["at", "seen", "born"])
def test_every_kind_filters_by_every_sort_of_time(home: Home, column: str) -> None:
    cast = {"born": Window(datetime(1980, 1, 2, tzinfo=UTC), datetime(1980, 1, 4, tzinfo=UTC))}
    found = profile(home, Place(table=home.place.table, time_column=column), cast.get(column, DAY), [])
    assert found.rows == {"at": IN_WINDOW, "seen": IN_WINDOW, "born": 80}[column]


def test_a_wall_clock_time_is_one_of_the_datasets_zone(home: Home) -> None:
    # 23:00 to 23:00 UTC is midnight to midnight in Paris, and that is what the column says.
    paris = Window(datetime(2024, 3, 4, 23, tzinfo=UTC), datetime(2024, 3, 5, 23, tzinfo=UTC), "Europe/Paris")
    wall = profile(home, Place(table=home.place.table, time_column="at", timezone="Europe/Paris"), paris, [])
    instants = profile(home, Place(table=home.place.table, time_column="seen", timezone="Europe/Paris"), paris, [])
    ours = {r[0] for r in rows() if paris.start <= r[6] < paris.end}
    assert instants.rows == len(ours) != IN_WINDOW
    assert wall.rows == (len(ours) if home.instants_only else IN_WINDOW)


def test_the_watermark_is_the_newest_time_before_the_windows_end(home: Home) -> None:
    long_ago = Window(datetime(1999, 1, 1, tzinfo=UTC), datetime(1999, 1, 2, tzinfo=UTC))
    newest = max(r[6] for r in rows() if r[6] < DAY.end).timestamp()
    with reading(home.source, home.place, DAY, timedelta(seconds=30)) as opened:
        assert home.source.newest(opened.connection, home.place, DAY) in {newest, math.floor(newest)}
        assert home.source.newest(opened.connection, home.place, long_ago) is None


def test_an_empty_window_has_no_rows_and_empty_answers(home: Home) -> None:
    empty = Window(datetime(2031, 1, 1, tzinfo=UTC), datetime(2031, 1, 2, tzinfo=UTC))
    few: list[Question] = [Distribution("amount"), Categories("country"), column("maximum", "id", lambda c: c.max())]
    answers = storable(profile(home, window=empty, asked=few).answers())
    assert answers["rows"].value == 0
    assert answers["distribution(amount)"].finite == 0
    assert answers["categories(country)"].total == 0
    assert answers["maximum(id)"].value is None


def test_a_missing_table_is_told_with_what_is_there(home: Home) -> None:
    from monitor.sources.base import SourceError

    name = home.place.table or ""
    missing = name.replace("orders", "ordrs")
    with pytest.raises(SourceError, match=r"ordrs.*") as told:
        profile(home, Place(table=missing, time_column="at"))
    assert "orders" in str(told.value) or missing.endswith(".parquet")


def test_a_missing_time_column_is_told_with_what_is_there(home: Home) -> None:
    from monitor.sources.base import SourceError

    with pytest.raises(SourceError, match=r"no time column amonut.*amount"):
        profile(home, Place(table=home.place.table, time_column="amonut"))


def test_a_number_is_no_time_and_the_remedy_is_told(home: Home) -> None:
    from monitor.sources.base import SourceError

    with pytest.raises(SourceError, match=r"id is .* which is no time; give a query"):
        profile(home, Place(table=home.place.table, time_column="id"))


def parts() -> list[Callable[[Any], dict[str, Any]]]:
    """Two numbers and a text per part, from columns with gaps, NaN and infinities, and one that is never there."""
    import ibis

    def part(place: int, column: str) -> Callable[[Any], dict[str, Any]]:
        return lambda t: {"q": ibis.literal(place, "int32"), "x": t[column].cast("float64"), "h": t.id * place, "s": t.country}

    return [part(place, column) for place, column in enumerate(("amount", "wild", "price", "gone"))]


@pytest.mark.parametrize("count", [1, 4])
def test_unpivoted_is_the_union_of_the_parts(home: Home, count: int) -> None:
    import ibis

    def grouped(table: Any) -> list[tuple[Any, ...]]:
        known = table.mutate(x=ibis.ifelse(table.x.isnull(), 1, 0), k=ibis.ifelse(table.x < 100, 1, 0))
        found = known.group_by("q", "x", "k", "s").aggregate(n=known.count(), h=known.h.sum())
        records = home.source.rows(opened.connection, found)
        return sorted((tuple(None if v is None else (v if isinstance(v, str) else int(v)) for v in r) for r in records), key=str)

    with reading(home.source, home.place, DAY, timedelta(seconds=120)) as opened:
        few = opened.table.select("id", "country", "amount", "wild", "price", "gone")
        expected = grouped(Source.unpivoted(home.source, opened.connection, few, parts()[:count]))
        assert grouped(home.source.unpivoted(opened.connection, few, parts()[:count])) == expected
    assert sum(record[4] for record in expected) == count * IN_WINDOW


@pytest.mark.parametrize("maker", [in_postgres, in_sqlite], ids=lambda maker: maker.__name__)
def test_a_row_store_reads_its_table_once_for_all_columns(maker: Maker, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    home = maker(tmp_path, request)

    def scans(table: Any) -> int:
        explain = "EXPLAIN " if maker is in_postgres else "EXPLAIN QUERY PLAN "
        plan = home.source.run(opened.connection, explain + opened.connection.compile(table))
        lines = [str(record[-1]) for record in plan]
        # SQLite names what it scans by alias: a scan of the transient table is not one of the table.
        return sum("Scan on orders" in line for line in lines) if maker is in_postgres else _scans_below_materialize(plan)

    with reading(home.source, home.place, DAY, timedelta(seconds=30)) as opened:
        assert scans(home.source.unpivoted(opened.connection, opened.table, parts())) == 1
        if maker is in_postgres:
            assert scans(Source.unpivoted(home.source, opened.connection, opened.table, parts())) == 4


def _scans_below_materialize(plan: list[tuple[Any, ...]]) -> int:
    """Scans of tables in SQLite's plan (id, parent, unused, words): those inside what is materialized, which must be there once."""
    [made] = [step for step, _, _, words in plan if words == "MATERIALIZE datavigil_window"]
    return sum(parent == made and words.startswith("SCAN") for _, parent, _, words in plan)
