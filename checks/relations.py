"""Which columns go together: numbers whose changes one or two others explain, and whose fault it is where that no longer holds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from checks import learned, limits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from checks.window import Window

    Array = NDArray[np.float64]

Place = tuple[str, str]
"""What of which column: its mean, or the share that is missing."""
FEWEST_CHANGES = 28
"""Changes that the same is said of, each of another day."""
TINY = 1e-9
"""Of the middle value: less is the rounding of a sum."""
LATELY = 28
"""Windows that say where a column is now."""
MOSTLY = 0.75
"""The share of a number's variance that the columns it goes with must explain."""
MORE = 0.05
"""What a second column must explain beyond the first."""
ALIKE = 0.5
"""The correlation below which a column is no candidate."""
CLIP = 4.0
"""Spreads at which a change counts no further: one bad day must not make two columns friends."""
BROKEN = 5.0
"""Spreads from which on a relation does not hold."""
FAR, NEAR = 8.0, 3.0
"""Spreads: where another column is further out than the first and this one is not beyond the second, the fault is the other's."""
TIMES = 3.0
"""So many times further out than this one is another that this one explains as well: of the two, the fault is the other's."""


@dataclass(frozen=True)
class Relation:
    """A number, by its place, and the one or two others that explain it, with how much it moves with each."""

    place: int
    others: Sequence[int]
    slopes: Array


@dataclass(frozen=True)
class Moves:
    """Numbers of a history and of the judged window, which comes last: windows x numbers. `changes` are those from the last window
    that was alike (the same weekday or hour; where none is, the one before), NaN where there was none; `spread` how large they
    mostly are. Of the history alone."""

    names: Sequence[Place]
    values: Array
    changes: Array
    spread: Array

    @classmethod
    def of(cls, names: Sequence[Place], values: Array, windows: Sequence[Window]) -> Moves:
        """Without what mostly stands still: that goes with nothing."""
        import numpy as np

        before = _alike_before(learned.keys(windows[:-1]))
        at = [place for place, earlier in enumerate(before) if earlier >= 0]
        days = len({windows[place].local_start.date() for place in at})
        if not names or days < FEWEST_CHANGES:
            # Of the hours of a few days all changes are those of one or two nights.
            return cls([], values[:, :0], values[:0, :0], values[0, :0])
        with np.errstate(all="ignore"):
            changes = values[at] - values[[before[place] for place in at]]
            enough = np.isfinite(changes).sum(axis=0) >= FEWEST_CHANGES
            spread = np.where(enough, 1.4826 * limits.median(np.abs(changes)), math.nan)
            kept = np.flatnonzero(np.isfinite(spread) & (spread > TINY * limits.median(np.abs(values)))).tolist()
        return cls([names[place] for place in kept], values[:, kept], changes[:, kept], spread[kept])

    @cached_property
    def out(self) -> Array:
        """How far each number of the judged window is from where it lately was, in spreads of its own."""
        import numpy as np

        near = self.values[-LATELY - 1 : -1]
        with np.errstate(all="ignore"):
            middle = limits.median(near)
            found = np.abs(self.values[-1] - middle) / np.maximum(1.4826 * limits.median(np.abs(near - middle)), 1e-300)
        return np.asarray(np.nan_to_num(found))

    @cached_property
    def alike(self) -> Array:
        """The correlation of the changes of every two numbers of one sort; 0 with itself."""
        import numpy as np

        with np.errstate(all="ignore"):
            z = np.nan_to_num(np.clip(self.changes / self.spread, -CLIP, CLIP))
            sizes = np.sqrt((z * z).sum(axis=0))
            found = (z.T @ z) / np.maximum(np.outer(sizes, sizes), 1e-300)
        # What is missing goes with what is missing, values with values.
        kinds = np.array([what for what, _ in self.names])
        found[kinds[:, None] != kinds[None, :]] = 0.0
        np.fill_diagonal(found, 0.0)
        return np.asarray(found)

    def relations(self) -> list[Relation]:
        """Of each number that others explain; where one is in most of those that do not hold now, the others' without it."""
        import numpy as np

        if len(self.names) < 2:
            return []
        places = np.flatnonzero(np.abs(self.alike).max(axis=0) >= ALIKE).tolist()
        found = [one for place in places if (one := self._relation(place)) is not None]
        broken = [one for one in found if self._rest(one) > BROKEN]
        suspect = _in_most([{one.place, *one.others} for one in broken])
        if suspect not in {one.place for one in broken}:
            return found
        again = [self._relation(one.place, suspect) if suspect in one.others else one for one in found]
        return [one for one in again if one is not None]

    def own_fault(self) -> list[Relation]:
        """The relations, less those of which another number is further from where it always is: what parted them is its fault."""
        found = self.relations()
        broken = {(one.place, other) for one in found if self._rest(one) > BROKEN for other in one.others}
        return [one for one in found if not any(self._fault_of(other, one, (other, one.place) in broken) for other in one.others)]

    def _fault_of(self, other: int, one: Relation, told: bool) -> bool:
        """`told`: the other number's own relation, with this one in it, holds no longer either."""
        far, near = self.out[other], self.out[one.place]
        return bool((far > FAR and near <= NEAR) or (told and far > TIMES * max(near, 1.0)))

    def given(self, one: Relation) -> Array:
        """What the number would have been in every window with what the others are now."""
        import numpy as np

        others = self.values[:, list(one.others)]
        with np.errstate(all="ignore"):
            return np.asarray(self.values[:, one.place] + (others[-1] - others) @ one.slopes)

    def _rest(self, one: Relation) -> float:
        """How far from all before it is, in spreads of what is left of it."""
        import numpy as np

        given = self.given(one)[:, None]
        with np.errstate(all="ignore"):
            middle = limits.median(given[:-1])
            spread = 1.4826 * limits.median(np.abs(given[:-1] - middle)) + TINY * self.spread[one.place]
            return float(np.nan_to_num(np.abs(given[-1] - middle) / spread)[0])

    def _relation(self, place: int, without: int | None = None) -> Relation | None:
        """By least squares over the windows that were no outliers; None where too much of the number's variance is left."""
        import numpy as np

        others = self._explaining(place, without)
        with np.errstate(all="ignore"):
            z = self.changes[:, [place, *others]] / self.spread[[place, *others]]
        z = z[(np.abs(z) <= CLIP).all(axis=1)]
        if len(z) < FEWEST_CHANGES:
            return None
        y, x = z[:, 0], z[:, 1:]
        slopes = np.asarray(np.linalg.lstsq(x, y, rcond=1e-6)[0], dtype=np.float64)
        left = y - x @ slopes
        if not left @ left <= (1 - MOSTLY) * (y @ y):
            return None
        return Relation(place, others, slopes * self.spread[place] / self.spread[others])

    def _explaining(self, place: int, without: int | None) -> list[int]:
        """The number that goes with this one most, and the one that explains most of what the first leaves, where that is much."""
        import numpy as np

        alike = self.alike[:, place].copy()
        if without is not None:
            alike[without] = 0.0
        first = int(np.abs(alike).argmax())
        with_first = self.alike[:, first]
        more = np.square(alike - alike[first] * with_first) / np.maximum(1 - np.square(with_first), 1e-6)
        more[(alike == 0.0) | (np.arange(len(alike)) == first)] = 0.0
        second = int(more.argmax())
        return [first, second] if more[second] >= MORE else [first]


def _alike_before(keys: Sequence[int]) -> list[int]:
    """For each window the place of the last one before it of the same key; -1 for none."""
    last: dict[int, int] = {}
    found = []
    for place, key in enumerate(keys):
        found.append(last.get(key, -1))
        last[key] = place
    return found


def _in_most(broken: Sequence[set[int]]) -> int | None:
    """The number that is in more of these relations than any other; None where several are."""
    (first, most), (_, next_) = [*Counter(place for one in broken for place in one).most_common(2), (-1, 0), (-1, 0)][:2]
    return first if most > next_ else None
