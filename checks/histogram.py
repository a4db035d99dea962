"""The distribution of a numeric column: how many rows each bucket of its grid has, and their sum."""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from checks.grid import LARGEST, Grid, packed, unpacked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Compared = dict[tuple[str, int, float], Any]
"""What came of comparing a window with those before it, numbers or lists of them: by what it is, the number of windows before it
that were taken together, and the start of the first of them (UTC seconds)."""

RISING, CHECKSUM = "rising", "checksum"


@dataclass(frozen=True, eq=False)
class Cells:
    """The filled buckets of one grid, by rising key.

    `sums` are those of x less the grid's centre, so that large values a little apart keep their digits.
    `exact`: all rows of the bucket hold one value.
    """

    keys: NDArray[np.int64]
    rows: NDArray[np.int64]
    sums: Floats
    exact: NDArray[np.bool_]

    def plus(self, other: Cells) -> Cells:
        """Added bucket by bucket; exact where both sides hold the same single value."""
        import numpy as np

        pairs = [(getattr(self, name), getattr(other, name)) for name in ("keys", "rows", "sums", "exact")]
        return Cells.gathered(*(np.concatenate(pair) for pair in pairs))

    @classmethod
    def gathered(cls, keys: Any, rows: Any, sums: Any, exact: Any) -> Cells:
        """From parts of buckets, in any order; a key may come many times."""
        import numpy as np

        found, places = np.unique(keys, return_inverse=True)
        whole_rows, whole = np.zeros(len(found), dtype=np.int64), np.zeros(len(found))
        np.add.at(whole_rows, places, rows)
        with np.errstate(over="ignore"):
            np.add.at(whole, places, sums)
            whole = np.clip(whole, -LARGEST, LARGEST)
            # A part holds another value than the rest if the rest would have another sum with its mean.
            apart = np.abs(sums / rows - (whole / whole_rows)[places]) > 1e-9 * np.abs(sums / rows)
        single = np.ones(len(found), dtype=bool)
        single[places[apart | ~exact]] = False
        return cls(found, whole_rows, whole, single)

    @property
    def means(self) -> Floats:
        """The mean of each bucket, less the grid's centre."""
        means: Floats = self.sums / self.rows
        return means

    def same(self, other: Cells) -> bool:
        import numpy as np

        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in ("keys", "rows", "sums", "exact"))

    @classmethod
    def of(cls, buckets: Iterable[tuple[int, int, float, bool]]) -> Cells:
        """From (key, rows, sum less the centre, exact); each key once."""
        import numpy as np

        ordered = sorted(buckets)
        keys, rows, sums, exact = zip(*ordered, strict=True) if ordered else ((), (), (), ())
        bounded = np.clip(np.array(sums, dtype=np.float64), -LARGEST, LARGEST)
        return cls(np.array(keys, dtype=np.int64), np.array(rows, dtype=np.int64), bounded, np.array(exact, dtype=bool))


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts and sums per bucket; what is not finite is counted apart.

    `cells` has one entry per grid: windows measured on different grids merge without being rounded onto each other's.
    `low` and `high` are the smallest and the largest finite value (None: there is none, or it is not known).
    """

    cells: Mapping[Grid, Cells]
    missing: int = 0
    nan: int = 0
    negative_infinity: int = 0
    positive_infinity: int = 0
    low: float | None = None
    high: float | None = None
    _cache: dict[float, tuple[Floats, Floats]] = field(default_factory=dict, repr=False)
    numbers: dict[str, float] = field(default_factory=dict, repr=False)
    """What was computed from it before: a worker sees the same history with every window."""
    kept: dict[str, Any] = field(default_factory=dict, repr=False)
    """The same, of what is more than a number."""
    compared: Compared = field(default_factory=dict, repr=False)
    """How far it is from the windows before it, and the like; stored with it."""

    @classmethod
    def of(cls, grid: Grid, buckets: Mapping[int, tuple[int, float]], **more: Any) -> Histogram:
        """From `{key: (rows, sum of the values)}` on one grid."""
        cells = [(key, n, total - n * grid.center, n == 1) for key, (n, total) in buckets.items()]
        return cls({grid: Cells.of(cells)}, **more)

    @property
    def buckets(self) -> dict[int, tuple[int, float]]:
        """`{key: (rows, sum of the values)}` on its grid."""
        cells, center = self.cells[self.grid], self.grid.center
        return {int(k): (int(n), float(s + n * center)) for k, n, s in zip(cells.keys, cells.rows, cells.sums, strict=True)}

    @property
    def grid(self) -> Grid:
        """Its grid; of a merged one that grid which most rows are on."""
        if len(self.cells) == 1:
            return next(iter(self.cells))
        return max(self.cells, key=lambda g: (int(self.cells[g].rows.sum()), packed(g)))

    @cached_property
    def finite(self) -> int:
        return sum(int(cells.rows.sum()) for cells in self.cells.values())

    @cached_property
    def filled(self) -> int:
        """How many buckets have a row."""
        return sum(len(cells.keys) for cells in self.cells.values())

    def on(self, grid: Grid) -> Histogram:
        """The same values on another grid: each bucket goes where its mean lies (exact in count and sum)."""
        if len(self.cells) == 1:
            [own_grid] = self.cells
            # Mostly the very same, which is told faster than it is hashed.
            if own_grid is grid or own_grid == grid:
                return self
        cells = Cells.of(())
        for own, part in self.cells.items():
            cells = cells.plus(part if own == grid else _moved(own, part, grid))
        return replace(self, cells={grid: cells}, _cache={}, kept={})

    def cells_on(self, grid: Grid) -> Cells:
        """Its buckets on a grid."""
        [found] = self.on(grid).cells.values()
        return found

    @property
    def checksum(self) -> bytes:
        """What tells its values from others, nearly always; few bytes."""
        if CHECKSUM not in self.kept:
            found = 0
            for grid, cells in self.cells.items():
                found = zlib.crc32(repr(packed(grid)).encode(), found)
                for part in (cells.keys, cells.rows, cells.sums):
                    found = zlib.crc32(part.tobytes(), found)
            self.kept[CHECKSUM] = found.to_bytes(4, "big")
        known: bytes = self.kept[CHECKSUM]
        return known

    def rising(self, grid: Grid) -> tuple[Floats, Floats]:
        """Where its buckets on a grid begin (less the centre), in rising order, and the rows before each and in all."""
        import numpy as np

        cells = self.cells_on(grid)
        own = cells is self.cells.get(grid)
        if own and RISING in self.kept:
            kept: tuple[Floats, Floats] = self.kept[RISING]
            return kept
        lower = grid.begins(cells.keys)
        order = np.argsort(lower, kind="stable")
        found = lower[order], np.append(0.0, np.cumsum(cells.rows[order], dtype=np.float64))
        if own:
            self.kept[RISING] = found
        return found

    def plus(self, other: Histogram) -> Histogram:
        cells = dict(self.cells)
        for grid, part in other.cells.items():
            cells[grid] = cells[grid].plus(part) if grid in cells else part
        return Histogram(
            {grid: cells[grid] for grid in sorted(cells, key=packed)},
            self.missing + other.missing,
            self.nan + other.nan,
            self.negative_infinity + other.negative_infinity,
            self.positive_infinity + other.positive_infinity,
            _either(min, self.low, other.low),
            _either(max, self.high, other.high),
        )

    def points(self, origin: float = 0.0) -> tuple[Floats, Floats]:
        """The mean of every filled bucket, less `origin`, in rising order; and its rows."""
        import numpy as np

        if origin not in self._cache:
            values, rows = [np.zeros(0)], [np.zeros(0)]
            for grid, cells in self.cells.items():
                values.append(cells.means + float(grid.center - origin))
                rows.append(cells.rows.astype(np.float64))
            found, weight = np.concatenate(values), np.concatenate(rows)
            order = np.argsort(found, kind="stable")
            self._cache[origin] = found[order], weight[order]
        return self._cache[origin]

    def total(self) -> float | None:
        """The sum of the finite values, held inside what a float can say; None where there are none."""
        mean, rows = self.mean(), self.finite
        return None if mean is None else max(min(mean * rows, LARGEST), -LARGEST)

    def mean(self) -> float | None:
        return None if not self.finite else float(self.grid.center + self._mean_apart())

    def _mean_apart(self) -> float:
        """The mean less the grid's centre: in halves of a share, so that nothing overflows."""
        values, rows = self.points(self.grid.center)
        return float(((rows / rows.sum()) * values).sum())

    def deviation(self) -> float | None:
        """Standard deviation of the finite values (population form), from the buckets' means; None below two rows."""
        import numpy as np

        if self.finite < 2:
            return None
        values, rows = self.points(self.grid.center)
        apart = values / 2 - self._mean_apart() / 2
        size = float(np.abs(apart).max())
        return size * 2 * math.sqrt(float(((apart / size) ** 2 * (rows / rows.sum())).sum())) if size else 0.0

    def quantile(self, q: float) -> float | None:
        """The q-quantile (0..1) of the finite values, to the width of a bucket; None where there are none."""
        import numpy as np

        if not self.finite:
            return None
        values, rows = self.points(self.grid.center)
        at = min(int(np.searchsorted(np.cumsum(rows), q * self.finite)), len(values) - 1)
        return float(self.grid.center + values[at])

    def crowded(self) -> float:
        """The largest share of the rows that lies in one bucket and does not hold one value only; 0 where there is none."""
        shares = [float((cells.rows * ~cells.exact).max(initial=0)) for cells in self.cells.values()]
        return max(shares, default=0.0) / max(self.finite, 1)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        apart = ("missing", "nan", "negative_infinity", "positive_infinity", "low", "high")
        if any(getattr(self, name) != getattr(other, name) for name in apart):
            return False
        return self.cells.keys() == other.cells.keys() and all(c.same(other.cells[g]) for g, c in self.cells.items())

    __hash__ = None  # type: ignore[assignment]


def _moved(own: Grid, part: Cells, grid: Grid) -> Cells:
    """The cells of one grid on another; a bucket's rows go where their mean lies."""
    values = part.means + float(own.center - grid.center)
    return Cells.gathered(grid.keys(values), part.rows, values * part.rows, part.exact)


def _either(choose: Any, a: float | None, b: float | None) -> float | None:
    known = [v for v in (a, b) if v is not None]
    return choose(known) if known else None


def pack(histogram: Histogram) -> dict[str, Any]:
    """A histogram as JSON; the cells are little-endian arrays, compressed, in base 64."""
    apart = [histogram.missing, histogram.nan, histogram.negative_infinity, histogram.positive_infinity]
    cells = [[packed(grid), len(part.keys), _bytes(part)] for grid, part in histogram.cells.items()]
    return {"h": cells, "x": apart, "r": [histogram.low, histogram.high], **packed_compared(histogram.compared)}


def unpack(stored: Mapping[str, Any]) -> Histogram:
    cells = {unpacked(grid): _cells(count, body) for grid, count, body in stored["h"]}
    found = Histogram(cells, *stored["x"], *stored["r"])
    found.compared.update(unpacked_compared(stored))
    return found


def packed_compared(compared: Compared) -> dict[str, Any]:
    """As JSON; nothing where there is none. What is not finite is not stored."""
    found = [[*key, value] for key, value in compared.items() if _storable(value)]
    return {"far": found} if found else {}


def unpacked_compared(stored: Mapping[str, Any]) -> Compared:
    return {(what, windows, start): value for what, windows, start, value in stored.get("far", ())}


def _storable(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_storable, value))
    return math.isfinite(value) if isinstance(value, float) else True


def _bytes(cells: Cells) -> str:
    import numpy as np

    steps = np.diff(cells.keys, prepend=0).astype("<i4").tobytes()
    body = steps + cells.rows.astype("<i8").tobytes() + np.packbits(cells.exact).tobytes() + cells.sums.astype("<f8").tobytes()
    return base64.b64encode(zlib.compress(body)).decode("ascii")


def _cells(count: int, body: str) -> Cells:
    import numpy as np

    raw = zlib.decompress(base64.b64decode(body))
    keys = np.cumsum(np.frombuffer(raw, "<i4", count).astype(np.int64))
    rows = np.frombuffer(raw, "<i8", count, 4 * count).astype(np.int64)
    flags = (count + 7) // 8
    exact = np.unpackbits(np.frombuffer(raw, np.uint8, flags, 12 * count), count=count).astype(bool)
    # Copied: where it stands it is not aligned, which makes all that is done with it slower, and would hold the whole buffer.
    sums = np.frombuffer(raw, "<f8", count, 12 * count + flags).astype(np.float64)
    return Cells(keys, rows, sums, exact)
