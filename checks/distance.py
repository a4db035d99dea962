"""How far two distributions are apart, from their profiles alone, and what mere chance makes of it.

`masses.aligned` lays answers of one column out over common places: the buckets of one grid, or the values of a column. Each
distance is a function of two such `Masses`, named and defined as in Evidently where it has the same one (numbers are cut into
the reference's tenths there where Evidently cuts equal widths, which go blind on heavy tails). All are finite and at least 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from checks.masses import Masses

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
BINS = 10
"""Parts of the reference for the distances that need few bins: tenths, as usual for PSI (Siddiqi 2006)."""
FEW = 20
"""A numeric column with at most this many different buckets is compared value by value."""
LEAST_SHARE = 1e-4
"""What an empty bin counts as in PSI, as in Evidently."""


def psi(current: Masses, reference: Masses) -> float:
    """Population stability index, at least 0, at most about 18: sum of (p - q) ln(p / q). Siddiqi (2006)."""
    import numpy as np

    p, q = (np.maximum(shares, LEAST_SHARE) for shares in _shares(current, reference))
    return float(((p - q) * np.log(p / q)).sum())


def jensen_shannon(current: Masses, reference: Masses) -> float:
    """Jensen-Shannon distance in nats, 0 to 0.833: the root of the divergence. Lin (1991), Endres and Schindelin (2003)."""
    import numpy as np

    p, q = _shares(current, reference)
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        divergence = np.where(p > 0, p * np.log(p / middle), 0.0) + np.where(q > 0, q * np.log(q / middle), 0.0)
    return math.sqrt(max(float(divergence.sum()) / 2, 0.0))


def total_variation(current: Masses, reference: Masses) -> float:
    """Total variation distance, 0 to 1: the share of rows that would have to change."""
    import numpy as np

    p, q = _shares(current, reference)
    return min(float(np.abs(p - q).sum()) / 2, 1.0)


def hellinger(current: Masses, reference: Masses) -> float:
    """Hellinger distance, 0 to 1. Hellinger (1909)."""
    import numpy as np

    p, q = _shares(current, reference)
    return math.sqrt(max(float(((np.sqrt(p) - np.sqrt(q)) ** 2).sum()) / 2, 0.0))


def kolmogorov_smirnov(current: Masses, reference: Masses) -> float:
    """The Kolmogorov-Smirnov statistic, 0 to 1: the largest gap between the two cumulative distributions (not its p-value)."""
    import numpy as np

    gap = np.cumsum(current.rows) / current.total - np.cumsum(reference.rows) / reference.total
    return min(float(np.abs(gap).max()), 1.0)


def wasserstein(current: Masses, reference: Masses) -> float:
    """Wasserstein distance of order one, in the column's own unit: how far a row has to be moved on average."""
    import numpy as np

    values, p, q = _points(current, reference)
    order = np.argsort(values, kind="stable")
    gap = np.cumsum((p - q)[order])[:-1]
    # Halves, so that the distance between two huge values does not overflow.
    steps = np.diff(values[order] / 2)
    return float(min(np.dot(np.abs(gap), np.minimum(steps, 1e300)) * 2, 1e300))


def wasserstein_normed(current: Masses, reference: Masses) -> float:
    """Wasserstein distance in standard deviations of the reference, at least 0.001 of the column's unit, as in Evidently."""
    return min(wasserstein(current, reference) / max(_deviation(reference), 0.001), 1e300)


Distance = Callable[[Masses, Masses], float]
FOR_NUMBERS: dict[str, Distance] = {
    "psi": psi,
    "jensen_shannon": jensen_shannon,
    "kolmogorov_smirnov": kolmogorov_smirnov,
    "wasserstein": wasserstein_normed,
    "total_variation": total_variation,
    "hellinger": hellinger,
}
FOR_CATEGORIES: dict[str, Distance] = {
    name: FOR_NUMBERS[name] for name in ("psi", "jensen_shannon", "total_variation", "hellinger")
}


def noise(method: str, current: Masses, reference: Masses) -> float:
    """About what the distance is on average when nothing but chance tells the two apart.

    First order in 1/n + 1/m: chi-square for PSI, Jensen-Shannon and Hellinger (Yurdakul 2018, Lin 1991), the mean of
    Kolmogorov's distribution, the half-normal mean of each bin's gap for total variation and of each step's for Wasserstein.
    """
    import numpy as np

    chance = 1 / max(current.total, 1.0) + 1 / max(reference.total, 1.0)
    if method == "kolmogorov_smirnov":
        return min(0.8687 * math.sqrt(chance), 1.0)
    if method == "wasserstein":
        return _wasserstein_noise(reference) * math.sqrt(chance)
    _, q = _shares(current, reference)
    free = max(int((q > 0).sum()) - 1, 0)
    if method == "psi":
        return free * chance
    if method == "total_variation":
        return min(math.sqrt(chance / (2 * math.pi)) * float(np.sqrt(q * (1 - q)).sum()), 1.0)
    return min(math.sqrt(free * chance / 8), 1.0)


def _wasserstein_noise(reference: Masses) -> float:
    import numpy as np

    values, _, q = _points(reference, reference)
    order = np.argsort(values, kind="stable")
    below = np.clip(np.cumsum(q[order])[:-1], 0.0, 1.0)
    area = float(np.dot(np.sqrt(below * (1 - below)), np.minimum(np.diff(values[order]), 1e300)))
    return min(math.sqrt(2 / math.pi) * area / max(_deviation(reference), 0.001), 1e300)


def _points(current: Masses, reference: Masses) -> tuple[Array, Array, Array]:
    """The mean value of every filled bucket of both, and the share of rows that each side has there."""
    import numpy as np

    if current.sums is None or reference.sums is None:
        raise ValueError("only numbers have a Wasserstein distance")
    here, there = current.rows > 0, reference.rows > 0
    values = np.concatenate([current.sums[here] / current.rows[here], reference.sums[there] / reference.rows[there]])
    p = np.concatenate([current.rows[here] / current.total, np.zeros(int(there.sum()))])
    q = np.concatenate([np.zeros(int(here.sum())), reference.rows[there] / reference.total])
    return values, p, q


def _deviation(masses: Masses) -> float:
    import numpy as np

    if masses.sums is None:
        raise ValueError("only numbers have a standard deviation")
    filled = masses.rows > 0
    means, weights = masses.sums[filled] / masses.rows[filled], masses.rows[filled] / masses.total
    centre = float(np.dot(means, weights))
    size = float(np.abs(means - centre).max(initial=0.0))
    return size * math.sqrt(float(np.dot(((means - centre) / size) ** 2, weights))) if size else 0.0


def _shares(current: Masses, reference: Masses) -> tuple[Array, Array]:
    """Shares of rows per bin: per value, or for numbers of many values per tenth of the reference."""
    import numpy as np

    p, q = current.rows, reference.rows
    if reference.sums is not None and int((q > 0).sum()) > FEW:
        bins = _tenths(q)
        p, q = (np.bincount(bins, weights=rows, minlength=BINS).astype(np.float64) for rows in (p, q))
    return p / current.total, q / reference.total


def _tenths(reference: Array) -> NDArray[np.int64]:
    """The tenth of the reference that each bucket starts in; a bucket is never cut, so a frequent value fills several."""
    import numpy as np

    before = np.concatenate([[0.0], np.cumsum(reference)[:-1]]) / reference.sum()
    tenths: NDArray[np.int64] = np.minimum(np.floor(before * BINS + 1e-9), BINS - 1).astype(np.int64)
    return tenths


def moved(current: Masses, reference: Masses) -> tuple[str, float, float] | None:
    """What changed most, for a message: the value with its share now and before, or "mean" with the two means."""
    import numpy as np

    if current.sums is not None and reference.sums is not None:
        now, before = float(current.sums.sum()) / current.total, float(reference.sums.sum()) / reference.total
        return "mean", current.origin + now, reference.origin + before
    p, q = current.rows / current.total, reference.rows / reference.total
    most = int(np.argmax(np.abs(p - q)))
    return (current.places[most], float(p[most]), float(q[most])) if most < len(current.places) else None
