"""A clock that stands still until it is told to go on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """Aware, in UTC. `now` can be handed to whatever wants a function that tells the time."""

    def __init__(self, start: datetime = datetime(2026, 11, 23, 12, tzinfo=UTC)) -> None:
        self.set(start)

    def now(self) -> datetime:
        return self._now

    def set(self, moment: datetime) -> None:
        if moment.tzinfo is None:
            raise ValueError("the clock wants a time that is aware of its zone")
        self._now = moment.astimezone(UTC)

    def advance(self, by: timedelta) -> datetime:
        """Goes on by `by` (which may be negative: clocks are set back); the new time."""
        self._now += by
        return self._now
