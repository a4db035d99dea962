"""The average of a column."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from checks.base import Check, histogram
from checks.profile import Answers
from checks.question import Distribution, Of, Question, Schema
from checks.result import Family


class Mean(Check):
    """The mean of the finite values of a `column`."""

    family = Family.DRIFT

    column: str = Field(description="the column to look at: numbers, booleans as 0 and 1, times in seconds since 1970")
    of: Of = Field("value", description="length: the number of characters of each text instead of its value")

    def questions(self, schema: Schema) -> Iterable[Question]:
        yield Distribution(self.column, self.of)

    def value(self, answers: Answers, rows: int) -> float | None:
        return histogram(answers, self.column, self.of).mean()
