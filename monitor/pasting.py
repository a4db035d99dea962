"""SQL for a person to paste into the source's own shell: the rows that a finding is about. Text only, nothing here runs it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from alerts.problem import Problem
from checks.window import Window
from monitor.dataset import Dataset

BACKTICKS = frozenset({"mysql", "mariadb", "bigquery", "databricks", "spark", "sc", "k8s", "clickhouse", "chdb", "hive"})
SHOWN = 20
VALUES = frozenset({"allowed_values", "distinct", "drift", "mean", "pattern", "quantile", "total"})
"""Kinds whose finding is about which values there are, and how many of each."""


def bad_rows(dataset: Dataset, scheme: str, window: Window, problem: Problem) -> str | None:
    """The query for a finding on a window, in the words of the source of this url scheme; None where there is none to give."""
    if dataset.per_file or (dataset.query and ";" in dataset.query):
        return None
    within = _within(dataset, scheme, window)
    rows = _from(dataset, scheme)
    if problem.kind == "freshness" and dataset.time_column:
        return f"SELECT max({_name(dataset.time_column, scheme)}) AS newest\nFROM {rows}"
    if problem.kind == "row_count":
        return f"SELECT count(*) AS {_name('rows', scheme)}\nFROM {rows}\nWHERE {within}"
    if problem.column is None:
        return None
    column = _name(problem.column, scheme)
    if problem.kind == "unique":
        repeated = f"GROUP BY {column}\nHAVING count(*) > 1\nORDER BY times DESC"
        return f"SELECT {column}, count(*) AS times\nFROM {rows}\nWHERE {within}\n{repeated}\nLIMIT {SHOWN}"
    if problem.kind in VALUES:
        each = f"GROUP BY {column}\nORDER BY times DESC"
        return f"SELECT {column}, count(*) AS times\nFROM {rows}\nWHERE {within}\n{each}\nLIMIT {SHOWN}"
    bad = _bad(problem, column)
    return f"SELECT *\nFROM {rows}\nWHERE {within}\n  AND {bad}\nLIMIT {SHOWN}" if bad else None


def _bad(problem: Problem, column: str) -> str:
    if problem.kind == "missing":
        return f"{column} IS NULL"
    if problem.kind == "value_range":
        outside = [f"{column} < {problem.at_least!r}"] if problem.at_least is not None else []
        outside += [f"{column} > {problem.at_most!r}"] if problem.at_most is not None else []
        return f"({' OR '.join(outside)})" if outside else ""
    return ""


def _from(dataset: Dataset, scheme: str) -> str:
    if dataset.query:
        return f"({dataset.query.strip()}) AS q"
    table = dataset.table or ""
    if dataset.source == "files":
        return _text(table)
    # A name with a schema before it is two names.
    return ".".join(_name(part, scheme) for part in table.split("."))


def _within(dataset: Dataset, scheme: str, window: Window) -> str:
    column = _name(dataset.time_column or "", scheme)
    return f"{column} >= {_moment(window.start, dataset)}\n  AND {column} < {_moment(window.end, dataset)}"


def _moment(at: datetime, dataset: Dataset) -> str:
    """In the dataset's own zone: that is how times without a zone are read here."""
    return _text(f"{at.astimezone(ZoneInfo(dataset.timezone)):%Y-%m-%d %H:%M:%S}")


def _name(name: str, scheme: str) -> str:
    mark = "`" if scheme.partition("+")[0] in BACKTICKS else '"'
    return mark + name.replace(mark, mark * 2) + mark


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
