"""A simulated year of 20 datasets, through the real deciding, store, rounds and sending: who hears how much.

    python -m benchmarks.alert_year [--days 365] [--noise 0.001] [--nobody]

The runner, the store (SQLite, a throw-away file), the rounds and the deliveries are the daemon's own; made up are the verdicts, the
clock, the people who acknowledge, and the channels, which keep what they are sent.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic import PrivateAttr
from sqlalchemy import event, insert, select

from alerts.base import Channel
from alerts.message import Outgoing
from alerts.routing import Route
from benchmarks.alert_faults import DAY, HOUR, Plan
from benchmarks.alert_told import Sent, Year, report
from checks.result import Severity
from monitor import delivery, rounds
from monitor.actions import acknowledge
from monitor.config import Config
from monitor.dataset import Dataset
from monitor.job import Job, Measured
from monitor.runner import Runner
from monitor.sources.files import Files
from monitor.store import outbox, telling
from monitor.store.decisions import LIVE
from monitor.store.store import Store
from monitor.store.tables import incidents, windows
from monitor.testing.clock import Clock

STEP = timedelta(minutes=5)
MORNINGS = 2 * DAY
"""After the last window: so that what waits for a digest is told."""
ZONE, DIGEST = "Europe/Berlin", 8
ROUTES = (
    {"severity": "critical", "to": ["oncall"], "escalate": {"after": "45m", "to": ["pager"]}, "timezone": ZONE},
    {"to": ["team"], "quiet": "22:00-08:00", "timezone": ZONE},
)


class Recorder(Channel):
    """A channel with threads that can be asked, and keeps what it is sent with the time."""

    threads: ClassVar[bool] = True
    looks_up: ClassVar[bool] = True
    name: str
    _book: list[Sent] = PrivateAttr()
    _clock: Clock = PrivateAttr()

    def into(self, book: list[Sent], clock: Clock) -> Recorder:
        self._book, self._clock = book, clock
        return self

    @property
    def where(self) -> str:
        return f"the record of {self.name}"

    def send(self, outgoing: Outgoing) -> str | None:
        self._book.append(Sent(self._clock.now(), self.name, outgoing))
        return str(len(self._book))

    def find(self, outgoing: Outgoing, since: datetime) -> str | None:
        found = (str(n) for n, sent in enumerate(self._book, 1) if sent.channel == self.name and sent.outgoing.key == outgoing.key)
        return next(found, None)


@dataclass
class Planned:
    """A pool of workers that measures nothing: what comes of a window is the plan's to say."""

    plan: Plan

    def schedule(self, function: Any, args: Sequence[Any], timeout: float) -> Future[Measured]:
        job: Job = args[0]
        future: Future[Measured] = Future()
        future.set_result(self.plan.measured(job.dataset, job.window, job.now))
        return future


def datasets(hourly: int = 8, daily: int = 12) -> list[Dataset]:
    """Two sources; windows close five minutes before they are due, the daily ones are due in the night."""
    found = []
    for number in range(hourly + daily):
        short = number < hourly
        every, delay = (HOUR, STEP) if short else (DAY, 2 * HOUR + STEP)
        name = f"{'hourly' if short else 'daily'}_{number}"
        source = "shop" if number % 2 else "events"
        found.append(Dataset(name=name, source=source, table=name + "/{start}.csv", every=every, delay=delay, timezone=ZONE))
    return found


@dataclass
class Simulation:
    """One run of a plan. `nobody`: nobody acknowledges anything."""

    plan: Plan
    store: Store
    nobody: bool = False
    clock: Clock = field(default_factory=Clock)
    sent: list[Sent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock.set(self.plan.begin)
        channels = {name: Recorder(name=name).into(self.sent, self.clock) for name in ("oncall", "team", "pager")}
        self.config = Config(
            Path(),
            sources={name: Files() for name in sorted({d.source for d in self.plan.datasets})},
            datasets={d.name: d for d in self.plan.datasets},
            channels=channels,
            routes=tuple(Route.model_validate(route) for route in ROUTES),
        )
        self.runner = Runner(self.config, self.store, Planned(self.plan))

    def run(self) -> Year:
        """Every five minutes; those in which nothing can be due are left out."""
        rounds.due(self.config, self.store, self.clock.now())
        busy = lasting = False
        while self.clock.now() < self.plan.end + MORNINGS:
            now = self.clock.advance(STEP)
            hour = now.minute == STEP.total_seconds() / 60
            loud = hour and now < self.plan.end and self.ledgered(now)
            morning = hour and now.astimezone(ZoneInfo(ZONE)).hour == DIGEST
            if busy or loud or morning or (hour and lasting):
                busy = self.step(now)
                lasting = self.lasting()
        return Year(self.plan, self.sent, self.store)

    def ledgered(self, now: datetime) -> bool:
        """The quiet windows that are due are noted as done, all at once: none can move a problem. True: there are others."""
        quiet, loud = [], False
        for dataset in self.plan.datasets:
            window = dataset.calendar.holding(now - dataset.delay - timedelta(microseconds=1))
            if window.end != now - dataset.delay:
                continue
            if self.plan.quiet(dataset, window):
                quiet.append({"dataset": dataset.name, "start": window.start, "end": window.end})
            else:
                loud = True
        if quiet:
            same = {"lane": LIVE, "state": "done", "attempts": 1, "rows": 100_000, "finished_at": now, "told": True}
            with self.store.begin() as connection:
                connection.execute(insert(windows), [row | same for row in quiet])
        return loud

    def lasting(self) -> bool:
        with self.store.reading() as connection:
            return connection.execute(select(incidents.c.id).where(incidents.c.resolved_at.is_(None))).first() is not None

    def step(self, now: datetime) -> bool:
        """Windows, rounds, people, sending; whether anything is open that may be due before the next hour."""
        if now < self.plan.end:
            self.measure(now)
        rounds.due(self.config, self.store, now)
        unseen = self.people(now)
        for name in outbox.waiting_channels(self.store, now):
            delivery.drain(self.config, self.store, name, self.clock.now, most=10_000)
        with self.store.reading() as connection:
            return unseen or bool(telling.open_storms(connection))

    def measure(self, now: datetime) -> None:
        """All that is due, oldest first: a backlog is worked off at once."""
        self.runner.tick(now)
        while self.runner.running:
            self.runner.collect(now)
            self.runner.tick(now)

    def people(self, now: datetime) -> bool:
        """Nine of ten critical incidents are acknowledged, 10 to 50 minutes after they began; whether one waits for that."""
        row = incidents.c
        unseen = row.resolved_at.is_(None) & row.acked_at.is_(None) & (row.severity == str(Severity.CRITICAL))
        with self.store.reading() as connection:
            waiting = list(connection.execute(select(row.id, row.opened_at).where(unseen)))
        for number, opened_at in waiting:
            if not self.nobody and number % 10 and now >= opened_at + timedelta(minutes=10 + number * 7 % 41):
                acknowledge(self.store, number, "ann", now)
        return bool(waiting)


def hasty(store: Store) -> Store:
    """Without waiting for the disk: nobody pulls the plug of a simulation."""
    event.listen(store.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    return store


def main(arguments: list[str] | None = None) -> None:
    asked = argparse.ArgumentParser(prog="python -m benchmarks.alert_year", description="a simulated year of alerts")
    asked.add_argument("--days", type=int, default=365)
    asked.add_argument("--noise", type=float, default=0.001, help="how often a healthy verdict fails weakly")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--nobody", action="store_true", help="nobody acknowledges anything")
    given = asked.parse_args(arguments)
    # What goes wrong is part of the plan: it is counted, not logged.
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        store = hasty(Store(f"sqlite:///{folder}/store.db"))
        store.migrate()
        began = time.monotonic()
        plan = Plan(datasets(), given.days, given.noise, given.seed)
        year = Simulation(plan, store, given.nobody).run()
        sys.stdout.write(report(year) + f"\n\n{time.monotonic() - began:.0f} s\n")
        store.close()


if __name__ == "__main__":
    main()
