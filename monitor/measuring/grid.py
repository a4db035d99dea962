"""The asinh grid of a column: made from a sample, pinned to what earlier windows used, and as an expression for the engine.

The expression is `checks.profile.Grid.bucket` in Ibis, guarded for engines that raise where others give infinity:
PostgreSQL ends a whole query on the square of 1e300, on an underflow, on the logarithm of NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median, quantiles, stdev
from typing import Any

from checks.profile import FINENESS, LARGE, LARGEST, Grid, Histogram, Profile

MISSING, NAN, NEGATIVE_INFINITY, POSITIVE_INFINITY = 1_000_000, 1_000_001, 1_000_002, 1_000_003
"""What the expression gives for what has no bucket; buckets end at 64 * asinh(1.8e308), about 45 500."""
FINE_PART = 256
"""Buckets on either side of the centre where the grid is fine: |z| below 27."""
ENOUGH = 50
HIGHEST = 1.7976931348623157e308
HUGE = 1e290
"""Above it a value is summed in units of 2**64, so that no sum of 1e18 of them overflows."""
UNIT = 2.0**64


def grid_of(values: Iterable[float | None]) -> Grid:
    """The grid for a column from a sample of it: median and IQR / 1.349, or a robust fallback; missing and non-finite
    values are left out, and a column of nothing else gets the grid (0, 1).

    Both numbers are cut to six digits: every engine reads such a number to the same bits.
    """
    known = sorted(float(v) for v in values if v is not None and math.isfinite(v))
    if not known:
        return Grid(0.0, 1.0)
    center = _short(_middle(known))
    scale = max(_spread(known, center), abs(center) * 1e-12, 1e-290)
    return Grid(center if abs(center) > scale * 1e-12 else 0.0, _short(min(scale, 1e300)))


def pinned(history: Sequence[Profile]) -> dict[str, Grid]:
    """The grid per column that the next window keeps, from earlier profiles (oldest first), so that they merge exactly.

    A column's newest histogram with at least 50 finite values in more than one bucket decides. A column whose values have
    mostly left the fine part of its grid is left out: its grid is made anew.
    """
    found: dict[str, Grid | None] = {}
    for profile in reversed(history):
        for key, answer in profile.answers().items():
            if isinstance(answer, Histogram) and key not in found and answer.finite >= ENOUGH and len(answer.buckets) > 1:
                found[key] = None if _outgrown(answer) else answer.grid
    return {key.removeprefix("distribution(").removesuffix(")"): grid for key, grid in found.items() if grid is not None}


def height(x: Any, grid: Grid) -> Any:
    """z = (x - center) / scale of an Ibis float column, clamped so that no engine overflows or underflows on the way."""
    import ibis

    limit = LARGEST * min(1.0, grid.scale)
    center, scale = exactly(grid.center), exactly(grid.scale)
    near = ibis.cases((x > limit, limit), (x < -limit, -limit), (x.abs() <= grid.scale * 1e-30, 0.0), else_=x)
    return near / scale - center / scale


def bucket(x: Any, z: Any, has_nan: bool) -> Any:
    """The bucket of each x with its z, or one of the four marks. NaN is asked for only where the engine has it."""
    import ibis

    size = z.abs()
    asinh = ibis.ifelse(size <= LARGE, (size + (size * size + 1).sqrt()).ln(), size.ln() + exactly(math.log(2)))
    fine = (FINENESS * ibis.ifelse(z < 0, -asinh, asinh)).floor().cast("int64")
    nan = [(x.isnan(), NAN)] if has_nan else []
    return ibis.cases((x.isnull(), MISSING), *nan, (x > HIGHEST, POSITIVE_INFINITY), (x < -HIGHEST, NEGATIVE_INFINITY), else_=fine)


def sums(x: Any) -> tuple[Any, Any]:
    """Two Ibis sums over x: of ordinary values, and of huge ones in units of 2**64. See `total`."""
    import ibis

    return (
        ibis.ifelse(x.abs() <= HUGE, x, 0.0).sum(),
        ibis.ifelse((x.abs() > HUGE) & (x.abs() <= HIGHEST), x / exactly(UNIT), 0.0).sum(),
    )


def total(ordinary: float | None, huge: float | None) -> float:
    """The sum of a bucket, held inside what a float can say."""
    whole = float(ordinary or 0.0) + float(huge or 0.0) * UNIT
    return max(min(whole, LARGEST), -LARGEST)


def exactly(number: float) -> Any:
    """A float literal that every engine reads to the same bits: DuckDB and PostgreSQL take a bare 0.1 for a decimal."""
    import ibis

    return ibis.literal(repr(float(number))).cast("float64")


def _outgrown(histogram: Histogram) -> bool:
    outside = sum(rows for b, (rows, _) in histogram.buckets.items() if abs(b) > FINE_PART)
    return outside * 2 > histogram.finite


def _middle(known: list[float]) -> float:
    """The median, whose mean of two middle values must not overflow."""
    found = median(known)
    return found if math.isfinite(found) else known[len(known) // 2]


def _spread(known: list[float], center: float) -> float:
    """IQR / 1.349; for half a constant column the mean, then the standard deviation; for a constant a thousandth of it."""
    if len(known) > 1:
        low, _, high = quantiles(known, n=4, method="inclusive")
        for spread in (high / 1.349 - low / 1.349, _deviation(known, center), _standard(known)):
            if 0 < spread < math.inf:
                return spread
    return max(abs(center), 1.0) * 1e-3


def _deviation(known: list[float], center: float) -> float:
    return 1.4826 * median(abs(v - center) for v in known)


def _standard(known: list[float]) -> float:
    try:
        return stdev(known)
    except OverflowError:
        return math.inf


def _short(number: float) -> float:
    return float(f"{number:.6g}")
