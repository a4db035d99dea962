"""How many rows a window has."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import median_low

from checks.base import Check, Table, View, rows_in_all
from checks.pending import Verdict
from checks.profile import Answers
from checks.question import Question, Schema
from checks.result import HIGHEST_SCORE, Bounds, Family, Severity, Status

SURE = 4.0
"""Roots of a segment's usual rows that chance may add or take, however steady it was: so far once in 30,000 times."""


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
        if view.segment:
            past = self.past_values(view)
            least = SURE * math.sqrt(median_low([p.value for p in past])) if past else 0.0
            yield self.verdict(view, self.value(view.answers, view.rows) or 0.0, past, least=least)
        elif view.rows or self.where:
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

    @classmethod
    def automatic(cls, table: Table) -> Iterable[Check]:
        return [cls()]
