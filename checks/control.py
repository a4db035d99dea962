"""The table as a whole: its own record of alarms is part of its bounds."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from checks.learned import Record, together

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

Sensitivity = Literal["low", "normal", "high"]
WIDTHS: dict[Sensitivity, float] = {"low": 1.5, "normal": 1.0, "high": 0.75}
"""What learned limits are multiplied by."""
WIDEST = 1.5
"""No record of alarms widens limits more than this, unless a budget asks for it."""
WIDEST_BUDGET = 5.0
"""Nor does a budget more than this: a table that is so restless is better told what is usual."""
TABLE = "table"
"""Under which name the table's own record widens."""
SEGMENTS = "segments"
"""Under which name that of its segments does."""
RECORDS = frozenset({TABLE, SEGMENTS})
FORGIVEN = 1
"""Windows of the history that may have been further out than the limits."""
FEWEST = 8
"""Windows of a record from which its tail can be told."""
TAIL = 0.8
"""The quantile of a record above which it is taken to fall off exponentially."""
OWN = 1.1
"""How much further out the next window is than those whose errors the limits are made of (measured: 300 heavy-tailed numbers)."""
PERIODS = {"day": 1.0, "week": 7.0, "month": 365 / 12, "quarter": 365 / 4, "year": 365.0}
"""Days."""


@dataclass(frozen=True)
class Budget:
    """How many windows of a table may be false alarms: so many per `day`, `week`, `month`, `quarter` or `year`."""

    alarms: int
    period: str

    @classmethod
    def read(cls, written: str) -> Budget:
        """From `1 per month`. Raises ValueError."""
        found = re.fullmatch(r"(\d{1,4}) per (\w+)", " ".join(written.split()))
        if not found or found[2] not in PERIODS:
            raise ValueError(f'{written!r} is no budget; write such as "1 per month" (day, week, month, quarter, year)')
        if int(found[1]) < 1:
            raise ValueError('a budget of none would never tell anything; write at least "1 per year"')
        return cls(int(found[1]), found[2])

    @property
    def per(self) -> timedelta:
        return timedelta(days=PERIODS[self.period])

    def share(self, every: timedelta) -> float:
        """Of windows this long, the share that may be false alarms."""
        return min(self.alarms * every / self.per, 1.0)

    def __str__(self) -> str:
        return f"{self.alarms} per {self.period}"


def allowance(records: Iterable[Record], forgiven: int = FORGIVEN) -> float:
    """By what the limits must be widened so that at most `forgiven` of the windows of the history had failed any; 1 to 1.5.

    With many columns some number is always at its limit: this holds the number of alarms steady with 5 columns and with 500.
    """
    record = together(list(records))
    if len(record) <= forgiven:
        return 1.0
    outs = sorted((out for _, out in record), reverse=True)
    return min(max(outs[forgiven], 1.0), WIDEST)


def for_budget(records: Iterable[Record], share: float) -> float:
    """By what the limits must be widened so that no more than this share of windows fails any; 1 to 5.

    The furthest out that each window of the history was, over all numbers, is one record, whose tail is drawn out to that
    share: the same with 5 columns and with 500, and for windows so short that the history holds none to spare.
    """
    outs = [[out] for _, out in together(list(records))]
    return min(max(float(drawn_out(outs, share)[0]), 1.0), WIDEST_BUDGET) if len(outs) >= FEWEST else 1.0


def drawn_out(outs: ArrayLike, share: float) -> Array:
    """How far out no more than this share of windows are to be expected, per number; `outs` is windows x numbers, at least 8."""
    import numpy as np

    ordered = np.sort(np.asarray(outs, dtype=np.float64), axis=0)
    if share >= 1 - TAIL:
        return np.asarray(ordered[int((1 - share) * (len(ordered) - 1))] * OWN)
    at = int(TAIL * len(ordered))
    beyond = ordered[at + 1 :] if len(ordered) > at + 1 else ordered[at:]
    mean = (beyond - ordered[at]).mean(axis=0)
    return np.asarray((ordered[at] + mean * math.log((1 - TAIL) / share)) * OWN)
