"""Findings that people called not useful: by what the limits of their checks are widened from then on."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from monitor.store.store import Store
from monitor.store.tables import feedback, incidents, results

REMEMBERED = timedelta(days=180)
"""After this long what was said counts no more: tables change."""
ROOM = 1.05
"""What is as far out as a finding that was not useful is none, give or take this."""
WIDEST = 2.0


def widths(store: Store, dataset: str, at: datetime) -> dict[tuple[str, str], float]:
    """(check, segment) -> the factor, at most 2, that would have kept silent what people called not useful.

    Only findings of learned limits count: a bound that somebody wrote is changed in the config.
    """
    row, said = results.c, feedback.c
    same = (row.dataset == said.subject) & (row.check == said.check) & (row.column == said.column) & (row.segment == said.segment)
    query = (
        select(row.check, row.segment, row.score, row.details)
        .select_from(feedback)
        .join(incidents, incidents.c.id == said.incident)
        .join(results, same & (row.window_end >= incidents.c.since) & (row.at <= said.at))
        .where(said.subject == dataset, said.said == "not_useful", said.at > at - REMEMBERED)
        .where(row.status == "failed", row.learned.is_(True), row.window_end <= func.coalesce(incidents.c.resolved_at, said.at))
    )
    found: dict[tuple[str, str], float] = {}
    with store.reading() as connection:
        for one in connection.execute(query):
            key = (one.check, one.segment)
            found[key] = max(found.get(key, 1.0), min(_out(one) * ROOM, WIDEST))
    return found


def _out(row: Any) -> float:
    """How far out it was by the limits as they were before anybody said so."""
    widened = json.loads(row.details).get("widths", {}).get("not useful", 1.0) if row.details else 1.0
    return float(row.score or 1.0) * widened
