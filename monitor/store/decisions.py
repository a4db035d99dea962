"""What follows from a window's results, read before and written with it, inside the window's own transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from alerts.incident import Happened, Incident, News, Standing
from alerts.outcome import Telling
from alerts.problem import Problem, Quiet, State
from alerts.telling import Delivery
from checks.result import Family, Severity, Status, finite
from checks.window import Window
from monitor import fit
from monitor.store import telling
from monitor.store.tables import UNFINISHED, deliveries, events, incidents, problems, reports, results, windows
from monitor.store.unusual import unusual

LIVE = "live"
LABELS = "labels"
"""The lane of the windows that are evaluated once their labels had time to arrive."""
NUMBERS = 7_204_534
"""The lock under which incidents get their numbers."""


@dataclass(frozen=True)
class Claim:
    """The right to measure one window until the lease ends; `token` proves it. `again`: it was measured and recorded before."""

    id: int
    dataset: str
    window: Window
    token: str
    attempts: int
    again: bool = False
    lane: str = LIVE


@dataclass(frozen=True)
class Decision:
    """What follows from a window's results: the news, what becomes of them in each channel, and the deliveries that tell them."""

    news: News
    deliveries: Sequence[Delivery] = ()
    tellings: Sequence[Telling] = ()


@dataclass(frozen=True)
class Before:
    """What stood before, as the decision needs it: problems and open incidents, and how each was told (`stand`).

    `later` are (check, column, segment) that have a verdict on a later window than the one to decide on; `unmeasured` is
    the end of the dataset's latest other window that could not be measured; `reports` says where each incident's last one is;
    `again`: the window was decided on before; `unusual` says how unusual a problem's value is.
    """

    standing: Standing
    later: frozenset[tuple[str, str | None, str | None]] = frozenset()
    unmeasured: datetime | None = None
    reports: Mapping[int, str] = field(default_factory=dict)
    stand: telling.Stand = field(default_factory=telling.Stand)
    again: bool = False
    unusual: Callable[[Problem], str] = lambda _: ""


def _one_by_one(connection: Connection, subjects: Sequence[str]) -> None:
    """Two datasets of a source move the same problems and incident: each must see all of what the other one wrote.

    Row locks do not help, the rows may not be there yet. SQLite has one writer at a time anyway.
    """
    if connection.dialect.name == "postgresql":
        for subject in sorted(subjects):
            connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(subject))))


def numbered(connection: Connection) -> int:
    """The next incident's number, which nobody else gets before this transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(NUMBERS)))
    return (connection.execute(select(func.max(incidents.c.id))).scalar() or 0) + 1


def stood(connection: Connection, subjects: Sequence[str]) -> Standing:
    """Problems and incidents of these subjects, which nobody else changes before this transaction ends."""
    _one_by_one(connection, subjects)
    next_id = numbered(connection)
    found = connection.execute(select(problems).where(problems.c.subject.in_(subjects))).mappings().all()
    # The last one of each family: it is open, or may be opened again.
    of = (incidents.c.subject, incidents.c.family)
    last = select(func.max(incidents.c.id)).where(incidents.c.subject.in_(subjects)).group_by(*of)
    known = [incident_of(r) for r in connection.execute(select(incidents).where(incidents.c.id.in_(last))).mappings()]
    return Standing([problem_of(r) for r in found], known, next_id, _reopenings(connection, [i.id for i in known]))


def before(connection: Connection, subjects: Sequence[str], claim: Claim, now: datetime) -> Before:
    standing = stood(connection, subjects)
    ids = [incident.id for incident in standing.incidents]
    made = connection.execute(select(reports).where(reports.c.incident.in_(ids)).order_by(reports.c.revision))
    paths = {row.incident: row.path for row in made}
    stand = telling.stand(connection, ids, now)
    seen = partial(unusual, connection, start=claim.window.start)
    return Before(standing, _later(connection, claim), _unmeasured(connection, claim), paths, stand, claim.again, seen)


def _reopenings(connection: Connection, ids: Sequence[int]) -> dict[int, list[datetime]]:
    query = select(events.c.incident, events.c.at).where(events.c.incident.in_(ids), events.c.happened == str(Happened.REOPENED))
    found: dict[int, list[datetime]] = {}
    for incident, at in connection.execute(query):
        found.setdefault(incident, []).append(at)
    return found


def _unmeasured(connection: Connection, claim: Claim) -> datetime | None:
    query = select(func.max(windows.c.end)).where(
        UNFINISHED,
        windows.c.dataset == claim.dataset,
        windows.c.lane == claim.lane,
        windows.c.state == "errored",
        windows.c.id != claim.id,
    )
    return connection.execute(query).scalar()


def _later(connection: Connection, claim: Claim) -> frozenset[tuple[str, str | None, str | None]]:
    query = (
        select(results.c.check, results.c.column, results.c.segment)
        .where(results.c.dataset == claim.dataset, results.c.lane == claim.lane)
        .where(results.c.window_start > claim.window.start)
        .where(results.c.status.in_((str(Status.PASSED), str(Status.FAILED))))
        .distinct()
    )
    return frozenset((r.check, r.column or None, r.segment or None) for r in connection.execute(query))


def problem_of(row: Any) -> Problem:
    plain = {k: v for k, v in row.items() if k in Problem.__dataclass_fields__}
    return Problem(
        **{
            **plain,
            "family": Family(row["family"]),
            "state": State(row["state"]),
            "severity": Severity(row["severity"]) if row["severity"] else None,
            "column": row["column"] or None,
            "segment": row["segment"] or None,
        }
    )


def incident_of(row: Any) -> Incident:
    plain = {k: v for k, v in row.items() if k in Incident.__dataclass_fields__}
    held = Quiet(row["held"]) if row["held"] else None
    return Incident(**{**plain, "family": Family(row["family"]), "severity": Severity(row["severity"]), "held": held})


def write(connection: Connection, decision: Decision, now: datetime) -> None:
    for change in decision.news.changes:
        row = {k: str(v) if isinstance(v, StrEnum) else v for k, v in asdict(change.incident).items()}
        changed = connection.execute(update(incidents).where(incidents.c.id == row["id"]).values(**row))
        if not changed.rowcount:
            connection.execute(insert(incidents).values(**row))
        worst = (change.gone if change.happened in {Happened.LEFT, Happened.RESOLVED} else change.members)[:3]
        connection.execute(
            insert(events).values(
                incident=change.incident.id,
                revision=change.incident.revision,
                at=now,
                happened=str(change.happened),
                text=fit.text("; ".join(p.message for p in worst) + (f" ({change.reason})" if change.reason else "")),
                quiet=str(change.quiet) if change.quiet else None,
            )
        )
    for problem in decision.news.problems:
        _write_problem(connection, problem)
    telling.write(connection, decision.tellings, now)
    for delivery in decision.deliveries:
        write_delivery(connection, delivery, now)


def _write_problem(connection: Connection, problem: Problem) -> None:
    row = asdict(problem)
    for name in ("family", "state", "severity"):
        row[name] = str(row[name]) if row[name] is not None else None
    for name in ("value", "at_least", "at_most", "score"):
        row[name] = finite(row[name])
    row |= {"column": fit.name(problem.column or "", fit.COLUMN), "segment": fit.name(problem.segment or "", fit.SEGMENT)}
    row |= {"check": fit.name(problem.check, fit.CHECK), "message": fit.text(problem.message)}
    changed = connection.execute(update(problems).where(problems.c.fingerprint == problem.fingerprint).values(**row))
    if not changed.rowcount:
        connection.execute(insert(problems).values(**row))


def write_delivery(connection: Connection, delivery: Delivery, now: datetime) -> None:
    there = connection.execute(select(deliveries.c.id).where(deliveries.c.key == delivery.key)).first()
    if there is not None:
        return
    connection.execute(
        insert(deliveries).values(
            key=delivery.key,
            incident=delivery.incident,
            channel=delivery.channel,
            form=delivery.form,
            revision=delivery.revision,
            broadcast=delivery.broadcast,
            payload=json.dumps(fit.json(delivery.payload)),
            created_at=now,
            not_before=delivery.not_before,
            expires_at=delivery.expires_at,
        )
    )
    if delivery.not_before is None and delivery.incident is not None:
        # What comes first in the thread must not hold this one back until the quiet hours are over.
        held = (deliveries.c.incident == delivery.incident, deliveries.c.channel == delivery.channel)
        # Edits wait for another reason, and hold nothing back: a later one supersedes them.
        connection.execute(
            update(deliveries).where(*held, deliveries.c.form != "edit", deliveries.c.not_before > now).values(not_before=None)
        )
