"""What the numbers of a column are like."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from statistics import median_low
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from checks import learned
from checks.attribute import was_there
from checks.base import Check, Past, Table, View, histogram
from checks.distance import Distance
from checks.grid import Grid
from checks.histogram import Histogram
from checks.learned import Series, Trace
from checks.limits import EXPECTED
from checks.line import Found, each
from checks.once import gathered_once
from checks.own_history import before, checksum
from checks.pending import NothingToJudge, Verdict
from checks.question import Distribution, Question, Schema
from checks.result import Family
from checks.scales import Scale
from checks.special import ordinary
from checks.wording import Unit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from checks.window import Window

    Array = NDArray[np.float64]

SIMPLE: dict[str, Scale] = {
    "mean": "number",
    "standard deviation": "size",
    "share of zeros": "share",
    "share of negative values": "share",
    "share of values that are not whole": "share",
    "share of the most frequent value": "share",
}
OF_SHAPE = ("standard deviation", "share of the most frequent value")
"""Those that say nothing of what the values are."""
COARSE = Distance.coarse
"""As drift has it, so that both look at the same places."""
PLACED = 50
"""Rows of a segment from which on single pairs of values in one place of the grid do not matter."""
COUNTED_ON = 0.8
"""The share of windows whose values lie beyond those of the window before, from which on a column is counted on."""
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
QUANTILE = "quantiles"
"""As what those of the windows before a window are stored with it."""


class Numbers(Check):
    """What the values of a numeric `column` are like.

    Mean, spread, shares of zeros, negatives, fractions and of the most frequent value, and how many lie below the quantiles of
    the last 28 windows. Always learned; the verdict is on the one that is furthest out.
    """

    family = Family.DRIFT
    pool: ClassVar[int] = 28
    rows_least: ClassVar[int] = 5

    column: str = Field(description="the numeric column to look at")

    def questions(self, schema: Schema) -> Iterable[Question]:
        yield Distribution(self.column)

    def judge(self, view: View) -> Iterable[Verdict]:
        now = histogram(view.answers, self.column)
        if now.finite < self.rows_least:
            raise NothingToJudge(f"{self.name}: {now.finite} values of {self.rows_least} needed")
        past = each(view.recent, (self.kind, self.column), self._seen)
        *before, rows, lows, highs = each(view.recent, (self.kind, self.column, "numbers"), self._numbers).columns(len(SIMPLE) + 3)
        simple = list(_simple(now, past.windows, before, rows))
        simple = _small(simple) if view.segment else simple
        if was_there(now, past.made):
            # What it is was there before; that it is one value can still be odd.
            yield self.worst(view, [trace for trace in simple if trace.title in OF_SHAPE])
            return
        # Of ids that are counted on, none lies below those of the windows before.
        counted_on = _goes_on([*lows, _or_nan(now.low)], [*highs, _or_nan(now.high)])
        yield self.worst(view, simple if counted_on else [*simple, *self._below(view, now, past, rows)])

    def _seen(self, past: Past) -> Histogram | None:
        answer = past.answers.get(Distribution(self.column).key)
        return answer if isinstance(answer, Histogram) and answer.finite >= self.rows_least else None

    def _rising(self, past: Past, grid: Grid) -> tuple[Array, Array] | None:
        seen = self._seen(past)
        return None if seen is None else seen.rising(grid)

    def _numbers(self, past: Past) -> tuple[float, ...] | None:
        seen = self._seen(past)
        if seen is None:
            return None
        return (*map(described(seen).__getitem__, SIMPLE), seen.finite, _or_nan(seen.low), _or_nan(seen.high))

    def _below(self, view: View, now: Histogram, past: Found[Histogram], rows: Array) -> Iterator[Trace]:
        """Shares of rows at or below quantiles of the last windows together: bounded, and their noise is known."""
        if len(past) < learned.ENOUGH:
            return
        # Where a number always grows, the last of these windows lie beyond those quantiles, and must be among the examples.
        like = ordinary(past.windows, view.window, view.days)[-self.pool :]
        made = past.made
        last = [made[place] for place in like]
        key = QUANTILE, *before([*(past.windows[place] for place in like), view.window], len(last), self.pool)
        of = checksum(last)
        if key not in now.compared or now.compared[key][0] != of:
            now.compared[key] = [of, _quantiles(last, now)]
        _, points = now.compared[key]
        grid = last[0].grid
        before_it = each(view.recent, (self.kind, self.column, grid), lambda one: self._rising(one, grid))
        lower, upto = now.rising(grid)
        for share, edge, after in points:
            end = math.inf if after is None else after
            # The quantiles mostly lie where they lay for the window before.
            below = before_it.also(end, partial(_below, end=end))
            # As it was for the last windows: not all values are apart enough for a quantile to be met.
            title = f"share of values up to the last windows' {share * 100:.0f} % point ({edge:.4g})"
            value = float(upto[lower.searchsorted(end)]) / now.finite
            yield Trace(value, Series(past.windows, below / rows, rows), now.finite, "share", unit="share", title=title)

    @classmethod
    def automatic(cls, table: Table) -> Iterable[Check]:
        return [cls(column=c) for c in table.columns("number", "boolean") if c != table.time_column]


def _or_nan(end: float | None) -> float:
    return math.nan if end is None else end


def _simple(now: Histogram, windows: tuple[Window, ...], before: Sequence[Array], rows: Array) -> Iterator[Trace]:
    for (name, scale), values in zip(SIMPLE.items(), before, strict=True):
        unit: Unit = "share" if scale == "share" else "number"
        points = Series(windows, values, rows)
        yield Trace(described(now)[name], points, now.finite, scale, unit=unit, title=name, lasting="new")


def _goes_on(lows: Sequence[float], highs: Sequence[float]) -> bool:
    """Whether each window, this one too, mostly begins beyond the end of the one before it."""
    import numpy as np

    ends = np.array([lows, highs])
    low, high = ends[:, np.isfinite(ends).all(axis=0)]
    after = low[1:] > high[:-1]
    return len(after) >= learned.ENOUGH and bool(after[-1]) and int(after.sum()) >= COUNTED_ON * len(after)


def _quantiles(last: Sequence[Histogram], now: Histogram) -> list[list[float | None]]:
    """Of the last windows together, for each quantile: the share of values up to it, the value, and where the place after it
    begins (less the centre of the first one's grid; None: there is none)."""
    import numpy as np

    stack = gathered_once([*last, now], COARSE)
    pool = stack.rows[:-1].sum(axis=0)
    upto = np.cumsum(pool) / max(pool.sum(), 1.0)
    places = dict.fromkeys(int(np.argmin(np.abs(upto - q))) for q in QUANTILES)
    ends = [*stack.lower[1:].tolist(), None]
    return [[float(upto[place]), stack.origin + float(stack.upper[place]), ends[place]] for place in places]


def _below(_pasts: Sequence[Past], rising: Sequence[tuple[Array, Array]], first: int, end: float) -> Array:
    """Of each distribution from the first on (see `Histogram.rising`), the rows in the buckets that begin before `end` (less the
    grid's centre)."""
    import numpy as np

    return np.array([upto[lower.searchsorted(end)] for lower, upto in rising[first:]])


def _small(traces: Sequence[Trace]) -> list[Trace]:
    """Of a segment with few rows, without what chance alone moves a long way: the spread, where all rows may well be of one value
    (a column that has but one value shows in the share of the most frequent), and the share of values that are not whole, of which
    two that fall into one place of the grid are no longer known."""
    named = {trace.title: trace for trace in traces}
    top = named["share of the most frequent value"]
    past = Series.of(top.past)
    if not len(past):
        return list(traces)
    fewest = min(top.rows, float(past.rows.min()))
    unsure = {"share of values that are not whole"} if fewest < PLACED else set()
    if fewest * (1 - median_low(past.values.tolist())) < EXPECTED:
        unsure.add("standard deviation")
    return [trace for trace in traces if trace.title not in unsure]


def described(answer: Histogram) -> dict[str, float]:
    """The numbers of `SIMPLE` of a distribution that is not empty; computed once."""
    cache = answer.numbers
    if not cache:
        import numpy as np

        values, rows = answer.points(0.0)
        exact = np.concatenate([cells.exact for cells in answer.cells.values()])
        order = np.argsort(np.concatenate([c.means + float(g.center) for g, c in answer.cells.items()]), kind="stable")
        single, n = exact[order], float(rows.sum())
        tiny = 1e-12 * max(float(np.abs(values).max()), 1e-300)
        whole = np.abs(values - np.round(values)) <= 1e-6
        cache.update(
            {
                "mean": answer.mean() or 0.0,
                "standard deviation": answer.deviation() or 0.0,
                "share of zeros": float(rows[(np.abs(values) <= tiny) & single].sum()) / n,
                "share of negative values": float(rows[values < -tiny].sum()) / n,
                "share of values that are not whole": float(rows[single & ~whole].sum()) / n,
                "share of the most frequent value": float((rows * single).max()) / n,
            }
        )
    return cache
