"""The digests of each channel at their times of the day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, insert, select, update

from alerts import periods
from alerts.digest import Line, Standing, digest
from alerts.outcome import Outcome
from alerts.routing import Route
from alerts.silencing import hushed
from alerts.telling import Delivery
from checks.result import Severity
from monitor.config import Config
from monitor.store import telling
from monitor.store.decisions import incident_of, problem_of, write_delivery
from monitor.store.tables import WAITING, deliveries, incidents, problems, rounds, tellings

EXPIRES = timedelta(hours=12)


@dataclass(frozen=True)
class Turn:
    """A time of day at which a channel gets a digest; the `daily` one also says what is still open."""

    channel: str
    time: str
    route: Route
    daily: bool

    @property
    def name(self) -> str:
        return f"digest:{self.channel}:{self.time}"

    @property
    def zone(self) -> str:
        return self.route.timezone or "UTC"


def turns(config: Config) -> list[Turn]:
    """Each channel's times: of the first route that names it the daily one, and the ends of all its routes' quiet hours."""
    out: dict[tuple[str, str], Turn] = {}
    for channel in config.channels:
        for route in [r for r in config.routes if channel in r.to]:
            daily, *ends = route.digests
            first = not any(name == channel for name, _ in out)
            for time in (daily, *ends) if first else [*ends, *([daily] if route.quiet else [])]:
                out.setdefault((channel, time), Turn(channel, time, route, first and time == daily))
    return list(out.values())


def due(connection: Connection, config: Config, now: datetime) -> list[Callable[[Connection], object]]:
    """The digests to write. In quiet hours none is: a host that slept all day tells in the morning."""
    done = {row.name: row.last_at for row in connection.execute(select(rounds))}
    works: list[Callable[[Connection], object]] = []
    for each in turns(config):
        last = done.get(each.name)
        if last is None:
            # From here on: what lies before the first start is nobody's morning.
            works.append(partial(_done, each=each, at=now))
        elif not _quiet(each, now) and (period := periods.due(each.time, each.zone, last, now)):
            works.append(partial(_tell, config=config, each=each, period=period, now=now))
    return works


def _quiet(each: Turn, now: datetime) -> bool:
    return each.route.quiet is not None and each.route.quiet.until(now, ZoneInfo(each.zone)) is not None


def _tell(connection: Connection, config: Config, each: Turn, period: periods.Period, now: datetime) -> None:
    """The lines that wait become one message, and wait no more. Somebody else was faster: nothing is done."""
    if not _done(connection, each, period.at):
        return
    key = f"digest:{each.channel}:{period.key}" + ("" if each.daily else f"T{each.time}")
    if connection.execute(select(deliveries.c.id).where(deliveries.c.key == key)).first() is not None:
        return
    rows = _waiting(connection, each.channel)
    still = _still(connection, config, each.channel, period.at, now) if each.daily else []
    said = digest(each.channel, [_line(row) for row in rows], still, each.zone, now)
    if said is not None:
        write_delivery(connection, Delivery(key, None, each.channel, "message", said, expires_at=now + EXPIRES), now)
        connection.execute(update(tellings).where(tellings.c.id.in_([row.id for row in rows])).values(digest=key))


def _done(connection: Connection, each: Turn, at: datetime) -> bool:
    """Note the turn; False where it is noted already."""
    row = connection.execute(select(rounds.c.last_at).where(rounds.c.name == each.name).with_for_update()).first()
    if row is None:
        connection.execute(insert(rounds).values(name=each.name, last_at=at))
    elif row.last_at >= at:
        return False
    else:
        connection.execute(update(rounds).where(rounds.c.name == each.name).values(last_at=at))
    return True


def _waiting(connection: Connection, channel: str) -> list[telling.Record]:
    query = (
        select(tellings, incidents.c.severity, incidents.c.opened_at)
        .join(incidents, incidents.c.id == tellings.c.incident)
        .where(WAITING, tellings.c.channel == channel)
        .order_by(tellings.c.id)
    )
    return list(connection.execute(query))


def _line(row: telling.Record) -> Line:
    why = row.reason if row.outcome == Outcome.DIGEST and row.happened != "resolved" else ""
    return Line(row.incident, row.happened, row.opened_at, row.at, row.line, Severity(row.severity), why)


def _still(connection: Connection, config: Config, channel: str, due: datetime, now: datetime) -> list[Standing]:
    """Open incidents that somebody read of here, that began before the digest was due, and that nothing keeps quiet."""
    known = select(tellings.c.incident).where(
        tellings.c.channel == channel, tellings.c.outcome.in_([str(o) for o in (Outcome.TOLD, Outcome.HELD, Outcome.STORM)])
    )
    found = connection.execute(
        select(incidents).where(incidents.c.resolved_at.is_(None), incidents.c.opened_at < due, incidents.c.id.in_(known))
    )
    quiet = telling.active_silences(connection, now)
    out = []
    for row in found.mappings().all():
        members = [problem_of(p) for p in connection.execute(select(problems).where(problems.c.incident == row["id"])).mappings()]
        incident = incident_of(row)
        if members and hushed(incident, members, quiet, config.maintenance, now) is None:
            lead = max(members, key=lambda p: (p.severity.rank if p.severity else 0, p.score or 0.0))
            text = f"{incident.subject}: {lead.message}" + (f" (+{len(members) - 1} more)" if len(members) > 1 else "")
            out.append(Standing(incident.id, text, incident.severity, incident.since, row["acked_by"]))
    return out
