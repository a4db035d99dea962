"""The ledger of windows, and what is recorded of each: verbs of the store, one transaction each."""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, true, update

from alerts.incident import Happened, Incident, News, Standing
from alerts.problem import Problem, State
from alerts.telling import Delivery
from checks.result import Family, Result, Severity, Status, finite
from checks.window import Window
from monitor import fit
from monitor.job import Measured
from monitor.store.store import Store
from monitor.store.tables import deliveries, events, incidents, problems, profiles, results, windows

LIVE = "live"
LONGEST_DETAILS = 20_000


@dataclass(frozen=True)
class Claim:
    """The right to measure one window until the lease ends; `token` proves it."""

    id: int
    dataset: str
    window: Window
    token: str
    attempts: int


@dataclass(frozen=True)
class Decision:
    """What follows from a window's results: the news, and the deliveries that tell them."""

    news: News
    deliveries: Sequence[Delivery] = ()


@dataclass(frozen=True)
class Before:
    """What stood before, as the decision needs it: problems and open incidents, and the channels each of those was told in.

    `later` are (check, column, segment) that have a verdict on a later window than the one to decide on; `unmeasured` is
    the end of the dataset's latest other window that could not be measured.
    """

    standing: Standing
    told: dict[int, frozenset[str]]
    later: frozenset[tuple[str, str | None, str | None]] = frozenset()
    unmeasured: datetime | None = None


def owner() -> str:
    """Who we are in leases: host and process. A dead process of the same host is told from a living one by it."""
    return f"{socket.gethostname()}:{os.getpid()}"


def last_ends(store: Store) -> dict[str, datetime]:
    """Dataset -> the end of its latest window in the ledger."""
    query = (
        select(windows.c.dataset, func.max(windows.c.end).label("last")).where(windows.c.lane == LIVE).group_by(windows.c.dataset)
    )
    with store.reading() as connection:
        return {row.dataset: row.last for row in connection.execute(query)}


def unfinished(store: Store, now: datetime, anyway: bool = False) -> list[tuple[str, datetime, datetime]]:
    """(dataset, start, end) of windows to try again, oldest first: errored and due, or left by a process that died.

    `anyway`: errored ones too that are not due for another try yet.
    """
    due = true() if anyway else windows.c.next_attempt_at <= now
    with store.reading() as connection:
        clock = store.clock(connection)
        rows = connection.execute(
            select(windows.c.dataset, windows.c.start, windows.c.end, windows.c.state, windows.c.lease_owner, windows.c.lease_until)
            .where(windows.c.lane == LIVE, or_(windows.c.state == "running", and_(windows.c.state == "errored", due)))
            .order_by(windows.c.start)
        ).all()
    return [(r.dataset, r.start, r.end) for r in rows if r.state != "running" or _left(r.lease_owner, r.lease_until, clock)]


def claim(store: Store, dataset: str, window: Window, lease: timedelta, again: bool = False) -> Claim | None:
    """Take a window; None where somebody else has it, or it is finished (unless `again`)."""
    token = secrets.token_hex(16)

    def work(connection: Connection) -> Claim | None:
        clock = store.clock(connection)
        row = connection.execute(
            select(windows)
            .where(windows.c.dataset == dataset, windows.c.lane == LIVE, windows.c.start == window.start)
            .with_for_update()
        ).first()
        mine = {"state": "running", "lease_owner": owner(), "lease_token": token, "lease_until": clock + lease}
        if row is None:
            made = connection.execute(
                insert(windows)
                .values(dataset=dataset, lane=LIVE, start=window.start, end=window.end, attempts=1, **mine)
                .returning(windows.c.id)
            ).scalar_one()
            return Claim(made, dataset, window, token, 1)
        taken = row.state == "running" and not _left(row.lease_owner, row.lease_until, clock)
        if taken or (row.state in {"done", "no_data"} and not again):
            return None
        connection.execute(update(windows).where(windows.c.id == row.id).values(attempts=row.attempts + 1, end=window.end, **mine))
        return Claim(row.id, dataset, window, token, row.attempts + 1)

    return store.attempt(work)


def renew(store: Store, claims: Sequence[Claim], lease: timedelta) -> None:
    """Keep windows that are still being measured."""
    if not claims:
        return
    with store.begin() as connection:
        until = store.clock(connection) + lease
        tokens = [claim.token for claim in claims]
        connection.execute(update(windows).where(windows.c.lease_token.in_(tokens)).values(lease_until=until))


def give_back(store: Store, claims: Sequence[Claim]) -> None:
    """Let others have windows that we will not finish: at shutdown, so that nobody waits for the lease."""
    with store.begin() as connection:
        for claim in claims:
            gone = update(windows).where(windows.c.id == claim.id, windows.c.lease_token == claim.token)
            connection.execute(gone.values(lease_until=store.clock(connection)))


def history(
    store: Store, dataset: str, before: datetime, most: int, also: Sequence[datetime] = ()
) -> list[tuple[datetime, datetime, bytes]]:
    """(start, end, profile) of the last `most` windows that ended by `before`, and of those that start at `also`, oldest first."""
    query = (
        select(profiles.c.start, profiles.c.end, profiles.c.body)
        .where(profiles.c.dataset == dataset, profiles.c.lane == LIVE, profiles.c.end <= before)
        .order_by(profiles.c.start.desc())
        .limit(most)
    )
    named = select(profiles.c.start, profiles.c.end, profiles.c.body).where(
        profiles.c.dataset == dataset, profiles.c.lane == LIVE, profiles.c.end <= before, profiles.c.start.in_(also)
    )
    with store.reading() as connection:
        found = {r.start: (r.start, r.end, r.body) for r in connection.execute(query)}
        if also:
            found |= {r.start: (r.start, r.end, r.body) for r in connection.execute(named)}
    return [found[start] for start in sorted(found)]


def between(store: Store, dataset: str, start: datetime, end: datetime) -> list[tuple[datetime, datetime, bytes]]:
    """(start, end, profile) of the windows that lie within a stretch of time, oldest first."""
    query = (
        select(profiles.c.start, profiles.c.end, profiles.c.body)
        .where(profiles.c.dataset == dataset, profiles.c.lane == LIVE, profiles.c.start >= start, profiles.c.end <= end)
        .order_by(profiles.c.start)
    )
    with store.reading() as connection:
        return [(r.start, r.end, r.body) for r in connection.execute(query)]


def record(
    store: Store,
    claim: Claim,
    measured: Measured,
    now: datetime,
    subjects: Sequence[str],
    decide: Callable[[Before], Decision] | None,
    retry_at: datetime | None = None,
) -> Decision | None:
    """Everything that a window came to, in one transaction: profile, results, problems, incidents, events, deliveries.

    `decide` is pure and may be called again where another writer was faster; None: a window of the past, tells nobody.
    Gives None, and writes nothing, where the claim has passed to somebody else.
    """

    def work(connection: Connection) -> Decision | None:
        held = connection.execute(
            select(windows.c.id).where(windows.c.id == claim.id, windows.c.lease_token == claim.token).with_for_update()
        ).first()
        if held is None:
            return None
        _write_measured(connection, claim, measured, now)
        decision = None
        if decide is not None:
            decision = decide(_before(connection, subjects, claim))
            _write_decision(connection, decision, now)
        connection.execute(
            update(windows)
            .where(windows.c.id == claim.id)
            .values(
                state=measured.state,
                rows=measured.rows,
                seconds=measured.seconds,
                error=fit.text(measured.error) if measured.error else None,
                finished_at=now,
                next_attempt_at=retry_at,
                told=decide is not None,
                lease_token=None,
                lease_until=None,
            )
        )
        return decision or Decision(News())

    return store.attempt(work)


def _left(lease_owner: str | None, lease_until: datetime | None, clock: datetime) -> bool:
    """The lease has ended, or its process is dead: on our own host that can be seen at once."""
    if lease_until is None or lease_until <= clock:
        return True
    host, _, pid = (lease_owner or "").rpartition(":")
    if host != socket.gethostname() or not pid.isdigit() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _write_measured(connection: Connection, claim: Claim, measured: Measured, now: datetime) -> None:
    start, end = claim.window.start, claim.window.end
    if measured.profile is not None:
        same = (profiles.c.dataset == claim.dataset, profiles.c.lane == LIVE, profiles.c.start == start)
        connection.execute(delete(profiles).where(*same))
        row = {"dataset": claim.dataset, "lane": LIVE, "start": start, "end": end, "rows": measured.rows or 0}
        connection.execute(insert(profiles).values(body=measured.profile, **row))
    connection.execute(
        delete(results).where(results.c.dataset == claim.dataset, results.c.window_start == start, results.c.window_end == end)
    )
    rows = [_result_row(claim.dataset, claim.window, result, now) for result in measured.results]
    if rows:
        connection.execute(insert(results), rows)


def _result_row(dataset: str, window: Window, result: Result, now: datetime) -> dict[str, Any]:
    bounds = result.bounds
    return {
        "dataset": dataset,
        "check": fit.name(result.check, fit.CHECK),
        "kind": result.kind,
        "family": str(result.family),
        "column": fit.name(result.column or "", fit.COLUMN),
        "segment": fit.name(result.segment or "", fit.SEGMENT),
        "window_start": window.start,
        "window_end": window.end,
        "status": str(result.status),
        "value": finite(result.value),
        "at_least": finite(bounds.at_least) if bounds else None,
        "at_most": finite(bounds.at_most) if bounds else None,
        "learned": bounds.learned if bounds else False,
        "score": result.score,
        "severity": str(result.severity) if result.severity else None,
        "message": fit.text(result.message),
        "details": json.dumps(fit.json(result.details))[:LONGEST_DETAILS] if result.details else None,
        "at": now,
    }


def _one_by_one(connection: Connection, subjects: Sequence[str]) -> None:
    """Two datasets of a source move the same problems and incident: each must see all of what the other one wrote.

    Row locks do not help, the rows may not be there yet. SQLite has one writer at a time anyway.
    """
    if connection.dialect.name == "postgresql":
        for subject in sorted(subjects):
            connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(subject))))


def _before(connection: Connection, subjects: Sequence[str], claim: Claim) -> Before:
    _one_by_one(connection, subjects)
    found = connection.execute(select(problems).where(problems.c.subject.in_(subjects))).mappings().all()
    opened = (
        connection.execute(select(incidents).where(incidents.c.subject.in_(subjects), incidents.c.resolved_at.is_(None)))
        .mappings()
        .all()
    )
    next_id = (connection.execute(select(func.max(incidents.c.id))).scalar() or 0) + 1
    ids = [row["id"] for row in opened]
    told: dict[int, set[str]] = {}
    roots = select(deliveries.c.incident, deliveries.c.channel).where(deliveries.c.incident.in_(ids))
    for incident, channel in connection.execute(roots):
        told.setdefault(incident, set()).add(channel)
    standing = Standing([_problem(r) for r in found], [_incident(r) for r in opened], next_id)
    channels = {incident: frozenset(names) for incident, names in told.items()}
    return Before(standing, channels, _later(connection, claim), _unmeasured(connection, claim))


def _unmeasured(connection: Connection, claim: Claim) -> datetime | None:
    query = select(func.max(windows.c.end)).where(
        windows.c.dataset == claim.dataset, windows.c.lane == LIVE, windows.c.state == "errored", windows.c.id != claim.id
    )
    return connection.execute(query).scalar()


def _later(connection: Connection, claim: Claim) -> frozenset[tuple[str, str | None, str | None]]:
    query = (
        select(results.c.check, results.c.column, results.c.segment)
        .where(results.c.dataset == claim.dataset, results.c.window_start > claim.window.start)
        .where(results.c.status.in_((str(Status.PASSED), str(Status.FAILED))))
        .distinct()
    )
    return frozenset((r.check, r.column or None, r.segment or None) for r in connection.execute(query))


def _problem(row: Any) -> Problem:
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


def _incident(row: Any) -> Incident:
    plain = {k: v for k, v in row.items() if k in Incident.__dataclass_fields__}
    return Incident(**{**plain, "family": Family(row["family"]), "severity": Severity(row["severity"])})


def _write_decision(connection: Connection, decision: Decision, now: datetime) -> None:
    for change in decision.news.changes:
        row = {k: str(v) if k in {"family", "severity"} else v for k, v in asdict(change.incident).items()}
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
            )
        )
    for problem in decision.news.problems:
        _write_problem(connection, problem)
    for delivery in decision.deliveries:
        _write_delivery(connection, delivery, now)


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


def _write_delivery(connection: Connection, delivery: Delivery, now: datetime) -> None:
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
        connection.execute(update(deliveries).where(*held, deliveries.c.not_before > now).values(not_before=None))
