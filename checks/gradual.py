"""What moves too little, or too slowly, for one window to show: the last seven windows together against the weeks before.

For windows of a day or longer, and for numbers that a table's owners hold steady (rows, missing values, the hours of the day, the
most frequent value's share): what it measures in the world, a mean or a mix of values, does move with the seasons.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from checks import limits, scales
from checks.medians import Chosen, halfway
from checks.wording import Unit, amount

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Flags = NDArray[np.bool_]

Lasting = Literal["", "new", "level"]
"""Which small changes that stay are told of a number: none, only what there never was before, or also another level."""
SHORTEST = timedelta(hours=22)
"""Windows that are shorter have hours of the day among them, and no week."""
TOGETHER = 7
"""Windows that are taken together: of a day, a whole week."""
STRETCHES = 6
"""As many windows each, before these, in whose middle lies what is usual."""
CLIP = 3.0
"""Spreads that one window counts at most: a single bad one is left to its own verdict."""
RECENT = 3 * TOGETHER
"""Windows in which what was told by itself is still known, so that it is no news that it lasts."""
OFTEN = 3
"""Of the windows together, as many must have what there never was before."""
HIGHEST = 2.0
"""The highest score: never beyond a warning."""


@dataclass(frozen=True, slots=True)
class Slow:
    """What the last windows of a number tell together. `new`: there never was any of it before; else `value`, their mean, is `out`
    of what was allowed (1 is on the bound)."""

    out: float
    value: float
    at_least: float | None
    at_most: float | None
    new: bool

    def score(self, allowance: float) -> float:
        """In units of what is allowed, where all limits are multiplied by `allowance`; no more than a warning."""
        return min(self.out / allowance, HIGHEST)

    def words(self, unit: Unit) -> str:
        if self.new:
            return f"; it is there in {OFTEN} of the last {TOGETHER} windows, and in none before"
        ends = (None if end is None else amount(end, unit) for end in (self.at_least, self.at_most))
        low, high = ends
        allowed = f"at most {high}" if low is None else f"{low} to {high}"
        return f"; on average of the last {TOGETHER} windows it is {amount(self.value, unit)}, {allowed} allowed"

    def details(self) -> dict[str, Any]:
        return {
            "judge": "gradual",
            "together": TOGETHER,
            "together_value": self.value,
            "together_allowed": [self.at_least, self.at_most],
            "together_new": self.new,
        }


@dataclass(frozen=True)
class Stretch:
    """Per number, on its scale: the mean of the last windows, what was to be expected, how far from it is allowed, how far out it
    is of that (0 where it is not told); `new`: it was zero in every window before these."""

    mean: Array
    centre: Array
    allowed: Array
    out: Array
    new: Flags
    upward: Flags

    def of(self, number: int, scale: scales.Scale, typical: float) -> Slow | None:
        """What is to be told of one number, in its own unit; None: nothing."""
        centre, allowed, new = self.centre[number], self.allowed[number], bool(self.new[number]) and scale == "share"
        if not new and not self.out[number] > 1:
            return None
        value, high = (scales.back(float(at), scale, typical) for at in (self.mean[number], centre + allowed))
        low = None if self.upward[number] else scales.back(float(centre - allowed), scale, typical)
        return Slow(HIGHEST if new else float(self.out[number]), value, low, high, new)


def stretch(values: Array, floor: Array, upward: Flags, level: Flags, told: Flags, at_once: int = 1) -> Stretch:
    """Of `values` (windows x numbers, oldest first, the judged one last, finite), at least 35 and one; `at_once` numbers are judged
    in all.

    Sums of clipped deviations are the robust form of a moving-window CUSUM (Page 1954; Huber 1964 for the clipping). Where `level`
    does not hold, only what is new is told; what one window `told` lately is not told again.
    """
    import numpy as np

    middle = _median(values)
    spread = np.maximum(1.4826 * _median(np.abs(values - middle)), floor)
    means = _running(np.clip(values, middle - CLIP * spread, middle + CLIP * spread))
    errors, centre = _errors(means)
    # Means that hold some of the last windows would make room for the very ramp that is looked for.
    apart, chance = errors[:-TOGETHER], np.sqrt(_running(floor**2) / TOGETHER)
    widths = limits.spread(limits.median(np.abs(apart)), np.concatenate([chance[: len(apart)], chance[-1:]]))
    allowed = widths[-1] * limits.limit(_sizes(apart, upward) / widths[:-1], at_once)
    outs = _sizes(errors[-TOGETHER - 1 :], upward) / allowed
    # Told for as many windows as are taken together, it is known.
    known = told | (outs[:-1] > 1).all(axis=0)
    new = (values[: 1 - TOGETHER] == 0).all(axis=0) & ((values[-TOGETHER:] > 0).sum(axis=0) == OFTEN) & (values[-1] > 0)
    return Stretch(means[-1], centre, allowed, np.where(level & ~known, outs[-1], 0.0), new & ~told, upward)


def _running(values: Array) -> Array:
    """The mean of so many windows that follow one another."""
    ends = len(values) - TOGETHER + 1
    # In this order each is the same whatever comes before it, unlike with sums that are carried on.
    found = values[:ends].copy()
    for number in range(1, TOGETHER):
        found += values[number : number + ends]
    return found / TOGETHER


def _sizes(errors: Array, upward: Flags) -> Array:
    import numpy as np

    return np.asarray(np.where(upward, np.maximum(errors, 0.0), np.abs(errors)))


def _errors(means: Array) -> tuple[Array, Array]:
    """How far each mean is from the middle of those one, two, ... stretches before; and that middle for the last."""
    # The first two stretches have too little before them.
    middle = halfway(means, _stretches(len(means)), 2)
    return means - middle, middle[-1]


@lru_cache(maxsize=256)
def _stretches(windows: int) -> Chosen:
    """For each window those one, two, ... stretches before."""
    import numpy as np

    places = np.arange(windows)[:, None] - TOGETHER * np.arange(1, STRETCHES + 1)[None, :]
    return Chosen.of(np.maximum(places, -1), np.ones(windows, dtype=bool))


def _median(values: Array) -> Array:
    """That of the numbers; NumPy's own takes several times as long."""
    rising, last = limits.ordered(values), len(values) - 1
    middle: Array = (rising[last // 2] + rising[len(values) // 2]) / 2
    return middle
