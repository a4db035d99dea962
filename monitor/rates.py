"""Rates as the config writes them: 10/m, 2/30s, 100/h. Arithmetic only: time is an argument."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator

from monitor.durations import parse as duration

SLACK = timedelta(seconds=1)
"""What comes within it may come at once: the daemon looks twice a second, and a source feels no finer steps."""


@dataclass(frozen=True)
class Rate:
    """At most `count` starts per `per`, spread evenly: 10/m is one every six seconds.

    No stretch of `per` ever holds more than `count`; where they come faster than one a second, no more than `count` and those of
    one second. It is the generic cell rate algorithm (ITU-T I.371): one instant, the next free one, is all there is to remember.
    """

    count: int
    per: timedelta

    @property
    def spacing(self) -> timedelta:
        return self.per / self.count

    @property
    def slack(self) -> timedelta:
        return SLACK if self.spacing < SLACK else timedelta(0)

    def wait(self, free_at: datetime | None, now: datetime) -> timedelta:
        """How long until the next start; zero: now. `free_at` is what the last `after` gave, None: nothing was started yet."""
        # Further ahead than this rate can have led: the clock was set back, or the rate was a slower one.
        if free_at is None or free_at > now + self.spacing + self.slack:
            return timedelta(0)
        return max(free_at - self.slack - now, timedelta(0))

    def after(self, free_at: datetime | None, now: datetime) -> datetime:
        """The next free instant after a start at `now`."""
        waited = free_at is None or free_at < now or free_at > now + self.spacing + self.slack
        return (now if waited or free_at is None else free_at) + self.spacing


def parse(given: Any) -> Rate:
    """`10/m` -> ten a minute. Raises ValueError with the form that is wanted."""
    if isinstance(given, Rate):
        return given
    found = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d*)\s*([smhdw])\s*", given) if isinstance(given, str) else None
    if not found:
        hint = f"{given}/m" if isinstance(given, int) and not isinstance(given, bool) and given > 0 else "10/m"
        raise ValueError(f"{given!r} is not a rate; write a number, a slash and s, m, h, d or w, such as {hint} or 2/30s")
    count, per = int(found[1]), duration(f"{found[2] or 1}{found[3]}")
    if not count or not per:
        raise ValueError(f"{given!r} would start nothing; write at least 1, such as 1/m")
    if per / count < timedelta(milliseconds=1):
        raise ValueError(f"{given!r} is more than 1000 a second, which limits nothing; leave rate out")
    return Rate(count, per)


Pace = Annotated[Rate, BeforeValidator(parse)]
