"""Bounds from history: what is usual for a number, and how far from it `value` is.

A number is forecast from the windows before (checks/forecast.py) on the scale where its noise is even (checks/scales.py); its
error is compared with a limit from its own past errors (checks/limits.py). It must be odd both against the last windows and
against those alike (the same weekday, or hour), where there are enough of them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from checks import limits, scales
from checks.gradual import SHORTEST, Lasting, Slow
from checks.once import once
from checks.result import HIGHEST_SCORE, Severity
from checks.scales import Scale
from checks.series import Point, Series
from checks.window import Window
from checks.wording import Unit, amount

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from checks.judging import Weighed
    from checks.special import Special, Specials

    Array = NDArray[np.float64]

Record = Sequence[tuple[datetime, float]]
ENOUGH = 8
"""Windows of history below which nothing is learned."""
SETTLED = limits.SETTLED
"""Windows of history below which a learned finding warns but never pages."""
SAME_ENOUGH = 6
"""Windows of the same weekday (or hour) below which they are not looked at alone."""
LONGEST = 90
"""Windows of history that are looked at."""
CHUNK = 512
"""Numbers that are judged at once: the largest array has this many times the windows times the 28 that a forecast looks at."""
ALWAYS = 0.9
"""The share of steps in one direction from which on a number grows all the time."""
SEASONS = timedelta(days=90)
"""How far back the windows of the same weekday or hour may lie."""


class Allowance(NamedTuple):
    """By what limits are multiplied. What `people` asked for moves warning and page; what the `table`'s record of alarms widens
    moves the warning only."""

    people: float = 1.0
    table: float = 1.0

    @property
    def both(self) -> float:
        return self.people * self.table


USUAL = Allowance()
ORDINARY: Specials = {}
"""No window is of a special day."""


class Trace(NamedTuple):
    """One number of a window, and of the windows before it (oldest first).

    `upward`: only more than usual is bad. `least` is the smallest change worth telling, in the value's own unit. `rows` are those
    the number was measured on. `title` says what it is where a check has several.
    """

    value: float
    past: Sequence[Point]
    rows: int
    scale: Scale = "number"
    upward: bool = False
    least: float = 0.0
    unit: Unit = "number"
    title: str = ""
    extra: str = ""
    lasting: Lasting = ""
    """Which small changes that stay are told too."""


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

    `may_page`: there is history enough to wake somebody. `record` is how far out the windows of the history were by the same
    limits, by their start: what the table's own bounds are made of.
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
    forecaster: str = ""
    spread: float = 0.0
    limit: float = 0.0
    allowance: Allowance = USUAL
    slow: Slow | None = None
    """What the last windows together tell, where this one by itself tells less."""
    day: Special | None = None
    """The sort of day it is, where that is no ordinary one: its findings warn and never page."""
    record: Sequence[tuple[datetime, float]] = field(default=(), compare=False, repr=False)

    def words(self, unit: Unit) -> str:
        """`usual: 0.1 % to 0.4 % on Mondays, 12 windows`."""
        learning = "" if self.may_page or self.day else f", learning: {self.windows} of {SETTLED}"
        return _words(self.low, self.high, unit, self.like, self.windows) + (learning if not self.like else "")

    @property
    def severity(self) -> Severity:
        return Severity.CRITICAL if self.score > 2 and self.may_page else Severity.WARNING

    def details(self) -> dict[str, Any]:
        found = {
            "judge": "forecast",
            "expected": self.expected,
            "forecast": self.forecaster,
            "spread": self.spread,
            "limit": self.limit,
            "allowance": self.allowance.both,
            "windows": self.windows,
            "like": self.like.strip(),
            "usual": [self.low, self.high],
        }
        if self.day:
            found["day"] = str(self.day)
        return {**found, **self.slow.details()} if self.slow else found

    @property
    def on_day(self) -> str:
        """` on a holiday (Thanksgiving)`; mostly nothing."""
        return self.day.words if self.day else ""

    def lasting(self, unit: Unit) -> str:
        """What the last windows together tell, as the end of a sentence; mostly nothing."""
        return self.slow.words(unit) if self.slow else ""


def judge(
    value: float,
    past: Sequence[Point],
    window: Window,
    rows: int,
    scale: Scale,
    upward: bool = False,
    least: float = 0.0,
    allowance: Allowance = USUAL,
    expected: Collection[datetime] = (),
    days: Specials = ORDINARY,
) -> Learned | Learning:
    """`value`, measured on `rows` rows of `window`, against `past`; see `judge_all`."""
    return judge_all([Trace(value, past, rows, scale, upward, least)], window, allowance, expected, days)[0]


def judge_all(
    traces: Sequence[Trace],
    window: Window,
    allowance: Allowance = USUAL,
    expected: Collection[datetime] = (),
    days: Specials = ORDINARY,
) -> list[Learned | Learning]:
    """Each trace against its own past. `allowance` widens all limits; `expected` are the starts of windows that were unusual and
    fine: what is as far off as they were is no finding; `days` are the windows of special days, no examples of others."""
    found = weigh(traces, window, expected, days)
    return [one if isinstance(one, Learning) else replace(one.by(allowance), record=one.record) for one in found]


def weigh(
    traces: Sequence[Trace], window: Window, expected: Collection[datetime] = (), days: Specials = ORDINARY
) -> list[Weighed | Learning]:
    """What `judge_all` knows of each trace before limits are widened."""
    from checks.judging import weighed  # It needs what is defined here.

    known = _known([Series.of(trace.past) for trace in traces])
    found: list[Weighed | Learning] = [Learning(len(past)) for past in known]
    for alike, special in (one for same in _together(known) for one in _by_day(same, known, window, days)):
        for first in range(0, len(alike), CHUNK):
            places = alike[first : first + CHUNK]
            verdicts = weighed([traces[p] for p in places], [known[p] for p in places], window, expected, special, len(traces))
            for place, verdict in zip(places, verdicts, strict=True):
                found[place] = verdict
    return found


def _known(pasts: Sequence[Series]) -> list[Series]:
    """Each where it was a number."""
    import numpy as np

    if not pasts:
        return []
    # Mostly it was: to look at all of them at once takes a fraction of the time.
    ends = np.cumsum([len(past) for past in pasts])
    unknown = np.flatnonzero(~np.isfinite(np.concatenate([past.values for past in pasts])))
    found = list(pasts)
    for place in set(ends.searchsorted(unknown, side="right").tolist()):
        found[place] = found[place].known()
    return found


def _together(known: Sequence[Series]) -> list[list[int]]:
    """The places of those that are long enough, each with those of the same windows."""
    found: list[tuple[tuple[Window, ...], list[int]]] = []
    # Mostly the very same tuple; else the same windows, which are compared far faster than their times are hashed.
    by_place: dict[int, list[int]] = {}
    for place, past in enumerate(known):
        windows = past.windows
        same = by_place.get(id(windows))
        if same is None and len(windows) >= ENOUGH:
            same = next((places for others, places in found if others == windows), None)
            if same is None:
                same = []
                found.append((windows, same))
            by_place[id(windows)] = same
        if same is not None:
            same.append(place)
    return [places for _, places in found]


def _by_day(alike: list[int], known: Sequence[Series], window: Window, days: Specials) -> list[tuple[list[int], Specials]]:
    """Those for which special days are no examples, and those for which any day is one: of hours that grow all the time those after
    a day that is left out would be a day ahead of all before them."""
    if not days or window.length >= SHORTEST:
        return [(alike, days)]
    growing = [place for place in alike if _grows(known[place].values[-LONGEST:])]
    others = [place for place in alike if place not in growing]
    return [(places, special) for places, special in ((others, days), (growing, ORDINARY)) if places]


def _grows(values: Array) -> bool:
    """Or falls: nearly always the same way."""
    import numpy as np

    steps = np.diff(values)
    return max(int((steps > 0).sum()), int((steps < 0).sum())) >= ALWAYS * max(len(steps), 1)


def together(records: Sequence[Record]) -> Record:
    """Of several numbers' records, the furthest out each window was."""
    alike_: dict[tuple[datetime, ...], list[tuple[float, ...]]] = {}
    for record in records:
        if record:
            starts, outs = zip(*record, strict=True)
            alike_.setdefault(starts, []).append(outs)
    # Mostly all are of the same windows, and there are many of them.
    found: dict[datetime, float] = {}
    for starts, many in alike_.items():
        for start, out in zip(starts, map(max, *many) if len(many) > 1 else many[0], strict=True):
            found[start] = max(found.get(start, 0.0), out)
    return tuple(sorted(found.items()))


def usual(past: Sequence[Point], window: Window, unit: Unit) -> str:
    """What the past was, in words, for a verdict on bounds that were given; empty while too little is known."""
    known = Series.of(past).known()
    if len(known) < ENOUGH:
        return ""
    like, same = alike(known.windows, window)
    group = [float(known.values[place]) for place in same] or known.values[-LONGEST:].tolist()
    return _words(*inner(group), unit, like, len(group))


def noise(scale: Scale, rows: int) -> float:
    """The noise floor of a number at this many rows, in the number's own unit: the least change worth telling."""
    n = max(rows, 1)
    return {"share": 1.0 / n, "distance": 1.0 / math.sqrt(n)}.get(scale, 1.0)


@lru_cache(maxsize=4096)
def key(window: Window) -> int:
    """Windows of one key are alike: the weekday of windows of a day, the hour of shorter ones; -1 for longer ones."""
    if window.length > timedelta(hours=26):
        return -1
    start = window.local_start
    return start.weekday() if window.length >= timedelta(hours=22) else start.hour


def _keys(windows: Sequence[Window]) -> tuple[int, ...]:
    return tuple(map(key, windows))


keys = once(_keys)
"""The key of each window."""


def alike(windows: Sequence[Window], window: Window) -> tuple[str, list[int]]:
    """The places of the windows of the same weekday or hour, and how to say so; none where there are too few."""
    this = key(window)
    if this < 0:
        return "", []
    start = window.local_start
    said = f" on {start:%A}s" if window.length >= timedelta(hours=22) else f" at {start:%H:%M}"
    near = enumerate(zip(windows, keys(windows), strict=True))
    same = [place for place, (one, k) in near if k == this and window.start - one.start <= SEASONS]
    return (said, same) if len(same) >= SAME_ENOUGH else ("", [])


@lru_cache(maxsize=4096)
def month_edge(window: Window) -> str:
    """`first` or `last` for windows of such a day of a month, else nothing."""
    if not timedelta(hours=22) <= window.length <= timedelta(hours=26):
        return ""
    first, next_ = window.local_start, window.local_end
    return "first" if first.day == 1 else "last" if next_.month != first.month else ""


def inner(group: Sequence[float]) -> tuple[float, float]:
    """From where to where the middle eight tenths of the past lie."""
    ordered = sorted(group)
    middle = ordered[len(ordered) // 10 : len(ordered) - len(ordered) // 10]
    return middle[0], middle[-1]


def _words(low: float, high: float, unit: Unit, like: str, windows: int) -> str:
    least, most = amount(low, unit), amount(high, unit)
    return f"usual: {least if least == most else f'{least} to {most}'}{like}, {windows} windows"


__all__ = [
    "HIGHEST_SCORE",
    "Learned",
    "Learning",
    "Point",
    "Scale",
    "Series",
    "Trace",
    "judge",
    "judge_all",
    "noise",
    "scales",
    "usual",
]
