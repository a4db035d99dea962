"""What people do about an incident: acknowledge, silence, lift, accept, not useful, note its cause. One transaction each.

Whoever comes first wins; what comes after that, or after the end, is only recorded. Who did what and when is an event of the
incident. Buttons and commands both end here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, insert, select, update

from alerts.durations import parse
from alerts.incident import Incident
from alerts.message import Message
from alerts.periods import instant
from alerts.plain import clean
from alerts.telling import EXPIRES, Delivery, Form, key_of
from checks.result import Family
from monitor import fit
from monitor.config import Config
from monitor.store import addresses, references, telling
from monitor.store.decisions import incident_of, numbered, write_delivery
from monitor.store.store import Store
from monitor.store.tables import deliveries, events, feedback, incidents, problems, silences

ACKNOWLEDGED, SILENCED, LIFTED, NOT_USEFUL, ACCEPTED, CAUSE = "acked", "silenced", "lifted", "not useful", "accepted", "cause"
AUTHOR, REASON, CAUSE_LENGTH = 255, 2000, 300
LEVELS = frozenset({Family.ARRIVAL, Family.QUALITY, Family.DRIFT, Family.MODEL})
"""Families of findings about a level that can become the normal one."""
MORNING, HOUR, LONGEST = time(8), timedelta(hours=1), timedelta(days=366)


class NoSuchIncident(Exception):
    """There is none of that number; the message says what to do."""


@dataclass(frozen=True)
class Done:
    """What an action came to: a sentence for who did it, and whether it changed anything."""

    said: str
    changed: bool = True


def acknowledge(store: Store, number: int, author: str, now: datetime, opened_at: datetime | None = None) -> Done:
    """Somebody has it: no more reminders. `opened_at` tells which incident of that number is meant. Raises NoSuchIncident."""

    def act(connection: Connection, incident: Incident, who: str) -> Done:
        if incident.resolved_at is not None:
            _event(connection, incident, ACKNOWLEDGED, who, "after it was resolved", now)
            return Done(f"{incident.name} was over already; that {who} looked at it is noted", changed=False)
        if incident.acked_at is not None:
            _event(connection, incident, ACKNOWLEDGED, who, f"after {incident.acked_by}", now)
            return Done(f"{incident.acked_by} has acknowledged {incident.name} already", changed=False)
        return _acked(connection, incident, who, now)

    return _act(store, number, author, opened_at, act)


def _acked(connection: Connection, incident: Incident, who: str, now: datetime) -> Done:
    fresh = replace(incident, acked_by=who, acked_at=now, revision=incident.revision + 1)
    row = {"acked_by": who, "acked_at": now, "revision": fresh.revision}
    connection.execute(update(incidents).where(incidents.c.id == incident.id).values(**row))
    said = f"acknowledged by {who}"
    _event(connection, fresh, ACKNOWLEDGED, who, said, now)
    _tell(connection, fresh, said, lambda message: message.with_mark(said), now)
    return Done(f"{incident.name} is acknowledged: no more reminders")


def silence(
    store: Store, number: int, author: str, until: datetime, reason: str, now: datetime, opened_at: datetime | None = None
) -> Done:
    """Nothing more is told of it before `until`; what it holds is measured and kept as ever. Raises NoSuchIncident."""

    def act(connection: Connection, incident: Incident, who: str) -> Done:
        if incident.resolved_at is not None:
            _event(connection, incident, SILENCED, who, "after it was resolved", now)
            return Done(f"{incident.name} was over already: there is nothing to silence", changed=False)
        there = [s for s in telling.active_silences(connection, now) if s.incident == incident.id and s.ends_at >= until]
        if there:
            _event(connection, incident, SILENCED, who, f"after {there[0].author}", now)
            return Done(
                f"{incident.name} is silenced already, by {there[0].author} until {_moment(there[0].ends_at)}", changed=False
            )
        row = {"author": who, "reason": clean(reason, REASON), "starts_at": now, "ends_at": until, "incident": incident.id}
        connection.execute(insert(silences).values(**row, subject=None, family=None, check=None))
        said = f"silenced by {who} until {_moment(until)}"
        fresh = _raised(connection, incident)
        _event(connection, fresh, SILENCED, who, said, now)
        _tell(connection, fresh, said, lambda message: message.with_mark(said), now)
        return Done(f"{incident.name} is silenced until {_moment(until)}; take it back with datavigil silence --lift {incident.id}")

    return _act(store, number, author, opened_at, act)


def lift(store: Store, number: int, author: str, now: datetime) -> Done:
    """Ends the silences of an incident. Raises NoSuchIncident."""

    def act(connection: Connection, incident: Incident, who: str) -> Done:
        there = (silences.c.incident == incident.id, silences.c.ends_at > now)
        if not connection.execute(update(silences).where(*there).values(ends_at=now)).rowcount:
            return Done(f"{incident.name} is not silenced", changed=False)
        said = f"the silence was lifted by {who}"
        fresh = _raised(connection, incident)
        _event(connection, fresh, LIFTED, who, said, now)
        _tell(connection, fresh, said, lambda message: message.without_mark(SILENCED), now)
        return Done(f"{incident.name} is told again")

    return _act(store, number, author, None, act)


def not_useful(
    store: Store, number: int, author: str, now: datetime, note: str | None = None, opened_at: datetime | None = None
) -> Done:
    """Says of each finding of the incident that nobody needed it. Counts once per person; also after the end."""

    def act(connection: Connection, incident: Incident, who: str) -> Done:
        # A storm holds no findings; it counts as one.
        found = _found(connection, incident) or [("", "", "")]
        fresh = [p for p in found if not _said_before(connection, incident, p, who)]
        if not fresh:
            return Done(f"{who} has said that of {incident.name} already", changed=False)
        for check, column, segment in fresh:
            row = {"incident": incident.id, "subject": incident.subject, "check": check, "column": column, "segment": segment}
            words = {"author": who, "said": "not_useful", "note": clean(note, REASON) if note else None, "at": now}
            connection.execute(insert(feedback).values(**row, **words))
        raised = _raised(connection, incident)
        said = f"called not useful by {who}" + (f": {clean(note, 200)}" if note else "")
        _event(connection, raised, NOT_USEFUL, who, said, now)
        if incident.resolved_at is None:
            _tell(connection, raised, said, lambda message: message.with_mark(said), now)
        return Done(f"noted: {incident.name} was not useful; the weekly summary counts it")

    return _act(store, number, author, opened_at, act)


def note_cause(store: Store, number: int, author: str, text: str, now: datetime) -> Done:
    """What it came of, for the weekly summary and who reads the message later; also after the end. The last one noted counts.

    Raises NoSuchIncident, and ValueError for no text.
    """
    cause = clean(text, CAUSE_LENGTH)
    if not cause:
        raise ValueError('write what the cause was: datavigil cause INC-12 "a deploy dropped the column"')

    def act(connection: Connection, incident: Incident, who: str) -> Done:
        noted = select(events.c.text).where(events.c.incident == incident.id, events.c.happened == CAUSE)
        if connection.execute(noted.order_by(events.c.id.desc()).limit(1)).scalar() == cause:
            return Done(f"that is noted of {incident.name} already", changed=False)
        raised = _raised(connection, incident)
        _event(connection, raised, CAUSE, who, cause, now)
        said = f"cause noted by {who}: {cause}"
        _tell(connection, raised, said, lambda message: message.with_mark(said), now)
        return Done(f"noted as the cause of {incident.name}; the weekly summary says it")

    return _act(store, number, author, None, act)


def unsuspend(store: Store, channel: str, recipient: str, now: datetime) -> Done:
    """A mail address that was refused for three weeks is written to again."""
    if not addresses.free(store, channel, recipient, now):
        return Done(f"{recipient} is not suspended in channel {channel}", changed=False)
    return Done(f"{recipient} gets mail from channel {channel} again; its trouble is over with the first mail that is taken")


def accept(
    store: Store,
    config: Config,
    number: int,
    author: str,
    now: datetime,
    note: str | None = None,
    opened_at: datetime | None = None,
) -> Done:
    """From its first bad window on, the level of the columns that the incident holds is normal: a new version of the
    reference, which can be rolled back. The incident ends when its checks pass. Raises NoSuchIncident."""

    def act(connection: Connection, incident: Incident, who: str) -> Done:
        if incident.resolved_at is not None:
            _event(connection, incident, ACCEPTED, who, "after it was resolved", now)
            return Done(f"{incident.name} was over already: there is nothing to accept", changed=False)
        before = select(events.c.actor).where(events.c.incident == incident.id, events.c.happened == ACCEPTED)
        first = connection.execute(before.order_by(events.c.id)).scalar()
        if first is not None:
            _event(connection, incident, ACCEPTED, who, f"after {first}", now)
            return Done(f"{first} has accepted {incident.name} already", changed=False)
        if incident.subject not in config.datasets or incident.family not in LEVELS:
            return Done(f"{incident.name} is not about a level of values: there is nothing to accept", changed=False)
        numbers = [_level(connection, incident, column, who, note, now) for column in _columns(connection, incident)]
        said = f"accepted as new normal by {who}"
        fresh = _raised(connection, incident)
        _event(connection, fresh, ACCEPTED, who, said, now)
        _tell(connection, fresh, said, lambda message: message.with_mark(said), now)
        undo = f"datavigil reference rollback {incident.subject} --version {numbers[-1]}"
        return Done(f"what {incident.name} shows counts as normal from {_moment(incident.since)} on; undo: {undo}")

    return _act(store, number, author, opened_at, act)


def _columns(connection: Connection, incident: Incident) -> list[str]:
    held = select(problems.c.column).where(problems.c.incident == incident.id).distinct().order_by(problems.c.column)
    return list(connection.execute(held).scalars()) or [""]


def _level(connection: Connection, incident: Incident, column: str, who: str, note: str | None, now: datetime) -> int:
    since = references.new_level_since(connection, incident.subject, column or None) or incident.since
    said = clean(note, REASON) if note else incident.name
    row = {"author": who, "note": said, "start": since, "column": column}
    return references.add(connection, incident.subject, references.ACCEPTED, now, **row)


def ends(now: datetime, length: str | None, until: datetime | str | None, zone: str) -> datetime:
    """When a silence ends: after `length` (4h without either), at a time, or `morning`: the next 08:00 in `zone`, an hour off
    at least. Raises ValueError, fit for people."""
    if length is not None and until is not None:
        raise ValueError("give --for or --until, not both")
    if until == "morning":
        day = (now + HOUR).astimezone(ZoneInfo(zone)).date()
        mornings = (instant(day + timedelta(days=n), MORNING, ZoneInfo(zone)) for n in (0, 1))
        return next(at for at in mornings if at >= now + HOUR)
    end = until if isinstance(until, datetime) else now + parse(length or "4h")
    if not now < end <= now + LONGEST:
        raise ValueError("a silence ends in the future, and within a year")
    return end


def zone_of(config: Config, store: Store, number: int) -> str:
    """The time zone of an incident's dataset; UTC where that is gone, or it is a whole source's."""
    with store.reading() as connection:
        subject = connection.execute(select(incidents.c.subject).where(incidents.c.id == number)).scalar()
    dataset = config.datasets.get(subject or "")
    return dataset.timezone if dataset else "UTC"


def _found(connection: Connection, incident: Incident) -> list[tuple[str, ...]]:
    """(check, column, segment) of what the incident holds; once it is over, of what belongs to its family."""
    row = problems.c
    mine = select(row.check, row.column, row.segment).where(row.incident == incident.id)
    found = [tuple(r) for r in connection.execute(mine.order_by(row.fingerprint))]
    if found:
        return found
    theirs = select(row.check, row.column, row.segment).where(
        row.subject == incident.subject, row.family == str(incident.family), row.last_end >= incident.since
    )
    return [tuple(r) for r in connection.execute(theirs.order_by(row.fingerprint))]


def _said_before(connection: Connection, incident: Incident, problem: tuple[str, ...], who: str) -> bool:
    check, column, segment = problem
    row = feedback.c
    same = (row.check == check, row.column == column, row.segment == segment, row.author == who, row.said == "not_useful")
    return connection.execute(select(row.id).where(row.incident == incident.id, *same)).first() is not None


def _act(
    store: Store, number: int, author: str, opened_at: datetime | None, work: Callable[[Connection, Incident, str], Done]
) -> Done:
    """`work` on the incident as it stands, one action at a time: two people must not both be the first."""
    who = clean(author, AUTHOR) or "somebody"

    def attempt(connection: Connection) -> Done:
        numbered(connection)
        row = connection.execute(select(incidents).where(incidents.c.id == number)).mappings().first()
        # Numbers begin at 1 in every store: what was pressed under another daemon's message is not ours.
        if row is None or (opened_at is not None and row["opened_at"] != opened_at):
            raise NoSuchIncident(f"there is no incident INC-{number}; datavigil incidents lists those that are open")
        return work(connection, incident_of(row), who)

    return store.attempt(attempt)


def _raised(connection: Connection, incident: Incident) -> Incident:
    fresh = replace(incident, revision=incident.revision + 1)
    connection.execute(update(incidents).where(incidents.c.id == incident.id).values(revision=fresh.revision))
    return fresh


def _event(connection: Connection, incident: Incident, happened: str, who: str, text: str, now: datetime) -> None:
    row = {"incident": incident.id, "revision": incident.revision, "at": now, "happened": happened, "actor": who}
    connection.execute(insert(events).values(**row, text=fit.text(text)))


def _tell(connection: Connection, incident: Incident, said: str, change: Callable[[Message], Message], now: datetime) -> None:
    """The root shows it and a line in the thread says it, where the root is out; nobody is called for it."""
    for channel, last in _rooted(connection, incident.id):
        message = change(replace(Message.from_json(json.loads(last.payload)), note=said, at=now, calls=False))
        forms: tuple[tuple[Form, str], ...] = (("edit", "rev"), ("line", "line"))
        for form, name in forms:
            key = key_of(incident.id, incident.opened_at, channel, f"{name}:{incident.revision}")
            row = Delivery(key, incident.id, channel, form, message, incident.revision, expires_at=now + EXPIRES)
            write_delivery(connection, row, now)


def _rooted(connection: Connection, incident: int) -> Iterator[tuple[str, Any]]:
    """Each channel whose root of the incident is out, with what it was last told to show."""
    of = (deliveries.c.incident == incident, deliveries.c.form.in_(("root", "edit")))
    rows = connection.execute(select(deliveries).where(*of).order_by(deliveries.c.id)).all()
    out = {row.channel for row in rows if row.form == "root" and row.state == "sent"}
    last = {row.channel: row for row in rows if row.state != "superseded" or row.form == "root"}
    yield from ((channel, last[channel]) for channel in sorted(out))


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
