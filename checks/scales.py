"""The scales on which a number's noise is even, and how little noise there can be at a number of rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from checks import limits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Scale = Literal["share", "count", "size", "number", "distance"]
"""A share of rows, a whole count, a positive size (a spread, a length), any number, a distance."""


def onto(x: Any, scale: Scale, typical: Any) -> Array:
    """Arcsine-root for shares (Anscombe 1948), log for counts and sizes, root for distances, asinh of the typical size else."""
    import numpy as np

    x = np.asarray(x, dtype=np.float64)
    if scale == "share":
        return np.asarray(np.arcsin(np.sqrt(np.clip(x, 0.0, 1.0))))
    if scale == "count":
        return np.asarray(np.log1p(np.maximum(x, 0.0)))
    if scale == "size":
        return np.asarray(np.log(np.maximum(x, 0.0) + 1e-6 * typical))
    if scale == "distance":
        return np.asarray(np.sqrt(np.maximum(x, 0.0)))
    with np.errstate(over="ignore"):
        return np.asarray(np.arcsinh(np.clip(x / typical, -1.7e308, 1.7e308)))


def typical(past: Array) -> Array:
    """The lower median of what each number was, its sign left out; 1 where that is 0. `past` is windows x numbers."""
    import numpy as np

    middle = limits.ordered(np.abs(past))[(len(past) - 1) // 2]
    return np.where(middle > 0, middle, 1.0)


def all_onto(x: Array, kinds: Sequence[Scale], typical: Array) -> Array:
    """Windows x numbers, each column onto its own scale."""
    import numpy as np

    found = np.empty_like(x)
    for kind, places in _places(kinds).items():
        found[:, places] = onto(x[:, places], kind, typical[places])
    return found


def floors(kinds: Sequence[Scale], rows: Array) -> Array:
    """The floor of each, windows x numbers."""
    import numpy as np

    found = np.empty_like(rows)
    for kind, places in _places(kinds).items():
        found[:, places] = floor(kind, rows[:, places])
    return found


def _places(kinds: Sequence[Scale]) -> dict[Scale, list[int]]:
    found: dict[Scale, list[int]] = {}
    for place, kind in enumerate(kinds):
        found.setdefault(kind, []).append(place)
    return found


def back(y: float, scale: Scale, typical: float) -> float:
    """The number at a place of the scale; finite."""
    if scale == "share":
        return math.sin(min(max(y, 0.0), math.pi / 2)) ** 2
    if scale == "count":
        return max(math.expm1(min(y, 700.0)), 0.0)
    if scale == "size":
        return min(max(math.exp(min(y, 700.0)) - 1e-6 * typical, 0.0), 1.7e308)
    if scale == "distance":
        return min(max(y, 0.0), 1.3e154) ** 2
    return max(min(math.sinh(min(max(y, -700.0), 700.0)) * typical, 1.7e308), -1.7e308)


def floor(scale: Scale, rows: Any) -> Array:
    """The spread that mere chance gives at these many rows, on the scale; never zero, so that a constant past has a width."""
    import numpy as np

    root = np.sqrt(np.maximum(np.asarray(rows, dtype=np.float64), 1.0))
    if scale == "share":
        return np.asarray(0.25 / root)
    if scale == "count":
        return np.full_like(root, 0.02)
    if scale == "distance":
        return np.asarray(0.1 / root + 0.005)
    return np.asarray(0.005 + 0.1 / root)
