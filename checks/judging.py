"""Numbers against their own past: forecast, error, limit, score. Those measured on the same windows are judged together."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from checks import gradual, learned, limits, scales, special
from checks.forecast import CORRECTED, LATELY, MONTH, SAME, TREND, forecasts
from checks.result import HIGHEST_SCORE
from checks.series import at

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from checks.learned import Allowance, Learned, Trace
    from checks.series import Series
    from checks.special import Special, Specials
    from checks.window import Window

    Array = NDArray[np.float64]
    Flags = NDArray[np.bool_]

CHANCE = 3.0
"""Spreads by which two windows of the same kind may differ."""
WORSE = 1.5
"""Typical past errors of the other group's forecast, beyond which a forecast is the worse one."""
TIE = 1e-9
"""By how much more than `WORSE`: of numbers that hardly change the sizes are small whole multiples of one another."""
MONTHS = "the same day of earlier months"
GROUPS = ((MONTH, LATELY, TREND), (SAME, CORRECTED))
"""Of each group the forecast with the smaller past errors is taken; the value must be odd to every group."""


@dataclass(frozen=True)
class Side:
    """A forecast per number and how far off it may be, on the scale.

    `sizes` (windows x numbers) is how far off earlier windows were, in spreads; NaN where they had no forecast. `typical` is the
    size of past errors, on the scale.
    """

    names: Sequence[str]
    centre: Array
    spread: Array
    limit: Array
    sizes: Array
    typical: Array

    @property
    def record(self) -> Array:
        """How far off earlier windows were, by the limit."""
        return self.sizes / self.limit

    def told(self, numbers: list[int]) -> Array:
        """How far off the furthest of the last windows was, by the limit of those before them: above 1 it was told."""
        import numpy as np

        before, last = self.sizes[: -gradual.RECENT, numbers], self.sizes[-gradual.RECENT :, numbers]
        enough = np.isfinite(before).sum(axis=0) >= limits.FEWEST
        found = np.nan_to_num(last).max(axis=0) / limits.limit(before)
        return np.where(enough, found, 0.0)


@dataclass(frozen=True)
class Together:
    """Numbers measured on the same windows, and what is usual of them before anything widens a limit.

    `pasts` have finite values only. `now`, the judged window's, is on the scale, of which `typical` is the size that asinh takes;
    `record` (windows x numbers) is how far out each window of the history was, by the limits; `same` are the places of the
    windows like the judged one.
    """

    traces: Sequence[Trace]
    pasts: Sequence[Series]
    typical: Array
    now: Array
    sides: Sequence[Side]
    record: Array
    like: str
    same: list[int]
    slow: Mapping[int, gradual.Slow]
    day: Special | None = None
    scored: dict[Allowance, tuple[list[float], list[int]]] = field(default_factory=dict)

    def scores(self, allowance: Allowance) -> tuple[list[float], list[int]]:
        """How far out each number is, 1 on the bound, and to which side: of all sides the least holds."""
        import numpy as np

        if allowance not in self.scored:
            off = self.off / allowance.people
            found = np.minimum(limits.score(off, allowance.table), HIGHEST_SCORE)
            self.scored[allowance] = found.min(axis=0).tolist(), found.argmin(axis=0).tolist()
        return self.scored[allowance]

    @cached_property
    def starts(self) -> Sequence[datetime]:
        return self.pasts[0].starts()

    def recorded(self, places: list[int]) -> learned.Record:
        """How far out each earlier window was, of these numbers the furthest."""
        return tuple(zip(self.starts, self.record[:, places].max(axis=1).tolist(), strict=True))

    @cached_property
    def rooms(self) -> Sequence[tuple[Array, Array]]:
        """Of each side: how far above and below its forecast a number may be, on the scale."""
        return [_rooms(side, self.traces, self.typical) for side in self.sides]

    @cached_property
    def off(self) -> Array:
        """How far each number is from its forecasts, in limits that nothing widened."""
        import numpy as np

        upward = np.array([trace.upward for trace in self.traces])
        found = []
        for side, (up, down) in zip(self.sides, self.rooms, strict=True):
            out = self.now - side.centre
            found.append(np.where(out > 0, out / up, np.where(upward, 0.0, -out / down)))
        return np.array(found)


class Weighed(NamedTuple):
    """One number of some that are judged together."""

    among: Together
    place: int

    @property
    def trace(self) -> Trace:
        return self.among.traces[self.place]

    @property
    def record(self) -> learned.Record:
        return self.among.recorded([self.place])

    @property
    def slow(self) -> gradual.Slow | None:
        return self.among.slow.get(self.place)

    def score(self, allowance: Allowance) -> float:
        alone = self.among.scores(allowance)[0][self.place]
        together = self.slow.score(allowance.people) if self.slow else 0.0
        return max(alone, together) if together > 1 else alone

    def by(self, allowance: Allowance) -> Learned:
        """The verdict by limits that are widened so."""
        among, place, trace = self.among, self.place, self.trace
        scores, nearest = among.scores(allowance)
        score, alone, number = self.score(allowance), scores[place], nearest[place]
        side, (up, down) = among.sides[number], (float(room[place]) for room in among.rooms[number])
        centre, typical = float(side.centre[place]), float(among.typical[place])
        values = among.pasts[place].values
        group: list[float] = (values[among.same] if among.same else values[-learned.LONGEST :]).tolist()
        low, high = learned.inner(group)
        return learned.Learned(
            at_least=None if trace.upward else scales.back(centre - down * allowance.both, trace.scale, typical),
            at_most=scales.back(centre + up * allowance.both, trace.scale, typical),
            score=score,
            expected=scales.back(centre, trace.scale, typical),
            low=low,
            high=high,
            windows=len(group),
            like=among.like,
            may_page=len(among.starts) >= learned.SETTLED and not among.day,
            forecaster=side.names[place],
            spread=float(side.spread[place]),
            limit=float(side.limit[place]),
            allowance=allowance,
            slow=self.slow if score > alone else None,
            day=among.day,
        )


def weighed(
    traces: Sequence[Trace],
    pasts: Sequence[Series],
    window: Window,
    expected: Collection[datetime] = (),
    days: Specials = learned.ORDINARY,
    at_once: int = 1,
) -> list[Weighed]:
    """What is usual of traces with these pasts (finite values only, enough of them), which are of the same windows; `at_once` is
    how many numbers of the window are judged in all.

    Windows of special `days` are no examples: what is forecast, allowed and on record comes of the ordinary ones alone.
    """
    import numpy as np

    every, kept = pasts[0].windows, special.ordinary(pasts[0].windows, window, days)
    examples = pasts if len(kept) == len(every) else at(kept, pasts)
    past = np.stack([one.values for one in pasts], axis=1)
    typical = scales.typical(past if examples is pasts else past[kept])
    scaled, whole = _onto_scales(traces, pasts, past, typical)
    values, floor = (scaled, whole) if examples is pasts else (scaled[[*kept, -1]], whole[[*kept, -1]])
    windows = examples[0].windows
    like, same = learned.alike(windows, window)
    keys = (*learned.keys(windows), learned.key(window) if same else -1)
    fine = np.array([one.start in expected for one in windows] if expected else [False] * len(windows))
    lately = sum(place >= len(every) - learned.LONGEST for place in kept)
    sides = _sides(values[:-1], keys, floor, np.array([t.upward for t in traces]), fine, lately, at_once)
    record = np.nan_to_num(np.fmin.reduce([s.record for s in sides]))
    this = days.get(window.start)
    slow: Mapping[int, gradual.Slow] = {}
    if not this and window.length >= gradual.SHORTEST:
        filled = scaled if examples is pasts else special.filled(scaled, every, kept)
        slow = _slow(traces, typical, filled, whole, sides, at_once)
    places = [n for n, k in enumerate(keys[:-1]) if k == keys[-1]][-len(same) :] if same else []
    sides = [*sides, *_month(values[:-1], windows, window, sides)]
    if this:
        sides.append(special.side(scaled[:-1], every, window, days, sides))
    now = np.where(np.isfinite([trace.value for trace in traces]), values[-1], math.inf)
    among = Together(traces, examples, typical, now, sides, record, like, places, slow, this)
    return [Weighed(among, place) for place in range(len(traces))]


def _onto_scales(traces: Sequence[Trace], pasts: Sequence[Series], past: Array, typical: Array) -> tuple[Array, Array]:
    """Windows x numbers, the judged window last: the values (`past`, those of `pasts`) on their scales, and the floors of their
    noise."""
    import numpy as np

    now = np.array([trace.value for trace in traces])
    rows = np.concatenate([np.stack([one.rows for one in pasts], axis=1), np.array([[float(trace.rows) for trace in traces]])])
    kinds = [trace.scale for trace in traces]
    return scales.all_onto(np.concatenate([past, now[None, :]]), kinds, typical), scales.floors(kinds, rows)


def _rooms(side: Side, traces: Sequence[Trace], typical: Array) -> tuple[Array, Array]:
    up = side.spread * side.limit
    down = up.copy()
    for place, trace in enumerate(traces):
        if trace.least:
            size = float(typical[place])
            centre = float(side.centre[place])
            expected = scales.back(centre, trace.scale, size)
            for room, sign in ((up, 1), (down, -1)):
                least = abs(float(scales.onto(expected + sign * trace.least, trace.scale, size)) - centre)
                room[place] = max(room[place], least)
    return up, down


def _slow(
    traces: Sequence[Trace], typical: Array, values: Array, floor: Array, sides: Sequence[Side], at_once: int
) -> dict[int, gradual.Slow]:
    """What the last windows together tell, for the numbers of which small changes that stay are told."""
    import numpy as np

    wanted = [place for place, trace in enumerate(traces) if trace.lasting and math.isfinite(trace.value)]
    if not wanted or len(values) <= learned.SETTLED:
        return {}
    recent = slice(-learned.LONGEST - 1, None)
    upward, level = (np.array([hold(traces[place]) for place in wanted]) for hold in (_upward, _level))
    told = np.fmin.reduce([side.told(wanted) for side in sides])
    found = gradual.stretch(values[recent, wanted], floor[recent, wanted], upward, level, told > 1, at_once)
    each = ((place, found.of(number, traces[place].scale, float(typical[place]))) for number, place in enumerate(wanted))
    return {place: slow for place, slow in each if slow is not None}


def _upward(trace: Trace) -> bool:
    return trace.upward


def _level(trace: Trace) -> bool:
    return trace.lasting == "level"


def _sides(values: Array, keys: tuple[int, ...], floor: Array, upward: Array, fine: Flags, lately: int, at_once: int) -> list[Side]:
    """`lately`: so many of the windows lie side by side; older ones are there for being alike."""
    import numpy as np

    made = forecasts(values, keys)
    if TREND in made:
        # What only counts upwards, a distance or what is missing, has no growth to go on with.
        made[TREND][:, upward] = np.nan
    sides = []
    for group in GROUPS:
        known = [name for name in group if name in made]
        if not known:
            continue
        errors = {name: values - made[name][:-1] for name in known}
        if group is GROUPS[0]:
            for one in errors.values():
                one[: len(one) - lately] = np.nan
        costs, middles = (np.array(each) for each in zip(*(_cost(errors[name], made[name][-1]) for name in known), strict=True))
        if np.isfinite(costs.min(axis=0)).all():
            best, columns = costs.argmin(axis=0), np.arange(values.shape[1])
            chosen = np.stack([errors[name] for name in known])[best, :, columns].T
            centre = np.stack([made[name][-1] for name in known])[best, columns]
            spread = limits.spread(middles[best, columns], floor)
            sizes = np.where(upward[None, :], np.maximum(chosen, 0.0), np.abs(chosen)) / spread[:-1]
            names = [known[b] for b in best]
            sides.append(Side(names, centre, spread[-1], limits.limit(sizes, at_once), sizes, costs.min(axis=0)))
    within = [_within(one, other) for one, other in zip(sides, reversed(sides), strict=True)]
    return [_said_to_be_fine(side, fine) for side in within] if fine.any() else within


def _month(values: Array, windows: Sequence[Window], window: Window, sides: Sequence[Side]) -> list[Side]:
    """On the first or last day of a month: what it was on those before, give or take what is allowed on any day. There are too few
    of them to learn a limit from."""
    import numpy as np

    this = learned.month_edge(window)
    places = [place for place, one in enumerate(windows) if learned.month_edge(one) == this] if this else []
    if not places or not sides:
        return []
    ordered, any_day = np.sort(values[places], axis=0), sides[0]
    names = [MONTHS] * values.shape[1]
    return [replace(any_day, names=names, centre=ordered[(len(places) - 1) // 2], sizes=np.full_like(any_day.sizes, np.nan))]


def _within(side: Side, other: Side) -> Side:
    """Where the other forecast is much better, this one only tells whether the like was there before: a Monday like a Sunday was,
    a Monday with fewer rows than any Sunday was not. Its errors have two humps, not a tail that could be drawn out."""
    import numpy as np

    worse = np.flatnonzero(side.typical > WORSE * other.typical * (1 + TIE))
    if not len(worse):
        return side
    limit = side.limit.copy()
    limit[worse] = np.minimum(limit[worse], limits.seen(side.sizes[:, worse]))
    return replace(side, limit=limit)


def _said_to_be_fine(side: Side, fine: Flags) -> Side:
    """Somebody said so of these windows: as far off as they were is no finding, give or take chance."""
    import numpy as np

    return replace(side, limit=np.maximum(side.limit, np.nan_to_num(side.sizes[fine]).max(axis=0) + CHANCE))


def _cost(errors: Array, forecast: Array) -> tuple[Array, Array]:
    """How far off a forecast mostly was: the mean size of past errors, where the largest count no more than six usual ones, and the
    median size; infinite for numbers that it says too little of."""
    import numpy as np

    sizes = np.abs(errors)
    known = np.isfinite(sizes)
    count, middle = known.sum(axis=0), limits.median(sizes)
    enough = (count >= limits.FEWEST) & np.isfinite(forecast)
    capped = np.where(known, np.minimum(sizes, 6 * middle[None, :] + 1e-12), 0.0)
    return np.where(enough, capped.sum(axis=0) / np.maximum(count, 1), math.inf), middle
