"""A year of what datasets come to, made up: quiet verdicts, noise, and planted trouble. The same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from random import Random

from alerts.rules import REMEMBERED
from checks.result import Bounds, Family, Result, Severity, Status
from checks.window import Window
from monitor.dataset import Dataset
from monitor.job import Measured
from monitor.worker import REACHABLE, ROW_COUNT

BEGIN = datetime(2025, 11, 24, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FAR = 2.0
CHECKS = {
    ROW_COUNT: (ROW_COUNT, Family.ARRIVAL, None),
    "freshness": ("freshness", Family.ARRIVAL, None),
    "columns": ("columns", Family.LAYOUT, None),
    "missing(amount)": ("missing", Family.QUALITY, "amount"),
    "missing(country)": ("missing", Family.QUALITY, "country"),
    "value_range(amount)": ("value_range", Family.QUALITY, "amount"),
    "drift(amount)": ("drift", Family.DRIFT, "amount"),
    "drift(country)": ("drift", Family.DRIFT, "country"),
    "drift(discount)": ("drift", Family.DRIFT, "discount"),
    "drift(channel)": ("drift", Family.DRIFT, "channel"),
}
"""What is watched of each dataset: check -> its kind, family and column."""
EFFECTS = {
    "late files": (ROW_COUNT,),
    "half the rows": (ROW_COUNT, "drift(amount)", "drift(country)"),
    "missing values": ("missing(amount)", "drift(amount)"),
    "level shift": ("drift(discount)",),
    "new layout": ("columns", "missing(country)", "drift(country)"),
    "flapping": ("drift(channel)",),
    "night storm": ("missing(amount)", "drift(amount)"),
    "holiday": (ROW_COUNT, "drift(country)"),
}
"""The trouble that is planted, and the checks that fail by it."""
OUTAGE = "outage"
YEARLY = {"late files": 3.0, "half the rows": 1.5, "missing values": 1.5, "level shift": 2.0, "new layout": 0.5}
"""How often a year each comes to a dataset."""
SHORTEST, LONGEST = timedelta(hours=2), timedelta(hours=30)
HOLIDAYS = (31, 32, 38, 130, 158, 250, 313)


@dataclass(frozen=True)
class Fault:
    """Planted trouble of a dataset or a source, from `start` until `end`; `score` is how far out its checks are."""

    what: str
    subject: str
    start: datetime
    end: datetime
    score: float

    def covers(self, window: Window) -> bool:
        return window.start < self.end and window.end > self.start


@dataclass(frozen=True)
class Plan:
    """All that happens in `days` days to these datasets. `noise` is how often a verdict of a healthy window fails weakly."""

    datasets: Sequence[Dataset]
    days: int = 365
    noise: float = 0.001
    seed: int = 1
    begin: datetime = field(default=BEGIN)
    loud: dict[tuple[str, datetime], bool] = field(default_factory=dict)
    """By dataset and window's start, as far as it was asked: something happens."""

    @property
    def end(self) -> datetime:
        return self.begin + self.days * DAY

    @cached_property
    def faults(self) -> dict[str, list[Fault]]:
        """By dataset, or source."""
        found: dict[str, list[Fault]] = {}
        for fault in self._planted(Random(self.seed)):  # noqa: S311 - no secret in it
            found.setdefault(fault.subject, []).append(fault)
        return found

    def _planted(self, chance: Random) -> Iterator[Fault]:
        for source in sorted({d.source for d in self.datasets}):
            for _ in range(self._times(5.0, chance)):
                yield self._fault(OUTAGE, source, HOUR / 2, timedelta(hours=8), chance)
        for dataset in self.datasets:
            for what, yearly in YEARLY.items():
                for _ in range(self._times(yearly, chance)):
                    yield self._fault(what, dataset.name, SHORTEST, LONGEST, chance)
            for day in (n for n in HOLIDAYS if n < self.days):
                begin = self.begin + day * DAY
                yield Fault("holiday", dataset.name, begin + 8 * HOUR, begin + 20 * HOUR, 1.3)
        short = [d for d in self.datasets if d.every < DAY]
        for dataset in short[:2]:
            begin = self.begin + chance.uniform(0.1, 0.9) * self.days * DAY
            yield Fault("flapping", dataset.name, begin, begin + 14 * DAY, 1.5)
        night = self.begin + int(self.days * 0.6) * DAY + HOUR
        for dataset in short:
            yield Fault("night storm", dataset.name, night, night + 3 * HOUR, 8.0)

    def _times(self, yearly: float, chance: Random) -> int:
        """A Poisson draw: as many as fit into the days by exponential waits."""
        count, at = 0, chance.expovariate(yearly / 365)
        while at < self.days:
            count, at = count + 1, at + chance.expovariate(yearly / 365)
        return count

    def _fault(self, what: str, subject: str, least: timedelta, most: timedelta, chance: Random) -> Fault:
        start = self.begin + chance.uniform(0, self.days) * DAY
        return Fault(what, subject, start, start + chance.uniform(0, 1) * (most - least) + least, chance.uniform(1.1, 3.5))

    def quiet(self, dataset: Dataset, window: Window) -> bool:
        """Nothing fails in the window, nor did in any before it that a problem still remembers: no state can move by it."""
        if dataset.every >= DAY:
            return False
        return not any(self._eventful(dataset, window.start - n * dataset.every) for n in range(REMEMBERED + 1))

    def _eventful(self, dataset: Dataset, start: datetime) -> bool:
        known = self.loud.get((dataset.name, start))
        if known is None:
            # An hour more: what was due in an outage is tried again after it.
            reach = Window(start, start + dataset.every + dataset.delay + HOUR)
            faults = [*self.faults.get(dataset.source, ()), *self.faults.get(dataset.name, ())]
            chance = self._chance(dataset, start)
            known = any(f.covers(reach) for f in faults) or any(chance.random() < self.noise for _ in CHECKS)
            self.loud[dataset.name, start] = known
        return known

    def _chance(self, dataset: Dataset, start: datetime) -> Random:
        return Random(f"{self.seed} {dataset.name} {start.astimezone(UTC)}")  # noqa: S311 - no secret in it

    def measured(self, dataset: Dataset, window: Window, now: datetime) -> Measured:
        """What measuring the window at `now` comes to."""
        outages = [f for f in self.faults.get(dataset.source, ()) if f.start <= now < f.end]
        if outages:
            said = f"source {dataset.source} refuses connections"
            dead = Result(REACHABLE, REACHABLE, Family.SOURCE, Status.ERRORED, said)
            return Measured("errored", [dead], error=said)
        here = [f for f in self.faults.get(dataset.name, ()) if f.covers(window)]
        if any(f.what == "late files" for f in here):
            said = f"no data for {window}: the file is not there"
            return Measured("no_data", [_failed(ROW_COUNT, 1e6, said)], 0, 0.1)
        chance = self._chance(dataset, window.start)
        return Measured("done", [self._verdict(check, here, chance) for check in CHECKS], 100_000, 0.1)

    def _verdict(self, check: str, here: Sequence[Fault], chance: Random) -> Result:
        draw = chance.random()
        found = [f.score for f in here if check in EFFECTS[f.what] and (f.what != "flapping" or draw < 0.5)]
        if draw < self.noise:
            # One in twenty of the false ones is far out.
            found.append(1.0 + draw / self.noise if draw > 0.05 * self.noise else 2.5)
        if found:
            return _failed(check, max(found), f"{check} is {max(found):.1f} times what is usual")
        kind, family, column = CHECKS[check]
        return Result(check, kind, family, Status.PASSED, f"{check} is as usual", column, bounds=Bounds(at_most=1.0, learned=True))


def _failed(check: str, score: float, said: str) -> Result:
    kind, family, column = CHECKS[check]
    far = score > FAR or family is Family.LAYOUT
    severity = Severity.CRITICAL if far else Severity.WARNING
    limits = Bounds(at_most=1.0, learned=True)
    return Result(check, kind, family, Status.FAILED, said, column, None, score, limits, score, severity)
