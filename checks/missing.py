"""How much of a column is missing."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from checks.base import Check, Table, number
from checks.profile import Answers
from checks.question import Question, Scalar, Schema
from checks.result import Family


class Missing(Check):
    """The share of rows in which `column` is missing (SQL NULL), 0 to 1.

    NaN is a value in SQL and is not counted here. SQLite stores NaN as NULL, so there it is.
    """

    family = Family.QUALITY
    scale = "share"
    unit = "share"
    upward = True

    column: str = Field(description="the column to look at")

    def questions(self, schema: Schema) -> Iterable[Question]:
        column = self.column
        yield Scalar(f"missing({column})", lambda t: t[column].isnull().sum(), "add")

    def value(self, answers: Answers, rows: int) -> float | None:
        missing = number(answers, f"missing({self.column})")
        return (missing or 0.0) / rows if rows else None

    @classmethod
    def automatic(cls, table: Table) -> Iterable[Check]:
        return [cls(column=c) for c in table.columns()]
