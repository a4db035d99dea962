"""Healthy tables made up: a week, a trend, month ends, holidays and plain chance. The same for the same seed.

A window's values are drawn from the distributions of its day and counted on the grids that the daemon would have pinned, so that a
profile is the one that the product would have measured.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any

from checks.grid import Grid
from checks.histogram import Cells, Histogram
from checks.profile import Answer, Counts, Number, Profile
from checks.window import Window
from monitor.dataset import Dataset
from monitor.measuring.fitting import grid_of
from monitor.measuring.grid import pinned

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values = Mapping[str, tuple[NDArray[Any], NDArray[np.bool_]]]
    """Column -> its values and which of them are missing."""

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TIME = "at"
HOLIDAYS = frozenset([(1, 1), (5, 1), (10, 3), (12, 24), (12, 25), (12, 26), (12, 31)])
"""Month and day; those that move are moved along by `MOVING`."""
MOVING = frozenset([(4, 18), (4, 21), (5, 29), (6, 9)])
COUNTRY = "DE"
"""Whose holidays of that year they are, but for 24 and 31 December, of which its calendar does not know."""
TYPES = {"number": "float64", "skewed": "float64", "share": "float64", "count": "int64", "flag": "boolean", "text": "string"}
KINDS = ("number", "skewed", "text", "count", "flag", "share")


def holiday(day: datetime) -> bool:
    return (day.month, day.day) in HOLIDAYS | MOVING


def month_end(day: datetime) -> bool:
    return (day + DAY).day == 1


@dataclass(frozen=True)
class Rhythm:
    """How a level moves from day to day, in units that its column gives a meaning: each part is a share of the level."""

    weekend: float
    yearly: float
    month_end: float
    holiday: float
    restless: float

    @classmethod
    def drawn(cls, chance: Random, size: float) -> Rhythm:
        """Half of all levels know the weekend, a third grows or falls, a fifth knows month ends, a third holidays."""
        weekend = chance.gauss(0, size) if chance.random() < 0.5 else 0.0
        yearly = chance.gauss(0, 2 * size) if chance.random() < 0.35 else 0.0
        end = chance.gauss(0, size) if chance.random() < 0.2 else 0.0
        free = weekend if chance.random() < 0.35 else 0.0
        return cls(weekend, yearly, end, free, abs(chance.gauss(0, size / 8)))

    def at(self, day: datetime, mood: float) -> float:
        """The level of a day; `mood` is its share of chance, a standard normal number."""
        weekend = day.weekday() >= 5
        level = self.yearly * (day - BEGIN) / timedelta(days=365) + self.restless * mood
        level += self.weekend * weekend + self.month_end * month_end(day)
        return level + self.holiday * (holiday(day) and not weekend)


@dataclass(frozen=True)
class Column:
    """One column: its kind, its two fixed numbers, the share of missing values and how all of that moves."""

    name: str
    kind: str
    level: float
    spread: float
    values: int
    missing: float
    rhythm: Rhythm
    gaps: Rhythm

    @classmethod
    def drawn(cls, name: str, kind: str, chance: Random) -> Column:
        level = 10 ** chance.uniform(0, 4)
        missing = chance.choice((0.0, 0.0, 0.001, 0.02, 0.2))
        gaps = Rhythm.drawn(chance, 0.15)
        return cls(
            name, kind, level, chance.uniform(0.1, 0.8), chance.choice((3, 8, 30, 120)), missing, Rhythm.drawn(chance, 0.08), gaps
        )

    def drawn_values(self, rows: int, day: datetime, dice: np.random.Generator) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        mood, gap = dice.standard_normal(2)
        shift = self.rhythm.at(day, mood)
        missing = dice.random(rows) < min(self.missing * math.exp(self.gaps.at(day, gap)), 0.9)
        return self._values(rows, shift, dice), missing

    def _values(self, rows: int, shift: float, dice: np.random.Generator) -> NDArray[Any]:
        if self.kind == "text":
            return self._texts(rows, shift, dice)
        if self.kind == "flag":
            return dice.random(rows) < 1 / (1 + math.exp(-(self.spread - 0.5) * 5 - shift))
        if self.kind == "share":
            return dice.beta(2 * math.exp(shift), 5 * self.spread, rows)
        if self.kind == "count":
            return dice.poisson(min(self.level, 500.0) * math.exp(shift), rows)
        if self.kind == "skewed":
            return self.level * dice.lognormal(shift, self.spread + 0.3, rows)
        return self.level * (1 + shift + self.spread * dice.standard_normal(rows))

    def _texts(self, rows: int, shift: float, dice: np.random.Generator) -> NDArray[Any]:
        """A few frequent values and many rare ones; the shift moves weight to those further down."""
        import numpy as np

        weights = 1 / np.arange(1, self.values + 1) ** (1.2 - shift)
        names = np.array([f"value {n}" for n in range(self.values)], dtype=object)
        return np.asarray(names[dice.choice(self.values, rows, p=weights / weights.sum())])


@dataclass
class Table:
    """A healthy table of so many columns, the time among them, with about `rows` rows a day. `calendar`: its dataset names the
    country whose holidays it keeps; `budget`: it has this one."""

    name: str
    width: int
    seed: int
    rows: int = 1500
    calendar: bool = False
    budget: str = ""
    last: Profile | None = field(default=None, repr=False)

    @cached_property
    def dataset(self) -> Dataset:
        path, places = self.name + "/{start:%Y-%m-%d}.parquet", (COUNTRY,) if self.calendar else ()
        asked = {"holidays": places, **({"budget": self.budget} if self.budget else {})}
        return Dataset(name=self.name, table=path, time_column=TIME, delay=timedelta(hours=2), **asked)

    @cached_property
    def columns(self) -> list[Column]:
        chance = Random(f"{self.seed} {self.name}")  # noqa: S311 - no secret in it
        return [Column.drawn(f"c{n}", KINDS[n % len(KINDS)], chance) for n in range(self.width - 1)]

    @property
    def schema(self) -> dict[str, str]:
        return {TIME: "timestamp('UTC', 6)", **{c.name: TYPES[c.kind] for c in self.columns}}

    @cached_property
    def rhythm(self) -> Rhythm:
        return Rhythm(-0.35, 0.2, 0.25, -0.3, 0.04)

    def values(self, number: int) -> Values:
        """All values of a day, by number from 0."""
        import numpy as np

        dice = np.random.default_rng([self.seed, self.width, number])
        day = BEGIN + number * DAY
        rows = int(dice.poisson(self.rows * math.exp(self.rhythm.at(day, dice.standard_normal()))))
        hours = np.clip(dice.beta(3, 2.5, rows), 0, 0.999999)
        whole = np.floor(hours * DAY.total_seconds()) + day.timestamp()
        found: dict[str, tuple[Any, Any]] = {TIME: (whole, np.zeros(rows, dtype=bool))}
        return found | {column.name: column.drawn_values(rows, day, dice) for column in self.columns}

    def window(self, number: int) -> Window:
        return Window(BEGIN + number * DAY, BEGIN + (number + 1) * DAY)

    def profile(self, number: int) -> Profile:
        """What measuring a day comes to; call it day by day, as grids are pinned by the day before."""
        values = self.values(number)
        found = answers(self.schema, values, pinned([self.last]) if self.last else {})
        self.last = Profile(self.schema, len(values[TIME][0]), {("", ""): {**found, "repeats": Number(0)}})
        return self.last


def answers(schema: Mapping[str, str], values: Values, grids: Mapping[str, Grid]) -> dict[str, Answer]:
    """What the automatic checks ask of these rows, but for what is asked of whole windows only."""
    times = values[TIME][0]
    found: dict[str, Answer] = {"rows": Number(len(times), "add")}
    for name, type_ in schema.items():
        found |= _answers(name, type_, *values[name], grids)
    return {**found, f"newest({TIME})": Number(float(times.max()) if len(times) else None, "max")}


def _answers(name: str, type_: str, values: Any, missing: NDArray[np.bool_], grids: Mapping[str, Grid]) -> dict[str, Answer]:
    """What the automatic checks ask of a column."""
    found: dict[str, Answer] = {f"missing({name})": Number(int(missing.sum()), "add")}
    if type_ in {"string", "boolean"}:
        found[f"categories({name})"] = _counted(values, missing)
    if type_ == "string":
        return found
    key = f"distribution({name})"
    numbers = values[~missing].astype("float64")
    histogram = _histogram(numbers, int(missing.sum()), grids.get(key) or grid_of(numbers.tolist()))
    if type_ in {"float64", "int64"}:
        found |= {f"minimum({name})": Number(histogram.low, "min"), f"maximum({name})": Number(histogram.high, "max")}
    return found | {key: histogram}


def _counted(values: NDArray[Any], missing: NDArray[np.bool_]) -> Counts:
    counted = Counter(str(value).lower() if isinstance(value, bool) else value for value in values[~missing].tolist())
    return Counts(dict(counted.most_common()), distinct=len(counted), missing=int(missing.sum()))


def _histogram(numbers: NDArray[Any], missing: int, grid: Grid) -> Histogram:
    import numpy as np

    apart = numbers - grid.center
    ones = np.ones(len(numbers), dtype=np.int64)
    cells = Cells.gathered(grid.keys(apart), ones, apart, ones.astype(bool))
    low, high = (float(numbers.min()), float(numbers.max())) if len(numbers) else (None, None)
    return Histogram({grid: cells}, missing=missing, low=low, high=high)
