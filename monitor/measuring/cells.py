"""Rows per combination of the values of several columns, and of the bin that a score falls into."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from checks.profile import Counts
from checks.question import Cells
from checks.scores import HALF, NO_SCORE
from monitor.measuring.asking import Found, Rowset
from monitor.measuring.values import LONGEST, as_text, form, spelled
from monitor.sources.base import SourceError

if TYPE_CHECKING:
    import ibis.expr.types as ir


def cells(rowset: Rowset, question: Cells) -> Found:
    """One query. Raises SourceError where there are more combinations than the question's cap."""
    table = rowset.only(*dict.fromkeys((*question.columns, *([question.score] if question.score else []))))
    forms = [form(table[name].type()) for name in question.columns]
    records = rowset.asked(("cells", question), lambda: _grouped(rowset, question, table))
    if len(records) > question.cap:
        columns = " and ".join(question.columns)
        raise SourceError(f"{columns} hold more than {question.cap} different combinations; is each of them a class?")
    counts: dict[str | None, dict[str, int]] = {}
    for record in records:
        *texts, score, rows = record[: len(forms) + 2]
        named = [None if text is None else spelled(text, how) for text, how in zip(texts, forms, strict=True)]
        key = json.dumps([*named, int(score)] if question.score else named)
        here = counts.setdefault(record[-1] if rowset.segmented else None, {})
        here[key] = here.get(key, 0) + int(rows)
    found = Found()
    for segment, counted in counts.items():
        found.answers[segment][question.key] = Counts(counted, distinct=len(counted))
    return found


def _grouped(rowset: Rowset, question: Cells, table: ir.Table) -> ir.Table:
    """The values, the bin, the rows; one combination more than the cap."""
    import ibis

    bins = _bin(table[question.score].cast("float64")) if question.score else ibis.literal(0, "int64")
    whole = table.select(
        **{f"v{place}": as_text(table[name], table[name].type()).substr(0, LONGEST) for place, name in enumerate(question.columns)},
        score=bins,
        **rowset.keys(table),
    )
    groups = whole.group_by(*whole.columns).aggregate(n=whole.count())
    names = [f"v{place}" for place in range(len(question.columns))]
    return groups.select(*names, "score", n=groups.n.cast("int64"), **rowset.keys(groups)).limit(question.cap + 1)


def _bin(score: Any) -> Any:
    """`checks.scores.place` as an expression; the root is asked for inside 0 to 1 alone, since PostgreSQL raises elsewhere."""
    import ibis

    inside = (score >= 0) & (score <= 1)
    lower = ibis.ifelse(inside, ibis.ifelse(score < 0.5, score, 1 - score), 0.0)
    step = (HALF * (2 * lower).sqrt().sqrt()).floor().cast("int64")
    held = ibis.ifelse(step >= HALF, HALF - 1, step)
    return ibis.cases((inside & (score < 0.5), held), (inside, 2 * HALF - 1 - held), else_=NO_SCORE).cast("int64")
