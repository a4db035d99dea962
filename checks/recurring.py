"""The same keys in every window: which come and go, and by how much the value of each changes from one window to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from checks import limits
from checks.keyed import Keyed
from checks.once import once

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Places = NDArray[np.int64]

SAME = 0.8
"""The share of its keys that a table has in common with the window before, mostly, from which on they are told to recur."""
FEWEST = 3
"""Pairs of windows that tell whether they do."""
NEAR = 3
"""The last windows, of which a value must be off: what is again as it was before a bad window, or on Friday, did not change."""
OWN = 4
"""Changes of a key that tell what is usual for it."""
EVERY = 4
"""Of so many windows one tells what a key usually holds."""
LARGEST = 8e307
"""What is larger counts as this, so that no difference overflows."""


def recurs(answers: Sequence[object]) -> bool | None:
    """Whether keys mostly are those of the window before; None while too few windows tell."""
    known = [answer for answer in answers if isinstance(answer, Keyed)]
    if len(known) <= FEWEST:
        return None
    return sorted(shares(known))[(len(known) - 1) // 2] >= SAME


def _shares(answers: Sequence[Keyed]) -> list[float]:
    return [max(answers[n].common(before) for before in answers[max(n - NEAR, 0) : n]) for n in range(1, len(answers))]


shares = once(_shares)
"""The share of keys that each window has in common with one of those just before it, the most."""


def _places(answers: Sequence[Keyed]) -> list[Places]:
    return [answer.places(answers[-1].hashes) for answer in answers]


places = once(_places)
"""Where the keys of the last window stand in each."""


@dataclass(frozen=True)
class Moves:
    """How the values of the last window's keys changed, pairs of windows x keys, the last pair last.

    `known`: both windows have a value; `changed` and `fell` are what became of it. `sizes` says by how much: on the asinh scale of
    what the key usually holds, so 1 is from that to 3.2 times as much. What is again what it was lately did not change.
    """

    known: Flags
    changed: Flags
    fell: Flags
    sizes: Array

    @classmethod
    def of(cls, answers: Sequence[Keyed], column: str, unlike: Sequence[int] = ()) -> Moves:
        """Of windows, oldest first; at least two. `unlike` are the places of those that held another kind of values."""
        import numpy as np

        found = [answer.at(at, column) for answer, at in zip(answers, places(answers), strict=True)]
        values = np.stack(found)
        values[list(unlike)] = np.nan
        values = np.where(np.isinf(values), np.nan, np.clip(values, -LARGEST, LARGEST))
        step = np.diff(values, axis=0)
        known = np.isfinite(step)
        usual = limits.median(np.abs(values[::-EVERY]))
        with np.errstate(over="ignore"):
            on = np.arcsinh(np.clip(values / np.where(usual > 0, usual, middle(np.abs(values[-1]), 1.0)), -LARGEST, LARGEST))
        sizes = np.abs(np.diff(on, axis=0))
        for ago in range(2, min(NEAR, len(on) - 1) + 1):
            sizes[ago - 1 :] = np.fmin(sizes[ago - 1 :], np.abs(on[ago:] - on[:-ago]))
        changed = known & (sizes > 0)
        return cls(known, changed, changed & (step < 0), np.where(known, sizes, 0.0))

    @cached_property
    def rows(self) -> Array:
        """How many keys are known to both windows of each pair."""
        found: Array = self.known.sum(axis=1).astype(float)
        return found

    @cached_property
    def moved(self) -> Array:
        """How many of them changed."""
        found: Array = self.changed.sum(axis=1).astype(float)
        return found

    @cached_property
    def in_usual_ones(self) -> Array:
        """The sizes in units of what is usual for the key, or for the column where that is more; by the pairs before the last.

        Of a key that is new, or seldom changed, nothing is known: its changes may be as large as a tenth of all are.
        """
        import numpy as np

        moved = self.sizes[:-1] > 0
        past = np.where(moved, self.sizes[:-1], np.nan)
        some = past[moved]
        usual, large = np.quantile(some, (0.5, 0.9)) if len(some) else (1.0, 1.0)
        own = np.where(moved.sum(axis=0) >= OWN, np.nan_to_num(limits.median(past)), large)
        found: Array = self.sizes / np.maximum(own, usual)
        return found


def middle(sizes: Array, otherwise: float) -> float:
    """The median of those above zero."""
    import numpy as np

    some = sizes[sizes > 0]
    return float(np.median(some)) if len(some) else otherwise
