"""Durations as the config writes them: 90s, 20m, 2h, 1d, 4w."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

LONGEST = timedelta(days=36525)


def parse(text: Any) -> timedelta:
    """`20m` -> 20 minutes. Raises ValueError with the form that is wanted."""
    if isinstance(text, timedelta):
        return text
    found = re.fullmatch(r"\s*(\d+)\s*([smhdw])\s*", text) if isinstance(text, str) else None
    if not found:
        raise ValueError(f"{text!r} is not a duration; write a number and s, m, h, d or w, such as 20m or 1d")
    try:
        length = timedelta(**{UNITS[found[2]]: int(found[1])})
    except OverflowError:
        length = timedelta.max
    # Added to or taken from any time of ours it must give a time.
    if length > LONGEST:
        raise ValueError(f"{text!r} is longer than anything we can wait for; at most 100 years")
    return length


def words(length: timedelta) -> str:
    """The shortest exact form: 3600 s -> 1h."""
    seconds = int(length.total_seconds())
    for name, size in (("w", 604800), ("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{name}"
    return f"{seconds}s"


def _some(length: timedelta) -> timedelta:
    if not length:
        raise ValueError("must be longer than 0s")
    return length


Duration = Annotated[timedelta, BeforeValidator(parse)]
Span = Annotated[timedelta, BeforeValidator(parse), AfterValidator(_some)]
"""A duration that cannot be zero."""
