"""A confusion matrix, counted or expected, and the figures that follow from it exactly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

OF_ONE = ("precision", "recall", "f1", "specificity")
BOTH = ({"0", "1"}, {"false", "true"})
"""The classes of which the second is what is meant by positive."""


@dataclass(frozen=True)
class Confusion:
    """Rows per (predicted class, actual class); expected ones need not be whole. `positive`: the class that the figures of a
    problem with two classes are about; None: those of all classes are averaged."""

    cells: Mapping[tuple[str, str], float]
    positive: str | None = None

    @cached_property
    def rows(self) -> float:
        return sum(self.cells.values())

    @cached_property
    def classes(self) -> list[str]:
        return sorted({name for pair in self.cells for name in pair})

    @cached_property
    def _about(self) -> str | None:
        if self.positive is not None:
            return self.positive
        return next((max(both) for both in BOTH if self.classes and set(self.classes) <= both), None)

    def counts(self, name: str) -> tuple[float, float, float, float]:
        """(true positives, false positives, false negatives, true negatives) of one class against all others."""
        hit = self.cells.get((name, name), 0.0)
        predicted = sum(n for (said, _), n in self.cells.items() if said == name)
        actual = sum(n for (_, was), n in self.cells.items() if was == name)
        return hit, predicted - hit, actual - hit, self.rows - predicted - actual + hit

    def figure(self, name: str) -> tuple[float, float] | None:
        """A figure by name (`accuracy`, `f1`, `f1_weighted`, `recall:cat`) and the rows its chance comes from; None: it has none.

        Without a positive class the plain name is the unweighted mean over the classes (macro).
        """
        plain, _, of = name.partition(":")
        if not self.rows:
            return None
        if plain == "accuracy":
            return sum(n for (said, was), n in self.cells.items() if said == was) / self.rows, self.rows
        if of or (self._about is not None and not plain.endswith("_weighted")):
            return self.of_one(plain, of or self._about or "")
        return self._mean(plain.removesuffix("_weighted"), plain.endswith("_weighted"))

    def of_one(self, name: str, about: str) -> tuple[float, float] | None:
        """One class's figure and the rows that decide it; 0 where nothing was predicted or nothing was there to be found."""
        tp, fp, fn, tn = self.counts(about)
        over, under = {
            "precision": (tp, tp + fp),
            "recall": (tp, tp + fn),
            "specificity": (tn, tn + fp),
            "f1": (tp, tp + (fp + fn) / 2),
        }[name]
        if tp + fp + fn == 0 and name != "specificity":
            return None
        return (over / under if under > 0 else 0.0), under

    def _mean(self, name: str, weighted: bool) -> tuple[float, float] | None:
        found = [(c, value) for c in self.classes if (value := self.of_one(name, c)) is not None]
        weights = [sum(n for (_, was), n in self.cells.items() if was == c) if weighted else 1.0 for c, _ in found]
        if not found or sum(weights) == 0:
            return None
        mean = sum(w * value for w, (_, (value, _)) in zip(weights, found, strict=True)) / sum(weights)
        return mean, self.rows


def chance(value: float, rows: float) -> float:
    """The standard error of a share of so many rows; never zero, so that one row more or less is no news."""
    share = min(max(value, 0.0), 1.0)
    return max(math.sqrt(share * (1 - share) / max(rows, 1.0)), 0.5 / max(rows, 1.0))
