"""A profile: everything measured on one window; small, mergeable, stored. The only thing the checks see."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from checks.question import Merge

if TYPE_CHECKING:
    import pandas as pd

FINENESS = 64
LARGE = 1e100
LARGEST = 1.7e308


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


@dataclass(frozen=True, slots=True)
class Grid:
    """The asinh grid of a column: `bucket = floor(64 * asinh((x - center) / scale))`. Pinned per column.

    Linear near `center`, logarithmic in the tails. Two histograms merge by adding if their grids are equal.
    """

    center: float
    scale: float

    def bucket(self, x: float) -> int:
        """The bucket of a finite x. Above |z| of 1e100 the logarithm takes over, as in the engines' formula."""
        # At the very end of a float's range the quotient would be infinite, and has no bucket.
        limit = LARGEST * min(1.0, self.scale)
        z = max(min(x, limit), -limit) / self.scale - self.center / self.scale
        size = abs(z)
        height = math.log(size + math.sqrt(size * size + 1)) if size <= LARGE else math.log(size) + math.log(2)
        return math.floor(FINENESS * math.copysign(height, z))

    def edge(self, bucket: int) -> float:
        """The lower edge of a bucket, clamped to what a float can hold."""
        height = bucket / FINENESS
        z = math.sinh(height) if abs(height) < 700 else math.copysign(1e304, height)
        return max(min(self.center + z * self.scale, 1.7e308), -1.7e308)


@dataclass(frozen=True)
class Histogram:
    """Counts and sums per bucket of a numeric column: `buckets[b] = (rows, sum)`; what is not finite counted apart."""

    grid: Grid
    buckets: Mapping[int, tuple[int, float]]
    missing: int = 0
    nan: int = 0
    negative_infinity: int = 0
    positive_infinity: int = 0

    @property
    def finite(self) -> int:
        return sum(n for n, _ in self.buckets.values())

    def on(self, grid: Grid) -> Histogram:
        """The same values on another grid: each bucket goes where its mean lies (exact in count and sum)."""
        if grid == self.grid:
            return self
        moved: dict[int, tuple[int, float]] = {}
        for n, total in self.buckets.values():
            bucket = grid.bucket(total / n)
            rows, sums = moved.get(bucket, (0, 0.0))
            moved[bucket] = (rows + n, sums + total)
        return replace(self, grid=grid, buckets=moved)

    def plus(self, other: Histogram) -> Histogram:
        added = dict(self.buckets)
        for bucket, (n, total) in other.on(self.grid).buckets.items():
            rows, sums = added.get(bucket, (0, 0.0))
            added[bucket] = (rows + n, sums + total)
        return Histogram(
            self.grid,
            added,
            self.missing + other.missing,
            self.nan + other.nan,
            self.negative_infinity + other.negative_infinity,
            self.positive_infinity + other.positive_infinity,
        )

    def points(self) -> list[tuple[float, int]]:
        """(mean of the bucket, rows) in rising order: the distribution as its own best summary."""
        return [(total / n, n) for _, (n, total) in sorted(self.buckets.items())]

    def total(self) -> float | None:
        """The sum of the finite values; None where there are none."""
        return sum(s for _, s in self.buckets.values()) if self.buckets else None

    def mean(self) -> float | None:
        rows, total = self.finite, self.total()
        return total / rows if rows and total is not None else None

    def deviation(self) -> float | None:
        """Standard deviation of the finite values (population form), from the buckets' means; None below two rows."""
        rows, mean = self.finite, self.mean()
        if mean is None or rows < 2:
            return None
        return math.sqrt(sum(n * (x - mean) ** 2 for x, n in self.points()) / rows)

    def quantile(self, q: float) -> float | None:
        """The q-quantile (0..1) of the finite values, to the width of a bucket; None where there are none."""
        points, seen = self.points(), 0
        want = q * self.finite
        for x, n in points:
            seen += n
            if seen >= want:
                return x
        return points[-1][0] if points else None


@dataclass(frozen=True)
class Counts:
    """Rows per value of a column: the most frequent, then `other`; `distinct` values in all (None: no longer known)."""

    counts: Mapping[str, int]
    other: int = 0
    distinct: int | None = None
    missing: int = 0

    @property
    def total(self) -> int:
        return sum(self.counts.values()) + self.other

    def plus(self, other: Counts) -> Counts:
        """Added; the distinct count survives only where both sides are complete."""
        added = dict(self.counts)
        for value, n in other.counts.items():
            added[value] = added.get(value, 0) + n
        complete = not self.other and not other.other
        return Counts(added, self.other + other.other, len(added) if complete else None, self.missing + other.missing)


@dataclass(frozen=True)
class Rows:
    """Bounded rows as a pandas frame; not merged, not stored."""

    frame: pd.DataFrame


Answer = Number | Histogram | Counts | Rows | Broken
Answers = Mapping[str, Answer]


@dataclass(frozen=True)
class Profile:
    """Schema, rows and answers of one window.

    `parts` maps (where, segment) to answers by question key; ("", "") is the whole window.
    """

    schema: Mapping[str, str]
    rows: int
    parts: Mapping[tuple[str, str], Answers] = field(default_factory=dict)

    def answers(self, where: str | None = None, segment: str | None = None) -> Answers:
        return self.parts.get((where or "", segment or ""), {})

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
        body = {"v": 1, "schema": dict(self.schema), "rows": self.rows, "parts": parts}
        return zlib.compress(json.dumps(body, separators=(",", ":"), allow_nan=False).encode())

    @classmethod
    def from_bytes(cls, stored: bytes) -> Profile:
        body = json.loads(zlib.decompress(stored))
        if body.get("v") != 1:
            raise ValueError(f"a profile of version {body.get('v')} is from a newer datavigil; upgrade this one")
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
    """A JSON value: numbers as [merge, value], histograms and counts as objects, what is not stored as None."""
    if isinstance(answer, Number):
        value = answer.value
        return [answer.merge, str(value) if isinstance(value, float) and not math.isfinite(value) else value]
    if isinstance(answer, Histogram):
        order = sorted(answer.buckets)
        steps = [b - a for a, b in zip([0, *order], order, strict=False)]
        apart = [answer.missing, answer.nan, answer.negative_infinity, answer.positive_infinity]
        rows = [answer.buckets[b][0] for b in order]
        # A sum over huge values may overflow: such a bucket keeps its edge instead.
        sums = [_bounded(answer.buckets[b][1], answer.grid, b, answer.buckets[b][0]) for b in order]
        return {"g": [answer.grid.center, answer.grid.scale], "b": steps, "n": rows, "s": sums, "x": apart}
    if isinstance(answer, Counts):
        return {"c": dict(answer.counts), "o": answer.other, "d": answer.distinct, "m": answer.missing}
    return None


def _bounded(total: float, grid: Grid, bucket: int, rows: int) -> float:
    if math.isfinite(total):
        return total
    return max(min(grid.edge(bucket) * rows, 1.7e308), -1.7e308)


def _unpack(packed: Any) -> Answer:
    if isinstance(packed, list):
        how, value = packed
        return Number(float(value) if isinstance(value, str) else value, how)
    if "g" in packed:
        bucket, buckets = 0, {}
        for step, n, total in zip(packed["b"], packed["n"], packed["s"], strict=True):
            bucket += step
            buckets[bucket] = (n, total)
        return Histogram(Grid(*packed["g"]), buckets, *packed["x"])
    return Counts(packed["c"], packed["o"], packed["d"], packed["m"])
