"""Bounds from history: what is usual for this number, and how far from it `value` is.

A plain robust version behind one function, `judge`: the median of the past on the number's own scale, a spread from
the median absolute deviation with a floor that knows the number of rows, the same weekday (or hour) where there is
enough of it, and a limit that is never tighter than the largest but one deviation already seen, so that one incident tells
once and does not blind the check.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from statistics import median_low
from typing import Any, Literal

from checks.result import HIGHEST_SCORE
from checks.window import Window
from checks.wording import Unit, amount

Scale = Literal["share", "count", "number", "distance"]

ENOUGH = 8
"""Windows of history below which nothing is learned."""
SETTLED = 35
"""Windows of history below which a learned finding warns but never pages."""
SAME_ENOUGH = 6
"""Windows of the same weekday (or hour) below which they are not looked at alone."""
WIDTH = 6.0
"""Spreads that are allowed on either side of what is usual."""
LONGEST = 90
"""Windows of history that are looked at."""
SEASONS = timedelta(days=90)
"""How far back the windows of the same weekday or hour may lie."""


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured on one earlier window."""

    window: Window
    value: float
    rows: int


@dataclass(frozen=True, slots=True)
class Learning:
    """Not enough history yet."""

    have: int
    need: int = ENOUGH

    def __str__(self) -> str:
        return f"still learning what is usual ({self.have} of {self.need} windows)"


@dataclass(frozen=True, slots=True)
class Learned:
    """Learned limits and how far out the value is: `score` 1 is on the bound.

    `may_page`: there is history enough to wake somebody.
    """

    at_least: float | None
    at_most: float | None
    score: float
    expected: float
    low: float
    high: float
    windows: int
    like: str
    may_page: bool = False

    def words(self, unit: Unit) -> str:
        """`usual: 0.1 % to 0.4 % on Mondays, 12 windows`."""
        return _words(self.low, self.high, unit, self.like, self.windows)

    def details(self) -> dict[str, Any]:
        return {
            "judge": "learned",
            "expected": self.expected,
            "windows": self.windows,
            "like": self.like.strip(),
            "usual": [self.low, self.high],
        }


def judge(
    value: float, past: Sequence[Point], window: Window, rows: int, scale: Scale, upward: bool = False, least: float = 0.0
) -> Learned | Learning:
    """`value`, measured on `rows` rows of `window`, against `past` (oldest first); `upward`: only more than usual is bad.

    The value must be odd both against the last windows and, where there are enough, against those of the same
    weekday (windows of a day) or hour (shorter ones); the limits are the wider of the two, what is called usual is what
    the latter were. `least` is the smallest change worth telling, in the value's own unit.
    """
    recent = _recent(past)
    if len(recent) < ENOUGH:
        return Learning(len(recent))
    like, same = _alike(past, window)
    if not math.isfinite(value):
        middle = _against(median_low(p.value for p in recent), recent, rows, scale, upward, "", least)
        return replace(middle, score=HIGHEST_SCORE)
    groups = [("", recent), (like, same)] if same else [("", recent)]
    verdicts = [_against(value, group, rows, scale, upward, words, least) for words, group in groups]
    wider, told = min(verdicts, key=lambda v: v.score), verdicts[-1]
    return replace(wider, low=told.low, high=told.high, windows=told.windows, like=told.like, may_page=len(recent) >= SETTLED)


def usual(past: Sequence[Point], window: Window, unit: Unit) -> str:
    """What the past was, in words, for a verdict on bounds that were given; empty while too little is known."""
    recent = _recent(past)
    if len(recent) < ENOUGH:
        return ""
    like, same = _alike(past, window)
    return _words(*_inner(same or recent), unit, like, len(same or recent))


def _recent(past: Sequence[Point]) -> list[Point]:
    return [p for p in past if math.isfinite(p.value)][-LONGEST:]


def noise(scale: Scale, rows: int) -> float:
    """The noise floor of a number at this many rows, in the number's own unit: the least change worth telling."""
    n = max(rows, 1)
    return {"share": max(1.0 / n, 0.25 / n), "count": 1.0, "number": 1.0, "distance": 1.0 / math.sqrt(n)}[scale]


def _alike(past: Sequence[Point], window: Window) -> tuple[str, list[Point]]:
    """The windows of the same weekday or hour, and how to say so; none where there are too few."""
    start, length = window.local_start, window.length
    if timedelta(hours=22) <= length <= timedelta(hours=26):
        alike, said = [p for p in past if p.window.local_start.weekday() == start.weekday()], f" on {start:%A}s"
    elif length < timedelta(hours=22):
        alike, said = [p for p in past if p.window.local_start.hour == start.hour], f" at {start:%H:%M}"
    else:
        return "", []
    same = _recent([p for p in alike if window.start - p.window.start <= SEASONS])
    return (said, same) if len(same) >= SAME_ENOUGH else ("", [])


def _against(value: float, group: Sequence[Point], rows: int, scale: Scale, upward: bool, like: str, least: float) -> Learned:
    typical = median_low(abs(p.value) for p in group) or 1.0
    there = [_there(p.value, scale, typical) for p in group]
    centre = median_low(there)
    apart = sorted(abs(t - centre) for t in there)
    spread = max(1.4826 * median_low(apart), _floor(scale, rows))
    # The largest past deviation is left out, so that one past incident does not blind the check.
    width = max(WIDTH * spread, 1.1 * apart[-2])
    expected = _back(centre, scale, typical)
    up = max(width, _there(expected + least, scale, typical) - centre)
    down = max(width, centre - _there(expected - least, scale, typical))
    out = _there(value, scale, typical) - centre
    score = out / up if out > 0 else (0.0 if upward else abs(out) / down)
    low_usual, high_usual = _inner(group)
    return Learned(
        at_least=None if upward else _back(centre - down, scale, typical),
        at_most=_back(centre + up, scale, typical),
        score=min(score, HIGHEST_SCORE),
        expected=expected,
        low=low_usual,
        high=high_usual,
        windows=len(group),
        like=like,
    )


def _inner(group: Sequence[Point]) -> tuple[float, float]:
    """From where to where the middle eight tenths of the past lie."""
    ordered = sorted(p.value for p in group)
    inner = ordered[len(ordered) // 10 : len(ordered) - len(ordered) // 10]
    return inner[0], inner[-1]


def _words(low: float, high: float, unit: Unit, like: str, windows: int) -> str:
    least, most = amount(low, unit), amount(high, unit)
    return f"usual: {least if least == most else f'{least} to {most}'}{like}, {windows} windows"


def _there(x: float, scale: Scale, typical: float) -> float:
    """Onto the scale on which the number's noise is even: arcsine-root for shares, log for counts, asinh else."""
    if scale == "share":
        return math.asin(math.sqrt(min(max(x, 0.0), 1.0)))
    if scale == "count":
        return math.log1p(max(x, 0.0))
    return math.sqrt(max(x, 0.0)) if scale == "distance" else math.asinh(x / typical)


def _back(y: float, scale: Scale, typical: float) -> float:
    if scale == "share":
        return math.sin(min(max(y, 0.0), math.pi / 2)) ** 2
    if scale == "count":
        return math.expm1(min(max(y, 0.0), 700.0))
    return (
        min(max(y, 0.0), 1.3e154) ** 2
        if scale == "distance"
        else max(min(math.sinh(min(max(y, -700.0), 700.0)) * typical, 1.7e308), -1.7e308)
    )


def _floor(scale: Scale, rows: int) -> float:
    """The spread that mere chance gives at this many rows, on the scale; never zero, so that a constant past has a width."""
    root = math.sqrt(max(rows, 1))
    return {"share": 0.25 / root, "count": 0.02, "number": 0.01 + 0.1 / root, "distance": 0.1 / root + 0.005}[scale]
