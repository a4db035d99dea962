"""A window's times as an engine compares them: instants with a zone, wall-clock times and dates without."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

ZONE = re.compile(r"\d(Z|z|[+-]\d\d(:?\d\d)?)$")


def comparable(column: Any, zoned: bool) -> Any:
    """A column that compares as a time: a text is cast."""
    return column.cast("timestamp('UTC')" if zoned else "timestamp") if column.type().is_string() else column


def between(at: Any, start: datetime | None, end: datetime, timezone: str, zoned: bool) -> list[Any]:
    """Ibis conditions for start <= at < end (aware times; no start: everything before the end).

    `zoned`: the column holds instants; else wall-clock times of `timezone`. Ibis literals only.
    """
    before = at < _bound(at, end, timezone, zoned)
    return [before] if start is None else [at >= _bound(at, start, timezone, zoned), before]


def epoch(at: Any) -> Any:
    """A time in epoch seconds, one without zone read as if it were UTC: see `instant`."""
    return (at.cast("timestamp") if at.type().is_date() else at).epoch_seconds()


def instant(wall: float, timezone: str, zoned: bool) -> float:
    """Epoch seconds of a time that was read as if it were UTC."""
    if zoned:
        return wall
    read = datetime(1970, 1, 1) + timedelta(seconds=wall)  # noqa: DTZ001 - the zone comes on the next line
    return read.replace(tzinfo=ZoneInfo(timezone)).timestamp()


def has_zone(kind: Any) -> bool:
    return bool(kind.is_timestamp() and kind.timezone is not None)


def text_has_zone(text: str) -> bool:
    """`2024-03-31T02:30:00+02:00` and `...Z` are instants; without an offset it is a wall-clock time."""
    return len(text) > 10 and ZONE.search(text.strip()) is not None


def local(moment: datetime, timezone: str) -> datetime:
    """The wall clock of `timezone` at an aware moment, without a zone."""
    return moment.astimezone(ZoneInfo(timezone)).replace(tzinfo=None)


def first_day(moment: datetime, timezone: str) -> date:
    """The first date whose midnight (in `timezone`) is not before `moment`: dates are compared as their midnights."""
    wall = local(moment, timezone)
    return wall.date() if wall.time() == time(0) else wall.date() + timedelta(days=1)


def _bound(at: Any, moment: datetime, timezone: str, zoned: bool) -> Any:
    """A moment as an Ibis literal of the column's kind."""
    import ibis

    if at.type().is_date():
        return ibis.literal(first_day(moment, timezone))
    return ibis.literal(moment.astimezone(UTC) if zoned else local(moment, timezone))
