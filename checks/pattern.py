"""Text that does not look as it should."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic import Field, field_validator

from checks.base import Check, number
from checks.profile import Answers
from checks.question import Question, Scalar, Schema, column_kind
from checks.result import Family


class Pattern(Check):
    """The share of rows, of those that have a value, in which `column` does not match `regex`, 0 to 1.

    The match may be anywhere in the value: write `^` and `$` for the whole of it. None may fail unless `at_most` says so. The
    source's own engine matches, so keep to what all engines know (no look-ahead, no back-reference).
    """

    family = Family.QUALITY
    scale = "share"
    unit = "share"
    upward = True

    column: str = Field(description="the column to look at; what is not text is written as text first")
    regex: str = Field(description="the regular expression")
    at_most: float | None = Field(0.0, allow_inf_nan=False, description="share of rows that need not match; default: none")

    @field_validator("regex")
    @classmethod
    def _compiles(cls, regex: str) -> str:
        try:
            re.compile(regex)
        except re.error as fault:
            raise ValueError(f"{regex!r} is not a regular expression: {fault}") from None
        return regex

    def questions(self, schema: Schema) -> Iterable[Question]:
        column, regex, text = self.column, self.regex, column_kind(schema.get(self.column, "")) == "text"

        def unlike(t: Any) -> Any:
            values = t[column] if text else t[column].cast("string")
            return (~values.re_search(regex)).sum()

        yield Scalar(self._unlike_key, unlike, "add")
        yield Scalar(f"present({column})", lambda t: t[column].count(), "add")

    @property
    def _unlike_key(self) -> str:
        return f"unlike({self.column},{self.regex})"

    def value(self, answers: Answers, rows: int) -> float | None:
        present = number(answers, f"present({self.column})")
        return (number(answers, self._unlike_key) or 0.0) / present if present else None
