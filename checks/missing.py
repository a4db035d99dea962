"""How much of a column is missing."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from checks.base import Check, Table, number
from checks.profile import Answers, Histogram
from checks.question import Categories, Distribution, Question, Scalar, Schema, column_kind
from checks.result import Family


class Missing(Check):
    """The share of rows in which `column` is missing, 0 to 1: SQL NULL, and NaN in a column of floats."""

    family = Family.QUALITY
    scale = "share"
    unit = "share"
    upward = True
    lasting = "level"

    column: str = Field(description="the column to look at")

    def questions(self, schema: Schema) -> Iterable[Question]:
        column = self.column
        kind = column_kind(schema.get(column, ""))
        within = Distribution(column) if kind == "number" else Categories(column)
        yield Scalar(f"missing({column})", lambda t: t[column].isnull().sum(), "add", (within.key, "missing"))
        if schema.get(column, "").lstrip("!").startswith("float"):
            yield Distribution(column)

    def value(self, answers: Answers, rows: int) -> float | None:
        missing = number(answers, f"missing({self.column})")
        measured = answers.get(f"distribution({self.column})")
        # A distribution that could not be had is drift's trouble; the NULLs are known all the same.
        nan = measured.nan if isinstance(measured, Histogram) else 0
        return min(((missing or 0.0) + nan) / rows, 1.0) if rows else None

    @classmethod
    def automatic(cls, table: Table) -> Iterable[Check]:
        return [cls(column=c) for c in table.columns()]
