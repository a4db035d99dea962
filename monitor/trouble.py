"""A channel that is out of order is a problem of its own: an incident like any other, told by another channel."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from alerts.deciding import news
from alerts.incident import Standing
from alerts.problem import Sighting
from alerts.routing import About, Route, first
from alerts.telling import Subject
from checks.result import Family, Result, Severity, Status
from monitor.config import Config
from monitor.news import telling
from monitor.store import decisions
from monitor.store import telling as told_before
from monitor.store.decisions import Decision
from monitor.store.store import Store
from monitor.store.tables import channels, incidents, problems

CHANNEL = "channel:"
"""How the subject of a channel's own incident begins; the channel's name follows."""
TAKES, ADDRESS = "takes messages", "takes mail"


def begins(config: Config, store: Store, channel: str, reason: str, now: datetime, recipient: str | None = None) -> None:
    """The channel (or this recipient of it) takes nothing; told once however many messages it concerns."""
    who = recipient or f"channel {channel}"
    _seen(config, store, channel, recipient, Status.FAILED, f"{who} takes no messages: {reason}", now)


def ends(config: Config, store: Store, channel: str, now: datetime, recipient: str | None = None) -> None:
    """It takes messages again."""
    _seen(config, store, channel, recipient, Status.PASSED, "a message was taken", now)


def _seen(config: Config, store: Store, channel: str, recipient: str | None, status: Status, text: str, now: datetime) -> None:
    check = ADDRESS if recipient else TAKES
    severity = (Severity.WARNING if recipient else Severity.CRITICAL) if status is Status.FAILED else None
    result = Result(check, check, Family.SOURCE, status, text, segment=recipient, severity=severity)
    sighting = Sighting(f"{CHANNEL}{channel}", result, now, now)

    def work(connection: Connection) -> None:
        decision = _decided(config, connection, channel, sighting, now)
        decisions.write(connection, decision, now)

    store.attempt(work)


def _decided(config: Config, connection: Connection, channel: str, sighting: Sighting, now: datetime) -> Decision:
    number = decisions.numbered(connection)
    mine = connection.execute(select(problems).where(problems.c.subject == sighting.subject)).mappings().all()
    # The last one: it is open, or may be opened again.
    last = select(incidents).where(incidents.c.subject == sighting.subject).order_by(incidents.c.id.desc()).limit(1)
    standing = [decisions.incident_of(row) for row in connection.execute(last).mappings()]
    found = news(Standing([decisions.problem_of(row) for row in mine], standing, number), [sighting], now)
    stand = told_before.stand(connection, [i.id for i in standing], now)
    out = Decision(found)
    for change in found.changes:
        route = _route(config, connection, channel, change.incident.severity)
        rows, told = telling(config, route, change, stand, Subject(f"channel {channel}"), now)
        out = Decision(found, [*out.deliveries, *rows], [*out.tellings, *told])
    return out


def _route(config: Config, connection: Connection, channel: str, severity: Severity) -> Route:
    """Where its route leads besides itself, else its fallback, else whatever works: somebody has to hear of it."""
    broken = set(connection.execute(select(channels.c.name).where(channels.c.blocked_since.is_not(None))).scalars())
    route = first(config.routes, About(severity, None))
    settings = config.channels.get(channel)
    fallback = settings.fallback if settings else None
    for named in (route.to if route else (), (fallback,) if fallback else (), tuple(config.channels)):
        working = tuple(name for name in named if name != channel and name not in broken and name in config.channels)
        if working:
            return Route(to=working)
    return Route(to=())


def told_by(config: Config, store: Store, channel: str) -> tuple[str, ...]:
    """The channels that tell of another channel's trouble."""
    with store.reading() as connection:
        return _route(config, connection, channel, Severity.WARNING).to
