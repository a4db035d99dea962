"""What was told and what was not: read before a decision, written with it; and what digests and storms are made of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, select, update

from alerts.outcome import Heard, Outcome, Telling
from alerts.pace import LONGEST_STORM
from alerts.silencing import Silence
from monitor import fit
from monitor.store.tables import WAITING, deliveries, incidents, silences, tellings

Record = Row[Any]
STORM = "storm:"
"""How the subject of a storm's own incident begins; the channel's name follows."""
TOLD_SINCE = "told since"
BEGINS = frozenset({"opened", "reopened"})


@dataclass(frozen=True)
class Stand:
    """What the deciding needs to know of what was told: see `Heard`, here for all incidents and channels at once."""

    rooted: Mapping[int, frozenset[str]] = field(default_factory=dict)
    unsent: Mapping[int, frozenset[str]] = field(default_factory=dict)
    earlier: Mapping[tuple[int, str], frozenset[Outcome]] = field(default_factory=dict)
    edited: Mapping[tuple[int, str], datetime] = field(default_factory=dict)
    begun: Mapping[str, Collection[tuple[int, datetime]]] = field(default_factory=dict)
    storms: frozenset[str] = frozenset()
    silences: tuple[Silence, ...] = ()

    def heard(self, incident: int, channel: str, threads: bool, since: datetime, now: datetime) -> Heard:
        """What a channel has heard of an incident; `since` when a storm's time began. What began later is none of it: a daemon that
        was held up tells of an earlier moment."""
        begun = {other for other, at in self.begun.get(channel, ()) if since < at <= now}
        return Heard(
            threads,
            channel in self.rooted.get(incident, ()),
            channel in self.unsent.get(incident, ()),
            self.earlier.get((incident, channel), frozenset()),
            self.edited.get((incident, channel)),
            len(begun - {incident}),
            channel in self.storms,
        )

    def after(self, told: Iterable[Telling], now: datetime) -> Stand:
        """The same, and what is about to be written: the changes of one window follow each other."""
        begun = {channel: list(found) for channel, found in self.begun.items()}
        for telling in told:
            if telling.outcome in {Outcome.TOLD, Outcome.STORM} and telling.happened in BEGINS:
                begun.setdefault(telling.channel, []).append((telling.incident, now))
        return replace(self, begun=begun)


def stand(connection: Connection, ids: Collection[int], now: datetime) -> Stand:
    """How the telling of these incidents stands."""
    rooted, unsent, edited = _delivered(connection, ids)
    earlier: dict[tuple[int, str], set[Outcome]] = {}
    query = select(tellings.c.incident, tellings.c.channel, tellings.c.outcome).where(tellings.c.incident.in_(ids))
    for incident, channel, outcome in connection.execute(query.distinct()):
        earlier.setdefault((incident, channel), set()).add(Outcome(outcome))
    begun: dict[str, list[tuple[int, datetime]]] = {}
    for row in connection.execute(_begun(now - LONGEST_STORM)):
        begun.setdefault(row.channel, []).append((row.incident, row.at))
    return Stand(
        rooted,
        unsent,
        {key: frozenset(found) for key, found in earlier.items()},
        edited,
        begun,
        frozenset(open_storms(connection)),
        tuple(active_silences(connection, now)),
    )


def _delivered(
    connection: Connection, ids: Collection[int]
) -> tuple[dict[int, frozenset[str]], dict[int, frozenset[str]], dict[tuple[int, str], datetime]]:
    """Of each incident: the channels that got something, those where nothing was ever tried, and when each was last edited."""
    row = deliveries.c
    query = select(row.incident, row.channel, row.form, row.state, row.attempts, row.created_at, row.not_before)
    tried: dict[int, dict[str, bool]] = {}
    edited: dict[tuple[int, str], datetime] = {}
    # Locked, so that no sender takes what is decided to be over before it was sent.
    for d in connection.execute(query.where(row.incident.in_(ids)).order_by(row.id).with_for_update()):
        channels = tried.setdefault(d.incident, {})
        channels[d.channel] = channels.get(d.channel, False) or d.attempts > 0 or d.state != "pending"
        if d.form in {"edit", "root"}:
            at = max(d.created_at, d.not_before or d.created_at)
            edited[d.incident, d.channel] = max(edited.get((d.incident, d.channel), at), at)
    rooted = {incident: frozenset(channels) for incident, channels in tried.items()}
    unsent = {i: frozenset(name for name, any_ in channels.items() if not any_) for i, channels in tried.items()}
    return rooted, unsent, edited


def _begun(since: datetime) -> Select[tuple[int, str, datetime]]:
    """Incidents that began to be told, or were counted in a storm, since then, by channel."""
    told = (str(Outcome.TOLD), str(Outcome.STORM))
    return select(tellings.c.incident, tellings.c.channel, tellings.c.at).where(
        tellings.c.at > since, tellings.c.outcome.in_(told), tellings.c.happened.in_(BEGINS)
    )


def open_storms(connection: Connection) -> dict[str, int]:
    """Channel -> the incident of the storm that goes on there."""
    query = select(incidents.c.id, incidents.c.subject).where(
        incidents.c.subject.startswith(STORM, autoescape=True), incidents.c.resolved_at.is_(None)
    )
    return {row.subject.removeprefix(STORM): row.id for row in connection.execute(query)}


def active_silences(connection: Connection, now: datetime) -> list[Silence]:
    query = select(silences).where(silences.c.starts_at <= now, silences.c.ends_at > now).order_by(silences.c.id)
    return [Silence(**{name: row._mapping[name] for name in Silence.__dataclass_fields__}) for row in connection.execute(query)]


def write(connection: Connection, told: Iterable[Telling], now: datetime) -> None:
    """Write down what became of a change; the same one again is a no-op. What is over before it was sent is not sent any more."""
    for telling in told:
        same = (
            tellings.c.incident == telling.incident,
            tellings.c.revision == telling.revision,
            tellings.c.channel == telling.channel,
            tellings.c.happened == telling.happened,
        )
        if connection.execute(select(tellings.c.id).where(*same)).first() is None:
            row = {name: getattr(telling, name) for name in Telling.__dataclass_fields__}
            row |= {"outcome": str(telling.outcome), "line": fit.text(telling.line), "at": now}
            connection.execute(insert(tellings).values(**row))
        if telling.outcome in {Outcome.TOLD, Outcome.COMBINED}:
            # What waited for the digest is told with it.
            waited = (tellings.c.incident == telling.incident, tellings.c.channel == telling.channel, WAITING)
            connection.execute(update(tellings).where(*waited).values(digest=TOLD_SINCE))
        if telling.happened == "resolved" and telling.outcome in {Outcome.DIGEST, Outcome.COMBINED}:
            _drop_unsent(connection, telling)


def _drop_unsent(connection: Connection, telling: Telling) -> None:
    """It waits no more: its story is told as a whole. Nobody is at these rows: the deciding saw that none was tried."""
    waits = (deliveries.c.incident == telling.incident, deliveries.c.channel == telling.channel, deliveries.c.state == "pending")
    reason = "over before it was sent: " + (
        "one message tells it" if telling.outcome is Outcome.COMBINED else "a digest's line tells it"
    )
    connection.execute(
        update(deliveries)
        .where(*waits, deliveries.c.attempts == 0, deliveries.c.revision < telling.revision)
        .values(state="superseded", last_error=reason)
    )


def newest(connection: Connection, incident: int) -> dict[str, str]:
    """Channel -> the outcome of the incident's last change there."""
    query = select(tellings.c.channel, tellings.c.outcome).where(tellings.c.incident == incident).order_by(tellings.c.id)
    return dict(row._tuple() for row in connection.execute(query))


def count(connection: Connection, storm: int) -> int:
    return connection.execute(select(func.count()).where(tellings.c.storm == storm)).scalar_one()
