"""Columns that go together, and no longer do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field

from checks import learned, limits
from checks.base import Check, Past, Table, View
from checks.grid import LARGEST
from checks.learned import Learned, Series, Trace
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

    Array = NDArray[np.float64]

Place = tuple[str, str]
"""What of which column: its mean, or the share that is missing."""
MEAN, MISSING = "mean", "missing share"
FEWEST = learned.SETTLED
"""Windows of history below which columns go together by chance."""
FEWEST_CHANGES = 28
"""Changes that the same is said of."""
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
FAR, NEAR = 8.0, 3.0
"""Spreads: where another column is further out than the first and this one is not beyond the second, the fault is the other's."""


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
    def of(cls, names: Sequence[Place], values: Array, keys: Sequence[int]) -> Moves:
        """Without what mostly stands still: that goes with nothing."""
        import numpy as np

        before = _alike_before(keys[:-1])
        at = [place for place, earlier in enumerate(before) if earlier >= 0]
        with np.errstate(over="ignore", invalid="ignore"):
            changes = values[at] - values[[before[place] for place in at]]
            enough = np.isfinite(changes).sum(axis=0) >= FEWEST_CHANGES
            spread = np.where(enough, 1.4826 * limits.median(np.abs(changes)), math.nan)
            kept = np.flatnonzero(spread > TINY * limits.median(np.abs(values))).tolist()
        return cls([names[place] for place in kept], values[:, kept], changes[:, kept], spread[kept])

    def fault_of(self, place: int, others: Sequence[int]) -> bool:
        """Whether one of the others is far out and this one is where it always is: then nothing is to be said of this one."""
        import numpy as np

        near = self.values[-LATELY - 1 : -1]
        middle = np.nanmedian(near, axis=0)
        out = np.abs(self.values[-1] - middle) / np.maximum(1.4826 * np.nanmedian(np.abs(near - middle), axis=0), 1e-300)
        return bool(out[others].max() > FAR and out[place] <= NEAR)

    def pairs(self) -> Iterator[tuple[int, list[int], Array]]:
        """Each number that one or two others explain, those, and its slopes on them."""
        import numpy as np

        if len(self.names) < 2:
            return
        z = np.nan_to_num(np.clip(self.changes / self.spread, -CLIP, CLIP))
        sizes = np.sqrt((z * z).sum(axis=0))
        alike = (z.T @ z) / np.maximum(np.outer(sizes, sizes), 1e-300)
        kinds = np.array([what for what, _ in self.names])
        # What is missing goes with what is missing, values with values.
        alike[kinds[:, None] != kinds[None, :]] = 0.0
        np.fill_diagonal(alike, 0.0)
        for place in np.flatnonzero(np.abs(alike).max(axis=0) >= ALIKE).tolist():
            others = _explaining(z, place, alike[:, place])
            slopes, rest = self._fitted(place, others)
            if rest <= 1 - MOSTLY:
                yield place, others, slopes

    def _fitted(self, place: int, others: Sequence[int]) -> tuple[Array, float]:
        """The slopes by least squares over the windows that were no outliers, and the share of the variance that is left."""
        import numpy as np

        z = self.changes[:, [place, *others]] / self.spread[[place, *others]]
        z = z[(np.abs(z) <= CLIP).all(axis=1)]
        if len(z) < FEWEST_CHANGES:
            return np.zeros(len(others)), 1.0
        y, x = z[:, 0], z[:, 1:]
        slopes = np.asarray(np.linalg.lstsq(x, y, rcond=1e-6)[0], dtype=np.float64)
        left = y - x @ slopes
        return slopes * self.spread[place] / self.spread[others], float(left @ left) / max(float(y @ y), 1e-300)


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
    three quarters of them, over 35 windows or more. What was usual is moved by as much as they differ now. Finds changes that are
    small beside what a column does by itself. Which of the columns is at fault it cannot always tell, so the finding names them
    all. Columns that go with no other get no verdict.
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
        past = [one for one in view.recent if one.rows]
        if len(past) < FEWEST or not view.rows:
            raise NothingToJudge(f"{self.name}: {learned.Learning(len(past), FEWEST)}")
        moves = self._moves(view, past)
        traces: dict[str, list[Given]] = {}
        for place, others, slopes in moves.pairs():
            if not moves.fault_of(place, others):
                traces.setdefault(moves.names[place][1], []).append(self._given(view, past, moves, place, others, slopes))
        if not traces:
            raise NothingToJudge(f"{self.name}: no columns go together in {len(past)} windows")
        for column, found in traces.items():
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

    def _moves(self, view: View, past: Sequence[Past]) -> Moves:
        import numpy as np

        asked = [(question.column, question.key) for question in self.questions(view.schema)]

        def measured(one: View | Past) -> Mapping[Place, float]:
            return _numbers(one.answers, one.rows, asked)

        key = shared(repr(self))
        before, now = [one.once(key, measured) for one in past], measured(view)
        values = np.array([[one.get(name, math.nan) for name in now] for one in (*before, now)], dtype=np.float64)
        for column, since in view.accepted.items():
            # What was before somebody called a level normal is not compared.
            old = np.array([p.window.start < since for p in past])
            values[:-1][np.ix_(old, np.array([column in {"", name[1]} for name in now]))] = math.nan
        known = np.isfinite(values[-1]) & (np.isfinite(values[:-1]).mean(axis=0) >= KNOWN)
        kept, names = np.flatnonzero(known).tolist(), list(now)
        keys = learned.keys([*(p.window for p in past), view.window])
        return Moves.of([names[place] for place in kept], values[:, kept], keys)

    def _given(self, view: View, past: Sequence[Past], moves: Moves, place: int, others: Sequence[int], slopes: Array) -> Given:
        """The number, and what it would have been in earlier windows with what the others are now."""
        import numpy as np

        (what, _), now, size = moves.names[place], moves.values[-1, others], float(moves.spread[place])
        with np.errstate(over="ignore", invalid="ignore"):
            usual = moves.values[:-1, place] + (now - moves.values[:-1][:, others]) @ slopes
            middle = float(np.nanmedian(usual))
            explained = abs(float((now - np.nanmedian(moves.values[:-1][:, others], axis=0)) @ slopes))
        value = float(moves.values[-1, place])
        series = Series(tuple(p.window for p in past), 1 + (usual - middle) / size, np.array([float(p.rows) for p in past]))
        title = f"{what} given {quoted([moves.names[other][1] for other in others])}"
        trace = Trace(1 + (value - middle) / size, series, view.rows, least=LOOSE * explained / size, title=title)
        return Given(what, value, trace, middle, size)

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


def _explaining(z: Array, place: int, alike: Array) -> list[int]:
    """The one or two numbers that explain most of this one, the second of what the first leaves."""
    import numpy as np

    first = int(np.abs(alike).argmax())
    # Of this one and of the others, what the first does not say.
    apart = z - np.outer(z[:, first], z[:, first] @ z / (z[:, first] @ z[:, first]))
    left = apart[:, place]
    sizes, size = (apart * apart).sum(axis=0), float(left @ left)
    more = np.square(apart.T @ left) / np.maximum(sizes, 1e-9 * max(size, 1e-300))
    more[(alike == 0.0) | (np.arange(len(alike)) == first)] = 0.0
    second = int(more.argmax())
    return [first, second] if more[second] >= MORE * float(z[:, place] @ z[:, place]) else [first]


def _numbers(answers: Answers, rows: int, asked: Sequence[tuple[str, str]]) -> dict[Place, float]:
    """The mean and the missing share of every column (with the key of its answer) that were measured; finite."""
    found: dict[Place, float] = {}
    for column, key in asked:
        answer = answers.get(key)
        if isinstance(answer, Histogram):
            found[MISSING, column] = (answer.missing + answer.nan) / max(rows, 1)
            if answer.finite >= FEWEST_VALUES and math.isfinite(mean := described(answer)["mean"]):
                found[MEAN, column] = mean
        elif isinstance(answer, Counts):
            found[MISSING, column] = answer.missing / max(rows, 1)
    return found
