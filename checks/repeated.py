"""Rows that are there twice, and windows that are."""

from __future__ import annotations

from collections.abc import Iterable

from checks import learned
from checks.base import Check, Past, Table, View
from checks.learned import Point, Trace
from checks.numbers import described
from checks.pending import NothingToJudge, Verdict
from checks.profile import Answers, Counts, Histogram, Number
from checks.question import Question, Repeats, Schema
from checks.result import HIGHEST_SCORE, Bounds, Family, Result, Severity, Status

KEY = "repeats"
FEWEST = 5
"""Rows below which two windows may be alike by chance."""


class Repeated(Check):
    """The share of rows that are the same as another row in every column, learned; and whether a window is
    an earlier one once more.

    A window with the same number of rows and the same distribution in every column but the times' is a stale repeat: critical,
    unless windows of this table were alike before.
    """

    family = Family.QUALITY
    scale = "share"
    unit = "share"
    upward = True
    takes_segments = False

    def questions(self, schema: Schema) -> Iterable[Question]:
        yield Repeats(tuple(schema))

    def value(self, answers: Answers, rows: int) -> float | None:
        answer = answers.get(KEY)
        return answer.value / rows if isinstance(answer, Number) and answer.value is not None and rows else None

    def judge(self, view: View) -> Iterable[Verdict]:
        stale = self._stale(view)
        if stale is not None:
            yield stale
            return
        value = self.value(view.answers, view.rows)
        if value is None:
            raise NothingToJudge(f"{self.name}: repeated rows were not counted")
        past = [Point(p.window, v, p.rows) for p in view.history if (v := self.value(p.answers, p.rows)) is not None]
        yield self.worst(view, [Trace(value, past, view.rows, "share", upward=True, unit="share", title="share of repeated rows")])

    def _stale(self, view: View) -> Result | None:
        if view.rows < FEWEST or len(view.history) < learned.ENOUGH:
            return None
        now = fingerprint(view.answers, view.rows, view.time_column)
        # Windows with another number of rows need no looking at.
        alike = (p for p in reversed(view.history) if p.rows == view.rows)
        same = next((p.window for p in alike if self._print(p, view.time_column) == now), None)
        if same is None:
            return None
        prints = {self._print(p, view.time_column) for p in view.history}
        if len(prints) < 0.9 * len(view.history):
            return None
        return self.result(
            Status.FAILED,
            f"{self.name}: the {view.rows} rows are those of {same} once more",
            view,
            value=1.0,
            bounds=Bounds(at_most=0.0, learned=True),
            score=HIGHEST_SCORE,
            severity=self.severity or Severity.CRITICAL,
            details={"judge": "hard rule", "same as": same.start.isoformat()},
        )

    @staticmethod
    def _print(past: Past, time_column: str | None) -> tuple[object, ...]:
        return past.once(f"print {time_column}", lambda one: fingerprint(one.answers, one.rows, time_column))

    @classmethod
    def automatic(cls, table: Table) -> Iterable[Check]:
        return [cls()]


def fingerprint(answers: Answers, rows: int, time_column: str | None) -> tuple[object, ...]:
    """What two windows of the same content have in common: rows, and the rounded distribution of every column but the times'."""
    parts: list[object] = [rows]
    for key in sorted(answers):
        answer = answers[key]
        if time_column is not None and f"({time_column})" in key:
            continue
        if isinstance(answer, Histogram) and answer.finite:
            parts.append((key, *_of_numbers(answer)))
        elif isinstance(answer, Counts):
            parts.append((key, *_of_values(answer)))
    return tuple(parts)


def _of_numbers(answer: Histogram) -> tuple[object, ...]:
    if "print" not in answer.kept:
        found = described(answer)
        spread = f"{found['standard deviation']:.6g}"
        answer.kept["print"] = answer.missing + answer.nan, f"{found['mean']:.9g}", spread
    kept: tuple[object, ...] = answer.kept["print"]
    return kept


def _of_values(answer: Counts) -> tuple[object, ...]:
    if "print" not in answer.cache:
        answer.cache["print"] = answer.missing, answer.distinct, tuple(sorted(answer.counts.items())[:50])
    kept: tuple[object, ...] = answer.cache["print"]
    return kept
