"""How many rows a window has."""

from __future__ import annotations

from collections.abc import Iterable

from checks.base import Check, Table, View, rows_in_all
from checks.pending import Verdict
from checks.profile import Answers
from checks.question import Question, Schema
from checks.result import HIGHEST_SCORE, Bounds, Family, Severity, Status


class RowCount(Check):
    """The number of rows in the window.

    A window without any row fails as critical, whatever the bounds, unless the dataset says `empty = "ok"`. With `where`,
    or for one segment, none is a number like any other.
    """

    family = Family.ARRIVAL
    scale = "count"
    unit = "rows"
    lasting = "level"

    def questions(self, schema: Schema) -> Iterable[Question]:
        return ()

    def value(self, answers: Answers, rows: int) -> float | None:
        return float(rows_in_all(answers, rows))

    def judge(self, view: View) -> Iterable[Verdict]:
        if view.rows or self.where or view.segment:
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
