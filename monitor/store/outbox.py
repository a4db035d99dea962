"""Deliveries as rows: claimed with a lease and a token, sent outside of any transaction, finished by token."""

from __future__ import annotations

import json
import logging
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, exists, func, or_, select, update

from alerts.message import Message
from alerts.telling import Delivery, Form
from monitor.store import decisions
from monitor.store.store import Store
from monitor.store.tables import channels, deliveries, incidents

log = logging.getLogger("datavigil.delivery")

OVER = ("sent", "dead", "expired", "superseded")
VIA = ":via:"
"""In the key of what a fallback sends for another channel."""


@dataclass(frozen=True)
class Claimed:
    """A delivery that is ours to send until the lease ends.

    `unsure`: an earlier try may have arrived, so look it up before sending. `root` is the reference of the thread's root.
    """

    id: int
    token: str
    key: str
    incident: int | None
    channel: str
    form: Form
    broadcast: bool
    message: Message
    attempts: int
    unsure: bool
    first_attempt_at: datetime
    root: str | None
    lease_until: datetime
    near: str | None = None
    recipient: str | None = None


def put(store: Store, delivery: Delivery, now: datetime) -> None:
    """Write down a delivery that belongs to no window (a notice); the same key again is a no-op."""
    store.attempt(lambda connection: decisions.write_delivery(connection, delivery, now))


def waiting_channels(store: Store, now: datetime) -> list[str]:
    """Channels that have something to send now, or are out of order and to be probed."""
    # One step in the index for each channel: it is asked twice a second, and years of deliveries are in the table.
    names = select(func.min(deliveries.c.channel).label("name")).cte("names", recursive=True)
    after = select(func.min(deliveries.c.channel)).where(deliveries.c.channel > names.c.name).scalar_subquery()
    names = names.union_all(select(after).where(names.c.name.is_not(None)))
    query = select(names.c.name).where(exists().where(deliveries.c.channel == names.c.name, _due(now)))
    probes = select(channels.c.name).where(channels.c.blocked_since.is_not(None), channels.c.probe_at <= now)
    with store.reading() as connection:
        return list(connection.execute(query.union(probes)).scalars())


def claim(store: Store, channel: str, now: datetime, lease: timedelta) -> Claimed | None:
    """The next delivery of a channel, taken; None where there is nothing to do.

    In order per incident: a row waits for the earlier ones. An edit that a later one overtakes is superseded, what is too old has
    expired. A row whose lease ran out was being sent by somebody who died: it may have arrived.
    """
    token = secrets.token_hex(16)

    def work(connection: Connection) -> Claimed | None:
        clock = store.clock(connection)
        _expire(connection, channel, now)
        earlier = deliveries.alias()
        later = deliveries.alias()
        same = and_(
            earlier.c.incident == deliveries.c.incident,
            earlier.c.channel == deliveries.c.channel,
            earlier.c.recipient == deliveries.c.recipient,
        )
        blocked = exists().where(same, earlier.c.id < deliveries.c.id, earlier.c.state.not_in(OVER))
        overtaken = exists().where(
            later.c.incident == deliveries.c.incident,
            later.c.channel == deliveries.c.channel,
            later.c.form == "edit",
            later.c.id > deliveries.c.id,
        )
        waiting = (deliveries.c.state.in_(("pending", "waiting")), deliveries.c.form == "edit", overtaken)
        connection.execute(update(deliveries).where(deliveries.c.channel == channel, *waiting).values(state="superseded"))
        row = connection.execute(
            select(deliveries)
            .where(deliveries.c.channel == channel, _due(now, clock), ~blocked)
            # One that keeps failing must not hold up the others; within an incident the order is held above.
            .order_by(deliveries.c.attempts, deliveries.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).first()
        if row is None:
            return None
        unsure = row.state in {"sending", "unknown"}
        taken = {
            "state": "sending",
            "lease_token": token,
            "lease_until": clock + lease,
            "attempts": row.attempts + 1,
            "first_attempt_at": row.first_attempt_at or now,
        }
        connection.execute(update(deliveries).where(deliveries.c.id == row.id).values(**taken))
        return Claimed(
            row.id,
            token,
            row.key,
            row.incident,
            channel,
            row.form,
            row.broadcast,
            Message.from_json(json.loads(row.payload)),
            row.attempts + 1,
            unsure,
            row.first_attempt_at or now,
            _root(connection, row.incident, channel, row.recipient, row.id),
            clock + lease,
            _near(connection, channel) if unsure else None,
            row.recipient or None,
        )

    return store.attempt(work)


def finish(store: Store, claimed: Claimed, **values: Any) -> bool:
    """Write how a try ended; False, and nothing is written, where the lease passed to somebody else."""
    mine = update(deliveries).where(deliveries.c.id == claimed.id, deliveries.c.lease_token == claimed.token)
    # Again where the store is busy: a send that is not written down would be made twice.
    return store.attempt(lambda c: bool(c.execute(mine.values(lease_token=None, lease_until=None, **values)).rowcount))


def forget_root(store: Store, incident: int, channel: str) -> None:
    """The thread's root is gone: what comes next starts a new one."""
    roots = (deliveries.c.incident == incident, deliveries.c.channel == channel, deliveries.c.form.in_(("root", "message")))
    with store.begin() as connection:
        connection.execute(update(deliveries).where(*roots).values(provider_ref=None))


def pause(store: Store, channel: str, until: datetime) -> None:
    """The channel asked for a pause: nothing goes there before `until`."""
    _set_channel(store, channel, paused_until=until)


def block(store: Store, channel: str, kind: str, reason: str, now: datetime, probe_at: datetime) -> bool:
    """The channel takes nothing until it is mended; True the first time. It is tried again at `probe_at`."""
    with store.reading() as connection:
        was = connection.execute(select(channels.c.blocked_since).where(channels.c.name == channel)).scalar()
    _set_channel(store, channel, blocked_since=was or now, blocked_kind=kind, reason=reason, probe_at=probe_at)
    return was is None


def try_again(store: Store) -> None:
    """At a start, maybe with a mended config: a channel that is out of order is tried at once, whatever its next probe was."""
    with store.begin() as connection:
        connection.execute(update(channels).where(channels.c.blocked_since.is_not(None)).values(probe_at=None))


def unblock(store: Store, channel: str) -> bool:
    """The channel works; True where it was out of order."""
    with store.reading() as connection:
        row = connection.execute(select(channels).where(channels.c.name == channel)).first()
    if row is None or not (row.blocked_since or row.paused_until or row.failing_since):
        return False
    mended: dict[str, Any] = dict.fromkeys(("blocked_since", "blocked_kind", "reason", "probe_at", "paused_until", "failing_since"))
    _set_channel(store, channel, **mended)
    return row.blocked_since is not None


def probe_later(store: Store, channel: str, at: datetime) -> None:
    """Nothing could be found out: the channel stays out of order, and is asked again."""
    _set_channel(store, channel, probe_at=at)


def anything_due(store: Store, channel: str, now: datetime) -> bool:
    """Something waits for the channel and could be sent now."""
    query = select(deliveries.c.id).where(deliveries.c.channel == channel, _due(now)).limit(1)
    with store.reading() as connection:
        return connection.execute(query).first() is not None


def blocked(store: Store, channel: str) -> Any:
    """The row of a channel that is out of order, else None."""
    query = select(channels).where(channels.c.name == channel, channels.c.blocked_since.is_not(None))
    with store.reading() as connection:
        return connection.execute(query).first()


def reroute(store: Store, channel: str, fallback: str, now: datetime) -> int:
    """What waits for a channel that is out of order goes to its fallback instead, as messages of their own; how many rows.

    Not twice: what came here as somebody's fallback stays and waits, and an incident whose change the fallback is told of
    anyway is not repeated there.
    """

    def work(connection: Connection) -> int:
        rows = connection.execute(
            select(deliveries)
            .where(
                deliveries.c.channel == channel,
                deliveries.c.state.in_(("pending", "waiting", "unknown")),
                or_(deliveries.c.not_before.is_(None), deliveries.c.not_before <= now),
                deliveries.c.key.not_like(f"%{VIA}%"),
            )
            .order_by(deliveries.c.id)
            .with_for_update(skip_locked=True)
        ).all()
        for row in rows:
            if row.form != "edit" and not _knows(connection, fallback, row):
                _copy(connection, row, fallback, now)
            gone = update(deliveries).where(deliveries.c.id == row.id)
            connection.execute(gone.values(state="superseded", last_error=f"sent to {fallback} instead"))
        return len(rows)

    return store.attempt(work)


def _knows(connection: Connection, channel: str, row: Any) -> bool:
    """The channel is told of this change of the incident, or of a later one, by a row of its own."""
    if row.incident is None:
        return False
    same = (deliveries.c.incident == row.incident, deliveries.c.channel == channel, deliveries.c.revision >= row.revision)
    return connection.execute(select(deliveries.c.id).where(*same)).first() is not None


def _copy(connection: Connection, row: Any, fallback: str, now: datetime) -> None:
    said = Message.from_json(json.loads(row.payload))
    said = replace(said, why=f"{said.why}; {row.channel} is out of order", may_repeat=said.may_repeat or row.state == "unknown")
    key = f"{row.key}{VIA}{fallback}"
    copy = Delivery(key, row.incident, fallback, "message", said, row.revision, expires_at=row.expires_at)
    decisions.write_delivery(connection, copy, now)


def held(store: Store, now: datetime) -> dict[str, Any]:
    """Channel -> row of those that are paused or blocked and not to be tried now."""
    with store.reading() as connection:
        rows = connection.execute(select(channels)).all()
    return {
        row.name: row
        for row in rows
        if (row.paused_until and row.paused_until > now) or (row.blocked_since and row.probe_at and row.probe_at > now)
    }


def _set_channel(store: Store, channel: str, **values: Any) -> None:
    def work(connection: Connection) -> None:
        changed = connection.execute(update(channels).where(channels.c.name == channel).values(**values))
        if not changed.rowcount:
            connection.execute(channels.insert().values(name=channel, **values))

    store.attempt(work)


def _due(now: datetime, clock: datetime | None = None) -> Any:
    """Rows to send: their time has come, and nobody is at them (the lease ran out)."""
    row = deliveries.c
    ready = and_(
        row.state.in_(("pending", "waiting", "unknown")),
        or_(row.not_before.is_(None), row.not_before <= now),
        or_(row.next_attempt_at.is_(None), row.next_attempt_at <= now),
    )
    left = and_(row.state == "sending", row.lease_until <= (clock or now))
    # Said again in one list, since no index answers an "or".
    return and_(row.state.in_(("pending", "waiting", "unknown", "sending")), or_(ready, left))


def _expire(connection: Connection, channel: str, now: datetime) -> None:
    """Too old to be worth sending; never the first word of an incident that goes on: nobody but this row says so."""
    goes_on = exists().where(incidents.c.id == deliveries.c.incident, incidents.c.resolved_at.is_(None))
    begins = and_(deliveries.c.state != "unknown", deliveries.c.form.in_(("root", "message")), goes_on)
    gone = connection.execute(
        update(deliveries)
        .where(
            deliveries.c.channel == channel,
            deliveries.c.state.in_(("pending", "waiting", "unknown")),
            deliveries.c.expires_at <= now,
            ~begins,
        )
        .values(state="expired")
    )
    if gone.rowcount:
        log.error("channel %s: %d deliveries are too old to be sent and were given up", channel, gone.rowcount)


def _near(connection: Connection, channel: str) -> str | None:
    """The reference of the last message that surely reached the channel: a channel may need it to look another one up."""
    query = select(deliveries.c.provider_ref).where(deliveries.c.channel == channel, deliveries.c.provider_ref.is_not(None))
    found: str | None = connection.execute(query.order_by(deliveries.c.id.desc()).limit(1)).scalar()
    return found


def _root(connection: Connection, incident: int | None, channel: str, recipient: str, before: int) -> str | None:
    """The reference of the newest message that can carry the incident's thread."""
    if incident is None:
        return None
    query = (
        select(deliveries.c.provider_ref)
        .where(
            deliveries.c.incident == incident,
            deliveries.c.channel == channel,
            deliveries.c.recipient == recipient,
            deliveries.c.id < before,
            deliveries.c.state == "sent",
            deliveries.c.form.in_(("root", "message")),
            deliveries.c.provider_ref.is_not(None),
        )
        .order_by(deliveries.c.form == "message", deliveries.c.id)
        .limit(1)
    )
    found: str | None = connection.execute(query).scalar()
    return found


def unsent(store: Store) -> dict[str, int]:
    """Channel -> how many deliveries are not over."""
    query = (
        select(deliveries.c.channel, func.count().label("rows"))
        .where(deliveries.c.state.not_in(OVER))
        .group_by(deliveries.c.channel)
    )
    with store.reading() as connection:
        return {row.channel: row.rows for row in connection.execute(query)}
