"""The sum of a column."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from checks.base import Check, histogram, rows_in_all
from checks.profile import Answers
from checks.question import Distribution, Question, Schema
from checks.result import Family


class Total(Check):
    """The sum of the finite values of a numeric `column`."""

    family = Family.QUALITY

    column: str = Field(description="the numeric column to look at")

    def questions(self, schema: Schema) -> Iterable[Question]:
        yield Distribution(self.column)

    def value(self, answers: Answers, rows: int) -> float | None:
        total = histogram(answers, self.column).total()
        return None if total is None or not rows else total * (rows_in_all(answers, rows) / rows)
