"""The average of a column."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from checks.base import Check, histogram
from checks.profile import Answers
from checks.question import Distribution, Question, Schema
from checks.result import Family


class Mean(Check):
    """The mean of the finite values of a numeric `column`."""

    family = Family.DRIFT

    column: str = Field(description="the numeric column to look at")

    def questions(self, schema: Schema) -> Iterable[Question]:
        yield Distribution(self.column)

    def value(self, answers: Answers, rows: int) -> float | None:
        return histogram(answers, self.column).mean()
