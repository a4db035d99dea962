"""How fast a channel is written to: so many messages a second for long, after a small burst."""

from __future__ import annotations

import time
from collections.abc import Callable

BURST = 10.0


class Bucket:
    """A token bucket by the monotonic clock, one for each channel of this process."""

    known: dict[tuple[str, float], Bucket] = {}  # noqa: RUF012 - shared on purpose: a channel has one

    def __init__(self, pace: float) -> None:
        self.pace, self.tokens, self.at = pace, BURST, time.monotonic()

    @classmethod
    def of(cls, name: str, pace: float) -> Bucket:
        return cls.known.setdefault((name, pace), cls(pace))

    def wait(self, now: float) -> float:
        """Takes a token and gives 0, or gives the seconds until there is one."""
        self.tokens, self.at = min(self.tokens + (now - self.at) * self.pace, BURST), now
        if self.pace and self.tokens < 1:
            return (1 - self.tokens) / self.pace
        self.tokens -= 1
        return 0.0

    def taken(self, ended: Callable[[], bool]) -> bool:
        """Waits for a token; False where `ended` says so first."""
        while not ended():
            wait = self.wait(time.monotonic())
            if not wait:
                return True
            time.sleep(min(wait, 0.5))
        return False

    def give_back(self) -> None:
        """There was nothing to send."""
        self.tokens = min(self.tokens + 1, BURST)
