"""How far each window of a history is from the windows before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from checks.histogram import Histogram
from checks.once import aligned_once, gathered_once
from checks.pair import Pair
from checks.profile import Counts
from checks.stack import Stack

if TYPE_CHECKING:
    from checks.distance import Distance
    from checks.window import Window

FEW = 3
"""Unknown distances that are computed one by one; more of them are computed all at once."""


def distances(
    method: Distance, windows: Sequence[Window], answers: Sequence[Histogram | Counts], most: int, least: int
) -> tuple[list[float], Pair]:
    """The distance of every window, from number `least` on, from the up to `most` before it; and the last of these comparisons.

    `windows` are those of the answers. What was computed when a window was judged is kept with its answer, and stored. Where more
    is unknown, as after a change of method, all windows are laid over the same places: faster, and exact to about a thousandth
    of the rows.
    """
    last = _compared(method, answers[-most - 1 :], min(len(answers) - 1, most), most)
    keys = [(method.name, min(at, most), windows[max(at - most, 0)].start.timestamp()) for at in range(least, len(answers))]
    asked = list(zip(answers[least:], keys, strict=True))
    asked[-1][0].distances[keys[-1]] = float(method.between(last)[0])
    unknown = [place for place, (answer, key) in enumerate(asked) if key not in answer.distances]
    if len(unknown) > FEW:
        # Without the judged one, which must not move what is said of those before it.
        found = method.between(_compared(method, answers[:-1], least, most)).tolist()
        for place in unknown:
            asked[place][0].distances[keys[place]] = found[place]
    else:
        for place in unknown:
            at = place + least
            pair = _compared(method, answers[max(at - most, 0) : at + 1], min(at, most), most)
            asked[place][0].distances[keys[place]] = float(method.between(pair)[0])
    return [answer.distances[key] for answer, key in asked], last


def _compared(method: Distance, answers: Sequence[Histogram | Counts], least: int, most: int) -> Pair:
    numbers = isinstance(answers[0], Histogram)
    stack = gathered_once(answers, method.coarse) if numbers else Stack.of(aligned_once(answers))
    return Pair(stack.part(slice(least, None)), stack.part(slice(-1)).pools(most, least))
