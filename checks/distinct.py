"""How many different values a column has."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median_low

from pydantic import Field

from checks.base import Check, Table, View, counts
from checks.limits import EXPECTED
from checks.pending import NothingToJudge, Verdict
from checks.profile import Answers, Counts
from checks.question import Categories, Question, Schema
from checks.result import Family

ALWAYS = 0.8
"""The share of windows with one and the same number from which on it is no chance."""
FEW = 100
"""Different values; more of them vary by the root of their number."""
LATELY = 28
"""Windows that tell how often a value is."""
SURE = 1.5
"""By how much less than the root of their number the different values may vary by chance."""


class Distinct(Check):
    """The number of different values in `column`; missing is not one of them."""

    family = Family.QUALITY
    scale = "count"
    unit = "rows"

    column: str = Field(description="the column to look at")

    def questions(self, schema: Schema) -> Iterable[Question]:
        yield Categories(self.column)

    def judge(self, view: View) -> Iterable[Verdict]:
        value = self.value(view.answers, view.rows)
        if value is None:
            raise NothingToJudge(f"{self.name}: no values to judge in {view.rows} rows")
        estimated = "; an estimate, for nearly every row has a value of its own" if counts(view.answers, self.column).error else ""
        if view.segment and not self.bounded and _rare(counts(view.answers, self.column), self._lately(view)):
            raise NothingToJudge(f"{self.name} is {value:g}; in so few rows chance decides which values are there")
        past = self.past_values(view)
        yield self.verdict(view, value, past, extra=estimated, least=_chance([p.value for p in past]))

    def _lately(self, view: View) -> list[Counts]:
        found = (past.answers.get(Categories(self.column).key) for past in view.history[-LATELY:])
        return [answer for answer in found if isinstance(answer, Counts) and answer.total]

    def value(self, answers: Answers, rows: int) -> float | None:
        distinct = counts(answers, self.column).distinct
        return None if distinct is None or not rows else float(distinct)

    @classmethod
    def automatic(cls, table: Table) -> Iterable[Check]:
        return [cls(column=c) for c in table.columns("text")]


def _rare(now: Counts, past: Sequence[Counts]) -> bool:
    """Whether chance may leave a usual value out of the fewest rows there were. Of many values it always may: see `_chance`."""
    pool: Counter[str] = Counter()
    windows: Counter[str] = Counter()
    for one in past:
        pool.update(one.counts)
        windows.update(one.counts.keys())
    fewest = min([now.total, *(one.total for one in past)])
    usual = [rows for value, rows in pool.items() if 2 * windows[value] >= len(past)]
    return 0 < len(usual) <= FEW and min(usual) * fewest < EXPECTED * pool.total()


def _chance(past: Sequence[float]) -> float:
    """By how much the number may vary. Which of the rare values a window has is chance: of sixteen two or three may be missing, of
    six none; but a day always has its 24 hours."""
    often = max(Counter(past).values(), default=0)
    return max(math.sqrt(median_low(past)) - SURE, 0.0) if past and often < ALWAYS * len(past) else 0.0
