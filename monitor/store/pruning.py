"""Forgetting what is older than its retention; open incidents and what is still to be sent are kept."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, delete, exists, select

from monitor.settings import StoreSettings
from monitor.store.outbox import OVER
from monitor.store.store import Store
from monitor.store.tables import deliveries, events, incidents, problems, profiles, results, tellings, windows

AT_ONCE = 5000


def prune(store: Store, settings: StoreSettings, now: datetime) -> int:
    """Delete a bounded number of old rows; how many. Call it again and again."""
    results_until, profiles_until = now - settings.keep_results, now - settings.keep_profiles
    old_incident = and_(
        incidents.c.resolved_at < results_until,
        ~exists().where(problems.c.incident == incidents.c.id),
        ~exists().where(deliveries.c.incident == incidents.c.id, deliveries.c.state.not_in(OVER)),
    )
    gone = select(incidents.c.id).where(old_incident).limit(AT_ONCE)
    with store.begin() as connection:
        count = 0
        for table, old in (
            (results, results.c.window_end < results_until),
            (profiles, profiles.c.end < profiles_until),
            (windows, and_(windows.c.end < min(results_until, profiles_until), windows.c.state != "running")),
            (
                deliveries,
                and_(deliveries.c.incident.is_(None), deliveries.c.created_at < results_until, deliveries.c.state.in_(OVER)),
            ),
        ):
            ids = select(table.c.id).where(old).limit(AT_ONCE)
            count += connection.execute(delete(table).where(table.c.id.in_(ids))).rowcount
        closed = list(connection.execute(gone).scalars())
        if closed:
            connection.execute(delete(deliveries).where(deliveries.c.incident.in_(closed)))
            connection.execute(delete(tellings).where(tellings.c.incident.in_(closed)))
            connection.execute(delete(events).where(events.c.incident.in_(closed)))
            count += connection.execute(delete(incidents).where(incidents.c.id.in_(closed))).rowcount
    return count
