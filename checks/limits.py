"""How far off its forecast a number may be: a limit from the tail of its own past errors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FEWEST = 4
"""Past errors below which a forecast has no limit."""
TAIL = 0.8
"""The quantile of past errors above which they are taken to fall off exponentially."""
RARE = 1e-4
"""The probability, per number and window, to which that tail is drawn out."""
NARROWEST = 5.0
"""Spreads that are always allowed: noise of a bell shape comes so far once in two million windows."""

EXPECTED = 12.0
"""Rows to be expected of some kind, from which on chance does not leave out all of them: twelve once in 160,000 times."""
PAGE = 2.0
"""Limits, not widened, from which on somebody may be woken; also the score that says so."""
APART = 4 / 3
"""Widened limits that a page is at least further out than a warning."""
SETTLED = 35
"""Windows of history from which on it is long enough: below it limits are wider, and nothing that is learned pages."""
GOING_ON = 3
"""The last windows: what they were may be an incident that still goes on, and is no example."""
UNSURE = 10.0
"""How much wider: by this many times what one over the number of windows is above one over `SETTLED`."""
MANY = 100
"""Numbers judged at once from which on a short history is given more room for each."""


def score(out: Array | float, allowance: float) -> Array:
    """How far out something is, of `out` limits from its forecast: 1 on the widened limit, 2 where it may page.

    A table's record of alarms says that small findings are common in it, not that large ones are: what widens the limit does not
    move the page, unless it would come closer to the warning than `APART`. Narrowed limits page sooner by as much.
    """
    import numpy as np

    page = allowance * max(min(PAGE / allowance, PAGE), APART)
    out = np.asarray(out, dtype=np.float64)
    beyond = np.where(out < page, 1 + (out - allowance) / (page - allowance), PAGE * out / page)
    return np.where(out <= allowance, out / allowance, beyond)


def ordered(values: Array) -> Array:
    """Sorted along the first axis: each number's values side by side for it, which is some times faster."""
    import numpy as np

    return np.asarray(np.sort(np.ascontiguousarray(values.T), axis=-1).T)


def median(sizes: Array) -> Array:
    """The lower median per number of what is known; `sizes` is windows x numbers, NaN where unknown."""
    import numpy as np

    rising, known = ordered(sizes), np.isfinite(sizes).sum(axis=0)
    return np.asarray(np.take_along_axis(rising, (np.maximum(known - 1, 0) // 2)[None, :], axis=0)[0])


def spread(middle: Array, floor: Array) -> Array:
    """The robust spread, of the `middle` (median) size of errors (Hampel 1974), no less than the floor of each window and of the
    next."""
    import numpy as np

    return np.asarray(np.maximum(1.4826 * middle[None, :], floor))


def seen(sizes: Array) -> Array:
    """The largest size of past errors that counts, in spreads: what was there before, one past incident left out."""
    import numpy as np

    rising, known = ordered(sizes), np.isfinite(sizes).sum(axis=0)
    return np.asarray(np.maximum(_largest(sizes, rising[known - 2, np.arange(sizes.shape[1])]), NARROWEST))


def _largest(sizes: Array, second: Array) -> Array:
    """The `second` largest. In a short history also the largest of some windows ago, of which nothing says that it was an
    incident: the second Sunday is like the first, and like no other day."""
    import numpy as np

    return np.asarray(second if len(sizes) >= SETTLED else np.maximum(second, np.nan_to_num(sizes[:-GOING_ON]).max(axis=0)))


def unsure(windows: int, numbers: int = 1) -> float:
    """By how much limits are wider while there are few windows: of a bell shape, 14 windows know the spread to a fifth, and its
    tail less (compare Student's quantiles with the normal ones).

    The more `numbers` are judged at once, the further out the furthest lies: with ten degrees of freedom Student's quantile is 1.8
    times the normal one at 1e-5 and 2.4 times at 1e-7. Long histories have a record of alarms for that.
    """
    return 1 + UNSURE * max(1 / windows - 1 / SETTLED, 0.0) * max(1 + math.log10(max(numbers, 1) / MANY), 1.0)


def limit(sizes: Array, numbers: int = 1) -> Array:
    """The size of error that is still allowed, in spreads, per number; `sizes` is windows x numbers, NaN where unknown, and
    `numbers` says how many are judged at once.

    The largest is replaced by the second, so that one past incident does not blind it; in a short history it is allowed once
    more, some windows later.
    """
    import numpy as np

    rising, known = ordered(sizes), np.isfinite(sizes).sum(axis=0)
    columns = np.arange(sizes.shape[1])
    second = rising[known - 2, columns]
    at = np.minimum((TAIL * known).astype(int), known - 1)
    edge, place = rising[at, columns], np.arange(len(rising))[:, None]
    beyond = (place > at) & (place < known)
    mean = np.where(beyond, np.minimum(rising, second) - edge, 0.0).sum(axis=0) / np.maximum(known - 1 - at, 1)
    drawn_out = edge + np.maximum(mean, 0) * math.log((1 - TAIL) / RARE)
    return np.asarray(np.maximum(np.maximum(drawn_out, NARROWEST), _largest(sizes, second)) * unsure(len(sizes), numbers))
