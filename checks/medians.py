"""Lower medians of many small sets at once: of windows x numbers, for each window those of some windows before it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Places = NDArray[np.int64]

TOGETHER = 4
"""Windows whose medians are found with one sort, of what lies before all of them."""
NETWORKS = {
    5: ((0, 1), (3, 4), (0, 3), (1, 4), (1, 2), (2, 3), (1, 2)),
    6: ((1, 2), (4, 5), (0, 2), (3, 5), (0, 1), (3, 4), (2, 5), (0, 3), (1, 4), (2, 4), (1, 3), (2, 3)),
    7: ((0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6), (2, 3), (3, 6), (4, 5), (1, 4), (1, 3), (3, 4)),
}
"""Of so many values, which are to be compared and exchanged in turn until the lower median is in its place (those of 5 and 7 by
Paeth 1990 and Devillard 1998, that of 6 sorts them)."""


class Chosen(NamedTuple):
    """Of each window the places that are looked at, -1 for none; there are 5 to 7 for each."""

    places: Places
    filled: Places
    """Where there is none, one of the two places after the last: of those, so many hold what is below all, so many what is above
    all, that the middle of them is that of the rest."""
    known: NDArray[np.int64]
    """How many there are."""

    @classmethod
    def of(cls, places: Places, known: Flags) -> Chosen:
        """`known`: of which windows there are numbers."""
        import numpy as np

        there = (places >= 0) & np.append(known, False)[places]
        count = there.sum(axis=1)
        low = (places.shape[1] - 1) // 2 - np.maximum(count - 1, 0) // 2
        below = np.cumsum(~there, axis=1) <= low[:, None]
        return cls(places, np.where(there, places, len(known) + below), count)


def among(values: Array, chosen: Chosen, least: int) -> Array:
    """Of the chosen windows of each; NaN where there are fewer than `least`. `values` are windows x numbers, a window whose numbers
    are not all known counts as not there."""
    import numpy as np

    known = np.asarray(np.isfinite(values).all(axis=1))
    if not known.all():
        chosen = Chosen.of(chosen.places, known)
    picked = _picked(values, chosen)
    [found] = _sorted(picked, (len(picked) - 1) // 2)
    return np.where(chosen.known[:, None] >= least, found, np.nan)


def sliding(values: Array, most: int, least: int) -> Array:
    """Of the up to `most` (an even number) windows before each, and before the next one that comes; NaN where there are fewer than
    `least`. `values` are windows x numbers, all of them known.

    Neighbours have all but a few windows in common: these are sorted once, and of those around the middle and the few others the
    middle is looked for (see `_merged`).
    """
    import numpy as np

    windows, numbers = values.shape
    others = TOGETHER - 1
    groups = -(-(windows + 1) // TOGETHER)
    line = np.empty((numbers, most + max(windows, groups * TOGETHER)))
    # Before the first window what is above all and what is below all take turns: with few windows, the middle is that of these.
    line[:, most - 1 :: -2], line[:, most - 2 :: -2] = np.inf, -np.inf
    line[:, most : most + windows] = values.T
    line[:, most + windows :] = np.inf
    common = np.lib.stride_tricks.sliding_window_view(line, most - others, axis=1)[:, others::TOGETHER][:, :groups]
    ordered = np.sort(common, axis=-1)
    middle = [np.ascontiguousarray(ordered[..., at]) for at in range(most // 2 - TOGETHER, most // 2)]
    each = [line[:, at::TOGETHER][:, :groups] for at in range(most + others)]
    found = np.empty((numbers, groups, TOGETHER))
    for number in range(TOGETHER):
        found[..., number] = _merged(middle, [*each[number:others], *each[most : most + number]])
    rows = np.minimum(np.arange(windows + 1), most)
    return np.where(rows[:, None] >= least, found.reshape(numbers, -1)[:, : windows + 1].T, np.nan)


def _merged(rising: list[Array], others: list[Array]) -> Array:
    """The fourth smallest of four rising values and three others."""
    import numpy as np

    a, b, c = others
    a, b = np.minimum(a, b), np.maximum(a, b)
    b, c = np.minimum(b, c), np.maximum(b, c)
    a, b = np.minimum(a, b), np.maximum(a, b)
    first, second, third, fourth = rising
    found = np.minimum(np.maximum(first, c), np.maximum(second, b))
    return np.asarray(np.minimum(np.minimum(found, np.maximum(third, a)), fourth))


def halfway(values: Array, chosen: Chosen, least: int) -> Array:
    """The median proper of the chosen windows of each, of an even number halfway between the two in the middle; see `among`. There
    are 6 windows for each, all of them known."""
    import numpy as np

    lower, upper = _sorted(_picked(values, chosen), 2, 3)
    upper = np.where((chosen.known % 2 == 0)[:, None], upper, lower)
    return np.where(chosen.known[:, None] >= least, (lower + upper) / 2, np.nan)


def _picked(values: Array, chosen: Chosen) -> list[Array]:
    import numpy as np

    ends = np.full((2, values.shape[1]), np.inf)
    ends[1] = -np.inf
    padded = np.concatenate([values, ends])
    return [padded.take(places, axis=0) for places in chosen.filled.T]


@lru_cache
def _steps(number: int, wanted: tuple[int, ...]) -> list[tuple[int, int, bool, bool]]:
    """What of the network has a part in what comes out there: which two, and whether the smaller and the larger are needed."""
    needed, found = set(wanted), []
    for one, other in reversed(NETWORKS[number]):
        if one in needed or other in needed:
            found.append((one, other, one in needed, other in needed))
            needed |= {one, other}
    return found[::-1]


def _sorted(arrays: list[Array], *wanted: int) -> list[Array]:
    """Of the values at each place those that are the smallest but so many; as the network has them."""
    import numpy as np

    for one, other, smaller, larger in _steps(len(arrays), wanted):
        first, second = arrays[one], arrays[other]
        if smaller:
            arrays[one] = np.minimum(first, second)
        if larger:
            arrays[other] = np.maximum(first, second)
    return [arrays[place] for place in wanted]
