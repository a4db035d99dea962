"""Local periods: one digest per local day and one mail per local week, whatever the clock does."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from alerts.periods import due, following, instant

ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]
MINUTES = timedelta(minutes=10)


def walked(schedule: str, zone: str, start: datetime, end: datetime, step: timedelta = MINUTES) -> list[tuple[str, datetime]]:
    """(key, at) of all that a loop would have done, asked every ten minutes."""
    last, out, now = start, [], start
    while now < end:
        if period := due(schedule, zone, last, now):
            out.append((period.key, period.at))
            last = period.at
        now += step
    return out


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("schedule", ["08:00", "02:30", "02:15", "00:00", "01:45"])
def test_c2_a_year_has_one_digest_per_local_day(zone: str, schedule: str) -> None:
    start = datetime(2026, 1, 1, 12, tzinfo=UTC)
    keys = [key for key, _ in walked(schedule, zone, start, start + timedelta(days=366), timedelta(minutes=30))]
    days = [date.fromisoformat(key) for key in keys]
    assert all(later - earlier == timedelta(days=1) for earlier, later in pairwise(days))
    assert len(days) in {365, 366, 367}


@pytest.mark.parametrize("zone", ZONES)
def test_c2_a_year_has_one_weekly_mail_per_local_week(zone: str) -> None:
    start = datetime(2026, 1, 1, 12, tzinfo=UTC)
    told = walked("mon 09:00", zone, start, start + timedelta(days=366), timedelta(hours=1))
    assert [key for key, _ in told] == [f"2026-W{n:02d}" for n in range(2, 54)]
    assert {at.astimezone(ZoneInfo(zone)).strftime("%a %H:%M") for _, at in told} == {"Mon 09:00"}


@pytest.mark.parametrize(
    ("zone", "day", "clock", "utc"),
    [
        ("Europe/Berlin", date(2026, 3, 29), time(2, 30), "2026-03-29T01:00"),
        ("Europe/Berlin", date(2026, 10, 25), time(2, 30), "2026-10-25T00:30"),
        ("America/New_York", date(2026, 3, 8), time(2, 30), "2026-03-08T07:00"),
        ("America/New_York", date(2026, 11, 1), time(1, 30), "2026-11-01T05:30"),
        ("Australia/Lord_Howe", date(2026, 10, 4), time(2, 15), "2026-10-03T15:30"),
        ("Australia/Lord_Howe", date(2026, 4, 5), time(1, 45), "2026-04-04T14:45"),
        ("Europe/Berlin", date(2026, 7, 1), time(8, 0), "2026-07-01T06:00"),
    ],
)
def test_a_time_in_the_gap_is_just_after_it_and_one_that_comes_twice_is_the_first(
    zone: str, day: date, clock: time, utc: str
) -> None:
    assert instant(day, clock, ZoneInfo(zone)) == datetime.fromisoformat(utc).replace(tzinfo=UTC)


def test_c1_a_clock_set_back_two_hours_makes_nothing_due_again() -> None:
    now = datetime(2026, 11, 23, 7, 1, tzinfo=UTC)
    first = due("08:00", "Europe/Berlin", None, now)
    assert first is not None
    for minutes in range(-120, 24 * 60 - 2, 7):
        assert due("08:00", "Europe/Berlin", first.at, now + timedelta(minutes=minutes)) is None


def test_c1_a_clock_set_forward_two_hours_makes_it_due_once() -> None:
    last = datetime(2026, 11, 22, 7, tzinfo=UTC)
    early = due("08:00", "Europe/Berlin", last, datetime(2026, 11, 23, 7, 30, tzinfo=UTC))
    assert early is not None
    assert due("08:00", "Europe/Berlin", early.at, datetime(2026, 11, 23, 5, 31, tzinfo=UTC)) is None
    assert due("08:00", "Europe/Berlin", early.at, datetime(2026, 11, 23, 7, 31, tzinfo=UTC)) is None


def test_c3_a_host_that_slept_three_days_has_one_digest_to_send() -> None:
    last = datetime(2026, 11, 20, 7, tzinfo=UTC)
    found = due("08:00", "Europe/Berlin", last, datetime(2026, 11, 23, 12, tzinfo=UTC))
    assert found is not None
    assert (found.key, found.at) == ("2026-11-23", datetime(2026, 11, 23, 7, tzinfo=UTC))


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("schedule", ["08:00", "sun 02:30"])
def test_the_following_instant_is_the_one_that_becomes_due(zone: str, schedule: str) -> None:
    for hours in range(0, 24 * 40, 13):
        now = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=hours)
        at = following(schedule, zone, now)
        found = due(schedule, zone, now, at)
        assert found is not None
        assert found.at == at
        assert due(schedule, zone, now, at - timedelta(seconds=1)) is None


def test_the_last_days_of_a_year_belong_to_the_week_the_calendar_says() -> None:
    found = due("thu 09:00", "UTC", None, datetime(2026, 12, 31, 10, tzinfo=UTC))
    assert found is not None
    assert found.key == "2026-W53"


@pytest.mark.parametrize("schedule", ["8:00", "24:00", "monday 09:00", "09:60", ""])
def test_another_schedule_is_refused(schedule: str) -> None:
    with pytest.raises(ValueError, match="no schedule"):
        due(schedule, "UTC", None, datetime(2026, 1, 1, tzinfo=UTC))
