"""One row for each recipient of a mail, so that a refused one touches no other; and recipients that stay refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update

from alerts.message import Message
from monitor import fit
from monitor.store.store import Store
from monitor.store.tables import addresses, deliveries

SUSPENDED_AFTER = timedelta(weeks=3)
TO = ":to:"
"""In the key of what is sent to a further recipient."""
COPIED = ("incident", "channel", "form", "revision", "broadcast", "created_at", "not_before", "expires_at")


def split(store: Store, channel: str, recipients: Sequence[str]) -> None:
    """What waits for a channel with recipients becomes a row for each of them; those that are suspended are left out.

    The first takes the row itself. In one transaction: a crash leaves it split or whole.
    """

    def work(connection: Connection) -> None:
        whole = (deliveries.c.channel == channel, deliveries.c.recipient == "", deliveries.c.state == "pending")
        rows = connection.execute(
            select(deliveries).where(*whole).order_by(deliveries.c.id).with_for_update(skip_locked=True)
        ).all()
        if not rows:
            return
        left_out = suspended(connection, channel)
        for row in rows:
            said = Message.from_json(json.loads(row.payload))
            to = [r for r in ([said.to] if said.to else recipients) if r not in left_out]
            mine = update(deliveries).where(deliveries.c.id == row.id)
            if not to:
                connection.execute(mine.values(state="dead", last_error="every recipient is suspended"))
                continue
            first, *others = to
            connection.execute(mine.values(recipient=first, payload=_to(said, first)))
            copied = {name: getattr(row, name) for name in COPIED}
            for other in others:
                key = f"{row.key}{TO}{hashlib.sha256(other.encode()).hexdigest()[:12]}"
                connection.execute(insert(deliveries).values(key=key, recipient=other, payload=_to(said, other), **copied))

    store.attempt(work)


def _to(said: Message, recipient: str) -> str:
    return json.dumps(fit.json({**said.as_json(), "to": recipient}))


def suspended(connection: Connection, channel: str) -> Collection[str]:
    query = select(addresses.c.recipient).where(addresses.c.channel == channel, addresses.c.suspended_at.is_not(None))
    return set(connection.execute(query).scalars())


def refused(store: Store, channel: str, recipient: str, reason: str, now: datetime) -> bool:
    """A recipient was refused; True where that has gone on for three weeks, and it is suspended with this."""

    def work(connection: Connection) -> bool:
        mine = (addresses.c.channel == channel, addresses.c.recipient == recipient)
        row = connection.execute(select(addresses).where(*mine).with_for_update()).first()
        if row is None:
            new = {"channel": channel, "recipient": recipient, "failed_since": now, "reason": reason}
            connection.execute(insert(addresses).values(**new))
            return False
        over = row.suspended_at is None and now - row.failed_since >= SUSPENDED_AFTER
        connection.execute(update(addresses).where(*mine).values(reason=reason, suspended_at=now if over else row.suspended_at))
        return over

    return store.attempt(work)


def taken(store: Store, channel: str, recipient: str) -> bool:
    """A recipient's mail was taken: True where it had been refused before."""
    mine = delete(addresses).where(addresses.c.channel == channel, addresses.c.recipient == recipient)
    with store.reading() as connection:
        known = select(addresses.c.recipient).where(addresses.c.channel == channel, addresses.c.recipient == recipient)
        if connection.execute(known).first() is None:
            return False
    return store.attempt(lambda connection: bool(connection.execute(mine).rowcount))


def free(store: Store, channel: str, recipient: str, now: datetime) -> bool:
    """A suspended recipient gets mail again, and has three weeks anew; False where it is not suspended."""
    mine = (addresses.c.channel == channel, addresses.c.recipient == recipient, addresses.c.suspended_at.is_not(None))
    # The row stays until a mail is taken: that ends the trouble that was told.
    freed = update(addresses).where(*mine).values(suspended_at=None, failed_since=now)
    return store.attempt(lambda connection: bool(connection.execute(freed).rowcount))


def strangers(store: Store, known: Mapping[str, Collection[str]]) -> list[tuple[str, str]]:
    """(channel, recipient) of refused ones that are no longer written to; `known` are each channel's recipients."""
    with store.reading() as connection:
        rows = connection.execute(select(addresses.c.channel, addresses.c.recipient).order_by(*addresses.primary_key)).all()
    return [(row.channel, row.recipient) for row in rows if row.recipient not in known.get(row.channel, ())]


def forget(store: Store, channel: str, recipient: str) -> None:
    """Who is no longer written to: taken out of the config and put back, an address begins anew."""
    gone = delete(addresses).where(addresses.c.channel == channel, addresses.c.recipient == recipient)
    store.attempt(lambda connection: connection.execute(gone))
