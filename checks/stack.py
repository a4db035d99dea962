"""The distributions of many windows over common places, as arrays of windows x places: all their distances at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from checks.masses import Masses

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Flags = NDArray[np.bool_]
FURTHEST = 1e300
"""From the origin: floats beyond are taken for this."""
SAME = 1e-9
"""Parts of a place that two means may lie apart and still be one value: a sum is rounded once per row."""
DIGITS = 1e-14
"""The same relative to the value, for places so narrow that a float has few steps in them."""


@dataclass(frozen=True)
class Stack:
    """Rows per window and place.

    For numbers a place is a bucket from `lower` to `upper` (rising, less `origin`); `at` is where the mean of its rows
    lies, from 0 on the lower edge to 1 on the upper; `exact`: they all hold that value; `low` and `high` are the ends of
    each window, NaN where they are not known. For categories there are only rows and the names of the `places`, and what is
    not named comes last.
    """

    rows: Array
    at: Array
    exact: Flags
    lower: Array
    upper: Array
    low: Array
    high: Array
    origin: float
    places: tuple[str, ...]

    @classmethod
    def of(cls, masses: Sequence[Masses]) -> Stack:
        """Aligned masses, one row each; at least one must be given."""
        import numpy as np

        first, rows = masses[0], np.array([m.rows for m in masses], dtype=np.float64)
        if first.sums is None or first.lower is None or first.upper is None:
            return cls.counted(first.places, rows)
        ends = [
            np.clip([math.nan if e is None else e for e in side], -FURTHEST, FURTHEST)
            for side in zip(*((m.low, m.high) for m in masses), strict=True)
        ]
        exact, sums = np.array([m.exact for m in masses], dtype=bool), np.array([m.sums for m in masses])
        with np.errstate(divide="ignore", invalid="ignore"):
            means = np.where(rows > 0, sums / rows, first.lower)
        # What lies beyond is at the end: where a float ends, no two are as far apart as their difference says.
        lower, upper, means = (np.clip(side, -FURTHEST, FURTHEST) for side in (first.lower, first.upper, means))
        lower, upper, rows, means, exact = _side_by_side(lower, upper, rows, means, exact)
        with np.errstate(divide="ignore", invalid="ignore"):
            # Halves: the ends of a float's range are further apart than a float can say.
            at = (means / 2 - lower / 2) / (upper / 2 - lower / 2)
        at = np.clip(np.where((rows > 0) & np.isfinite(at), at, 0.5), SAME, 1 - SAME)
        return cls(rows, at, exact, lower, upper, ends[0], ends[1], first.origin, ())

    @classmethod
    def counted(cls, places: tuple[str, ...], rows: Array) -> Stack:
        """Of categories, windows x places."""
        import numpy as np

        none, unknown = np.zeros(0), np.full(len(rows), math.nan)
        return cls(rows, none, none.astype(bool), none, none, unknown, unknown, 0.0, places)

    @classmethod
    def joined(cls, first: Stack, second: Stack) -> Stack:
        """The windows of two, of numbers, over the same places."""
        import numpy as np

        rows, at, exact, low, high = (
            np.concatenate([getattr(first, part), getattr(second, part)]) for part in ("rows", "at", "exact", "low", "high")
        )
        return cls(rows, at, exact, first.lower, first.upper, low, high, first.origin, ())

    @property
    def numbers(self) -> bool:
        return self.lower.size > 0

    @cached_property
    def total(self) -> Array:
        """Rows of each window, windows x 1."""
        import numpy as np

        found: Array = np.maximum(self.rows.sum(axis=1, keepdims=True), 1.0)
        return found

    @cached_property
    def shares(self) -> Array:
        found: Array = self.rows / self.total
        return found

    @cached_property
    def half(self) -> Array:
        """Half the stretch of its place that the rows are taken to be spread over, evenly around their mean; next to 0 for
        one value."""
        import numpy as np

        below, above = self.at.copy(), 1 - self.at
        for room, ends, sign in ((below, self.low, 1), (above, self.high, -1)):
            # Nothing lies beyond the smallest and the largest value.
            place = np.clip(np.searchsorted(self.lower, ends, side="right") - 1, 0, len(self.lower) - 1)
            inside = (ends - self.lower[place]) / np.maximum(self.widths[place], 1e-300)
            window = np.arange(len(ends))
            left = sign * (self.at[window, place] - np.clip(np.nan_to_num(inside, nan=(1 - sign) / 2), 0.0, 1.0))
            room[window, place] = np.minimum(room[window, place], np.maximum(left, 0.0))
        return np.where(self.exact, SAME / 4, np.maximum(np.minimum(below, above), SAME / 4))

    @cached_property
    def smooth(self) -> Flags:
        """Where rows of differing values fill their place so evenly that a parabola through their mean is how they add up."""
        import numpy as np

        off = np.abs(self.at - 0.5)
        return ~self.exact & (off < 1 / 6) & (self.half >= 0.5 - off)

    @cached_property
    def grain(self) -> Array:
        """How far apart in each place two means may be and still be one value."""
        import numpy as np

        edge = np.maximum(np.abs(self.lower), np.abs(self.upper))
        with np.errstate(over="ignore"):
            return np.clip(DIGITS * edge / np.maximum(self.widths, 1e-300), SAME, 1.0)

    @cached_property
    def widths(self) -> Array:
        """Of the places; held where a float ends."""
        import numpy as np

        return np.minimum((self.upper / 2 - self.lower / 2) * 2, 1.7e308)

    @cached_property
    def values(self) -> Array:
        """The mean of each place's rows, less origin."""
        found: Array = self.lower + self.at * self.widths
        return found

    @cached_property
    def distinct(self) -> Array:
        """How many different values each window has; rows of a place that do not hold one value are taken for different ones."""
        import numpy as np

        filled = (self.rows > 0).astype(np.float64)
        found: Array = (np.where(self.exact, filled, self.rows) if self.numbers else filled).sum(axis=1)
        return found

    def ranked(self, rank: Array) -> Array:
        """The values of the first window, less origin, that are number `rank` (1 is the smallest) in rising order."""
        import numpy as np

        upto = np.cumsum(self.rows[0])
        place = np.minimum(np.searchsorted(upto, rank - 0.5), len(upto) - 1)
        rows = np.maximum(self.rows[0][place], 1.0)
        inside = np.clip((rank - 0.5 - (upto[place] - self.rows[0][place])) / rows, 0.0, 1.0)
        half = np.where(self.exact[0][place], 0.0, self.half[0][place])
        found: Array = self.values[0][place] + half * (2 * inside - 1) * self.widths[place]
        return found

    def masses(self) -> Masses:
        """The first window alone."""
        rows = self.rows[0]
        sums = rows * self.values[0] if self.numbers else None
        return Masses(rows, sums, origin=self.origin, places=self.places)

    def part(self, windows: slice) -> Stack:
        """Some of the windows."""
        numbers = self.numbers
        at, exact = (self.at[windows], self.exact[windows]) if numbers else (self.at, self.exact)
        ends = self.low[windows], self.high[windows]
        return Stack(self.rows[windows], at, exact, self.lower, self.upper, *ends, self.origin, self.places)

    def pools(self, most: int, least: int) -> Stack:
        """What was before each window, and before the one that comes next: its last `most` windows as one. The first is that of
        window number `least`, counted from 0."""
        import numpy as np

        rows = _running(self.rows, most, least)
        low, high = -_highest(-self.low, most, least), _highest(self.high, most, least)
        if not self.numbers:
            return Stack(rows, self.at, self.exact, self.lower, self.upper, low, high, self.origin, self.places)
        at = _running(self.rows * self.at, most, least) / np.maximum(rows, 1.0)
        filled = self.rows > 0
        apart = np.where(filled, self.at, 0.0).max(axis=0) - np.where(filled, self.at, 1.0).min(axis=0)
        # One value in all windows; what is so in some pools only is not worth the looking.
        exact = np.broadcast_to((self.exact | ~filled).all(axis=0) & (apart <= self.grain), rows.shape)
        at = np.clip(np.where(rows > 0, at, 0.5), SAME, 1 - SAME)
        return Stack(rows, at, exact, self.lower, self.upper, low, high, self.origin, self.places)


def _side_by_side(lower: Array, upper: Array, rows: Array, means: Array, exact: Flags) -> tuple[Array, Array, Array, Array, Flags]:
    """Places that do not overlap. A value that has a place of its own may lie inside another place: that one is parted there,
    and each window's rows in it go where their mean lies."""
    import numpy as np

    for outer in np.nonzero(upper[:-1] > lower[1:])[0][::-1]:
        inner = outer + 1
        if upper[outer] > upper[inner]:
            middle, n, at = means[:, outer], rows[:, outer].copy(), lower[inner]
            half = np.minimum(middle - lower[outer], upper[outer] - middle)
            part = np.clip((middle + half - at) / (2 * np.maximum(half, 1e-300)), 0.0, 1.0)
            above = np.round(n * np.where(exact[:, outer], middle > at, part))
            rows[:, outer] = n - above
            lower, upper = np.insert(lower, inner + 1, upper[inner]), np.insert(upper, inner + 1, upper[outer])
            rows = np.insert(rows, inner + 1, above, axis=1)
            cut = (above > 0) & (above < n)
            means = np.insert(means, inner + 1, np.where(cut, (at + middle + half) / 2, middle), axis=1)
            means[:, outer] = np.where(cut, (at + middle - half) / 2, middle)
            exact = np.insert(exact, inner + 1, exact[:, outer] | (above == 0), axis=1)
            exact[:, outer] |= above == n
        upper[outer] = lower[inner]
    return lower, upper, rows, means, exact


def _highest(ends: Array, most: int, least: int) -> Array:
    """The largest of the up to `most` before each place from number `least` on, and before the next one."""
    import numpy as np

    padded = np.concatenate([np.full(most, -math.inf), ends])
    found: Array = np.lib.stride_tricks.sliding_window_view(padded, most).max(axis=1)
    return found[least:]


def _running(amounts: Array, most: int, least: int) -> Array:
    """The sums over the up to `most` windows before each from number `least` on, and before the next one."""
    import numpy as np

    run = np.vstack([np.zeros((1, amounts.shape[1])), np.cumsum(amounts, axis=0)])
    found: Array = run[least:].copy()
    found[max(most - least, 0) :] -= run[max(least - most, 0) : len(run) - most] if len(run) > most else 0.0
    return found
