"""Evidently's distances between shares of rows in bins of equal width, as its version 0.7 has them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from checks.distance import Distance
from checks.pair import Pair
from checks.pieces import Pieces
from checks.stack import Stack

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
FEW = 20
"""A numeric column whose reference has at most this many different values is compared value by value."""


class _Binned(Distance):
    """Over the values of a category; for numbers over bins of equal width from the smallest to the largest value of both,
    log2(n + m) + 1 of them (Sturges 1926), or value by value where the reference has at most 20."""

    threshold = 0.1

    def many(self, pair: Pair) -> Array:
        import numpy as np

        return np.array([self.apart(*shares(*each)) for each in pair.each()])

    def noise(self, pair: Pair) -> Array:
        import numpy as np

        free = [max(float(((q > 0) * times).sum()) - 1, 0.0) for _, q, times in (shares(*each) for each in pair.each())]
        return self.by_chance(np.array(free) * pair.chance)

    def apart(self, p: Array, q: Array, times: Array) -> float:
        """The distance of the current shares p from the reference's q; a bin counts as many times as there are values like it."""
        raise NotImplementedError

    def by_chance(self, chi: Array) -> Array:
        """Its noise, where `chi` is (bins - 1)(1/n + 1/m)."""
        raise NotImplementedError


class Psi(_Binned):
    """Population stability index, 0 and up: the sum of (p - q) ln(p / q) over bins of equal width, as Evidently has it; a
    bin without rows counts as 0.0001, or as a millionth of the smallest other where that is below 0.0001. Goes blind on
    heavy tails: see `psi_tenths`.

    Source: Siddiqi (2006). Noise: chi-square, (bins - 1)(1/n + 1/m), Yurdakul (2018).
    """

    def apart(self, p: Array, q: Array, times: Array) -> float:
        import numpy as np

        p, q = filled(p), filled(q)
        return float(((q - p) * np.log(q / p) * times).sum())

    def by_chance(self, chi: Array) -> Array:
        return chi


class KlDiv(_Binned):
    """Kullback-Leibler divergence of the reference from the current window in nats, 0 and up: the sum of q ln(q / p) over
    bins of equal width, empty bins counting as in `psi`, as Evidently has it.

    Source: Kullback and Leibler (1951). Noise: chi-square, (bins - 1)(1/n + 1/m) / 2.
    """

    def apart(self, p: Array, q: Array, times: Array) -> float:
        import numpy as np

        p, q = filled(p), filled(q)
        p, q = p / (p * times).sum(), q / (q * times).sum()
        return float((q * np.log(q / p) * times).sum())

    def by_chance(self, chi: Array) -> Array:
        return chi / 2


class Jensenshannon(_Binned):
    """Jensen-Shannon distance in nats, 0 to 0.833, over bins of equal width, as Evidently has it. Goes blind on heavy tails: see
    `jensen_shannon`.

    Source: Lin (1991), Endres and Schindelin (2003). Noise: chi-square, sqrt((bins - 1)(1/n + 1/m) / 8).
    """

    def apart(self, p: Array, q: Array, times: Array) -> float:
        import numpy as np

        p, q = p / (p * times).sum(), q / (q * times).sum()
        with np.errstate(divide="ignore", invalid="ignore"):
            middle = (p + q) / 2
            divergence = np.where(p > 0, p * np.log(p / middle), 0.0) + np.where(q > 0, q * np.log(q / middle), 0.0)
        return math.sqrt(max(float((divergence * times).sum()) / 2, 0.0))

    def by_chance(self, chi: Array) -> Array:
        import numpy as np

        return np.minimum(np.sqrt(chi / 8), 1.0)


class Hellinger(Distance):
    """Hellinger distance, 0 to 1: for numbers over bins of equal width, log2(different values) + 1 of them, as Evidently
    has it. Rows that do not share a place with equal ones count as different: where many repeat a value all the same, there
    may be a bin more. Goes blind on heavy tails: see `hellinger_tenths`.

    Source: Hellinger (1909). Noise: chi-square, sqrt((bins - 1)(1/n + 1/m) / 8).
    """

    threshold = 0.1

    def many(self, pair: Pair) -> Array:
        import numpy as np

        found = []
        for each in pair.each():
            p, q = self._shares(*each)
            found.append(math.sqrt(1 - min(float(np.sqrt(p * q).sum()), 1.0)))
        return np.array(found)

    def noise(self, pair: Pair) -> Array:
        import numpy as np

        free = [max(float((self._shares(*each)[1] > 0).sum()) - 1, 0.0) for each in pair.each()]
        return np.minimum(np.sqrt(np.array(free) * pair.chance / 8), 1.0)

    def _shares(self, current: Stack, reference: Stack) -> tuple[Array, Array]:
        if not reference.numbers:
            return current.shares[0], reference.shares[0]
        pieces = Pieces.of(Pair(current, reference))
        singles = float(((pieces.both > 0) & pieces.tied).sum())
        p, q, _ = _in_bins(
            current, reference, singles + _different(current, reference, (pieces.both * ~pieces.tied)[0].reshape(-1, 3))
        )
        return p, q


def _different(current: Stack, reference: Stack, mixed: Array) -> float:
    """About how many values the rows of mixed places have: all differ, unless the values that are known have at most six decimals;
    then a place has only so many values to share out."""
    import numpy as np

    rows = mixed.sum(axis=1)
    known = np.concatenate([side.values[0][side.exact[0] & (side.rows[0] > 0)] for side in (current, reference)]) + reference.origin
    for decimals in range(7 if len(known) >= 10 else 0):
        step = 10.0**-decimals
        if np.all((np.abs(known - np.round(known, decimals)) <= np.abs(known) * 1e-14) & (np.abs(known) * 1e-12 < step)):
            values = np.maximum(reference.widths / step, 1.0)
            return float((values * -np.expm1(-rows / values)).sum())
    return float(rows.sum())


def filled(shares_: Array) -> Array:
    """Shares with something in the empty bins: 0.0001, or a millionth of the smallest other where that is below it."""
    import numpy as np

    least = float(shares_[shares_ > 0].min())
    return np.where(shares_ == 0, least / 1e6 if least <= 1e-4 else 1e-4, shares_)


def shares(current: Stack, reference: Stack) -> tuple[Array, Array, Array]:
    """Shares of one current and one reference window per bin, and how many bins there are like it."""
    if reference.numbers and reference.distinct[0] > FEW:
        return _in_bins(current, reference, float(current.total[0, 0] + reference.total[0, 0]))
    return _by_value(current, reference)


def _by_value(current: Stack, reference: Stack) -> tuple[Array, Array, Array]:
    import numpy as np

    c, r = current.rows[0], reference.rows[0]
    there = (c > 0) | (r > 0)
    n, m = float(current.total[0, 0]), float(reference.total[0, 0])
    if not reference.numbers:
        return c[there] / n, r[there] / m, np.ones(int(there.sum()))
    c_one, r_one = current.exact[0], reference.exact[0]
    # A place where one side holds a single value is that value's, unless the other holds a single one elsewhere in it.
    shared = (c > 0) & (r > 0) & (c_one | r_one) & ~(c_one & r_one & (np.abs(current.at[0] - reference.at[0]) > reference.grain))
    p, q, times = [c[shared] / n], [r[shared] / m], [np.ones(int(shared.sum()))]
    for rows, one, total, ours, others in ((c, c_one, n, p, q), (r, r_one, m, q, p)):
        for alone, share, like in (
            (~shared & one, rows / total, np.ones_like(rows)),
            (~shared & ~one, np.full_like(rows, 1 / total), rows),
        ):
            chosen = alone & (rows > 0)
            ours.append(share[chosen])
            others.append(np.zeros(int(chosen.sum())))
            times.append(like[chosen])
    return np.concatenate(p), np.concatenate(q), np.concatenate(times)


def _in_bins(current: Stack, reference: Stack, values: float) -> tuple[Array, Array, Array]:
    """Shares over bins of equal width, as many as Sturges has for so many values."""
    import numpy as np

    edges = _edges(current, reference, values)
    p, q = (
        np.diff(_below(side, edges[1:-1]), prepend=0.0, append=side.rows.sum()) / side.total[0, 0] for side in (current, reference)
    )
    return p, q, np.ones(len(p))


def _edges(current: Stack, reference: Stack, values: float) -> Array:
    """As numpy's histogram_bin_edges(bins="sturges") has them for floats."""
    import numpy as np

    ends = [_plain(np.array([end]) + side.origin)[0] for side in (current, reference) for end in _ends(side)]
    low, high = float(min(ends)), float(max(ends))
    if low == high:
        return np.linspace(low - 0.5, high + 0.5, 2)
    width = (high / 2 - low / 2) / (math.log2(values) + 1)
    # Halves, as the distance between the two ends of all floats is none.
    edges: Array = 2 * np.linspace(low / 2, high / 2, math.ceil((high / 2 - low / 2) / width) + 1)
    return edges


def _ends(side: Stack) -> tuple[float, float]:
    """The smallest and largest value, less origin; where they are not known, the means of the outermost places."""
    known = side.values[0][side.rows[0] > 0]
    low, high = float(side.low[0]), float(side.high[0])
    return (float(known[0]) if math.isnan(low) else low), (float(known[-1]) if math.isnan(high) else high)


def _below(side: Stack, edges: Array) -> Array:
    """Rows below each edge, whole ones; a place across an edge is parted by where its rows are taken to lie."""
    import numpy as np

    upto = np.concatenate([[0.0], np.cumsum(side.rows[0])])
    place = np.maximum(np.searchsorted(side.lower, edges - side.origin, side="right") - 1, 0)
    at, half, rows = side.at[0][place], side.half[0][place], side.rows[0][place]
    with np.errstate(over="ignore"):
        inside = np.clip(((edges - side.origin) - side.lower[place]) / np.maximum(side.widths[place], 1e-300), -9.0, 9.0)
    even = np.clip((inside - at + half) / (2 * half), 0.0, 1.0)
    # What a mean off the middle says of the rest: the likeliest way there, as long as it only rises.
    part = np.clip(inside, 0.0, 1.0)
    spread = np.where(side.smooth[0][place], part + 6 * (0.5 - at) * part * (1 - part), even)
    # A value written with few digits may lie on an edge: it counts as above, so it must not be off by its sum's rounding.
    single = _plain(side.values[0][place] + side.origin) < edges
    found: Array = upto[place] + np.where(side.exact[0][place], single * rows, np.round(rows * spread))
    return found


def _plain(values: Array) -> Array:
    """To fifteen digits, which is what a written number has."""
    import numpy as np

    return np.array([float(f"{v:.15g}") for v in values], dtype=np.float64)
