"""The asinh grid of a column: made from a sample, pinned to what earlier windows used, and as an expression for the engine.

The expression is `checks.grid.Grid.bucket` in Ibis, guarded for engines that raise where others give infinity: PostgreSQL
ends a whole query on the square of 1e300, on an underflow, on the logarithm of NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from checks.grid import FINENESS, LARGE, LARGEST, SPAN, Grid
from checks.histogram import Histogram
from checks.profile import Profile
from monitor.measuring.fitting import full

MISSING, NAN, NEGATIVE_INFINITY, POSITIVE_INFINITY = 1_000_000, 1_000_001, 1_000_002, 1_000_003
"""What the expression gives for what has no bucket; buckets end at 128 * asinh(1.8e308), about 91,000."""
FINE_PART = 4 * FINENESS
"""Buckets on either side of the centre where the grid is fine: |z| below 27."""
ENOUGH = 50
CROWDED = 0.04
"""The share of rows in one bucket of differing values above which a grid is made anew."""
HIGHEST = 1.7976931348623157e308
HUGE = 1e290
"""Above it a value is summed in units of 2**64, so that no sum of 1e18 of them overflows."""
UNIT = 2.0**64
ROOM = 2**62
"""How far apart two integers may lie for their difference to be one."""


def pinned(history: Sequence[Profile]) -> dict[str, Grid]:
    """The grid per distribution (by its question's key) that the next window keeps, from earlier profiles (oldest first).

    Its newest histogram with at least 50 finite values in more than one bucket decides. One whose values have mostly
    left the fine part of its grid, or crowd in one bucket, is left out: its grid is made anew.
    """
    found: dict[str, Grid | None] = {}
    for profile in reversed(history):
        for key, answer in profile.answers().items():
            if isinstance(answer, Histogram) and key not in found and answer.finite >= ENOUGH and answer.filled > 1:
                found[key] = None if _outgrown(answer) else answer.grid
    return {key: grid for key, grid in found.items() if grid is not None}


def apart(column: Any, grid: Grid) -> Any:
    """An Ibis column of numbers less the grid's centre, as floats; exact for neighbouring integers of any size."""
    import ibis

    x = column.cast("float64")
    if isinstance(grid.center, int) and column.type().is_unsigned_integer():
        # The engines' difference of two unsigned numbers must not be negative.
        return (column.cast("decimal(20, 0)") - ibis.literal(str(grid.center)).cast("decimal(20, 0)")).cast("float64")
    if isinstance(grid.center, int) and column.type().is_integer():
        whole = column.cast("int64")
        low, high = max(grid.center - ROOM, -(2**63) + 1), min(grid.center + ROOM, 2**63 - 1)
        near = (whole >= low) & (whole <= high)
        return ibis.ifelse(near, (whole - grid.center).cast("float64"), x - exactly(grid.center))
    return x - exactly(grid.center) if grid.center else x


def placed(a: Any, grid: Grid) -> tuple[Any, Any]:
    """(number of the zone, z) of a column less the grid's centre.

    z is clamped so that no engine overflows or underflows on the way.
    """
    import ibis

    limit = LARGEST * min(1.0, grid.scale)
    near = ibis.cases((a.abs() <= grid.scale * 1e-30, 0.0), (a.abs() <= limit, a), (a > 0, limit), else_=-limit)
    if not grid.zones:
        return ibis.literal(0, "int64"), near / exactly(grid.scale)
    inside = [(a >= exactly(zone.low)) & (a < exactly(zone.high)) for zone in grid.zones]
    less = [a - exactly(zone.center) for zone in grid.zones]
    fine = [
        ibis.ifelse(d.abs() <= zone.scale * 1e-30, 0.0, d / exactly(zone.scale)) for d, zone in zip(less, grid.zones, strict=True)
    ]
    return (
        ibis.cases(*zip(inside, range(1, len(inside) + 1), strict=True), else_=0).cast("int64"),
        ibis.cases(*zip(inside, fine, strict=True), else_=near / exactly(grid.scale)),
    )


def bucket(a: Any, k: Any, z: Any, has_nan: bool) -> Any:
    """The key of the bucket from a column less the centre and what `placed` made of it, or one of the four marks.

    NaN is asked for only where the engine has it.
    """
    import ibis

    size = z.abs()
    asinh = ibis.ifelse(size <= LARGE, (size + (size * size + 1).sqrt()).ln(), size.ln() + exactly(math.log(2)))
    fine = (FINENESS * z.sign().cast("float64") * asinh).floor().cast("int64") + k * SPAN
    nan = [(a.isnan(), NAN)] if has_nan else []
    # What nearly every value is comes first.
    return ibis.cases((a.abs() <= HIGHEST, fine), (a.isnull(), MISSING), *nan, (a > 0, POSITIVE_INFINITY), else_=NEGATIVE_INFINITY)


def sums(a: Any) -> tuple[Any, Any]:
    """Two Ibis sums over a: of ordinary values, and of huge ones in units of 2**64. See `total`."""
    import ibis

    return (
        ibis.ifelse(a.abs() <= HUGE, a, 0.0).sum(),
        ibis.ifelse((a.abs() > HUGE) & (a.abs() <= HIGHEST), a / exactly(UNIT), 0.0).sum(),
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
    from checks.grid import split

    outside = 0
    for cells in histogram.cells.values():
        zones, buckets = split(cells.keys)
        outside += int(cells.rows[(zones == 0) & (abs(buckets) > FINE_PART)].sum())
    if outside * 2 > histogram.finite:
        return True
    crowd = histogram.crowded()
    return crowd > CROWDED and crowd * histogram.finite >= ENOUGH and not full(histogram.grid)
