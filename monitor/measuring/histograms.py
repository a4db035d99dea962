"""Distributions of numeric columns on the asinh grid: one query for many columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from checks.grid import Grid
from checks.histogram import Cells, Histogram
from checks.profile import Broken
from checks.question import Distribution
from monitor.measuring import fitting
from monitor.measuring import grid as grids
from monitor.measuring.asking import Found, Rowset, each_batch
from monitor.sources.base import Source

if TYPE_CHECKING:
    import ibis.expr.types as ir

SAMPLE = 10_000
"""Rows that a grid is made from."""


def made(rowset: Rowset, asked: Sequence[Distribution], rows: int) -> tuple[dict[str, Grid], dict[str, Broken]]:
    """A grid per column from a bounded sample of the window, whose rows are known; and the questions that have none."""
    found: dict[str, Grid] = {}

    def ask(some: Sequence[Distribution]) -> Found:
        found.update(_sampled(rowset, some, rows))
        return Found()

    broken = each_batch(rowset.source, asked, ask).broken
    return found, broken


def distributions(rowset: Rowset, asked: Sequence[Distribution], on: Mapping[str, Grid]) -> Found:
    """The histograms of the columns on their grids."""
    what = ("distributions", *asked, *(on[question.key] for question in asked))
    records: dict[tuple[str | None, int], list[tuple[Any, ...]]] = defaultdict(list)
    for question, *rest in rowset.asked(what, lambda: _union(rowset, asked, on)):
        segment, values = (rest[1], (rest[0], *rest[2:])) if rowset.segmented else (None, rest)
        records[segment, question].append(tuple(values))
    found = Found()
    for (segment, place), values in records.items():
        key = asked[place].key
        found.answers[segment][key] = histogram(on[key], values)
    return found


def _union(rowset: Rowset, asked: Sequence[Distribution], on: Mapping[str, Grid]) -> ir.Table:
    """Question, bucket, (segment,) rows, the two sums, the smallest and the largest value; of all columns."""
    union = _placed(rowset, asked, on)
    # The heavy part of the formula stands once, above all columns.
    bucketed = union.mutate(b=grids.bucket(union.a, union.k, union.z, rowset.has_nan))
    ordinary, huge = grids.sums(bucketed.a)
    grouped = bucketed.group_by("q", "b", *rowset.keys(bucketed))
    return grouped.aggregate(n=bucketed.count(), s=ordinary, h=huge, low=bucketed.x.min(), high=bucketed.x.max())


def _placed(rowset: Rowset, asked: Sequence[Distribution], on: Mapping[str, Grid]) -> ir.Table:
    """The columns below one another: question, value, value less the centre, zone, z, (segment)."""
    import ibis

    parts = [partial(_part, rowset, question, on[question.key], place) for place, question in enumerate(asked)]
    if type(rowset.source).unpivoted is not Source.unpivoted:
        narrow = rowset.only(*(question.column for question in asked))
        return rowset.source.unpivoted(rowset.connection, narrow, parts)
    # An engine that keeps columns apart reads each by itself.
    selects = [_nested(rowset, question, on[question.key], place) for place, question in enumerate(asked)]
    return ibis.union(*selects) if len(selects) > 1 else selects[0]


def _part(rowset: Rowset, question: Distribution, grid: Grid, place: int, table: ir.Table) -> dict[str, Any]:
    import ibis

    x, a = _values(table, question, grid)
    k, z = grids.placed(a, grid)
    return {"q": ibis.literal(place, "int32"), "x": x, "a": a, "k": k, "z": z, **rowset.keys(table)}


def _nested(rowset: Rowset, question: Distribution, grid: Grid, place: int) -> ir.Table:
    """The same as a table, in which the value less the centre is computed once."""
    import ibis

    narrow = rowset.only(question.column)
    x, a = _values(narrow, question, grid)
    table = narrow.select(x=x, a=a, **rowset.keys(narrow))
    k, z = grids.placed(table.a, grid)
    return table.select(q=ibis.literal(place, "int32"), x=table.x, a=table.a, k=k, z=z, **rowset.keys(table))


def _values(table: ir.Table, question: Distribution, grid: Grid) -> tuple[Any, Any]:
    """The values, and the values less the centre."""
    column = number(table, question)
    less = grids.apart(column, grid)
    # Where floats cannot tell neighbours apart, their distance from the centre can.
    return less if isinstance(grid.center, int) else column.cast("float64"), less


def histogram(grid: Grid, records: Sequence[tuple[Any, ...]]) -> Histogram:
    """(bucket or mark, rows, ordinary sum, huge sum, smallest, largest) as a histogram."""
    marks = {int(b): int(n) for b, n, *_ in records if grids.MISSING <= b <= grids.POSITIVE_INFINITY}
    fine = [(int(b), *rest) for b, *rest in records if b not in marks]
    ends = [(float(low), float(high)) for *_, low, high in fine]
    less = grid.center if isinstance(grid.center, int) else None

    def whole(end: float) -> float:
        return end if less is None else less + int(end)

    return Histogram(
        {grid: Cells.of((b, int(n), grids.total(s, h), low == high) for b, n, s, h, low, high in fine)},
        missing=marks.get(grids.MISSING, 0),
        nan=marks.get(grids.NAN, 0),
        negative_infinity=marks.get(grids.NEGATIVE_INFINITY, 0),
        positive_infinity=marks.get(grids.POSITIVE_INFINITY, 0),
        low=whole(min(low for low, _ in ends)) if ends else None,
        high=whole(max(high for _, high in ends)) if ends else None,
    )


def number(table: ir.Table, question: Distribution) -> Any:
    """What is counted of a column, as an Ibis number."""
    column = table[question.column]
    kind = column.type()
    if question.of == "length":
        return (column if kind.is_string() else column.cast("string")).length()
    if kind.is_boolean():
        # PostgreSQL has no way from a boolean to a longer integer.
        return column.cast("int32").cast("int64")
    if kind.is_date():
        column = column.cast("timestamp")
    return column.epoch_seconds() if kind.is_date() or kind.is_timestamp() else column


def _sampled(rowset: Rowset, asked: Sequence[Distribution], rows: int) -> dict[str, Grid]:
    import ibis

    narrow = rowset.only(*(question.column for question in asked))
    picked = narrow.select(**{f"c{p}": _plain(number(narrow, question)) for p, question in enumerate(asked)})
    if rows > SAMPLE:
        picked = picked.filter(ibis.random() < exactly_enough(rows))
    records = rowset.rows(picked.limit(SAMPLE))
    found = {}
    for place, question in enumerate(asked):
        values = [record[place] for record in records]
        if rows > SAMPLE and sum(value is not None for value in values) < grids.ENOUGH:
            # A column that is nearly always missing shows little in a sample of all rows.
            sparse = narrow.select(x=_plain(number(narrow, question)))
            values = [x for (x,) in rowset.rows(sparse.filter(sparse.x.notnull()).limit(1000))]
        found[question.key] = fitting.grid_of(values)
    return found


def _plain(column: Any) -> Any:
    """Whole numbers as they are, of any size; all others as floats."""
    return column if column.type().is_integer() else column.cast("float64")


def exactly_enough(rows: int) -> Any:
    """The share of rows to pick so that at least SAMPLE of them are nearly surely there."""
    return grids.exactly(min(1.0, 1.2 * SAMPLE / rows))
