"""Healthy tables with segments made up: many rows in a few of them, a few rows in many. The same for the same seed.

    python -m benchmarks.healthy_segments [--seeds 1 2] [--days 120] [--segments 20] [--columns 8] [--rows 1500]

judges them day by day, after the days before: every day with a finding is a false alarm.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass, replace
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any

from benchmarks.healthy_tables import BEGIN, DAY, TIME, Column, Rhythm, Table, answers
from benchmarks.tables import table
from checks.histogram import Histogram
from checks.learned import SETTLED
from checks.profile import Number, Profile
from checks.result import Severity, Status
from monitor.dataset import Dataset
from monitor.measuring.grid import pinned
from monitor.replaying import Task, verdicts
from monitor.sources.files import Files

if TYPE_CHECKING:
    import numpy as np

    from benchmarks.healthy_tables import Values

BY = "part"
STEEP = 1.6
"""Of the sizes (Zipf 1949): the twentieth segment has a hundred-and-twentieth of the first one's rows."""


@dataclass(frozen=True)
class Segment:
    """One value of the column that the table is cut by: its share of the rows, its own columns and its own week."""

    name: str
    share: float
    rhythm: Rhythm
    columns: tuple[Column, ...]


@dataclass
class Segmented(Table):
    """A healthy table whose `width` columns, time and segment among them, have levels and weeks of their own in each segment."""

    segments: int = 20

    @cached_property
    def dataset(self) -> Dataset:
        return super().dataset.model_copy(update={"segments": (BY,)})

    @property
    def schema(self) -> dict[str, str]:
        return {**super().schema, BY: "string"}

    @cached_property
    def columns(self) -> list[Column]:
        return super().columns[:-1]

    @cached_property
    def parts(self) -> list[Segment]:
        chance = Random(f"{self.seed} {self.name} segments")  # noqa: S311 - no secret in it
        sizes = [1 / place**STEEP for place in range(1, self.segments + 1)]
        return [self._part(place, size / sum(sizes), chance) for place, size in enumerate(sizes)]

    def _part(self, place: int, share: float, chance: Random) -> Segment:
        columns = [
            replace(one, level=one.level * math.exp(chance.gauss(0, 0.3)), rhythm=Rhythm.drawn(chance, 0.08))
            for one in self.columns
        ]
        return Segment(f"segment {place}", share, Rhythm.drawn(chance, 0.15), tuple(columns))

    def values(self, number: int) -> Values:
        """All values of a day, by number from 0."""
        import numpy as np

        dice = np.random.default_rng([self.seed, self.width, self.segments, number])
        mood = dice.standard_normal()
        drawn = [self._drawn(part, number, mood, dice) for part in self.parts]
        return {name: _joined([one[name] for one in drawn]) for name in self.schema}

    def _drawn(self, part: Segment, number: int, mood: float, dice: np.random.Generator) -> dict[str, tuple[Any, Any]]:
        import numpy as np

        day = BEGIN + number * DAY
        level = self.rhythm.at(day, mood) + part.rhythm.at(day, dice.standard_normal())
        rows = int(dice.poisson(self.rows * part.share * math.exp(level)))
        whole = np.floor(np.clip(dice.beta(3, 2.5, rows), 0, 0.999999) * DAY.total_seconds()) + day.timestamp()
        names = np.full(rows, part.name, dtype=object)
        found: dict[str, tuple[Any, Any]] = {TIME: (whole, np.zeros(rows, dtype=bool)), BY: (names, np.zeros(rows, dtype=bool))}
        return found | {column.name: column.drawn_values(rows, day, dice) for column in part.columns}

    def profile(self, number: int) -> Profile:
        return self.counted(self.values(number))

    def counted(self, values: Values) -> Profile:
        """What measuring these values comes to, after the day before."""
        grids = pinned([self.last]) if self.last else {}
        whole = answers(self.schema, values, grids)
        grids = {**grids, **{key: one.grid for key, one in whole.items() if isinstance(one, Histogram)}}
        parts = {("", ""): {**whole, "repeats": Number(0)}}
        names = values[BY][0]
        for name in sorted(set(names.tolist())):
            here = {column: (found[names == name], gaps[names == name]) for column, (found, gaps) in values.items()}
            parts["", f"{BY}={name}"] = answers(self.schema, here, grids)
        self.last = Profile(self.schema, len(names), parts)
        return self.last


def _joined(parts: list[tuple[Any, Any]]) -> tuple[Any, Any]:
    import numpy as np

    values, missing = zip(*parts, strict=True)
    return np.concatenate(values), np.concatenate(missing)


def cut(values: Values, kept: Any) -> Values:
    """The rows that `kept` picks, by flags or by number."""
    return {name: (found[kept], gaps[kept]) for name, (found, gaps) in values.items()}


def days(made: Segmented, number: int) -> list[str]:
    """The table's seed, and of so many days those with a finding: in the whole table, in a segment, critical in a segment, in a
    segment once the history was long enough."""
    windows = [made.window(day) for day in range(number)]
    stored = {window.start: made.profile(day).to_bytes() for day, window in enumerate(windows)}
    found = verdicts(Task(made.dataset, Files(), windows, stored, measures=False))
    bad = [(day, r) for day, (_, measured) in enumerate(found) for r in measured.results if r.status is Status.FAILED]
    parts = [(day, r) for day, r in bad if r.segment]
    counted = [
        {day for day, r in bad if not r.segment},
        {day for day, _ in parts},
        {day for day, r in parts if r.severity is Severity.CRITICAL},
        {day for day, _ in parts if day >= SETTLED},
    ]
    return [str(made.seed), *(str(len(one)) for one in counted)]


def main(arguments: list[str] | None = None) -> None:
    asked = argparse.ArgumentParser(prog="python -m benchmarks.healthy_segments", description="healthy tables with segments")
    asked.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    asked.add_argument("--days", type=int, default=120)
    asked.add_argument("--segments", type=int, default=20)
    asked.add_argument("--columns", type=int, default=8)
    asked.add_argument("--rows", type=int, default=1500)
    given = asked.parse_args(arguments)
    made = [Segmented(f"s{seed}", given.columns, seed, rows=given.rows, segments=given.segments) for seed in given.seeds]
    head = ["seed", "days: whole table", "a segment", "critical in a segment", f"a segment, from day {SETTLED} on"]
    sys.stdout.write(table(head, [days(one, given.days) for one in made]) + "\n")


if __name__ == "__main__":
    main()
