"""The profiles of earlier windows: the history of the next one, and references."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, exists, or_, select

from monitor.store.days import DAY
from monitor.store.decisions import LIVE
from monitor.store.store import Store
from monitor.store.tables import profiles, windows

Stored = tuple[datetime, datetime, bytes]
"""Start, end and profile."""


def history(
    store: Store, dataset: str, before: datetime, most: int, also: Sequence[datetime] = (), lane: str = LIVE
) -> list[Stored]:
    """The last `most` windows that ended by `before`, and those that start at `also`, oldest first."""
    query = (
        select(profiles.c.start, profiles.c.end, profiles.c.body)
        .where(profiles.c.dataset == dataset, profiles.c.lane == lane, profiles.c.end <= before)
        .order_by(profiles.c.start.desc())
        .limit(most)
    )
    named = select(profiles.c.start, profiles.c.end, profiles.c.body).where(
        profiles.c.dataset == dataset, profiles.c.lane == lane, profiles.c.end <= before, profiles.c.start.in_(also)
    )
    with store.reading() as connection:
        found = {r.start: (r.start, r.end, r.body) for r in connection.execute(query)}
        if also:
            found |= {r.start: (r.start, r.end, r.body) for r in connection.execute(named)}
    return [found[start] for start in sorted(found)]


def between(store: Store, dataset: str, start: datetime, end: datetime) -> list[Stored]:
    """What was measured within a stretch of time, oldest first: whole days where there are such, else windows."""
    day = profiles.alias("day")
    inside = (profiles.c.dataset == dataset, profiles.c.start >= start, profiles.c.end <= end)
    merged = exists().where(
        windows.c.dataset == dataset,
        windows.c.lane == LIVE,
        windows.c.start == profiles.c.start,
        windows.c.merged.is_(True),
    )
    # Only a day that lies within the stretch itself stands for its windows.
    whole = exists().where(
        day.c.dataset == dataset,
        day.c.lane == DAY,
        day.c.start.between(start, profiles.c.start),
        day.c.end.between(profiles.c.end, end),
    )
    query = (
        select(profiles.c.start, profiles.c.end, profiles.c.body)
        .where(*inside, or_(profiles.c.lane == DAY, and_(profiles.c.lane == LIVE, ~and_(merged, whole))))
        .order_by(profiles.c.start)
    )
    with store.reading() as connection:
        return [(r.start, r.end, r.body) for r in connection.execute(query)]


def windows_between(store: Store, dataset: str, start: datetime | None, end: datetime) -> list[Stored]:
    """The windows themselves that were measured from `start` (None: ever) to `end`, oldest first."""
    query = select(profiles.c.start, profiles.c.end, profiles.c.body).where(
        profiles.c.dataset == dataset, profiles.c.lane == LIVE, profiles.c.end <= end
    )
    if start is not None:
        query = query.where(profiles.c.start >= start)
    with store.reading() as connection:
        return [(r.start, r.end, r.body) for r in connection.execute(query.order_by(profiles.c.start))]
