"""The grid for a column, from a sample of it.

A grid alone (median and a robust spread) leaves some columns with crowded buckets: those that hold many rows of differing
values. Each run of such buckets becomes a zone with a grid of its own, and so again inside it, until no bucket
holds more than a fiftieth of the rows in differing values, or there are enough zones. A value that many rows have becomes a
zone by itself where it would share its bucket with others.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from checks.grid import FINENESS, Grid, Zone, buckets

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MOST_STRETCHES, MOST_SPIKES = 6, 4
CROWD = 0.02
"""The share of the sample in one bucket, its most frequent value left out, that makes the bucket crowded."""
LEAST_CROWD = 8
FEW = 100
"""A column of at most so many different values has a bucket for each of them, wherever zones can give it one."""
WHOLE = 2**53
"""Integers above it are counted from an integer: see `Grid`."""
FARTHEST = 1e290


def grid_of(values: Iterable[float | None]) -> Grid:
    """The grid for a column from a sample of it; missing and non-finite values are left out, and a column of nothing else gets
    the grid (0, 1).

    Its numbers are cut to at most 15 digits: every engine reads such a number to the same bits.
    """
    import numpy as np

    known = sorted(v for v in values if v is not None and math.isfinite(v))
    if not known:
        return Grid(0.0, 1.0)
    if max(-known[0], known[-1]) > FARTHEST:
        return Grid(0.0, _short(min(max(abs(v) for v in known[len(known) // 4 :: max(len(known) // 2, 1)]), 1e300)))
    middle = known[len(known) // 2]
    if isinstance(middle, int) and max(-known[0], known[-1]) > WHOLE:
        center: float = middle
        apart = np.array([float(v - center) for v in known])
        scale = max(_spread(apart, 0.0), 1.0)
    else:
        floats = np.array(known, dtype=np.float64)
        median = float(np.median(floats))
        scale = max(_spread(floats - median, median), abs(median) * 1e-15, 1e-290)
        center = _rounded(median, scale)
        apart = floats - center
    scale = _short(min(scale, 1e300))
    if isinstance(center, float):
        at = _spike(apart, scale)
        center, apart = (_digits(center + at, 15), apart - at) if at else (center, apart)
    return Grid(center, scale, _zones(apart, scale))


def full(grid: Grid) -> bool:
    """Another grid of the same values would have no more zones."""
    spikes = sum(zone.high == math.nextafter(zone.low, math.inf) for zone in grid.zones)
    return spikes == MOST_SPIKES or len(grid.zones) - spikes == MOST_STRETCHES


def _spike(apart: Floats, scale: float) -> float:
    """Where the grid's centre should be instead, so that a value that many rows have begins a bucket: 0 for as it is."""
    import numpy as np

    values, counts = _frequent(apart)
    near = abs(values) <= 2 * scale
    crowd = near & (~_alone(values, apart, Grid(0.0, scale)) | (len(np.unique(apart)) > FEW))
    return float(values[crowd][counts[crowd].argmax()]) if crowd.any() else 0.0


def _frequent(values: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """The values that more than a crowd of rows have, and how many rows those are."""
    import numpy as np

    found, counts = np.unique(values, return_counts=True)
    many = counts > max(CROWD * len(values), LEAST_CROWD)
    return found[many], counts[many]


def _alone(values: Floats, all_values: Floats, grid: Grid) -> NDArray[np.bool_]:
    """Whether each of the values has its bucket for itself."""
    import numpy as np

    distinct = np.unique(all_values)
    keys, counts = np.unique(grid.keys(distinct), return_counts=True)
    alone: NDArray[np.bool_] = counts[np.searchsorted(keys, grid.keys(values))] == 1
    return alone


@dataclass(order=True)
class _Crowd:
    """A run of crowded buckets: how many rows are lost in it, where it lies, which values it has and how deep it is nested."""

    lost: float
    low: float = field(compare=False)
    high: float = field(compare=False)
    values: Floats = field(compare=False)
    depth: int = field(compare=False)


def _zones(apart: Floats, scale: float) -> tuple[Zone, ...]:
    """The zones of sorted values less their grid's centre; those inside others come first."""
    import numpy as np

    few = len(np.unique(apart)) <= FEW
    values, counts = _frequent(apart)
    rest = apart if few else apart[~np.isin(apart, values)]
    zones = _stretches(rest, scale, 0 if few else max(CROWD * len(apart), LEAST_CROWD))
    # Of many values a sample does not show all that lie near.
    crowd = ~_alone(values, apart, Grid(0.0, scale, zones)) if few else np.ones(len(values), dtype=bool)
    heaviest = values[crowd][np.argsort(-counts[crowd], kind="stable")]
    return (*(Zone(v, math.nextafter(v, math.inf), v, scale) for v in heaviest[:MOST_SPIKES].tolist()), *zones)


def _stretches(values: Floats, scale: float, least: float) -> tuple[Zone, ...]:
    waiting = _crowds(values, Zone(-math.inf, math.inf, 0.0, scale), least, 0)
    heapq.heapify(waiting)
    found: list[tuple[int, Zone]] = []
    while waiting and len(found) < MOST_STRETCHES:
        crowd = heapq.heappop(waiting)
        zone = _fitted(crowd)
        found.append((crowd.depth, zone))
        for inner in _crowds(crowd.values, zone, least, crowd.depth + 1):
            if (inner.low, inner.high) != (crowd.low, crowd.high):
                heapq.heappush(waiting, inner)
    return tuple(zone for _, zone in sorted(found, key=lambda z: (-z[0], z[1].low)))


def _crowds(values: Floats, zone: Zone, least: float, depth: int) -> list[_Crowd]:
    """The runs of crowded buckets among sorted values that all lie in a zone."""
    import numpy as np

    keys = buckets(values - zone.center, np.full(len(values), zone.scale))
    names, starts, sizes = np.unique(keys, return_index=True, return_counts=True)
    differ = [size - _most_frequent(values[start : start + size]) for start, size in zip(starts, sizes, strict=True)]
    crowded = np.array(differ) > least
    runs: list[_Crowd] = []
    at = 0
    while at < len(names):
        end = at
        while end < len(names) and crowded[end] and names[end] - names[at] == end - at:
            end += 1
        if end > at:
            low, high = (_edge(int(b), zone) for b in (names[at], names[end - 1] + 1))
            part = values[starts[at] : starts[end - 1] + sizes[end - 1]]
            part = part[(part >= low) & (part < high)]
            if low < high and len(part):
                runs.append(_Crowd(-float(sum(differ[at:end])), low, high, part, depth))
        at = max(end, at + 1)
    return runs


def _edge(bucket: int, zone: Zone) -> float:
    edge = zone.center + math.sinh(max(min(bucket / FINENESS, 700.0), -700.0)) * zone.scale
    return max(min(_digits(edge, 15), zone.high), zone.low)


def _most_frequent(values: Floats) -> int:
    """How often the most frequent of sorted values occurs."""
    import numpy as np

    changes = np.flatnonzero(np.diff(values)) + 1
    return int(np.diff(np.concatenate([[0], changes, [len(values)]])).max())


def _fitted(crowd: _Crowd) -> Zone:
    """A zone for a crowd."""
    import numpy as np

    center = float(np.median(crowd.values))
    scale = _spread(crowd.values - center, 0.0)
    scale = _short(min(max(scale, abs(center) * 1e-15, 1e-290), 1e300))
    return Zone(crowd.low, crowd.high, _rounded(center, scale), scale)


def _spread(apart: Floats, center: float) -> float:
    """IQR / 1.349 of sorted values about their median; for half a constant column 1.4826 times the median absolute deviation,
    then the standard deviation; for a constant a thousandth of its size."""
    import numpy as np

    if len(apart) > 1:
        low, high = np.quantile(apart, [0.25, 0.75])
        size = float(np.abs(apart).max()) or 1.0
        for spread in ((high - low) / 1.349, 1.4826 * float(np.median(np.abs(apart))), float((apart / size).std()) * size):
            if 0 < spread < math.inf:
                return float(spread)
    return max(abs(center), 1.0) * 1e-3


def _rounded(center: float, scale: float) -> float:
    """A centre in as few digits as its scale allows, six at least and fifteen at most."""
    if abs(center) <= scale * 1e-12:
        return 0.0
    digits = math.ceil(math.log10(abs(center) / scale)) + 2
    return _digits(center, max(6, min(digits, 15)))


def _digits(number: float, digits: int) -> float:
    return float(f"{number:.{digits}g}")


def _short(number: float) -> float:
    return _digits(number, 6)
