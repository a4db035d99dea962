"""What a source holds of a dataset: from when, until when. Runs in a worker process."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from monitor.dataset import Dataset
from monitor.sources import paths
from monitor.sources.base import Source

Held = tuple[datetime | None, datetime | None, str]
"""The first and (just after) the last moment; None: nothing, for the reason that the text gives."""
FARTHEST = timedelta(days=3660)


def held(dataset: Dataset, source: Source, start: datetime | None, end: datetime) -> Held:
    """What there is between `start` (None: ever) and `end`. Raises SourceError, SourceDown where it cannot be asked."""
    if dataset.per_file and not paths.remote(dataset.table or ""):
        return _files(dataset, start or end - FARTHEST, end)
    if dataset.time_column is None or dataset.per_file:
        return start, end, ""
    return _times(dataset, source)


def _files(dataset: Dataset, start: datetime, end: datetime) -> Held:
    there = [
        w for w in dataset.calendar.closed(start, end) if paths.matching(paths.filled(dataset.table or "", w, dataset.timezone))
    ]
    if not there:
        return None, None, f"no file of {dataset.table} is there between {start:%Y-%m-%d} and {end:%Y-%m-%d}"
    return there[0].start, there[-1].end, ""


def _times(dataset: Dataset, source: Source) -> Held:
    place = dataset.place
    with source.connect(dataset.timeout) as connection, source.speaking(place):
        table = source.relation(connection, place)
        column = source.time_column(table, place)
        # As texts: not every driver can hand a time with a zone over as one.
        asked = table.aggregate(first=column.min().cast("string"), last=column.max().cast("string"))
        [(first, last)] = source.rows(connection, asked)
    if first is None:
        return None, None, f"{place.words} holds no times in {dataset.time_column}"
    return _instant(first, dataset.timezone), _instant(last, dataset.timezone) + timedelta(microseconds=1), ""


def _instant(value: Any, zone: str) -> datetime:
    """A text as an aware time; without a zone it is in the dataset's."""
    at = datetime.fromisoformat(str(value))
    return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
