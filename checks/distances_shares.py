"""Our own distances between shares of rows: per value, or for numbers of many values per tenth of the reference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from checks.distance import Distance
from checks.pair import Pair
from checks.stack import Stack

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
BINS = 10
"""Parts of the reference: tenths, as usual for PSI (Siddiqi 2006)."""
FEW = 20
"""A numeric column whose reference has at most this many different values is compared value by value."""
LEAST_SHARE = 1e-4
"""What an empty bin counts as in PSI, as in Evidently."""


class _OfShares(Distance):
    """Any distance of two lists of shares."""

    def many(self, pair: Pair) -> Array:
        import numpy as np

        return np.concatenate([self.apart(p, q) for p, q in binned(pair)])

    def noise(self, pair: Pair) -> Array:
        import numpy as np

        chance = np.broadcast_to(pair.chance, len(pair.current.rows))
        blocks = [q for _, q in binned(pair)]
        if len(blocks) == 1:
            return self.by_chance(blocks[0], chance)
        return np.concatenate([self.by_chance(q, c) for q, c in zip(blocks, chance[:, None], strict=True)])

    def apart(self, p: Array, q: Array) -> Array:
        """The distance of the shares p from q, comparisons x bins."""
        raise NotImplementedError

    def by_chance(self, q: Array, chance: Array) -> Array:
        """Its noise where 1/n + 1/m is `chance`."""
        raise NotImplementedError


class PsiTenths(_OfShares):
    """Population stability index over the tenths of the reference, 0 to about 18: the sum of (p - q) ln(p / q), a bin without rows
    counting as 0.0001. Evidently's `psi` is the same over bins of equal width, which go blind on heavy tails.

    Source: Siddiqi (2006). Noise: chi-square, (bins - 1)(1/n + 1/m), Yurdakul (2018).
    """

    def apart(self, p: Array, q: Array) -> Array:
        import numpy as np

        p, q = np.maximum(p, LEAST_SHARE), np.maximum(q, LEAST_SHARE)
        found: Array = ((p - q) * np.log(p / q)).sum(axis=-1)
        return found

    def by_chance(self, q: Array, chance: Array) -> Array:
        return _free(q) * chance


class JensenShannon(_OfShares):
    """Jensen-Shannon distance in nats, 0 to 0.833: the root of the divergence, over the tenths of the reference. Evidently's
    `jensenshannon` is the same over bins of equal width, which go blind on heavy tails.

    Source: Lin (1991), Endres and Schindelin (2003). Noise: chi-square, sqrt((bins - 1)(1/n + 1/m) / 8).
    """

    def apart(self, p: Array, q: Array) -> Array:
        import numpy as np

        middle = (p + q) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            divergence = np.where(p > 0, p * np.log(p / middle), 0.0) + np.where(q > 0, q * np.log(q / middle), 0.0)
        found: Array = np.sqrt(np.maximum(divergence.sum(axis=-1) / 2, 0.0))
        return found

    def by_chance(self, q: Array, chance: Array) -> Array:
        import numpy as np

        return np.minimum(np.sqrt(_free(q) * chance / 8), 1.0)


class HellingerTenths(_OfShares):
    """Hellinger distance over the tenths of the reference, 0 to 1. Evidently's `hellinger` is the same over bins of equal width.

    Source: Hellinger (1909). Noise: chi-square, sqrt((bins - 1)(1/n + 1/m) / 8).
    """

    def apart(self, p: Array, q: Array) -> Array:
        import numpy as np

        found: Array = np.sqrt(((np.sqrt(p) - np.sqrt(q)) ** 2).sum(axis=-1) / 2)
        return found

    by_chance = JensenShannon.by_chance


class TotalVariation(_OfShares):
    """Total variation distance, 0 to 1: the share of rows that would have to change, over the tenths of the reference. Evidently's
    `TVD` is the p-value of it, for categories.

    Noise: the half-normal mean of every bin's gap.
    """

    def apart(self, p: Array, q: Array) -> Array:
        import numpy as np

        found: Array = np.minimum(np.abs(p - q).sum(axis=-1) / 2, 1.0)
        return found

    def by_chance(self, q: Array, chance: Array) -> Array:
        import numpy as np

        found: Array = np.minimum(np.sqrt(chance / (2 * np.pi)) * np.sqrt(q * (1 - q)).sum(axis=-1), 1.0)
        return found


def _free(q: Array) -> Array:
    import numpy as np

    found: Array = np.maximum((q > 0).sum(axis=-1) - 1.0, 0.0)
    return found


def binned(pair: Pair) -> Iterator[tuple[Array, Array]]:
    """Blocks of comparisons x bins: the shares of current and reference. All comparisons in one block for categories, else
    one each."""
    import numpy as np

    if not pair.numbers:
        yield pair.current.shares, np.broadcast_to(pair.reference.shares, pair.current.shares.shape)
        return
    for current, reference in pair.each():
        yield _by_place(current, reference) if reference.distinct[0] <= FEW else _by_tenth(current, reference)


def _by_place(current: Stack, reference: Stack) -> tuple[Array, Array]:
    """Each place that the reference has rows in is a bin, and all other values are one. Two values of one place are told apart
    where each side has but one there."""
    import numpy as np

    alike = ~(current.exact & reference.exact) | (np.abs(current.at - reference.at) <= reference.grain)
    known = (reference.rows > 0) & alike
    p = np.where(known, current.shares, 0.0)
    return np.append(p, [[max(1 - p.sum(), 0.0)]], axis=1), np.append(reference.shares, [[0.0]], axis=1)


def _by_tenth(current: Stack, reference: Stack) -> tuple[Array, Array]:
    """Shares up to each tenth of the reference's values; a value is never cut, so a frequent one fills several."""
    import numpy as np

    rows = reference.rows[0]
    upto = np.cumsum(rows)
    want = np.ceil(upto[-1] * np.arange(1, BINS) / BINS - 1e-9)
    place = np.searchsorted(upto, want)
    inside = (want - (upto[place] - rows[place])) / rows[place]
    # Where the reference has one value, the cut is behind it; else where that part of its evenly spread rows ends.
    at, half = reference.at[0][place], reference.half[0][place]
    cut = np.where(reference.exact[0][place], at + 2 * reference.grain[place], at - half + 2 * half * inside)
    found = []
    for side in (current, reference):
        below = np.clip((cut - side.at[0][place] + side.half[0][place]) / (2 * side.half[0][place]), 0.0, 1.0)
        before = np.cumsum(side.shares[0])[place] - side.shares[0][place]
        found.append(np.diff(before + below * side.shares[0][place], prepend=0.0, append=1.0)[None])
    p, q = found
    return np.maximum(p, 0.0), np.maximum(q, 0.0)
