"""Predicted probabilities counted in fine bins: ROC AUC, calibration and estimates without labels from counts alone.

The bins are fine near 0 and near 1, where the scores of rare classes lie: on either side of 0.5 there are `HALF` of them, even on
the fourth root of the distance from that end. Scores within one bin count as equal, which is all the error there is; it is
worked out with each figure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

HALF = 1024
"""Bins on either side of 0.5; the widest, beside 0.5, is 0.002 wide."""
NO_SCORE = -1
"""The bin of what is missing, or no probability."""


def place(score: float) -> int:
    """The bin of a probability, 0 to 2047; -1 for what is none."""
    if not 0 <= score <= 1:
        return NO_SCORE
    step = min(math.floor(HALF * math.sqrt(math.sqrt(2 * min(score, 1 - score)))), HALF - 1)
    return step if score < 0.5 else 2 * HALF - 1 - step


def middle(bin_: int) -> float:
    """The probability in the middle of a bin; 0 and 1 for the outermost, whose width is below 1e-12."""
    step = min(bin_, 2 * HALF - 1 - bin_)
    low, high = 0.5 * (step / HALF) ** 4, 0.5 * ((step + 1) / HALF) ** 4
    inner = 0.0 if step == 0 else (low + high) / 2
    return inner if bin_ < HALF else 1 - inner


@dataclass(frozen=True)
class Scored:
    """Rows, and how many of them are (or are expected to be) of the class, per bin."""

    rows: Mapping[int, float]
    hits: Mapping[int, float]

    @property
    def known(self) -> list[int]:
        return sorted(b for b in self.rows if b != NO_SCORE)

    def roc_auc(self) -> tuple[float, float] | None:
        """The area under the ROC curve and the most it can be off by; None where there is but one class.

        Pairs of rows in one bin count half, as ties do (Hanley and McNeil 1982).
        """
        above = tied = 0.0
        misses_below = 0.0
        for bin_ in self.known:
            hits = self.hits.get(bin_, 0.0)
            misses = self.rows[bin_] - hits
            above += hits * misses_below
            tied += hits * misses
            misses_below += misses
        pairs = sum(self.hits.get(b, 0.0) for b in self.known) * misses_below
        return ((above + tied / 2) / pairs, tied / 2 / pairs) if pairs > 0 else None

    def calibration_error(self, parts: int = 10) -> float | None:
        """The expected calibration error over ten equal stretches of probability (Naeini et al. 2015); None without rows."""
        sums = [[0.0, 0.0, 0.0] for _ in range(parts)]
        for bin_ in self.known:
            into = sums[min(int(middle(bin_) * parts), parts - 1)]
            for number, amount in enumerate((self.rows[bin_], self.hits.get(bin_, 0.0), self.rows[bin_] * middle(bin_))):
                into[number] += amount
        total = sum(rows for rows, *_ in sums)
        return sum(abs(hits - expected) for _, hits, expected in sums) / total if total else None

    def isotonic(self) -> dict[int, float]:
        """Bin -> the share of hits, made to rise with the score by pooling neighbours (Ayer et al. 1955)."""
        blocks: list[tuple[float, float, int]] = []
        for bin_ in self.known:
            block = (self.rows[bin_], self.hits.get(bin_, 0.0), 1)
            while blocks and blocks[-1][1] * block[0] >= block[1] * blocks[-1][0]:
                rows, hits, count = blocks.pop()
                block = (rows + block[0], hits + block[1], count + block[2])
            blocks.append(block)
        levels = [hits / rows for rows, hits, count in blocks for _ in range(count)]
        return dict(zip(self.known, levels, strict=True))


def calibrated(levels: Mapping[int, float], bins: Sequence[int]) -> dict[int, float]:
    """Bin -> probability by an isotonic fit, straight between the bins that it knows, its ends beyond them."""
    from bisect import bisect_left

    known = sorted(levels)
    found = {}
    for bin_ in bins:
        at = bisect_left(known, bin_)
        if bin_ in levels or at in {0, len(known)}:
            found[bin_] = levels[known[min(at, len(known) - 1)]]
            continue
        left, right = known[at - 1], known[at]
        share = (middle(bin_) - middle(left)) / (middle(right) - middle(left))
        found[bin_] = levels[left] + share * (levels[right] - levels[left])
    return found
