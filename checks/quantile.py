"""A quantile of a column, such as its median."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from checks.base import Check, histogram
from checks.profile import Answers
from checks.question import Distribution, Of, Question, Schema
from checks.result import Family


class Quantile(Check):
    """The `q`-quantile of the finite values of a `column`: `q = 0.5` is the median.

    Read from the distribution, so exact to the width of one of its buckets (about 0.8 % of the column's spread near its centre).
    """

    family = Family.DRIFT

    column: str = Field(description="the column to look at: numbers, booleans as 0 and 1, times in seconds since 1970")
    of: Of = Field("value", description="length: the number of characters of each text instead of its value")
    q: float = Field(0.5, gt=0, lt=1, description="which quantile, between 0 and 1")

    def _own_name(self) -> str:
        inside = f"{self._about},{self.q:g}"
        return f"{self.kind}({inside})" + (f" where {self.where}" if self.where else "")

    def questions(self, schema: Schema) -> Iterable[Question]:
        yield Distribution(self.column, self.of)

    def value(self, answers: Answers, rows: int) -> float | None:
        return histogram(answers, self.column, self.of).quantile(self.q)
