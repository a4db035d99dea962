"""How often an incident that nobody acknowledges is mentioned again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from alerts import escalation
from alerts.pace import Pace
from alerts.routing import Route

MINUTE = timedelta(minutes=1)
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def at(clock: str) -> datetime:
    """A time on that Monday, UTC."""
    hours, minutes = clock.split(":")
    return MONDAY + timedelta(hours=int(hours), minutes=int(minutes))


def reminded(route: Route, pace: Pace, told_at: datetime, days: int) -> list[str]:
    """When an incident that nobody ever acknowledges is mentioned again, by a daemon that looks each five minutes."""
    found: list[datetime] = []
    for minutes in range(0, days * 24 * 60, 5):
        call = escalation.due(told_at, found, True, route, pace, told_at + minutes * MINUTE)
        found += [told_at + minutes * MINUTE] if call else []
    return [f"{(moment - at('00:00')).days} {moment:%H:%M}" for moment in found]


def test_a_week_without_an_acknowledgement_is_no_week_of_reminders() -> None:
    said = reminded(Route(to=("oncall",)), Pace(), at("01:05"), 7)
    assert said == ["0 01:20", "0 05:20", "0 13:20", "1 08:00", "2 08:00", "3 08:00", "4 08:00", "5 08:00", "6 08:00"]


def test_only_so_many_reminders_come_in_the_first_night() -> None:
    often = Route.model_validate({"to": ["oncall"], "repeat": "15m"})
    assert reminded(often, Pace(reminders=2), at("22:00"), 1) == ["0 22:15", "0 22:30", "1 08:00", "1 09:00", "1 11:00", "1 15:00"]


def test_a_route_may_rest_longer_than_a_day() -> None:
    rare = Route.model_validate({"to": ["oncall"], "repeat": "2d"})
    assert reminded(rare, Pace(), at("12:00"), 7) == ["0 12:15", "2 12:15", "4 12:15", "6 12:15"]


def test_however_many_reminders_came_another_is_no_fault() -> None:
    moments = [at("12:00") + n * 24 * 60 * MINUTE for n in range(2000)]
    call = escalation.due(at("11:45"), moments, True, Route(to=("oncall",)), Pace(), moments[-1] + 24 * 60 * MINUTE)
    assert call is not None
    assert call.number == 2001
