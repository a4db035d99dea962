"""Which windows are due: arithmetic only. `now` is an argument; nothing here knows a clock or a store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from checks.window import Window

T = TypeVar("T")
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
A_MONDAY = date(1970, 1, 5)


@dataclass(frozen=True)
class Calendar:
    """The windows of a dataset: all time cut into stretches of `every`, aligned to local midnight.

    Whole days are counted on the calendar from `origin` (default: a Monday), so a day may last 23 or 25 hours.
    Shorter lengths divide each local day: those up to an hour in real time from its midnight (the day's last window ends
    at the next one), longer ones at the same wall-clock times each day.
    Raises ValueError for lengths that fit neither.
    """

    every: timedelta
    timezone: str = "UTC"
    origin: date = A_MONDAY

    def __post_init__(self) -> None:
        if self.every < timedelta(seconds=1):
            raise ValueError("windows must last at least 1s")
        if self.every % DAY and DAY % self.every:
            raise ValueError("windows must divide a day evenly (such as 15m, 1h, 6h) or last whole days or weeks")

    def holding(self, instant: datetime) -> Window:
        """The window that `instant` (aware) lies in."""
        local = instant.astimezone(ZoneInfo(self.timezone)).date()
        # A zone's midnight may not exist or come twice: ask the neighbours too.
        for day in (local, local + DAY, local - DAY):
            first = self._first_day(day)
            start, end = self._midnight(first), self._midnight(first + self._days * DAY)
            if start <= instant < end:
                return self._part(start, end, instant)
        raise AssertionError(f"no window holds {instant}")

    def next(self, window: Window) -> Window:
        return self.holding(window.end)

    def previous(self, window: Window) -> Window:
        return self.holding(window.start - timedelta(microseconds=1))

    def following(self, after: datetime) -> Window:
        """The first window that starts at or after an instant."""
        window = self.holding(after)
        return self.next(window) if window.start < after else window

    def closed(self, after: datetime | None, until: datetime, most: int | None = None) -> Iterator[Window]:
        """Windows that start at or after `after` and end at or before `until`, oldest first; without `after` only the last one."""
        if after is None:
            yield self.previous(self.holding(until))
            return
        window, count = self.following(after), 0
        while window.end <= until and (most is None or count < most):
            yield window
            window, count = self.next(window), count + 1

    @property
    def _days(self) -> int:
        return max(self.every // DAY, 1)

    def _first_day(self, day: date) -> date:
        return day - timedelta(days=(day - self.origin).days % self._days)

    def _midnight(self, day: date) -> datetime:
        """The first instant of a local day. In a gap at midnight fold=0 gives the instant of the jump."""
        return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(self.timezone)).astimezone(UTC)

    def _part(self, start: datetime, end: datetime, instant: datetime) -> Window:
        if self.every >= DAY:
            return Window(start, end, self.timezone)
        if self.every > HOUR:
            return self._by_the_clock(start, end, instant)
        begin = start + (instant - start) // self.every * self.every
        return Window(begin, min(begin + self.every, end), self.timezone)

    def _by_the_clock(self, start: datetime, end: datetime, instant: datetime) -> Window:
        """Windows of several hours begin at the same wall-clock times on each day; a clock change makes one longer or shorter."""
        zone = ZoneInfo(self.timezone)
        day = (start + (end - start) / 2).astimezone(zone).date()
        midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
        # Wall-clock arithmetic; a time that comes twice is taken the first time, one that never comes just after the gap.
        edges = [(midnight + n * self.every).astimezone(UTC) for n in range(1, DAY // self.every)]
        inside = [start, *(edge for edge in edges if start < edge < end), end]
        later = next(i for i, edge in enumerate(inside) if edge > instant)
        return Window(inside[later - 1], inside[later], self.timezone)


def due(
    calendar: Calendar, last_end: datetime | None, now: datetime, delay: timedelta, catchup: timedelta, most: int
) -> list[Window]:
    """The windows to measure now, oldest first: those that closed at least `delay` ago and come after the last one measured.

    A dataset that was never measured starts with its last closed window. After downtime at most `most` at once, none older
    than `catchup`.
    """
    until = now - delay
    if last_end is None:
        return list(calendar.closed(None, until))
    return list(calendar.closed(max(last_end, until - catchup), until, most))


@dataclass
class Agenda:
    """The next window of each dataset, remembered: at thousands of datasets their calendars would be most of a tick's work.

    Nothing depends on what is remembered, it is only not worked out again while the dataset's last window is the same.
    """

    _next: dict[str, tuple[datetime, Window]] = field(default_factory=dict)

    def first(
        self, name: str, calendar: Calendar, last_end: datetime | None, now: datetime, delay: timedelta, catchup: timedelta
    ) -> Window | None:
        """The first of the windows that `due` gives; None where none is due."""
        if last_end is None:
            return due(calendar, None, now, delay, catchup, 1)[0]
        known = self._next.get(name)
        if known is None or known[0] != last_end:
            known = self._next[name] = (last_end, calendar.following(last_end))
        window = known[1]
        if window.end > now - delay:
            return None
        if window.start >= now - delay - catchup:
            return window
        return next(iter(due(calendar, last_end, now, delay, catchup, 1)), None)


def in_turn(waiting: Iterable[tuple[str, T]], busy: Mapping[str, int]) -> list[T]:
    """The same things, source by source in turn: those of the source that has the fewest at work first (`busy`).

    `waiting` are (source, thing), those that wait longest first, and so they stay within a source. A source's backlog is older than
    anything of the others, and would always come before it.
    """
    turns = Counter(busy)
    ranked: list[tuple[int, int, T]] = []
    for source, thing in waiting:
        turns[source] += 1
        ranked.append((turns[source], len(ranked), thing))
    return [thing for *_, thing in sorted(ranked, key=lambda r: r[:2])]
