"""A slow, steady rise: the slope that no single day can make or hide, only where it is sure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, median

FEWEST = 10
"""Points below which no slope is called sure."""


@dataclass(frozen=True)
class Slope:
    """`y = start + per_x * x`; the true slope lies between `low` and `high` with the certainty asked for."""

    start: float
    per_x: float
    low: float
    high: float

    def at(self, x: float) -> float:
        return self.start + self.per_x * x

    @property
    def rises(self) -> bool:
        return self.low > 0

    def reaches(self, y: float) -> float | None:
        """The x at which the line comes to `y`; None where it does not rise."""
        return (y - self.start) / self.per_x if self.per_x > 0 else None


def theil_sen(points: Sequence[tuple[float, float]], certainty: float = 0.99) -> Slope | None:
    """The median of the slopes between all pairs (Theil 1950), with Sen's interval (1968) corrected for ties.

    `points` are (x, y), any order, x in any unit; None for fewer than ten. `certainty` is that of the interval, 0..1. Work grows
    with the square of the points' number.
    """
    if len(points) < FEWEST:
        return None
    ordered = sorted(points)
    slopes = sorted((y2 - y1) / (x2 - x1) for i, (x1, y1) in enumerate(ordered) for x2, y2 in ordered[i + 1 :] if x2 > x1)
    if not slopes:
        return None
    half = NormalDist().inv_cdf((1 + certainty) / 2) * math.sqrt(_variance([x for x, _ in ordered], [y for _, y in ordered]))
    low, high = round((len(slopes) - half) / 2) - 1, round((len(slopes) + half) / 2)
    middle = median(slopes)
    start = median(y for _, y in ordered) - middle * median(x for x, _ in ordered)
    sure = low >= 0 and high < len(slopes)
    return Slope(start, middle, slopes[low] if sure else -math.inf, slopes[high] if sure else math.inf)


def _variance(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Of Kendall's S."""
    n = len(xs)
    ties = sum(k * (k - 1) * (2 * k + 5) for values in (xs, ys) for k in map(list(values).count, set(values)))
    return max(n * (n - 1) * (2 * n + 5) - ties, 0) / 18
