"""What a channel that was away hears when it is back: how things stand now, not the story it missed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from monitor.store.store import Store
from monitor.store.tables import channels, deliveries, incidents

WAITING = ("pending", "waiting")


def failing(store: Store, channel: str, now: datetime) -> datetime:
    """The channel cannot be reached; since when that is so."""

    def work(connection: Connection) -> datetime:
        row = connection.execute(select(channels).where(channels.c.name == channel).with_for_update()).first()
        if row is None:
            connection.execute(channels.insert().values(name=channel, failing_since=now))
        elif row.failing_since is None:
            connection.execute(update(channels).where(channels.c.name == channel).values(failing_since=now))
        since: datetime | None = row.failing_since if row is not None else None
        return since or now

    return store.attempt(work)


def collapse(store: Store, channel: str) -> int:
    """Of each incident only what is true now stays to be told: one message for one that is open, none for one that healed
    before this channel heard of it; how many rows are superseded. What may have arrived already is left alone."""

    def work(connection: Connection) -> int:
        query = select(deliveries).where(deliveries.c.channel == channel, deliveries.c.incident.is_not(None))
        rows = connection.execute(query.order_by(deliveries.c.id).with_for_update()).all()
        over = set(connection.execute(select(incidents.c.id).where(incidents.c.resolved_at.is_not(None))).scalars())
        told: dict[tuple[int, str], list[Any]] = {}
        for row in rows:
            told.setdefault((row.incident, row.recipient), []).append(row)
        return sum(_collapsed(connection, found, incident in over) for (incident, _), found in told.items())

    return store.attempt(work)


def _collapsed(connection: Connection, rows: list[Any], over: bool) -> int:
    known = any(row.state not in {*WAITING, "superseded", "dead", "expired"} for row in rows)
    waiting = [row for row in rows if row.state in WAITING]
    if not waiting or any(row.state in {"sending", "unknown"} for row in rows):
        return 0
    newest = max(waiting, key=lambda row: (row.revision, row.id))
    if known:
        # The root as it is now, and the last line: what was in between is past.
        keep = {max((r for r in waiting if r.form == form), key=lambda r: r.id).id for form in {r.form for r in waiting}}
    else:
        keep = set() if over else {waiting[0].id}
        connection.execute(update(deliveries).where(deliveries.c.id == waiting[0].id).values(payload=newest.payload))
    gone = [row.id for row in waiting if row.id not in keep]
    why = {"state": "superseded", "last_error": "the channel was out of order; told as things stood when it was back"}
    if gone:
        connection.execute(update(deliveries).where(deliveries.c.id.in_(gone)).values(**why))
    return len(gone)
