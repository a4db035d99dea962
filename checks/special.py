"""Days that are no example of others: holidays, bridging days and the days after; and what such a day may be like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from checks import gradual, learned
from checks.forecast import ALIKE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from checks.judging import Side
    from checks.window import Window

    Array = NDArray[np.float64]

Kind = Literal["holiday", "bridging day", "day after"]
PHRASES: Mapping[Kind, str] = {
    "holiday": "on a holiday",
    "bridging day": "on a day that bridges a holiday and a weekend",
    "day after": "on the day after a holiday",
}
LIKE: Mapping[Kind, frozenset[Kind]] = {
    "holiday": frozenset({"holiday", "bridging day"}),
    "bridging day": frozenset({"holiday", "bridging day", "day after"}),
    "day after": frozenset({"bridging day", "day after"}),
}
"""Which earlier days such a day may be like."""
FEWEST = 14
"""Ordinary windows below which special ones count as well: of two weeks each day but a holiday is known twice."""
BETWEEN = "ordinary days, days of rest and earlier holidays"


@dataclass(frozen=True, slots=True)
class Special:
    """What sort of day it is, of which holiday, and the weekday of rest (0 is Monday) where it is kept."""

    kind: Kind
    name: str
    rest: int = 6

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"

    @property
    def words(self) -> str:
        """` on a holiday (Thanksgiving)`."""
        return f" {PHRASES[self.kind]} ({self.name})"


Specials = Mapping[datetime, Special]
"""By the start of a window of that day, or within it."""


def ordinary(windows: Sequence[Window], window: Window, days: Specials) -> list[int]:
    """The places of the windows that are examples of ordinary days; all, where the rest would be too few to judge by."""
    every = range(len(windows))
    if not days:
        return list(every)
    found = [place for place in every if windows[place].start not in days]
    lately = sum(place >= len(windows) - learned.LONGEST for place in found)
    known = lately >= FEWEST or learned.alike([windows[place] for place in found], window)[1]
    return found if known and len(found) >= FEWEST else list(every)


def side(values: Array, windows: Sequence[Window], window: Window, days: Specials, sides: Sequence[Side]) -> Side:
    """What a special day may be: all from the lowest to the highest of what is expected of an ordinary day, usual on days of rest
    and was there on earlier days of its sort, give or take what any day may be off. They are too few to learn a limit from.

    `values` (windows x numbers, on their scales) are those of all `windows`; `sides` the forecasts of ordinary days.
    """
    import numpy as np

    this, any_day = days[window.start], sides[0]
    whole = window.length >= gradual.SHORTEST
    alike = [place for place, one in enumerate(windows) if whole or learned.key(one) == learned.key(window)]
    earlier = [place for place in alike if (day := days.get(windows[place].start)) and day.kind in LIKE[this.kind]]
    rest = [n for n in alike if windows[n].start not in days and windows[n].local_start.weekday() == this.rest]
    like = [*(one.centre for one in sides), *values[earlier]]
    if rest:
        like.append(np.sort(values[rest], axis=0)[(len(rest) - 1) // 2])
    low, high = np.min(like, axis=0), np.max(like, axis=0)
    limit = any_day.limit + (high - low) / 2 / any_day.spread
    unknown = np.full_like(any_day.sizes, np.nan)
    return replace(any_day, names=[BETWEEN] * len(low), centre=(low + high) / 2, limit=limit, sizes=unknown)


def filled(values: Array, windows: Sequence[Window], kept: Sequence[int]) -> Array:
    """The values of all `windows` (and of one more, the judged one), those that are not `kept` replaced by what the nearest windows
    like them were: seven windows in a row are a whole week only while none is missing."""
    import numpy as np

    found, keys, examples = values.copy(), learned.keys(windows), frozenset(kept)
    for place in range(len(windows)):
        if place not in examples:
            like = [n for n in kept if keys[n] == keys[place]] or kept
            nearest = sorted(like, key=lambda n: abs(n - place))[:ALIKE]
            found[place] = np.sort(values[nearest], axis=0)[(len(nearest) - 1) // 2]
    return found
