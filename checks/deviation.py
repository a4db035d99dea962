"""How far the values of a column lie apart."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from checks.base import Check, histogram
from checks.profile import Answers
from checks.question import Distribution, Question, Schema
from checks.result import Family


class Deviation(Check):
    """The standard deviation (population form) of the finite values of a numeric `column`."""

    family = Family.DRIFT

    column: str = Field(description="the numeric column to look at")

    def questions(self, schema: Schema) -> Iterable[Question]:
        yield Distribution(self.column)

    def value(self, answers: Answers, rows: int) -> float | None:
        return histogram(answers, self.column).deviation()
