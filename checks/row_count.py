"""How many rows a window has."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from statistics import median_low
from typing import TYPE_CHECKING

from checks import learned
from checks.base import Check, Table, View, rows_in_all
from checks.pending import NothingToJudge, Pending, Verdict
from checks.profile import Answers
from checks.question import Question, Schema
from checks.result import HIGHEST_SCORE, Bounds, Family, Result, Severity, Status
from checks.wording import amount

if TYPE_CHECKING:
    from checks.pending import Usual


SURE = 4.0
"""Roots of a segment's usual rows that chance may add or take, however steady it was: so far once in 30,000 times."""
LATELY = 28
"""Windows; as many rows as one of them had are no finding, whatever the other segments had."""


class RowCount(Check):
    """The number of rows in the window.

    A window without any row fails as critical, whatever the bounds, unless the dataset says `empty = "ok"`. With `where`,
    or for one segment, none is a number like any other.
    """

    family = Family.ARRIVAL
    scale = "count"
    unit = "rows"
    lasting = "level"
    takes_absent = True

    def questions(self, schema: Schema) -> Iterable[Question]:
        return ()

    def value(self, answers: Answers, rows: int) -> float | None:
        return float(rows_in_all(answers, rows))

    def judge(self, view: View) -> Iterable[Verdict]:
        if view.segment and view.whole and not self.bounded:
            yield self._of_segment(view)
        elif view.rows or self.where or view.segment:
            yield from super().judge(view)
        elif view.empty_ok:
            yield self.result(
                Status.PASSED, f"{self.name} is 0, which is ok for this dataset", view, value=0.0, bounds=Bounds(), score=0.0
            )
        else:
            yield self.result(
                Status.FAILED,
                f"{self.name} is 0: the window has no rows",
                view,
                value=0.0,
                bounds=Bounds(at_least=1.0),
                score=HIGHEST_SCORE,
                severity=self.severity or Severity.CRITICAL,
            )

    def _of_segment(self, view: View) -> Verdict:
        """By its share of all rows, whose noise is known, and which a day with few rows for all segments does not move."""
        past = [learned.Point(p.window, p.rows / p.whole, p.whole) for p in view.history if p.whole]
        counts = [p.rows for p in view.history[-LATELY:]] or [view.rows]
        share, usual = view.rows / view.whole, median_low([p.value for p in past] or [0.0])
        # It is the others that changed.
        value = usual if min(counts) <= view.rows <= max(counts) else share
        least, said = SURE * math.sqrt(usual / view.whole), f"; {amount(share, 'share')} of all rows"
        trace = learned.Trace(value, past, view.whole, "share", least=least, unit="rows", extra=said)
        return Pending([trace], partial(self._of_share, trace, (min(counts), max(counts))))

    def _of_share(self, trace: learned.Trace, seen: tuple[int, int], usual: Sequence[Usual], view: View) -> Result:
        """The verdict on the share, in rows of this window's."""
        [one] = usual
        said = f"{self._subject(None)} is {amount(view.rows, 'rows')}"
        if isinstance(one, learned.Learning):
            raise NothingToJudge(f"{said}; {one}")
        found, rows = one.by(view.allowance), view.whole
        found = replace(
            found,
            at_least=min((found.at_least or 0.0) * rows, seen[0]),
            at_most=max((found.at_most or 0.0) * rows, seen[1]),
            expected=found.expected * rows,
            low=found.low * rows,
            high=found.high * rows,
        )
        return self._by(found, trace._replace(value=view.rows), said, None, view)

    @classmethod
    def automatic(cls, table: Table) -> Iterable[Check]:
        return [cls()]
