"""The user's own query."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import Field, model_validator

from checks.base import Check, number
from checks.profile import Answers
from checks.question import Query, Question, Schema
from checks.result import Family


class Sql(Check):
    """A query of your own, in the source's SQL: `query` returns one number, or `bad_rows` returns the rows that are wrong.

    `{window}` stands for the window's rows (write it where a table stands), `{start}` and `{end}` for its times. The value is
    the number, or how many bad rows there are, of which none is allowed unless `at_most` says so.
    """

    family = Family.QUALITY
    takes_segments = False

    name_: str = Field(alias="name", min_length=1, description="what messages call it")
    query: str | None = Field(None, description="returns one row with one number")
    bad_rows: str | None = Field(None, description="returns the rows that should not be")

    @model_validator(mode="before")
    @classmethod
    def _none_unless_said(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("bad_rows") is not None and not {"at_most", "at_least"} & set(given):
            return {**given, "at_most": 0.0}
        return given

    @model_validator(mode="after")
    def _one_of_two(self) -> Sql:
        if (self.query is None) == (self.bad_rows is None):
            raise ValueError("give either query (one number) or bad_rows (rows that should not be)")
        if self.where:
            raise ValueError("where has no meaning here; write the condition into the query")
        return self

    def _own_name(self) -> str:
        return f"{self.kind}({self.name_})"

    @property
    def _question(self) -> Query:
        return Query(self.bad_rows, rows=True) if self.bad_rows is not None else Query(self.query or "")

    def questions(self, schema: Schema) -> Iterable[Question]:
        yield self._question

    def value(self, answers: Answers, rows: int) -> float | None:
        return number(answers, self._question.key)
