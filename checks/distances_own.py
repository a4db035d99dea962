"""Our own distances between numbers: how far the two cumulative distributions are apart, all windows at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from checks.distance import Distance
from checks.pair import Pair
from checks.stack import Stack

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
LARGEST = 1e300
CROWDED = 0.01
"""Shares of a side in one place from which on it is looked at closely how its rows lie in it."""


class KolmogorovSmirnov(Distance):
    """The largest gap between the two cumulative distributions, 0 to 1: sees a moved centre, is weak in the tails.

    Source: Kolmogorov (1933), Smirnov (1939). Noise: the mean of Kolmogorov's distribution, 0.869 sqrt(1/n + 1/m).
    """

    categories = False

    def many(self, pair: Pair) -> Array:
        import numpy as np

        now, before = peaks(pair)
        found: Array = np.minimum(np.abs(now - before), 1.0)
        return found

    def noise(self, pair: Pair) -> Array:
        import numpy as np

        return np.minimum(0.8687 * np.sqrt(pair.chance), 1.0)


class Wasserstein(Distance):
    """How far a row has to be moved on average to make one distribution the other, in standard deviations of the reference
    (at least 0.001 of the column's unit): 0 and up. Evidently has the same.

    Source: Vaserstein (1969), Ramdas, Garcia and Cuturi (2017). Noise: the half-normal mean of every step's gap.
    """

    categories = False
    threshold = 0.1
    coarse = 0.0  # In the column's own unit the tails weigh most.

    def many(self, pair: Pair) -> Array:
        import numpy as np

        size = sizes(pair)
        deviation = np.maximum(deviations(pair.reference, size), 0.001 / size)
        lower, upper = _held(pair.current.lower / size), _held(pair.current.upper / size)
        with np.errstate(over="ignore"):
            return np.minimum(work(pair, lower, upper) / deviation, LARGEST)

    def noise(self, pair: Pair) -> Array:
        import numpy as np

        size = sizes(pair)
        deviation = np.maximum(deviations(pair.reference, size), 0.001 / size)
        with np.errstate(over="ignore"):
            return np.minimum(steps(pair.reference, pair.reference.values / size) * np.sqrt(pair.chance) / deviation, LARGEST)


class AsinhWasserstein(Distance):
    """How far a row has to be moved on average on the reference's own asinh scale, w, as 1 - exp(-w): 0 to 1, 0.63 where it is one
    unit.

    The scale is asinh((x - median) / (interquartile range / 1.349)): about standard deviations near the centre, logarithmic in
    the tails, so that one row in a hundred that is a hundredfold is seen, and does not drown all else. Source: Vaserstein
    (1969) for the distance, Johnson (1949) for the scale. Noise: the half-normal mean of every step's gap.
    """

    categories = False

    def many(self, pair: Pair) -> Array:
        scale = _scale(pair.reference)
        moved = work(pair, _asinh(pair.current.lower, *scale), _asinh(pair.current.upper, *scale))
        return _bounded(moved)

    def noise(self, pair: Pair) -> Array:
        import numpy as np

        moved = steps(pair.reference, _asinh(pair.reference.values, *_scale(pair.reference))) * np.sqrt(pair.chance)
        return _bounded(moved)


def peaks(pair: Pair) -> tuple[Array, Array]:
    """The cumulative shares of current and reference where they are furthest apart, of each comparison."""
    import numpy as np

    each, p = np.arange(len(pair.current.rows)), pair.current.shares
    place = np.abs(pair.after).argmax(axis=1)
    upto = np.cumsum(p, axis=1)
    now, gap = upto[each, place], pair.after[each, place]
    inside = _may_top(pair, np.abs(gap)[:, None])
    if inside.any():
        window, _ = np.nonzero(inside)
        heights, up = _inside(pair, inside)
        most = np.abs(heights).argmax(axis=0)
        picked = np.arange(len(window))
        height, share = heights[most, picked], (upto - p)[inside] + up[most, picked]
        # In rising order, so that the largest of each window is written last.
        for i in np.argsort(np.abs(height)):
            if abs(height[i]) > abs(gap[window[i]]):
                gap[window[i]], now[window[i]] = height[i], share[i]
    return now, now - gap


def _may_top(pair: Pair, largest: Array) -> NDArray[np.bool_]:
    """Where the gap may be larger inside a place than it is at any end: only where both sides have rows."""
    import numpy as np

    p, q = pair.current.shares, pair.reference.shares
    near = np.nonzero((np.maximum(pair.before + p, q - pair.before) > largest + 1e-12) & (np.minimum(p, q) > 0))
    b, a, p, q, at, once, smooth, evenly, n, m = _at(pair, near)
    bend = np.abs(p * (0.5 - at) - q * (0.5 - once)) * 1.5 + 0.37 * np.sqrt(p / n + q / m)
    found = np.zeros(pair.before.shape, dtype=bool)
    found[near] = ~(smooth & evenly) | (np.maximum(np.abs(b), np.abs(a)) + bend > np.broadcast_to(largest, found.shape)[near])
    return found


def _at(pair: Pair, chosen: Any) -> tuple[Array, ...]:
    """Of the chosen places: the gap before and after; then of current and of reference: shares, where their mean lies,
    whether they are smooth, rows in all."""
    import numpy as np

    sides = zip(*((s.shares, s.at, s.smooth, s.total) for s in (pair.current, pair.reference)), strict=True)
    every = (pair.before, pair.after, *(part for both in sides for part in both))
    return tuple(np.broadcast_to(part, pair.before.shape)[chosen] for part in every)


def _inside(pair: Pair, chosen: NDArray[np.bool_]) -> tuple[Array, Array]:
    """The gap at some points inside the chosen places, and what the current side has up to there.

    Where both sides' rows differ, the gap is the likeliest path with these means; the largest gap of real rows is a little above
    any smooth path: by 0.37 standard deviations of the order of the place's rows (measured on even samples of 1000 to 30 000 rows).
    """
    import numpy as np

    points, up, down = pair.spread(chosen)
    before, _, p, q, now, once, mixed, other, n, m = _at(pair, chosen)
    smooth = mixed & other
    part = np.linspace(0.0, 1.0, len(points))[:, None]
    path = np.where(smooth, p * (part + 6 * (0.5 - now) * part * (1 - part)), up)
    heights = before + path - np.where(smooth, q * (part + 6 * (0.5 - once) * part * (1 - part)), down)
    above = np.where(smooth & (np.abs(heights).max(axis=0) > 1e-12), 0.37 * np.sqrt(p / n + q / m), 0.0)
    bounded = np.clip(heights + np.copysign(above, heights), before - q, before + p)
    return bounded, path


def work(pair: Pair, lower: Array, upper: Array) -> Array:
    """The area between the two cumulative distributions of each comparison, on a scale on which the places have these ends."""
    import numpy as np

    p, q, before, after = pair.current.shares, pair.reference.shares, pair.before, pair.after
    # Where one side is ahead all through a place, the area depends on the means alone, and is exact.
    area = np.abs(after - p * pair.current.at + q * pair.reference.at)
    crossing = np.nonzero(before * after < 0)
    area[crossing] = _crossed(pair, crossing, area[crossing])
    heavy = np.flatnonzero((p > CROWDED).any(axis=0) | (q > CROWDED).any(axis=0))
    if len(heavy):
        crowded = np.zeros(before.shape, dtype=bool)
        larger = np.maximum(p[:, heavy], q[:, heavy])
        crowded[:, heavy] = (larger > CROWDED) & (before[:, heavy] < q[:, heavy]) & (-before[:, heavy] < p[:, heavy])
        points, up, down = pair.spread(crowded)
        area[crowded] = areas(points, before[crowded] + up - down)
    with np.errstate(over="ignore"):
        found: Array = area @ _held(upper - lower) + np.abs(pair.after[:, :-1]) @ _held(lower[1:] - upper[:-1])
    return np.minimum(found, LARGEST)


def _crossed(pair: Pair, chosen: Any, signed: Array) -> Array:
    """The area of places in which one side overtakes the other: at the one value there, or about where a straight line would."""
    import numpy as np

    shape, now, once = pair.before.shape, pair.current, pair.reference
    before, after = np.abs(pair.before[chosen]), np.abs(pair.after[chosen])
    single, at = (
        np.broadcast_to(part, shape)[chosen] for part in (now.exact & once.exact, np.where(now.rows > 0, now.at, once.at))
    )
    straight = np.maximum((before**2 + after**2) / (2 * (before + after)), signed)
    found: Array = np.where(single, before * at + after * (1 - at), straight)
    return found


def areas(points: Array, heights: Array, square: bool = False) -> Array:
    """The area under |heights| (or their squares) over points, both steps x n, straight from step to step."""
    import numpy as np

    a, b = np.abs(heights[:-1]), np.abs(heights[1:])
    if square:
        squares: Array = (np.diff(points, axis=0) * (heights[:-1] ** 2 + heights[:-1] * heights[1:] + heights[1:] ** 2) / 3).sum(
            axis=0
        )
        return squares
    across = heights[:-1] * heights[1:] < 0
    mean = np.where(across, (a * a + b * b) / np.maximum(2 * (a + b), 1e-300), (a + b) / 2)
    found: Array = (np.diff(points, axis=0) * mean).sum(axis=0)
    return found


def steps(reference: Stack, values: Array) -> Array:
    """What chance does to the area between two samples of `reference`, whose places have these values, per root of 1/n + 1/m."""
    import numpy as np

    found = []
    for rows, at in zip(reference.rows, values, strict=True):
        upto = np.clip(np.cumsum(rows[rows > 0])[:-1] / max(rows.sum(), 1.0), 0.0, 1.0)
        with np.errstate(over="ignore"):
            found.append(np.dot(np.sqrt(upto * (1 - upto)), _held(np.diff(at[rows > 0]))))
    return np.minimum(math.sqrt(2 / math.pi) * np.array(found), LARGEST)


def deviations(stack: Stack, size: float) -> Array:
    """Standard deviation of each window (population form) in units of `size`; rows of one place are spread evenly."""
    import numpy as np

    filled, shares = stack.rows > 0, stack.shares
    # An empty place may lie so far off that it overflows.
    values = _held(np.where(filled, stack.values, 0.0) / size)
    inner = _held(np.where(filled, stack.widths, 0.0) / size) * np.where(stack.exact, 0.0, stack.half)
    middle = (shares * values).sum(axis=1, keepdims=True)
    found: Array = np.sqrt((shares * (np.square(np.where(filled, values - middle, 0.0)) + np.square(inner) / 3)).sum(axis=1))
    return found


def _bounded(moved: Array) -> Array:
    import numpy as np

    found: Array = -np.expm1(-moved)
    return found


def sizes(pair: Pair) -> float:
    """The largest value of both, less origin: in units of it nothing overflows when squared."""
    import numpy as np

    return max(float(np.abs(np.where(s.rows > 0, s.values, 0.0)).max(initial=0.0)) for s in (pair.current, pair.reference)) or 1.0


def _held(numbers: Array) -> Array:
    import numpy as np

    return np.clip(numbers, -LARGEST, LARGEST)


def _asinh(values: Array, center: float, scale: float) -> Array:
    import numpy as np

    with np.errstate(over="ignore"):
        return np.arcsinh(_held(values / scale - center / scale))


def _scale(reference: Stack) -> tuple[float, float]:
    """Median and interquartile range / 1.349 of the newest reference (standard deviation, or a thousandth, where that is 0),
    less origin."""
    import numpy as np

    newest = reference.part(slice(-1, None))
    low, center, high = (float(v) for v in newest.ranked(np.ceil(newest.total[0] * np.array([0.25, 0.5, 0.75]))))
    if 1e-300 < high / 1.349 - low / 1.349 < LARGEST:
        return center, high / 1.349 - low / 1.349
    size = max(abs(low), abs(high), abs(center)) or 1.0
    scale = float(deviations(newest, size)[0]) * size
    if 1e-300 < scale < LARGEST:
        return center, scale
    return center, max(abs(center + reference.origin), 1.0) * 1e-3
