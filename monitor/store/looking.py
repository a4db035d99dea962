"""What people ask of the store: results, incidents, how things stand. Only reads."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select

from monitor.store.decisions import LIVE
from monitor.store.outbox import OVER
from monitor.store.store import Store
from monitor.store.tables import channels, deliveries, events, incidents, problems, results, windows
from monitor.store.waiting import each_dataset

Record = Row[Any]


def found_results(
    store: Store, dataset: str | None = None, failed: bool = False, since: datetime | None = None, most: int = 100
) -> list[Record]:
    """Results, the newest windows first; `failed`: only those that failed or errored."""
    query = select(results).order_by(results.c.window_start.desc(), results.c.score.desc().nulls_last(), results.c.id).limit(most)
    if dataset is not None:
        query = query.where(results.c.dataset == dataset)
    if failed:
        query = query.where(results.c.status.in_(("failed", "errored")))
    if since is not None:
        query = query.where(results.c.window_start >= since)
    with store.reading() as connection:
        return list(connection.execute(query))


def found_incidents(store: Store, everything: bool = False, most: int = 100) -> list[Record]:
    """Incidents, the newest first; without `everything` only open ones."""
    query = select(incidents).order_by(incidents.c.id.desc()).limit(most)
    if not everything:
        query = query.where(incidents.c.resolved_at.is_(None))
    with store.reading() as connection:
        return list(connection.execute(query))


def story(store: Store, incident: int) -> list[Record]:
    """What happened to an incident, oldest first."""
    with store.reading() as connection:
        return list(connection.execute(select(events).where(events.c.incident == incident).order_by(events.c.id)))


def members(store: Store, incident: int) -> list[Record]:
    """The problems an open incident holds."""
    with store.reading() as connection:
        return list(connection.execute(select(problems).where(problems.c.incident == incident)))


def last_windows(store: Store) -> dict[str, Record]:
    """Dataset -> its latest window in the ledger."""
    known = each_dataset()
    latest = select(func.max(windows.c.start)).where(windows.c.dataset == known.c.dataset, windows.c.lane == LIVE)
    newest = select(known.c.dataset, latest.scalar_subquery().label("start")).subquery()
    here = (windows.c.dataset == newest.c.dataset) & (windows.c.lane == LIVE) & (windows.c.start == newest.c.start)
    query = select(windows).join(newest, here)
    with store.reading() as connection:
        return {row.dataset: row for row in connection.execute(query)}


def channel_states(store: Store) -> dict[str, dict[str, Any]]:
    """Channel -> how many deliveries wait, since when, what the last error was, and whether it is out of order."""
    waiting = (
        select(
            deliveries.c.channel,
            func.count().label("unsent"),
            func.min(deliveries.c.created_at).label("oldest"),
            func.max(deliveries.c.last_error).label("error"),
        )
        .where(deliveries.c.state.not_in(OVER))
        .group_by(deliveries.c.channel)
    )
    out: dict[str, dict[str, Any]] = {}
    with store.reading() as connection:
        for row in connection.execute(waiting):
            out[row.channel] = {"unsent": row.unsent, "oldest": row.oldest, "error": row.error}
        for row in connection.execute(select(channels).where(channels.c.blocked_since.is_not(None))):
            out.setdefault(row.name, {"unsent": 0, "oldest": None})["error"] = row.reason
            out[row.name]["broken_since"] = row.blocked_since
    return out
