"""`datavigil backtest`: what the config would have told in the past. Replays on the workers; see monitor/replaying.py."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from checks.result import Result, Severity, Status
from checks.window import Window
from monitor import extent, kinds
from monitor.config import Config
from monitor.dataset import Dataset
from monitor.ended import outcome
from monitor.job import Measured
from monitor.pool import workers
from monitor.replaying import Task, parted, verdicts
from monitor.retelling import Sent, Told, telling_anew
from monitor.rounds.reminders import REMIND
from monitor.schedule import DAY
from monitor.shelf import Shelf
from monitor.store import past, references, useless
from monitor.store.store import Store

SHORTEST = 100
"""Windows that a worker replays in a row at least: each that begins anew reads ninety windows before the first."""


class CannotReplay(Exception):
    """There is nothing to replay; the message says why and what to do."""


@dataclass(frozen=True)
class Stretch:
    """What is replayed of one dataset: its windows, how many of their profiles were stored, why it is shorter than asked for."""

    dataset: Dataset
    windows: Sequence[Window]
    stored: int = 0
    note: str = ""


Verdict = tuple[Dataset, Window, Measured]


@dataclass
class Backtest:
    """Everything that a replay came to, in the order of time."""

    config: Config
    stretches: list[Stretch] = field(default_factory=list)
    windows: list[Verdict] = field(default_factory=list)
    telling: Told = field(default_factory=Told)

    @property
    def failed(self) -> list[tuple[Dataset, Window, Result]]:
        """Every finding, oldest first."""
        return [(d, w, r) for d, w, m in self.windows for r in m.results if r.status is Status.FAILED]


def run(
    config: Config,
    store: Store | None,
    names: Sequence[str],
    start: datetime | None,
    end: datetime,
    seen: Callable[[int, int], None],
    most: int | None = None,
) -> Backtest:
    """Replay the named datasets from `start` (None: all that there is) up to `end`; `seen` hears of each dataset, or
    piece of one, that is done; of each the last `most` windows.

    `store` is where stored profiles, accepted levels and marks are looked up; nothing is written to it. Raises CannotReplay
    where no dataset has a closed window in that time.
    """
    found = Backtest(config)
    with TemporaryDirectory(prefix="datavigil-") as folder, workers(config.daemon.workers) as pool:
        chosen = [config.datasets[name] for name in names]
        asked = {d.name: pool.schedule(extent.held, [d, config.sources[d.source], start, end], _seconds(d)) for d in chosen}
        # What the pieces are found with is imported while the workers start and ask.
        kinds.check_kinds()
        tasks = [_task(config, store, d, asked[d.name], start, end, found.stretches) for d in chosen]
        if not any(task.windows for task in tasks):
            raise CannotReplay("there is nothing to replay: " + "; ".join(f"{s.dataset.name}: {s.note}" for s in found.stretches))
        tasks = [replace(task, shelf=Shelf(Path(folder)), windows=task.windows[-most:] if most else task.windows) for task in tasks]
        share = max(-(-sum(len(task.windows) for task in tasks) // min(config.daemon.workers, _processors())), SHORTEST)
        # The longest first, so that no worker is left alone with it at the end.
        pieces = [piece for task in sorted(tasks, key=lambda t: -len(t.windows)) for piece in parted(task, share)]
        running = [(p, pool.schedule(verdicts, [p], _seconds(p.dataset) * max(len(p.windows) - p.history, 1))) for p in pieces]
        for done, (task, future) in enumerate(running, start=1):
            found.windows += [(task.dataset, window, measured) for window, measured in _came_to(task, future)]
            seen(done, len(running))
    found.telling = told(config, found.windows)
    return found


def told(config: Config, windows: list[Verdict]) -> Told:
    """What people would have been told of these windows up to a day after the last: what waits for a digest is in it.

    Brings the windows into the order in which they were due.
    """
    windows.sort(key=lambda one: (one[1].end + one[0].delay, one[0].name, one[1].start))
    with telling_anew(config) as telling:
        for dataset, window, measured in windows:
            telling.window(dataset, window, measured)
        telling.until(max(window.end + dataset.delay for dataset, window, _ in windows) + DAY)
        return telling.told


def _processors() -> int:
    """Those that we may use; more pieces than these would read their first windows for nothing."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _seconds(dataset: Dataset) -> float:
    return dataset.timeout.total_seconds()


def _came_to(task: Task, future: Any) -> list[tuple[Window, Measured]]:
    """A dataset's verdicts; where its worker was killed or died, each of its windows is errored with that as the reason."""
    try:
        found: list[tuple[Window, Measured]] = future.result()
    except Exception:  # `outcome` knows how workers end.
        lost = outcome(future, task.dataset)
        return [(window, lost) for window in task.windows[task.history :]]
    return found


def _task(
    config: Config,
    store: Store | None,
    dataset: Dataset,
    asked: Any,
    start: datetime | None,
    end: datetime,
    stretches: list[Stretch],
) -> Task:
    stored = _stored(store, dataset, start, end) if store else {}
    try:
        first, last, note = asked.result()
    except Exception as fault:  # A source that does not answer may still have its past in the store.
        first, last, note = None, None, f"the source could not be asked ({' '.join(str(fault).split())})"
    known = [at for at in (first, *([min(stored)] if stored else ())) if at is not None]
    ends = [at for at in (last, *([max(stored) + timedelta(microseconds=1)] if stored else ())) if at is not None]
    windows: list[Window] = []
    if known:
        begin = dataset.calendar.holding(max(min(known), start or min(known))).start
        closing = dataset.calendar.holding(max(ends) - timedelta(microseconds=1)).end
        windows = list(dataset.calendar.closed(max(begin, start or begin), min(end, closing)))
        if windows and start and windows[0].start > start:
            note = note or f"it begins at {windows[0].local_start:%Y-%m-%d %H:%M}"
    elif not note:
        note = "it holds nothing in that time"
    stretches.append(Stretch(dataset, windows, sum(w.start in stored for w in windows), note))
    people = references.versions(store, dataset.name)[::-1] if store else []
    rows = [SimpleNamespace(**row._mapping) for row in people]
    marks = references.marked(store, dataset.name) if store else {}
    said = useless.widths(store, dataset.name, end) if store else {}
    return Task(dataset, config.sources[dataset.source], windows, stored, rows, marks, said, measures=first is not None)


def _stored(store: Store, dataset: Dataset, start: datetime | None, end: datetime) -> dict[datetime, bytes]:
    return {at: body for at, _, body in past.windows_between(store, dataset.name, start, end)}


def as_json(found: Backtest) -> dict[str, Any]:
    """The form in design: windows as `once --json`, incidents, messages; and per dataset what was replayed."""
    return {
        "datasets": [_stretch(s) for s in found.stretches],
        "windows": [_window(*one) for one in found.windows],
        "incidents": [_incident(h.incident, list(h.problems.values())) for h in found.telling.incidents.values()],
        "messages": messages(found),
    }


def messages(found: Backtest) -> list[dict[str, Any]]:
    """What channels would have sent, in the order of time; an edit of an earlier message notifies nobody and is left out."""
    subjects = {h.incident.name: h.incident.subject for h in found.telling.incidents.values()}
    return [
        {
            "at": sent.at.isoformat(),
            "channel": sent.channel,
            "kind": _kind(sent),
            "severity": str(said.severity) if said.severity else None,
            "incident": said.incident or None,
            "dataset": subjects.get(said.incident),
            "page": _pages(sent),
            "text": said.text,
        }
        for sent in found.telling.sent
        if sent.outgoing.form != "edit"
        for said in [sent.outgoing.message]
    ]


def _kind(sent: Sent) -> str:
    """`open`, `resolved`, `info` (a digest) stand alone, `line` in a thread, a `reminder` comes until somebody acknowledges."""
    if REMIND in sent.outgoing.key:
        return "reminder"
    return sent.outgoing.message.state if sent.outgoing.form in {"root", "message"} else sent.outgoing.form


def _pages(sent: Sent) -> bool:
    """It wakes somebody: a critical incident that begins or gets worse."""
    said, form = sent.outgoing.message, sent.outgoing.form
    shown = form in {"root", "message"} or (form == "line" and sent.outgoing.broadcast)
    return shown and said.severity is Severity.CRITICAL and said.state == "open" and _kind(sent) != "reminder"


def _window(dataset: Dataset, window: Window, measured: Measured) -> dict[str, Any]:
    from monitor.runner import Finished

    return Finished(dataset, window, measured, None).as_json()


def _incident(incident: Any, problems: Sequence[Any]) -> dict[str, Any]:
    return {
        "incident": incident.name,
        "dataset": incident.subject,
        "family": str(incident.family),
        "severity": str(incident.severity),
        "since": incident.since.isoformat(),
        "opened": incident.opened_at.isoformat(),
        "resolved": incident.resolved_at.isoformat() if incident.resolved_at else None,
        "problems": [
            {"check": p.check, "column": p.column, "segment": p.segment, "value": p.value, "message": p.message} for p in problems
        ],
    }


def _stretch(stretch: Stretch) -> dict[str, Any]:
    windows = stretch.windows
    return {
        "dataset": stretch.dataset.name,
        "from": windows[0].local_start.isoformat() if windows else None,
        "to": windows[-1].local_end.isoformat() if windows else None,
        "windows": len(windows),
        "stored": stretch.stored,
        "note": stretch.note,
    }
