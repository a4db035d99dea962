"""When the rows of a window happened."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from pydantic import Field

from checks.base import Check, Past, Table, View
from checks.learned import Series, Trace
from checks.line import each
from checks.pending import CannotJudge, NothingToJudge, Verdict
from checks.profile import Answer, Answers, Counts, Histogram
from checks.question import Categories, Distribution, Question, Schema, column_kind
from checks.result import Family
from checks.scales import Scale
from checks.window import Window
from checks.wording import Unit

NUMBERS: dict[str, tuple[Scale, Unit]] = {
    "first time after the window's start": ("number", "seconds"),
    "last time before the window's end": ("number", "seconds"),
    "mean time after the window's start": ("number", "seconds"),
    "share of rows outside the window": ("share", "share"),
    "share of rows by day (8 to 20)": ("share", "share"),
    "share of times that cannot be read": ("share", "share"),
    "number of different times": ("count", "rows"),
}
EARLIEST = 0.005
"""The share of a window's length that a time may be off without being told."""
CLOCKS = ("Europe/Berlin", "America/New_York", "Australia/Sydney", "Pacific/Auckland")
"""Zones on whose days of change clocks are put forward and back; the others of their continents change with them, or never."""
SETTLING = timedelta(days=7)
"""For so long after a change a table that keeps other clocks is off by the hour from its own past."""
NONE = timedelta(0)
CHANGE = timedelta(hours=1, minutes=5).total_seconds()


class Times(Check):
    """When the rows of a window happened, by a time `column`.

    First, last and mean, the share by day, of times outside the window and of times that cannot be read, in the dataset's zone.
    Always learned; the verdict is on what is furthest out. In the week after clocks are put forward or back somewhere, a
    dataset of a day or longer whose own `timezone` keeps its clocks is not told of the hour: the life behind it may have moved.
    """

    family = Family.ARRIVAL

    column: str = Field(description="the time column to look at: times, or texts that are times in ISO form")

    def questions(self, schema: Schema) -> Iterable[Question]:
        time = column_kind(schema.get(self.column, "")) == "time"
        yield Distribution(self.column) if time else Categories(self.column, 1000)

    def judge(self, view: View) -> Iterable[Verdict]:
        now = self._described(view.answers, view.window)
        if now is None:
            raise NothingToJudge(f"{self.name}: no times to judge in {view.rows} rows")
        past = each(view.recent, (self.kind, self.column), self._numbers)
        *before, rows = past.columns(len(NUMBERS) + 1)
        least_time = max(EARLIEST * view.window.length.total_seconds(), CHANGE if clocks_changed(view.window) else 0.0)
        traces = []
        for (name, (scale, unit)), values in zip(NUMBERS.items(), before, strict=True):
            if name in now:
                points, least = Series(past.windows, values, rows), least_time if unit == "seconds" else 0.0
                traces.append(Trace(now[name], points, view.rows, scale, least=least, unit=unit, title=name))
        yield self.worst(view, traces)

    def _numbers(self, past: Past) -> tuple[float, ...] | None:
        """Those of `NUMBERS`, NaN for what that window has not, and its rows."""
        try:
            known = self._described(past.answers, past.window)
        except CannotJudge:
            return None
        return None if known is None else (*(known.get(name, math.nan) for name in NUMBERS), past.rows)

    def _described(self, answers: Answers, window: Window) -> Mapping[str, float] | None:
        answer: Answer | None = answers.get(Distribution(self.column).key) or answers.get(Categories(self.column).key)
        if isinstance(answer, Counts):
            cache = answer.cache
        elif isinstance(answer, Histogram):
            cache = answer.kept
        else:
            raise CannotJudge(f"{self.name}: {self.column} was not measured")
        # Two windows may hold the very same answer, as where one was delivered once more.
        key = f"times from {window.start.timestamp()}"
        if key not in cache:
            cache[key] = _described(answer, window)
        return cache[key] or None

    @classmethod
    def automatic(cls, table: Table) -> Iterable[Check]:
        column = table.time_column
        known = column is not None and column_kind(table.schema.get(column, "")) in {"time", "text"}
        return [cls(column=column)] if known and column not in table.exclude else []


def clocks_changed(window: Window) -> bool:
    """Whether clocks were changed lately somewhere, but not those of the window's own zone."""
    if window.length < timedelta(hours=22):
        return False
    before, after = window.start - SETTLING, window.end

    def changed(zone: str) -> bool:
        return before.astimezone(ZoneInfo(zone)).utcoffset() != after.astimezone(ZoneInfo(zone)).utcoffset()

    return not changed(window.timezone) and any(changed(zone) for zone in CLOCKS)


def _described(answer: Counts | Histogram, window: Window) -> dict[str, float]:
    times, unread = _of_texts(answer, window) if isinstance(answer, Counts) else (_of_buckets(answer), 0.0)
    rows = sum(n for _, n in times)
    if not rows:
        return {"share of times that cannot be read": 1.0} if unread else {}
    start, end = window.start.timestamp(), window.end.timestamp()
    zone = ZoneInfo(window.timezone)
    outside = sum(n for at, n in times if not start <= at < end) / rows
    by_day = sum(n for at, n in times if 8 <= datetime.fromtimestamp(at, zone).hour < 20)
    if (window.local_end.utcoffset() or NONE) != (window.local_start.utcoffset() or NONE):
        # A day of 23 or 25 hours: its times are those of its own clocks.
        times = [(_by_clock(at, zone), n) for at, n in times]
        start, end = _by_clock(start, zone), _by_clock(end, zone)
    return {
        "first time after the window's start": min(at for at, _ in times) - start,
        "last time before the window's end": end - max(at for at, _ in times),
        "mean time after the window's start": sum((at - start) * (n / rows) for at, n in times),
        "share of rows outside the window": outside,
        "share of rows by day (8 to 20)": by_day / rows,
        "share of times that cannot be read": unread / (unread + rows),
        "number of different times": float(len(times)),
    }


def _by_clock(at: float, zone: ZoneInfo) -> float:
    return at + (datetime.fromtimestamp(at, zone).utcoffset() or NONE).total_seconds()


def _of_texts(answer: Counts, window: Window) -> tuple[list[tuple[float, float]], float]:
    found, unread, zone = [], 0.0, ZoneInfo(window.timezone)
    for text, n in answer.counts.items():
        try:
            at = datetime.fromisoformat(text)
            at = (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
            at.astimezone(zone)
        except (ValueError, OverflowError):
            # What is a time is one on every clock: the last hour of the year 9999 is none east of Greenwich.
            unread += n
            continue
        found.append((at.timestamp(), float(n)))
    return found, unread


def _of_buckets(answer: Histogram) -> list[tuple[float, float]]:
    values, rows = answer.points(0.0)
    limit = datetime(9000, 1, 1, tzinfo=UTC).timestamp()
    return [(float(v), float(n)) for v, n in zip(values, rows, strict=True) if 0 <= v < limit and math.isfinite(v)]
