"""The daemon: ticker, workers, senders, signals. The only place with a real clock and a wait."""

from __future__ import annotations

import logging
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from checks.window import Window
from monitor import buttons, delivery, reload, removed, rounds, summary, systemd
from monitor.charting.drawer import Drawer, charted
from monitor.coarsening import Coarsening
from monitor.config import Config
from monitor.dataset import Dataset
from monitor.heartbeat import Heartbeat
from monitor.last_resort import LastResort
from monitor.pool import workers
from monitor.reports.reporter import Reporter, reported
from monitor.reports.wanted import Wanted, wanted
from monitor.runner import Finished, Runner
from monitor.sources.faults import plain
from monitor.store import outbox, pruning
from monitor.store.ledger import NotYet
from monitor.store.store import Store

if TYPE_CHECKING:
    from apscheduler.schedulers.background import BackgroundScheduler

log = logging.getLogger("datavigil")

COLLECT = timedelta(seconds=0.5)
COARSEN = timedelta(seconds=2)
HOUSEKEEPING = timedelta(seconds=60)
SUMMARY = timedelta(seconds=60)
BEAT = timedelta(seconds=5)
STEADY = ("tick", "collect", "coarsen", "housekeeping")
ALIVE = 30.0
"""Seconds since the last tick that ended, within which systemd's watchdog is told that we live."""
PAUSE_AFTER_FAULT = timedelta(seconds=5)


def now() -> datetime:
    """The real time; everything below is handed it."""
    return datetime.now(UTC)


class Sender:
    """A channel's own thread: a channel that hangs delays no other."""

    def __init__(self, config: Config, store: Store, name: str, sent: Callable[[], None] = lambda: None) -> None:
        self.config, self.store, self.name, self.sent = config, store, name, sent
        self.wakes: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, name=f"datavigil-{name}", daemon=True)

    def wake(self) -> None:
        # One wake is enough: it sends all that waits.
        if self.wakes.empty():
            self.wakes.put(True)

    def stop(self) -> None:
        """End after the current send; what is left stays written down."""
        self.ending.set()
        self.wakes.put(False)

    def run(self) -> None:
        while self.wakes.get() and not self.ending.is_set():
            try:
                if delivery.drain(self.config, self.store, self.name, now, most=20, ended=self.ending.is_set):
                    self.sent()
            except Exception as fault:  # The rows stay written down; the next wake tries again.
                log.error("channel %s: %s", self.name, _said(self.store, fault))


class Daemon:
    """`tick`, `collect`, `coarsen`, `housekeeping` and `summarise` are the jobs of the ticker; none of them raises."""

    def __init__(self, config: Config, store: Store, runner: Runner) -> None:
        self.config, self.store, self.runner = config, store, runner
        self.drawer = Drawer(config, store, now)
        self.senders = {name: Sender(config, store, name, self.drawer.wake) for name in config.channels}
        self.coarsening = Coarsening(config, store, runner.workers)
        self.reporter = Reporter(config, store, now)
        self.listeners = buttons.listeners(config, store, now)
        self.heartbeat = Heartbeat(config, store)
        self.last_resort = LastResort(config)
        self.stopping = threading.Event()
        # Not an Event: a signal that comes while the main thread is inside `Event.wait` would wait for itself in `set`.
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._turn = threading.Lock()
        self._not_before = self.turned = time.monotonic()

    def tick(self) -> None:
        """Keep the claims of what runs, start what is due."""
        self._guarded("tick", self._tick)

    def collect(self) -> None:
        """Record what workers have finished, start what that made room for, wake the senders."""
        self._guarded("collect", self._collect)

    def coarsen(self) -> None:
        """A small step of putting short windows' profiles together."""
        self._guarded("coarsen", lambda: self.coarsening.step(now()))

    def housekeeping(self) -> None:
        """Forget what is too old."""
        self._guarded("housekeeping", lambda: pruning.prune(self.store, self.config.store, now()))
        self.reporter.tidy()

    def beat(self) -> None:
        """Tell the outside that all is well. Outside of the others' turn: the address may be slow."""
        if not self.last_resort.troubled and not self.stopping.is_set():
            try:
                self.heartbeat.beat(now())
            except Exception as fault:  # No ping is the message.
                log.error("heartbeat: %s", _said(self.store, fault))

    def summarise(self) -> None:
        """Write down the week's summary when it is due. Outside of the others' turn: a year's numbers take seconds."""
        try:
            summary.send_due(self.config, self.store, now())
        except Exception as fault:  # It is due until it is written down; the next minute tries again.
            log.error("weekly summary: %s", _said(self.store, fault))

    def run(self) -> None:
        """Until SIGTERM or SIGINT: then current sends finish, claims are given back, and it returns."""
        from apscheduler.schedulers.background import BackgroundScheduler

        # In memory, in UTC, and nothing but a ticker: what is due is the ledger's to say, whatever was missed.
        ticker = BackgroundScheduler(timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None})
        steady = (
            (self.collect, COLLECT),
            (self.coarsen, COARSEN),
            (self.housekeeping, HOUSEKEEPING),
            (self.summarise, SUMMARY),
            (self.beat, BEAT),
        )
        for job, every in ((self.tick, self.config.daemon.tick), *steady):
            ticker.add_job(job, "interval", seconds=every.total_seconds(), next_run_time=now())
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(name, self._stop)
        self._guarded("start", lambda: outbox.try_again(self.store))
        self._guarded("removed", lambda: removed.close_removed(self.store, self.config, now()))
        for sender in self.senders.values():
            sender.thread.start()
        self.reporter.thread.start()
        self.drawer.thread.start()
        for listener in self.listeners:
            listener.start()
        self.heartbeat.start()
        ticker.start()
        systemd.notify("READY=1")
        log.info("ready")
        while not self._told_to_stop():
            _undo_clock_step(ticker)
            if time.monotonic() - self.turned < ALIVE:
                systemd.notify("WATCHDOG=1")
        systemd.notify("STOPPING=1")
        self.stopping.set()
        log.info("stopping: current sends finish, claims are given back")
        ticker.shutdown(wait=False)
        for sender in self.senders.values():
            sender.stop()
        self.reporter.stop()
        self.drawer.stop()
        for listener in self.listeners:
            listener.stop()
        # One patience for all of them: each send is bounded by it.
        until = time.monotonic() + self.config.daemon.send_timeout.total_seconds()
        for sender in self.senders.values():
            sender.thread.join(max(until - time.monotonic(), 0.0))
        self.reporter.thread.join(2.0)
        self.drawer.thread.join(2.0)
        with self._turn:
            try:
                self.runner.collect(now())
                self.runner.give_back()
            except Exception as fault:  # Whatever is not given back is free when its lease ends.
                log.error("at the end: %s", _said(self.store, fault))
        log.info("stopped")

    def _told_to_stop(self) -> bool:
        try:
            told = self._signals.get(timeout=1.0)
        except queue.Empty:
            return False
        if told == signal.SIGHUP:
            self._guarded("reload", self._reload)
        return told != signal.SIGHUP

    def _reload(self) -> None:
        """The config is read again. What runs goes on; what is sent now ends by the config it began with."""
        self.config, said = reload.reread(self.config, self.store, now())
        for line in said:
            log.info("%s", line)
        self.runner.take(self.config)
        self.drawer.take(self.config)
        self.coarsening.config = self.reporter.config = self.config
        self.listeners = buttons.renewed(self.listeners, self.config, self.store, now)
        self.heartbeat.config = self.last_resort.config = self.config
        for name, sender in list(self.senders.items()):
            if name in self.config.channels:
                sender.config = self.config
            else:
                self.senders.pop(name).stop()
        for name in self.config.channels.keys() - self.senders.keys():
            self.senders[name] = Sender(self.config, self.store, name, self.drawer.wake)
            self.senders[name].thread.start()
        # Maybe that is what was mended.
        outbox.try_again(self.store)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self._signals.put(number)

    def _tick(self) -> None:
        self.runner.keep()
        self.runner.tick(now())
        rounds.due(self.config, self.store, now())

    def _collect(self) -> None:
        finished = self.runner.collect(now())
        self.reporter.want(finished)
        # A rate lets the next window through between two ticks.
        if finished or self.runner.held:
            self.runner.tick(now())
        for name in outbox.waiting_channels(self.store, now()):
            if name in self.senders:
                self.senders[name].wake()
            else:
                delivery.drain(self.config, self.store, name, now)

    def _guarded(self, job: str, work: Callable[[], object]) -> None:
        """One job at a time. A fault, most likely the store's, is said; after a short rest the next turn tries again."""
        with self._turn:
            if self.stopping.is_set() or time.monotonic() < self._not_before:
                return
            try:
                work()
            except Exception as fault:  # The daemon outlives its store.
                self._not_before = time.monotonic() + PAUSE_AFTER_FAULT.total_seconds()
                log.error("%s: %s", job, _said(self.store, fault))
                if isinstance(fault, SQLAlchemyError):
                    # What is done once does not come to say that it works again; a tick does.
                    self.last_resort.failed(job if job in STEADY else "tick", _said(self.store, fault), now())
            else:
                self.last_resort.works(job)
            # A tick that failed has ended too: the process lives, and its store is said elsewhere.
            self.turned = time.monotonic()


def _said(store: Store, fault: Exception) -> str:
    """The store's faults in the store's words; another one by its own name, so that nobody looks in the wrong place."""
    return store.said(fault) if isinstance(fault, SQLAlchemyError) else f"{type(fault).__name__}: {plain(fault)}"


def _undo_clock_step(ticker: BackgroundScheduler) -> None:
    """The ticker goes by the wall clock: where that was set back, it would wait until the old time comes again."""
    for job in ticker.get_jobs():
        if job.next_run_time and job.next_run_time > now() + 2 * job.trigger.interval:
            job.modify(next_run_time=now())


def run(config: Config, store: Store) -> None:
    """The service, until it is stopped."""
    with workers(config.daemon.workers) as pool:
        Daemon(config, store, Runner(config, store, pool)).run()


def run_due(config: Config, store: Store, at: datetime, names: list[str] | None, seen: Callable[[Finished], None]) -> None:
    """Every window that is due at `at`, then what follows from them is sent. Each window is tried once."""
    with due_at(config, store, names, seen) as run:
        run(at, now)


@contextmanager
def due_at(
    config: Config, store: Store, names: list[str] | None, seen: Callable[[Finished], None]
) -> Iterator[Callable[[datetime, Callable[[], datetime]], None]]:
    """To be called with a moment whose due windows are to be run, and with a clock: for one moment, or for one after the other with
    the same workers."""
    # One window of a dataset at a time: more workers than datasets would only be started and ended.
    count = min(config.daemon.workers, max(len(config.datasets if names is None else names), 1))
    with workers(count) as pool:
        runner = Runner(config, store, pool)

        def run(at: datetime, clock: Callable[[], datetime]) -> None:
            reports = _run_each(runner, at, names, seen)
            rounds.due(config, store, clock())
            deliver_now(config, store, clock())
            # Last: whoever is to be told has been.
            charted(config, store, clock)
            if reported(config, store, reports, clock):
                deliver_now(config, store, clock())

        yield run


def _run_each(runner: Runner, at: datetime, names: list[str] | None, seen: Callable[[Finished], None]) -> list[Wanted]:
    """The windows that are due, each tried once; the reports that what they showed asks for."""
    tried: set[tuple[str, datetime]] = set()
    reports: list[Wanted] = []
    while True:
        waits: dict[str, timedelta] = {}
        for dataset, windows in runner.due(at, names, anyway=True):
            left = [w for w in windows if (dataset.key, w.start) not in tried]
            if left and runner.room(dataset) and dataset.source not in waits:
                try:
                    runner.start(dataset, left[0], at)
                except NotYet as rate:
                    waits[dataset.source] = rate.wait
                else:
                    tried.add((dataset.key, left[0].start))
        if not runner.running:
            if not waits:
                return reports
            time.sleep(min(waits.values()).total_seconds())
        for finished in runner.collect(at, patience=1.0):
            reports += wanted([finished])
            seen(finished)
        runner.keep()


def deliver_now(config: Config, store: Store, at: datetime) -> None:
    """Send what waits at `at`, each row once; what does not go now stays written down for the next run."""
    outbox.try_again(store)
    fallbacks = [channel.fallback for channel in config.channels.values() if channel.fallback]
    # Fallbacks once more at the end: a channel that turned out broken may have handed them its rows.
    for name in (*config.channels, *fallbacks):
        # By a clock that stands still, so that a row whose try failed is not due again within this run.
        delivery.drain(config, store, name, lambda: at, most=1000)


def _started(runner: Runner, dataset: Dataset, window: Window, again: bool) -> bool:
    """`start` for a window of the past, as soon as the source's rate allows it."""
    while True:
        try:
            return runner.start(dataset, window, window.end + dataset.delay, tells=False, again=again)
        except NotYet as rate:
            time.sleep(rate.wait.total_seconds())


def backfill(
    config: Config,
    store: Store,
    name: str,
    start: datetime,
    end: datetime,
    again: bool,
    seen: Callable[[Finished | None, int], None],
) -> int:
    """Measure a dataset's windows from `start` to `end` into its history, oldest first; tells nobody. How many there are."""
    dataset = config.datasets[name]
    # What waits for labels comes after: it is judged by nobody here, and the live windows tell more of it.
    lanes = [dataset, *([dataset.labelled] if dataset.labelled else [])]
    windows = [(lane, window) for lane in lanes for window in lane.calendar.closed(start, min(end, now() - lane.delay))]
    with workers(config.daemon.workers) as pool:
        runner = Runner(config, store, pool)
        for lane, window in windows:
            if not _started(runner, lane, window, again):
                seen(None, len(windows))
                continue
            while runner.running:
                for finished in runner.collect(now(), patience=1.0):
                    seen(finished, len(windows))
                runner.keep()
    return len(windows)
