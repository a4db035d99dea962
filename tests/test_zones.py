"""Which clocks a table of daily files keeps."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from monitor import zones

FIRST = date(2026, 10, 20)


def days(zone: str, first: time, last: time, number: int = 20) -> list[zones.Day]:
    """Days whose rows lie between two times of that zone's clocks; the clocks of Berlin and New York change meanwhile."""
    at = ZoneInfo(zone)
    found = []
    for day in (FIRST + timedelta(days=n) for n in range(number)):
        begin, end = (datetime.combine(day, when, at).astimezone(UTC) for when in (first, last))
        found.append((day, begin, end))
    return found


@pytest.mark.parametrize(
    ("zone", "first", "last", "found"),
    [
        ("America/New_York", time(5, 0), time(23, 59), "America/New_York"),
        ("Europe/Berlin", time(0, 1), time(22, 0), "Europe/Berlin"),
        ("Asia/Tokyo", time(0, 0), time(23, 59), "Asia/Tokyo"),
        ("UTC", time(0, 0), time(23, 59), None),
        ("America/New_York", time(9, 0), time(17, 0), None),  # of rows by day only, UTC's day would do
        ("America/New_York", time(9, 0), time(21, 30), None),  # nobody comes near midnight
    ],
)
def test_the_zone_in_whose_days_all_rows_lie(zone: str, first: time, last: time, found: str | None) -> None:
    assert zones.of_days(days(zone, first, last)) == found


def test_few_days_say_nothing_and_one_row_elsewhere_neither() -> None:
    tokyo = days("Asia/Tokyo", time(0, 0), time(23, 59))
    assert zones.of_days(tokyo[:4]) is None
    day, first, last = tokyo[-1]
    assert zones.of_days([*tokyo[:-1], (day, first, last + timedelta(hours=20))]) is None
