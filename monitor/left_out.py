"""Windows that were never measured and will not be: a finding of the first window after them."""

from __future__ import annotations

from datetime import datetime

from checks.result import HIGHEST_SCORE, Bounds, Family, Result, Severity, Status
from checks.window import Window
from monitor.dataset import Dataset
from monitor.durations import words

LEFT_OUT = "left_out"
MOST = 10_000
"""Windows that are counted one by one."""


def left_out_of(dataset: Dataset) -> str:
    """The id under which it is told; each lane has its own."""
    return LEFT_OUT if dataset.lane == "live" else f"{LEFT_OUT}({dataset.lane})"


def left_out(dataset: Dataset, last_end: datetime | None, window: Window) -> Result | None:
    """What to say with `window` of the windows between it and the last one before it, which ended at `last_end`.

    None where there are none, and for a dataset's first window: nothing was promised of what came before.
    """
    if last_end is None or last_end >= window.start:
        return None
    skipped = list(dataset.calendar.closed(last_end, window.start, MOST))
    if not skipped:
        return None
    count = f"{MOST} or more" if len(skipped) == MOST else str(len(skipped))
    first, after = (f"{at:%Y-%m-%dT%H:%M}" for at in (skipped[0].local_start, window.local_start))
    check = left_out_of(dataset)
    message = (
        f"{check}: {count} window{'s' * (len(skipped) > 1)} from {first} to {after} will not be measured: older than catchup "
        f"({words(dataset.catchup)}); datavigil backfill {dataset.name} --from {first} --to {after} would do it"
    )
    return Result(
        check,
        LEFT_OUT,
        Family.ARRIVAL,
        Status.FAILED,
        message,
        value=float(len(skipped)),
        bounds=Bounds(at_most=0.0),
        score=min(float(len(skipped)), HIGHEST_SCORE),
        severity=Severity.WARNING,
    )
