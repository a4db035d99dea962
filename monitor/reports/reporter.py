"""Making reports beside everything else: one at a time, after the fact, in a thread that nobody waits for."""

from __future__ import annotations

import logging
import queue
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from monitor import apart
from monitor.config import Config
from monitor.reports.making import Order, make, part_of
from monitor.reports.shelf import tidy
from monitor.reports.wanted import Wanted, reach, references, wanted
from monitor.runner import Finished
from monitor.sources.faults import plain
from monitor.store import reports
from monitor.store.store import Store

log = logging.getLogger("datavigil.report")

MOST_WAITING = 20
"""Reports that may wait; when everything drifts at once, more of them help nobody."""


class Reporter:
    """The thread that makes reports and throws old ones away. Nothing here raises, and nothing waits for it."""

    def __init__(self, config: Config, store: Store, clock: Callable[[], datetime]) -> None:
        self.config, self.store, self.clock = config, store, clock
        self.ending = threading.Event()
        self._work: queue.SimpleQueue[Wanted | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._run, name="datavigil-reports", daemon=True)

    def want(self, finished: Iterable[Finished]) -> None:
        """Windows that were just recorded: those that opened an incident of drift, or made one worse, get a report."""
        for one in wanted(finished) if self.config.reports.enabled else ():
            if self._work.qsize() < MOST_WAITING:
                self._work.put(one)
            else:
                log.warning("report incident=INC-%s is left out: %d wait already", one.incident, MOST_WAITING)

    def tidy(self) -> None:
        """Have old reports thrown away."""
        if self._work.empty():
            self._work.put(None)

    def stop(self) -> None:
        """End, and with it what it is at."""
        self.ending.set()
        self._work.put(None)

    def _run(self) -> None:
        while True:
            work = self._work.get()
            if self.ending.is_set():
                return
            if work is None:
                tidied(self.config, self.store, self.clock())
            else:
                report(self.config, self.store, work, self.clock(), self.ending.is_set)


def report(config: Config, store: Store, wanted: Wanted, now: datetime, stopped: Callable[[], bool] = lambda: False) -> Path | None:
    """Make one report and write down where it is; None where that did not work, which the log says. Never raises."""
    path = folder(config) / wanted.file
    try:
        size = _made(config, store, wanted, path, stopped)
        reports.put(store, wanted.incident, wanted.revision, host(), path, size, now)
    except apart.Ended as ended:
        _failed(wanted, path, config.sources[wanted.dataset.source].said(str(ended)))
    except Exception as fault:  # A report is a courtesy: whatever happens to it, the alert is out.
        _failed(wanted, path, _said(store, fault))
    else:
        log.info("report incident=INC-%s dataset=%s path=%s bytes=%d", wanted.incident, wanted.dataset.name, path, size)
        return path
    return None


def reported(config: Config, store: Store, some: Sequence[Wanted], clock: Callable[[], datetime]) -> bool:
    """Make these reports one after the other, for who has no thread for it; whether there is a new one. Never raises."""
    chosen = some[:MOST_WAITING] if config.reports.enabled else []
    made = [report(config, store, one, clock()) for one in chosen]
    tidied(config, store, clock())
    return any(made)


def tidied(config: Config, store: Store, now: datetime) -> None:
    """Throw away what is older than its retention. Never raises."""
    try:
        tidy(store, folder(config), host(), config.reports.keep, now)
    except Exception as fault:  # Tried again with the next housekeeping.
        log.warning("old reports could not be thrown away: %s", _said(store, fault))


def folder(config: Config) -> Path:
    return Path(config.reports.folder or ".")


def host() -> str:
    """Where the file is: several daemons may share a store, and not their disks."""
    return socket.gethostname()


def _made(config: Config, store: Store, wanted: Wanted, path: Path, stopped: Callable[[], bool]) -> int:
    settings, dataset = config.reports, wanted.dataset
    known = reports.measured(store, dataset.name, *reach(dataset, wanted.window))
    normal = references(dataset, wanted.window, known)
    if not normal:
        raise apart.Ended("there is no measured window to compare with")
    source = config.sources[dataset.source]
    order = Order(wanted, source, tuple(normal), path, settings.rows, settings.timeout, settings.memory_mb)
    limits = apart.Limits(settings.timeout.total_seconds(), settings.memory_mb, lenient=True)
    [size] = apart.run(make, [order], limits, stopped)
    return int(size)


def _failed(wanted: Wanted, path: Path, why: str) -> None:
    with suppress(OSError):
        part_of(path).unlink()
    log.warning("report incident=INC-%s dataset=%s was not made: %s", wanted.incident, wanted.dataset.name, why)


def _said(store: Store, fault: Exception) -> str:
    return store.said(fault) if isinstance(fault, SQLAlchemyError) else plain(fault)
