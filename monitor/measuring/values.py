"""Value counts of columns: every value where there are not too many, else those that a sample shows to be frequent."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from checks.profile import Counts
from checks.question import Categories
from monitor.measuring.asking import SEGMENT, Found, Rowset, need
from monitor.measuring.histograms import SAMPLE, exactly_enough

if TYPE_CHECKING:
    import ibis.expr.types as ir

LONGEST = 200
"""Characters of a value that are kept."""
MOST_RARE = 500_000
"""Rows with values of their own, as a sample tells, up to which a column's rows are grouped by its values."""
PARTS = 32
"""Of which one is counted where distinct values are estimated by their hash."""
OVERLOOKED = 0.002
"""The share of the rows that a value may have and still not be among the frequent ones of a sample; seen twice or more among
10,000 rows is all but certain (1 - 4e-8) for a value that has it."""


def categories(rowset: Rowset, asked: Sequence[Categories], rows: int) -> Found:
    """Rows per value, the most frequent first; `rows` are those of the window.

    Where most rows have a value of their own, grouping by it would cost more than all other questions together: then the values
    that a sample holds more than once are counted, and the distinct ones are estimated by engines that can.
    """
    rare = _rare(rowset, asked, rows)
    few = [question for question in asked if question.column not in rare]
    many = [question for question in asked if question.column in rare]
    found = _grouped(rowset, few) if few else Found()
    return found.add(_frequent(rowset, many, rare)) if many else found


def _grouped(rowset: Rowset, asked: Sequence[Categories]) -> Found:
    """One query for the totals of all columns, one for their top values. No more values than a column's cap leave the engine."""
    tops: dict[tuple[str | None, int], list[tuple[str, int]]] = defaultdict(list)
    for record in rowset.asked(("top", *asked), lambda: _tops(rowset, asked)):
        segment, (place, text, n) = (record[-1], record[:-1]) if rowset.segmented else (None, record)
        if text is not None:
            tops[segment, place].append((text, int(n)))
    return _answers(rowset, asked, tops, approximate=False)


def _frequent(rowset: Rowset, asked: Sequence[Categories], candidates: Mapping[str, Sequence[Any]]) -> Found:
    """The candidates counted in one query, all else as other."""
    import ibis

    tops: dict[tuple[str | None, int], list[tuple[str, int]]] = defaultdict(list)
    parts = [_counted(rowset, q, place, candidates[q.column]) for place, q in enumerate(asked) if candidates[q.column]]
    if parts:
        for record in rowset.rows(ibis.union(*parts) if len(parts) > 1 else parts[0]):
            segment, (place, text, n) = (record[-1], record[:-1]) if rowset.segmented else (None, record)
            tops[segment, place].append((text, int(n)))
    for found in tops.values():
        found.sort(key=lambda pair: (-pair[1], pair[0]))
    return _answers(rowset, asked, tops, approximate=True)


def _answers(
    rowset: Rowset, asked: Sequence[Categories], tops: Mapping[tuple[str | None, int], list[tuple[str, int]]], approximate: bool
) -> Found:
    found = Found()
    for record in rowset.asked(("totals", approximate, *asked), lambda: _totals(rowset, asked, approximate)):
        segment, (rows, *totals) = (record[0], record[1:]) if rowset.segmented else (None, record)
        for place, question in enumerate(asked):
            how = form(rowset.table[question.column].type())
            values = tops.get((segment, place), [])[: question.cap]
            known = int(totals[2 * place])
            distinct = min(int(totals[2 * place + 1]), known)  # An estimate may be above what is possible.
            counts = _counts(values, how, int(rows), known, distinct, OVERLOOKED if approximate else 0.0)
            found.answers[segment][question.key] = counts
    return found


def _rare(rowset: Rowset, asked: Sequence[Categories], rows: int) -> dict[str, list[Any]]:
    """The text columns in which too many rows have a value that hardly another has, with the values that are frequent."""
    import ibis

    texts = {q.column: q for q in asked if need(rowset.table, q.column).type().is_string()}
    if rows <= MOST_RARE or not texts:
        return {}
    picked = rowset.only(*texts)
    sample = rowset.rows(picked.filter(ibis.random() < exactly_enough(rows)).limit(SAMPLE))
    found = {}
    for place, (column, question) in enumerate(texts.items()):
        counted = Counter(record[place] for record in sample if record[place] is not None)
        # Good and Turing: values seen once have the share of the rows that values not seen at all have (Good 1953).
        once = sum(n == 1 for n in counted.values())
        if once / max(len(sample), 1) * rows > MOST_RARE:
            found[column] = [value for value, n in counted.most_common(question.cap) if n > 1]
    return found


def _counted(rowset: Rowset, question: Categories, place: int, values: Sequence[Any]) -> ir.Table:
    import ibis

    table = rowset.only(question.column)
    column = table[question.column]
    named = table.filter(column.isin(values))
    groups = named.group_by(v=named[question.column], **rowset.keys(named)).aggregate(n=named.count())
    return groups.select(
        q=ibis.literal(place, "int32"), v=groups.v.substr(0, LONGEST), n=groups.n.cast("int64"), **rowset.keys(groups)
    )


def _totals(rowset: Rowset, asked: Sequence[Categories], approximate: bool) -> ir.Table:
    """Rows, then values and distinct values per column."""
    table = rowset.only(*(question.column for question in asked))
    columns: dict[str, Any] = {"rows": table.count()}
    for place, question in enumerate(asked):
        value = _value(table, question.column)
        distinct = _estimated(rowset, value) if approximate else value.nunique()
        columns |= {f"n{place}": value.count(), f"d{place}": distinct}
    return (table.group_by(**rowset.keys(table)) if rowset.segmented else table).aggregate(**columns)


def _estimated(rowset: Rowset, value: Any) -> Any:
    """About how many distinct values; exactly, where an engine can neither estimate nor choose values by their hash."""
    if rowset.connection.name != "postgres":
        return value.approx_nunique()
    # What Ibis calls approximate there is exact, and sorts all values. A thirty-second of the values tells to a hundredth.
    return value.nunique(where=value.hash() % PARTS == 0) * PARTS


def _tops(rowset: Rowset, asked: Sequence[Categories]) -> ir.Table:
    import ibis

    parts = [_top(rowset, question, place) for place, question in enumerate(asked)]
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


def _top(rowset: Rowset, question: Categories, place: int) -> ir.Table:
    """Question, value as text, rows; one row more than the cap, because NULL is a group too."""
    import ibis

    table = rowset.only(question.column)
    groups = table.group_by(v=_value(table, question.column), **rowset.keys(table)).aggregate(n=table.count())
    order = [ibis.desc("n"), ibis.asc("v")]
    if rowset.segmented:
        ranked = groups.mutate(r=ibis.row_number().over(ibis.window(group_by=SEGMENT, order_by=order)))
        top = ranked.filter(ranked.r <= question.cap)
    else:
        top = groups.order_by(order).limit(question.cap + 1)
    text = as_text(top.v, table[question.column].type()).substr(0, LONGEST)
    return top.select(q=ibis.literal(place, "int32"), v=text, n=top.n.cast("int64"), **rowset.keys(top))


def _value(table: ir.Table, name: str) -> Any:
    """A column as it is, or (JSON, arrays, unknown types, which not every engine can group by) as text."""
    column = table[name]
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


def form(kind: Any) -> str:
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


def _counts(values: Sequence[tuple[str, int]], form: str, rows: int, known: int, distinct: int, error: float) -> Counts:
    counts: dict[str, int] = {}
    for text, n in values:
        key = spelled(text, form)
        counts[key] = counts.get(key, 0) + n
    return Counts(counts, known - sum(counts.values()), distinct, rows - known, error)
