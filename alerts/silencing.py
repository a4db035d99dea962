"""Silences and maintenance: what is kept quiet, by whom and why. A flag beside an incident's state, never a state. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from fnmatch import fnmatchcase
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from alerts.incident import Incident
from alerts.periods import DAYS, instant
from alerts.problem import Problem
from alerts.routing import Names, Quiet, Zone, quiet_hours


@dataclass(frozen=True)
class Silence:
    """What somebody asked to be kept quiet. `subject` (a dataset, `source:NAME`; * and ? allowed), `family`, `check` and
    `incident` narrow it; None: any. It holds from `starts_at` up to, not including, `ends_at`."""

    id: int
    author: str
    reason: str
    starts_at: datetime
    ends_at: datetime
    subject: str | None = None
    family: str | None = None
    check: str | None = None
    incident: int | None = None

    def covers(self, incident: Incident, members: Iterable[Problem], now: datetime) -> bool:
        """It keeps the incident quiet; a silenced check only where no other check of the incident fails."""
        return (
            self.starts_at <= now < self.ends_at
            and (self.incident is None or self.incident == incident.id)
            and (self.subject is None or fnmatchcase(incident.subject, self.subject))
            and (self.family is None or self.family == str(incident.family))
            and (self.check is None or {p.check for p in members} <= {self.check})
        )


class Maintenance(BaseModel):
    """`[[maintenance]]`: planned work, once (`from`, `to`) or again and again (`every`).

    What it covers is measured and stored as ever, and not told.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    datasets: Names = Field(description="which datasets; * and ? stand for anything, source:NAME is a whole source")
    reason: str = Field(min_length=1, description="why; people see it in explain")
    start: datetime | date | None = Field(
        None, alias="from", description="a time such as 2026-11-28T22:00:00; a day means its midnight"
    )
    end: datetime | date | None = Field(None, alias="to", description="up to, not including")
    every: str | None = Field(None, description='instead of from and to: "02:00-04:00" each day, "sun 02:00-04:00" each week')
    timezone: Zone = Field("UTC", description="of times without a zone; default: the summary's")

    @field_validator("every")
    @classmethod
    def _recurs(cls, text: str | None) -> str | None:
        if text is not None:
            _recurring(text)
        return text

    @model_validator(mode="after")
    def _whole(self) -> Maintenance:
        given = (self.start is not None, self.end is not None, self.every is not None)
        if given not in {(True, True, False), (False, False, True)}:
            raise ValueError('give from and to, or every = "sun 02:00-04:00"')
        if self.start and self.end and self._at(self.end) <= self._at(self.start):
            raise ValueError(f"it ends ({self.end}) before it starts ({self.start})")
        return self

    def covers(self, subject: str, now: datetime) -> bool:
        return any(fnmatchcase(subject, name) for name in self.datasets) and self.holds(now)

    def holds(self, now: datetime) -> bool:
        """`now` lies within it."""
        if self.start is not None and self.end is not None:
            return self._at(self.start) <= now < self._at(self.end)
        weekday, hours = _recurring(self.every or "")
        zone = ZoneInfo(self.timezone)
        today = now.astimezone(zone).date()
        # One that goes over midnight may have begun yesterday.
        return any(_lasts(day, hours, zone, now) for day in (today, today - timedelta(days=1)) if weekday in {None, day.weekday()})

    def _at(self, written: datetime | date) -> datetime:
        if isinstance(written, datetime):
            if written.tzinfo is not None:
                return written
            return instant(written.date(), written.time(), ZoneInfo(self.timezone))
        return instant(written, time(0), ZoneInfo(self.timezone))


def _recurring(text: str) -> tuple[int | None, Quiet]:
    found = re.fullmatch(rf"(?:({'|'.join(DAYS)}) )?(\S+)", text)
    if not found:
        raise ValueError(f'{text!r} is no recurring time; write "02:00-04:00" for each day, "sun 02:00-04:00" for each week')
    return (DAYS.index(found[1]) if found[1] else None), quiet_hours(found[2])


def _lasts(day: date, hours: Quiet, zone: ZoneInfo, now: datetime) -> bool:
    last = day if hours.start < hours.end else day + timedelta(days=1)
    return instant(day, hours.start, zone) <= now < instant(last, hours.end, zone)


@dataclass(frozen=True)
class Hush:
    """Why an incident is not told now, in a sentence."""

    by: Literal["silence", "maintenance"]
    reason: str


def hushed(
    incident: Incident, members: Sequence[Problem], silences: Iterable[Silence], planned: Iterable[Maintenance], now: datetime
) -> Hush | None:
    """The first silence or maintenance that keeps the incident quiet now."""
    for silence in silences:
        if silence.covers(incident, members, now):
            until = f"{silence.ends_at:%Y-%m-%d %H:%M} UTC"
            return Hush("silence", f"silence {silence.id} by {silence.author} until {until}: {silence.reason}")
    for work in planned:
        if work.covers(incident.subject, now):
            return Hush("maintenance", f"maintenance of {', '.join(work.datasets)}: {work.reason}")
    return None
