"""How far a column's values are from what they were."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from checks import learned
from checks.base import CannotJudge, Check, NothingToJudge, Table, View, counts, histogram
from checks.profile import Answer, Answers, Counts, Histogram
from checks.question import Categories, ColumnKind, Distribution, Question, Schema, column_kind
from checks.result import Family, Result
from checks.wording import amount, quoted

if TYPE_CHECKING:
    from checks.distance import Distance
    from checks.masses import Masses

Method = Literal["auto", "psi", "jensen_shannon", "kolmogorov_smirnov", "wasserstein", "total_variation", "hellinger"]


class Drift(Check):
    """The distance between the values of `column` in this window and in the reference, or in the last 28 windows pooled.

    `method` is `psi`, `jensen_shannon`, `total_variation` or `hellinger` for any column, `kolmogorov_smirnov` or `wasserstein`
    (in standard deviations of the reference) for numbers; `auto` takes Kolmogorov-Smirnov for numbers and Jensen-Shannon for
    the rest. Bounds given are used as they are. Otherwise the distances of earlier windows from the windows before them are
    what is usual: the question is not whether two samples differ (a Tuesday differs from a month) but whether this one is
    further away than this column's windows are. A text column in which most rows, or more than 1000, have a value of their own
    has no distribution to compare.
    """

    family = Family.DRIFT
    scale = "distance"
    upward = True
    pool: ClassVar[int] = 28
    pool_least: ClassVar[int] = 7
    rows_least: ClassVar[int] = 10
    most_values: ClassVar[int] = 1000

    column: str = Field(description="the column to look at")
    method: Method = Field("auto", description="the distance")

    def questions(self, schema: Schema) -> Iterable[Question]:
        yield Distribution(self.column) if self._kind(schema) == "number" else Categories(self.column)

    def _kind(self, schema: Schema) -> ColumnKind:
        return column_kind(schema.get(self.column, ""))

    def judge(self, view: View) -> Iterable[Result]:
        current = self._of(view.answers, view.schema)
        past = self._past(view)
        if _rows(current) < self.rows_least:
            raise NothingToJudge(f"{self.name}: {_rows(current)} values of {self.rows_least} needed")
        self._refuse_free_text(current, view)
        reference = self._reference(view)
        if reference is None and len(past) < self.pool_least:
            raise NothingToJudge(f"{self.name}: no reference yet ({len(past)} of {self.pool_least} windows)")
        yield self._compared(view, current, past, reference)

    def _of(self, answers: Answers, schema: Schema) -> Histogram | Counts:
        return histogram(answers, self.column) if self._kind(schema) == "number" else counts(answers, self.column)

    def _reference(self, view: View) -> Histogram | Counts | None:
        """The dataset's reference; None where it has none or lacks this column, as after a window without it was merged in."""
        try:
            reference = None if view.reference is None else self._of(view.reference, view.schema)
        except CannotJudge:
            return None
        return reference if reference is not None and _rows(reference) else None

    def _past(self, view: View) -> list[tuple[Any, Histogram | Counts]]:
        """The windows that have this distribution with values enough, and the distribution, oldest first."""
        found = []
        for past in view.history[-(learned.LONGEST + self.pool) :]:
            try:
                answer = self._of(past.answers, view.schema)
            except CannotJudge:
                continue
            if _rows(answer) >= self.rows_least:
                found.append((past, answer))
        return found

    def _refuse_free_text(self, current: Histogram | Counts, view: View) -> None:
        distinct = current.distinct if isinstance(current, Counts) else None
        if distinct is not None and (distinct > self.most_values or distinct > max(_rows(current) / 2, 20)):
            raise NothingToJudge(f"{self.name}: {amount(distinct, 'rows')} different values in {amount(view.rows, 'rows')} rows")

    def _compared(
        self,
        view: View,
        current: Histogram | Counts,
        past: Sequence[tuple[Any, Histogram | Counts]],
        reference: Histogram | Counts | None,
    ) -> Result:
        from checks import distance
        from checks.masses import aligned

        method, measure = self._measure(isinstance(current, Histogram))
        # Anything of the reference's kind: the grid of the first is the one all are brought onto.
        first: list[Any] = [reference] if reference is not None else []
        masses = aligned([*first, *(answer for _, answer in past), current])
        fixed, earlier, now = (masses[0] if first else None), masses[len(first) : -1], masses[-1]
        pools = [fixed] * (len(earlier) + 1) if fixed else self._pools(earlier)
        points = [
            learned.Point(p.window, measure(mass, pool), p.rows)
            for (p, _), mass, pool in zip(past, earlier, pools, strict=False)
            if pool is not None
        ]
        pool = pools[-1]
        if pool is None:
            raise NothingToJudge(f"{self.name}: no reference yet")
        compared = "the reference" if fixed else f"the last {min(len(earlier), self.pool)} windows"
        shown = "" if self.column in view.masked else _moved(distance.moved(now, pool), now.sums is None)
        said = f"; {method.replace('_', '-')} distance from {compared}{shown}"
        return self.verdict(view, measure(now, pool), points, extra=said, least=distance.noise(method, now, pool))

    def _measure(self, number: bool) -> tuple[str, Distance]:
        from checks import distance

        known = distance.FOR_NUMBERS if number else distance.FOR_CATEGORIES
        method: str = self.method if self.method != "auto" else ("kolmogorov_smirnov" if number else "jensen_shannon")
        if method not in known:
            raise CannotJudge(f"{self.name}: {method} needs numbers; for this column take one of {', '.join(known)}")
        return method, known[method]

    def _pools(self, masses: Sequence[Masses]) -> list[Masses | None]:
        """For each window, and for the one after the last, the windows before it pooled; None where there are too few."""
        from checks.masses import pooled

        pools: list[Masses | None] = []
        for end in range(len(masses) + 1):
            before = masses[max(0, end - self.pool) : end]
            pools.append(pooled(before) if len(before) >= self.pool_least else None)
        return pools

    @classmethod
    def automatic(cls, table: Table) -> Iterable[Check]:
        return [cls(column=c) for c in table.columns("number", "text", "boolean") if c != table.time_column]


def _rows(answer: Answer) -> int:
    return answer.finite if isinstance(answer, Histogram) else (answer.total if isinstance(answer, Counts) else 0)


def _moved(change: tuple[str, float, float] | None, category: bool) -> str:
    if change is None:
        return ""
    what, now, before = change
    if category:
        return f"; {quoted([what])} is {amount(now, 'share')} of rows, was {amount(before, 'share')}"
    return f"; the {what} is {amount(now, 'number')}, was {amount(before, 'number')}"
