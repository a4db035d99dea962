"""How unusual a value is, by the results that are kept: a read inside the transaction that decides."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from alerts.problem import Problem
from monitor.store.tables import results

REACH = timedelta(days=90)
ENOUGH = 10
"""Values before it that a record needs: of two, one is always the highest."""


def unusual(connection: Connection, problem: Problem, start: datetime) -> str:
    """`highest in 90 days`, `lowest in 12 days`, or nothing: against the windows before the one that begins at `start`."""
    if problem.value is None:
        return ""
    row = results.c
    before = (
        select(func.min(row.value), func.max(row.value), func.count(row.value), func.min(row.window_start))
        .where(row.dataset == problem.subject, row.check == problem.check, row.column == (problem.column or ""))
        .where(row.segment == (problem.segment or ""), row.window_start < start, row.window_start >= start - REACH)
        .where(row.value.is_not(None))
    )
    low, high, count, oldest = connection.execute(before).one()
    if count < ENOUGH:
        return ""
    days = max((start - oldest).days, 1)
    span = f"{days} days" if days > 1 else "a day"
    if problem.value > high:
        return f"highest in {span}"
    return f"lowest in {span}" if problem.value < low else ""
