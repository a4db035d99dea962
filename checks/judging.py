"""Numbers against their own past: forecast, error, limit, score. Those measured on the same windows are judged together."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from statistics import median_low
from typing import TYPE_CHECKING

from checks import gradual, learned, limits, scales
from checks.forecast import CORRECTED, LATELY, MONTH, SAME, forecasts
from checks.result import HIGHEST_SCORE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from checks.learned import Allowance, Learned, Point, Trace
    from checks.window import Window

    Array = NDArray[np.float64]
    Flags = NDArray[np.bool_]

CHANCE = 3.0
"""Spreads by which two windows of the same kind may differ."""
WORSE = 1.5
"""Typical past errors of the other group's forecast, beyond which a forecast is the worse one."""
GROUPS = ((MONTH, LATELY), (SAME, CORRECTED))
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

    def told(self) -> Array:
        """How far off the furthest of the last windows was, by the limit of those before them: above 1 it was told."""
        import numpy as np

        before, last = self.sizes[: -gradual.RECENT], self.sizes[-gradual.RECENT :]
        enough = np.isfinite(before).sum(axis=0) >= limits.FEWEST
        found = np.nan_to_num(last).max(axis=0) / limits.limit(before)
        return np.where(enough, found, 0.0)


def judged(
    traces: Sequence[Trace],
    pasts: Sequence[Sequence[Point]],
    window: Window,
    allowance: Allowance,
    expected: Collection[datetime] = (),
) -> list[Learned]:
    """The verdicts on traces with these pasts (finite values only, enough of them), which are of the same windows."""
    import numpy as np

    typical = [median_low([abs(p.value) for p in past]) or 1.0 for past in pasts]
    along = list(zip(traces, pasts, typical, strict=True))
    values = np.stack([scales.onto([p.value for p in past], t.scale, size) for t, past, size in along], axis=1)
    floor = np.stack([scales.floor(t.scale, [*(p.rows for p in past), t.rows]) for t, past, _ in along], axis=1)
    like, same = learned.alike(pasts[0], window)
    keys = (*learned.keys(pasts[0]), learned.key(window) if same else -1)
    fine = np.array([p.window.start in expected for p in pasts[0]])
    sides = _sides(values, keys, floor, np.array([t.upward for t in traces]), fine)
    record = np.nan_to_num(np.fmin.reduce([s.record for s in sides]))
    slow = _slow(along, values, floor, sides, window)
    starts = [p.window.start for p in pasts[0]]
    found = []
    for place, (trace, past, size) in enumerate(along):
        at_least, at_most, score, middle, name, spread, limit = _verdict(sides, place, trace, size, allowance)
        group = (
            [p for p, k in zip(past, keys[:-1], strict=True) if k == keys[-1]][-len(same) :] if same else past[-learned.LONGEST :]
        )
        low, high = learned.inner(group)
        found.append(
            learned.Learned(
                at_least=at_least,
                at_most=at_most,
                score=score,
                expected=middle,
                low=low,
                high=high,
                windows=len(group),
                like=like,
                may_page=len(past) >= learned.SETTLED,
                forecaster=name,
                spread=spread,
                limit=limit,
                allowance=allowance,
                record=tuple(zip(starts, record[:, place].tolist(), strict=True)),
            )
        )
    return [_with(one, slow[place]) if place in slow else one for place, one in enumerate(found)]


def _with(one: Learned, slow: gradual.Slow) -> Learned:
    """The same verdict, where the last windows together tell more than this one does."""
    score = slow.score(one.allowance.people)
    return replace(one, slow=slow, score=score) if score > max(one.score, 1.0) else one


def _slow(
    along: Sequence[tuple[Trace, Sequence[Point], float]], values: Array, floor: Array, sides: Sequence[Side], window: Window
) -> dict[int, gradual.Slow]:
    """What the last windows together tell, for the numbers of which small changes that stay are told."""
    import numpy as np

    wanted = [place for place, (trace, *_) in enumerate(along) if trace.lasting and math.isfinite(trace.value)]
    if not wanted or len(values) < learned.SETTLED or window.length < gradual.SHORTEST:
        return {}
    traces = [along[place][0] for place in wanted]
    now = [float(scales.onto(trace.value, trace.scale, along[place][2])) for place, trace in zip(wanted, traces, strict=True)]
    recent = np.concatenate([values[:, wanted], np.array(now)[None, :]])[-learned.LONGEST - 1 :]
    upward, level = np.array([trace.upward for trace in traces]), np.array([trace.lasting == "level" for trace in traces])
    told = np.fmin.reduce([side.told()[wanted] for side in sides])
    found = gradual.stretch(recent, floor[-len(recent) :, wanted], upward, level, told > 1)
    return {
        place: one
        for number, place in enumerate(wanted)
        if (one := found.of(number, along[place][0].scale, along[place][2])) is not None
    }


def _sides(values: Array, keys: tuple[int, ...], floor: Array, upward: Array, fine: Flags) -> list[Side]:
    import numpy as np

    made = forecasts(values, keys)
    sides = []
    for group in GROUPS:
        known = [name for name in group if name in made and np.isfinite(made[name][-1]).all()]
        errors = {name: values - made[name][:-1] for name in known}
        if group is GROUPS[0]:
            # Older windows are there for being alike, and do not lie side by side.
            for one in errors.values():
                one[: -learned.LONGEST] = np.nan
        enough = [name for name in known if (np.isfinite(errors[name]).sum(axis=0) >= limits.FEWEST).all()]
        if enough:
            best = np.argmin([_typical(errors[name]) for name in enough], axis=0)
            columns = np.arange(values.shape[1])
            chosen = np.stack([errors[name] for name in enough])[best, :, columns].T
            centre = np.stack([made[name][-1] for name in enough])[best, columns]
            sides.append(_side([enough[b] for b in best], centre, chosen, floor, upward))
    within = [_within(one, other) for one, other in zip(sides, reversed(sides), strict=True)]
    return [_said_to_be_fine(side, fine) for side in within] if fine.any() else within


def _within(side: Side, other: Side) -> Side:
    """Where the other forecast is much better, this one only tells whether the like was there before: a Monday like a Sunday was,
    a Monday with fewer rows than any Sunday was not. Its errors have two humps, not a tail that could be drawn out."""
    import numpy as np

    worse = side.typical > WORSE * other.typical
    return replace(side, limit=np.where(worse, np.minimum(side.limit, limits.seen(side.sizes)), side.limit))


def _said_to_be_fine(side: Side, fine: Flags) -> Side:
    """Somebody said so of these windows: as far off as they were is no finding, give or take chance."""
    import numpy as np

    return replace(side, limit=np.maximum(side.limit, np.nan_to_num(side.sizes[fine]).max(axis=0) + CHANCE))


def _typical(errors: Array) -> Array:
    """The mean size of past errors, where the largest count no more than six usual ones."""
    import numpy as np

    sizes = np.abs(errors)
    known = np.isfinite(sizes)
    capped = np.minimum(sizes, 6 * limits.median(sizes)[None, :] + 1e-12)
    return np.asarray(np.where(known, capped, 0.0).sum(axis=0) / known.sum(axis=0))


def _side(names: Sequence[str], centre: Array, errors: Array, floor: Array, upward: Array) -> Side:
    import numpy as np

    spread = limits.spread(errors, floor)
    sizes = np.where(upward[None, :], np.maximum(errors, 0.0), np.abs(errors)) / spread[:-1]
    return Side(names, centre, spread[-1], limits.limit(sizes), sizes, _typical(errors))


def _verdict(
    sides: Sequence[Side], place: int, trace: Trace, typical: float, allowance: Allowance
) -> tuple[float | None, float, float, float, str, float, float]:
    """at_least, at_most, score and what was expected, by whom; spread and limit: of the side that finds it least odd."""
    now = float(scales.onto(trace.value, trace.scale, typical)) if math.isfinite(trace.value) else math.inf
    told = []
    for side in sides:
        centre, spread, limit = float(side.centre[place]), float(side.spread[place]), float(side.limit[place])
        expected = scales.back(centre, trace.scale, typical)
        up = down = spread * limit
        if trace.least:
            up, down = (
                max(up, abs(float(scales.onto(expected + s * trace.least, trace.scale, typical)) - centre)) for s in (1, -1)
            )
        out = now - centre
        off = (out / up if out > 0 else (0.0 if trace.upward else -out / down)) / allowance.people
        score = min(limits.score(off, allowance.table), HIGHEST_SCORE)
        at_least = None if trace.upward else scales.back(centre - down * allowance.both, trace.scale, typical)
        at_most = scales.back(centre + up * allowance.both, trace.scale, typical)
        told.append((at_least, at_most, score, expected, side.names[place], spread, limit))
    return min(told, key=lambda t: t[2])
