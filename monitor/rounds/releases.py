"""The ends of silences and maintenance: what still stands is told once. Keeping quiet is never a state, so nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Select, func, select

from alerts.incident import Change, Happened
from alerts.outcome import KEPT_QUIET
from alerts.silencing import hushed
from monitor import news
from monitor.config import Config
from monitor.rounds.reminders import belongs
from monitor.store import telling
from monitor.store.decisions import incident_of, numbered, problem_of, write_delivery
from monitor.store.tables import incidents, problems, tellings


def due(connection: Connection, config: Config, now: datetime) -> list[Callable[[Connection], object]]:
    """Incidents that were kept quiet, and may be no more."""
    return [partial(_release, config=config, number=n, now=now) for n in connection.execute(_kept()).scalars()]


def _kept() -> Select[Any]:
    """Open incidents whose last change was kept quiet somewhere."""
    still = select(incidents.c.id).where(incidents.c.resolved_at.is_(None))
    newest = select(func.max(tellings.c.id)).where(tellings.c.incident.in_(still)).group_by(tellings.c.incident, tellings.c.channel)
    return (
        select(tellings.c.incident)
        .join(incidents, incidents.c.id == tellings.c.incident)
        .where(incidents.c.resolved_at.is_(None), tellings.c.outcome.in_([str(o) for o in KEPT_QUIET]), tellings.c.id.in_(newest))
        .distinct()
    )


def anything(connection: Connection) -> bool:
    """Something is kept quiet whose end may come."""
    return connection.execute(_kept().limit(1)).first() is not None


def _release(connection: Connection, config: Config, number: int, now: datetime) -> None:
    numbered(connection)
    if connection.execute(_kept().where(tellings.c.incident == number)).first() is None:
        return
    incident = incident_of(connection.execute(select(incidents).where(incidents.c.id == number)).mappings().one())
    members = [problem_of(p) for p in connection.execute(select(problems).where(problems.c.incident == number)).mappings()]
    stand = telling.stand(connection, [number], now)
    if not members or hushed(incident, members, stand.silences, config.maintenance, now) is not None:
        return
    route, subject = belongs(config, incident)
    change = Change(incident, Happened.OPENED, tuple(members))
    sent, told = news.telling(config, route, change, stand, subject, now, again="no longer kept quiet, and still open")
    telling.write(connection, told, now)
    for delivery in sent:
        write_delivery(connection, delivery, now)
