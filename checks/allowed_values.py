"""Values that do not belong in a column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from pydantic import Field, model_validator

from checks import learned
from checks.base import Check, Past, Table, View, counts, number
from checks.line import each
from checks.pending import CannotJudge, NothingToJudge, Verdict
from checks.profile import Answers, Counts
from checks.question import Categories, Question, Scalar, Schema, column_kind
from checks.result import Family
from checks.wording import amount, of_rows, quoted


class AllowedValues(Check):
    """The share of rows, of those that have a value, in which `column` holds something else than `values`, 0 to 1.

    None is allowed unless `at_most` says so. Without `values`: the share of rows with a value that no earlier window had,
    learned, for columns of at most 100 different values. The message names the most frequent ones.
    """

    family = Family.QUALITY
    scale = "share"
    unit = "share"
    upward = True
    most: ClassVar[int] = 100
    named: ClassVar[int] = 5

    column: str = Field(description="the column to look at")
    values: tuple[str | int | float | bool, ...] | None = Field(None, description="what is allowed; default: what was seen before")

    @model_validator(mode="before")
    @classmethod
    def _none_unless_said(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("values") is not None and "at_most" not in given:
            return {**given, "at_most": 0.0}
        return given

    def questions(self, schema: Schema) -> Iterable[Question]:
        yield Categories(self.column)
        if self.values is None:
            return
        column, text = self.column, column_kind(schema.get(self.column, "")) == "text"
        allowed = [str(v) for v in self.values] if text else list(self.values)
        yield Scalar(self._others_key, lambda t: (~t[column].isin(allowed)).sum(), "add")
        yield Scalar(f"present({column})", lambda t: t[column].count(), "add")

    @property
    def _others_key(self) -> str:
        return f"others({self.column},{list(self.values or ())!r})"

    def judge(self, view: View) -> Iterable[Verdict]:
        yield self._listed(view) if self.values is not None else self._unseen(view)

    def value(self, answers: Answers, rows: int) -> float | None:
        """The share of rows outside `values`; only where `values` are given."""
        present = number(answers, f"present({self.column})")
        return (number(answers, self._others_key) or 0.0) / present if present else None

    def _listed(self, view: View) -> Verdict:
        value = self.value(view.answers, view.rows)
        if value is None:
            raise NothingToJudge(f"{self.name}: no values to judge in {view.rows} rows")
        allowed = {_as_counted(v) for v in self.values or ()}
        return self.verdict(view, value, self.past_values(view), extra=self._worst(view, allowed) if value else "")

    def _worst(self, view: View, allowed: set[str]) -> str:
        try:
            seen = counts(view.answers, self.column).counts
        except CannotJudge:
            return ""
        odd = sorted((v for v in seen if v not in allowed), key=lambda v: -seen[v])[: self.named]
        return f"; {quoted(odd)}" if odd and self.column not in view.masked else ""

    def _unseen(self, view: View) -> Verdict:
        now = counts(view.answers, self.column)
        if not now.total:
            raise NothingToJudge(f"{self.name}: no values to judge in {view.rows} rows")
        known, past = self._known(view.history)
        new = {v: n for v, n in now.counts.items() if v not in known}
        # Past the cap the values are not named; with a short list of known ones, what is not named is not known.
        unseen = sum(new.values()) + now.other
        worst = sorted(new, key=lambda v: -new[v])[: self.named]
        named = quoted(worst) if self.column not in view.masked else f"{amount(len(new), 'rows')} values"
        extra = f"; never seen before: {named} in {of_rows(unseen, now.total)}" if new else ""
        return self.verdict(view, unseen / now.total, past, extra=extra)

    def _known(self, history: Sequence[Past]) -> tuple[set[str], learned.Series]:
        """Every value seen, and for each window from the second on the share of its rows that were new at the time."""
        known: set[str] = set()
        before: frozenset[str] = frozenset()
        points = []
        past = each(history, (self.kind, self.column), self._seen)
        for one, (seen, total, values) in zip(past.pasts, past.made, strict=True):
            if values is None:
                raise NothingToJudge(f"{self.name}: windows hold more than {self.most} different values; new ones are not unusual")
            # Mostly the very same as in the window before.
            new: frozenset[str] = frozenset() if values is before or values <= known else values - known
            if known and total:
                points.append((one.window, sum(seen.counts[value] for value in new) / total, one.rows))
            known |= new
            before = values
        if not known:
            raise NothingToJudge(f"{self.name}: {learned.Learning(0)}")
        windows, shares, rows = zip(*points, strict=True) if points else ((), (), ())
        return known, learned.Series.made(windows, shares, rows)

    def _seen(self, past: Past) -> tuple[Counts, int, frozenset[str] | None] | None:
        """With its rows and values; None for those where they are too many."""
        try:
            seen = counts(past.answers, self.column)
        except CannotJudge:
            return None
        return seen, seen.total, None if seen.other or len(seen.counts) > self.most else seen.names

    @classmethod
    def automatic(cls, table: Table) -> Iterable[Check]:
        return [cls(column=c) for c in table.columns("text") if c != table.time_column]


def _as_counted(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
