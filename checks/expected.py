"""What a classifier's figures will probably be, before any label is there: confidence-based performance estimation.

A row predicted to be of a class that the model holds to be right with probability p counts p rows right and 1 - p wrong; what
follows from these expected counts is the estimate (Guillory et al. 2021; NannyML's CBPE). It holds where the probabilities
are calibrated and the way from what the model sees to the label has not changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from checks.confusion import Confusion, chance
from checks.figures import Figure
from checks.pending import NothingToJudge
from checks.scores import NO_SCORE, Scored, calibrated, middle

Counted = Iterable[tuple[list[Any], int]]
LEAST = 10


@dataclass(frozen=True)
class Expected:
    """The expected confusion matrix, and for each class the expected hits per bin of its score."""

    confusion: Confusion
    scored: Mapping[str, Scored]

    @classmethod
    def of(cls, counted: Mapping[str, Counted], levels: Mapping[str, Mapping[int, float]], positive: str | None) -> Expected:
        """From rows per (prediction, bin) for each class's score ("" is the positive one of two classes).

        Raises NothingToJudge where too few rows have a probability.
        """
        matrix: dict[tuple[str, str], float] = {}
        scored = {}
        for name, some in counted.items():
            rows = [(said, bin_, n) for (said, bin_), n in some if said is not None and bin_ != NO_SCORE]
            if sum(n for *_, n in rows) < LEAST:
                raise NothingToJudge(f"{sum(n for *_, n in rows)} rows have a probability, {LEAST} needed")
            known = levels.get(name) or {}
            sure = calibrated(known, sorted({b for _, b, _ in rows})) if known else {b: middle(b) for _, b, _ in rows}
            scored[name] = _scored(rows, sure)
            _count(matrix, name, rows, sure, positive)
        return cls(Confusion(matrix, YES if "" in counted else positive), scored)

    def figures(self, names: Iterable[str]) -> dict[str, Figure]:
        """Metric -> the figure to be expected."""
        made = {}
        for name in names:
            found = self._area() if name == "roc_auc" else self._counted(name)
            if found is not None:
                made[name] = Figure(found[0], "high", "share", chance=chance(*found), said="; estimated, no labels yet")
        return made

    def _counted(self, name: str) -> tuple[float, float] | None:
        # Of two classes only the positive one is told from the other; several have each their own.
        if name in {"log_loss", "brier", "calibration_error"} or (":" in name and "" in self.scored):
            return None
        return self.confusion.figure(name)

    def _area(self) -> tuple[float, float] | None:
        areas = [area[0] for one in self.scored.values() if (area := one.roc_auc()) is not None]
        rows = max(sum(one.rows.values()) for one in self.scored.values())
        return (sum(areas) / len(areas), rows / 2) if areas else None


YES, NO = "1", "0"


def _scored(rows: list[tuple[str, int, int]], sure: Mapping[int, float]) -> Scored:
    totals: dict[int, float] = {}
    for _, bin_, n in rows:
        totals[bin_] = totals.get(bin_, 0.0) + n
    return Scored(totals, {bin_: n * sure[bin_] for bin_, n in totals.items()})


def _count(
    matrix: dict[tuple[str, str], float],
    name: str,
    rows: list[tuple[str, int, int]],
    sure: Mapping[int, float],
    positive: str | None,
) -> None:
    """Adds the expected rows: for two classes right and wrong ones, for several those of the class `name`."""
    yes = {positive} if positive else {"1", "true"}
    for said, bin_, n in rows:
        hits = n * sure[bin_]
        if name:
            matrix[said, name] = matrix.get((said, name), 0.0) + hits
            continue
        predicted = YES if said in yes else NO
        matrix[predicted, YES] = matrix.get((predicted, YES), 0.0) + hits
        matrix[predicted, NO] = matrix.get((predicted, NO), 0.0) + n - hits
