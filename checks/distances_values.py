"""Evidently's comparisons of values themselves, as its version 0.7 has them, for numbers: means, characteristic functions,
energies."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from checks.distance import Distance, PValue
from checks.distances_own import areas, deviations, sizes
from checks.pair import Pair
from checks.stack import Stack

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
FREQUENCIES = (0.4, 0.8)
"""Of Epps and Singleton's test, per half an interquartile range."""
DRAWS = 100
LARGEST = 1e300


class TTest(PValue):
    """Student's t-test of the two means, of equal variances as Evidently has it: a p-value, 0 to 1.

    Source: Student (1908).
    """

    title = "t-test p-value"
    coarse = 0.0  # In the column's own unit the tails weigh most.
    categories = False
    threshold = 0.05

    def many(self, pair: Pair) -> Array:
        import numpy as np
        from scipy.special import stdtr

        size = sizes(pair)
        n, m = pair.current.total[:, 0], pair.reference.total[:, 0]
        squares = deviations(pair.current, size) ** 2 * n + deviations(pair.reference, size) ** 2 * m
        means = [(s.shares * (s.values / size)).sum(axis=1) for s in (pair.current, pair.reference)]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            # Two equal constants differ by what their sums were rounded by.
            apart = np.where(np.abs(means[0] - means[1]) > 1e-13, np.abs(means[0] - means[1]), 0.0)
            t = apart / np.sqrt(squares / np.maximum(n + m - 2, 1.0) * pair.chance)
            return np.where(np.isnan(t), 1.0, 2 * stdtr(np.maximum(n + m - 2, 1.0), -t))


class Ed(Distance):
    """The energy distance, in roots of the column's own unit: the root of twice the area under the squared gap between the
    cumulative distributions, 0 and up; so its bound depends on the unit.

    Source: Szekely (2002). Noise: the root of the mean of its square, sqrt(2 (1/n + 1/m) times the area under F (1 - F)).
    """

    title = "energy distance"
    coarse = 0.0  # In the column's own unit the tails weigh most.
    categories = False
    threshold = 0.1

    def many(self, pair: Pair) -> Array:
        import numpy as np

        p, q = pair.current.shares, pair.reference.shares
        squares = pair.before**2
        filled = (p > 0) | (q > 0)
        points, up, down = pair.spread(filled)
        squares[filled] = areas(points, pair.before[filled] + up - down, square=True)
        size = sizes(pair)
        wide = np.clip(pair.current.widths / size, 0.0, LARGEST)
        gaps = np.clip(np.maximum(pair.current.lower[1:] / size - pair.current.upper[:-1] / size, 0.0), 0.0, LARGEST)
        with np.errstate(over="ignore"):
            found: Array = np.sqrt(2 * (squares @ wide + pair.after[:, :-1] ** 2 @ gaps)) * math.sqrt(size)
        return np.minimum(found, LARGEST)

    def noise(self, pair: Pair) -> Array:
        import numpy as np

        size, areas_ = sizes(pair), []
        for rows, values in zip(pair.reference.rows, pair.reference.values, strict=True):
            upto = np.clip(np.cumsum(rows[rows > 0])[:-1] / max(rows.sum(), 1.0), 0.0, 1.0)
            areas_.append(np.dot(upto * (1 - upto), np.diff(values[rows > 0] / size)))
        found: Array = np.sqrt(2 * np.array(areas_) * pair.chance) * math.sqrt(size)
        return found


class Es(PValue):
    """The Epps-Singleton test: the gap between the two characteristic functions at two frequencies; a p-value, 0 to 1.

    In very heavy tails, where a place is wider than a wave, the values inside it are taken as evenly spread. Source: Epps and
    Singleton (1986).
    """

    title = "epps-singleton p-value"
    categories = False
    threshold = 0.05
    undefined = "es needs values whose quartiles differ (Evidently refuses them too); take ks"

    def many(self, pair: Pair) -> Array:
        import numpy as np

        return np.array([_epps_singleton(*each) for each in pair.each()])


def _epps_singleton(current: Stack, reference: Stack) -> float:
    import numpy as np
    from scipy.special import chdtrc

    both = Stack.joined(current, reference).pools(2, 2)
    half = _quartiles_apart(both) / 2
    if not half > 0:
        return math.nan
    if current.distinct[0] == reference.distinct[0] == 1:
        return 0.0
    n, m = float(current.total[0, 0]), float(reference.total[0, 0])
    (mean, spread), (other, around) = (_waves(side, half) for side in (current, reference))
    inverse = np.linalg.pinv((n + m) / n * spread + (n + m) / m * around)
    statistic = (n + m) * float((mean - other) @ inverse @ (mean - other))
    if max(n, m) < 25:
        statistic /= 1 + (n + m) ** -0.45 + 10.1 * (n**-1.7 + m**-1.7)
    return float(chdtrc(np.linalg.matrix_rank(inverse), max(statistic, 0.0)))


def _quartiles_apart(stack: Stack) -> float:
    """The interquartile range of one window, between the two rows at each quarter as numpy has it."""
    import numpy as np

    place = (float(stack.total[0, 0]) - 1) * np.array([0.25, 0.75])
    low, high = stack.ranked(np.floor(place) + 1), stack.ranked(np.ceil(place) + 1)
    quarter, three = low + (high - low) * (place - np.floor(place))
    return float(three - quarter)


def _waves(side: Stack, unit: float) -> tuple[Array, Array]:
    """Mean and covariance of the cosines and sines of one window's values."""
    import numpy as np

    at, wide = np.clip(side.values[0] / unit, -1e15, 1e15), np.clip(side.half[0] * side.widths / unit, 0.0, 1e15)

    def wave(frequency: float) -> Any:
        return (side.shares[0] * np.sinc(frequency * wide / np.pi) * np.exp(1j * frequency * at)).sum()

    a = np.array(FREQUENCIES)
    plain = np.array([wave(f) for f in a])
    plus, minus = (np.array([[wave(f + sign * g) for g in a] for f in a]) for sign in (1, -1))
    mean = np.concatenate([plain.real, plain.imag])
    cosines, sines, mixed = (minus + plus).real / 2, (minus - plus).real / 2, (plus - minus).imag / 2
    return mean, np.block([[cosines, mixed], [mixed.T, sines]]) - np.outer(mean, mean)


class EmpiricalMmd(PValue):
    """The maximum mean discrepancy with a Gaussian kernel as wide as the reference's median distance: the share of 100
    random splits of all rows in which it is at least as large; a p-value, 0 to 1, in steps of 0.01. The draws are seeded;
    Evidently's are not, so its own p differs from run to run, by 0.05 of standard deviation at most.

    Source: Gretton, Borgwardt, Rasch, Schoelkopf and Smola (2012).
    """

    title = "mmd p-value"
    coarse = 1 / 100
    categories = False
    threshold = 0.1
    costly = True

    def many(self, pair: Pair) -> Array:
        import numpy as np

        return np.array([_mmd(*each) for each in pair.each()])


def _mmd(current: Stack, reference: Stack) -> float:
    import numpy as np

    both = Stack.joined(current, reference).pools(2, 2)
    filled = both.rows[0] > 0
    c, r, every = current.rows[0][filled], reference.rows[0][filled], both.rows[0][filled]
    apart = _median_apart(reference)
    values = both.values[0][filled]
    # Twice the variance of Evidently's kernel is the median squared distance, or 1 where that is 0.
    kernel = np.exp(-(np.minimum(np.abs(values[:, None] - values) / (apart or 1.0), 1e3) ** 2))
    n, m = int(c.sum()), int(r.sum())
    fit = max(1.0, (n + m) / 9e8)
    splits = np.random.default_rng(0).multivariate_hypergeometric((every / fit).astype(np.int64), int(m / fit), size=DRAWS) * fit
    chance = _discrepancy(kernel, every - splits, splits, n, m)
    return float((_discrepancy(kernel, c[None], r[None], n, m) <= chance).mean())


def _discrepancy(kernel: Array, current: Array, reference: Array, n: int, m: int) -> Array:
    """The squared discrepancy of each row of counts, of pairs of different rows."""
    c, r = current @ kernel, reference @ kernel
    inner = ((r * reference).sum(axis=1) - m) / (m * (m - 1)) + ((c * current).sum(axis=1) - n) / (n * (n - 1))
    found: Array = inner - 2 * (r * current).sum(axis=1) / (n * m)
    return found


def _median_apart(reference: Stack) -> float:
    """The median distance between two of a window's rows, a row and itself counting as a pair."""
    import numpy as np

    filled = reference.rows[0] > 0
    values, upto = reference.values[0][filled], np.concatenate([[0.0], np.cumsum(reference.rows[0][filled])])
    rows = np.diff(upto)

    def within(distance: float) -> float:
        below, above = np.searchsorted(values, values - distance, "left"), np.searchsorted(values, values + distance, "right")
        return float((rows * (upto[above] - upto[below])).sum())

    low, high, half = 0.0, float(values[-1] - values[0]), upto[-1] ** 2 / 2
    if within(0.0) >= half:
        return 0.0
    for _ in range(60):
        middle = low / 2 + high / 2
        low, high = (low, middle) if within(middle) >= half else (middle, high)
    return high
