"""Evidently's tests of ranks, as its version 0.7 has them: p-values, for numbers.

Ranks are known up to the order of rows inside a place, of which the means are known: what is left is noise far below that of the
test. A p-value differs from that of all rows by as much as the statistic's own p-value does for a change of one in two hundred.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from checks.distance import PValue
from checks.distances_own import peaks
from checks.pair import Pair
from checks.pieces import Pieces

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
EXACT = 10_000
"""Rows up to which scipy's Kolmogorov-Smirnov is exact."""
FARTHEST = 50.0
"""A Cramer-von Mises statistic that chance does not reach."""
NODES = 8
"""Points at which the rows of a place are looked at in Anderson and Darling's sum."""


class Ks(PValue):
    """The Kolmogorov-Smirnov test: the probability of a largest gap like this by chance, 0 to 1; exact up to 10 000 rows a
    side, Smirnov's formula above (and for windows of the history). `kolmogorov_smirnov` is the gap itself.

    Source: Smirnov (1939), Hodges (1958).
    """

    categories = False
    threshold = 0.05

    def many(self, pair: Pair) -> Array:
        import numpy as np
        from scipy.special import kolmogorov

        now, before = peaks(pair)
        n, m = pair.current.total[:, 0], np.broadcast_to(pair.reference.total[:, 0], now.shape)
        found = kolmogorov(np.abs(now - before) * np.sqrt(n * m / (n + m)))
        found[-1] = _smirnov(now[-1], before[-1], n[-1], m[-1])
        return np.asarray(found)


def _smirnov(now: float, before: float, n: float, m: float) -> float:
    """The p-value of a largest gap between these two cumulative shares, of n and m rows, as scipy has it."""
    import warnings

    import numpy as np
    from scipy import stats

    if max(n, m) > EXACT:
        return float(np.clip(stats.kstwo.sf(abs(now - before), np.round(n * m / (n + m))), 0.0, 1.0))
    # Two samples of two values with the same gap have the same p-value.
    a, b = (np.arange(size) >= round(share * size) for share, size in ((now, n), (before, m)))
    with warnings.catch_warnings(action="ignore"):
        return float(stats.ks_2samp(a.astype(float), b.astype(float)).pvalue)


class Mannw(PValue):
    """The Mann-Whitney test, one-sided as Evidently has it: low only where current values are *larger* than the
    reference's; a p-value, 0 to 1. Normal approximation with ties.

    Source: Mann and Whitney (1947).
    """

    title = "mann-whitney p-value"
    categories = False
    threshold = 0.05

    def many(self, pair: Pair) -> Array:
        import numpy as np
        from scipy.special import ndtr

        pieces = Pieces.of(pair)
        c, r = pieces.current, pieces.reference
        # Pairs in which the current row is the larger; ties count half.
        larger = (c * (pieces.reference_before + r * (0.5 + pieces.lean))).sum(axis=1)
        n, m = c.sum(axis=1), r.sum(axis=1)
        ties = np.where(pieces.tied, pieces.both**3 - pieces.both, 0.0).sum(axis=1)
        every = n + m
        deviation = np.sqrt(np.maximum(n * m / 12 * ((every + 1) - ties / (every * (every - 1))), 0.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(pieces.varied, ndtr(-(larger - n * m / 2 - 0.5) / deviation), 1.0)


class CramerVonMises(PValue):
    """The Cramer-von Mises test: the squared gap between the cumulative distributions, over all rows; a p-value, 0 to 1;
    exact up to 20 rows a side, the limiting distribution above. As in Evidently, nothing is done about ties: where most rows hold
    one value, p is too low (two equal constants apart: theirs is 0, ours 1).

    Source: Anderson (1962), Csorgo and Faraway (1996).
    """

    categories = False
    threshold = 0.1

    def many(self, pair: Pair) -> Array:
        import numpy as np

        pieces = Pieces.of(pair)
        n, m = pieces.current.sum(axis=1), pieces.reference.sum(axis=1)
        every, pairs = n + m, n * m
        u = _squares(pieces.current, pieces.reference_before, pieces.reference, -pieces.lean, pieces.tied) * n
        u += _squares(pieces.reference, pieces.current_before, pieces.current, pieces.lean, pieces.tied) * m
        t = u / (pairs * every) - (4 * pairs - 1) / (6 * every)
        mean = (1 + 1 / every) / 6
        variance = (every + 1) * (4 * pairs * every - 3 * (n * n + m * m) - 2 * pairs) / (45 * every**2 * 4 * pairs)
        found = np.clip(1.0 - _limit(np.maximum(1 / 6 + (t - mean) / np.sqrt(45 * variance), 0.003)), 0.0, 1.0)
        for i in np.nonzero(np.maximum(n, m) <= 20)[0]:
            found[i] = _exact(pieces.current[i], pieces.reference[i], pieces.tied[i])
        return np.where(pieces.varied, found, 1.0)


def _squares(ours: Array, before: Array, theirs: Array, lean: Array, tied: NDArray[np.bool_]) -> Array:
    """The sum over our rows of (rank among all - rank among ours)^2, where `before` of their rows are below the piece, and one of
    theirs in it is below ours in 1/2 - lean of the pairs."""
    import numpy as np

    in_ties = ours * (before + theirs / 2) ** 2 + ours * (ours**2 - 1) / 12
    below = 0.5 - lean
    mixed = ours * (before**2 + 2 * before * theirs * below + theirs**2 * (below - 1 / 6) + theirs / 6)
    found: Array = np.where(tied, in_ties, mixed).sum(axis=1)
    return found


def _limit(x: Array) -> Array:
    """The limiting distribution of the statistic, Csorgo and Faraway (1996), equation 1.3."""
    import numpy as np
    from scipy.special import gammaln, kv

    found = np.zeros_like(x)
    near = np.minimum(x, FARTHEST)
    for k in range(4 * math.ceil(math.sqrt(FARTHEST))):
        y = 4 * k + 1
        q = y * y / (16 * near)
        found += np.exp(gammaln(k + 0.5) - gammaln(k + 1)) / (np.pi**1.5 * np.sqrt(near)) * math.sqrt(y) * np.exp(-q) * kv(0.25, q)
    return np.where(x < FARTHEST, found, 1.0)


def _exact(current: Array, reference: Array, tied: NDArray[np.bool_]) -> float:
    from scipy import stats

    return float(stats.cramervonmises_2samp(*(_placed(rows, tied) for rows in (current, reference))).pvalue)


def _placed(rows: Array, tied: NDArray[np.bool_]) -> Array:
    """Rows of pieces as numbers in the same order, evenly spread where they are not tied."""
    import numpy as np

    return np.concatenate(
        [
            np.full(int(n), i + 0.5) if tie else i + (np.arange(int(n)) + 0.5) / max(n, 1)
            for i, (n, tie) in enumerate(zip(rows, tied, strict=True))
        ]
    )


class Anderson(PValue):
    """The Anderson-Darling test of two samples, midrank form: the squared gap, weighted by how rare it is to be that far
    out; a p-value, between 0.001 and 0.25 as scipy and Evidently have it.

    Source: Scholz and Stephens (1987).
    """

    categories = False
    threshold = 0.1

    def many(self, pair: Pair) -> Array:
        import numpy as np

        pieces = Pieces.of(pair)
        n, m = pieces.current.sum(axis=1), pieces.reference.sum(axis=1)
        every = n + m
        found = (_in_ties(pieces, every, m) + _in_mixed(pieces, every, m)) * (1 / n + 1 / m) * (every - 1) / every
        spread = np.array([math.sqrt(_variance(int(a), int(b))) for a, b in zip(n, m, strict=True)])
        return np.where(pieces.varied, _significance((found - 1) / spread), 0.25)


def _in_ties(pieces: Pieces, every: Array, m: Array) -> Array:
    """The part of the sum over values that several rows hold (or one)."""
    import numpy as np

    rows = np.where(pieces.tied, pieces.both, 0.0)
    n = every[:, None]
    middle = pieces.current_before + pieces.reference_before + rows / 2
    gap = n * (pieces.reference_before + pieces.reference / 2) - middle * m[:, None]
    weight = middle * (n - middle) - n * rows / 4
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Array = np.where((rows > 0) & (weight > 0), rows / n * gap**2 / weight, 0.0).sum(axis=1)
    return found


def _in_mixed(pieces: Pieces, every: Array, m: Array) -> Array:
    """The part over places whose rows all differ: each row up to eight of them, else eight for all."""
    import numpy as np

    window, piece = np.nonzero(~pieces.tied & (pieces.both > 0))
    if not len(window):
        return np.zeros(len(every))

    def of(amounts: Array) -> Array:
        found: Array = amounts[window, piece][:, None]
        return found

    c, r, rows, n = of(pieces.current), of(pieces.reference), of(pieces.both), every[window][:, None]
    points = np.minimum(np.round(rows), NODES)
    part = (np.arange(NODES) + 0.5) / points
    inside = part < 1
    part = np.minimum(part, 1.0)
    # A bridge between two ends with a known area has this mean and this variance.
    bend = part * (1 - part)
    middle = of(pieces.current_before) + of(pieces.reference_before) + part * rows
    below = of(pieces.reference_before) + r * part + r * c / rows * 6 * bend * of(pieces.lean)
    noise = np.where(rows > 1, r * c / np.maximum(rows - 1, 1.0) * bend * (1 - 3 * bend), 0.0)
    squares = (n * below - middle * m[window][:, None]) ** 2 + n**2 * noise
    found = np.where(inside, squares / np.maximum(middle * (n - middle) - n / 4, 1e-9), 0.0).sum(axis=1)
    return np.bincount(window, found * (rows / points / n)[:, 0], minlength=len(every))


@lru_cache(maxsize=4096)
def _variance(n: int, m: int) -> float:
    """The variance of the statistic, Scholz and Stephens (1987), equation 4."""
    import numpy as np

    every = min(n + m, 100_000)  # It has settled by then.
    harmonic = np.cumsum(1.0 / np.arange(every - 1, 1, -1))
    h, g, k = harmonic[-1] + 1, (harmonic / np.arange(2, every)).sum(), 2
    sizes = 1 / n + 1 / m
    a = (4 * g - 6) * (k - 1) + (10 - 6 * g) * sizes
    b = (2 * g - 4) * k**2 + 8 * h * k + (2 * g - 14 * h - 4) * sizes - 8 * h + 4 * g - 6
    c = (6 * h + 2 * g - 2) * k**2 + (4 * h - 4 * g + 6) * k + (2 * h - 6) * sizes + 4 * h
    d = (2 * h + 6) * k**2 - 4 * h * k
    return float((a * every**3 + b * every**2 + c * every + d) / ((every - 1.0) * (every - 2.0) * (every - 3.0)))


def _significance(statistic: Array) -> Array:
    """From their table 2 for two samples: a parabola through the logarithms of the levels, cut where the table ends."""
    import numpy as np

    critical = np.array([0.675, 1.281, 1.645, 1.96, 2.326, 2.573, 3.085]) + np.array(
        [-0.245, 0.25, 0.678, 1.149, 1.822, 2.364, 3.615]
    )
    critical += np.array([-0.105, -0.305, -0.362, -0.391, -0.396, -0.345, -0.154])
    levels = np.array([0.25, 0.1, 0.05, 0.025, 0.01, 0.005, 0.001])
    fitted = np.exp(np.polyval(np.polyfit(critical, np.log(levels), 2), np.clip(statistic, critical[0], critical[-1])))
    return np.where(statistic < critical[0], 0.25, np.where(statistic > critical[-1], 0.001, fitted))
