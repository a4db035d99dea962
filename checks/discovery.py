"""Many numbers at once: the more are looked at, the further out a lone one must be (Benjamini and Hochberg 1995).

What belongs together, the numbers of one column of one segment, is one finding at most: it moves together, and counted one by one
it would vouch for itself.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from checks import control, limits
from checks.result import HIGHEST_SCORE, Result

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from checks.judging import Together, Weighed

    Array = NDArray[np.float64]
    Places = NDArray[np.int64]

FALL = math.log((1 - limits.TAIL) / limits.RARE)
"""By how much the logarithm of the probability falls over one limit, as limits are drawn out: slower than any bell shape."""
OFTEN = 1 / 90
"""The share of windows that may be false alarms where the dataset has no budget."""
WIDEST = 3.0
"""Limits are not widened more than this: what is plainly broken is told of the most restless segments."""


@dataclass(frozen=True)
class Judged:
    """So many `numbers`, in groups: how far out the furthest of each group is (`outs`), and how far out it was in each window of
    the history (`record`, windows x groups), in limits that no record widened."""

    numbers: int
    outs: Array
    record: Array


def gathered(weighed: Iterable[tuple[Hashable, float, Weighed]], results: Iterable[tuple[Hashable, Result]] = ()) -> Judged:
    """What is known of each number before limits are widened, with the group that it belongs to and what people multiplied its
    limits by; and the learned verdicts that were made at once."""
    import numpy as np

    groups: dict[Hashable, int] = {}
    alike: dict[int, tuple[Together, list[tuple[int, int, float]]]] = {}
    numbers = 0
    for group, wide, one in weighed:
        numbers += 1
        at = groups.setdefault(group, len(groups))
        alike.setdefault(id(one.among), (one.among, []))[1].append((at, one.place, wide))
    made = [(groups.setdefault(group, len(groups)), result) for group, result in results]
    starts = sorted({start for among, _ in alike.values() for start in among.starts} | {s for _, r in made for s, _ in r.record})
    rows = {start: row for row, start in enumerate(starts)}
    found = Judged(numbers + len(made), np.zeros(len(groups)), np.zeros((len(starts), len(groups))))
    for among, some in alike.values():
        _add(found, among, np.array(sorted(some)), [rows[start] for start in among.starts])
    for at, result in made:
        found.outs[at] = max(found.outs[at], result.score or 0.0)
        for start, out in result.record:
            found.record[rows[start], at] = max(found.record[rows[start], at], out)
    return found


def _add(found: Judged, among: Together, some: Array, rows: list[int]) -> None:
    """The numbers that were weighed together: `some` are group, place and width of each, by group."""
    import numpy as np

    at, places, wide = some[:, 0].astype(int), some[:, 1].astype(int), some[:, 2]
    first = np.flatnonzero(np.diff(at, prepend=-1))
    groups = at[first]
    outs = np.minimum(among.off[:, places].min(axis=0) / wide, HIGHEST_SCORE)
    found.outs[groups] = np.maximum(found.outs[groups], np.maximum.reduceat(outs, first))
    here = np.maximum.reduceat(among.record[:, places] / wide, first, axis=1)
    there = np.ix_(np.array(rows), groups)
    found.record[there] = np.maximum(found.record[there], here)


def allowance(judged: Judged, share: float | None = None) -> float:
    """By what the limits of all these numbers must be widened, 1 to 3.

    As many groups as are told must be so far out that no more than `share` of them is to be expected by chance among all numbers,
    and that in no more than this share of the windows of the history as many were. The most that can be told so are told.
    """
    import numpy as np

    if not judged.outs.size:
        return 1.0
    share = OFTEN if share is None else share
    needed = np.clip(np.maximum(_by_chance(judged, share), _by_record(judged, share)), 1.0, WIDEST)
    told = np.flatnonzero(np.sort(judged.outs)[::-1] > needed)
    return float(needed[told[-1] if told.size else 0])


def _by_chance(judged: Judged, share: float) -> Array:
    """How far out one, two, ... groups must be, as the limits' own tails say."""
    import numpy as np

    return np.asarray(1 + np.log(judged.numbers * limits.RARE / (share * np.arange(1, judged.outs.size + 1))) / FALL)


def _by_record(judged: Judged, share: float) -> Array:
    """The same by how far out one, two, ... groups were in the windows of the history."""
    import numpy as np

    if len(judged.record) < control.FEWEST:
        return np.ones(judged.outs.size)
    # What was further out than what pages was broken, and says nothing of what chance does.
    record = np.minimum(judged.record, limits.PAGE)
    return control.drawn_out(-np.sort(-record, axis=1), share)
