"""Routes: which incidents go to which channels, and when. Pure: a flat list, the first match wins."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from alerts.durations import Span
from alerts.periods import DAY, instant, parsed
from checks.result import Severity


@dataclass(frozen=True)
class About:
    """What a route can match: the incident's severity, and its dataset with owner and tags (None for a whole source)."""

    severity: Severity
    dataset: str | None
    owner: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Quiet:
    """Quiet hours in local time; over midnight where the end is not after the start."""

    start: time
    end: time

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"

    def until(self, now: datetime, zone: ZoneInfo) -> datetime | None:
        """The end of the quiet hours that `now` lies in, None outside of them. By the wall clock, so clock changes move it.

        They begin and end at instants, once a day each: of a time that comes twice the first counts, for one that the clock
        leaps over the first instant after it.
        """
        today = now.astimezone(zone).date()
        for day in (today - DAY, today):
            last = day if self.start < self.end else day + DAY
            end = instant(last, self.end, zone)
            if instant(day, self.start, zone) <= now < end:
                return end
        return None


def quiet_hours(text: Any) -> Quiet:
    """`22:00-08:00` -> Quiet. Raises ValueError."""
    if isinstance(text, Quiet):
        return text
    found = re.fullmatch(r"(\d\d:\d\d)-(\d\d:\d\d)", text) if isinstance(text, str) else None
    if not found:
        raise ValueError(f"{text!r} are no quiet hours; write them as 22:00-08:00")
    try:
        start, end = time.fromisoformat(found[1]), time.fromisoformat(found[2])
    except ValueError:
        raise ValueError(f"{text!r} holds a time that does not exist; write 22:00-08:00") from None
    if start == end:
        raise ValueError(f"{text!r} begins and ends at once; to mute a route for good, give it no channel")
    return Quiet(start, end)


def _many(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f'{name!r} is no time zone; write one such as "Europe/Berlin" or "UTC"') from None
    return name


def _digest(text: str) -> str:
    weekday, _ = parsed(text)
    if weekday is not None:
        raise ValueError(f"{text!r}: a digest comes each day; write 08:00")
    return text


Names = Annotated[tuple[str, ...], BeforeValidator(_many)]
Zone = Annotated[str, AfterValidator(_zone)]


class Escalate(BaseModel):
    """`escalate = {after = "45m", to = ["pager"]}`: who is told when nobody acknowledges."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    to: Names = Field(min_length=1, description="channels, by name")
    after: Span = Field(timedelta(minutes=45), description="this long after it was told")


class Route(BaseModel):
    """One rule: all its conditions must hold; a condition with several values holds for any; `dataset` takes * and ?."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    to: Names = Field(description="channels, by name; an empty list mutes")
    severity: Severity | None = Field(None, description="only incidents of this severity")
    dataset: Names | None = Field(None, description="only these datasets; * and ? stand for anything")
    owner: Names | None = Field(None, description="only datasets of these owners")
    tag: Names | None = Field(None, description="only datasets with one of these tags")
    quiet: Annotated[Quiet, BeforeValidator(quiet_hours)] | None = Field(
        None, description="warnings wait for the end of these hours and come as one digest: 22:00-08:00"
    )
    timezone: Zone | None = Field(None, description="of the quiet hours and the digest; default: the summary's, else UTC")
    digest: Annotated[str, AfterValidator(_digest)] | None = Field(
        None, description="when the daily digest comes: 08:00; default: the end of the quiet hours, else 08:00"
    )
    escalate: Escalate | None = Field(
        None, description='a second target for what is critical and not acknowledged: {after = "45m", to = ["pager"]}'
    )
    repeat: Span = Field(
        timedelta(hours=4),
        description="after the first reminder of what is critical and not acknowledged, another; then twice as long, up to a day",
    )

    def takes(self, about: About) -> bool:
        return self.refuses(about) is None

    def refuses(self, about: About) -> str | None:
        """The first condition that does not hold, as a sentence; None: it takes it."""
        name = about.dataset
        if self.severity is not None and self.severity is not about.severity:
            return f"it is {about.severity}, not {self.severity}"
        if self.dataset is not None and not (name is not None and any(fnmatchcase(name, d) for d in self.dataset)):
            return f"{f'dataset {name}' if name else 'a whole source'} is not {' or '.join(self.dataset)}"
        if self.owner is not None and about.owner not in self.owner:
            return f"its owner is {about.owner or 'nobody'}, not {' or '.join(self.owner)}"
        if self.tag is not None and not any(t in self.tag for t in about.tags):
            return f"its tags are {', '.join(about.tags) or 'none'}, not {' or '.join(self.tag)}"
        return None

    @property
    def takes_all(self) -> bool:
        """It has no condition."""
        return self.severity is None and self.dataset is None and self.owner is None and self.tag is None

    @property
    def words(self) -> str:
        """The rule as people say it: `critical -> oncall`."""
        said = [str(self.severity)] if self.severity else []
        for label in ("dataset", "owner", "tag"):
            names = getattr(self, label)
            said += [f"{label} {' or '.join(names)}"] if names else []
        return f"{', '.join(said) or 'everything else'} -> {', '.join(self.to) or 'nobody'}"

    @property
    def digests(self) -> tuple[str, ...]:
        """The times of day at which held lines are told, the daily digest first."""
        ends = (f"{self.quiet.end:%H:%M}",) if self.quiet else ()
        return tuple(dict.fromkeys((self.digest or (ends[0] if ends else "08:00"), *ends)))

    def not_before(self, now: datetime, severity: Severity) -> datetime | None:
        """When a message of this severity may go: None at once, else the end of the quiet hours. Critical ones never wait."""
        if self.quiet is None or severity is Severity.CRITICAL:
            return None
        return self.quiet.until(now, ZoneInfo(self.timezone or "UTC"))


def first(routes: Sequence[Route], about: About) -> Route | None:
    """The route that takes it; None where nobody is told."""
    return next((route for route in routes if route.takes(about)), None)
