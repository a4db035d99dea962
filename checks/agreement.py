"""Columns that go together, and no longer do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field

from checks import learned
from checks.base import Check, Past, Table, View
from checks.grid import LARGEST
from checks.learned import Learned, Series, Trace
from checks.line import Found, each
from checks.numbers import described
from checks.once import shared
from checks.pending import NothingToJudge, Pending, Verdict
from checks.profile import Answers, Counts, Histogram
from checks.question import Categories, Distribution, Schema, column_kind
from checks.relations import Moves, Relation
from checks.result import Family, Result
from checks.wording import Unit, amount, quoted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from checks.pending import Usual

    Array = NDArray[np.float64]

MEAN, MISSING = "mean", "missing share"
FEWEST = learned.SETTLED
"""Windows of history below which columns go together by chance."""
FEWEST_VALUES = 5
"""Values of a window below which their mean says nothing."""
KNOWN = 0.9
"""The share of windows of which a number must be known."""
LOOSE = 0.25
"""The part of what the others explain that may be wrong: what holds for ordinary days holds less for a blizzard."""
ODD = 3
"""Rows, or values, that may be odd in any window."""
SLIGHT = 0.001
"""A share of missing rows that wakes nobody, however alike two columns are."""


@dataclass(frozen=True)
class Given:
    """A number of the window given what others are. The trace has it less `middle` in units of `size`, what it mostly moves by
    itself, and around 1: how finely it is judged must not depend on how large it is."""

    what: str
    value: float
    trace: Trace
    middle: float
    size: float

    def shown(self, found: Learned) -> Learned:
        """What is usual of the trace, as what is usual of the number; a share stays one."""
        at_least, at_most = (None if end is None else self._back(end) for end in (found.at_least, found.at_most))
        expected, low, high = (self._back(number) for number in (found.expected, found.low, found.high))
        return replace(found, at_least=at_least, at_most=at_most, expected=expected, low=low, high=high)

    def _back(self, number: float) -> float:
        found = self.middle + (number - 1) * self.size
        return min(max(found, 0.0), 1.0) if self.what == MISSING else min(max(found, -LARGEST), LARGEST)


class Agreement(Check):
    """The mean of each column of numbers, and the share that is missing of each column, given how the columns that it goes with
    moved: `arr_delay` rises with `dep_delay`, both are missing for the same flights.

    Which go together is learned from their changes, from one Monday to the next and the like: one or two other columns must explain
    three quarters of them, over 28 days or more, and both be known in nine tenths of the last 90 windows. What was usual is moved
    by as much as they differ now. Finds changes that are small beside what a column does by itself. Of two columns that part it
    tells the one that is three times further from where it always is, else both; of more, where one is in most of what no longer
    holds, that one. Columns that go with no other get no verdict, nor do windows of hours, whose 90 last are a few days.
    """

    family = Family.DRIFT
    takes_segments = False

    exclude: tuple[str, ...] = Field((), description="columns to leave alone")

    def questions(self, schema: Schema) -> Iterable[Distribution | Categories]:
        for column, type_ in schema.items():
            kind = column_kind(type_)
            if column not in self.exclude and kind in {"number", "boolean", "text"}:
                yield Categories(column) if kind == "text" else Distribution(column)

    def judge(self, view: View) -> Iterable[Verdict]:
        asked = [(question.column, question.key) for question in self.questions(view.schema)]
        before = self._measured(view, asked)
        past = before.pasts
        if len(past) < FEWEST or not view.rows:
            raise NothingToJudge(f"{self.name}: {learned.Learning(len(past), FEWEST)}")
        moves = self._moves(view, before, asked)
        given: dict[str, list[Given]] = {}
        for one in moves.own_fault():
            given.setdefault(moves.names[one.place][1], []).append(self._given(view, past, moves, one))
        if not given:
            raise NothingToJudge(f"{self.name}: no columns go together in {len(past)} windows")
        for column, found in given.items():
            yield Pending([one.trace for one in found], partial(self._told, column, found))

    def _told(self, column: str, given: Sequence[Given], usual: Sequence[Usual], view: View) -> Result:
        one = self._furthest(usual, view)
        own = next(own for own in given if own.trace is one.trace)
        what, unit = own.trace.title, UNITS[own.what]
        said = f"{self._subject(column)}: the {what} is {amount(own.value, unit)}"
        trace = own.trace._replace(value=own.value, unit=unit)
        found = self._by(own.shown(one.by(view.allowance)), trace, said, column, view)
        # In one incident with what else is told of the same.
        return replace(found, family=FAMILIES[own.what], details={**(found.details or {}), "number": what})

    def _measured(self, view: View, asked: Sequence[tuple[str, str]]) -> Found[tuple[float, ...]]:
        """The numbers of the windows before, those without rows left out."""

        def measured(one: Past) -> tuple[float, ...]:
            return tuple(_numbers(one.answers, one.rows, asked))

        # What is asked too: a window that lacked a column looked at the same past, and not at this one's.
        key = shared(f"{self!r} {asked}")
        return each(view.recent, key, lambda one: one.once(key, measured) if one.rows else None)

    def _moves(self, view: View, before: Found[tuple[float, ...]], asked: Sequence[tuple[str, str]]) -> Moves:
        import numpy as np

        names = [(what, column) for column, _ in asked for what in (MISSING, MEAN)]
        now = np.array([list(_numbers(view.answers, view.rows, asked))])
        past, values = before.pasts, np.concatenate([before.table(len(names)), now])
        for column, since in view.accepted.items():
            # What was before somebody called a level normal is not compared.
            old = sum(p.window.start < since for p in past)
            values[:old, [place for place, name in enumerate(names) if column in {"", name[1]}]] = math.nan
        known = np.flatnonzero((np.isfinite(values[:-1]).mean(axis=0) >= KNOWN) & np.isfinite(values[-1])).tolist()
        return Moves.of([names[place] for place in known], values[:, known], [*(p.window for p in past), view.window])

    def _given(self, view: View, past: Sequence[Past], moves: Moves, one: Relation) -> Given:
        """The number, and what it would have been in earlier windows with what the others are now."""
        import numpy as np

        (what, column), size = moves.names[one.place], float(moves.spread[one.place])
        *usual, value = moves.given(one)
        with np.errstate(all="ignore"):
            middle = float(np.nanmedian(usual))
            explained = abs(middle - float(np.nanmedian(moves.values[:-1, one.place])))
            scaled = 1 + (np.array(usual) - middle) / size
        values, chance = self._chance(view, what, column)
        series = Series(tuple(p.window for p in past), scaled, np.array([float(p.rows) for p in past]))
        title = f"{what} given {quoted([moves.names[other][1] for other in one.others])}"
        now, least = 1 + (float(value) - middle) / size, max(LOOSE * explained, chance) / size
        return Given(what, float(value), Trace(now, series, values, least=least, title=title), middle, size)

    def _chance(self, view: View, what: str, column: str) -> tuple[int, float]:
        """The rows that the number rests on, and what so few of them may move it by, whatever was before."""
        if what == MISSING:
            return view.rows, max(ODD / view.rows, SLIGHT)
        answer = view.answers[Distribution(column).key]
        if not isinstance(answer, Histogram):
            return view.rows, 0.0
        return answer.finite, ODD * described(answer)["standard deviation"] / answer.finite

    @classmethod
    def automatic(cls, table: Table) -> Iterable[Check]:
        return [cls(exclude=tuple(sorted({*table.exclude, *([table.time_column] if table.time_column else [])})))]


UNITS: dict[str, Unit] = {MEAN: "number", MISSING: "share"}
FAMILIES = {MEAN: Family.DRIFT, MISSING: Family.QUALITY}


def _numbers(answers: Answers, rows: int, asked: Sequence[tuple[str, str]]) -> Iterator[float]:
    """The missing share and the mean of every column (with the key of its answer); NaN for what was not measured."""
    for _, key in asked:
        answer = answers.get(key)
        missing, mean = math.nan, math.nan
        if isinstance(answer, Histogram):
            missing = (answer.missing + answer.nan) / max(rows, 1)
            mean = described(answer)["mean"] if answer.finite >= FEWEST_VALUES else math.nan
        elif isinstance(answer, Counts):
            missing = answer.missing / max(rows, 1)
        yield missing
        yield mean
