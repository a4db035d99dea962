"""Charts as deliveries of a form of their own, which nothing waits for.

Written down as over before the work begins, and as sent after it: where somebody dies in between there is no chart, and never two.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, insert, select, update

from alerts.message import Message
from monitor.store.store import Store
from monitor.store.tables import deliveries, problems, results

Record = Any
CHART = "chart"
LONGEST_KEY = 255


@dataclass(frozen=True)
class Root:
    """A message that began an incident's thread in a channel, and its reference there."""

    key: str
    incident: int
    channel: str
    revision: int
    reference: str

    @property
    def chart(self) -> str:
        """The key of its chart."""
        return f"{self.key}:chart"[:LONGEST_KEY]


def undrawn(store: Store, names: Collection[str], since: datetime) -> list[Root]:
    """What began an open incident's thread in one of these channels since then and has no chart yet, oldest first."""
    row = deliveries.c
    began = (row.form == "root", row.state == "sent", row.sent_at > since, row.channel.in_(names), row.incident.is_not(None))
    with store.reading() as connection:
        found = connection.execute(select(deliveries).where(*began, row.provider_ref.is_not(None)).order_by(row.id)).all()
        open_ = [d for d in found if Message.from_json(json.loads(d.payload)).state == "open"]
        roots = [Root(d.key, d.incident, d.channel, d.revision, d.provider_ref) for d in open_]
        drawn = set(connection.execute(select(row.key).where(row.key.in_([root.chart for root in roots]))).scalars())
    return [root for root in roots if root.chart not in drawn]


def begin(store: Store, root: Root, said: Message, now: datetime) -> bool:
    """Write down that its chart is being made; False where somebody else does that, or did."""

    def work(connection: Any) -> bool:
        if connection.execute(select(deliveries.c.id).where(deliveries.c.key == root.chart)).first() is not None:
            return False
        values = {"incident": root.incident, "channel": root.channel, "revision": root.revision, "created_at": now}
        story = {"state": "superseded", "last_error": "it was not finished", "payload": json.dumps(said.as_json())}
        connection.execute(insert(deliveries).values(key=root.chart, form=CHART, attempts=1, **values, **story))
        return True

    return store.attempt(work)


def sent(store: Store, root: Root, reference: str, now: datetime) -> None:
    _finish(store, root, state="sent", provider_ref=reference, sent_at=now, last_error=None)


def dropped(store: Store, root: Root, reason: str) -> None:
    """There is none, and why; `explain` shows it."""
    _finish(store, root, last_error=reason, first_error=reason)


def _finish(store: Store, root: Root, **values: Any) -> None:
    store.attempt(lambda c: c.execute(update(deliveries).where(deliveries.c.key == root.chart).values(**values)))


def members(store: Store, incident: int) -> Sequence[Record]:
    """The problems of an open incident, the gravest first, as its message has them."""
    grave = case((problems.c.severity == "critical", 0), else_=1)
    query = select(problems).where(problems.c.incident == incident)
    with store.reading() as connection:
        return connection.execute(query.order_by(grave, problems.c.score.desc().nulls_last())).all()


def course(store: Store, problem: Record, most: int) -> Sequence[Record]:
    """The results of a problem's check on its last windows, oldest first."""
    row = results.c
    same = (row.dataset == problem.subject, row.check == problem.check, row.column == problem.column)
    query = select(results).where(*same, row.segment == problem.segment, row.window_end <= problem.last_end)
    with store.reading() as connection:
        return connection.execute(query.order_by(row.window_start.desc()).limit(most)).all()[::-1]
