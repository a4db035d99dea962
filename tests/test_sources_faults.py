"""What goes wrong with a source is told in words: what, where, what to do, and never with a password in it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from checks.profile import Broken, Number
from checks.question import Distribution, Population, Query, Question, Scalar
from checks.window import Window
from monitor.kinds import source_kinds
from monitor.measuring.measure import measure, reading
from monitor.sources.base import Place, Source, SourceDown, SourceError, scheme_of
from monitor.sources.duckdb import DuckDB
from monitor.sources.faults import nearest, plain
from monitor.sources.ibis_url import IbisUrl
from monitor.sources.postgres import Postgres
from monitor.sources.sqlalchemy_url import SQLAlchemyUrl
from monitor.sources.sqlite import SQLite

DAY = Window(datetime(2024, 3, 5, tzinfo=UTC), datetime(2024, 3, 6, tzinfo=UTC))
SOON = timedelta(seconds=5)
PASSWORD = "hunter2/&?%"
SPELLINGS = ("hunter2/&?%", "hunter2%2F%26%3F%25", "hunter2")


def opened(source: Source, place: Place, timeout: timedelta = SOON) -> Any:
    return reading(source, place, DAY, timeout)


def driver_of(scheme: str) -> None:
    """Skips where the scheme's driver is not installed."""
    pytest.importorskip({"postgres": "psycopg", "mysql": "MySQLdb", "mysql+pymysql": "pymysql"}[scheme])


def told(source: Source, place: Place | None = None, timeout: timedelta = SOON) -> tuple[type[Exception], str]:
    """The class and text of the error that reading raises; no password is in it."""
    with pytest.raises(SourceError) as error, opened(source, place or Place(table="orders"), timeout):
        pass
    assert not any(secret in str(error.value) for secret in SPELLINGS)
    assert "\n" not in str(error.value)
    return type(error.value), str(error.value)


@pytest.mark.parametrize("kind", [Postgres, IbisUrl, SQLAlchemyUrl], ids=lambda kind: kind.__name__)
def test_a_source_that_does_not_answer_is_down(kind: type[Source]) -> None:
    scheme = {Postgres: "postgres", IbisUrl: "mysql", SQLAlchemyUrl: "mysql+pymysql"}[kind]
    driver_of(scheme)
    url = f"{scheme}://reader:hunter2%2F%26%3F%25@127.0.0.1:1/shop"
    error, text = told(kind(url=SecretStr(url)))
    assert error is SourceDown
    assert "does not let us in" in text


@pytest.mark.parametrize("scheme", ["postgres", "mysql", "mysql+pymysql"])
def test_a_wrong_password_is_told_and_not_leaked(scheme: str, request: pytest.FixtureRequest) -> None:
    driver_of(scheme)
    server = request.getfixturevalue("postgres" if scheme == "postgres" else "mariadb")
    kind = {"postgres": Postgres, "mysql": IbisUrl, "mysql+pymysql": SQLAlchemyUrl}[scheme]
    url = server.reader.replace("p%40ss%2Fw%3Ard", "hunter2%2F%26%3F%25").replace(scheme_of(server.reader), scheme)
    error, text = told(kind(url=SecretStr(url)))
    assert error is SourceDown
    assert "reader" in text


@pytest.mark.parametrize("url", ["mysql+pymysql://a:hunter2@h:port/d", "trino://a:hunter2@h/d", "postgres://a:hunter2@[h/d"])
def test_a_url_that_is_not_understood_or_has_no_driver_is_told_and_not_leaked(url: str) -> None:
    scheme = scheme_of(url)
    kind = max(source_kinds(), key=lambda kind: kind.answers_to(scheme))
    _, text = told(kind(url=SecretStr(url)))
    assert text


def test_a_missing_driver_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(url: str) -> None:
        raise ModuleNotFoundError("No module named 'MySQLdb'")

    monkeypatch.setattr("ibis.connect", connect)
    _, text = told(IbisUrl(url=SecretStr("mysql://a:hunter2@127.0.0.1/d")))
    assert "pip install 'datavigil[mysql]'" in text


@pytest.mark.parametrize("text", ["no hunter2 here", "quoted hunter2%2F%26%3F%25", f"as it is: {PASSWORD}", "token s3cret"])
def test_no_spelling_of_a_secret_survives(text: str) -> None:
    url = f"postgres://a:hunter2%2F%26%3F%25@h/d?password={'s3cret'}"
    cleaned = plain(text.replace("hunter2 ", PASSWORD + " "), url)
    assert not any(secret in cleaned for secret in (*SPELLINGS, "s3cret"))


def test_a_message_is_one_short_line() -> None:
    assert plain("first line\nLINE 1: select") == "first line"
    assert len(plain("x" * 5000)) == 300


def test_the_nearest_names_are_told() -> None:
    assert nearest("ordrs", ["orders", "refunds", "users"]) == " (there is orders)"
    assert nearest("x", []) == " (there is none at all)"
    assert nearest("zzz", [f"t{n}" for n in range(20)]).endswith(", ...)")


@pytest.mark.parametrize(("kind", "scheme"), [(DuckDB, "duckdb"), (SQLite, "sqlite")])
def test_a_database_file_that_is_not_there_is_a_source_that_is_down(kind: type[Source], scheme: str, tmp_path: Path) -> None:
    error, text = told(kind(url=SecretStr(f"{scheme}:///{tmp_path}/no.db")))
    assert error is SourceDown
    assert "no.db" in text


@pytest.mark.parametrize(("kind", "scheme"), [(DuckDB, "duckdb"), (SQLite, "sqlite")])
def test_a_file_that_is_no_database_is_a_source_that_is_down(kind: type[Source], scheme: str, tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"this is no database at all" * 1000)
    error, text = told(kind(url=SecretStr(f"{scheme}:///{tmp_path}/a.db")))
    assert error is SourceDown
    assert "cannot be opened" in text


def test_a_duckdb_file_that_somebody_writes_is_waited_for_and_then_told(tmp_path: Path) -> None:
    file = tmp_path / "a.duckdb"
    code = (
        f"import duckdb; c = duckdb.connect({str(file)!r}); c.execute('create table t (x int)'); print('open', flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"open\n"
        error, text = told(DuckDB(url=SecretStr(f"duckdb:///{file}")), timeout=timedelta(milliseconds=300))
        writer.communicate(b"\n")
    assert error is SourceDown
    assert "held open" in text
    with opened(DuckDB(url=SecretStr(f"duckdb:///{file}")), Place(table="t")) as read:
        assert measure(read, {}, {}).rows == 0


@pytest.fixture
def counted(postgres: Any) -> Iterator[Source]:
    postgres.run("DROP TABLE IF EXISTS counted", "CREATE TABLE counted AS SELECT n, n * 0.5 AS x FROM generate_series(1, 100) n")
    yield Postgres(url=SecretStr(postgres.reader))
    postgres.run("DROP TABLE counted")


def test_a_query_that_hangs_is_ended_by_the_source(counted: Source) -> None:
    slow = Query("select pg_sleep(30)::text::int + count(*) from {window} w")
    quick = counted.model_copy(update={"statement_timeout": timedelta(milliseconds=200)})
    with opened(quick, Place(table="counted")) as read:
        answers = measure(read, {Population(): [slow, Distribution("x")]}, {}).answers()
    broken = answers[slow.key]
    assert isinstance(broken, Broken)
    assert "timeout" in broken.reason
    assert not isinstance(answers["distribution(x)"], Broken)


def test_a_window_whose_measuring_hangs_is_an_error_at_once(counted: Source) -> None:
    quick = counted.model_copy(update={"statement_timeout": timedelta(milliseconds=200)})
    place = Place(query="select *, pg_sleep(1) from counted")
    with pytest.raises(SourceError, match="took too long"), opened(quick, place) as read:
        measure(read, {Population(): [Distribution("x"), Distribution("n")]}, {})


def test_a_sqlite_query_that_hangs_is_ended(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS x")
        connection.commit()
    slow = Query("with recursive r(n) as (select 1 union all select n + 1 from r) select count(*) from r")
    source = SQLite(url=SecretStr(f"sqlite:///{tmp_path}/a.db"), statement_timeout=timedelta(milliseconds=300))
    with opened(source, Place(table="t")) as read:
        answer = measure(read, {Population(): [slow]}, {}).answers()[slow.key]
    assert isinstance(answer, Broken)
    assert answer.reason == "interrupted"


def test_a_sqlite_file_cannot_be_written(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS x")
        connection.commit()
    source = SQLite(url=SecretStr(f"sqlite:///{tmp_path}/a.db"))
    with opened(source, Place(table="t")) as read, pytest.raises(sqlite3.OperationalError, match="readonly"):
        read.connection.raw_sql("INSERT INTO t VALUES (2)")


@pytest.mark.parametrize("scheme", ["mysql", "mysql+pymysql"])
def test_a_mariadb_statement_that_hangs_is_ended(scheme: str, mariadb: Any) -> None:
    driver_of(scheme)
    mariadb.run("CREATE OR REPLACE TABLE one (x int)", "INSERT INTO one VALUES (1)")
    kind = {"mysql": IbisUrl, "mysql+pymysql": SQLAlchemyUrl}[scheme]
    url = mariadb.reader.replace("mysql", scheme)
    source = kind(url=SecretStr(url), statement_timeout=timedelta(seconds=1))
    with (
        pytest.raises(SourceError, match="took too long"),
        opened(source, Place(query="select x, sleep(30) as s from one")) as read,
    ):
        measure(read, {Population(): [Distribution("x"), Distribution("s")]}, {})


@pytest.mark.parametrize(
    ("fixture", "name"), [("postgres", "public.named"), ("postgres", "named"), ("mariadb", "shop.named"), ("mariadb", "named")]
)
def test_a_table_may_be_named_with_its_schema(fixture: str, name: str, request: pytest.FixtureRequest) -> None:
    driver_of({"mariadb": "mysql"}.get(fixture, fixture))
    server = request.getfixturevalue(fixture)
    server.run("DROP TABLE IF EXISTS named", "CREATE TABLE named AS SELECT 1 AS x")
    kind = {"postgres": Postgres, "mariadb": IbisUrl}[fixture]
    with opened(kind(url=SecretStr(server.reader)), Place(table=name)) as read:
        assert measure(read, {}, {}).rows == 1


def test_a_table_that_may_not_be_read_is_told(postgres: Any) -> None:
    postgres.run("DROP TABLE IF EXISTS hidden", "CREATE TABLE hidden (x int)", "REVOKE ALL ON hidden FROM reader")
    source = Postgres(url=SecretStr(postgres.reader))
    with pytest.raises(SourceError, match="hidden: permission denied"), opened(source, Place(table="hidden")) as read:
        measure(read, {}, {})


def test_the_session_cannot_write(counted: Source) -> None:
    with opened(counted, Place(table="counted")) as read, pytest.raises(Exception, match="read-only transaction"):
        read.connection.raw_sql("CREATE TEMP TABLE mine (x int)")


def test_a_connection_that_is_lost_is_a_source_that_is_down(counted: Source, postgres: Any) -> None:
    with opened(counted, Place(table="counted")) as read:
        [[process]] = counted.run(read.connection, "select pg_backend_pid()")
        postgres.run(f"select pg_terminate_backend({process}, 5000)")
        with pytest.raises(SourceDown, match="does not answer"):
            measure(read, {Population(): [Distribution("x"), Scalar("a", lambda t: t.x.max())]}, {})


def test_a_bad_question_never_hides_the_others(counted: Source) -> None:
    asked: list[Question] = [
        Scalar("sound", lambda t: t.x.max()),
        Scalar("gone", lambda t: t["nope"].max()),
        Scalar("zero", lambda t: (t.n.sum() / (t.n.sum() - 5050)).cast("int64")),
        Scalar("text", lambda t: t.n.cast("string").max()),
        Distribution("x"),
        Distribution("nope"),
        Query("select no from where"),
        Query("select 7"),
        Query("select n from {window} w"),
    ]
    with opened(counted, Place(table="counted")) as read:
        answers = measure(read, {Population(): asked}, {}).answers()
    broken = {key for key, answer in answers.items() if isinstance(answer, Broken)}
    assert {"gone", "distribution(nope)", "query(select no from where,False)", "query(select n from {window} w,False)"} <= broken
    assert answers["sound"] == Number(50.0)
    assert answers["query(select 7,False)"] == Number(7)
    assert answers["rows"] == Number(100, "add")
    assert "distribution(x)" not in broken


def test_a_condition_that_is_wrong_breaks_its_own_population_only(counted: Source) -> None:
    asked: dict[Population, list[Question]] = {
        Population(): [Distribution("x")],
        Population(where="nope > 1"): [Distribution("x")],
        Population(where="n > 90"): [],
    }
    with opened(counted, Place(table="counted")) as read:
        profile = measure(read, asked, {})
    assert isinstance(profile.answers("nope > 1")["rows"], Broken)
    assert isinstance(profile.answers("nope > 1")["distribution(x)"], Broken)
    assert profile.answers("n > 90")["rows"] == Number(10, "add")
    assert not isinstance(profile.answers()["distribution(x)"], Broken)


def test_a_segment_column_that_is_gone_is_told(counted: Source) -> None:
    with opened(counted, Place(table="counted")) as read:
        profile = measure(read, {Population(by="nope"): [Distribution("x")]}, {})
    assert profile.segments(None, "nope") == ["nope=(unreadable)"]
    assert isinstance(profile.answers(None, "nope=(unreadable)")["distribution(x)"], Broken)
