"""What an incident's chart shows: the check that is worst over its last windows and, of values that drifted, the column itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import dropwhile
from typing import Any

from alerts.charts import Point
from checks.result import Bounds, Family
from checks.window import Window
from checks.wording import Unit, amount
from monitor import kinds
from monitor.config import Config
from monitor.dataset import Dataset, Fixed, Golden, Previous
from monitor.reports.wanted import reach
from monitor.store import charts, past, references, reports
from monitor.store.store import Store

MOST_POINTS = 60
"""More windows than a phone can show apart help nobody."""
POOL = 28
"""Windows that count as normal, as drift pools them."""
MOST_DAYS = 100


@dataclass(frozen=True)
class Shapes:
    """A column in one window and in those that are normal for it: stored profiles, and where in them it stands."""

    column: str
    where: str
    segment: str
    title: str
    text: str
    current: bytes
    normal: tuple[bytes, ...]


@dataclass(frozen=True)
class Order:
    """All that is needed to draw; `text` says what is to be seen."""

    title: str
    text: str
    points: tuple[Point, ...]
    bounds: Bounds
    unit: Unit
    shapes: Shapes | None = None


def order(config: Config, store: Store, incident: int) -> Order | None:
    """The chart of an incident, by the gravest of its problems that has two values at least; None where none has."""
    for problem in charts.members(store, incident):
        dataset = config.datasets.get(problem.subject)
        rows = charts.course(store, problem, MOST_POINTS) if dataset else ()
        if dataset is not None and sum(row.value is not None for row in rows) > 1:
            return _of(store, dataset, problem, rows)
    return None


def _of(store: Store, dataset: Dataset, problem: Any, rows: Sequence[Any]) -> Order:
    # Each window was judged by its own bounds; those of the last one are what the message names.
    bounds = Bounds(problem.at_least, problem.at_most)
    unit: Unit = getattr(kinds.check_kinds().get(problem.kind), "unit", "number")
    title = f"{dataset.name} · {problem.check}" + (f" [{problem.segment}]" if problem.segment else "")
    # Windows from before there was enough to judge by are no gap.
    judged = dropwhile(lambda row: row.value is None, rows)
    points = tuple(Point(row.window_start, row.value, row.status == "failed") for row in judged)
    shapes = _shapes(store, dataset, problem, rows[-1]) if problem.family == Family.DRIFT and problem.column else None
    return Order(title, _said(title, points, bounds, unit), points, bounds, unit, shapes)


def _said(title: str, points: Sequence[Point], bounds: Bounds, unit: Unit) -> str:
    """The chart in words, for who cannot see it."""
    values = [point.value for point in points if point.value is not None]
    bad = sum(point.bad for point in points)
    allowed = (("at least", bounds.at_least), ("at most", bounds.at_most))
    limits = [f"{word} {amount(limit, unit)}" for word, limit in allowed if limit is not None]
    last, low, high = (amount(value, unit) for value in (values[-1], min(values), max(values)))
    went = f"{last} in the last window, {low} to {high} over {len(values)}, {bad} of them bad"
    return f"Chart of {title}: {went}" + (f"; {' and '.join(limits)} allowed" if limits else "")


def _shapes(store: Store, dataset: Dataset, problem: Any, row: Any) -> Shapes | None:
    """None where they are not kept, or the column's values are never shown."""
    window = Window(row.window_start, row.window_end, dataset.timezone)
    found = past.history(store, dataset.name, window.end, 0, [window.start])
    if problem.column in dataset.mask or not found:
        return None
    where = next((check.where for check in dataset.checks if check.name == problem.check), None)
    normal = tuple(_normal(store, dataset, window, problem.column))
    title = f"{dataset.name} · values of {problem.column}" + (f" [{problem.segment}]" if problem.segment else "")
    text = f"Chart of the values of {problem.column} now and in the reference. {problem.message}"
    return Shapes(problem.column, where or "", problem.segment, title, text, found[0][2], normal) if normal else None


def _normal(store: Store, dataset: Dataset, window: Window, column: str) -> list[bytes]:
    """The stored profiles that this window was compared with."""
    kept = dataset.reference
    force = references.in_force(store, dataset.name, window.start, kept.table if isinstance(kept, Golden) else None)
    since = max((force.accepted[about] for about in ("", column) if about in force.accepted), default=None)
    if since is None and force.golden:
        return [force.golden]
    first, last = reach(dataset, window)
    if since is None and isinstance(kept, Fixed):
        return [body for _, _, body in past.between(store, dataset.name, first, last)[-MOST_DAYS:]]
    # From an accepted level on it is that level, whatever was said to be normal before.
    first, last = max(first if not isinstance(kept, Fixed) else EVER, since or EVER), window.start
    starts = [start for start, end in sorted(reports.measured(store, dataset.name, first, last)) if end <= window.start]
    if isinstance(kept, Previous) and kept.same_weekday:
        starts = [at for at in starts if _weekday(at, window) == window.local_start.weekday()]
    return [body for _, _, body in past.history(store, dataset.name, window.start, 0, starts[-POOL:])]


EVER = datetime(1970, 1, 1, tzinfo=UTC)


def _weekday(start: datetime, window: Window) -> int:
    return Window(start, start + (window.end - window.start), window.timezone).local_start.weekday()
