"""What becomes of the same keys from one window to the next."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from pydantic import Field

from checks import learned
from checks.base import Check, Past, Table, View
from checks.learned import Series, Trace
from checks.pending import CannotJudge, NothingToJudge, Pending, Verdict
from checks.profile import Broken, Keyed
from checks.question import Keys, Question, Schema, column_kind
from checks.recurring import Moves, recurs, shares
from checks.result import HIGHEST_SCORE, Bounds, Family, Result, Severity, Status
from checks.scales import Scale
from checks.wording import amount

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from checks.pending import Usual
    from checks.window import Window

    Array = NDArray[np.float64]

FEWEST = 5
"""Keys known to two windows, below which nothing is said of a change."""
CELLS = 16_384
"""Values that are kept of a window at most, and so are fewer keys of a wide table."""
MOST, LEAST = 256, 32
"""Keys that are looked at."""
OFTEN = 20
"""Windows with a change from which on the size of changes can be learned."""
GROSS = 0.75
"""A change of that size is told where changes are too rare to learn from: to 2.5 times as much, to nothing, to the other sign."""
TIMES = 2.5
"""So many times the largest change that was there before is told, whatever the others were."""
SOME = 2
"""Gaps in the history as long as the one before the judged window, from which on it is usual."""
ROOM = 3.0
"""Keys, and roots of how many there are to be expected, by which a count may be off by chance."""


class Changes(Check):
    """What becomes of the same keys from one window to the next, for tables that hold the same rows again and again.

    Without `column`: the share of keys that came or went. With it: the share of keys whose value changed, of numbers also the share
    of changed ones that fell, and the largest and the mean change, in units of what is usual for the key. Always learned; the
    verdict is on what is furthest out. Judged where keys recur: where a window mostly has at least 80 % of them in common with the
    one before.
    """

    family = Family.DRIFT
    takes_segments = False

    key: tuple[str, ...] = Field(min_length=1, description="the columns that tell rows of a window apart, without its time")
    column: str | None = Field(None, description="the column to look at; default: the keys themselves")
    exclude: tuple[str, ...] = Field((), description="columns to leave alone")

    @property
    def watched(self) -> tuple[str, ...]:
        return (self.column,) if self.column else ()

    def questions(self, schema: Schema) -> Iterable[Question]:
        if all(column in schema for column in self.key):
            yield self._asked(schema)

    def _asked(self, schema: Schema) -> Keys:
        """The same for all columns, so that it is one question."""
        kinds = {"number", "boolean", "text"}
        values = tuple(c for c, type_ in schema.items() if column_kind(type_) in kinds and c not in {*self.key, *self.exclude})
        return Keys(self.key, values, max(min(MOST, CELLS // max(len(values), 1)), LEAST))

    def judge(self, view: View) -> Iterable[Verdict]:
        now = view.answers.get(Keys(self.key, ()).key)
        if isinstance(now, Broken):
            raise CannotJudge(now.reason)
        past = self._past(view)
        if not isinstance(now, Keyed) or not recurs([answer for _, answer in past]):
            raise NothingToJudge(f"{self.name}: the keys of {' and '.join(self.key)} are not known to recur")
        if not now.keys:
            raise NothingToJudge(f"{self.name}: no keys to judge in {view.rows} rows")
        if _after_a_gap(view.window, [one.window for one, _ in past]):
            raise NothingToJudge(f"{self.name}: the window before this one is not known, and what changes in more than one is not")
        answers = [*(answer for _, answer in past), now]
        if self.column is None:
            yield self.worst(view, [self._common(shares(answers), past, now)])
            return
        moves = Moves.of(answers, self.column, _of_another_kind(self.column, view, [one for one, _ in past]))
        if moves.rows[-1] < FEWEST:
            raise NothingToJudge(f"{self.name}: {moves.rows[-1]:.0f} keys with a value in both windows, {FEWEST} needed")
        numbers = column_kind(view.schema.get(self.column, "")) == "number"
        rare = int((moves.moved[:-1] > 0).sum()) < OFTEN
        gross = self._gross(view, moves, [one.window for one, _ in past[1:]], rare) if numbers and moves.moved[-1] else None
        traces = list(_traces(moves, [one for one, _ in past[1:]], numbers))
        yield gross or (Pending(traces, self._of_rare) if rare else self.worst(view, traces))

    def _past(self, view: View) -> list[tuple[Past, Keyed]]:
        found = []
        for past in view.history[-learned.LONGEST :]:
            answer = past.answers.get(Keys(self.key, ()).key)
            if isinstance(answer, Keyed) and answer.keys:
                found.append((past, answer))
        return found

    def _common(self, common: Sequence[float], past: Sequence[tuple[Past, Keyed]], now: Keyed) -> Trace:
        other, keys = [1 - share for share in common], max(len(now.keys), len(past[-1][1].keys))
        points = Series.made([one.window for one, _ in past[1:]], other[:-1], [len(answer.keys) for _, answer in past[1:]])
        least, title = by_chance(points.values, keys), "share of keys that came or went"
        return Trace(other[-1], points, keys, "share", upward=True, least=least, unit="share", title=title)

    def _of_rare(self, usual: Sequence[Usual], view: View) -> Result:
        """A first change of what hardly ever changed may be right: no more than a warning."""
        found = self._of_worst(usual, view)
        warning = self.severity or Severity.WARNING
        return replace(found, score=min(found.score or 0.0, 2.0), severity=warning if found.severity else None)

    def _gross(self, view: View, moves: Moves, past: Sequence[Window], rare: bool) -> Result | None:
        """The largest change against all that were there before: one bad value in a column may be like no other of its key."""
        import numpy as np

        before = int((moves.moved[:-1] > 0).sum())
        if len(moves.moved) <= learned.SETTLED:
            return None
        largest = (moves.sizes if rare else moves.in_usual_ones).max(axis=1)
        # The second, so that one past incident does not blind it; of a few, or where a month begins or ends, the first.
        first = rare or learned.month_edge(view.window)
        seen = float(np.sort(largest[:-1])[-1 if first else -2])
        # As far as a window that somebody expected, give or take what is usual.
        fine = max((size + seen for size, at in zip(largest, past, strict=False) if at.start in view.expected), default=0.0)
        allowed = float(max(TIMES * seen, fine, GROSS if rare else 0.0)) * view.allowance.people
        score = float(largest[-1]) / allowed
        if score <= 1:
            return None
        unit = "on the asinh scale of what the key usually holds" if rare else "times what is usual for the key"
        usual = f"usual: changes in {before} of {len(largest) - 1} windows, the largest {amount(seen, 'number')}"
        return self.result(
            Status.FAILED,
            f"{self._subject(self.column)}: the largest change of a key is {amount(float(largest[-1]), 'number')} {unit}, "
            f"at most {amount(allowed, 'number')} allowed ({usual})",
            view,
            value=float(largest[-1]),
            bounds=Bounds(at_most=allowed, learned=True, usual=usual),
            score=min(score, 2.0) if rare else min(score, HIGHEST_SCORE),
            severity=self.severity or (Severity.CRITICAL if score > 2 and not rare else Severity.WARNING),
            details={"judge": "gross change", "windows": len(largest) - 1, "changed": before, "largest": seen},
        )

    @classmethod
    def automatic(cls, table: Table) -> Iterable[Check]:
        if not table.key:
            return []
        about = [c for c in table.columns("number", "boolean", "text") if c not in (*table.key, table.time_column)]
        left_out = tuple(sorted(table.exclude))
        return [cls(key=table.key, column=column, exclude=left_out) for column in (None, *about)]


def _after_a_gap(window: Window, past: Sequence[Window]) -> bool:
    """Whether more time than usual went by since the last window: in two days there are more changes than in one. Each weekend is
    usual."""
    some = window.length / 2
    pause = window.start - past[-1].end
    return pause > some and sum(now.start - before.end > pause - some for before, now in pairwise(past)) < SOME


def _of_another_kind(column: str, view: View, past: Sequence[Past]) -> list[int]:
    """The places of windows in which the column held texts where it holds numbers now, or the other way round."""
    kind = column_kind(view.schema.get(column, ""))
    kinds = {type_: column_kind(type_) for type_ in {one.schema[column] for one in past if column in one.schema}}
    return [n for n, one in enumerate(past) if column in one.schema and kinds[one.schema[column]] != kind]


def _traces(moves: Moves, past: Sequence[Past], numbers: bool) -> Iterator[Trace]:
    """The numbers of a column's changes; of falls and sizes only among what changed, in windows where enough did."""
    import numpy as np

    windows = tuple(one.window for one in past)

    def trace(amounts: Array, rows: Array, title: str, scale: Scale) -> Trace:
        amounts, share = np.where(rows >= FEWEST, amounts, np.nan), scale == "share"
        # Of as many keys as today: older windows know fewer of today's, and are no less alike for that.
        points = Series(windows, amounts[:-1].copy(), np.full(len(windows), rows[-1]))
        least = by_chance(amounts[:-1], rows[-1]) if share else 0.0
        return Trace(
            float(amounts[-1]), points, int(rows[-1]), scale, not share, least, "share" if share else "number", title=title
        )

    yield trace(moves.moved / np.maximum(moves.rows, 1.0), moves.rows, "share of keys whose value changed", "share")
    if not numbers or moves.moved[-1] < FEWEST:
        return
    changed = moves.moved
    yield trace(moves.fell.sum(axis=1) / np.maximum(changed, 1.0), changed, "share of changed values that fell", "share")
    sizes = moves.in_usual_ones
    yield trace(sizes.max(axis=1), changed, "largest change of a key, in usual ones,", "size")
    yield trace(sizes.sum(axis=1) / np.maximum(changed, 1.0), changed, "mean change of the keys, in usual ones,", "size")


def by_chance(past: Array, keys: float) -> float:
    """By how much a share of so many keys may be off: of what few have, some more may have it."""
    import numpy as np

    known = past[np.isfinite(past)]
    usual = float(known.mean()) if len(known) else 0.0
    few = min(usual, 1 - usual) * keys
    return (ROOM + ROOM * math.sqrt(few)) / max(keys, 1.0)
