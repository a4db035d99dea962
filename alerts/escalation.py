"""Reminders of critical incidents that nobody acknowledged, and the second target. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from alerts.pace import Pace
from alerts.routing import Quiet, Route

NIGHT = Quiet(time(22), time(8))
"""What counts as night on a route without quiet hours."""
DAY = timedelta(days=1)
DOUBLED = 17
"""More often than it takes from the shortest `repeat` to a day; so that no number of reminders overflows."""
AGAIN = timedelta(minutes=1)


@dataclass(frozen=True)
class Call:
    """What is due now: `number` counts from 1; `escalate` goes to the route's second target, once."""

    what: Literal["remind", "escalate"]
    number: int
    waited: timedelta


def due(told_at: datetime, reminded: Sequence[datetime], escalated: bool, route: Route, pace: Pace, now: datetime) -> Call | None:
    """The call that an unacknowledged critical incident needs now: one at a time, however long nobody looked.

    `told_at` is when it first reached somebody, `reminded` when the reminders were written. The first comes after
    `pace.remind`, the second target after `escalate.after`, the next reminder after `repeat` and each further one after twice
    as long, up to a day. At most `pace.reminders` come in the first night, and none in a later one.
    """
    waited = now - told_at
    if route.escalate is not None and not escalated and waited >= route.escalate.after:
        return Call("escalate", 1, waited)
    if not pace.reminders or now < _next(told_at, reminded, route, pace) or _asleep(told_at, reminded, route, pace, now):
        return None
    return Call("remind", len(reminded) + 1, waited)


def following(
    told_at: datetime, reminded: Sequence[datetime], escalated: bool, route: Route, pace: Pace, now: datetime
) -> datetime | None:
    """The first instant after `now` at which `due` may have a call; None where there will be none."""
    calls = [] if route.escalate is None or escalated else [told_at + route.escalate.after]
    if pace.reminders:
        next_at = max(_next(told_at, reminded, route, pace), now)
        asleep = _asleep(told_at, reminded, route, pace, next_at)
        calls.append(_night(route, next_at) or next_at if asleep else next_at)
    # What is due already waits for the call before it only.
    return max(min(calls), now + AGAIN) if calls else None


def _next(told_at: datetime, reminded: Sequence[datetime], route: Route, pace: Pace) -> datetime:
    return reminded[-1] + _pause(len(reminded), route) if reminded else told_at + pace.remind


def _pause(number: int, route: Route) -> timedelta:
    """How long after its reminder of this number an incident rests: one that nobody acknowledges for a week would else be all
    that its channel hears."""
    doubled: int = 2 ** min(number - 1, DOUBLED)
    return min(route.repeat * doubled, max(DAY, route.repeat))


def _night(route: Route, now: datetime) -> datetime | None:
    """The end of the night that `now` lies in; None by day."""
    return (route.quiet or NIGHT).until(now, ZoneInfo(route.timezone or "UTC"))


def _asleep(told_at: datetime, reminded: Sequence[datetime], route: Route, pace: Pace, now: datetime) -> bool:
    """The night that `now` lies in has had its reminders. What stood for a whole day can wait for the morning."""
    end = _night(route, now)
    if end is None:
        return False
    return now - told_at >= DAY or sum(_night(route, at) == end for at in reminded) >= pace.reminders
