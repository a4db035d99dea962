"""Rows that say the same thing twice."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field, field_validator

from checks.base import Check, number
from checks.profile import Answers
from checks.question import Duplicates, Question, Schema
from checks.result import Family


class Unique(Check):
    """The number of rows beyond the first for each value of `columns` together; none is allowed unless `at_most` says so.

    Rows in which one of the columns is missing are left out, as in SQL. Exact, so it is never compared with a merged reference.
    """

    family = Family.QUALITY
    scale = "count"
    unit = "rows"
    upward = True

    columns: tuple[str, ...] = Field(min_length=1, description="the columns that make a row one of its kind")
    at_most: float | None = Field(0.0, allow_inf_nan=False, description="duplicated rows allowed; default: none")

    @field_validator("columns")
    @classmethod
    def _each_once(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(columns)) < len(columns):
            raise ValueError("a column is named twice")
        return columns

    def questions(self, schema: Schema) -> Iterable[Question]:
        yield Duplicates(self.columns)

    def value(self, answers: Answers, rows: int) -> float | None:
        return number(answers, Duplicates(self.columns).key) if rows else None
