"""The ledger of windows, and what is recorded of each: verbs of the store, one transaction each."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from alerts.incident import News
from checks.result import Result, finite
from checks.window import Window
from monitor import fit
from monitor.job import Measured
from monitor.rates import Rate
from monitor.store import days, decisions, references
from monitor.store.decisions import LIVE, Before, Claim, Decision
from monitor.store.leases import left, owner
from monitor.store.store import Store
from monitor.store.tables import profiles, results, sources, windows

LONGEST_DETAILS = 20_000


class NotYet(Exception):
    """The window is free, but its source's rate does not allow another start before `wait` has passed."""

    def __init__(self, source: str, wait: timedelta) -> None:
        super().__init__(f"source {source}: its rate allows the next window in {wait.total_seconds():.1f} s")
        self.wait = wait


def claim(
    store: Store,
    dataset: str,
    window: Window,
    lease: timedelta,
    again: bool = False,
    paced: tuple[str, Rate] | None = None,
    lane: str = LIVE,
) -> Claim | None:
    """Take a window; None where somebody else has it, or it is finished (unless `again`).

    `paced` is a source with its rate, which holds for all daemons on this store together. Raises NotYet where it is used up.
    """
    token = secrets.token_hex(16)

    def work(connection: Connection) -> Claim | None:
        clock = store.clock(connection)
        row = connection.execute(
            select(windows)
            .where(windows.c.dataset == dataset, windows.c.lane == lane, windows.c.start == window.start)
            .with_for_update()
        ).first()
        mine = {"state": "running", "lease_owner": owner(), "lease_token": token, "lease_until": clock + lease}
        taken = row is not None and row.state == "running" and not left(row.lease_owner, row.lease_until, clock)
        if taken or (row is not None and row.state in {"done", "no_data"} and not again):
            return None
        if paced is not None:
            _take_turn(store, connection, *paced)
        if row is None:
            made = connection.execute(
                insert(windows)
                .values(dataset=dataset, lane=lane, start=window.start, end=window.end, attempts=1, **mine)
                .returning(windows.c.id)
            ).scalar_one()
            return Claim(made, dataset, window, token, 1, lane=lane)
        connection.execute(update(windows).where(windows.c.id == row.id).values(attempts=row.attempts + 1, end=window.end, **mine))
        return Claim(row.id, dataset, window, token, row.attempts + 1, again=row.state in {"done", "no_data"}, lane=lane)

    return store.attempt(work)


def _take_turn(store: Store, connection: Connection, source: str, rate: Rate) -> None:
    row = connection.execute(select(sources.c.free_at).where(sources.c.name == source).with_for_update()).first()
    # Read with the row in hand: who waited for it would otherwise be behind the one who had it, and take the clock for set back.
    clock = store.clock(connection)
    free_at = None if row is None else row.free_at
    if wait := rate.wait(free_at, clock):
        raise NotYet(source, wait)
    following = {"free_at": rate.after(free_at, clock)}
    if row is None:
        connection.execute(insert(sources).values(name=source, **following))
    else:
        connection.execute(update(sources).where(sources.c.name == source).values(**following))


def renew(store: Store, claims: Sequence[Claim], lease: timedelta) -> None:
    """Keep windows that are still being measured."""
    if not claims:
        return
    with store.begin() as connection:
        until = store.clock(connection) + lease
        # By number too: the tokens have no index.
        ours = (windows.c.id.in_([claim.id for claim in claims]), windows.c.lease_token.in_([claim.token for claim in claims]))
        connection.execute(update(windows).where(*ours).values(lease_until=until))


def give_back(store: Store, claims: Sequence[Claim]) -> None:
    """Let others have windows that we will not finish: at shutdown, so that nobody waits for the lease."""
    with store.begin() as connection:
        for claim in claims:
            gone = update(windows).where(windows.c.id == claim.id, windows.c.lease_token == claim.token)
            connection.execute(gone.values(lease_until=store.clock(connection)))


def record(
    store: Store,
    claim: Claim,
    measured: Measured,
    now: datetime,
    subjects: Sequence[str],
    decide: Callable[[Before], Decision] | None,
    retry_at: datetime | None = None,
    more: bool = False,
) -> Decision | None:
    """Everything that a window came to, in one transaction: profile, results, problems, incidents, events, deliveries.

    `more`: there are verdicts to come, the claim is kept and the window is not finished.
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
            decision = decide(decisions.before(connection, subjects, claim, now))
            decisions.write(connection, decision, now)
        if more:
            return decision or Decision(News())
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


def _write_measured(connection: Connection, claim: Claim, measured: Measured, now: datetime) -> None:
    start, end = claim.window.start, claim.window.end
    if measured.profile is not None:
        same = (profiles.c.dataset == claim.dataset, profiles.c.lane == claim.lane, profiles.c.start == start)
        connection.execute(delete(profiles).where(*same))
        row = {"dataset": claim.dataset, "lane": claim.lane, "start": start, "end": end, "rows": measured.rows or 0}
        connection.execute(insert(profiles).values(body=measured.profile, **row))
        if claim.lane == LIVE:
            days.measured(connection, claim.dataset, claim.window)
    ours = (results.c.dataset == claim.dataset, results.c.lane == claim.lane)
    connection.execute(delete(results).where(*ours, results.c.window_start == start, results.c.window_end == end))
    version = measured.reference_version
    if measured.golden is not None:
        row = {"author": "datavigil", "note": measured.golden_table, "body": measured.golden}
        version = references.add(connection, claim.dataset, references.GOLDEN, now, **row)
    rows = [_result_row(claim, result, now) | {"reference_version": version} for result in measured.results]
    if rows:
        connection.execute(insert(results), rows)


def _result_row(claim: Claim, result: Result, now: datetime) -> dict[str, Any]:
    bounds = result.bounds
    return {
        "dataset": claim.dataset,
        "lane": claim.lane,
        "check": fit.name(result.check, fit.CHECK),
        "kind": result.kind,
        "family": str(result.family),
        "column": fit.name(result.column or "", fit.COLUMN),
        "segment": fit.name(result.segment or "", fit.SEGMENT),
        "window_start": claim.window.start,
        "window_end": claim.window.end,
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
