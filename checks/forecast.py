"""What a number was to be expected to be, window by window: five simple forecasts from the windows before each.

Each says for every window of a history, and for the one after it, what the windows before it made likely, so that past
errors are known. Medians, so that one bad window moves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Places = NDArray[np.int64]

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
FEWER = 7
"""Windows up to which a median is found by comparing all with all."""
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

    found = {MONTH: _median(values, _last(len(values), LAST), LEAST[MONTH])}
    found[LATELY] = _median(values, _last(len(values), FEW), LEAST[LATELY])
    growing = _growing(found[MONTH], found[LATELY])
    if len(values) >= PROVEN and growing.any():
        found[TREND] = np.full_like(found[MONTH], np.nan)
        found[TREND][:, growing] = _trend(values[:, growing])
    if keys[-1] >= 0:
        found[SAME] = _median(values, _alike(keys), LEAST[SAME])
        errors = values - found[SAME][:-1]
        found[CORRECTED] = found[SAME] + _median(errors, _last(len(values), ERRORS), LEAST[SAME])
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
    changes = np.concatenate([none, values[STRIDE:] - values[:-STRIDE]])
    slope = _median(changes, _last(len(values), LAST), LEAST[TREND]) / STRIDE
    led = [np.concatenate([none[:ago], values[: len(values) + 1 - ago]]) + ago * slope for ago in range(1, NEAR + 1)]
    return np.asarray(np.median(led, axis=0))


@lru_cache(maxsize=256)
def _last(windows: int, most: int) -> Places:
    """For each window and the next: the places of the `most` before it, -1 for none."""
    import numpy as np

    places = np.arange(windows + 1)[:, None] - 1 - np.arange(most)[None, :]
    return np.asarray(np.maximum(places, -1))


@lru_cache(maxsize=1024)
def _alike(keys: tuple[int, ...]) -> Places:
    import numpy as np

    found = np.full((len(keys), ALIKE), -1)
    seen: dict[int, list[int]] = {}
    for place, key in enumerate(keys):
        before = seen.setdefault(key, [])
        last = before[-ALIKE:]
        found[place, : len(last)] = last
        before.append(place)
    return found


def _median(values: Array, places: Places, least: int) -> Array:
    """The lower median of the values at each row of places: windows x numbers."""
    import numpy as np

    padded = np.concatenate([values, np.full((1, values.shape[1]), np.nan)])
    finite = np.isfinite(padded)
    # Mostly all numbers are known of the same windows.
    alike = bool((finite == finite[:, :1]).all())
    known = (finite[:, :1] if alike else finite)[places].sum(axis=1)
    middle = np.maximum(known - 1, 0) // 2
    # Numbers x windows, so that what is looked at together lies side by side, which is many times faster.
    across = np.where(finite, padded, np.inf).T.copy()
    if places.shape[1] <= FEWER:
        found = np.choose(middle.T, _in_order([across.take(place, axis=1) for place in places.T])).T
    else:
        ordered = across.take(places, axis=1)
        ordered.sort(axis=-1)
        if alike:
            found = ordered[:, np.arange(len(places)), middle[:, 0]].T
        else:
            found = np.take_along_axis(ordered, middle.T[..., None], axis=-1)[..., 0].T
    return np.where(known >= least, found, np.nan)


def _in_order(arrays: list[Array]) -> list[Array]:
    """The smallest of them at each place, the next, ...: a few are compared and exchanged sooner than sorted."""
    import numpy as np

    for last in range(len(arrays) - 1, 0, -1):
        for at in range(last):
            one, other = arrays[at], arrays[at + 1]
            arrays[at], arrays[at + 1] = np.minimum(one, other), np.maximum(one, other)
    return arrays
