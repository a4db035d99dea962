"""A number that always grows, in a table with holidays: the windows after a holiday are as far beyond the last ones as any."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from checks.base import Past, View
from checks.grid import Grid
from checks.histogram import Cells, Histogram
from checks.numbers import Numbers
from checks.pending import judged
from checks.result import Result, Status
from tests.test_holidays import DAYS, THANKSGIVING, WINDOWS

SCHEMA = {"id": "int64"}
ROWS = 1000
GRID = Grid((THANKSGIVING - 14.0) * ROWS, 100.0 * ROWS)
"""Fine where the last windows lie."""


@cache
def ids(day: int) -> dict[str, Any]:
    """The next thousand numbers of a sequence."""
    values = np.arange(day * ROWS, (day + 1) * ROWS, dtype=np.float64)
    keys = GRID.keys(values)
    cells = [(int(k), int((keys == k).sum()), float((values[keys == k] - GRID.center).sum()), False) for k in np.unique(keys)]
    return {"distribution(id)": Histogram({GRID: Cells.of(cells)}, low=float(values[0]), high=float(values[-1]))}


def verdict(place: int, now: int) -> Result:
    past = [Past(WINDOWS[day], ROWS, ids(day), SCHEMA) for day in range(place - 90, place)]
    at = WINDOWS[place]
    [found] = judged(Numbers(column="id"), View(at, at.end, ROWS, SCHEMA, ids(now), history=past, days=DAYS))
    return found


def test_a_sequence_that_goes_on_is_no_finding_on_a_holiday_nor_after_it() -> None:
    found = [verdict(place, place) for place in range(THANKSGIVING - 1, THANKSGIVING + 6)]
    assert not [(one.severity, one.message) for one in found if one.status is Status.FAILED]


def test_a_sequence_that_begins_anew_is_told_after_a_holiday() -> None:
    assert verdict(THANKSGIVING + 3, 0).status is Status.FAILED
