"""How old the newest row is when its window closes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field

from checks.base import Check, Past, Table, View, number
from checks.learned import Series
from checks.line import each
from checks.pending import CannotJudge, NothingToJudge, Verdict
from checks.profile import Answers
from checks.question import Question, Scalar, Schema, Watermark, column_kind
from checks.result import Family
from checks.window import Window

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def seconds(given: Any) -> Any:
    """`2h` -> 7200; numbers are seconds already. Raises ValueError with the form that is wanted."""
    if not isinstance(given, str):
        return given
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*", given)
    if not found:
        raise ValueError(f"{given!r} is not a duration; write seconds, or a number and s, m, h, d or w, such as 20m or 1d")
    return float(found[1]) * SECONDS[found[2]]


Seconds = Annotated[float, BeforeValidator(seconds)]


class Freshness(Check):
    """The time between the newest row and the window's end, in seconds; never below zero. `at_most` may be written as `2h`.

    With `column`, the newest time in that column among the window's own rows. Without, the newest time before the window's
    end in the whole table, so that a window without rows has an age too. A time without a zone is read in the dataset's.
    """

    family = Family.ARRIVAL
    unit = "seconds"
    upward = True
    takes_segments = False
    earliest: ClassVar[float] = 0.02
    """The share of a window's length below which a delay is never worth telling by itself."""

    column: str | None = Field(None, description="the time column to look at; default: the dataset's, over the whole table")
    at_least: Seconds | None = Field(None, allow_inf_nan=False, description="lower bound in seconds, or such as 20m")
    at_most: Seconds | None = Field(
        None, allow_inf_nan=False, description="upper bound in seconds, or such as 2h; default: learned"
    )

    def questions(self, schema: Schema) -> Iterable[Question]:
        if self.column is None:
            return [Watermark()]
        column, is_date = self.column, schema.get(self.column, "").lstrip("!").startswith("date")

        def newest(t: Any) -> Any:
            latest = t[column].max()
            return (latest.cast("timestamp") if is_date else latest).epoch_seconds()

        return [Scalar(self._key, newest, "max")]

    def judge(self, view: View) -> Iterable[Verdict]:
        if self.column and view.rows == 0:
            raise NothingToJudge(f"{self.name}: the window has no rows, so none is newest")
        age = self._age(view.answers, view.window, view.schema)
        if age is None:
            raise NothingToJudge(f"{self.name}: there is no newest row")
        least = self.earliest * view.window.length.total_seconds()
        yield self.verdict(view, age, self.past_values(view), least=least)

    def past_values(self, view: View) -> Series:
        def measured(past: Past) -> tuple[float, int] | None:
            try:
                age = self._age(past.answers, past.window, past.schema or view.schema)
            except CannotJudge:
                return None
            return None if age is None else (age, past.rows)

        past = each(view.history, (self.kind, self.column, view.schema.get(self.column or "")), measured)
        ages, rows = past.columns(2)
        return Series(past.windows, ages, rows)

    @property
    def _key(self) -> str:
        return f"newest({self.column})" if self.column else Watermark().key

    def _age(self, answers: Answers, window: Window, schema: Schema) -> float | None:
        newest = number(answers, self._key)
        if newest is None:
            return None
        try:
            at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=newest)
        except (OverflowError, ValueError):
            raise CannotJudge(f"{self.name}: the newest time, {newest:g} s after 1970, is outside the calendar") from None
        if self.column and _zoneless(schema.get(self.column, "")):
            at = at.replace(tzinfo=ZoneInfo(window.timezone))
        return max((window.end - at).total_seconds(), 0.0)

    @classmethod
    def automatic(cls, table: Table) -> Iterable[Check]:
        column = table.time_column
        if not column or column not in table.schema:
            return []
        # Times kept as text are for the source to read, and to refuse, apart from what the other checks ask.
        return [cls(column=column) if column_kind(table.schema[column]) == "time" else cls()]


def _zoneless(type_: str) -> bool:
    """`timestamp`, `timestamp(6)` and `date`, but not `timestamp('UTC', 6)`: only a zone is in quotes."""
    return column_kind(type_) == "time" and "'" not in type_
