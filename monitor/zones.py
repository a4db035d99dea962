"""Which clocks a table keeps: the zone in whose days the rows of each day's file lie."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

ZONES = (
    "UTC",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "Europe/London",
    "Europe/Berlin",
    "Europe/Helsinki",
    "Europe/Istanbul",
    "Asia/Dubai",
    "Asia/Kolkata",
    "Asia/Shanghai",
    "Asia/Tokyo",
    "Australia/Sydney",
    "Pacific/Auckland",
)
"""Zones that are tried, one of each offset and rule that many people live by."""
FEWEST = 5
"""Days below which nothing is read off them."""
NEAR = timedelta(minutes=15)
"""So near to the day's begin or end some row must come: rows of the afternoon say nothing of midnight."""

Day = tuple[date, datetime, datetime]


def of_days(days: Sequence[Day]) -> str | None:
    """The one zone in whose days (day, first and last time in UTC) all rows lie; None where it is UTC, or not clear."""
    if len(days) < FEWEST:
        return None
    fitting = [zone for zone in ZONES if all(_within(day, zone) for day in days)]
    if not fitting or "UTC" in fitting:
        return None
    nearest = min(fitting, key=lambda zone: _gap(days, zone))
    return nearest if _gap(days, nearest) <= NEAR else None


def _within(day: Day, zone: str) -> bool:
    start, end = _ends(day[0], zone)
    return start <= day[1] and day[2] < end


def _gap(days: Iterable[Day], zone: str) -> timedelta:
    """How near to the begin or the end of its day any row comes."""
    ends = [(day, _ends(day[0], zone)) for day in days]
    return min(min(first - start, end - last) for (_, first, last), (start, end) in ends)


def _ends(day: date, zone: str) -> tuple[datetime, datetime]:
    at = ZoneInfo(zone)
    first, next_ = (datetime.combine(one, datetime.min.time(), at) for one in (day, day + timedelta(days=1)))
    return first.astimezone(UTC), next_.astimezone(UTC)
