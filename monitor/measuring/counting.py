"""Answers that are numbers: scalars, duplicates; and value counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from checks.profile import Counts, Number
from checks.question import Categories, Duplicates, Scalar
from monitor.measuring.asking import SEGMENT, Found, Rowset, need

if TYPE_CHECKING:
    import ibis.expr.types as ir

LONGEST = 200
"""Characters of a value that are kept."""


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


def categories(rowset: Rowset, asked: Sequence[Categories]) -> Found:
    """Rows per value, the most frequent first: one query for the totals of all columns, one for their top values.

    No more values than a column's cap leave the engine.
    """
    found = Found()
    tops: dict[tuple[str | None, int], list[tuple[str, int]]] = defaultdict(list)
    for record in rowset.asked(("top", *asked), lambda: _tops(rowset, asked)):
        segment, (place, text, n) = (record[-1], record[:-1]) if rowset.segmented else (None, record)
        if text is not None:
            tops[segment, place].append((text, int(n)))
    for record in rowset.asked(("totals", *asked), lambda: _totals(rowset, asked)):
        segment, (rows, *totals) = (record[0], record[1:]) if rowset.segmented else (None, record)
        for place, question in enumerate(asked):
            form = _form(rowset.table[question.column].type())
            values = tops[segment, place][: question.cap]
            known, distinct = int(totals[2 * place]), int(totals[2 * place + 1])
            found.answers[segment][question.key] = _counts(values, form, int(rows), known, distinct)
    return found


def _totals(rowset: Rowset, asked: Sequence[Categories]) -> ir.Table:
    """Rows, then values and distinct values per column."""
    columns: dict[str, Any] = {"rows": rowset.table.count()}
    for place, question in enumerate(asked):
        value = _value(rowset, question.column)
        columns |= {f"n{place}": value.count(), f"d{place}": value.nunique()}
    table = rowset.table
    return (table.group_by(**rowset.keys(table)) if rowset.segmented else table).aggregate(**columns)


def _tops(rowset: Rowset, asked: Sequence[Categories]) -> ir.Table:
    import ibis

    parts = [_top(rowset, question, place) for place, question in enumerate(asked)]
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


def _top(rowset: Rowset, question: Categories, place: int) -> ir.Table:
    """Question, value as text, rows; one row more than the cap, because NULL is a group too."""
    import ibis

    table = rowset.table
    groups = table.group_by(v=_value(rowset, question.column), **rowset.keys(table)).aggregate(n=table.count())
    order = [ibis.desc("n"), ibis.asc("v")]
    if rowset.segmented:
        ranked = groups.mutate(r=ibis.row_number().over(ibis.window(group_by=SEGMENT, order_by=order)))
        top = ranked.filter(ranked.r <= question.cap)
    else:
        top = groups.order_by(order).limit(question.cap + 1)
    text = as_text(top.v, table[question.column].type()).substr(0, LONGEST)
    return top.select(q=ibis.literal(place, "int32"), v=text, n=top.n.cast("int64"), **rowset.keys(top))


def _value(rowset: Rowset, name: str) -> Any:
    """A column as it is, or (JSON, arrays, unknown types, which not every engine can group by) as text."""
    column = need(rowset.table, name)
    kind = column.type()
    groups = kind.is_numeric() or kind.is_string() or kind.is_boolean() or kind.is_timestamp() or kind.is_date()
    return column if groups else column.cast("string")


def as_text(value: Any, kind: Any) -> Any:
    """A value as text in the engine, alike on all of them where `spelled` has done its part."""
    import ibis

    if kind.is_boolean():
        return ibis.cases((value, "true"), (~value, "false"))
    return value if kind.is_string() else value.cast("string")


def spelled(text: str, form: str) -> str:
    """An engine's spelling of a number or a time as ours: 1.50 and 1.5 are one value, and so are two ways to write UTC.

    NUL bytes and half characters, which no database and no message can hold, are written out.
    """
    if form == "number":
        text = _number_text(text)
    elif form == "time":
        text = text.replace("T", " ").removesuffix("+00:00").removesuffix("+00").removesuffix("Z")
        text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()


def number_of(value: Any) -> int | float | None:
    """A driver's number as Python's. Raises ValueError for what is none."""
    if value is None or isinstance(value, (int, float)):
        return int(value) if isinstance(value, bool) else value
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        raise ValueError(f"a number was asked for, and the source gave the time {value}; ask for its epoch seconds")
    return float(value)


def _form(kind: Any) -> str:
    if kind.is_numeric() and not kind.is_boolean():
        return "number"
    return "time" if kind.is_timestamp() or kind.is_date() else "text"


def _number_text(text: str) -> str:
    try:
        number = Decimal(text)
    except ArithmeticError:
        return text
    if not number.is_finite():
        return "NaN" if number.is_nan() else ("inf" if number > 0 else "-inf")
    if "." not in text and "e" not in text.lower():
        return text
    plain = f"{number:f}"
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return "0" if number == 0 else (plain if len(plain) < 25 else f"{number.normalize():e}")


def _counts(values: Sequence[tuple[str, int]], form: str, rows: int, known: int, distinct: int) -> Counts:
    counts: dict[str, int] = {}
    for text, n in values:
        key = spelled(text, form)
        counts[key] = counts.get(key, 0) + n
    return Counts(counts, known - sum(counts.values()), distinct, rows - known)
