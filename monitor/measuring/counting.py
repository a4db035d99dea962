"""Answers that are numbers: scalars, duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from checks.profile import Broken, Number
from checks.question import Duplicates, Repeats, Scalar
from monitor.measuring.asking import SEGMENT, Found, Rowset, need

if TYPE_CHECKING:
    import ibis.expr.types as ir


def scalars(rowset: Rowset, asked: Sequence[Scalar]) -> Found:
    """One aggregate query for all of them."""
    found = Found()
    for record in rowset.asked(("scalars", *(q.key for q in asked)), lambda: _aggregate(rowset, asked)):
        segment, values = (record[0], record[1:]) if rowset.segmented else (None, record)
        found.answers[segment] = {q.key: Number(number_of(v), q.merge) for q, v in zip(asked, values, strict=True)}
    return found


def _aggregate(rowset: Rowset, asked: Sequence[Scalar]) -> ir.Table:
    table = rowset.table
    columns = {f"q{place}": question.expression(table) for place, question in enumerate(asked)}
    return (table.group_by(**rowset.keys(table)) if rowset.segmented else table).aggregate(**columns)


def duplicates(rowset: Rowset, asked: Sequence[Duplicates]) -> Found:
    """Rows beyond the first per key; one query each."""
    found = Found()
    for question in asked:
        table = rowset.table
        keys = {f"k{place}": need(table, column) for place, column in enumerate(question.columns)}
        whole = table.select(**keys, **rowset.keys(table)).drop_null(list(keys))
        groups = whole.group_by(*whole.columns).aggregate(n=whole.count())
        grouped = groups.group_by(SEGMENT) if rowset.segmented else groups
        for record in rowset.rows(grouped.aggregate(beyond=(groups.n - 1).sum())):
            segment = record[0] if rowset.segmented else None
            found.answers[segment][question.key] = Number(number_of(record[-1]) or 0)
    return found


def repeats(rowset: Rowset, question: Repeats, rows: int) -> Found:
    """Rows beyond the first of their like; missing values are alike."""
    if rows > question.most:
        return Found(broken={question.key: Broken(f"not counted in windows of more than {question.most} rows")})
    found, table = Found(), rowset.table
    keys = {f"k{place}": need(table, column) for place, column in enumerate(question.columns)}
    whole = table.select(**keys, **rowset.keys(table))
    groups = whole.distinct()
    grouped = groups.group_by(SEGMENT) if rowset.segmented else groups
    kept = {(r[0] if rowset.segmented else None): number_of(r[-1]) for r in rowset.rows(grouped.aggregate(n=groups.count()))}
    counted = whole.group_by(SEGMENT) if rowset.segmented else whole
    for record in rowset.rows(counted.aggregate(n=whole.count())):
        segment = record[0] if rowset.segmented else None
        found.answers[segment][question.key] = Number((number_of(record[-1]) or 0) - (kept.get(segment) or 0))
    return found


def number_of(value: Any) -> int | float | None:
    """A driver's number as Python's. Raises ValueError for what is none."""
    if value is None or isinstance(value, (int, float)):
        return int(value) if isinstance(value, bool) else value
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        raise ValueError(f"a number was asked for, and the source gave the time {value}; ask for its epoch seconds")
    return float(value)
