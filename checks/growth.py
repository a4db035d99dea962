"""What only ever grew."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import Field

from checks import learned
from checks.base import Check, Past, Table, View, rows_in_all
from checks.line import each
from checks.numbers import described
from checks.once import shared
from checks.pending import NothingToJudge
from checks.profile import Answer, Answers, Counts, Histogram
from checks.question import Categories, Distribution, Question, Schema, column_kind
from checks.result import HIGHEST_SCORE, Bounds, Family, Result, Severity, Status
from checks.window import Window
from checks.wording import Unit, amount, bounds_in_words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FEWEST = 20
"""Windows of history below which never having fallen is chance."""
FORGIVEN = 1
"""Falls in the history that do not end the rule: one past incident does not blind it, but as far it may fall again."""
LATELY = 7
"""Windows for which what fell once too often still gets a verdict, so that what was told of it ends."""
TINY = 1e-9
"""Of the largest value: less is the rounding of a sum."""
STANDING = 1.5
"""The score of what always grew and now stands still: a warning."""
NUMBERS: dict[str, Unit] = {
    "total": "number",
    "smallest value": "number",
    "largest value": "number",
    "number of different values": "rows",
    "number of rows": "rows",
}
Numbers = dict[str, float]


@dataclass(frozen=True)
class Course:
    """How a number went through the windows of a history.

    `step` is the median of its changes, which is positive; `least` the smallest; `apart`: no two changes were the same. `last` is
    the last value, of which no more counts than by how much it ever grew; `fallen` is the largest fall.
    """

    windows: int
    falls: int
    step: float
    least: float
    apart: bool
    last: float
    fallen: float

    @classmethod
    def of(cls, values: Sequence[float] | Array) -> Course | None:
        """Of values, oldest first, less those that are not finite; None for what does not grow, or falls now and then."""
        import numpy as np

        past = np.asarray(values, dtype=np.float64)
        past = past[np.isfinite(past)]
        if len(past) < FEWEST or _falls(past):
            return None
        with np.errstate(over="ignore"):
            steps = np.diff(past)
        step, tiny = float(np.median(steps)), TINY * float(np.abs(past).max())
        fell = steps < -tiny
        if not np.isfinite(steps).all() or step <= tiny or fell[:-LATELY].sum() > FORGIVEN:
            return None
        least, apart = float(steps.min()), len(np.unique(steps)) == len(steps)
        last = float(min(past[-1], past[-2] + steps[:-1].max()))
        return cls(len(past), int(fell.sum()), step, least, apart, last, max(-least, 0.0))

    @property
    def words(self) -> str:
        often = {0: "never fell", 1: "fell once"}.get(self.falls, f"fell {self.falls} times")
        return f"{often} in {self.windows} windows"

    @property
    def always(self) -> bool:
        """It rose in every window, and so that no rise at all cannot be chance."""
        return self.windows >= learned.SETTLED and self.least > 0 and (self.apart or self.least > self.step / 2)

    def room(self, width: float) -> float:
        """By how much it may fall, where limits are multiplied by `width`."""
        return width * max(self.step, self.fallen)

    def score(self, now: float, width: float) -> float:
        """How far it fell, in units of what is allowed: a usual step. What rises by steps so even that it never fell does not fall
        by one by chance."""
        if self.falls > FORGIVEN:
            return 0.0
        if self.always and abs(now - self.last) <= TINY * max(abs(now), self.step):
            return STANDING / width
        return min(max((self.last - now) / self.room(width), 0.0), HIGHEST_SCORE)


class Growth(Check):
    """What rose in most of 20 windows or more and fell in none does not fall: the number of rows; of a column of numbers the total,
    the smallest and the largest value; of texts the number of different values.

    A fall by more than the usual step is a warning, by more than two of them critical. What rose in each of 35 windows and stands
    still is a warning. Columns of which nothing grows get no verdict, nor does what fell twice in 90 windows.
    """

    family = Family.QUALITY
    takes_segments = False

    exclude: tuple[str, ...] = Field((), description="columns to leave alone")

    def questions(self, schema: Schema) -> Iterable[Question]:
        for column, type_ in schema.items():
            if column not in self.exclude:
                if column_kind(type_) == "number":
                    yield Distribution(column)
                elif column_kind(type_) == "text":
                    yield Categories(column)

    def judge(self, view: View) -> Iterable[Result]:
        if self._empty(view):
            raise NothingToJudge(f"{self.name}: no rows to judge; row_count says whether there must be some")
        found = [result for about, key in self._asked(view.schema) if (result := self._worst(view, about, key)) is not None]
        if not found:
            raise NothingToJudge(f"{self.name}: nothing in this table only grows, in {len(view.history)} windows ({FEWEST} needed)")
        yield from found

    def _empty(self, window: View | Past) -> bool:
        """It says nothing of what grows. With `where`, no rows are a number like any other."""
        return not window.rows and self.where is None

    def _asked(self, schema: Schema) -> Iterator[tuple[str | None, str]]:
        """The table, then each column that is asked about, with the key of its answer."""
        yield None, ""
        for question in self.questions(schema):
            if isinstance(question, Distribution | Categories):
                yield question.column, question.key

    def _worst(self, view: View, column: str | None, key: str) -> Result | None:
        since = view.accepted.get(column or "")
        now = _numbers(view.answers, view.rows, key)
        if not now:
            return None
        names = tuple(now)
        # One text for all the windows that hold it.
        place = shared(f"growth {key}")

        def measured(past: Past) -> tuple[float, ...] | None:
            """With when it was."""
            found = {} if self._empty(past) else past.once(place, lambda one: _numbers(one.answers, one.rows, key))
            return (*(found.get(name, math.nan) for name in names), past.window.start.timestamp()) if found else None

        *before, starts = each(view.history[-learned.LONGEST :], (place, names), measured).columns(len(names) + 1)
        kept = slice(0 if since is None else int(starts.searchsorted(since.timestamp())), None)
        results = [
            self._judged(view, column, name, value, course)
            for (name, value), values in zip(now.items(), before, strict=True)
            if (course := Course.of(values[kept])) is not None
        ]
        return max(results, key=lambda r: r.score or 0.0, default=None)

    def _judged(self, view: View, column: str | None, name: str, now: float, course: Course) -> Result:
        width, unit, turn = view.allowance.people, NUMBERS[name], _first_of_a_month(view.window)
        settled = course.windows >= learned.SETTLED
        # A short history has not seen the turn of a month, at which many a counter begins anew.
        score = course.score(now, width) if settled or not turn else 0.0
        standing = score > 0 and now >= course.last
        bounds = Bounds(max(course.last - course.room(width), -1.7e308), learned=True, usual=course.words)
        shown = "(not shown)" if column in view.masked else f"is {amount(now, unit)}, {bounds_in_words(bounds, unit)}"
        still = f"; it stands still, having grown in each of {course.windows} windows" if standing else ""
        pages = score > 2 and course.falls == 0 and settled and not turn
        return self.result(
            Status.FAILED if score > 1 else Status.PASSED,
            f"{self._subject(column)}: the {name} {shown}{still}",
            view,
            column=column,
            value=now,
            bounds=bounds,
            score=score,
            severity=(self.severity or (Severity.CRITICAL if pages else Severity.WARNING)) if score > 1 else None,
            details={"judge": "growth", "number": name, "windows": course.windows, "falls": course.falls, "step": course.step},
        )

    @classmethod
    def automatic(cls, table: Table) -> Iterable[Check]:
        return [cls(exclude=tuple(sorted({*table.exclude, *([table.time_column] if table.time_column else [])})))]


def _falls(values: Array) -> bool:
    """Whether what rounding cannot explain fell more than once: most numbers do, and are done with."""
    import numpy as np

    before = values[:-LATELY]
    return bool((before[1:] < before[:-1] - TINY * np.abs(values).max()).sum() > FORGIVEN)


def _first_of_a_month(window: Window) -> bool:
    """Whether the window holds the first day of a month, which may be that of a year."""
    start, last = window.local_start, window.local_end - timedelta(seconds=1)
    return start.day == 1 or (start.year, start.month) != (last.year, last.month)


def _numbers(answers: Answers, rows: int, key: str) -> Numbers:
    """What of one window could grow, of a column or (no key) of the table; finite."""
    if not key:
        return {"number of rows": float(rows_in_all(answers, rows))}
    found = _of(answers.get(key))
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _of(answer: Answer | None) -> Numbers:
    if isinstance(answer, Counts):
        known = answer.distinct is not None and not answer.error and answer.total
        return {"number of different values": float(answer.distinct or 0)} if known else {}
    if not isinstance(answer, Histogram) or answer.low is None or answer.high is None or not answer.finite:
        return {}
    total = described(answer)["mean"] * answer.finite
    return {"total": total, "smallest value": answer.low, "largest value": answer.high}


__all__ = ["Course", "Growth"]
