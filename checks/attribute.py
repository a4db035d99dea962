"""Columns that hold one value per window: a flag of the day, the version of a model, the name of a batch.

Such a value says something of the window, not of its rows: a window is one observation of it, however many rows it has. What was
there once in ninety windows is rare, not odd, and no number of rows makes it odder.
"""

from __future__ import annotations

from collections.abc import Sequence

from checks.histogram import Histogram
from checks.profile import Counts

FEWEST_ROWS = 5
"""Below it any window may hold one value by chance."""
MOSTLY = 0.9
"""The share of windows that hold one value each, from which on the column is such a one."""


def was_there(now: Histogram | Counts, past: Sequence[Histogram | Counts]) -> bool:
    """Whether the column holds one value in each window, and this one's was there before."""
    value = _single(now)
    if value is None:
        return False
    held = [_single(answer) for answer in past]
    return value in held and sum(one is not None for one in held) >= MOSTLY * len(held)


def _single(answer: Histogram | Counts) -> str | float | None:
    """The only value of a window, if it holds one alone."""
    if isinstance(answer, Counts):
        return next(iter(answer.counts)) if len(answer.counts) == 1 and not answer.other and answer.total >= FEWEST_ROWS else None
    return answer.low if answer.low is not None and answer.low == answer.high and answer.finite >= FEWEST_ROWS else None
