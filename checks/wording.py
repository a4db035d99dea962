"""Numbers as people read them: 38.2 %, 107 874, 2 h 30 min."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from checks.result import Bounds

Unit = Literal["number", "share", "rows", "seconds"]


def amount(value: float, unit: Unit) -> str:
    """A value in its unit, in at most four significant digits; whole counts in full, thousands apart."""
    if math.isnan(value) or math.isinf(value):
        return "NaN" if math.isnan(value) else ("infinity" if value > 0 else "-infinity")
    if unit == "share":
        return f"{_digits(value * 100, 3)} %"
    if unit == "rows":
        return f"{round(value):,}".replace(",", " ") if abs(value) < 1e15 else f"{value:.3g}"
    return duration(value) if unit == "seconds" else _digits(value, 4)


def bounds_in_words(bounds: Bounds, unit: Unit) -> str:
    """`at most 2 % allowed (usual: 0.1 % to 0.4 %)`."""
    low, high = bounds.at_least, bounds.at_most
    if unit == "rows":
        # Whole numbers: 14 is not within "14 to 18" where the bound is 14.3.
        low = math.ceil(low) if low is not None and math.isfinite(low) else low
        high = math.floor(high) if high is not None and math.isfinite(high) else high
    if low is not None and high is not None:
        said = f"{amount(low, unit)} to {amount(high, unit)} allowed"
    elif high is not None:
        said = f"at most {amount(high, unit)} allowed"
    elif low is not None:
        said = f"at least {amount(low, unit)} needed"
    else:
        said = "no bound"
    return f"{said} ({bounds.usual})" if bounds.usual else said


def quoted(values: Iterable[str], longest: int = 40) -> str:
    """Values of a column as a message may show them: `DE`, `x\\n`: one line, cut, no control characters."""
    return ", ".join(f"`{_plain(v, longest)}`" for v in values)


def _plain(value: str, longest: int) -> str:
    visible = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value.replace("`", "'"))
    return visible if len(visible) <= longest else visible[: longest - 1] + "…"


def of_rows(some: float, every: float) -> str:
    """`17 of 4 000 rows`."""
    return f"{amount(some, 'rows')} of {amount(every, 'rows')} rows"


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `2 h 30 min`, `3 d 4 h`."""
    sign, rest = ("-" if seconds < 0 else ""), round(abs(seconds))
    steps = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    for place, (name, size) in enumerate(steps):
        if rest >= size or name == "s":
            whole, left = divmod(rest, size)
            finer = steps[place + 1] if name in {"d", "h"} else None
            part = left // finer[1] if finer else 0
            return f"{sign}{whole} {name}" + (f" {part} {finer[0]}" if finer and part else "")
    raise AssertionError("the last step always returns")


def _digits(value: float, significant: int) -> str:
    if value == 0:
        return "0"
    if abs(value) >= 1e15 or abs(value) < 1e-4:
        return f"{value:.{significant - 1}e}"
    size = math.floor(math.log10(abs(value)))
    if size >= significant - 1:
        return f"{round(value):,}".replace(",", " ")
    return f"{value:.{significant - 1 - size}f}".rstrip("0").rstrip(".")
