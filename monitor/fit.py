"""What came from a source, made fit for the store, for every channel and for a terminal: no NUL, no half characters, not endless.

It is done once, where results come in, so that everything after it sees the same names.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any, TypeVar

from checks.result import Result

CHECK, COLUMN, SEGMENT, MESSAGE = 512, 255, 512, 4000
"""Characters that the store keeps of each."""

T = TypeVar("T")


def text(said: str, most: int = MESSAGE) -> str:
    """PostgreSQL refuses NUL in a text, and no wire takes half a surrogate pair."""
    return said.replace("\x00", "\\0").encode("utf-8", "replace").decode()[:most]


def name(said: str, most: int) -> str:
    """As `text`; two long names that differ only in their tails stay two."""
    clean = text(said, len(said) * 2)
    if len(clean) <= most:
        return clean
    mark = hashlib.sha256(clean.encode()).hexdigest()[:8]
    return f"{clean[: most - len(mark) - 1]}~{mark}"


def result(given: Result) -> Result:
    """A result whose names and message can be stored, compared and sent."""
    return replace(
        given,
        check=name(given.check, CHECK - 32),
        column=None if given.column is None else name(given.column, COLUMN),
        segment=None if given.segment is None else name(given.segment, SEGMENT),
        message=text(given.message),
    )


def json(value: T) -> T:
    """Every text in a JSON value made fit."""
    return _json(value)  # type: ignore[no-any-return]


def _json(value: Any) -> Any:
    if isinstance(value, str):
        return text(value, len(value) * 2)
    if isinstance(value, dict):
        return {_json(key): _json(part) for key, part in value.items()}
    return [_json(part) for part in value] if isinstance(value, list | tuple) else value
