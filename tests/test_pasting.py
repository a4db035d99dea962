"""The SQL in a message: it runs as it stands and finds the rows that are meant; and how unusual a value is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pytest
from sqlalchemy import insert

from alerts.problem import Problem
from checks.result import Family
from checks.window import Window
from monitor.dataset import Dataset
from monitor.pasting import bad_rows
from monitor.store.store import Store
from monitor.store.tables import results
from monitor.store.unusual import unusual

ONE, TWO = datetime(2026, 11, 23, 1, tzinfo=UTC), datetime(2026, 11, 23, 2, tzinfo=UTC)


def problem(kind: str, column: str | None = "amount", **more: Any) -> Problem:
    return Problem("f", "orders", f"{kind}({column})", kind, Family.QUALITY, column, **more)


def dataset(**more: Any) -> Dataset:
    given = {"name": "orders", "source": "shop", "table": 'main.or"ders', "time_column": "happened", "timezone": "Europe/Berlin"}
    return Dataset.model_validate({**given, **more})


@pytest.fixture
def orders() -> Any:
    con = duckdb.connect()
    con.execute('create table "or""ders" (happened timestamp, amount double, id int)')
    # 01:00 UTC is 02:00 in Berlin.
    con.execute("""insert into "or""ders" values
        ('2026-11-23 01:59:59', null, 0), ('2026-11-23 02:00:00', null, 1), ('2026-11-23 02:30:00', -5, 2),
        ('2026-11-23 02:59:59', 5, 2), ('2026-11-23 03:00:00', null, 3)""")
    return con


@pytest.mark.parametrize(
    ("finding", "rows"),
    [
        (problem("missing"), [(None, 1)]),
        (problem("value_range", at_least=0.0, at_most=100.0), [(-5.0, 2)]),
        (problem("unique", "id"), [(2, 2)]),
        (problem("row_count", None), [(3,)]),
        (problem("freshness", None), [(datetime(2026, 11, 23, 3),)]),
    ],
    ids=lambda f: f.kind if isinstance(f, Problem) else "",
)
def test_what_is_pasted_finds_the_rows_that_are_meant(orders: Any, finding: Problem, rows: list[Any]) -> None:
    asked = bad_rows(dataset(), "duckdb", Window(ONE, TWO, "UTC"), finding)
    assert asked is not None
    found = orders.execute(asked).fetchall()
    assert [row[-2:] if len(row) > 2 else row for row in found] == rows


def test_of_values_it_counts_each(orders: Any) -> None:
    asked = bad_rows(dataset(), "duckdb", Window(ONE, TWO, "UTC"), problem("drift", "id"))
    assert orders.execute(asked).fetchall() == [(2, 2), (1, 1)]


def test_a_query_is_put_into_the_query(orders: Any) -> None:
    made = dataset(table=None, query='select * from "or""ders" where id > 1')
    asked = bad_rows(made, "duckdb", Window(ONE, TWO, "UTC"), problem("row_count", None))
    assert orders.execute(asked).fetchall() == [(2,)]


def test_names_are_quoted_as_the_source_does() -> None:
    asked = bad_rows(dataset(table="a`b"), "mysql+pymysql", Window(ONE, TWO, "UTC"), problem("missing", "x`; drop table y"))
    assert asked is not None
    assert "FROM `a``b`" in asked
    assert "`x``; drop table y` IS NULL" in asked


@pytest.mark.parametrize(
    "finding", [problem("columns", None), problem("evidently"), problem("value_range"), problem("missing", None)]
)
def test_where_there_are_no_rows_to_show_there_is_no_query(finding: Problem) -> None:
    assert bad_rows(dataset(), "duckdb", Window(ONE, TWO, "UTC"), finding) is None


def write(store: Store, *values: float | None, segment: str = "") -> None:
    same = {"dataset": "orders", "check": "missing(amount)", "kind": "missing", "family": "quality", "column": "amount"}
    with store.begin() as connection:
        for n, value in enumerate(values, 1):
            start = ONE - n * timedelta(days=1)
            row = {"window_start": start, "window_end": start + timedelta(hours=1), "status": "passed", "message": "", "at": start}
            connection.execute(insert(results).values(**same, **row, segment=segment, value=value))


@pytest.mark.parametrize(
    ("value", "said"), [(0.3, "highest in 40 days"), (0.05, "lowest in 40 days"), (0.15, ""), (0.2, ""), (None, "")]
)
def test_how_unusual_a_value_is(store: Store, value: float | None, said: str) -> None:
    write(store, *[0.1, 0.2] * 20)
    write(store, *[0.9] * 20, segment="country=DE")
    with store.reading() as connection:
        assert unusual(connection, problem("missing", value=value), ONE) == said


def test_of_a_few_values_none_is_unusual(store: Store) -> None:
    write(store, *[0.1] * 9, None, None)
    with store.reading() as connection:
        assert unusual(connection, problem("missing", value=5.0), ONE) == ""
