"""A model's figures and their verdicts: against bounds that were given, a baseline, or what is usual."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from checks import learned
from checks.base import Check, View
from checks.pending import CannotJudge, NothingToJudge
from checks.result import Bounds, Result, Severity, Status
from checks.wording import Unit, amount, bounds_in_words

Good = Literal["high", "low", "zero"]
"""Which way a figure is better; `zero`: the nearer to it the better, on both sides."""
ERRORS = 3.0
"""Standard errors by which a figure must be worse than the baseline's before it is more than chance."""


class Limits(BaseModel):
    """The bounds of one figure."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    at_least: float | None = Field(None, allow_inf_nan=False)
    at_most: float | None = Field(None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _some(self) -> Limits:
        if self.at_least is None and self.at_most is None:
            raise ValueError("give at_least, at_most or both")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least ({self.at_least:g}) is above at_most ({self.at_most:g}); swap them")
        return self


@dataclass(frozen=True)
class Figure:
    """One figure of a window. `chance` is its standard error at this number of rows, `off` the most that counting scores of
    one bin as equal may have changed it."""

    value: float
    good: Good
    scale: learned.Scale = "number"
    unit: Unit = "number"
    chance: float = 0.0
    off: float = 0.0
    said: str = ""


Figures = Mapping[str, Figure]


@dataclass(frozen=True)
class Standard:
    """What a figure is held to: bounds, or a baseline's figure, or (neither) its own past, as (window, rows, figures)."""

    limits: Limits | None
    baseline: float | None
    past: Sequence[learned.Point]


def part(check: Check, view: View, name: str, judge: Callable[[], Result]) -> Iterator[Result]:
    """One part's verdict under an id of its own, so that a part that cannot be judged takes no other with it."""
    own = f"{check.name}: {name}"
    try:
        yield replace(judge(), check=own)
    except NothingToJudge as nothing:
        yield replace(check.result(Status.SKIPPED, f"{own}: {nothing}", view), check=own)
    except CannotJudge as fault:
        yield replace(check.result(Status.ERRORED, f"{own} could not be judged: {fault}", view), check=own)


def verdict(check: Check, view: View, name: str, figure: Figure, standard: Standard) -> Result:
    """Raises NothingToJudge while there is neither a bound nor history enough."""
    if standard.limits is not None:
        bounds = _with_usual(Bounds(standard.limits.at_least, standard.limits.at_most), standard, figure, view)
        return _told(check, view, name, figure, bounds, bounds.score(figure.value, max(figure.chance, 1e-9)))
    if standard.baseline is not None:
        bounds = against(figure, standard.baseline)
        return _told(check, view, name, figure, bounds, bounds.score(figure.value, max(figure.chance, 1e-9)))
    found = usual(figure, standard.past, view)
    if isinstance(found, learned.Learning):
        raise NothingToJudge(f"it is {amount(figure.value, figure.unit)}; {found}")
    bounds = Bounds(found.at_least, found.at_most, learned=True, usual=found.words(figure.unit))
    return _told(check, view, name, figure, bounds, found.score, found)


def against(figure: Figure, baseline: float) -> Bounds:
    """No worse than the baseline by more than chance at this number of rows."""
    room, said = ERRORS * figure.chance, f"baseline: {amount(baseline, figure.unit)}, and 3 standard errors"
    if figure.good == "high":
        return Bounds(at_least=baseline - room, usual=said)
    if figure.good == "low":
        return Bounds(at_most=baseline + room, usual=said)
    return Bounds(-abs(baseline) - room, abs(baseline) + room, usual=said)


def usual(figure: Figure, past: Sequence[learned.Point], view: View) -> learned.Learned | learned.Learning:
    """Learned limits on the side that is worse; figures that are better when high are judged by what they lack of 1."""
    if figure.good == "zero":
        return _judged(figure, figure.value, past, view, "number", figure.chance)
    least = ERRORS * figure.chance
    if figure.good == "low":
        return _judged(figure, figure.value, past, view, figure.scale, least)
    lacks = [replace(p, value=1 - p.value) for p in past]
    found = _judged(figure, 1 - figure.value, lacks, view, figure.scale, least)
    if isinstance(found, learned.Learning):
        return found
    highest = 1 - (found.at_most if found.at_most is not None else 1.0)
    low, high, expected = 1 - found.high, 1 - found.low, 1 - found.expected
    return replace(found, at_least=highest, at_most=None, low=low, high=high, expected=expected)


def _judged(
    figure: Figure, value: float, past: Sequence[learned.Point], view: View, scale: learned.Scale, least: float
) -> learned.Learned | learned.Learning:
    one_sided = figure.good != "zero"
    return learned.judge(value, past, view.window, view.rows, scale, one_sided, least, view.allowance, view.expected, view.days)


def _with_usual(bounds: Bounds, standard: Standard, figure: Figure, view: View) -> Bounds:
    return replace(bounds, usual=learned.usual(standard.past, view.window, figure.unit))


def _told(
    check: Check, view: View, name: str, figure: Figure, bounds: Bounds, score: float, found: learned.Learned | None = None
) -> Result:
    failed = not bounds.admit(figure.value) if found is None else score > 1
    severe = found is not None and score > 2 and found.may_page
    allowed = bounds_in_words(bounds, figure.unit)
    # Scores that are equal and scores that only share a bin look the same.
    ties = (
        f"; {amount(2 * figure.off, 'share')} of the pairs share a bin of scores and count as ties" if figure.off >= 0.0005 else ""
    )
    about = f"{check.id}: {name}" if check.id else f"{check.name}: {name}"
    return check.result(
        Status.FAILED if failed else Status.PASSED,
        f"{about} is {amount(figure.value, figure.unit)}{found.on_day if found else ''}, {allowed}{figure.said}{ties}",
        view,
        value=figure.value,
        bounds=bounds,
        score=score,
        severity=(check.severity or (Severity.CRITICAL if severe else Severity.WARNING)) if failed else None,
        details={**(found.details() if found else {"judge": "given"}), "chance": figure.chance, "bins": figure.off},
        record=found.record if found else (),
    )
