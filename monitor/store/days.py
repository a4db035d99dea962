"""The days of windows that are shorter than one: each day's profiles as one.

References read them instead of hundreds of windows, and they stay when the windows' own profiles are too many to keep.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, exists, func, insert, select, text, update

from checks.window import Window
from monitor.store.decisions import LIVE
from monitor.store.store import Store
from monitor.store.tables import UNMERGED, profiles, windows

DAY = "day"
"""The lane of the days' profiles."""
LONGEST_PART = timedelta(hours=13)
"""A window that divides a day lasts half of one at most, and an hour more where the clocks change."""
KEPT = 120
"""The last windows of a dataset keep their profiles whatever their age: they are the history when it goes on after a pause."""
MEASURED_ANEW = timedelta(days=1)
"""A window that was measured again stays this long: a day is made anew only when all of its windows are there."""


@dataclass(frozen=True)
class Parts:
    """What a day's profile is made of: the profile it has so far, and those of windows that are not part of it yet, by id."""

    day: bytes | None
    windows: Sequence[tuple[int, bytes]]


def measured(connection: Connection, dataset: str, window: Window) -> None:
    """A window has a new profile, which waits to become part of its day.

    Where the day has an earlier one of this window in it, it is made anew as soon as all of its windows are there; else it stays.
    """
    if window.length > LONGEST_PART:
        return
    this = (windows.c.dataset == dataset, windows.c.lane == LIVE, windows.c.start == window.start)
    if not connection.execute(select(windows.c.merged).where(*this)).scalar():
        connection.execute(update(windows).where(*this).values(merged=False))
        return
    day = connection.execute(_day_of(dataset, window)).first()
    if day is None:
        return
    members = (*_inside(dataset, Window(day.start, day.end)), windows.c.merged.is_(True))
    if not connection.execute(select(exists().where(*members, ~_has_profile()))).scalar():
        connection.execute(delete(profiles).where(profiles.c.id == day.id))
        connection.execute(update(windows).where(*members).values(merged=False))


def unmerged(store: Store, names: Sequence[str], until: datetime) -> dict[str, datetime]:
    """Dataset -> the start of its oldest window that ended by `until` and is not part of its day yet; only of `names`."""
    query = (
        select(windows.c.dataset, func.min(windows.c.start).label("start"))
        .where(UNMERGED, windows.c.dataset.in_(names), windows.c.end <= until)
        .group_by(windows.c.dataset)
    )
    with store.reading() as connection:
        return {row.dataset: row.start for row in connection.execute(query)}


def parts(store: Store, dataset: str, day: Window, most: int) -> Parts:
    """What is to be put together next for a day: at most `most` windows at once, the oldest first."""
    with store.reading() as connection:
        return _parts(connection, dataset, day, most)


def merge(store: Store, dataset: str, day: Window, made_of: Parts, rows: int, body: bytes) -> bool:
    """The day's profile with those windows in it; False, and nothing is written, where they are not what they were."""
    ids = [part for part, _ in made_of.windows]

    def work(connection: Connection) -> bool:
        if _parts(connection, dataset, day, len(ids)) != made_of:
            return False
        connection.execute(delete(profiles).where(*_day(dataset, day)))
        row = {"dataset": dataset, "lane": DAY, "start": day.start, "end": day.end, "rows": rows, "body": body}
        connection.execute(insert(profiles).values(**row))
        connection.execute(update(windows).where(windows.c.id.in_(ids)).values(merged=True))
        return True

    return store.attempt(work)


def leave_out(store: Store, dataset: str, day: Window) -> None:
    """The windows that are not part of the day yet never will be; those that have profiles keep them."""
    with store.begin() as connection:
        connection.execute(update(windows).where(UNMERGED, *_inside(dataset, day)).values(merged=None))


def drop(store: Store, names: Sequence[str], until: datetime, now: datetime, most: int = 500) -> int:
    """Delete at most `most` profiles of windows that ended by `until` and are part of their day; how many. Only of `names`.

    The last windows of each dataset stay, and those that were measured again lately.
    """
    old = (
        select(profiles.c.dataset)
        .where(profiles.c.dataset.in_(names), profiles.c.lane == LIVE, profiles.c.start < until)
        .distinct()
    )
    with store.reading() as connection:
        found = list(connection.execute(old).scalars())
    count = 0
    for name in found:
        if count < most:
            count += _drop(store, name, until, now - MEASURED_ANEW, most - count)
    return count


def _drop(store: Store, dataset: str, until: datetime, finished: datetime, most: int) -> int:
    live = (profiles.c.dataset == dataset, profiles.c.lane == LIVE)
    first_kept = select(profiles.c.start).where(*live).order_by(profiles.c.start.desc()).offset(KEPT - 1).limit(1)
    old = (
        select(profiles.c.id)
        .join(windows, _same_window())
        .where(*live, profiles.c.start < first_kept.scalar_subquery(), profiles.c.start < until, profiles.c.end <= until)
        .where(windows.c.merged.is_(True), windows.c.finished_at <= finished)
        .limit(most)
    )
    with store.begin() as connection:
        gone = list(connection.execute(old).scalars())
        if gone:
            connection.execute(delete(profiles).where(profiles.c.id.in_(gone)))
    return len(gone)


def _parts(connection: Connection, dataset: str, day: Window, most: int) -> Parts:
    waiting: Select[Any] = (
        select(windows.c.id, profiles.c.body)
        .join(profiles, _same_window())
        .where(text("windows.lane = 'live' AND windows.merged IS false"), *_inside(dataset, day))
        .order_by(windows.c.start)
        .limit(most)
    )
    so_far = connection.execute(select(profiles.c.body).where(*_day(dataset, day))).scalar()
    return Parts(so_far, [(row.id, row.body) for row in connection.execute(waiting)])


def _day(dataset: str, day: Window) -> tuple[ColumnElement[bool], ...]:
    return profiles.c.dataset == dataset, profiles.c.lane == DAY, profiles.c.start == day.start


def _day_of(dataset: str, window: Window) -> Select[Any]:
    near = profiles.c.start.between(window.start - timedelta(days=2), window.start)
    return select(profiles.c.id, profiles.c.start, profiles.c.end).where(
        profiles.c.dataset == dataset, profiles.c.lane == DAY, near, profiles.c.end >= window.end
    )


def _inside(dataset: str, day: Window) -> tuple[ColumnElement[bool], ...]:
    return windows.c.dataset == dataset, windows.c.start >= day.start, windows.c.start < day.end


def _same_window() -> ColumnElement[bool]:
    return and_(profiles.c.dataset == windows.c.dataset, profiles.c.lane == windows.c.lane, profiles.c.start == windows.c.start)


def _has_profile() -> ColumnElement[bool]:
    return exists().where(_same_window())
