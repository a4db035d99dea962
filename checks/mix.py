"""How the values of a column share its rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from checks import learned, limits
from checks.attribute import was_there
from checks.base import Check, Past, Table, View, counts
from checks.gradual import Lasting
from checks.learned import Series, Trace
from checks.line import Found, each
from checks.once import by_value_once
from checks.pending import NothingToJudge, Verdict
from checks.profile import Counts
from checks.question import Categories, Question, Schema
from checks.result import Family
from checks.wording import quoted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class Mix(Check):
    """How the values of a `column` of few different values share its rows: each frequent value's share, how much of what was usual
    is gone, and the most frequent one's share. Always learned; the verdict is on what is furthest out.
    """

    family = Family.DRIFT
    pool: ClassVar[int] = 28
    most: ClassVar[int] = 100
    single: ClassVar[int] = 12
    """Values that are looked at one by one."""

    column: str = Field(description="the column to look at")

    def questions(self, schema: Schema) -> Iterable[Question]:
        yield Categories(self.column)

    def judge(self, view: View) -> Iterable[Verdict]:
        now = counts(view.answers, self.column)
        past = each(view.recent, (self.kind, self.column), self._seen)
        if not now.total or len(past) < learned.ENOUGH:
            raise NothingToJudge(f"{self.name}: {learned.Learning(len(past))}")
        if max(len(c.counts) for c in past.made) > self.most:
            raise NothingToJudge(f"{self.name}: more than {self.most} different values")
        traces = self._traces(now, past, self.column in view.masked)
        # Of a column that holds one value per window: what it is was there before.
        again = was_there(now, past.made)
        yield self.worst(view, traces[:1] if again else traces)

    def _seen(self, past: Past) -> Counts | None:
        answer = past.answers.get(Categories(self.column).key)
        return answer if isinstance(answer, Counts) and answer.total else None

    def _traces(self, now: Counts, past: Found[Counts], masked: bool) -> list[Trace]:
        import numpy as np

        places, rows = by_value_once([*past.made, now])
        shares = rows / rows.sum(axis=1, keepdims=True)
        usual = rows[-self.pool - 1 : -1].sum(axis=0) / rows[-self.pool - 1 : -1].sum()

        totals = rows[:-1].sum(axis=1)

        def trace(amounts: Array, title: str, upward: bool = False, lasting: Lasting = "new") -> Trace:
            return Trace(
                float(amounts[-1]),
                Series(past.windows, amounts[:-1].copy(), totals),
                now.total,
                "share",
                upward,
                unit="share",
                title=title,
                lasting=lasting,
            )

        traces = [trace(shares.max(axis=1), "share of the most frequent value", lasting="level")]
        gone = (rows == 0) * usual
        by_chance = float(gone[-1][usual * now.total < limits.EXPECTED].sum())
        # What is new here is an absence, and chance takes a rare value now and then: nothing that lasts is told of it.
        one = trace(gone.sum(axis=1), "usual share of the values that are gone", upward=True, lasting="")
        traces.append(one._replace(least=by_chance))
        for place in np.argsort(-usual, kind="stable")[: self.single]:
            if place < len(places) and usual[place] > 0:
                name = "a value (not shown)" if masked else quoted([places[place]])
                traces.append(trace(shares[:, place], f"share of {name}"))
        return traces

    @classmethod
    def automatic(cls, table: Table) -> Iterable[Check]:
        return [cls(column=c) for c in table.columns("text", "boolean") if c != table.time_column]
