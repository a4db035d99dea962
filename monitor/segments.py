"""The segments of a window that a check is asked of: those with rows, and those that have none now and had some lately."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from checks.base import Check
from checks.profile import Number, Profile
from checks.question import Schema
from checks.result import Family, Result, Status
from monitor.dataset import Dataset

OTHER, MISSING, UNREADABLE = "(other)", "(missing)", "(unreadable)"
"""What is no value of the column: the rows of all values but the largest, those without one, and a column that cannot be read."""
LATELY = 28
"""Windows; a segment with rows in half of them is missed when it has none."""


def columns(check: Check, dataset: Dataset) -> tuple[str, ...]:
    """The columns that the check is cut by."""
    if not check.takes_segments:
        return ()
    return dataset.segments if check.segments is None else check.segments


def of(check: Check, dataset: Dataset, profile: Profile, history: Sequence[Profile]) -> list[str | None]:
    """The whole window (None) and its segments: `country=DE`, ...; `history` are the last `LATELY` windows."""
    found: list[str | None] = [None]
    for by in columns(check, dataset):
        here = profile.segments(check.where, by)
        found += here
        if check.takes_absent and here and named(by, here):
            found += _absent(check, by, here, history)
    return found


def _absent(check: Check, by: str, here: Iterable[str], history: Sequence[Profile]) -> list[str]:
    seen = Counter(segment for past in history for segment in past.segments(check.where, by))
    nobody = {f"{by}={name}" for name in (OTHER, MISSING, UNREADABLE)}
    return sorted(s for s, windows in seen.items() if 2 * windows >= len(history) and s not in nobody and s not in set(here))


def named(by: str, segments: Iterable[str]) -> bool:
    """Every value with rows has a segment of its own, so that one which is not there has none."""
    return not {f"{by}={OTHER}", f"{by}={UNREADABLE}"} & set(segments)


def rows(profile: Profile, check: Check, segment: str | None) -> int | None:
    """Rows of that part of the window; None where it was not measured then (a check added since, a segment that was not there)."""
    answer = profile.answers(check.where, segment).get("rows")
    if isinstance(answer, Number):
        return int(answer.value or 0)
    if segment and answer is None and check.takes_absent:
        by = segment.partition("=")[0]
        there = profile.segments(check.where, by)
        return 0 if there and named(by, there) else None
    return None


def not_there(dataset: Dataset, checks: Iterable[Check], schema: Schema) -> Iterable[Result]:
    """A column to segment by that is not there: else its checks would fall silent."""
    for by in dict.fromkeys(by for check in checks for by in columns(check, dataset)):
        if by not in schema:
            said = f"segments: there is no column {by} (there are: {', '.join(schema)})"
            yield Result("segments", "segments", Family.LAYOUT, Status.ERRORED, said, by)
