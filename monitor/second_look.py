"""Windows that are looked at once more when rows that came late must have arrived (`late` of a dataset).

A second look closes and annotates; what it finds anew is told by itself only if a later window is bad too (alerts/problem.py).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, case, select, update

from checks.window import Window
from monitor.dataset import Dataset
from monitor.job import Measured
from monitor.store.decisions import LIVE, Claim
from monitor.store.store import Store
from monitor.store.tables import windows

log = logging.getLogger("datavigil.window")


def due(store: Store, datasets: Mapping[str, Dataset], now: datetime) -> dict[str, list[Window]]:
    """Dataset -> its oldest window that ended `late` ago or longer and was only looked at before that."""
    found: dict[str, list[Window]] = {}
    for name, dataset in datasets.items():
        if dataset.late is None or dataset.lane != LIVE:
            continue
        row = windows.c
        query = select(row.start, row.end, row.finished_at).where(row.dataset == name, row.lane == LIVE, row.told)
        # How far it reaches back is what is caught up after downtime, too.
        ended = query.where(row.end <= now - dataset.late, row.end > now - dataset.late - dataset.catchup)
        with store.reading() as connection:
            rows = connection.execute(ended.where(row.state.in_(("done", "no_data"))).order_by(row.end)).all()
        one = next((r for r in rows if r.finished_at is not None and r.finished_at < r.end + dataset.late), None)
        if one is not None:
            found[name] = [Window(one.start, one.end, dataset.timezone)]
    return found


def came_to_nothing(store: Store, claim: Claim, dataset: Dataset, measured: Measured, now: datetime) -> bool:
    """There are as many rows as before, or they could not be read again: what was recorded stands, the window is as it was.

    False: it is to be recorded anew, or is no second look, or the claim has passed to somebody else.
    """
    if not claim.again or dataset.late is None or now < claim.window.end + dataset.late:
        return False
    mine = (windows.c.id == claim.id, windows.c.lease_token == claim.token)
    same = () if measured.state == "errored" else (windows.c.rows == (measured.rows or 0),)
    state = case((windows.c.rows > 0, "done"), else_="no_data")
    left = update(windows).where(*mine, *same).values(state=state, finished_at=now, lease_token=None, lease_until=None)

    def work(connection: Connection) -> bool:
        return bool(connection.execute(left).rowcount)

    gone = store.attempt(work)
    if gone and measured.state == "errored":
        log.warning("window dataset=%s start=%s could not be looked at again: %s", dataset.name, claim.window.start, measured.error)
    return gone
