"""Storms: many incidents at once in a channel are one message. A storm is kept as an incident of its own, `storm:CHANNEL`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, update

from alerts.outcome import Outcome
from alerts.storm import Member, message, worst
from alerts.telling import EXPIRES, Delivery, Form, key_of
from checks.result import Family, Severity
from monitor.config import Config
from monitor.store import telling
from monitor.store.decisions import numbered, write_delivery
from monitor.store.tables import deliveries, events, incidents, tellings


def due(connection: Connection, config: Config, now: datetime) -> list[Callable[[Connection], object]]:
    """Storms to begin, to edit or to end, by channel."""
    going = set(telling.open_storms(connection)) | set(connection.execute(_uncounted().distinct()).scalars())
    return [partial(_channel, config=config, channel=channel, now=now) for channel in sorted(going)]


def _uncounted() -> Select[Any]:
    return select(tellings.c.channel).where(tellings.c.outcome == str(Outcome.STORM), tellings.c.storm.is_(None))


def _channel(connection: Connection, config: Config, channel: str, now: datetime) -> None:
    next_id = numbered(connection)
    number = telling.open_storms(connection).get(channel)
    begins = number is None
    if number is None:
        if connection.execute(_uncounted().where(tellings.c.channel == channel)).first() is None:
            return
        number = next_id
        _begin(connection, number, channel, now)
        _take_unsent(connection, config, number, channel, now)
    mine = (tellings.c.channel == channel, tellings.c.outcome == str(Outcome.STORM), tellings.c.storm.is_(None))
    fresh = connection.execute(update(tellings).where(*mine).values(storm=number)).rowcount
    row = connection.execute(select(incidents).where(incidents.c.id == number)).one()
    members = members_of(connection, number)
    last = connection.execute(select(func.max(tellings.c.at)).where(tellings.c.storm == number)).scalar()
    ended = not fresh and last is not None and last <= now - config.telling.storm_within
    if begins or ended or _outdated(connection, config, row, members, now):
        _say(connection, config, row, members, channel, now, begins, ended)


def _begin(connection: Connection, number: int, channel: str, now: datetime) -> None:
    values = {"family": str(Family.SOURCE), "severity": str(Severity.WARNING), "since": now, "opened_at": now, "revision": 0}
    connection.execute(insert(incidents).values(id=number, subject=telling.STORM + channel, title="storm", **values))


def _take_unsent(connection: Connection, config: Config, storm: int, channel: str, now: datetime) -> None:
    """What began just before and was not sent yet is counted too, and gets no message of its own."""
    since = now - config.telling.storm_within
    begun = select(tellings.c.incident).where(
        tellings.c.channel == channel, tellings.c.at > since, tellings.c.outcome == str(Outcome.TOLD)
    )
    row = deliveries.c
    tried = select(row.incident).where(row.channel == channel, (row.attempts > 0) | (row.state != "pending"))
    unsent = (row.channel == channel, row.incident.in_(begun), row.incident.not_in(tried.where(row.incident.is_not(None))))
    # Gone, not superseded: their keys are free for the day they need a message of their own.
    taken = set(connection.execute(delete(deliveries).where(*unsent).returning(row.incident)).scalars())
    told = (tellings.c.channel == channel, tellings.c.incident.in_(taken), tellings.c.outcome == str(Outcome.TOLD))
    reason = "a storm began before it was sent: it is counted in the storm's message"
    connection.execute(update(tellings).where(*told).values(outcome=str(Outcome.STORM), storm=storm, reason=reason))


def members_of(connection: Connection, storm: int) -> list[Member]:
    """Those that the storm counts, as they stand."""
    query = (
        select(tellings.c.incident, tellings.c.line, incidents.c.subject, incidents.c.severity, incidents.c.resolved_at)
        .join(incidents, incidents.c.id == tellings.c.incident)
        .where(tellings.c.storm == storm)
        .order_by(tellings.c.id)
    )
    found = {r.incident: r for r in connection.execute(query)}
    return [Member(r.incident, r.subject, r.line, Severity(r.severity), r.resolved_at is not None) for r in found.values()]


def _outdated(connection: Connection, config: Config, row: telling.Record, members: Sequence[Member], now: datetime) -> bool:
    """The message says something else than is the case, and it is time for an edit."""
    last = connection.execute(select(func.max(events.c.at)).where(events.c.incident == row.id)).scalar()
    if last is not None and now < last + config.telling.edit_every:
        return False
    said = connection.execute(
        select(events.c.text).where(events.c.incident == row.id).order_by(events.c.id.desc()).limit(1)
    ).scalar()
    return said != _counted(members)


def _counted(members: Sequence[Member]) -> str:
    return f"{len(members)} incidents, {sum(not m.over for m in members)} still open"


def _say(
    connection: Connection,
    config: Config,
    row: telling.Record,
    members: Sequence[Member],
    channel: str,
    now: datetime,
    begins: bool,
    ended: bool,
) -> None:
    revision, severity = row.revision + 1, worst(members)
    louder = severity.rank > Severity(row.severity).rank and not begins
    values = {"revision": revision, "severity": str(severity), "resolved_at": now if ended else None}
    connection.execute(update(incidents).where(incidents.c.id == row.id).values(**values))
    happened = "opened" if begins else "resolved" if ended else "joined"
    story = {"revision": revision, "at": now, "happened": happened, "text": _counted(members)}
    connection.execute(insert(events).values(incident=row.id, **story))
    if channel not in config.channels:
        return
    why = f"more than {config.telling.storm} incidents began within {config.telling.storm_within.total_seconds() / 60:.0f} min"
    said = message(f"INC-{row.id}", members, row.opened_at, now, ended, f"{why}; they have no messages of their own")
    for name, form in _forms(config.channels[channel].threads, revision, begins, ended, louder):
        key = key_of(row.id, row.opened_at, channel, name)
        loud = form == "line" and louder
        write_delivery(connection, Delivery(key, row.id, channel, form, said, revision, loud, None, now + EXPIRES), now)


def _forms(threads: bool, revision: int, begins: bool, ended: bool, louder: bool) -> list[tuple[str, Form]]:
    """A root at the start, edits while it goes on, a line at its end or where it turns critical."""
    if begins:
        return [("open:1", "root" if threads else "message")]
    if not threads:
        return [("resolved:1", "message")] if ended else []
    line: list[tuple[str, Form]] = [("resolved:1" if ended else f"line:{revision}", "line")] if ended or louder else []
    return [(f"rev:{revision}", "edit"), *line]
