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


@dataclass(frozen=True)
class Call:
    """What is due now: `number` counts from 1; `escalate` goes to the route's second target, once."""

    what: Literal["remind", "escalate"]
    number: int
    waited: timedelta


def due(told_at: datetime, reminded: Sequence[datetime], escalated: bool, route: Route, pace: Pace, now: datetime) -> Call | None:
    """The call that an unacknowledged critical incident needs now: one at a time, however long nobody looked.

    `told_at` is when it first reached somebody, `reminded` when the reminders were written. The first comes after
    `pace.remind`, the second target after `escalate.after`, further reminders each `repeat`; at most `pace.reminders` a night.
    """
    waited = now - told_at
    if route.escalate is not None and not escalated and waited >= route.escalate.after:
        return Call("escalate", 1, waited)
    next_at = reminded[-1] + route.repeat if reminded else told_at + pace.remind
    if not pace.reminders or now < next_at or _tonight(reminded, route, now) >= pace.reminders:
        return None
    return Call("remind", len(reminded) + 1, waited)


def following(
    told_at: datetime, reminded: Sequence[datetime], escalated: bool, route: Route, pace: Pace, now: datetime
) -> datetime | None:
    """The first instant after `now` at which `due` may have a call; None where there will be none."""
    calls = [] if route.escalate is None or escalated else [told_at + route.escalate.after]
    if pace.reminders:
        next_at = max(reminded[-1] + route.repeat if reminded else told_at + pace.remind, now)
        spent = _tonight(reminded, route, next_at) >= pace.reminders
        calls.append(_night(route, next_at) or next_at if spent else next_at)
    # What is due already waits for the call before it only.
    return max(min(calls), now + AGAIN) if calls else None


AGAIN = timedelta(minutes=1)


def _night(route: Route, now: datetime) -> datetime | None:
    """The end of the night that `now` lies in; None by day."""
    return (route.quiet or NIGHT).until(now, ZoneInfo(route.timezone or "UTC"))


def _tonight(reminded: Sequence[datetime], route: Route, now: datetime) -> int:
    """How many reminders came in the night that `now` lies in; 0 by day."""
    hours, zone = route.quiet or NIGHT, ZoneInfo(route.timezone or "UTC")
    end = hours.until(now, zone)
    return sum(hours.until(at, zone) == end for at in reminded) if end else 0
