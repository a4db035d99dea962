"""Reminders of critical incidents that nobody acknowledged, and their second target."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, Select, insert, select

from alerts import escalation
from alerts.escalation import Call
from alerts.incident import Change, Happened, Incident
from alerts.message import Message
from alerts.problem import Problem
from alerts.routing import Route, first
from alerts.silencing import hushed
from alerts.telling import Delivery, Form, Subject, key_of, message
from checks.result import Severity
from checks.wording import duration
from monitor import news
from monitor.config import Config
from monitor.store import telling
from monitor.store.decisions import incident_of, numbered, problem_of, write_delivery
from monitor.store.tables import deliveries, events, incidents, problems

EXPIRES = timedelta(hours=1)
REMIND = ":remind:"


@dataclass(frozen=True)
class Told:
    """What of an incident went out: when it first reached somebody, where it is rooted, the reminders so far."""

    at: datetime | None
    rooted: frozenset[str]
    reminded: tuple[datetime, ...]


def due(connection: Connection, config: Config, now: datetime) -> list[Callable[[Connection], object]]:
    """Incidents to look at: a call may be due."""
    return [partial(_call, config=config, number=n, now=now) for n in connection.execute(_unacknowledged()).scalars()]


def _unacknowledged() -> Select[Any]:
    row = incidents.c
    return select(row.id).where(row.resolved_at.is_(None), row.severity == str(Severity.CRITICAL), row.acked_at.is_(None))


def _call(connection: Connection, config: Config, number: int, now: datetime) -> None:
    numbered(connection)
    row = connection.execute(_unacknowledged().with_only_columns(incidents).where(incidents.c.id == number)).mappings().first()
    if row is None:
        return
    incident = incident_of(row)
    members = [problem_of(p) for p in connection.execute(select(problems).where(problems.c.incident == number)).mappings()]
    route, subject = belongs(config, incident)
    told = _told(connection, number)
    if (
        route is None
        or told.at is None
        or hushed(incident, members, telling.active_silences(connection, now), config.maintenance, now)
    ):
        return
    call = escalation.due(told.at, told.reminded, _escalated(config, route, told), route, config.telling, now)
    if call is not None:
        _write(
            connection, config, route, call, incident, _message(connection, incident, members, subject, route, call, now), told, now
        )


def following(connection: Connection, config: Config, now: datetime) -> Iterator[datetime]:
    """When, after `now`, a call of each incident may be due."""
    for row in connection.execute(_unacknowledged().with_only_columns(incidents)).mappings().all():
        (route, _), told = belongs(config, incident_of(row)), _told(connection, row["id"])
        if route is not None and told.at is not None:
            at = escalation.following(told.at, told.reminded, _escalated(config, route, told), route, config.telling, now)
            yield from [at] if at is not None else []


def _escalated(config: Config, route: Route, told: Told) -> bool:
    return route.escalate is not None and told.rooted >= {c for c in route.escalate.to if c in config.channels}


def belongs(config: Config, incident: Incident) -> tuple[Route | None, Subject]:
    """The route that takes an incident now, and what messages say of its dataset; a storm's is the first that names its channel."""
    name = incident.subject
    if name.startswith(telling.STORM):
        channel = name.removeprefix(telling.STORM)
        return next((r for r in config.routes if channel in r.to), None), Subject(name)
    source = name.removeprefix("source:") if name.startswith("source:") else None
    dataset = next((d for d in config.datasets.values() if (d.source == source if source else d.name == name)), None)
    if dataset is None:
        return None, Subject(name)
    return first(config.routes, news.about(dataset, incident)), news.subject(dataset, source is not None)


def _told(connection: Connection, number: int) -> Told:
    row = deliveries.c
    found = connection.execute(
        select(row.key, row.channel, row.form, row.created_at, row.sent_at).where(row.incident == number).order_by(row.id)
    ).all()
    sent = [d.sent_at for d in found if d.sent_at is not None and d.form in {"root", "message"}]
    reminded = sorted({d.created_at for d in found if REMIND in d.key})
    return Told(min(sent, default=None), frozenset(d.channel for d in found), tuple(reminded))


def _message(
    connection: Connection,
    incident: Incident,
    members: Iterable[Problem],
    subject: Subject,
    route: Route,
    call: Call,
    now: datetime,
) -> Message:
    waited = duration(call.waited.total_seconds())
    if incident.subject.startswith(telling.STORM):
        said = _storm(connection, incident, now)
    else:
        ranked = sorted(members, key=lambda p: (p.severity.rank if p.severity else 0, p.score or 0.0), reverse=True)
        said = message(Change(incident, Happened.OPENED, tuple(ranked)), subject, route, now)
    note = f"nobody has acknowledged this for {waited}"
    ask = f"acknowledge it: datavigil ack {incident.name}"
    text, why = f"Not acknowledged for {waited}: {said.text}", f"{said.why}; {note}"
    return replace(said, text=text, note=note, todo=(*said.todo, ask), why=why, calls=True)


def _storm(connection: Connection, incident: Incident, now: datetime) -> Message:
    from alerts.storm import message as storm_message
    from monitor.rounds.storms import members_of

    return storm_message(incident.name, members_of(connection, incident.id), incident.opened_at, now, False, "a storm")


def _write(
    connection: Connection,
    config: Config,
    route: Route,
    call: Call,
    incident: Incident,
    said: Message,
    told: Told,
    now: datetime,
) -> None:
    to = route.escalate.to if call.what == "escalate" and route.escalate else tuple(c for c in route.to if c in told.rooted)
    text = f"{said.note}: {', '.join(to)} told"
    happened = "escalated" if call.what == "escalate" else "reminded"
    connection.execute(
        insert(events).values(incident=incident.id, revision=incident.revision, at=now, happened=happened, text=text)
    )
    for channel in (c for c in to if c in config.channels):
        threads = config.channels[channel].threads
        form: Form = ("line" if channel in told.rooted else "root") if threads else "message"
        # An escalation is the first that its channel hears: from then on it follows the incident to its end.
        name = "open:1" if call.what == "escalate" and channel not in told.rooted else f"remind:{call.number}"
        key = key_of(incident.id, incident.opened_at, channel, name)
        row = Delivery(key, incident.id, channel, form, said, incident.revision, form == "line", None, now + EXPIRES)
        write_delivery(connection, row, now)
