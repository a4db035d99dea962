"""A few of the rows that a finding is about, where the dataset lets rows be shown (`rows = true`); masked columns never are."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from alerts.plain import clean
from checks.base import Check
from checks.result import Result, Status
from monitor.dataset import Dataset
from monitor.job import ROWS, Job, Measured
from monitor.measuring.sampling import _portable, apply_where

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from monitor.measuring.measure import Reading

log = logging.getLogger("datavigil")

MOST_FINDINGS, MOST_ROWS, MOST_COLUMNS = 3, 5, 8
CELL = 30
"""Characters of a value, and of a column's name."""


def with_rows(reading: Reading, dataset: Dataset, checks: Sequence[Check], results: Sequence[Result]) -> list[Result]:
    """The results, the gravest failed ones with at most five of their rows as text: `amount=NULL · id=12`.

    Never raises: what cannot be shown is left out, the finding stands without it.
    """
    conditions = {check.name: check.where for check in checks}
    failed = [r for r in results if r.status is Status.FAILED and r.check in conditions and r.segment is None]
    worst = sorted(failed, key=lambda r: (-(r.severity.rank if r.severity else 0), -(r.score or 0.0)))
    found: dict[int, list[str]] = {}
    for result in worst:
        if len(found) == MOST_FINDINGS:
            break
        try:
            rows = _rows(reading, dataset, conditions[result.check], result)
        except Exception as fault:
            log.warning("%s: the rows of %s cannot be shown (%s)", dataset.name, result.check, type(fault).__name__)
            continue
        if rows:
            found[id(result)] = rows
    return [replace(r, details={**(r.details or {}), ROWS: found[id(r)]}) if id(r) in found else r for r in results]


def _rows(reading: Reading, dataset: Dataset, where: str | None, result: Result) -> list[str]:
    column, table = result.column, reading.table
    if column is None or column not in table.columns:
        return []
    with reading.source.speaking(reading.place):
        table = apply_where(reading.connection, table, where) if where else table
        bad = _bad(table, result)
        if bad is None:
            return []
        # What the finding is about first, then when it was; the rest as the table has it.
        names = [n for n in dict.fromkeys((column, dataset.time_column or column, *table.columns)) if n not in dataset.mask]
        names = names[:MOST_COLUMNS]
        plain = table.filter(bad).select(**{name: _portable(table[name]) for name in names}).limit(MOST_ROWS)
        records = reading.source.rows(reading.connection, plain)
    return [" · ".join(f"{clean(n, CELL)}={_cell(v)}" for n, v in zip(names, record, strict=True)) for record in records if names]


def _bad(table: ir.Table, result: Result) -> Any:
    """Which rows a finding is about, as an expression; None where it is about no rows of its own."""
    column = table[result.column or ""]
    if result.kind == "missing":
        return column.isnull()
    if result.kind != "value_range" or result.bounds is None or not column.type().is_numeric():
        return None
    outside = [column < result.bounds.at_least] if result.bounds.at_least is not None else []
    outside += [column > result.bounds.at_most] if result.bounds.at_most is not None else []
    return outside[0] | outside[-1] if outside else None


def _cell(value: Any) -> str:
    if value is None:
        return "NULL"
    return clean(f"{value:.6g}" if isinstance(value, float) else str(value), CELL)


def shown(job: Job, checks: Sequence[Check], measured: Measured) -> Measured:
    """What was measured, with rows of what failed: asks the source once more, and only where something failed."""
    from monitor.measuring.measure import reading

    dataset = job.dataset
    if not any(r.status is Status.FAILED for r in measured.results):
        return measured
    try:
        with reading(job.source, dataset.place, job.window, dataset.timeout) as read:
            return replace(measured, results=with_rows(read, dataset, checks, measured.results))
    except Exception as fault:  # The verdicts stand, whatever became of their rows.
        log.warning("%s: no rows can be shown (%s)", dataset.name, type(fault).__name__)
        return measured
