"""Distributions of numeric columns on the asinh grid: one query for all columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from checks.profile import Broken, Grid, Histogram
from checks.question import Distribution
from monitor.measuring import grid as grids
from monitor.measuring.asking import SEGMENT, Found, Rowset, each, need

if TYPE_CHECKING:
    import ibis.expr.types as ir

SAMPLE = 10_000
"""Rows that a grid is made from."""


def made(rowset: Rowset, asked: Sequence[Distribution], rows: int) -> tuple[dict[str, Grid], dict[str, Broken]]:
    """A grid per column from a bounded sample of the window, whose rows are known; and the questions that have none."""
    found: dict[str, Grid] = {}

    def ask(some: Sequence[Distribution]) -> Found:
        found.update(_sampled(rowset, [question.column for question in some], rows))
        return Found()

    broken = each(rowset.source, asked, ask).broken
    return found, broken


def distributions(rowset: Rowset, asked: Sequence[Distribution], on: Mapping[str, Grid]) -> Found:
    """The histograms of the columns on their grids."""
    what = ("distributions", *asked, *(on[question.column] for question in asked))
    records: dict[tuple[str | None, int], list[tuple[Any, ...]]] = defaultdict(list)
    for question, bucket, *rest in rowset.asked(what, lambda: _union(rowset, asked, on)):
        segment, values = (rest[0], rest[1:]) if rowset.segmented else (None, rest)
        records[segment, question].append((int(bucket), *values))
    found = Found()
    for (segment, place), values in records.items():
        found.answers[segment][asked[place].key] = histogram(on[asked[place].column], values)
    return found


def _union(rowset: Rowset, asked: Sequence[Distribution], on: Mapping[str, Grid]) -> ir.Table:
    """Question, bucket, (segment,) rows and the two sums, of all columns."""
    import ibis

    parts = [_branch(rowset, question.column, on[question.column], place) for place, question in enumerate(asked)]
    union = ibis.union(*parts) if len(parts) > 1 else parts[0]
    bucketed = union.mutate(b=grids.bucket(union.x, union.z, rowset.has_nan))
    ordinary, huge = grids.sums(bucketed.x)
    return bucketed.group_by("q", "b", *rowset.keys(bucketed)).aggregate(n=bucketed.count(), s=ordinary, h=huge)


def histogram(grid: Grid, records: Sequence[tuple[Any, ...]]) -> Histogram:
    """(bucket or mark, rows, ordinary sum, huge sum) as a histogram."""
    marks = {bucket: int(n) for bucket, n, *_ in records if bucket >= grids.MISSING}
    fine = {bucket: (int(n), grids.total(s, h)) for bucket, n, s, h in records if bucket < grids.MISSING}
    return Histogram(
        grid,
        fine,
        missing=marks.get(grids.MISSING, 0),
        nan=marks.get(grids.NAN, 0),
        negative_infinity=marks.get(grids.NEGATIVE_INFINITY, 0),
        positive_infinity=marks.get(grids.POSITIVE_INFINITY, 0),
    )


def _branch(rowset: Rowset, column: str, grid: Grid, place: int) -> ir.Table:
    """One column's values with their z; the heavy part of the formula stands once, above the union of all columns."""
    import ibis

    x = need(rowset.table, column).cast("float64")
    segment = {SEGMENT: rowset.table[SEGMENT]} if rowset.segmented else {}
    return rowset.table.select(q=ibis.literal(place, "int32"), x=x, z=grids.height(x, grid), **segment)


def _sampled(rowset: Rowset, columns: Sequence[str], rows: int) -> dict[str, Grid]:
    import ibis

    picked = rowset.table.select(**{f"c{p}": need(rowset.table, c).cast("float64") for p, c in enumerate(columns)})
    if rows > SAMPLE:
        picked = picked.filter(ibis.random() < exactly_enough(rows))
    records = rowset.rows(picked.limit(SAMPLE))
    found = {}
    for place, column in enumerate(columns):
        values = [record[place] for record in records]
        if all(value is None for value in values) and rows > SAMPLE:
            # A column that is nearly always missing shows nothing in a sample of all rows.
            sparse = rowset.table.select(x=need(rowset.table, column).cast("float64"))
            values = [x for (x,) in rowset.rows(sparse.filter(sparse.x.notnull()).limit(1000))]
        found[column] = grids.grid_of(values)
    return found


def exactly_enough(rows: int) -> Any:
    """The share of rows to pick so that at least SAMPLE of them are nearly surely there."""
    return grids.exactly(min(1.0, 1.2 * SAMPLE / rows))
