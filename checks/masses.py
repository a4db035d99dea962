"""Distributions laid out over common places, which is what distances are computed from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from checks.histogram import Histogram
from checks.profile import Counts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True)
class Masses:
    """Rows per place, the places shared with what it is compared with.

    For numbers the places are buckets in rising order, from `lower` to `upper`; `sums` are those of the values there, and
    `exact` says that all rows of a place hold one value. All of them, and `low` and `high` (the smallest and largest value),
    are less `origin`. For categories the places are values, and what is not named comes last.
    """

    rows: Array
    sums: Array | None = None
    lower: Array | None = None
    upper: Array | None = None
    exact: NDArray[np.bool_] | None = None
    origin: float = 0.0
    low: float | None = None
    high: float | None = None
    places: tuple[str, ...] = ()

    @property
    def total(self) -> float:
        return float(self.rows.sum())


def aligned(answers: Sequence[Histogram] | Sequence[Counts]) -> list[Masses]:
    """The answers over common places, in the same order. Histograms are brought onto the first one's grid.

    A value that some answer may hold among its `other` is put with the others everywhere: it is not claimed to differ.
    """
    histograms = [a for a in answers if isinstance(a, Histogram)]
    if histograms:
        return _on_one_grid(histograms)
    places, rows = by_value([a for a in answers if isinstance(a, Counts)])
    return [Masses(row, places=places) for row in rows]


def _on_one_grid(histograms: Sequence[Histogram]) -> list[Masses]:
    import numpy as np

    grid = histograms[0].grid
    origin = grid.center
    cells = [h.cells_on(grid) for h in histograms]
    keys = np.unique(np.concatenate([c.keys for c in cells]))
    lower, upper = grid.edges(keys)
    order = np.lexsort((upper, lower))
    place = np.empty(len(keys), dtype=np.int64)
    place[order] = np.arange(len(keys))
    found = []
    for h, c in zip(histograms, cells, strict=True):
        at = place[np.searchsorted(keys, c.keys)]
        rows, sums, exact = np.zeros(len(keys)), np.zeros(len(keys)), np.ones(len(keys), dtype=bool)
        rows[at], sums[at], exact[at] = c.rows, c.sums, c.exact
        low, high = (None if end is None else float(end - origin) for end in (h.low, h.high))
        found.append(Masses(rows, sums, lower[order], upper[order], exact, float(origin), low, high))
    return found


def by_value(counts: Sequence[Counts]) -> tuple[tuple[str, ...], Array]:
    """The values that all of the answers tell apart, and their rows, answers x values; what is not named comes last. See
    `aligned`."""
    import numpy as np

    named = frozenset[str]().union(*_names(counts)).intersection(*_names([c for c in counts if c.other]))
    places = tuple(sorted(named))
    rows = np.zeros((len(counts), len(places) + 1))
    rows[:, :-1] = np.concatenate([c.rows(places) for c in counts]).reshape(len(counts), len(places))
    rows[:, -1] = [c.total for c in counts] - rows.sum(axis=1)
    return places, rows


def _names(counts: Sequence[Counts]) -> Iterable[frozenset[str]]:
    """The sets of values; many windows mostly have the very same one, which is told once."""
    return {id(named): named for named in (c.names for c in counts)}.values()


def pooled(masses: Sequence[Masses]) -> Masses:
    """Aligned masses as one; at least one must be given."""
    import numpy as np

    first = masses[0]
    rows = np.sum([m.rows for m in masses], axis=0)
    if first.sums is None:
        return Masses(rows, places=first.places)
    sums = np.sum([m.sums for m in masses if m.sums is not None], axis=0)
    lows, highs = [m.low for m in masses if m.low is not None], [m.high for m in masses if m.high is not None]
    return Masses(
        rows,
        sums,
        first.lower,
        first.upper,
        _all_one(masses, rows, sums),
        first.origin,
        min(lows, default=None),
        max(highs, default=None),
    )


def _all_one(masses: Sequence[Masses], rows: Array, sums: Array) -> NDArray[np.bool_]:
    """Where every side holds the same single value."""
    import numpy as np

    found = np.ones(len(rows), dtype=bool)
    mean = sums / np.maximum(rows, 1.0)
    for m in masses:
        if m.exact is not None and m.sums is not None:
            own = m.sums / np.maximum(m.rows, 1.0)
            found &= m.exact & ((m.rows == 0) | (np.abs(own - mean) <= 1e-9 * np.abs(mean)))
    return found
