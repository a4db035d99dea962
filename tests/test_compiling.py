"""Databases we never talked to: what would be sent is composed for each, and what cannot be said is said beforehand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from checks.base import Check
from checks.question import Categories, Distribution, Duplicates, Population, Query, Question, Sample, Scalar, Watermark
from monitor.compiling import KINDS, composed, gaps
from monitor.dataset import Dataset
from monitor.kinds import check_kinds, source_kinds
from monitor.sources.base import Place, Source
from monitor.sources.files import Files
from monitor.sources.ibis_url import known

PLACE = Place(table="shop.orders", time_column="at")
SCHEMA = {"id": "int64", "amount": "float64", "price": "decimal(10, 2)", "country": "string", "paid": "boolean", "born": "date"}
SCHEMA |= {"at": "timestamp('UTC')", "wall": "timestamp"}
WHOLE = ("athena", "bigquery", "databricks", "datafusion", "impala", "snowflake", "trino")
"""Dialects that have words for everything."""
NO_EPOCH = "Compilation rule for 'ExtractEpochSeconds' operation is not defined"
NO_REGEX = "Compilation rule for 'RegexSearch' operation is not defined"
NO_RANDOM = "Compilation rule for 'RandomScalar' operation is not defined"


def source(dialect: str) -> Source:
    kind = max(source_kinds(), key=lambda kind: kind.answers_to(dialect))
    return kind(url=SecretStr(f"{dialect}://reader:hunter2@nowhere/shop"))


def missing(column: str) -> Scalar:
    return Scalar(f"missing({column})", lambda t: t[column].isnull().sum(), "add")


def questions() -> list[Question]:
    """One of every kind, in every form that the checks use."""
    asked: list[Question] = [missing(c) for c in SCHEMA]
    asked += [Scalar("others", lambda t: (~t.country.isin(["DE"])).sum()), Scalar("lowest", lambda t: t.amount.min(where=t.id > 1))]
    asked += [
        Scalar("newest", lambda t: t["at"].max().epoch_seconds()),
        Scalar("unlike", lambda t: (~t.country.re_search("^D")).sum()),
    ]
    asked += [Distribution("id"), Distribution("amount"), Distribution("price"), *(Categories(c) for c in SCHEMA)]
    asked += [Duplicates(("id",)), Duplicates(("country", "price")), Watermark(), Sample(rows=10)]
    return [*asked, Query("select count(*) from {window} where amount > 1 and wall < {end}"), Query("select 1", True)]


def compose(dialect: str, place: Place = PLACE) -> Any:
    asked = questions()
    populations = {Population(): asked, Population(by="country"): asked[:-3], Population(where="amount > 100 -- large"): asked}
    return composed(source(dialect), place, populations, SCHEMA)


@pytest.mark.parametrize("dialect", WHOLE)
def test_every_kind_of_question_has_words(dialect: str) -> None:
    found = compose(dialect)
    assert not found.faults
    assert len(found.statements) > 20


@pytest.mark.parametrize("dialect", WHOLE)
@pytest.mark.parametrize("place", [PLACE, Place(query="select * from shop.orders where not test", time_column="wall")])
def test_every_statement_is_sql_of_the_dialect(dialect: str, place: Place) -> None:
    import sqlglot

    spoken = {"impala": "hive", "datafusion": "postgres"}.get(dialect, dialect)
    for statement in compose(dialect, place).statements:
        [parsed] = sqlglot.parse(statement, read=spoken)
        assert isinstance(parsed, sqlglot.exp.Query)


def test_the_window_and_the_condition_are_in_what_would_be_sent() -> None:
    statements = compose("snowflake").statements
    assert all("2024-03-06" in s or "2024, 3, 6" in s for s in statements if "orders" in s and "MAX(" not in s)
    assert any("100" in s and "amount" in s.lower() for s in statements)


EXPECTED = {
    "oracle": {"newest": NO_EPOCH, "watermark": NO_EPOCH},
    "mssql": {"unlike": NO_REGEX},
    "exasol": {"unlike": NO_REGEX},
    "druid": {f"distribution({c})": NO_RANDOM for c in ("id", "amount", "price")},
}


@pytest.mark.parametrize("dialect", EXPECTED)
def test_what_a_dialect_has_no_words_for_is_named(dialect: str) -> None:
    unsupported = compose(dialect).unsupported
    assert {key: unsupported.get(key) for key in EXPECTED[dialect]} == EXPECTED[dialect]


def check(kind: str, **settings: Any) -> Check:
    return check_kinds()[kind](**settings)


def dataset(*checks: Check, **settings: Any) -> Dataset:
    return Dataset(name="orders", source="lake", table="shop.orders", time_column="at", checks=checks, **settings)


@pytest.mark.parametrize("dialect", WHOLE)
def test_a_dialect_with_all_words_has_no_gaps(dialect: str) -> None:
    pattern = check("pattern", column="email", regex="^[^@]+@")
    own = [pattern, check("unique", columns=["a", "b"]), check("missing", column="a", where="b > 1")]
    assert gaps(source(dialect), dataset(*own, segments=["country"])) == []


def test_a_check_of_the_users_that_cannot_be_asked_is_named_with_the_reason() -> None:
    found = gaps(source("mssql"), dataset(check("pattern", column="email", regex="^x"), auto=False))
    assert found == [f"pattern(email) cannot be asked: {NO_REGEX}"]


def test_learned_checks_that_cannot_be_asked_are_named_by_what_they_ask() -> None:
    found = gaps(source("druid"), dataset())
    assert f"distribution(fractions) cannot be asked: {NO_RANDOM}" in found
    assert not [said for said in found if "missing(" in said]


def test_a_check_whose_column_has_another_type_is_no_gap() -> None:
    assert gaps(source("trino"), dataset(check("pattern", column="email", regex="^x"), auto=False)) == []


def test_a_condition_that_is_no_sql_is_a_gap_of_its_check_alone() -> None:
    own = [check("missing", column="a", where="b >"), check("missing", column="b")]
    [said] = gaps(source("trino"), dataset(*own, auto=False))
    assert said.startswith("missing(a)")


def test_a_query_that_is_no_sql_is_told() -> None:
    bad = Dataset(name="o", source="lake", query="select from where", time_column="at")
    [said] = gaps(source("trino"), bad)
    assert "the query" in said


@pytest.mark.parametrize("dialect", sorted(known()))
def test_every_dialect_answers_and_none_connects(dialect: str) -> None:
    for said in gaps(source(dialect), dataset(check("missing", column="a"))):
        assert "hunter2" not in said
        assert "AttributeError" not in said


def test_check_config_says_it_under_the_dataset(tmp_path: Path) -> None:
    from monitor.config import load
    from monitor.printing import checked

    (tmp_path / "config.toml").write_text("""
        [sources.erp]
        url = "mssql://reader:secret@nowhere/shop"
        [datasets.orders]
        source = "erp"
        table = "dbo.orders"
        time_column = "at"
        auto = false
        checks = [{kind = "pattern", column = "email", regex = "^x"}, {kind = "missing", column = "email"}]
        [channels.screen]
        kind = "console"
    """)
    lines = checked(load(tmp_path / "config.toml"))
    assert f"  pattern(email) cannot be asked: {NO_REGEX}" in lines
    assert any("erp" in line and "compiled, never run" in line for line in lines)
    assert not any("missing(email)" in line for line in lines)


def test_what_was_run_is_not_looked_at() -> None:
    assert gaps(Files(url=SecretStr("")), dataset()) == []
    assert gaps(source("mysql"), dataset()) == []


def test_one_column_of_every_type_the_learned_checks_tell_apart_is_looked_at() -> None:
    from checks.question import column_kind

    assert {column_kind(kind) for kind in KINDS.values()} == {"number", "text", "boolean", "time"}
