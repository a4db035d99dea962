"""Where the reports on incidents are: verbs of the store, one transaction each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, or_, select, update

from alerts.message import Message
from alerts.telling import EXPIRES, Delivery, key_of, reported
from monitor import fit
from monitor.store import decisions
from monitor.store.decisions import LIVE
from monitor.store.store import Store
from monitor.store.tables import deliveries, incidents, profiles, reports


def put(store: Store, incident: int, revision: int, host: str, path: Path, size: int, now: datetime) -> None:
    """A report of an incident is there; the same one made again takes the place of the first.

    Messages about the incident that can be edited are to say where; others say so with what they tell next.
    """
    row = {"host": fit.text(host, 255), "path": fit.text(str(path)), "bytes": size, "at": now}

    def work(connection: Connection) -> None:
        same = (reports.c.incident == incident, reports.c.revision == revision)
        if not connection.execute(update(reports).where(*same).values(**row)).rowcount:
            connection.execute(insert(reports).values(incident=incident, revision=revision, **row))
        for delivery in _edits(connection, incident, revision, str(row["path"]), now):
            decisions.write_delivery(connection, delivery, now)

    store.attempt(work)


def _edits(connection: Connection, incident: int, revision: int, path: str, now: datetime) -> Iterator[Delivery]:
    """The path for every channel whose thread of the open incident is there; an edit without a root would be a new message."""
    still_open = (incidents.c.id == incident, incidents.c.resolved_at.is_(None))
    opened = connection.execute(select(incidents.c.opened_at).where(*still_open)).first()
    if opened is None:
        return
    of = (deliveries.c.incident == incident, deliveries.c.form.in_(("root", "edit")))
    last = {row.channel: row for row in connection.execute(select(deliveries).where(*of).order_by(deliveries.c.id))}
    there = connection.execute(select(deliveries.c.channel).where(*of, deliveries.c.form == "root", deliveries.c.state == "sent"))
    for channel in sorted(set(there.scalars())):
        row = last[channel]
        said = reported(Message.from_json(json.loads(row.payload)), path)
        key = key_of(incident, opened.opened_at, channel, f"report:{revision}")
        # What is held for the quiet hours' end stays held.
        held = row.not_before if row.not_before and row.not_before > now else None
        yield Delivery(key, incident, channel, "edit", said, row.revision, not_before=held, expires_at=(held or now) + EXPIRES)


def found(store: Store, incident: int) -> list[Row[Any]]:
    """An incident's reports, oldest first."""
    with store.reading() as connection:
        return list(connection.execute(select(reports).where(reports.c.incident == incident).order_by(reports.c.revision)))


def measured(store: Store, dataset: str, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """(start, end) of the dataset's measured windows that start in a stretch of time."""
    query = select(profiles.c.start, profiles.c.end).where(
        profiles.c.dataset == dataset, profiles.c.lane == LIVE, profiles.c.start >= start, profiles.c.start < end
    )
    with store.reading() as connection:
        return [(row.start, row.end) for row in connection.execute(query)]


def older(store: Store, host: str, before: datetime) -> list[Row[Any]]:
    """A host's reports that were made before a time, or whose incident is forgotten."""
    gone = reports.c.incident.not_in(select(incidents.c.id))
    with store.reading() as connection:
        return list(
            connection.execute(select(reports).where(reports.c.host == fit.text(host, 255), or_(reports.c.at < before, gone)))
        )


def forget(store: Store, ids: Sequence[int]) -> None:
    if ids:
        with store.begin() as connection:
            connection.execute(delete(reports).where(reports.c.id.in_(ids)))
