"""The windows before the one that is judged: read from what is stored, and as the checks see them. In a worker process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache

from checks.base import Check, Past
from checks.line import Line, Stretch
from checks.profile import Outdated, Profile, merge
from checks.window import Window
from monitor import segments
from monitor.dataset import Golden, Previous
from monitor.job import Job

HISTORY = 90
"""Windows of history that a check may look at."""
FORGOTTEN = 64
"""Windows that may lie before those that are looked at until they are forgotten, all at once."""


@dataclass(frozen=True)
class Stored:
    """An earlier window's profile, as read from the store."""

    window: Window
    profile: Profile


def earlier(job: Job) -> list[Stored]:
    """The history that the job brings, oldest first."""
    return readable(job, job.history)


def readable(job: Job, stored: Sequence[tuple[datetime, datetime, bytes]]) -> list[Stored]:
    """Stored profiles, less those of a form from before this version and what people called no example of normal."""
    zone = job.dataset.timezone
    bad = [start for start, mark in job.marks.items() if mark == "bad"]
    found = [(s, e, parsed(body)) for s, e, body in stored if not any(s <= one < e for one in bad)]
    return [Stored(Window(start, end, zone), profile) for start, end, profile in found if profile is not None]


@lru_cache(maxsize=128)
def parsed(body: bytes) -> Profile | None:
    """A stored profile; None where its form is no longer read.

    A worker sees the same history again with the next window of the dataset. Read, one is a megabyte or more."""
    try:
        return Profile.from_bytes(body)
    except Outdated:
        return None


def normal_windows(job: Job, history: Sequence[Stored]) -> list[Stored]:
    """The windows that count as normal for this one."""
    kept = job.dataset.reference
    if isinstance(kept, Golden):
        return list(history)
    if job.reference is not None or not isinstance(kept, Previous):
        return readable(job, job.reference or ())
    since = job.window.start - timedelta(days=kept.days)
    near = [past for past in history if past.window.start >= since]
    if not kept.same_weekday:
        return near
    weekday = job.window.local_start.weekday()
    return [past for past in near if past.window.local_start.weekday() == weekday]


def accepted_since(accepted: Mapping[str, datetime], check: Check) -> datetime | None:
    """When the level that a check looks at was last accepted as normal, for the table or one of its columns; None: never."""
    return max((accepted[about] for about in ("", *check.watched) if about in accepted), default=None)


@dataclass
class Pools:
    """What counts as normal, pooled, from an accepted moment on; each made once, whichever checks ask for it."""

    job: Job
    history: Sequence[Stored]
    rolling: bool
    made: dict[datetime | None, Profile | None] = field(default_factory=dict)

    def since(self, moment: datetime | None) -> Profile | None:
        if self.rolling:
            return None
        if moment not in self.made:
            self.made[moment] = merge(self._from(moment))
        return self.made[moment]

    def _from(self, moment: datetime | None) -> list[Profile]:
        if moment is None:
            golden = parsed(self.job.golden) if self.job.golden else None
            return [golden] if golden else [past.profile for past in normal_windows(self.job, self.history)]
        stored = normal_windows(self.job, self.history)
        newer = [past for past in stored if past.window.start >= moment]
        # A stretch or a table of before the new level is no longer normal: what came since is.
        return [past.profile for past in newer or [past for past in self.history if past.window.start >= moment]]


@dataclass
class _Rolling:
    """A line of windows, those that follow put on at its end. `upto` are the places of the line before which each of `windows`
    comes, which may have no rows there."""

    line: Line = field(default_factory=Line)
    windows: list[Stored] = field(default_factory=list)
    upto: list[int] = field(default_factory=list)
    last: tuple[Sequence[Stored], datetime | None, Stretch] | None = None
    """What was asked for last, by all the checks of one window."""

    def stretch(self, history: Sequence[Stored], since: datetime | None, seen: Callable[[Stored], Past | None]) -> Stretch:
        """The line up to the end of `history`, from where that or `since` begins."""
        if self.last is None or self.last[0] is not history or self.last[1] != since:
            self.last = history, since, self._stretch(history, since, seen)
        return self.last[2]

    def _stretch(self, history: Sequence[Stored], since: datetime | None, seen: Callable[[Stored], Past | None]) -> Stretch:
        first = self._begin(history)
        if first is None:
            self.line, self.windows, self.upto, first = Line(), [], [], 0
        for one in history[len(self.windows) - first :]:
            self.windows.append(one)
            self.upto.append(self.line.end)
            if (past := seen(one)) is not None:
                self.line.pasts.append(past)
        if first > FORGOTTEN:
            self.line.forget(self.upto[first])
            del self.windows[:first], self.upto[:first]
            first = 0
        begin = first + (sum(one.window.start < since for one in history) if since else 0)
        return Stretch(self.line, self.upto[begin] if begin < len(self.upto) else self.line.end, self.line.end)

    def _begin(self, history: Sequence[Stored]) -> int | None:
        """At which of the windows `history` begins, if it is what they are from there on, and maybe more."""
        if not history:
            return None
        first = next((place for place, one in enumerate(self.windows) if _same(one, history[0])), None)
        if first is None or len(self.windows) - first > len(history):
            return None
        return first if all(map(_same, self.windows[first:], history)) else None


def _same(one: Stored, other: Stored) -> bool:
    """Not measured once more since: then there is another profile. Two windows may have the very same one."""
    return one.profile is other.profile and one.window.start == other.window.start


@dataclass
class Pasts:
    """The earlier windows as checks see them: made once for all that look at the same rows of the same windows, those that are
    judged next too."""

    made: dict[tuple[str | None, str | None, bool], _Rolling] = field(default_factory=dict)
    history: Sequence[Stored] = ()
    """That of the window that is judged now."""

    def of(self, check: Check, history: Sequence[Stored], segment: str | None, since: datetime | None = None) -> Stretch:
        """Those of `history`, or of it those from `since` on."""
        if history is not self.history:
            # A segment that nothing was asked of when the last window was judged may be gone for good.
            self.made = {key: rolling for key, rolling in self.made.items() if rolling.last and rolling.last[0] is self.history}
            self.history = history
        part = check.where, segment

        def seen(one: Stored) -> Past | None:
            rows = segments.rows(one.profile, check, segment)
            if rows is None:
                return None
            whole = segments.rows(one.profile, check, None) or 0
            return Past(one.window, rows, one.profile.answers(*part), one.profile.schema, one.profile.kept(*part), whole)

        return self.made.setdefault((*part, check.takes_absent), _Rolling()).stretch(history, since, seen)
