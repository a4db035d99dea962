"""A profile: everything measured on one window; small, mergeable, stored. The only thing the checks see."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from checks.grid import Grid
from checks.histogram import Compared, Histogram, pack, packed_compared, unpack, unpacked_compared
from checks.keyed import Keyed
from checks.question import Merge

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

VERSION = 2
FEW_PLACES, FEW_KEPT = 64, 4
"""Values up to which their names and the rows of each are kept, and for how many sets of values: of a thousand it would take
megabytes."""


class Outdated(ValueError):
    """A stored profile whose form is no longer read: as if that window had not been measured."""


@dataclass(frozen=True, slots=True)
class Broken:
    """An answer that could not be had, and why, in words fit for a message."""

    reason: str


@dataclass(frozen=True, slots=True)
class Number:
    """One number (None: the engine gave NULL, as for the minimum of nothing) and how two of them merge."""

    value: float | int | None
    merge: Merge = "none"

    def plus(self, other: Number) -> Number:
        known = [v for v in (self.value, other.value) if v is not None]
        if self.merge == "none":
            return Number(None)
        if not known:
            return self
        merged = sum(known) if self.merge == "add" else (min(known) if self.merge == "min" else max(known))
        return Number(merged, self.merge)


@lru_cache(maxsize=4096)
def _shared(names: frozenset[str]) -> frozenset[str]:
    return names


@dataclass(frozen=True)
class Counts:
    """Rows per value of a column: the most frequent, then `other`; `distinct` values in all (None: no longer known).

    `error` is the share of the rows that a value may have and still be among the others instead of by itself; where it is not
    zero, `distinct` is an estimate.
    """

    counts: Mapping[str, int]
    other: int = 0
    distinct: int | None = None
    missing: int = 0
    error: float = 0.0
    cache: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """What was computed from it before: a worker sees the same history with every window."""
    compared: Compared = field(default_factory=dict, repr=False, compare=False)
    """How far it is from the windows before it, and the like; stored with it."""

    @property
    def total(self) -> int:
        if "total" not in self.cache:
            self.cache["total"] = sum(self.counts.values()) + self.other
        found: int = self.cache["total"]
        return found

    @property
    def checksum(self) -> bytes:
        """What tells its values from others, nearly always; few bytes."""
        if "checksum" not in self.cache:
            said = repr((sorted(self.counts.items()), self.other, self.missing))
            self.cache["checksum"] = zlib.crc32(said.encode("utf-8", "replace")).to_bytes(4, "big")
        known: bytes = self.cache["checksum"]
        return known

    @property
    def names(self) -> frozenset[str]:
        """The values that are counted by themselves; where they are few, the very same object for windows of the same ones."""
        if len(self.counts) > FEW_PLACES:
            return frozenset(self.counts)
        if "names" not in self.cache:
            self.cache["names"] = _shared(frozenset(self.counts))
        found: frozenset[str] = self.cache["names"]
        return found

    def rows(self, places: tuple[str, ...]) -> NDArray[np.float64]:
        """The rows of each of these values. Not to be changed."""
        import numpy as np

        kept = self.cache.setdefault("rows", {})
        found: NDArray[np.float64] | None = kept.get(places)
        if found is None:
            found = np.array([self.counts.get(value, 0) for value in places], dtype=np.float64)
            if len(places) <= FEW_PLACES:
                if len(kept) >= FEW_KEPT:
                    kept.clear()
                kept[places] = found
        return found

    def plus(self, other: Counts) -> Counts:
        """Added; the distinct count survives only where both sides are complete."""
        added = dict(self.counts)
        for value, n in other.counts.items():
            added[value] = added.get(value, 0) + n
        complete = not self.other and not other.other
        distinct = len(added) if complete else None
        return Counts(added, self.other + other.other, distinct, self.missing + other.missing, max(self.error, other.error))


@dataclass(frozen=True)
class Rows:
    """Bounded rows as a pandas frame; not merged, not stored."""

    frame: pd.DataFrame


Answer = Number | Histogram | Counts | Keyed | Rows | Broken
Answers = Mapping[str, Answer]


@dataclass(frozen=True)
class Profile:
    """Schema, rows and answers of one window.

    `parts` maps (where, segment) to answers by question key; ("", "") is the whole window.
    """

    schema: Mapping[str, str]
    rows: int
    parts: Mapping[tuple[str, str], Answers] = field(default_factory=dict)
    made: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict, repr=False, compare=False)
    """By part; see `kept`."""

    def answers(self, where: str | None = None, segment: str | None = None) -> Answers:
        return self.parts.get((where or "", segment or ""), {})

    def kept(self, where: str | None = None, segment: str | None = None) -> dict[str, Any]:
        """What was computed from these answers before: a worker sees the same history with every window."""
        return self.made.setdefault((where or "", segment or ""), {})

    def segments(self, where: str | None, by: str) -> list[str]:
        """The segments of a column that were measured: `country=DE`, ..."""
        return [s for w, s in self.parts if w == (where or "") and s.startswith(f"{by}=")]

    def plus(self, other: Profile) -> Profile:
        """Both windows as one. An answer that one side lacks, or that does not merge, is left out; a segment that one
        side lacks had no rows there."""
        parts = dict(self.parts)
        for part, theirs in other.parts.items():
            ours = parts.get(part)
            parts[part] = theirs if ours is None else _both(ours, theirs)
        return Profile(other.schema, self.rows + other.rows, parts)

    def to_bytes(self) -> bytes:
        """Compact JSON, compressed. Samples and broken answers are not part of it."""
        parts = [
            [where, segment, {key: packed for key, a in answers.items() if (packed := _pack(a)) is not None}]
            for (where, segment), answers in self.parts.items()
        ]
        body = {"v": VERSION, "schema": dict(self.schema), "rows": self.rows, "parts": parts}
        return zlib.compress(json.dumps(body, separators=(",", ":"), allow_nan=False).encode())

    @classmethod
    def from_bytes(cls, stored: bytes) -> Profile:
        body = json.loads(zlib.decompress(stored))
        version = body.get("v")
        if version < VERSION:
            raise Outdated(f"a profile of version {version}, from before this datavigil")
        if version > VERSION:
            raise ValueError(f"a profile of version {version} is from a newer datavigil; upgrade this one")
        parts = {(where, segment): {key: _unpack(a) for key, a in answers.items()} for where, segment, answers in body["parts"]}
        return cls(body["schema"], body["rows"], parts)


def merge(profiles: Iterable[Profile]) -> Profile | None:
    """All of them as one; None for none."""
    whole: Profile | None = None
    for profile in profiles:
        whole = profile if whole is None else whole.plus(profile)
    return whole


def _both(ours: Answers, theirs: Answers) -> Answers:
    merged = {key: _merge(answer, theirs.get(key)) for key, answer in ours.items()}
    return {key: answer for key, answer in merged.items() if answer is not None}


def _merge(a: Answer, b: Answer | None) -> Answer | None:
    if isinstance(a, Number) and isinstance(b, Number):
        return a.plus(b) if a.merge != "none" else None
    if isinstance(a, Histogram) and isinstance(b, Histogram):
        return a.plus(b)
    return a.plus(b) if isinstance(a, Counts) and isinstance(b, Counts) else None


def _pack(answer: Answer) -> Any:
    """A JSON value: numbers as [merge, value], what is more as an object, what is not stored as None."""
    if isinstance(answer, Number):
        value = answer.value
        return [answer.merge, str(value) if isinstance(value, float) and not math.isfinite(value) else value]
    if isinstance(answer, Histogram):
        return pack(answer)
    if isinstance(answer, Counts):
        counted = {"c": dict(answer.counts), "o": answer.other, "d": answer.distinct, "m": answer.missing, "e": answer.error}
        return {**counted, **packed_compared(answer.compared)}
    return answer.packed() if isinstance(answer, Keyed) else None


def _unpack(packed: Any) -> Answer:
    if isinstance(packed, list):
        how, value = packed
        return Number(float(value) if isinstance(value, str) else value, how)
    if "h" in packed:
        return unpack(packed)
    if "k" in packed:
        return Keyed.unpacked(packed)
    compared = unpacked_compared(packed)
    return Counts(packed["c"], packed["o"], packed["d"], packed["m"], packed["e"], compared=compared)


__all__ = ["Answer", "Answers", "Broken", "Counts", "Grid", "Histogram", "Keyed", "Number", "Profile", "Rows", "merge"]
