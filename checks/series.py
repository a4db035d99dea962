"""What was measured on earlier windows: one number of each, oldest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, overload

from checks.window import Window

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured on one earlier window."""

    window: Window
    value: float
    rows: int


@dataclass(frozen=True, slots=True, eq=False)
class Series(Sequence[Point]):
    """The points of many windows as arrays: a wide table has some thousand numbers with ninety windows each."""

    windows: tuple[Window, ...]
    values: Array
    rows: Array

    @classmethod
    def of(cls, points: Sequence[Point]) -> Series:
        if isinstance(points, Series):
            return points
        return cls.made([p.window for p in points], [p.value for p in points], [p.rows for p in points])

    @classmethod
    def made(cls, windows: Sequence[Window], values: Sequence[float], rows: Sequence[int]) -> Series:
        import numpy as np

        return cls(tuple(windows), np.array(values, dtype=np.float64), np.array(rows, dtype=np.float64))

    def known(self) -> Series:
        """Where it was a number."""
        import numpy as np

        finite = np.isfinite(self.values)
        if finite.all():
            return self
        kept = tuple(window for window, is_known in zip(self.windows, finite.tolist(), strict=True) if is_known)
        return Series(kept, self.values[finite], self.rows[finite])

    def starts(self) -> tuple[datetime, ...]:
        return tuple(window.start for window in self.windows)

    def __len__(self) -> int:
        return len(self.windows)

    def __iter__(self) -> Iterator[Point]:
        for window, value, rows in zip(self.windows, self.values.tolist(), self.rows.tolist(), strict=True):
            yield Point(window, value, int(rows))

    @overload
    def __getitem__(self, at: int) -> Point: ...
    @overload
    def __getitem__(self, at: slice) -> Series: ...
    def __getitem__(self, at: int | slice) -> Point | Series:
        if isinstance(at, slice):
            return Series(self.windows[at], self.values[at], self.rows[at])
        return Point(self.windows[at], float(self.values[at]), int(self.rows[at]))


def at(places: Sequence[int], many: Sequence[Series]) -> list[Series]:
    """These places of series that are of the same windows."""
    windows, places = tuple(many[0].windows[place] for place in places), list(places)
    return [Series(windows, one.values[places], one.rows[places]) for one in many]
