"""What a number was to be expected to be, window by window: five simple forecasts from the windows before each.

Each says for every window of a history, and for the one after it, what the windows before it made likely, so that past
errors are known. Medians, so that one bad window moves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from checks.medians import Chosen, among, sliding

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Flags = NDArray[np.bool_]

MONTH, LATELY, SAME, CORRECTED = "the last 28 windows", "the last 5 windows", "alike windows", "alike windows and the last week"
TREND = "the trend of the last 28 windows"
LAST, FEW, ALIKE, ERRORS = 28, 5, 6, 7
LEAST = {MONTH: 4, LATELY: 3, SAME: 2, CORRECTED: 2, TREND: 15}
"""Windows that a forecast needs, or changes over `STRIDE` windows."""
STRIDE = 7
"""Windows over which growth is measured: a week of days is the same at both ends. One sudden change of level is in so many of the
changes, which is less than half of the fewest that tell a trend."""
PROVEN = STRIDE + LEAST[TREND] + 2 * STRIDE
"""Windows of history from which on the errors of a trend say something: two weeks of them."""
NEAR = 3
"""Windows that a trend goes on from, so that one bad window does not bend it."""
STEADY = 0.8
"""The share of windows at which the last five lay on the same side of the last 28, from which on it has a trend. A counter that
was set back once in 90 windows has one: for about 15 of them it is below."""


def forecasts(values: Array, keys: tuple[int, ...]) -> Mapping[str, Array]:
    """Name -> a forecast per window and one more for the next, NaN where too little came before.

    `values` is windows x numbers, oldest first; `keys` are as many and one more: windows of equal keys are alike (-1: like none).
    The trend is NaN for numbers that have none, and not there where no number has one.
    """
    import numpy as np

    found = {MONTH: sliding(values, LAST, LEAST[MONTH])}
    found[LATELY] = among(values, _last(len(values), FEW), LEAST[LATELY])
    growing = _growing(found[MONTH], found[LATELY])
    if len(values) >= PROVEN and growing.any():
        found[TREND] = np.full_like(found[MONTH], np.nan)
        found[TREND][:, growing] = _trend(values[:, growing])
    if keys[-1] >= 0:
        found[SAME] = among(values, _alike(keys), LEAST[SAME])
        errors = values - found[SAME][:-1]
        found[CORRECTED] = found[SAME] + among(errors, _last(len(values), ERRORS), LEAST[SAME])
    return found


def _growing(month: Array, lately: Array) -> Flags:
    """The numbers that rise, or fall, all the time: chance, a week's pattern and a change of level lie on both sides."""
    import numpy as np

    known = np.isfinite(month) & np.isfinite(lately)
    sides = np.where(known, np.sign(lately - month), 0.0).sum(axis=0)
    return np.asarray(np.abs(sides) >= (2 * STEADY - 1) * np.maximum(known.sum(axis=0), 1))


def _trend(values: Array) -> Array:
    """The middle of where the last windows lead to, each by the median slope (as Theil 1950, of changes over a week alone)."""
    import numpy as np

    none = np.full((STRIDE, values.shape[1]), np.nan)
    slope = np.concatenate([none, sliding(values[STRIDE:] - values[:-STRIDE], LAST, LEAST[TREND])]) / STRIDE
    led = [np.concatenate([none[:ago], values[: len(values) + 1 - ago]]) + ago * slope for ago in range(1, NEAR + 1)]
    return np.asarray(np.median(led, axis=0))


@lru_cache(maxsize=256)
def _last(windows: int, most: int) -> Chosen:
    """For each window and the next: the `most` before it."""
    import numpy as np

    places = np.arange(windows + 1)[:, None] - 1 - np.arange(most)[None, :]
    return Chosen.of(np.maximum(places, -1), np.ones(windows, dtype=bool))


@lru_cache(maxsize=1024)
def _alike(keys: tuple[int, ...]) -> Chosen:
    import numpy as np

    found = np.full((len(keys), ALIKE), -1)
    seen: dict[int, list[int]] = {}
    for place, key in enumerate(keys):
        before = seen.setdefault(key, [])
        last = before[-ALIKE:]
        found[place, : len(last)] = last
        before.append(place)
    return Chosen.of(found, np.ones(len(keys) - 1, dtype=bool))
