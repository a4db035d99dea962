"""Which windows get a report, and on what. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from alerts.incident import Change, Happened
from checks.result import Family
from checks.window import Window
from monitor.dataset import Dataset, Fixed, Golden, Previous
from monitor.runner import Finished

NAME = re.compile(r"[A-Za-z0-9_-]+-INC-\d+-\d{8}T\d{6}Z-r\d+\.html")
"""Only files of such a name are ever deleted."""
GOLDEN_DAYS = 28
MOST_WINDOWS = 7


@dataclass(frozen=True)
class Wanted:
    """A report on one window of a dataset, for an incident. `columns` are those that drifted, `found` what was told of them."""

    dataset: Dataset
    window: Window
    incident: int
    revision: int
    opened_at: datetime
    columns: tuple[str, ...] = ()
    found: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return f"INC-{self.incident} · {self.dataset.name} · drift"

    @property
    def file(self) -> str:
        """Its name. Of the dataset's name only letters, digits, - and _ are in it, so it cannot lead out of the folder."""
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", self.dataset.name)[:40] or "-"
        return f"{name}-INC-{self.incident}-{self.opened_at.astimezone(UTC):%Y%m%dT%H%M%S}Z-r{self.revision}.html"


def wanted(finished: Iterable[Finished]) -> list[Wanted]:
    """A report for each incident of drift that these windows opened or made worse; not for every window that it lasts."""
    return [
        _of(window, change)
        for window in finished
        if window.decision is not None and window.measured.state == "done"
        for change in window.decision.news.changes
        if change.incident.family is Family.DRIFT
        and change.happened in {Happened.OPENED, Happened.WORSE}
        and change.incident.subject == window.dataset.name
    ]


def _of(finished: Finished, change: Change) -> Wanted:
    columns = dict.fromkeys(p.column for p in change.members if p.column)
    incident = change.incident
    return Wanted(
        finished.dataset,
        finished.window,
        incident.id,
        incident.revision,
        incident.opened_at,
        tuple(columns),
        tuple(p.message for p in change.members[:10]),
    )


def reach(dataset: Dataset, window: Window) -> tuple[datetime, datetime]:
    """The stretch of time in which the windows of the dataset's reference start, from, up to not including."""
    kept = dataset.reference
    if isinstance(kept, Fixed):
        first, last = (datetime(d.year, d.month, d.day, 12, tzinfo=UTC) for d in (kept.start, kept.end))
        return dataset.calendar.holding(first).start, dataset.calendar.holding(last).start
    # Rows are drawn from the dataset's own windows, also where a golden table says what is normal.
    days = GOLDEN_DAYS if isinstance(kept, Golden) else kept.days
    return window.start - timedelta(days=days), window.start


def references(dataset: Dataset, window: Window, known: Sequence[tuple[datetime, datetime]]) -> list[Window]:
    """Of the measured windows in reach (start, end), the last few that count as normal: those that samples are drawn from."""
    kept = dataset.reference
    windows = [Window(start, end, dataset.timezone) for start, end in sorted(known)]
    if isinstance(kept, Previous) and kept.same_weekday:
        windows = [w for w in windows if w.local_start.weekday() == window.local_start.weekday()]
    return windows[-MOST_WINDOWS:]
