"""Which kind of source a url gets, and what every kind promises."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from monitor.kinds import source_kinds
from monitor.sources.base import Source, scheme_of


def best(url: str) -> type[Source] | None:
    """The kind that answers best; None where nobody does."""
    scheme = scheme_of(url)
    kind = max(source_kinds(), key=lambda kind: kind.answers_to(scheme))
    return kind if kind.answers_to(scheme) else None


@pytest.mark.parametrize(
    ("url", "kind", "was_run"),
    [
        ("", "Files", True),
        ("duckdb:///a.duckdb", "DuckDB", True),
        ("sqlite:///a.db", "SQLite", True),
        ("postgres://h/d", "Postgres", True),
        ("POSTGRESQL://h/d", "Postgres", True),
        ("postgresql+psycopg://h/d", "Postgres", True),
        ("mysql://h/d", "IbisUrl", True),
        ("mariadb://h/d", "IbisUrl", True),
        ("snowflake://h/d", "IbisUrl", False),
        ("bigquery://p/d", "IbisUrl", False),
        ("trino://h/d", "IbisUrl", False),
        ("clickhouse://h/d", "ClickHouse", False),
        ("chdb:///d", "ClickHouse", True),
        ("sc://h:15002", "Spark", True),
        ("spark://h:7077", "Spark", True),
        ("spark://?spark.master=local[2]", "Spark", True),
        ("k8s://https://h:443", "Spark", True),
        ("pyspark://?spark.master=yarn", "Spark", True),
        ("mysql+pymysql://h/d", "SQLAlchemyUrl", True),
        ("oracle+oracledb://h/d", "SQLAlchemyUrl", False),
    ],
)
def test_a_url_gets_its_kind(url: str, kind: str, was_run: bool) -> None:
    found = best(url)
    assert found is not None
    assert found.__name__ == kind
    assert found(url=SecretStr(url)).was_run is was_run


def test_a_scheme_that_nobody_knows_gets_none() -> None:
    assert best("gopher://h/d") is None


@pytest.mark.parametrize("kind", source_kinds(), ids=lambda kind: kind.__name__)
def test_every_kind_says_what_it_is_and_answers_to_something(kind: type[Source]) -> None:
    assert kind.__doc__
    assert len(kind.__doc__) > 60
    schemes = [*kind.schemes, "mysql", "mysql+pymysql"]
    assert any(kind.answers_to(scheme) for scheme in schemes)


@pytest.mark.parametrize("kind", source_kinds(), ids=lambda kind: kind.__name__)
def test_no_kind_shows_its_password(kind: type[Source]) -> None:
    source = kind(url=SecretStr("postgres://reader:hunter2@h/d"))
    assert "hunter2" not in f"{source!r} {source}"
    assert "hunter2" not in source.said("cannot open postgres://reader:hunter2@h/d")
