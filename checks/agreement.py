"""Columns that go together, and no longer do."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from pydantic import Field

from checks import learned, limits
from checks.base import Check, Past, Table, View
from checks.grid import LARGEST
from checks.learned import Learned, Series, Trace
from checks.line import Found, each
from checks.numbers import described
from checks.once import shared
from checks.pending import NothingToJudge, Pending, Verdict
from checks.profile import Answers, Counts, Histogram
from checks.question import Categories, Distribution, Schema, column_kind
from checks.result import Family, Result
from checks.wording import Unit, amount, quoted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from checks.pending import Usual
    from checks.window import Window

    Array = NDArray[np.float64]

Place = tuple[str, str]
"""What of which column: its mean, or the share that is missing."""
MEAN, MISSING = "mean", "missing share"
FEWEST = learned.SETTLED
"""Windows of history below which columns go together by chance."""
FEWEST_CHANGES = 28
"""Changes that the same is said of, each of another day."""
TINY = 1e-9
"""Of the middle value: less is the rounding of a sum."""
LATELY = 28
"""Windows that say where a column is now."""
FEWEST_VALUES = 5
"""Values of a window below which their mean says nothing."""
KNOWN = 0.9
"""The share of windows of which a number must be known."""
MOSTLY = 0.75
"""The share of a number's variance that the columns it goes with must explain."""
MORE = 0.05
"""What a second column must explain beyond the first."""
ALIKE = 0.5
"""The correlation below which a column is no candidate."""
CLIP = 4.0
"""Spreads at which a change counts no further: one bad day must not make two columns friends."""
LOOSE = 0.25
"""The part of what the others explain that may be wrong: what holds for ordinary days holds less for a blizzard."""
ODD = 3
"""Rows, or values, that may be odd in any window."""
SLIGHT = 0.001
"""A share of missing rows that wakes nobody, however alike two columns are."""
BROKEN = 5.0
"""Spreads from which on a relation does not hold."""
FAR, NEAR = 8.0, 3.0
"""Spreads: where another column is further out than the first and this one is not beyond the second, the fault is the other's."""


@dataclass(frozen=True)
class Relation:
    """A number, by its place, and the one or two others that explain it, with how much it moves with each."""

    place: int
    others: Sequence[int]
    slopes: Array


@dataclass(frozen=True)
class Moves:
    """Numbers of a history and of the judged window, which comes last: windows x numbers. `changes` are those from the last window
    that was alike (the same weekday or hour; where none is, the one before), NaN where there was none; `spread` how large they
    mostly are. Of the history alone."""

    names: Sequence[Place]
    values: Array
    changes: Array
    spread: Array

    @classmethod
    def of(cls, names: Sequence[Place], values: Array, windows: Sequence[Window]) -> Moves:
        """Without what mostly stands still: that goes with nothing."""
        import numpy as np

        before = _alike_before(learned.keys(windows[:-1]))
        at = [place for place, earlier in enumerate(before) if earlier >= 0]
        days = len({windows[place].local_start.date() for place in at})
        if not names or days < FEWEST_CHANGES:
            # Of the hours of a few days all changes are those of one or two nights.
            return cls([], values[:, :0], values[:0, :0], values[0, :0])
        with np.errstate(all="ignore"):
            changes = values[at] - values[[before[place] for place in at]]
            enough = np.isfinite(changes).sum(axis=0) >= FEWEST_CHANGES
            spread = np.where(enough, 1.4826 * limits.median(np.abs(changes)), math.nan)
            kept = np.flatnonzero(np.isfinite(spread) & (spread > TINY * limits.median(np.abs(values)))).tolist()
        return cls([names[place] for place in kept], values[:, kept], changes[:, kept], spread[kept])

    @cached_property
    def out(self) -> Array:
        """How far each number of the judged window is from where it lately was, in spreads of its own."""
        import numpy as np

        near = self.values[-LATELY - 1 : -1]
        with np.errstate(all="ignore"):
            middle = limits.median(near)
            found = np.abs(self.values[-1] - middle) / np.maximum(1.4826 * limits.median(np.abs(near - middle)), 1e-300)
        return np.asarray(np.nan_to_num(found))

    @cached_property
    def alike(self) -> Array:
        """The correlation of the changes of every two numbers of one sort; 0 with itself."""
        import numpy as np

        with np.errstate(all="ignore"):
            z = np.nan_to_num(np.clip(self.changes / self.spread, -CLIP, CLIP))
            sizes = np.sqrt((z * z).sum(axis=0))
            found = (z.T @ z) / np.maximum(np.outer(sizes, sizes), 1e-300)
        # What is missing goes with what is missing, values with values.
        kinds = np.array([what for what, _ in self.names])
        found[kinds[:, None] != kinds[None, :]] = 0.0
        np.fill_diagonal(found, 0.0)
        return np.asarray(found)

    def relations(self) -> list[Relation]:
        """Of each number that others explain; where one is in most of those that do not hold now, the others' without it."""
        import numpy as np

        if len(self.names) < 2:
            return []
        places = np.flatnonzero(np.abs(self.alike).max(axis=0) >= ALIKE).tolist()
        found = [one for place in places if (one := self._relation(place)) is not None]
        broken = [one for one in found if self._rest(one) > BROKEN]
        suspect = _in_most([{one.place, *one.others} for one in broken])
        if suspect not in {one.place for one in broken}:
            return found
        again = [self._relation(one.place, suspect) if suspect in one.others else one for one in found]
        return [one for one in again if one is not None]

    def fault_of_others(self, one: Relation) -> bool:
        """Whether one of the others is far out and this one is where it always is: then nothing is to be said of this one."""
        return bool(self.out[list(one.others)].max() > FAR and self.out[one.place] <= NEAR)

    def given(self, one: Relation) -> Array:
        """What the number would have been in every window with what the others are now."""
        import numpy as np

        others = self.values[:, list(one.others)]
        with np.errstate(all="ignore"):
            return np.asarray(self.values[:, one.place] + (others[-1] - others) @ one.slopes)

    def _rest(self, one: Relation) -> float:
        """How far from all before it is, in spreads of what is left of it."""
        import numpy as np

        given = self.given(one)[:, None]
        with np.errstate(all="ignore"):
            middle = limits.median(given[:-1])
            spread = 1.4826 * limits.median(np.abs(given[:-1] - middle)) + TINY * self.spread[one.place]
            return float(np.nan_to_num(np.abs(given[-1] - middle) / spread)[0])

    def _relation(self, place: int, without: int | None = None) -> Relation | None:
        """By least squares over the windows that were no outliers; None where too much of the number's variance is left."""
        import numpy as np

        others = self._explaining(place, without)
        with np.errstate(all="ignore"):
            z = self.changes[:, [place, *others]] / self.spread[[place, *others]]
        z = z[(np.abs(z) <= CLIP).all(axis=1)]
        if len(z) < FEWEST_CHANGES:
            return None
        y, x = z[:, 0], z[:, 1:]
        slopes = np.asarray(np.linalg.lstsq(x, y, rcond=1e-6)[0], dtype=np.float64)
        left = y - x @ slopes
        if not left @ left <= (1 - MOSTLY) * (y @ y):
            return None
        return Relation(place, others, slopes * self.spread[place] / self.spread[others])

    def _explaining(self, place: int, without: int | None) -> list[int]:
        """The number that goes with this one most, and the one that explains most of what the first leaves, where that is much."""
        import numpy as np

        alike = self.alike[:, place].copy()
        if without is not None:
            alike[without] = 0.0
        first = int(np.abs(alike).argmax())
        with_first = self.alike[:, first]
        more = np.square(alike - alike[first] * with_first) / np.maximum(1 - np.square(with_first), 1e-6)
        more[(alike == 0.0) | (np.arange(len(alike)) == first)] = 0.0
        second = int(more.argmax())
        return [first, second] if more[second] >= MORE else [first]


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
    cannot tell which is at fault, and tells both; of more, where one is in most of what no longer holds, that one. Columns that go
    with no other get no verdict, nor do windows of hours, whose 90 last are a few days.
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
        for one in moves.relations():
            if not moves.fault_of_others(one):
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
        trace = replace(own.trace, value=own.value, unit=unit)
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


def _alike_before(keys: Sequence[int]) -> list[int]:
    """For each window the place of the last one before it of the same key; -1 for none."""
    last: dict[int, int] = {}
    found = []
    for place, key in enumerate(keys):
        found.append(last.get(key, -1))
        last[key] = place
    return found


def _in_most(broken: Sequence[set[int]]) -> int | None:
    """The number that is in more of these relations than any other; None where several are."""
    (first, most), (_, next_) = [*Counter(place for one in broken for place in one).most_common(2), (-1, 0), (-1, 0)][:2]
    return first if most > next_ else None


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
