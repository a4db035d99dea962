"""A channel that is out of order is a problem of its own: an incident like any other, told by another channel."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, select

from alerts.deciding import news
from alerts.incident import Standing
from alerts.plain import clean
from alerts.problem import Sighting
from alerts.routing import About, Route, first
from alerts.telling import CONTENT, Subject
from checks.result import Family, Result, Severity, Status
from monitor.config import Config
from monitor.news import telling
from monitor.store import decisions
from monitor.store import telling as told_before
from monitor.store.decisions import Decision
from monitor.store.outbox import Claimed
from monitor.store.store import Store
from monitor.store.tables import channels, incidents, problems

CHANNEL = "channel:"
"""How the subject of a channel's own incident begins; the channel's name follows."""
TAKES, ADDRESS = "takes messages", "takes mail"
REST = timedelta(hours=1)
"""What is told of a refused content stands so long at least: a message that is taken right after it must not unsay it."""
MOST_REFUSED = 5
"""Messages that are told of one by one."""


def begins(config: Config, store: Store, channel: str, reason: str, now: datetime, recipient: str | None = None) -> None:
    """The channel (or this recipient of it) takes nothing; told once however many messages it concerns."""
    who = recipient or f"channel {channel}"
    severity = Severity.WARNING if recipient else Severity.CRITICAL
    result = _result(recipient, Status.FAILED, f"{who} takes no messages: {reason}", severity)
    _seen(config, store, channel, result, now)


def ends(
    config: Config, store: Store, channel: str, now: datetime, recipient: str | None = None, why: str = "a message was taken"
) -> None:
    """It takes messages again, or is not written to any more."""
    _seen(config, store, channel, _result(recipient, Status.PASSED, why), now)


def _result(recipient: str | None, status: Status, text: str, severity: Severity | None = None) -> Result:
    check = ADDRESS if recipient else TAKES
    return Result(check, check, Family.SOURCE, status, text, segment=recipient, severity=severity)


def refused(config: Config, store: Store, claimed: Claimed, reason: str, now: datetime) -> None:
    """A message will never be told in its channel, its content is refused for good: somebody hears that, and what it said."""
    channel, message = claimed.channel, claimed.message
    what = message.incident or claimed.key
    with store.reading() as connection:
        there = set(connection.execute(_refusals(channel).with_only_columns(problems.c.segment)).scalars())
    if what not in there and len(there) >= MOST_REFUSED:
        what = "and more"
    said = f"channel {channel} refused a message for good, even as plain text ({clean(reason, 150)}); nobody was told there"
    # What says this was refused as well: quoting it once more would go round in circles.
    said += f" of: {clean(message.text, 200)}" if not message.title.startswith("channel ") else ""
    severity = message.severity or Severity.WARNING
    result = Result(CONTENT, CONTENT, Family.SOURCE, Status.FAILED, said, segment=what, severity=severity)
    _seen(config, store, channel, result, now)


def rested(config: Config, store: Store, channel: str, now: datetime) -> None:
    """A message was taken: what was refused longer ago than an hour is over."""
    with store.reading() as connection:
        old = list(connection.execute(_refusals(channel).where(problems.c.last_end <= now - REST)).mappings())
    for row in old:
        over = Result(CONTENT, CONTENT, Family.SOURCE, Status.PASSED, "messages were taken since", segment=row["segment"])
        _seen(config, store, channel, over, now)


def _refusals(channel: str) -> Select[Any]:
    subject = f"{CHANNEL}{channel}"
    return select(problems).where(problems.c.subject == subject, problems.c.check == CONTENT, problems.c.state != "ok")


def _seen(config: Config, store: Store, channel: str, result: Result, now: datetime) -> None:
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
