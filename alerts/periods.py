"""Local periods: a digest each day, a mail each week, by the wall clock of a zone. Arithmetic only; `now` is an argument."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Period:
    """One turn of a schedule. `key` names its local day (`2026-11-23`) or week (`2026-W48`): once per key, whatever the clock does.

    `at` is the instant (UTC) it is due; `day` the local day that instant belongs to.
    """

    key: str
    at: datetime
    day: date


def instant(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """The instant (UTC) of a wall-clock time: in a gap the first one after it, of a time that comes twice the first."""
    naive = datetime.combine(day, clock)
    before, after = (naive.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    if before is None or after is None or before >= after:
        # PEP 495: in a fold the offset of fold=0 is the larger one, and its instant the earlier.
        return naive.replace(tzinfo=zone).astimezone(UTC)
    return _jump(naive.replace(tzinfo=UTC) - after, naive.replace(tzinfo=UTC) - before, zone)


def _jump(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """The instant between two (UTC) at which the zone's offset changes, to the second."""
    offset = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
        low, high = (middle, high) if middle.astimezone(zone).utcoffset() == offset else (low, middle)
    return high


def due(schedule: str, zone: str, last: datetime | None, now: datetime) -> Period | None:
    """The newest period of `08:00` (each day) or `mon 09:00` (each week) that began by `now`, unless it is not after `last`.

    `last` is the `at` of the last one that was done (None: none was). Of several missed only the newest is due. A clock that
    was set back makes nothing due a second time. Raises ValueError for another schedule.
    """
    weekday, clock = parsed(schedule)
    here = ZoneInfo(zone)
    # A zone's day may be one off from UTC's, and the clock's time may come a day later.
    latest = now.astimezone(here).date() + DAY
    step = DAY if weekday is None else 7 * DAY
    day = latest if weekday is None else latest - ((latest.weekday() - weekday) % 7) * DAY
    while (at := instant(day, clock, here)) > now:
        day -= step
    if last is not None and at <= last:
        return None
    return Period(_key(day, weekday), at, day)


def following(schedule: str, zone: str, now: datetime) -> datetime:
    """The first instant after `now` at which the schedule is due."""
    weekday, clock = parsed(schedule)
    here = ZoneInfo(zone)
    day = now.astimezone(here).date() - DAY
    while (weekday is not None and day.weekday() != weekday) or instant(day, clock, here) <= now:
        day += DAY
    return instant(day, clock, here)


def parsed(schedule: str) -> tuple[int | None, time]:
    """(weekday from Monday = 0, or None for each day; time of day). Raises ValueError."""
    found = re.fullmatch(r"(?:(mon|tue|wed|thu|fri|sat|sun) )?([01]\d|2[0-3]):([0-5]\d)", schedule)
    if not found:
        raise ValueError(f'{schedule!r} is no schedule; write "08:00" for each day, "mon 09:00" for each week')
    return (DAYS.index(found[1]) if found[1] else None), time(int(found[2]), int(found[3]))


def _key(day: date, weekday: int | None) -> str:
    if weekday is None:
        return day.isoformat()
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02d}"
