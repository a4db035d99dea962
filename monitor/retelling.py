"""What people would have been told: the daemon's own store, rounds and deliveries, in memory and under a clock of their own.

Verdicts go in in the order in which windows close; between two of them the clock stops wherever something is due by time: a digest,
a reminder, the end of quiet hours. Channels keep what they are sent and tell nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from pydantic import PrivateAttr
from sqlalchemy import func, select, update

from alerts import periods
from alerts.base import Channel
from alerts.incident import Incident, News
from alerts.message import Outgoing
from alerts.problem import Problem
from checks.result import Severity, Status
from checks.window import Window
from monitor import delivery, fit, news, rounds
from monitor.config import Config
from monitor.dataset import Dataset
from monitor.job import Measured
from monitor.rounds import digests, releases, reminders
from monitor.store import ledger, outbox, tables, telling
from monitor.store.decisions import Decision
from monitor.store.store import Store

STORM_STEP = timedelta(minutes=5)
KEPT_QUIET_STEP = timedelta(hours=1)
ACKNOWLEDGED = timedelta(hours=1)
UNSEEN = (
    tables.incidents.c.severity == str(Severity.CRITICAL),
    tables.incidents.c.resolved_at.is_(None),
    tables.incidents.c.acked_at.is_(None),
)
BUSY = (
    select(tables.incidents.c.id).where(tables.incidents.c.resolved_at.is_(None)),
    select(tables.tellings.c.id).where(tables.WAITING),
    select(tables.deliveries.c.id).where(tables.deliveries.c.state.in_(("pending", "waiting"))),
)
NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Sent:
    """A message as a channel got it."""

    at: datetime
    channel: str
    outgoing: Outgoing


class Recorder(Channel):
    """Stands for a channel that knows no threads: keeps what it is sent, in the order of time."""

    looks_up: ClassVar[bool] = True
    name: str
    _book: list[Sent] = PrivateAttr()
    _clock: Callable[[], datetime] = PrivateAttr()

    def into(self, book: list[Sent], clock: Callable[[], datetime]) -> Recorder:
        self._book, self._clock = book, clock
        return self

    @property
    def where(self) -> str:
        return f"the record of {self.name}"

    def send(self, outgoing: Outgoing) -> str | None:
        self._book.append(Sent(self._clock(), self.name, outgoing))
        return str(len(self._book))

    def find(self, outgoing: Outgoing, since: datetime) -> str | None:
        found = (n for n, sent in enumerate(self._book, 1) if sent.at >= since and sent.outgoing.key == outgoing.key)
        return next(map(str, found), None)


class Threaded(Recorder):
    """Stands for a channel with threads."""

    threads: ClassVar[bool] = True


@dataclass
class Happening:
    """An incident of the replay with every problem that it ever held."""

    incident: Incident
    problems: dict[str, Problem] = field(default_factory=dict)


@dataclass
class Told:
    """All that was told, in the order of time, and the incidents behind it by number."""

    incidents: dict[int, Happening] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)


@dataclass
class Telling:
    """One replay. In it somebody acknowledges each critical incident an hour after it opened, and nobody silences any."""

    config: Config
    store: Store
    told: Told = field(default_factory=Told)
    now: datetime = NEVER
    idle: bool = True
    """Nothing is open and nothing waits: nothing can be due before another window fails."""
    unsent: bool = False
    """Something was decided at `now` and is not told yet."""
    troubled: set[str] = field(default_factory=set)
    """Datasets and sources of which something was ever bad."""
    healthy: dict[str, list[tuple[Dataset, Window, Measured]]] = field(default_factory=dict)
    """By dataset, the windows that can have changed nothing: recorded once something of theirs is bad, for what is usual."""

    def __post_init__(self) -> None:
        book = self.told.sent
        stands = {True: Threaded, False: Recorder}
        channels = {name: stands[c.threads](name=name).into(book, lambda: self.now) for name, c in self.config.channels.items()}
        self.config = replace(self.config, channels=channels)

    def window(self, dataset: Dataset, window: Window, measured: Measured) -> Decision:
        """The decision on one more window; call it in the order in which windows close."""
        now = window.end + dataset.delay
        bad = any(r.status in {Status.FAILED, Status.ERRORED} for r in measured.results)
        if self.idle and not bad and measured.state == "done" and self.troubled.isdisjoint(news.subjects(dataset)):
            self.healthy.setdefault(dataset.name, []).append((dataset, window, measured))
            return Decision(News())
        if not self.idle or bad:
            self.until(now)
        for earlier in self.healthy.pop(dataset.name, ()):
            self._recorded(*earlier, tells=False)
        decision = self._recorded(dataset, window, measured)
        self._note(decision)
        if decision.tellings:
            self.idle, self.unsent = False, True
        return decision

    def _recorded(self, dataset: Dataset, window: Window, measured: Measured, tells: bool = True) -> Decision:
        now = window.end + dataset.delay
        claim = ledger.claim(self.store, dataset.name, window, self.config.daemon.lease, lane=dataset.lane)
        if claim is None:
            raise ValueError(f"{dataset.name}: {window} was told already")
        # Profiles are the replay's, not the store's.
        measured = replace(measured, profile=None, golden=None, apart=None, results=[fit.result(r) for r in measured.results])
        decide = news.deciding(self.config, dataset, window, measured, now) if tells else None
        return ledger.record(self.store, claim, measured, now, news.subjects(dataset), decide) or Decision(News())

    def until(self, moment: datetime) -> None:
        """Everything that is due by time up to `moment`."""
        if moment == self.now:
            # Of windows that close together all are recorded before any is told.
            return
        if self.idle:
            # Also the daemon's start: mornings before it are nobody's.
            self._turn(moment)
        if self.unsent:
            self._turn(self.now)
        while not self.idle and (following := min(self._following(self.now), moment)) > self.now:
            self._turn(following)
        self.now = moment

    def _idle(self) -> bool:
        with self.store.reading() as connection:
            return not any(connection.execute(query.limit(1)).first() for query in BUSY)

    def _turn(self, now: datetime) -> None:
        """What the daemon does over and over, once."""
        self.now = now
        self._acknowledge(now)
        rounds.due(self.config, self.store, now)
        for name in outbox.waiting_channels(self.store, now):
            delivery.drain(self.config, self.store, name, lambda: now, most=10_000)
        self.unsent, self.idle = False, self._idle()

    def _acknowledge(self, now: datetime) -> None:
        """Without it an open incident would be mentioned again every few hours for weeks, which nobody would let happen."""
        row = tables.incidents.c
        late = (*UNSEEN, row.opened_at <= now - ACKNOWLEDGED)
        with self.store.begin() as connection:
            connection.execute(update(tables.incidents).where(*late).values(acked_at=now, acked_by="the replay"))

    def _note(self, decision: Decision) -> None:
        self.troubled.update(problem.subject for problem in decision.news.problems)
        for change in decision.news.changes:
            happening = self.told.incidents.setdefault(change.incident.id, Happening(change.incident))
            happening.incident = change.incident
            happening.problems.update((p.fingerprint, p) for p in (*change.members, *change.gone))

    def _following(self, now: datetime) -> datetime:
        """The next instant at which anything may be due."""
        return min((at for at in self._instants(now) if at > now), default=datetime.max.replace(tzinfo=UTC))

    def _instants(self, now: datetime) -> Iterator[datetime]:
        for turn in digests.turns(self.config):
            yield periods.following(turn.time, turn.zone, now)
        with self.store.reading() as connection:
            row = tables.deliveries.c
            held = select(func.min(row.not_before)).where(row.state.in_(("pending", "waiting")), row.not_before > now)
            waits = connection.execute(held).scalar()
            yield from [waits] if waits is not None else []
            yield from reminders.following(connection, self.config, now)
            unseen = connection.execute(select(func.min(tables.incidents.c.opened_at)).where(*UNSEEN)).scalar()
            yield from [unseen + ACKNOWLEDGED] if unseen is not None else []
            if telling.open_storms(connection):
                yield now + STORM_STEP
            if releases.anything(connection):
                yield now + KEPT_QUIET_STEP


@contextmanager
def telling_anew(config: Config) -> Iterator[Telling]:
    """A replay's telling on a store of its own, in memory."""
    store = Store("sqlite://")
    try:
        tables.metadata.create_all(store.engine)
        yield Telling(config, store)
    finally:
        store.close()
