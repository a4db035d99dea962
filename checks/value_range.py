"""The smallest and the largest value of a column."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median_low
from typing import Any

from pydantic import Field

from checks import learned, limits
from checks.base import Check, Past, Table, View, number
from checks.control import SEGMENTS
from checks.line import each
from checks.pending import CannotJudge, NothingToJudge
from checks.profile import Answers, Histogram
from checks.question import Distribution, Question, Scalar, Schema, column_kind
from checks.result import HIGHEST_SCORE, Bounds, Family, Result, Severity, Status
from checks.wording import amount, bounds_in_words, of_rows

LARGEST = 1.7976931348623157e308
LONGEST_TAIL = 3.0
"""How many times the furthest value of all it may be passed by, at most."""


class ValueRange(Check):
    """The values of a numeric `column` lie between `at_least` and `at_most`; any row outside fails it.

    Without bounds: between the smallest and the largest value ever seen, give or take the whole range between them, or more where
    the largest of a window varies by more. An
    infinite value fails whatever the bounds. Missing values and NaN are left to `missing`.
    """

    family = Family.QUALITY

    column: str = Field(description="the numeric column to look at")

    def questions(self, schema: Schema) -> Iterable[Question]:
        column, floats, key = self.column, _is_float(schema, self.column), Distribution(self.column).key

        def sound(t: Any) -> Any:
            # NaN is above every number for most engines and would be the maximum.
            return (t[column] >= -LARGEST) & (t[column] <= LARGEST) if floats else None

        yield Scalar(f"minimum({column})", lambda t: t[column].min(where=sound(t)), "min", (key, "low"))
        yield Scalar(f"maximum({column})", lambda t: t[column].max(where=sound(t)), "max", (key, "high"))
        if floats:
            yield Distribution(column)
        if self.bounded:
            yield Scalar(self._outside_key, lambda t: self._outside(t[column], sound(t)).sum(), "add")

    @property
    def _outside_key(self) -> str:
        return f"outside({self.column},{self.at_least},{self.at_most})"

    def _outside(self, values: Any, sound: Any) -> Any:
        sides = [values < self.at_least] if self.at_least is not None else []
        sides += [values > self.at_most] if self.at_most is not None else []
        outside = sides[0] if len(sides) == 1 else sides[0] | sides[1]
        return outside if sound is None else outside & sound

    def value(self, answers: Answers, rows: int) -> float | None:
        """The largest value; `judge` looks at both ends."""
        return number(answers, f"maximum({self.column})") if rows else None

    def judge(self, view: View) -> Iterable[Result]:
        infinite = _infinite(view.answers, self.column)
        if infinite:
            yield self._infinity(view, infinite)
            return
        ends = self._ends(view.answers)
        if ends is None:
            raise NothingToJudge(f"{self.name}: no values to judge in {view.rows} rows")
        yield self._against_bounds(view, *ends) if self.bounded else self._against_past(view, *ends)

    def _ends(self, answers: Answers) -> tuple[float, float] | None:
        low, high = number(answers, f"minimum({self.column})"), number(answers, f"maximum({self.column})")
        if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
            return None
        return low, high

    def _infinity(self, view: View, infinite: int) -> Result:
        return self.result(
            Status.FAILED,
            f"{self.name}: {of_rows(infinite, view.rows)} hold infinity",
            view,
            bounds=Bounds(self.at_least, self.at_most),
            score=HIGHEST_SCORE,
            severity=self.severity or Severity.WARNING,
        )

    def _against_bounds(self, view: View, low: float, high: float) -> Result:
        bounds = Bounds(self.at_least, self.at_most)
        below = self.at_least is not None and low < self.at_least
        above = self.at_most is not None and high > self.at_most
        offending = low if below and not (above and bounds.score(high) > bounds.score(low)) else high
        said = self._said(view, low, high, bounds)
        if below or above:
            outside = round(number(view.answers, self._outside_key) or 0)
            said += f"; {of_rows(outside, view.rows)} outside" if outside else ""
        return self.result(
            Status.FAILED if below or above else Status.PASSED,
            said,
            view,
            value=offending,
            bounds=bounds,
            score=max(bounds.score(low), bounds.score(high)),
            severity=(self.severity or Severity.WARNING) if below or above else None,
        )

    def _against_past(self, view: View, low: float, high: float) -> Result:
        key = f"ends({self.column})"
        seen = each(view.history, key, lambda past: past.once(key, self._past_ends))
        if len(seen) < learned.ENOUGH:
            raise NothingToJudge(
                f"{self.name} is {amount(low, self.unit)} to {amount(high, self.unit)}; {learned.Learning(len(seen))}"
            )
        lows, highs = (ends.tolist() for ends in seen.columns(2))
        least, most = min(lows), max(highs)
        # A constant column has no range: then its own size is the measure. Halves, so that no difference overflows.
        room = max(most / 2 - least / 2, abs(most) / 2, abs(least) / 2, 0.5) if most == least else most / 2 - least / 2
        # One rule for each value of all windows: a segment's is one of many.
        wide = view.allowance.people * view.widths.get(SEGMENTS, 1.0) * limits.unsure(len(seen))
        below, above = (wide * max(room, _tail(ends) / 2) for ends in ([-lo for lo in lows], highs))
        score = min(max((least / 2 - low / 2) / below, (high / 2 - most / 2) / above, 0.0), HIGHEST_SCORE)
        usual = f"usual: {amount(least, self.unit)} to {amount(most, self.unit)}, {len(seen)} windows"
        bounds = Bounds(max(least - 2 * below, -LARGEST), min(most + 2 * above, LARGEST), learned=True, usual=usual)
        pages = score > 2 and len(seen) >= learned.SETTLED
        return self.result(
            Status.FAILED if score > 1 else Status.PASSED,
            self._said(view, low, high, bounds),
            view,
            value=low if (least / 2 - low / 2) / below > max((high / 2 - most / 2) / above, 0.0) else high,
            bounds=bounds,
            score=score,
            severity=(self.severity or (Severity.CRITICAL if pages else Severity.WARNING)) if score > 1 else None,
            details={"judge": "range", "windows": len(seen), "usual": [least, most]},
        )

    def _said(self, view: View, low: float, high: float, bounds: Bounds) -> str:
        if self.column in view.masked:
            against = "what is usual" if bounds.learned else "its bounds"
            return f"{self.name}: smallest and largest value (not shown) against {against}"
        return f"{self.name} is {amount(low, self.unit)} to {amount(high, self.unit)}, {bounds_in_words(bounds, self.unit)}"

    def _past_ends(self, past: Past) -> tuple[float, float] | None:
        try:
            return self._ends(past.answers)
        except CannotJudge:
            return None

    @classmethod
    def automatic(cls, table: Table) -> Iterable[Check]:
        return [cls(column=c) for c in table.columns("number")]


def _tail(ends: Sequence[float]) -> float:
    """By how much the furthest of all may be passed where the values have a long tail: on the log scale by twice what it is further
    than the middle one. The largest of a day of incomes is now and then twice that of all days before, that of ages never."""
    furthest, middle = max(ends), median_low(ends)
    return furthest * min(min(furthest / middle, LONGEST_TAIL) ** 2 - 1, LONGEST_TAIL) if middle > 0 else 0.0


def _is_float(schema: Schema, column: str) -> bool:
    type_ = schema.get(column, "")
    return column_kind(type_) == "number" and type_.lstrip("!").startswith("float")


def _infinite(answers: Answers, column: str) -> int:
    measured = answers.get(f"distribution({column})")
    return measured.negative_infinity + measured.positive_infinity if isinstance(measured, Histogram) else 0
