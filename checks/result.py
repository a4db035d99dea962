"""The words of a verdict: status, severity, bounds, result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

HIGHEST_SCORE = 1e6


class Status(StrEnum):
    """`skipped` means nothing to judge, `errored` could not judge; neither is a pass."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ERRORED = "errored"


class Severity(StrEnum):
    """How much a failed result matters: a warning can wait for the morning, a critical one cannot."""

    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return 2 if self is Severity.CRITICAL else 1


class Family(StrEnum):
    """What kind of trouble it is; problems of one dataset and family make one incident."""

    SOURCE = "source"
    ARRIVAL = "arrival"
    LAYOUT = "layout"
    QUALITY = "quality"
    DRIFT = "drift"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of a verdict, always data. `usual` says in words what learned limits came from."""

    at_least: float | None = None
    at_most: float | None = None
    learned: bool = False
    usual: str = ""

    def admit(self, value: float) -> bool:
        low = self.at_least is None or value >= self.at_least
        high = self.at_most is None or value <= self.at_most
        return low and high

    def score(self, value: float, unit: float = 1.0) -> float:
        """How far out `value` is in units of what was allowed: 1.0 on the bound, above 1 outside; finite, at most 1e6.

        `unit` is the noise floor in the value's own unit; it takes the place of what was allowed where that is nothing
        (a bound of zero, or two equal bounds).
        """
        low, high = finite(self.at_least), finite(self.at_most)
        if math.isnan(value):
            return HIGHEST_SCORE
        if low is not None and high is not None and high > low:
            raw = abs(value - (low + high) / 2) / ((high - low) / 2)
        elif high is not None and value >= (low if low is not None else -math.inf):
            raw = value / high if high > 0 else 1 + (value - high) / unit
        elif low is not None:
            raw = low / value if low > 0 and value > 0 else 1 + (low - value) / unit
        else:
            raw = 0.0
        raw = HIGHEST_SCORE if math.isnan(raw) else min(max(raw, 0.0), HIGHEST_SCORE)
        return min(raw, 1.0) if self.admit(value) else max(raw, math.nextafter(1.0, 2.0))


@dataclass(frozen=True, slots=True)
class Result:
    """One verdict of one check on one column and segment of one window.

    `value` and `bounds` are in the check's unit (shares are 0..1, durations seconds). `score` is how far out the value
    is in units of what was allowed, None without a verdict. `severity` is None unless failed. `details` is the
    explanation as data; it must be JSON.
    """

    check: str
    kind: str
    family: Family
    status: Status
    message: str
    column: str | None = None
    segment: str | None = None
    value: float | None = None
    bounds: Bounds | None = None
    score: float | None = None
    severity: Severity | None = None
    details: dict[str, Any] | None = None
    record: Sequence[tuple[datetime, float]] = field(default=(), compare=False, repr=False)
    """How far out earlier windows were by the same limits, by their start; while judging only, not kept."""

    def as_json(self) -> dict[str, Any]:
        """The form in `once --json`, see design: bounds as at_least, at_most, learned."""
        bounds = self.bounds or Bounds()
        return {
            "check": self.check,
            "kind": self.kind,
            "column": self.column,
            "segment": self.segment,
            "status": str(self.status),
            "value": finite(self.value),
            "bounds": {"at_least": finite(bounds.at_least), "at_most": finite(bounds.at_most), "learned": bounds.learned},
            "score": self.score,
            "severity": str(self.severity) if self.severity else None,
            "message": self.message,
        }


def finite(value: float | None) -> float | None:
    """JSON has no NaN and no infinity: such a value is null there and told in the message."""
    return value if value is not None and math.isfinite(value) else None
