"""The histograms of a history as one stack, over no more places than its distances need."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from checks.grid import SPAN, split
from checks.histogram import Histogram
from checks.stack import SAME, Stack

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Keys = NDArray[np.int64]


FEW_PLACES = 256
"""Buckets that are few enough to be left as they are; so a column of few values keeps each."""


def gathered(histograms: Sequence[Histogram], least: float) -> Stack:
    """Windows on the first one's grid; neighbouring buckets are put together until each place has about the share `least` of all
    rows. At least one histogram must be given, and one row.

    A history of a hundred windows has some ten thousand buckets per column, most of them in the tails with a row or two: each is
    touched here once, and what follows is done for a few hundred places.
    """
    import numpy as np

    grid = histograms[0].grid
    cells = [h.cells_on(grid) for h in histograms]
    keys, rows, sums, exact = (np.concatenate([getattr(c, part) for c in cells]) for part in ("keys", "rows", "sums", "exact"))
    known, code = numbered(keys)
    lower, upper = grid.edges(known)
    order = np.lexsort((upper, lower))
    share = np.bincount(code, rows)[order] / rows.sum()
    starts = np.ones(len(known), dtype=bool)
    if len(known) > FEW_PLACES and least > 0:
        # What has its share by itself stays by itself: a frequent value must not be spread over its neighbours' place.
        starts[1:] = (share[:-1] >= least) | (np.diff(np.floor(np.cumsum(share) / least)) > 0)
    place = np.cumsum(starts) - 1
    start = np.flatnonzero(starts)
    of = np.empty_like(place)
    of[order] = place
    shape = len(histograms), len(start)
    flat = np.repeat(np.arange(shape[0]) * shape[1], [len(c.keys) for c in cells]) + of[code]
    filled, total, mixed = (
        np.bincount(flat, amounts, shape[0] * shape[1]).reshape(shape) for amounts in (rows, sums, np.where(exact, 1.0, 2.0))
    )
    low = lower[order][start]
    # Where a value has a place inside another one, that one ends there.
    high = np.minimum(np.maximum.reduceat(upper[order], start), np.append(low[1:], math.inf))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        at = (total / filled / 2 - low / 2) / (high / 2 - low / 2)
    at = np.clip(np.where((filled > 0) & np.isfinite(at), at, 0.5), SAME, 1 - SAME)
    ends = [np.array([math.nan if end is None else float(end - grid.center) for end in side]) for side in _ends(histograms)]
    return Stack(filled, at, mixed <= 1, low, high, ends[0], ends[1], float(grid.center), ())


def _ends(histograms: Sequence[Histogram]) -> tuple[list[float | None], list[float | None]]:
    return [h.low for h in histograms], [h.high for h in histograms]


def numbered(keys: Keys) -> tuple[Keys, Keys]:
    """The different keys in rising order, and which of them each key is. By a table of all keys between: sorting takes longer."""
    import numpy as np

    zones, buckets = split(keys)
    lowest = int(buckets.min())
    wide = int(buckets.max()) - lowest + 1
    if wide * (int(zones.max()) + 1) > SPAN:
        found: Keys = np.unique(keys)
        return found, np.searchsorted(found, keys)
    compact = zones * wide + buckets - lowest
    there = np.zeros(wide * (int(zones.max()) + 1), dtype=bool)
    there[compact] = True
    known = np.flatnonzero(there)
    return (known // wide) * SPAN + known % wide + lowest, (np.cumsum(there) - 1)[compact]
