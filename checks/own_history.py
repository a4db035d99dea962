"""How far each window of a history is from the windows before it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from checks.distance import moved
from checks.histogram import Histogram
from checks.once import by_value_once, gathered_once, once
from checks.pair import Pair
from checks.profile import Counts
from checks.stack import Stack

if TYPE_CHECKING:
    from checks.distance import Distance
    from checks.window import Window

    Change = tuple[str, float, float] | None
FEW = 3
"""Unknown distances that are computed one by one; more of them are computed all at once."""


class Last(NamedTuple):
    """What else is known of the last window: the noise of its distance, and what changed most (see checks/distance.py)."""

    noise: float
    change: Change


def earlier(
    method: Distance, windows: Sequence[Window], answers: Sequence[Histogram | Counts], most: int, least: int
) -> list[float]:
    """The distance of every window, from number `least` on, from the up to `most` before it. `windows` are those of the answers.

    What was computed when a window was judged is kept with its answer, and stored: it is not computed again when the window is
    replayed. Where more than a few are not known, as after a change of method, all windows are laid over the same places: faster,
    and exact to about a thousandth of the rows.
    """
    keys = _keys_once(windows, method.name, most, least)
    asked = answers[least:]
    values: list[Any] = [answer.compared.get(key) for answer, key in zip(asked, keys, strict=True)]
    unknown = [place for place, value in enumerate(values) if value is None]
    if len(unknown) > FEW:
        found = method.between(_compared(method, answers, least, most)).tolist()
        for place in unknown:
            values[place] = found[place]
    else:
        for place in unknown:
            at = place + least
            pair = _compared(method, answers[max(at - most, 0) : at + 1], min(at, most), most)
            values[place] = float(method.between(pair)[0])
    for place in unknown:
        asked[place].compared[keys[place]] = values[place]
    return values


def before(windows: Sequence[Window], at: int, most: int) -> tuple[int, float]:
    """Which windows the one at this place is compared with, as the key of what comes of it has it; there must be one."""
    return min(at, most), windows[max(at - most, 0)].start.timestamp()


def checksum(answers: Sequence[Histogram | Counts]) -> int:
    """What tells that these are the very values that something was computed of: a window may have been measured once more."""
    return zlib.crc32(b"".join([answer.checksum for answer in answers]))


def _keys(windows: Sequence[Window], name: str, most: int, least: int) -> list[tuple[str, int, float]]:
    return [(name, *before(windows, at, most)) for at in range(least, len(windows))]


_keys_once = once(_keys)
"""Most columns have values in the same windows."""


def last(method: Distance, windows: Sequence[Window], answers: Sequence[Histogram | Counts], most: int) -> tuple[float, Last]:
    """The distance of the last window, and what else its comparison says; there must be one before it."""
    compared, of = answers[-1].compared, before(windows, len(answers) - 1, most)
    distance, more = (method.name, *of), (f"{method.name} last", *of)
    those = checksum(answers[-most - 1 : -1])
    if distance not in compared or more not in compared or compared[more][0] != those:
        pair = _compared(method, answers[-most - 1 :], min(len(answers) - 1, most), most)
        change = moved(pair.current.masses(), pair.reference.masses())
        compared[distance] = float(method.between(pair)[0])
        compared[more] = [those, method.noise_of(pair), list(change) if change else None]
    _, noise, told = compared[more]
    return compared[distance], Last(noise, tuple(told) if told else None)


def _compared(method: Distance, answers: Sequence[Histogram | Counts], least: int, most: int) -> Pair:
    numbers = isinstance(answers[0], Histogram)
    stack = gathered_once(answers, method.coarse) if numbers else Stack.counted(*by_value_once(answers))
    return Pair(stack.part(slice(least, None)), stack.part(slice(-1)).pools(most, least))
