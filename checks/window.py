"""A window: one half-open stretch of a dataset's time, `[start, end)`; the unit of work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """`[start, end)`, both aware and in UTC; `timezone` is the dataset's, for weekdays and for people.

    Raises ValueError for naive times and for an end that is not after the start.
    """

    start: datetime
    end: datetime
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a window's times must be aware of their zone")
        if self.end <= self.start:
            raise ValueError(f"a window must end after it starts: {self.start} .. {self.end}")
        object.__setattr__(self, "start", self.start.astimezone(UTC))
        object.__setattr__(self, "end", self.end.astimezone(UTC))

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    @property
    def local_start(self) -> datetime:
        """The start in the dataset's own zone: what decides weekday and hour."""
        return self.start.astimezone(ZoneInfo(self.timezone))

    @property
    def local_end(self) -> datetime:
        return self.end.astimezone(ZoneInfo(self.timezone))

    def __str__(self) -> str:
        form = "%Y-%m-%d" if self.local_start.time() == self.local_end.time() else "%Y-%m-%d %H:%M"
        if form == "%Y-%m-%d" and self.local_start.hour == 0 and self.local_start.minute == 0:
            if self.local_end.date() - self.local_start.date() == timedelta(days=1):
                return self.local_start.strftime(form)
            return f"{self.local_start.strftime(form)} to {self.local_end.strftime(form)}"
        return f"{self.local_start:%Y-%m-%d %H:%M} to {self.local_end:%Y-%m-%d %H:%M}"
