"""When the rows of a window happened: an hour off is a fault, but not in the week after clocks were changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from checks.base import Past, View
from checks.pending import judged
from checks.profile import Counts
from checks.result import Result, Status
from checks.times import Times, clocks_changed
from checks.window import Window

DAY = timedelta(days=1)


def window(day: datetime, zone: str = "UTC") -> Window:
    local = day.replace(tzinfo=ZoneInfo(zone))
    return Window(local, local + DAY, zone)


def told(at: Window, off: timedelta, first: float = 6.0) -> Result:
    """The verdict on a day whose rows come `off` later than on the sixty days before it."""

    def answers(of: Window, later: timedelta) -> dict[str, Any]:
        start = of.start + timedelta(hours=first) + later
        times = [start + n * timedelta(minutes=20) for n in range(45)]
        return {"categories(at)": Counts({one.isoformat(): 10 for one in times}, distinct=45)}

    past = [Window(at.start - n * DAY, at.end - n * DAY, at.timezone) for n in range(60, 0, -1)]
    history = [Past(one, 450, answers(one, timedelta(0))) for one in past]
    view = View(window=at, answers=answers(at, off), rows=450, schema={"at": "string"}, now=at.end, history=history)
    [found] = judged(Times(column="at"), view)
    return found


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("day", "off", "status"),
    [
        (datetime(2026, 5, 12), HOUR, Status.FAILED),
        (datetime(2026, 3, 29), HOUR, Status.PASSED),  # Berlin's clocks
        (datetime(2026, 3, 9), -HOUR, Status.PASSED),  # the day after New York's
        (datetime(2026, 11, 3), HOUR, Status.PASSED),
        (datetime(2026, 3, 29), 5 * HOUR, Status.FAILED),  # more than clocks do
        (datetime(2026, 4, 20), HOUR, Status.FAILED),  # two weeks later no more
    ],
)
def test_an_hour_off_is_told_except_when_clocks_were_changed(day: datetime, off: timedelta, status: Status) -> None:
    assert told(window(day), off).status is status


@pytest.mark.parametrize("day", [datetime(2026, 3, 29), datetime(2026, 10, 25), datetime(2026, 5, 12)])
def test_a_day_of_23_or_25_hours_is_told_by_its_own_clocks(day: datetime) -> None:
    """Work begins at nine on every day."""
    zone = ZoneInfo("Europe/Berlin")

    def answers(local: datetime) -> dict[str, Any]:
        begins = local.replace(hour=9, tzinfo=zone)
        return {"categories(at)": Counts({(begins + n * timedelta(minutes=20)).isoformat(): 10 for n in range(40)}, distinct=40)}

    def of(local: datetime) -> Window:
        return Window(local.replace(tzinfo=zone), (local + DAY).replace(tzinfo=zone), "Europe/Berlin")

    past = [day - n * DAY for n in range(60, 0, -1)]
    history = [Past(of(one), 400, answers(one)) for one in past]
    view = View(window=of(day), answers=answers(day), rows=400, schema={"at": "string"}, now=of(day).end, history=history)
    [found] = judged(Times(column="at"), view)
    assert found.status is Status.PASSED


@pytest.mark.parametrize(
    ("day", "zone", "changed"),
    [
        (datetime(2026, 3, 30), "UTC", True),
        (datetime(2026, 3, 28), "UTC", False),
        (datetime(2026, 3, 30), "Europe/Berlin", False),  # its days begin with the clocks
        (datetime(2026, 3, 10), "Asia/Tokyo", True),
        (datetime(2026, 6, 1), "UTC", False),
    ],
)
def test_whose_clocks_were_changed(day: datetime, zone: str, changed: bool) -> None:
    assert clocks_changed(window(day, zone)) is changed


def test_windows_of_an_hour_know_no_clocks() -> None:
    start = datetime(2026, 3, 30, 12, tzinfo=UTC)
    assert not clocks_changed(Window(start, start + HOUR))


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59", "0001-01-01T00:00:00"])
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "UTC"])
def test_a_time_at_the_end_of_the_calendar_is_no_error(text: str, zone: str) -> None:
    at = window(datetime(2026, 5, 12), zone)
    times = {(at.start + n * HOUR).isoformat(): 10 for n in range(20)}
    answers = {"categories(at)": Counts({**times, text: 1}, distinct=21)}
    history = [Past(window(datetime(2026, 5, 12) - n * DAY, zone), 201, answers) for n in range(20, 0, -1)]
    [found] = judged(Times(column="at"), View(at, at.end, 201, {"at": "string"}, answers, history=history))
    assert found.status is not Status.ERRORED, found.message


def test_rows_that_were_delivered_once_more_are_not_of_the_window() -> None:
    """A replay holds the profiles of both windows as one, where they are the same byte for byte."""
    yesterday, today = window(datetime(2026, 5, 12)), window(datetime(2026, 5, 13))

    def answers(of: Window) -> dict[str, Any]:
        return {"categories(at)": Counts({(of.start + n * HOUR).isoformat(): 10 for n in range(24)}, distinct=24)}

    past = [window(datetime(2026, 5, 12) - n * DAY) for n in range(40, 0, -1)]
    copied = answers(yesterday)
    history = [*(Past(one, 240, answers(one)) for one in past), Past(yesterday, 240, copied)]
    judged(Times(column="at"), View(yesterday, yesterday.end, 240, {"at": "string"}, copied, history=history[:-1]))
    [found] = judged(Times(column="at"), View(today, today.end, 240, {"at": "string"}, copied, history=history))
    assert found.status is Status.FAILED, found.message
