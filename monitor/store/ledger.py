"""The ledger of windows, and what is recorded of each: verbs of the store, one transaction each."""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, true, update

from alerts.incident import News
from checks.result import Result, finite
from checks.window import Window
from monitor import fit
from monitor.job import Measured
from monitor.store import decisions
from monitor.store.decisions import LIVE, Before, Claim, Decision
from monitor.store.store import Store
from monitor.store.tables import profiles, results, windows

LONGEST_DETAILS = 20_000


def owner() -> str:
    """Who we are in leases: machine and process. A dead process of the same machine is told from a living one by it."""
    return f"{_machine()}:{os.getpid()}"


@cache
def _machine() -> str:
    """Where process numbers mean the same as here: two containers may share a hostname and not their numbers."""
    known = [socket.gethostname()]
    with suppress(OSError):
        known.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:13])
        known.append(str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]"))
    return "/".join(known)


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
            decision = decide(decisions.before(connection, subjects, claim))
            decisions.write(connection, decision, now)
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
    if host != _machine() or not pid.isdigit() or int(pid) == os.getpid():
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
