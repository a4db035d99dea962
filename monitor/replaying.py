"""Past windows once more, in order: what the judge would have said of them, each with the history that there was at the time.

`verdicts` runs in a worker process and takes each window's profile from what is stored, or measures it. What people would have
been told of them is monitor/retelling.py's. Nothing of a replay reaches the store or a channel.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from types import SimpleNamespace
from typing import Any

from checks.once import once
from checks.profile import Profile
from checks.question import Population, Sample
from checks.window import Window
from monitor import worker
from monitor.dataset import Dataset, Fixed, Golden, Previous
from monitor.earlier import HISTORY, Pasts, earlier, parsed
from monitor.job import Job, Measured
from monitor.runner import same_time
from monitor.schedule import DAY, Calendar
from monitor.shelf import Shelf
from monitor.sources.base import Source
from monitor.store import references
from monitor.store.past import Stored


@dataclass(frozen=True)
class Task:
    """All that a replay of one dataset needs: `stored` profiles by window start, people's `versions` (oldest first) and `marks`."""

    dataset: Dataset
    source: Source
    windows: Sequence[Window]
    stored: Mapping[datetime, bytes] = field(default_factory=dict)
    versions: Sequence[SimpleNamespace] = ()
    marks: Mapping[datetime, str] = field(default_factory=dict)
    not_useful: Mapping[tuple[str, str], float] = field(default_factory=dict)
    measures: bool = True
    """What is not stored may be measured; else such a window is left out."""
    shelf: Shelf | None = None
    history: int = 0
    """So many of the first windows are only there to be looked back at, where they are stored."""


@dataclass
class Past:
    """The windows so far: history and reference of the next one, as monitor/store/past.py gives them."""

    dataset: Dataset
    windows: list[Stored] = field(default_factory=list)
    days: dict[datetime, list[Stored]] = field(default_factory=dict)

    def add(self, window: Window, profile: bytes) -> None:
        self.windows.append((window.start, window.end, profile))
        if self.dataset.every < DAY:
            self.days.setdefault(self._day(window.start).start, []).append(self.windows[-1])

    def history(self, window: Window) -> list[Stored]:
        also = set(same_time(self.dataset, window))
        reach = self.windows[-HISTORY:]
        older = [one for one in self.windows[-_REACH:-HISTORY] if one[0] in also] if also else []
        return older + reach

    def reference(self, window: Window) -> list[Stored] | None:
        kept = self.dataset.reference
        if isinstance(kept, Fixed):
            first, last = (self._holding(day).start for day in (kept.start, kept.end))
            return [one for one in self.windows if first <= one[0] < last]
        if isinstance(kept, Golden) or self.dataset.every >= DAY:
            return None
        first = self._day(window.start - timedelta(days=kept.days)).start
        weekday = window.local_start.weekday()
        found = [one for start in sorted(self.days) if start >= first for one in self._whole(start, window)]
        return [one for one in found if not kept.same_weekday or self._day(one[0]).local_start.weekday() == weekday]

    def _whole(self, start: datetime, window: Window) -> list[Stored]:
        """A day's windows, put together as soon as the day is over."""
        from monitor.merging import together

        day = self._day(start)
        if len(self.days[start]) > 1 and day.end <= window.start:
            self.days[start] = [(day.start, day.end, together([body for *_, body in self.days[start]])[1])]
        return self.days[start]

    def _day(self, at: datetime) -> Window:
        return Calendar(DAY, self.dataset.timezone).holding(at)

    def _holding(self, day: Any) -> Window:
        from datetime import UTC

        return self.dataset.calendar.holding(datetime(day.year, day.month, day.day, 12, tzinfo=UTC))


BARE = 0.3
"""The time that a window without history takes, in parts of that of one with all of it."""
_REACH = 3000
"""Windows of the past that are looked through for those at the same time of day: four weeks of quarter hours."""


def parted(task: Task, most: int) -> list[Task]:
    """Pieces of up to about `most` windows that may be replayed at once, where all windows are stored with what is asked today.

    Each has the windows before it to look back at. Not where a stretch or a table of its own says what is normal, nor for
    windows below a day, which look back further.
    """
    number = -(-len(task.windows) // max(most, 1))
    looks_further = task.dataset.every < DAY or not isinstance(task.dataset.reference, Previous)
    if number < 2 or task.history or looks_further or any(window.start not in task.stored for window in task.windows):
        return [task]
    # Some tell for all: what one of them lacks is measured in its turn, and is only no part of other pieces' past.
    if not all(_is_known(task, window) for window in task.windows[:: max(len(task.windows) // 4, 1)]):
        return [task]
    ends = _ends(len(task.windows), number)
    if task.dataset.holidays:
        # Last year's are looked back at too.
        return [replace(task, windows=task.windows[:end], history=begin) for begin, end in pairwise(ends)]
    return [_piece(task, begin, end) for begin, end in pairwise(ends)]


def _ends(windows: int, number: int) -> list[int]:
    """Where pieces begin and end that take about the same time: the first windows have little to look back at."""
    spent = [0.0, *accumulate(BARE + (1 - BARE) * min(place / HISTORY, 1.0) for place in range(windows))]
    return sorted({*(bisect_left(spent, spent[-1] * piece / number) for piece in range(number)), windows})


def _piece(task: Task, begin: int, end: int) -> Task:
    """These windows with those that they look back at, and nothing else of what is stored: a worker is sent all of it."""
    windows = task.windows[max(begin - HISTORY, 0) : end]
    stored = {window.start: task.stored[window.start] for window in windows}
    return replace(task, windows=windows, stored=stored, history=min(begin, HISTORY))


def _is_known(task: Task, window: Window) -> bool:
    profile = parsed(task.stored[window.start])
    job = Job(task.dataset, task.source, window, window.end)
    return profile is not None and (not task.measures or _answers(profile, job, worker.chosen(task.dataset, profile.schema)))


def verdicts(task: Task) -> list[tuple[Window, Measured]]:
    """Each window of the task with what it came to, oldest first. Runs in a worker process; nothing is raised for a window."""
    return [(window, replace(measured, profile=None)) for window, measured in replayed(task)]


def replayed(task: Task) -> Iterator[tuple[Window, Measured]]:
    """The same one by one, each with its profile."""
    past = Past(task.dataset)
    seen = Pasts()
    golden: bytes | None = None
    table = task.dataset.reference.table if isinstance(task.dataset.reference, Golden) else None
    for place, window in enumerate(task.windows):
        stored = task.stored.get(window.start)
        if stored is not None and place < task.history:
            past.add(window, stored)
            continue
        if stored is None and not task.measures:
            continue
        found = references.among(task.versions, window.start, table)
        job = Job(
            task.dataset,
            task.source,
            window,
            window.end + task.dataset.delay,
            past.history(window),
            past.reference(window),
            found.accepted,
            found.version,
            found.golden or golden,
            task.marks,
            task.not_useful,
        )
        measured = (stored and _from_stored(job, stored, task.measures, seen)) or _measured(job, task.shelf)
        if measured.state != "done" and stored is not None:
            # The source has forgotten what the store still knows.
            measured = _from_stored(job, stored, False, seen) or measured
        golden = golden or measured.golden
        if measured.profile is not None:
            past.add(window, measured.profile)
        yield window, measured


def _measured(job: Job, shelf: Shelf | None) -> Measured:
    """From the source; a file that another dataset of the replay had measured is not read again."""
    place = shelf.place(job) if shelf else None
    known = shelf.found(place) if shelf else None
    again = _from_stored(job, known, True) if known else None
    measured = again or worker.measure_window(job)
    if shelf and not again:
        shelf.keep(place, measured.profile)
    return measured


def _from_stored(job: Job, stored: bytes, whole: bool, pasts: Pasts | None = None) -> Measured | None:
    """The verdicts on a stored profile. None where it cannot be read, or (`whole`) lacks an answer that is asked for today."""
    profile = parsed(stored)
    if profile is None:
        return None
    history = earlier(job)
    checks = worker.chosen(job.dataset, profile.schema, history)
    if whole and not _answers(profile, job, checks):
        return None
    return worker.concluded(job, checks, profile, history, body=stored, pasts=pasts)


def _answers(profile: Profile, job: Job, checks: Sequence[Any]) -> bool:
    """It holds an answer to every question; rows are never stored, so what needs them is measured."""
    if isinstance(job.dataset.reference, Golden) and job.golden is None:
        return False
    for population, keys in _asked_once([job.dataset, *checks], tuple(profile.schema.items())).items():
        parts = profile.segments(population.where, population.by) if population.by else [None]
        if keys is None or any(key not in profile.answers(population.where, part) for part in parts for key in keys):
            return False
    return True


def _asked(dataset_and_checks: Sequence[Any], schema: Sequence[tuple[str, str]]) -> dict[Population, list[str] | None]:
    """The key of every question; None where rows are asked for."""
    dataset, *checks = dataset_and_checks
    found = worker.questions(checks, dataset, dict(schema)).items()
    return {of: None if any(isinstance(q, Sample) for q in asked) else [q.key for q in asked] for of, asked in found}


_asked_once = once(_asked)
"""Most windows of a dataset have the same columns and checks."""
