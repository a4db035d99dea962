"""ClickHouse: read-only, within limits, and its faults in words. Its own engine answers here, inside this process, as chDB."""

from __future__ import annotations

import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from checks.profile import Broken, Number
from checks.question import Distribution, Population, Query, Question, Scalar
from checks.window import Window
from monitor.measuring.measure import measure, reading
from monitor.sources.base import Place, SourceDown, SourceError
from monitor.sources.clickhouse import ClickHouse

DAY = Window(datetime(2024, 3, 5, tzinfo=UTC), datetime(2024, 3, 6, tzinfo=UTC))


@pytest.fixture
def shop(tmp_path: Path) -> ClickHouse:
    pytest.importorskip("chdb")
    import clickhouse_connect

    url = f"chdb:///{tmp_path}/shop"
    with closing(clickhouse_connect.get_client(dsn=url)) as client:
        client.command("CREATE TABLE orders (n Int64, x Float64) ENGINE = MergeTree ORDER BY n")
        client.command("INSERT INTO orders SELECT number, number / 2 FROM numbers(100)")
    return ClickHouse(url=SecretStr(url))


def opened(source: ClickHouse, place: Place) -> Any:
    return reading(source, place, DAY, timedelta(seconds=30))


def asked(source: ClickHouse, *questions: Question, place: Place | None = None) -> Any:
    with opened(source, place or Place(table="orders")) as read:
        return measure(read, {Population(): questions}, {}).answers()


def test_the_session_cannot_write(shop: ClickHouse) -> None:
    with opened(shop, Place(table="orders")) as read:
        for statement in ("CREATE TABLE mine (x Int64) ENGINE = Memory", "INSERT INTO orders VALUES (1, 1)", "DROP TABLE orders"):
            with pytest.raises(Exception, match="READONLY"):
                read.connection.raw_sql(statement)
        assert measure(read, {}, {}).rows == 100


def test_a_query_creates_no_view_to_learn_its_columns(shop: ClickHouse) -> None:
    with opened(shop, Place(query="select n, toString(x) as t from orders")) as read:
        assert read.schema == {"n": "int64", "t": "string"}
        assert read.connection.list_tables() == ["orders"]


def test_nothing_has_no_sum_and_no_maximum(shop: ClickHouse) -> None:
    empty = Place(query="select * from orders where n < 0")
    answers = asked(shop, Scalar("max", lambda t: t.n.max()), Scalar("sum", lambda t: t.x.sum()), place=empty)
    assert (answers["max"], answers["sum"]) == (Number(None), Number(None))


def test_a_table_may_be_named_with_its_database(shop: ClickHouse) -> None:
    assert asked(shop, place=Place(table="default.orders"))["rows"] == Number(100, "add")


@pytest.mark.parametrize(
    ("name", "there"), [("ordrs", "there is orders"), ("default.ordrs", "there is orders"), ("no.orders", "none at all")]
)
def test_a_table_that_is_not_there_is_told(shop: ClickHouse, name: str, there: str) -> None:
    with pytest.raises(SourceError, match=rf"there is no table {name} .*{there}"), opened(shop, Place(table=name)):
        pass


def test_a_statement_that_takes_too_long_is_ended_by_the_engine(shop: ClickHouse) -> None:
    quick = shop.model_copy(update={"statement_timeout": timedelta(seconds=1)})
    endless = Place(query="select sum(cityHash64(a.number, b.number)) as s from numbers(1000000) a cross join numbers(1000000) b")
    with pytest.raises(SourceError, match="took too long"):
        asked(quick, Distribution("s"), Scalar("max", lambda t: t.s.max()), place=endless)


def test_a_bad_question_never_hides_the_others(shop: ClickHouse) -> None:
    answers = asked(shop, Query("select throwIf(1, 'boom')"), Query("select 7"), Query("drop table orders"), Distribution("x"))
    broken = {key for key, answer in answers.items() if isinstance(answer, Broken)}
    assert broken == {"query(select throwIf(1, 'boom'),False)", "query(drop table orders,False)"}
    assert answers["query(select 7,False)"] == Number(7)


def test_a_server_that_does_not_answer_is_down_and_no_password_leaks() -> None:
    pytest.importorskip("clickhouse_connect")
    source = ClickHouse(url=SecretStr("clickhouse://reader:hunter2@127.0.0.1:1/shop?secure=false"))
    with pytest.raises(SourceDown, match="does not let us in") as error, opened(source, Place(table="orders")):
        pass
    assert "hunter2" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("scheme", ["clickhouse", "chdb"])
def test_a_missing_driver_is_told_with_what_to_install(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "clickhouse_connect", None)
    source = ClickHouse(url=SecretStr(f"{scheme}:////tmp"))
    with pytest.raises(SourceError, match=rf"pip install 'datavigil\[{scheme}\]'"), opened(source, Place(table="orders")):
        pass


def test_a_folder_that_is_not_there_is_down_and_is_not_made(tmp_path: Path) -> None:
    source = ClickHouse(url=SecretStr("chdb:///shop")).rooted(tmp_path)
    with pytest.raises(SourceDown, match=f"there is no folder {tmp_path}/shop"), opened(source, Place(table="orders")):
        pass
    assert not (tmp_path / "shop").exists()


def test_the_engine_was_run_and_the_server_was_not() -> None:
    assert ClickHouse(url=SecretStr("chdb:///folder")).was_run
    assert not ClickHouse(url=SecretStr("clickhouse://host/shop")).was_run
