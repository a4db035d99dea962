"""The same table in every kind of database gives the same profile."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from checks.profile import Answers, Broken, Profile
from checks.question import Categories, Distribution, Duplicates, Population, Question, Sample, Scalar, Watermark
from checks.window import Window
from monitor.kinds import source_kinds
from monitor.measuring.measure import measure, reading
from monitor.sources.base import Place, Source, scheme_of

DAY = Window(datetime(2024, 3, 5, tzinfo=UTC), datetime(2024, 3, 6, tzinfo=UTC))
IN_WINDOW = 97
COLUMNS = ("id", "amount", "price", "country", "paid", "at", "seen", "born")
Row = tuple[Any, ...]


def rows() -> list[Row]:
    """Two days, 100 rows each; only the second is the window."""
    out: list[Row] = []
    for n in range(200):
        at = datetime(2024, 3, 4) + timedelta(minutes=14 * n + 7 * (n >= 100))
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
            )
        )
    return out


@dataclass(frozen=True)
class Home:
    """Where the table lies, and what the source is called."""

    source: Source
    place: Place


def source(url: str, **settings: Any) -> Source:
    """The source of a url, chosen as the config does: the kind that answers best."""
    scheme = scheme_of(url)
    kind = max(source_kinds(), key=lambda kind: kind.answers_to(scheme))
    assert kind.answers_to(scheme) > 0
    return kind(url=SecretStr(url), **settings)


def in_parquet(folder: Path, _: pytest.FixtureRequest) -> Home:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = [pa.int64(), pa.float64(), pa.decimal128(10, 2), pa.string(), pa.bool_()]
    kinds += [pa.timestamp("us"), pa.timestamp("us", tz="UTC"), pa.date32()]
    arrays = [pa.array(values, kind) for values, kind in zip(zip(*rows(), strict=True), kinds, strict=True)]
    pq.write_table(pa.table(dict(zip(COLUMNS, arrays, strict=True))), folder / "orders.parquet")
    return Home(source(""), Place(table=str(folder / "orders.parquet"), time_column="at"))


def in_duckdb(folder: Path, request: pytest.FixtureRequest) -> Home:
    import duckdb

    in_parquet(folder, request)
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        connection.execute("CREATE TABLE orders AS FROM read_parquet(?)", [str(folder / "orders.parquet")])
    return Home(source(f"duckdb:///{folder}/shop.duckdb"), Place(table="orders", time_column="at"))


def in_sqlite(folder: Path, _: pytest.FixtureRequest) -> Home:
    with sqlite3.connect(folder / "shop.db") as connection:
        connection.execute(
            "CREATE TABLE orders (id BIGINT, amount DOUBLE, price DECIMAL(10,2), country TEXT, paid BOOLEAN, "
            "at TIMESTAMP, seen TIMESTAMP, born DATE)"
        )
        plain = [(*r[:2], r[2] and float(r[2]), *r[3:5], str(r[5]), r[6].isoformat(), str(r[7])) for r in rows()]
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?)", plain)
    connection.close()
    return Home(source(f"sqlite:///{folder}/shop.db"), Place(table="orders", time_column="at"))


def in_postgres(_: Path, request: pytest.FixtureRequest) -> Home:
    server = request.getfixturevalue("postgres")
    server.run(
        "DROP TABLE IF EXISTS orders",
        "CREATE TABLE orders (id bigint, amount float8, price numeric(10,2), country text, paid boolean, at timestamp, "
        "seen timestamptz, born date)",
        *(f"INSERT INTO orders VALUES ({', '.join(literal(v) for v in row)})" for row in rows()),
    )
    return Home(source(server.reader), Place(table="orders", time_column="at"))


def in_mariadb(folder: Path, request: pytest.FixtureRequest) -> Home:
    pytest.importorskip("MySQLdb")
    home = in_mariadb_by_sqlalchemy(folder, request)
    return Home(source(home.source.url.get_secret_value().replace("mysql+pymysql://", "mysql://")), home.place)


def in_mariadb_by_sqlalchemy(_: Path, request: pytest.FixtureRequest) -> Home:
    server = request.getfixturevalue("mariadb")
    server.run(
        "DROP TABLE IF EXISTS orders",
        "SET time_zone = '+00:00'",
        "CREATE TABLE orders (id bigint, amount double, price decimal(10,2), country varchar(20), paid boolean, at datetime(6), "
        "seen timestamp(6) null, born date)",
        *(f"INSERT INTO orders VALUES ({', '.join(literal(v) for v in row)})".replace("+00:00'", "'") for row in rows()),
    )
    return Home(source(server.reader.replace("mysql://", "mysql+pymysql://")), Place(table="orders", time_column="at"))


def literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, (bool, int, float, Decimal)):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


HOMES = [in_parquet, in_duckdb, in_sqlite, in_postgres, in_mariadb, in_mariadb_by_sqlalchemy]
Maker = Callable[[Path, pytest.FixtureRequest], Home]


@pytest.fixture(params=HOMES, ids=lambda home: home.__name__)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    maker: Maker = request.param
    return maker(tmp_path, request)


def missing(column: str) -> Scalar:
    return Scalar(f"missing({column})", lambda t: t[column].isnull().sum(), "add")


def questions() -> list[Question]:
    asked: list[Question] = [missing(column) for column in COLUMNS]
    asked += [Distribution(c) for c in ("id", "amount", "price")]
    asked += [Categories(c) for c in COLUMNS]
    asked += [Duplicates(("country",)), Duplicates(("id",)), Watermark(), Sample(rows=10)]
    return asked


def profile(home: Home, place: Place | None = None, window: Window = DAY) -> Profile:
    populations = {
        Population(): questions(),
        Population(by="country"): [*questions()[:-1]],
        Population(where="amount > 100 -- large"): questions()[:12],
    }
    with reading(home.source, place or home.place, window, timedelta(seconds=30)) as opened:
        return measure(opened, populations, {})


def storable(answers: Answers) -> dict[str, Any]:
    assert not {key: answer for key, answer in answers.items() if isinstance(answer, Broken)}
    return {key: answer for key, answer in answers.items() if not key.startswith("sample")}


def test_every_kind_gives_the_same_profile(home: Home, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    expected, found = profile(in_parquet(tmp_path, request)), profile(home)
    assert found.rows == IN_WINDOW
    assert found.parts.keys() == expected.parts.keys()
    for part, answers in expected.parts.items():
        assert storable(found.parts[part]) == storable(answers), part


def test_a_query_gives_the_same_as_its_table(home: Home) -> None:
    if home.place.table and home.place.table.endswith(".parquet"):
        query = f"select * from '{home.place.table}'"
    else:
        query = "select * from orders"
    table, asked = profile(home), profile(home, Place(query=query, time_column="at"))
    alike = {key for key in storable(table.answers()) if "paid" not in key}
    assert {k: asked.answers()[k] for k in alike} == {k: table.answers()[k] for k in alike}


@pytest.mark.parametrize("column", ["at", "seen", "born"])
def test_every_kind_filters_by_every_sort_of_time(home: Home, column: str) -> None:
    cast = {"born": Window(datetime(1980, 1, 2, tzinfo=UTC), datetime(1980, 1, 4, tzinfo=UTC))}
    found = profile(home, Place(table=home.place.table, time_column=column), cast.get(column, DAY))
    assert found.rows == {"at": IN_WINDOW, "seen": IN_WINDOW, "born": 80}[column]


def test_a_wall_clock_time_is_one_of_the_datasets_zone(home: Home) -> None:
    # 23:00 to 23:00 UTC is midnight to midnight in Paris, and that is what the column says.
    paris = Window(datetime(2024, 3, 4, 23, tzinfo=UTC), datetime(2024, 3, 5, 23, tzinfo=UTC), "Europe/Paris")
    wall = profile(home, Place(table=home.place.table, time_column="at", timezone="Europe/Paris"), paris)
    instants = profile(home, Place(table=home.place.table, time_column="seen", timezone="Europe/Paris"), paris)
    assert wall.rows == profile(home).rows
    ours = {r[0] for r in rows() if paris.start <= r[6] < paris.end}
    assert instants.rows == len(ours) != wall.rows


def test_the_watermark_is_the_newest_time_before_the_windows_end(home: Home) -> None:
    long_ago = Window(datetime(1999, 1, 1, tzinfo=UTC), datetime(1999, 1, 2, tzinfo=UTC))
    newest = max(r[6] for r in rows() if r[6] < DAY.end).timestamp()
    with reading(home.source, home.place, DAY, timedelta(seconds=30)) as opened:
        assert home.source.newest(opened.connection, home.place, DAY) == newest
        assert home.source.newest(opened.connection, home.place, long_ago) is None


def test_an_empty_window_has_no_rows_and_empty_answers(home: Home) -> None:
    empty = Window(datetime(2031, 1, 1, tzinfo=UTC), datetime(2031, 1, 2, tzinfo=UTC))
    answers = storable(profile(home, window=empty).answers())
    assert answers["rows"].value == 0
    assert answers["distribution(amount)"].finite == 0
    assert answers["categories(country)"].total == 0


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
