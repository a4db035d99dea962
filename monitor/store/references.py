"""The versions of what counts as normal for a dataset, and people's marks on its windows. A version is never changed, only
rolled back; which one a result was judged by stands with the result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from monitor.store.store import Store
from monitor.store.tables import marks, problems, references, windows

ACCEPTED, GOLDEN = "accepted", "golden"


@dataclass(frozen=True)
class InForce:
    """What counts as normal for a window. `accepted`: column ("": the table) -> from when on. `golden`: the profile."""

    version: int | None = None
    accepted: Mapping[str, datetime] = field(default_factory=dict)
    golden: bytes | None = None


def in_force(store: Store, dataset: str, start: datetime, golden: str | None = None) -> InForce:
    """The versions that hold for the window that starts at `start`; `golden` is the table that the config names."""
    holds = or_(references.c.start.is_(None), references.c.start <= start)
    query = select(references).where(references.c.dataset == dataset, references.c.rolled_back_at.is_(None), holds)
    with store.reading() as connection:
        return among(connection.execute(query.order_by(references.c.version)), start, golden)


def among(rows: Iterable[Any], start: datetime, golden: str | None = None) -> InForce:
    """The same of rows that were read before, the oldest version first; those rolled back or not begun are left out."""
    version, body = None, None
    accepted: dict[str, datetime] = {}
    for row in rows:
        if row.rolled_back_at or (row.start and row.start > start) or (row.kind == GOLDEN and row.note != golden):
            continue
        version = row.version
        if row.kind == GOLDEN:
            body = row.body
        else:
            accepted[row.column] = max(row.start, accepted.get(row.column, row.start))
    return InForce(version, accepted, body)


def add(connection: Connection, dataset: str, kind: str, now: datetime, **row: Any) -> int:
    """A new version, numbered on from the last one; give `rows` and `body` where it holds a profile."""
    last = connection.execute(select(func.max(references.c.version)).where(references.c.dataset == dataset)).scalar()
    version: int = (last or 0) + 1
    values = {"rows": 0, "body": b"", **row}
    connection.execute(insert(references).values(dataset=dataset, version=version, kind=kind, created_at=now, **values))
    return version


def versions(store: Store, dataset: str) -> list[Any]:
    """All versions of a dataset, rolled back or not, the newest first."""
    with store.reading() as connection:
        query = select(references).where(references.c.dataset == dataset).order_by(references.c.version.desc())
        return list(connection.execute(query))


def roll_back(connection: Connection, dataset: str, version: int, author: str, now: datetime) -> bool:
    """Whether it was in force until now."""
    found = (references.c.dataset == dataset, references.c.version == version, references.c.rolled_back_at.is_(None))
    changed = connection.execute(update(references).where(*found).values(rolled_back_at=now, rolled_back_by=author))
    return bool(changed.rowcount)


def new_level_since(connection: Connection, dataset: str, column: str | None) -> datetime | None:
    """The start of the first bad window of what is wrong now; where nothing is, the start of the last measured window."""
    wrong = select(func.min(problems.c.since)).where(problems.c.subject == dataset, problems.c.state != "ok")
    if column is not None:
        wrong = wrong.where(problems.c.column == column)
    last = select(func.max(windows.c.start)).where(windows.c.dataset == dataset, windows.c.state == "done")
    found: datetime | None = connection.execute(wrong).scalar() or connection.execute(last).scalar()
    return found


def mark(connection: Connection, dataset: str, start: datetime, said: str, author: str, now: datetime, note: str | None) -> None:
    """The last word counts."""
    connection.execute(delete(marks).where(marks.c.dataset == dataset, marks.c.start == start))
    connection.execute(insert(marks).values(dataset=dataset, start=start, mark=said, author=author, at=now, note=note))


def marked(store: Store, dataset: str) -> dict[datetime, str]:
    """People's marks: window start -> `expected` or `bad`."""
    with store.reading() as connection:
        found = connection.execute(select(marks.c.start, marks.c.mark).where(marks.c.dataset == dataset))
        return {row.start: row.mark for row in found}
