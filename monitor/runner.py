"""One window, start to finish: the straight line.

    tick(now)
      for each window that is due       claimed in the ledger; somebody else has it -> next
        measured and judged             in a worker process with a deadline (monitor/worker.py)
      collect(now)
        news                            problems and incidents after these results, pure (alerts/)
        recorded                        profile + results + problems + incidents + deliveries: ONE transaction

What is then written down is sent by monitor/delivery.py.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError, StatementError

from alerts.incident import News
from checks.result import Result
from checks.window import Window
from monitor import news, second_look, special_days, worker
from monitor.config import Config
from monitor.dataset import Dataset, Fixed, Golden
from monitor.earlier import HISTORY
from monitor.ended import errored, judged_at_last, outcome
from monitor.job import Job, Measured
from monitor.left_out import left_out
from monitor.schedule import DAY, Agenda, Calendar, in_turn
from monitor.sources.faults import plain
from monitor.store import ledger, past, references, useless, waiting
from monitor.store.decisions import LABELS, Claim, Decision
from monitor.store.store import Store

log = logging.getLogger("datavigil.window")

LONGEST_RETRY = timedelta(minutes=30)
SAME_TIME_DAYS = 28


class Workers(Protocol):
    """A pool of worker processes that kills what passes its deadline."""

    def schedule(self, function: Any, args: Sequence[Any], timeout: float) -> Future[Any]: ...


@dataclass(frozen=True)
class Running:
    """A window that a worker is at. `tells`: its results may open incidents and tell people. `so_far` is what is recorded and
    told of it already, while `future` is of the verdicts that take long."""

    claim: Claim
    dataset: Dataset
    future: Future[Any]
    tells: bool
    left_out: Result | None = None
    so_far: Finished | None = None


@dataclass(frozen=True)
class Finished:
    """A window that is recorded; `decision` says what was told, None where the claim had passed to somebody else."""

    dataset: Dataset
    window: Window
    measured: Measured
    decision: Decision | None

    def as_json(self) -> dict[str, Any]:
        """The form of `once --json`, see design."""
        return {
            "dataset": self.dataset.name,
            "start": self.window.local_start.isoformat(),
            "end": self.window.local_end.isoformat(),
            "state": self.measured.state,
            "rows": self.measured.rows,
            "seconds": round(self.measured.seconds or 0.0, 3),
            "results": [result.as_json() for result in self.measured.results],
        }


@dataclass
class Runner:
    """Starts windows and records them; knows what is running in this process."""

    config: Config
    store: Store
    workers: Workers
    running: dict[str, Running] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    """Sources with windows that only wait for the source's rate, as of the last tick."""
    agenda: Agenda = field(default_factory=Agenda)

    def take(self, config: Config) -> None:
        """Go on by another config. Windows that are being measured are recorded by what was asked of them."""
        self.config, self.agenda = config, Agenda()

    def tick(self, now: datetime) -> None:
        """Start every window that is due and for which there is room."""
        self.held.clear()
        # Those that wait longest first, so that one dataset's backlog does not hold up the others.
        oldest = sorted(self.due(now), key=lambda d: d[1][0].end)
        busy = Counter(run.dataset.source for run in self.running.values())
        for dataset, windows in in_turn(((d[0].source, d) for d in oldest), busy):
            if self.full:
                return
            # Only the oldest: it is history for the next, also where another daemon is at it.
            if dataset.source in self.held or not self.room(dataset):
                continue
            try:
                self.start(dataset, windows[0], now)
            except ledger.NotYet:
                self.held.add(dataset.source)
            except Exception as fault:
                if not _its_own(fault):
                    raise
                log.error("window dataset=%s start=%s cannot be started: %s", dataset.name, windows[0].start, plain(fault))

    def due(
        self, now: datetime, names: Collection[str] | None = None, anyway: bool = False
    ) -> Iterator[tuple[Dataset, list[Window]]]:
        """Each dataset with windows to measure at `now`, oldest first: its next new one, and its oldest to try again.

        `anyway`: all to try again, also those whose next try is not due yet.
        """
        watched = self.config.datasets.items()
        for lane in (
            dict(watched),
            {name: dataset.labelled for name, dataset in watched if dataset.labelled},
        ):
            if lane:
                yield from self._due(lane, now, names, anyway)

    def _due(
        self, datasets: Mapping[str, Dataset], now: datetime, names: Collection[str] | None, anyway: bool
    ) -> Iterator[tuple[Dataset, list[Window]]]:
        """The same for datasets of one lane."""
        last_ends = waiting.last_ends(self.store, next(iter(datasets.values())).lane)
        again = self._again(datasets, now, anyway)
        second = second_look.due(self.store, datasets, now)
        for name, dataset in datasets.items():
            if names is not None and name not in names:
                continue
            new = self.agenda.first(dataset.key, dataset.calendar, last_ends.get(name), now, dataset.delay, dataset.catchup)
            retries = again.get(name)
            if new or retries:
                yield dataset, sorted({*(retries or ()), *((new,) if new else ())})
            elif name in second:
                # Only when nothing else waits: what is new must not wait for what was told long ago.
                yield dataset, second[name]

    def _again(self, datasets: Mapping[str, Dataset], now: datetime, anyway: bool) -> dict[str, list[Window]]:
        """Dataset -> windows to try again, none older than it reaches back. All are of one lane."""
        lane = next(iter(datasets.values())).lane
        found = waiting.unfinished(self.store, now, anyway=True, lane=lane) if anyway else []
        for reach in () if anyway else {dataset.reach for dataset in datasets.values()}:
            oldest = waiting.oldest_unfinished(self.store, now, now - reach, lane)
            found += [one for one in oldest if one[0] in datasets and datasets[one[0]].reach == reach]
        again: dict[str, list[Window]] = {}
        for name, start, end in found:
            dataset = datasets.get(name)
            if dataset and now - dataset.reach <= end <= now - dataset.delay:
                again.setdefault(name, []).append(Window(start, end, dataset.timezone))
        return again

    @property
    def full(self) -> bool:
        """The workers have enough to do."""
        return len(self.running) >= 2 * self.config.daemon.workers

    def room(self, dataset: Dataset) -> bool:
        """One window of a dataset at a time (each is history for the next), no more at once than its source allows."""
        if dataset.key in self.running or self.full:
            return False
        same = sum(r.dataset.source == dataset.source for r in self.running.values())
        return same < self.config.sources[dataset.source].concurrency

    def start(self, dataset: Dataset, window: Window, now: datetime, tells: bool = True, again: bool = False) -> bool:
        """Claim a window and hand it to a worker; False where it is somebody else's or finished.

        Raises ledger.NotYet where the source's rate is used up.
        """
        source = self.config.sources[dataset.source]
        again = again or (tells and dataset.late is not None and now >= window.end + dataset.late)
        paced = (dataset.source, source.rate) if source.rate else None
        claim = ledger.claim(self.store, dataset.name, window, self.config.daemon.lease, again, paced, dataset.lane)
        if claim is None:
            return False
        history = past.history(self.store, dataset.name, window.start, HISTORY, same_time(dataset, window), dataset.lane)
        job = Job(dataset, source, window, now, history, self.reference(dataset, window), labelled=self.labelled(dataset, window))
        job = replace(job, **self.people(dataset, window))
        future = self.workers.schedule(worker.measure_window, args=[job], timeout=dataset.timeout.total_seconds())
        ended = waiting.end_before(self.store, dataset.name, window.start, dataset.lane)
        skipped = left_out(dataset, ended, window) if tells else None
        self.running[dataset.key] = Running(claim, dataset, future, tells, skipped)
        return True

    def reference(self, dataset: Dataset, window: Window) -> list[past.Stored] | None:
        """The stored profiles of a reference; None where the reference is part of the history.

        For windows shorter than a day the history reaches back some days only: theirs is made of the days before.
        """
        kept = dataset.reference
        if dataset.lane == LABELS:
            return None
        if isinstance(kept, Fixed):
            calendar = dataset.calendar
            first = calendar.holding(datetime(kept.start.year, kept.start.month, kept.start.day, 12, tzinfo=UTC))
            last = calendar.holding(datetime(kept.end.year, kept.end.month, kept.end.day, 12, tzinfo=UTC))
            return past.between(self.store, dataset.name, first.start, last.start)
        if isinstance(kept, Golden) or dataset.every >= DAY:
            return None
        days = Calendar(DAY, dataset.timezone)
        first = days.holding(window.start - timedelta(days=kept.days))
        found = past.between(self.store, dataset.name, first.start, window.start)
        weekday = window.local_start.weekday()
        return [one for one in found if not kept.same_weekday or days.holding(one[0]).local_start.weekday() == weekday]

    def people(self, dataset: Dataset, window: Window) -> dict[str, Any]:
        """What people said of this dataset's past, and the golden table's profile, as parts of a Job."""
        golden = dataset.reference.table if isinstance(dataset.reference, Golden) else None
        found = references.in_force(self.store, dataset.name, window.start, golden)
        marks = references.marked(self.store, dataset.name)
        said = {"marks": marks, "not_useful": useless.widths(self.store, dataset.name, window.start)}
        return {"accepted": found.accepted, "reference_version": found.version, "golden": found.golden, **said}

    def labelled(self, dataset: Dataset, window: Window) -> list[past.Stored]:
        """The windows before this one as they were with their labels, where a check learns from them."""
        if not any(check.learns_from_labels for check in dataset.checks):
            return []
        return past.history(self.store, dataset.name, window.start, HISTORY, lane=LABELS)

    def collect(self, now: datetime, patience: float = 0.0) -> list[Finished]:
        """Record the windows that workers have finished; waits at most `patience` seconds for the first of them."""
        if patience and self.running:
            wait_for([r.future for r in self.running.values()], timeout=patience, return_when=FIRST_COMPLETED)
        finished = []
        for name in [name for name, r in self.running.items() if r.future.done()]:
            run = self.running[name]
            try:
                more = self.recorded(run, now)
            except Exception as fault:
                if not _its_own(fault):
                    raise
                # Its lease runs out, and it is tried again; the windows behind it are not held up.
                log.error("window dataset=%s start=%s is not recorded: %s", name, run.claim.window.start, plain(fault))
                more = None
            # Only now: where the store fails, the measured window waits here for the next try.
            del self.running[name]
            if more is not None and more.measured.apart is not None and more.decision is not None:
                self.running[name] = self.judging_apart(run, more)
            elif more is not None:
                finished.append(more)
        return finished

    def judging_apart(self, run: Running, so_far: Finished) -> Running:
        """What is slow to judge is judged after the rest is recorded, so that it delays no alert. Until it is done the window is
        ours and unfinished: who takes it over after a crash measures it again, and tells nothing twice."""
        limit = run.dataset.timeout.total_seconds()
        seconds = limit - (so_far.measured.seconds or 0.0)
        args = [run.dataset, so_far.measured.apart, seconds]
        return replace(
            run, future=self.workers.schedule(worker.judge_apart, args=args, timeout=limit), so_far=so_far, left_out=None
        )

    def recorded(self, run: Running, now: datetime) -> Finished:
        """The window, recorded; one whose outcome no store could take is recorded as errored, with that as the reason."""
        measured = (
            outcome(run.future, run.dataset) if run.so_far is None else judged_at_last(run.future, run.dataset, run.so_far.measured)
        )
        if run.left_out is not None:
            measured = replace(measured, results=[*measured.results, run.left_out])
        try:
            return self.finish(run, measured, now)
        except Exception as fault:
            if not _its_own(fault):
                raise
            start = run.claim.window.start
            log.error("window dataset=%s start=%s cannot be recorded: %s", run.dataset.name, start, plain(fault))
            reason = f"what was measured cannot be recorded: {plain(getattr(fault, 'orig', None) or fault)}"
        return self.finish(run, errored(reason), now)

    def finish(self, run: Running, measured: Measured, now: datetime) -> Finished:
        """The news of one measured window, recorded with it in one transaction."""
        claim, dataset = run.claim, run.dataset
        if run.so_far is None and second_look.came_to_nothing(self.store, claim, dataset, measured, now):
            return Finished(dataset, claim.window, measured, Decision(News()))
        decide = news.deciding(self.config, dataset, claim.window, measured, now) if run.tells else None
        retry_at = now + min(timedelta(minutes=2 ** min(claim.attempts - 1, 10)), LONGEST_RETRY)
        decision = ledger.record(
            self.store,
            claim,
            measured,
            now,
            news.subjects(dataset),
            decide,
            retry_at if measured.state == "errored" else None,
            more=measured.apart is not None,
        )
        finished = Finished(dataset, claim.window, measured, _both(run.so_far, decision))
        log_window(finished)
        return finished

    def keep(self) -> None:
        """Renew the claims of what is running."""
        ledger.renew(self.store, [r.claim for r in self.running.values()], self.config.daemon.lease)

    def give_back(self) -> None:
        """At shutdown: what is still running is somebody else's to do."""
        ledger.give_back(self.store, [r.claim for r in self.running.values()])
        self.running.clear()


def same_time(dataset: Dataset, window: Window) -> list[datetime]:
    """The starts of older windows that are this one's own kind of history: for windows shorter than a day those at the same time on
    the last days, for a holiday's day the same holiday's a year before."""
    if dataset.every >= timedelta(days=1):
        noons = special_days.noons(dataset.holidays, window)
        return [dataset.calendar.holding(at).start for at in noons]
    days = (window.local_start - timedelta(days=n) for n in range(1, SAME_TIME_DAYS + 1))
    return [dataset.calendar.holding(at).start for at in days]


def _both(so_far: Finished | None, decision: Decision | None) -> Decision | None:
    """What was told of a window, first and at last."""
    first = so_far.decision if so_far is not None else None
    if first is None or decision is None:
        return decision
    changes = (*first.news.changes, *decision.news.changes)
    return replace(decision, news=replace(decision.news, changes=changes), deliveries=[*first.deliveries, *decision.deliveries])


def _its_own(fault: Exception) -> bool:
    """The fault lies in what was to be recorded, so another try would end the same; else the store is in trouble."""
    if isinstance(fault, SQLAlchemyError):
        # Class 54: a limit of the program, such as a row too long for its index.
        limit = str(getattr(getattr(fault, "orig", None), "sqlstate", None) or "").startswith("54")
        return limit or isinstance(fault, IntegrityError | DataError) or type(fault) is StatementError
    return True


def log_window(finished: Finished) -> None:
    """One line per window."""
    measured, decision = finished.measured, finished.decision
    counted = Counter(str(result.status) for result in measured.results)
    verdicts = " ".join(f"{status}={counted.get(status, 0)}" for status in ("passed", "failed", "skipped", "errored"))
    told = ""
    if decision is None:
        told = " lost=claim"
    elif decision.news.changes:
        told = " news=" + ",".join(f"{c.incident.name}:{c.happened}" for c in decision.news.changes)
    rows = "-" if measured.rows is None else measured.rows
    log.info(
        "window dataset=%s start=%s state=%s rows=%s seconds=%.2f %s%s%s",
        finished.dataset.name,
        finished.window.local_start.isoformat(),
        measured.state,
        rows,
        measured.seconds or 0.0,
        verdicts,
        told,
        f' error="{measured.error}"' if measured.error else "",
    )
