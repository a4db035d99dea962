"""The numbers that decide when trouble is told: how often, how long, how fresh. Data for the pure machines beside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

REMEMBERED = 12
"""Verdicts that a problem remembers, and among which its turns are counted."""


@dataclass(frozen=True)
class Rules:
    """`bad` of the last `of` weak learned findings open a problem, `close_after` passes in a row end it.

    `reopen_within`: what begins again this soon, or within two evaluations, opens its last incident again. A problem flaps from
    `flapping_at` turns between good and bad among its last 12 verdicts, or from `reopens` reopenings in a day, until no more
    than `steady_at` are left. Windows that ended longer than `page_within` ago tell nothing by themselves.
    """

    bad: int = 2
    of: int = 3
    close_after: int = 2
    reopen_within: timedelta = timedelta(hours=2)
    page_within: timedelta = timedelta(hours=6)
    flapping_at: int = 4
    steady_at: int = 1
    reopens: int = 3


RULES = Rules()
