"""Profiles of short windows become their day's, so that a year of hours is a year of days and some weeks of hours.

The parent decides and writes, a worker process puts the profiles together. A crash at any point loses nothing but the work at hand:
a day is written in one transaction, and only if what it was made of is still the same.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from checks.window import Window
from monitor.config import Config
from monitor.dataset import Dataset
from monitor.merging import together
from monitor.runner import Workers
from monitor.schedule import DAY, Calendar
from monitor.sources.faults import plain
from monitor.store import days
from monitor.store.days import Parts
from monitor.store.store import Store

log = logging.getLogger("datavigil.profiles")

SETTLED = timedelta(hours=1)
"""A day's windows have come in when it is over for so long; what comes later is put in later."""
AT_ONCE = 200
"""Datasets that are looked at in one step."""
PARTS = 100
"""Profiles that are put together in one step."""
DEADLINE = 300.0
"""Seconds that a step may take in its worker."""

TRIES = 3
"""Times that a day is tried whose work fails."""


@dataclass
class Coarsening:
    """The daemon's work on old profiles, a small step at a time; one day at once."""

    config: Config
    store: Store
    workers: Workers
    _round: deque[str] = field(default_factory=deque)
    _found: deque[tuple[Dataset, Window]] = field(default_factory=deque)
    _faults: Counter[tuple[str, datetime]] = field(default_factory=Counter)
    _at_work: tuple[Dataset, Window, Parts, Future[tuple[int, bytes]]] | None = None

    def step(self, now: datetime) -> None:
        """Record what a worker has put together, hand it the next day, and forget windows that are old."""
        if self._at_work is not None and not self._at_work[-1].done():
            return
        if self._at_work is not None:
            self._record(*self._at_work)
            self._at_work = None
        if not self._found:
            self._look(now)
        if self._found:
            self._begin(*self._found.popleft())

    def _look(self, now: datetime) -> None:
        """The days to make of the next datasets, round and round."""
        if not self._round:
            self._round.extend(name for name, dataset in self.config.datasets.items() if dataset.every < DAY)
        names = [self._round.popleft() for _ in range(min(AT_ONCE, len(self._round)))]
        if not names:
            return
        days.drop(self.store, names, now - self.config.store.coarsen_after, now)
        for name, start in days.unmerged(self.store, names, now - SETTLED).items():
            dataset = self.config.datasets[name]
            day = Calendar(DAY, dataset.timezone).holding(start)
            if day.end <= now - dataset.delay - SETTLED:
                self._found.append((dataset, day))

    def _begin(self, dataset: Dataset, day: Window) -> None:
        made_of = days.parts(self.store, dataset.name, day, PARTS)
        if not made_of.windows:
            # Pruned since, or lost with a restored database.
            days.leave_out(self.store, dataset.name, day)
            return
        bodies = [*((made_of.day,) if made_of.day else ()), *(body for _, body in made_of.windows)]
        self._at_work = (dataset, day, made_of, self.workers.schedule(together, args=[bodies], timeout=DEADLINE))

    def _record(self, dataset: Dataset, day: Window, made_of: Parts, future: Future[tuple[int, bytes]]) -> None:
        try:
            rows, body = future.result()
        except Exception as fault:  # A profile that cannot be read, or a worker that was killed: that may go better next time.
            self._faults[dataset.name, day.start] += 1
            if self._faults[dataset.name, day.start] < TRIES:
                return
            reason = f"{type(fault).__name__}: {plain(fault)}"
            log.error("dataset %s: the profiles of %s stay as they are, they cannot be put together: %s", dataset.name, day, reason)
            days.leave_out(self.store, dataset.name, day)
            del self._faults[dataset.name, day.start]
            return
        if days.merge(self.store, dataset.name, day, made_of, rows, body):
            # There may be more of this day, or another one behind it; after the others.
            self._round.append(dataset.name)
