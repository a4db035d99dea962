"""What is still to be done, by the ledger. A tick asks for every dataset there is: each question is a few seeks in an index."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CTE, Row, Select, TextClause, and_, func, or_, select, true

from monitor.store.decisions import LIVE
from monitor.store.leases import left
from monitor.store.store import Store
from monitor.store.tables import UNFINISHED, windows

Found = tuple[str, datetime, datetime]
"""Dataset, start and end of a window."""


def last_ends(store: Store, lane: str = LIVE) -> dict[str, datetime]:
    """Dataset -> the end of its latest window in the ledger."""
    known = each_dataset()
    end = select(func.max(windows.c.end)).where(windows.c.dataset == known.c.dataset, windows.c.lane == lane).scalar_subquery()
    with store.reading() as connection:
        rows = connection.execute(select(known.c.dataset, end.label("last")).where(known.c.dataset.is_not(None)))
        return {row.dataset: row.last for row in rows if row.last is not None}


def end_before(store: Store, dataset: str, start: datetime, lane: str = LIVE) -> datetime | None:
    """The end of a dataset's latest window that ended by `start`; None where there is none."""
    query = select(func.max(windows.c.end)).where(windows.c.dataset == dataset, windows.c.lane == lane, windows.c.end <= start)
    with store.reading() as connection:
        return connection.execute(query).scalar()


def each_dataset(*only: TextClause) -> CTE:
    """The names of the datasets that have windows (`only` such as these), then NULL: from each the index is asked for the next.

    No database of ours finds the few different values of a long index by itself: it reads all of it, a second for two million rows.
    """
    known = select(func.min(windows.c.dataset).label("dataset")).where(*only).cte("known", recursive=True)
    after = windows.alias("after")
    following = select(func.min(after.c.dataset)).where(after.c.dataset > known.c.dataset, *only).scalar_subquery()
    return known.union_all(select(following).where(known.c.dataset.is_not(None)))


def unfinished(store: Store, now: datetime, anyway: bool = False, lane: str = LIVE) -> list[Found]:
    """Windows to try again, oldest first: errored and due, or left by a process that died.

    `anyway`: errored ones too that are not due for another try yet.
    """
    due = true() if anyway else windows.c.next_attempt_at <= now
    to_try = or_(windows.c.state == "running", and_(windows.c.state == "errored", due))
    return _found(store, _columns().where(UNFINISHED, windows.c.lane == lane, to_try).order_by(windows.c.start))


def oldest_unfinished(store: Store, now: datetime, since: datetime, lane: str = LIVE) -> list[Found]:
    """Each dataset's oldest window to try again that ended at `since` or later.

    When a source with thousands of datasets was down for days, the windows behind the oldest are too many to look at in each tick.
    """
    known = each_dataset(UNFINISHED)
    one = windows.alias("one")
    first = (
        select(one.c.id)
        .where(UNFINISHED, one.c.dataset == known.c.dataset, one.c.lane == lane, one.c.end >= since)
        .where(or_(one.c.state == "running", one.c.next_attempt_at <= now))
        .order_by(one.c.end)
        .limit(1)
        .scalar_subquery()
    )
    chosen = select(first).where(known.c.dataset.is_not(None))
    return _found(store, _columns().where(windows.c.id.in_(chosen)).order_by(windows.c.start))


def _columns() -> Select[Any]:
    return select(windows.c.dataset, windows.c.start, windows.c.end, windows.c.state, windows.c.lease_owner, windows.c.lease_until)


def _found(store: Store, query: Select[Any]) -> list[Found]:
    with store.reading() as connection:
        rows: list[Row[Any]] = list(connection.execute(query).all())
        clock = store.clock(connection) if rows else None
    return [
        (row.dataset, row.start, row.end)
        for row in rows
        if row.state != "running" or (clock and left(row.lease_owner, row.lease_until, clock))
    ]
