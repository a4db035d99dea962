"""The asinh grid that a column's distribution is counted on, and the finer grids of its crowded stretches.

A bucket of a grid is `floor(128 * asinh((x - center) / scale))`: linear near the centre, logarithmic in the tails, so that a
column of any shape has some hundreds. What a single grid cannot tell apart (two narrow modes far from each other, a
spike beside a wide tail) lies in a zone: a stretch of values with a centre and a scale of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Keys = NDArray[np.int64]

FINENESS = 128
LARGE = 1e100
LARGEST = 1.7e308
SPAN = 1 << 21
"""A zone's buckets lie this far from the next one's: `key = zone * SPAN + bucket`, zone 0 being the grid itself."""


@dataclass(frozen=True, slots=True)
class Zone:
    """The values of `[low, high)`, on a grid of their own; all but the scale are less the centre of the grid it belongs to."""

    low: float
    high: float
    center: float
    scale: float


@dataclass(frozen=True, slots=True)
class Grid:
    """Pinned per column: two histograms on one grid merge by adding. The first zone that holds a value has it.

    `center` is at most 1e290 in size; that of a column of integers may be an integer, which is then subtracted as one:
    beyond 2**53 a float has no place for neighbours. Methods that take or give arrays mean values less `center`.
    """

    center: float
    scale: float
    zones: tuple[Zone, ...] = ()

    def bucket(self, x: float) -> int:
        """The key of the bucket that holds a finite x, by the formula that the engines use."""
        apart = float(x - self.center)
        for number, zone in enumerate(self.zones, 1):
            if zone.low <= apart < zone.high:
                return number * SPAN + _bucket(apart - zone.center, zone.scale)
        return _bucket(apart, self.scale)

    def edges(self, keys: Keys) -> tuple[Floats, Floats]:
        """The lower and upper edges of buckets; all are finite."""
        import numpy as np

        zones, buckets = split(keys)
        centers, scales = self._centers(zones), self._scales(zones)
        low = np.array([-LARGEST, *(zone.low for zone in self.zones)])[zones]
        high = np.array([LARGEST, *(zone.high for zone in self.zones)])[zones]
        return (
            np.clip(_at(buckets, scales) + centers, low, high),
            np.clip(_at(buckets + 1, scales) + centers, low, high),
        )

    def begins(self, keys: Keys) -> Floats:
        """The lower edges alone."""
        import numpy as np

        if self.zones:
            return self.edges(keys)[0]
        return np.asarray(np.clip(_at(keys, np.asarray(self.scale)), -LARGEST, LARGEST))

    def keys(self, values: Floats) -> Keys:
        """The bucket of each value."""
        import numpy as np

        zones = np.zeros(len(values), dtype=np.int64)
        for number in range(len(self.zones), 0, -1):
            zone = self.zones[number - 1]
            zones[(values >= zone.low) & (values < zone.high)] = number
        return zones * SPAN + buckets(values - self._centers(zones), self._scales(zones))

    def _centers(self, zones: Keys) -> Floats:
        import numpy as np

        return np.array([0.0, *(zone.center for zone in self.zones)])[zones]

    def _scales(self, zones: Keys) -> Floats:
        import numpy as np

        return np.array([self.scale, *(zone.scale for zone in self.zones)])[zones]


def split(keys: Keys) -> tuple[Keys, Keys]:
    """The zone and the bucket within it of each key."""
    zones = (keys + SPAN // 2) // SPAN
    return zones, keys - zones * SPAN


def _bucket(apart: float, scale: float) -> int:
    z = _guarded(apart, scale)
    size = abs(z)
    height = math.log(size + math.sqrt(size * size + 1)) if size <= LARGE else math.log(size) + math.log(2)
    return math.floor(FINENESS * math.copysign(height, z))


def _guarded(apart: float, scale: float) -> float:
    """z, where the quotient neither overflows nor underflows, as in the engines' formula."""
    limit = LARGEST * min(1.0, scale)
    near = max(min(apart, limit), -limit)
    return 0.0 if abs(near) <= scale * 1e-30 else near / scale


def buckets(apart: Floats, scales: Floats) -> Keys:
    """The buckets of values less their centre, without their zone."""
    import numpy as np

    limit = LARGEST * np.minimum(1.0, scales)
    near = np.clip(apart, -limit, limit)
    z = np.where(np.abs(near) <= scales * 1e-30, 0.0, near) / scales
    size = np.abs(z)
    small = np.minimum(size, LARGE)
    height = np.where(size <= LARGE, np.log(small + np.sqrt(small * small + 1)), np.log(np.maximum(size, 1.0)) + math.log(2))
    return np.asarray(np.floor(FINENESS * np.copysign(height, z)), dtype=np.int64)


def _at(buckets: Keys, scales: Floats) -> Floats:
    """How far from the centre buckets begin."""
    import numpy as np

    height = np.clip(buckets / FINENESS, -709.0, 709.0)
    far = np.log(scales) + np.abs(height) > 708
    found = np.sinh(np.where(far, 0.0, height)) * scales
    return np.where(far, np.copysign(LARGEST, height), found)


def packed(grid: Grid) -> list[Any]:
    """A grid as JSON."""
    return [grid.center, grid.scale, *([z.low, z.high, z.center, z.scale] for z in grid.zones)]


def unpacked(stored: list[Any]) -> Grid:
    """The very same object for the same JSON: a column's windows share one grid, and are told alike at once."""
    return _grid(stored[0], stored[1], *map(tuple, stored[2:]))


@lru_cache(maxsize=4096, typed=True)
def _grid(center: float, scale: float, *zones: tuple[float, ...]) -> Grid:
    return Grid(center, scale, tuple(Zone(*zone) for zone in zones))
