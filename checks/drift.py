"""How far a column's values are from what they were."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator, model_validator

from checks import learned
from checks.attribute import was_there
from checks.base import Check, Past, Table, View, counts, histogram, rows
from checks.distance import methods, moved
from checks.gathering import gathered
from checks.line import Found, each
from checks.masses import aligned, pooled
from checks.own_history import earlier, last
from checks.pair import Pair
from checks.pending import CannotJudge, NothingToJudge, Verdict
from checks.profile import Answer, Answers, Counts, Histogram
from checks.question import Categories, ColumnKind, Distribution, Question, Sample, Schema, column_kind
from checks.result import Bounds, Family, Result, Severity, Status
from checks.special import ordinary
from checks.stack import Stack
from checks.wording import amount, bounds_in_words, quoted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from checks.distance import Distance
    from checks.window import Window

    Array = NDArray[np.float64]
AUTO = {"number": "asinh_wasserstein", "category": "jensen_shannon"}
LEAST_SURPRISE = 3.0
"""Powers of ten by which a p-value must be lower than usual to be told, where nobody gave a bound."""


class Drift(Check):
    """The distance between the values of `column` in this window and in the reference, or in the last 28 windows pooled.

    `method` is one of [the distances](distances.md): our own, which hold for numbers of any shape, or any of Evidently's by
    its name. `auto` takes `asinh_wasserstein` for numbers and `jensen_shannon` for the rest. Bounds given are used as they
    are: `at_most` for a distance, `at_least` for a p-value, which is low where the values drifted. Otherwise the distances
    of earlier windows from the windows before them, computed when each was judged and stored with it, are what is usual: the
    question is not whether two samples differ (a Tuesday differs from a month) but whether this one is further away than this
    column's windows are. A text column in which most rows, or more than 1000, have a value of their own has no distribution to
    compare.
    """

    family = Family.DRIFT
    scale = "distance"
    upward = True
    pool: ClassVar[int] = 28
    pool_least: ClassVar[int] = 7
    rows_least: ClassVar[int] = 10
    most_values: ClassVar[int] = 1000

    column: str = Field(description="the column to look at")
    method: str = Field("auto", description="the distance, see distances.md")

    @field_validator("method")
    @classmethod
    def _known(cls, method: str) -> str:
        known = ["auto", *methods()]
        if method not in known:
            near = get_close_matches(method, known, 1)
            raise ValueError(
                f"there is no method {method}" + (f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}")
            )
        return method

    @model_validator(mode="after")
    def _bound_that_fails(self) -> Drift:
        method = methods().get(self.method)
        if method and method.p_value and self.at_most is not None and self.at_least is None:
            raise ValueError(
                f"{self.method} is a p-value, low where the values drifted: give at_least "
                f"(Evidently's own is {method.threshold:g}); at_most alone would fail the windows that did not drift"
            )
        return self

    def questions(self, schema: Schema) -> Iterable[Question]:
        if self._sampled:
            return [Sample("window"), Sample("reference")]
        return [Distribution(self.column) if self._kind(schema) == "number" else Categories(self.column)]

    @property
    def _sampled(self) -> bool:
        return self.method != "auto" and methods()[self.method].sampled

    def _kind(self, schema: Schema) -> ColumnKind:
        return column_kind(schema.get(self.column, ""))

    def judge(self, view: View) -> Iterable[Verdict]:
        if self._sampled:
            yield from self._by_evidently(view)
            return
        current = self._of(view.answers, view.schema)
        if _rows(current) < self.rows_least:
            raise NothingToJudge(f"{self.name}: {_rows(current)} values of {self.rows_least} needed")
        self._refuse_free_text(current, view)
        reference = self._reference(view)
        # A fixed reference needs no windows before those that are compared, and last year's holiday had others before it.
        pooled_too = reference is None and view.window.start not in view.days
        past = self._past(view, learned.LONGEST + (self.pool if pooled_too else 0))
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

    def _past(self, view: View, most: int) -> Found[Histogram | Counts]:
        """The last windows that have this distribution with values enough, and the distribution, oldest first."""
        numbers = self._kind(view.schema) == "number"
        take = histogram if numbers else counts

        def seen(past: Past) -> Histogram | Counts | None:
            try:
                answer = take(past.answers, self.column)
            except CannotJudge:
                return None
            # Counting rows takes longer than counting buckets, of which each has one at least.
            enough = (isinstance(answer, Histogram) and answer.filled >= self.rows_least) or _rows(answer) >= self.rows_least
            return answer if enough else None

        return each(view.history[-most:], (self.kind, self.column, numbers), seen)

    def _refuse_free_text(self, current: Histogram | Counts, view: View) -> None:
        distinct = current.distinct if isinstance(current, Counts) else None
        if distinct is not None and (distinct > self.most_values or distinct > max(_rows(current) / 2, 20)):
            raise NothingToJudge(f"{self.name}: {amount(distinct, 'rows')} different values in {amount(view.rows, 'rows')} rows")

    def _compared(
        self,
        view: View,
        current: Histogram | Counts,
        found: Found[Histogram | Counts],
        reference: Histogram | Counts | None,
    ) -> Verdict:
        method = self._method(isinstance(current, Histogram))
        if reference is None and not (self.bounded or method.costly or method.p_value):
            return self._as_before(view, current, found, method)
        past = list(zip(found.pasts, found.made, strict=True))
        if reference is None and not self.bounded:
            past = [past[place] for place in _examples(view, found.windows)]
        # Anything of the reference's kind: the grid of the first is the one all are brought onto.
        first: list[Any] = [reference] if reference is not None else [answer for _, answer in past[-self.pool :]]
        *before, now = aligned([*first, current])
        pool = pooled(before)
        compared = "the reference" if reference is not None else f"the last {len(before)} windows"
        change = self._change(view, moved(now, pool), current)
        said = f"; {method.title} {'against' if method.p_value else 'from'} {compared}{change}"
        value = method(now, pool)
        if math.isnan(value):
            raise CannotJudge(f"{self.name}: {method.undefined}")
        points = [] if method.costly and self.bounded else self._points(method, past, reference)
        if method.p_value and not self.bounded:
            return self._by_surprise(view, value, points, said)
        return self.verdict(view, value, points, extra=said, least=method.floor(now, pool))

    def _as_before(self, view: View, current: Histogram | Counts, past: Found[Histogram | Counts], method: Distance) -> Verdict:
        """By the distance from the windows before, as earlier windows' distances from those before them are usual."""
        import numpy as np

        places = _examples(view, past.windows)
        # Where there are enough, only those from as many windows as the judged one is compared with: fewer say less.
        least = self.pool if len(places) - self.pool >= learned.SETTLED else self.pool_least
        every, pasts, answers, windows = len(places) == len(past), past.pasts, past.made, past.windows
        if not every:
            pasts, answers = [pasts[place] for place in places], [answers[place] for place in places]
            windows = tuple(one.window for one in pasts)
        value, more = last(method, [*windows, view.window], [*answers, current], self.pool)
        if math.isnan(value):
            raise CannotJudge(f"{self.name}: {method.undefined}")
        if every and least == self.pool:
            # Each is from the windows that lie before it in the line: the next window finds it there.
            values = past.also(method.name, partial(_earlier, method=method, most=least), least)
        else:
            values = np.array(earlier(method, windows, answers, self.pool, least))
        points = learned.Series(windows[least:], values, np.array([one.rows for one in pasts[least:]], dtype=np.float64))
        said = f"; {method.title} from the last {min(len(places), self.pool)} windows{self._change(view, more.change, current)}"
        # Of a column that holds one value per window: how far it is from the others is no news.
        again = was_there(current, answers)
        return self.verdict(view, value, points, extra=said, least=value if again else more.noise)

    def _change(self, view: View, change: tuple[str, float, float] | None, now: Histogram | Counts) -> str:
        return "" if self.column in view.masked else _moved(change, isinstance(now, Counts))

    def _points(
        self, method: Distance, past: Sequence[tuple[Any, Histogram | Counts]], reference: Histogram | Counts | None
    ) -> Sequence[learned.Point]:
        """The distance of earlier windows from the reference, or from the windows before them."""
        windows = [p for p, _ in past][0 if reference is not None else self.pool_least :]
        if not windows:
            return []
        answers: list[Any] = [*([] if reference is None else [reference]), *(answer for _, answer in past)]
        numbers = isinstance(answers[0], Histogram)
        stack = gathered(answers, method.coarse) if numbers else Stack.of(aligned(answers))
        if reference is not None:
            pair = Pair(stack.part(slice(1, None)), stack.part(slice(1)))
        else:
            pair = Pair(stack.part(slice(self.pool_least, None)), stack.part(slice(-1)).pools(self.pool, self.pool_least))
        if method.costly:
            pair, windows = pair.newest(learned.SETTLED), windows[-learned.SETTLED :]
        values = method.between(pair).tolist()
        return learned.Series.made([p.window for p in windows], values, [p.rows for p in windows])

    def _by_surprise(self, view: View, value: float, past: Sequence[learned.Point], said: str) -> Result:
        """A p-value against those of the history, by its power of ten: only a much lower one than usual is bad."""
        points = [learned.Point(p.window, _surprise(p.value), p.rows) for p in past if not math.isnan(p.value)]
        surprise, least = _surprise(value), LEAST_SURPRISE
        found = learned.judge(
            surprise, points, view.window, view.rows, "distance", True, least, view.allowance, view.expected, view.days
        )
        if isinstance(found, learned.Learning):
            raise NothingToJudge(f"{self.name} is {amount(value, 'number')}; {found}")
        found = replace(found, low=10**-found.high, high=10**-found.low, expected=10**-found.expected)
        bounds = Bounds(at_least=10 ** -(found.at_most or 0.0), learned=True, usual=found.words("number"))
        failed = found.score > 1
        severe = found.score > 2 and found.may_page
        return self.result(
            Status.FAILED if failed else Status.PASSED,
            f"{self._subject(self.column)} is {amount(value, 'number')}{found.on_day}, {bounds_in_words(bounds, 'number')}{said}",
            view,
            value=value,
            bounds=bounds,
            score=found.score,
            severity=(self.severity or (Severity.CRITICAL if severe else Severity.WARNING)) if failed else None,
            details=found.details(),
            record=found.record,
        )

    def _by_evidently(self, view: View) -> Iterator[Result]:
        """By Evidently itself, on samples; without bounds its own threshold decides. Samples are of whole windows."""
        from checks.evidently import Evidently

        if view.segment:
            return
        inner = Evidently(
            id=self.name,
            metric="ValueDrift",
            column=self.column,
            options={"method": self.method},
            definition={"text_columns": [self.column]},
            severity=self.severity,
            at_least=self.at_least,
            at_most=self.at_most,
        )
        now, before = (rows(view.answers, Sample(of).key).frame for of in ("window", "reference"))
        said = f"; {self.method} on samples of {amount(len(now), 'rows')} and {amount(len(before), 'rows')} rows"
        for made in inner.judge(view):
            yield replace(made, kind=self.kind, family=self.family, message=made.message + said)

    def _method(self, number: bool) -> Distance:
        """The method for a column of numbers, or of categories. Raises CannotJudge where it is not for such a column."""
        sort = "number" if number else "category"
        name = AUTO[sort] if self.method == "auto" else self.method
        if not (methods()[name].numbers if number else methods()[name].categories):
            fit = [m.name for m in methods().values() if (m.numbers if number else m.categories) and not m.sampled]
            needs = "categories" if number else "numbers"
            raise CannotJudge(f"{self.name}: {name} needs {needs}; for this column take one of {', '.join(sorted(fit))}")
        return methods()[name]

    @classmethod
    def automatic(cls, table: Table) -> Iterable[Check]:
        return [cls(column=c) for c in table.columns("number", "text", "boolean") if c != table.time_column]


def _examples(view: View, windows: Sequence[Window]) -> Sequence[int]:
    """The places of the windows that this one is to be like: an ordinary day only like ordinary days."""
    if view.window.start in view.days:
        return range(len(windows))
    return ordinary(windows, view.window, view.days)


def _earlier(pasts: Sequence[Past], answers: Sequence[Histogram | Counts], first: int, method: Distance, most: int) -> Array:
    """The distances of the windows from the first on, each from the `most` before it."""
    import numpy as np

    from_ = first - most
    return np.array(earlier(method, [past.window for past in pasts[from_:]], answers[from_:], most, most))


def _surprise(p: float) -> float:
    """How many powers of ten a p-value is below 1."""
    return -math.log10(min(max(p, 1e-300), 1.0))


def _rows(answer: Answer) -> int:
    return answer.finite if isinstance(answer, Histogram) else (answer.total if isinstance(answer, Counts) else 0)


def _moved(change: tuple[str, float, float] | None, category: bool) -> str:
    if change is None:
        return ""
    what, now, before = change
    if category:
        return f"; {quoted([what])} is {amount(now, 'share')} of rows, was {amount(before, 'share')}"
    return f"; the {what} is {amount(now, 'number')}, was {amount(before, 'number')}"
