"""Why something was told or not, to whom, by which rule: what `explain` and `routes test` print, as facts. Only reads."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from alerts.routing import About, Route
from checks.result import Severity
from monitor import news
from monitor.config import Config
from monitor.rounds.reminders import belongs
from monitor.store.decisions import incident_of
from monitor.store.store import Store
from monitor.store.tables import deliveries, events, incidents, results, silences, tellings


class Unknown(Exception):
    """There is no such incident or result; the text says what to write."""


def explain(config: Config, store: Store, what: str, now: datetime) -> dict[str, Any]:
    """Of `INC-12` or the number of a result: what it is, each change with what became of it where and why, each delivery.

    Raises Unknown.
    """
    # No store counts further.
    found = re.fullmatch(r"(?:(?:INC-|inc-)(\d{1,18})|(\d{1,18}))", what.strip())
    if not found:
        raise Unknown(f"{what!r} is neither an incident (INC-12) nor the number of a result (see results --json)")
    with store.reading() as connection:
        if found[1]:
            return _incident(connection, config, int(found[1]), now)
        return _result(connection, config, int(found[2]), now)


def _result(connection: Connection, config: Config, number: int, now: datetime) -> dict[str, Any]:
    row = connection.execute(select(results).where(results.c.id == number)).mappings().first()
    if row is None:
        raise Unknown(f"there is no result {number}")
    kept = ("id", "dataset", "check", "status", "severity", "value", "at_least", "at_most", "score", "message")
    judged = json.loads(row["details"]) if row["details"] else None
    facts: dict[str, Any] = {
        "judged": judged,
        "result": {name: row[name] for name in kept} | {"start": row["window_start"], "end": row["window_end"]},
    }
    if row["status"] in {"passed", "skipped"}:
        return {**facts, "why": f"it {row['status']}: there is nothing to tell of it"}
    held = incidents.c
    query = select(held.id).where(held.subject == row["dataset"], held.family == row["family"], held.opened_at <= row["at"])
    open_then = held.resolved_at.is_(None) | (held.resolved_at >= row["at"])
    incident = connection.execute(query.where(open_then).order_by(held.id.desc()).limit(1)).scalar()
    if incident is None:
        return {**facts, "why": "it belongs to no incident: not bad often enough yet, or found too late to be told"}
    return {**facts, "why": f"it belongs to INC-{incident}", **_incident(connection, config, incident, now)}


def _incident(connection: Connection, config: Config, number: int, now: datetime) -> dict[str, Any]:
    row = connection.execute(select(incidents).where(incidents.c.id == number)).mappings().first()
    if row is None:
        raise Unknown(f"there is no incident INC-{number}")
    incident = incident_of(row)
    dataset = config.datasets.get(incident.subject)
    route, _ = belongs(config, incident)
    asked = news.about(dataset, incident) if dataset else About(incident.severity, None)
    return {
        "incident": incident.name,
        "dataset": incident.subject,
        "family": str(incident.family),
        "severity": str(incident.severity),
        "since": incident.since,
        "opened": incident.opened_at,
        "resolved": incident.resolved_at,
        "acknowledged": {"by": row["acked_by"], "at": row["acked_at"]} if row["acked_at"] else None,
        "route": route.words if route else None,
        "routes": matching(config.routes, asked),
        "changes": [
            _change(t) for t in connection.execute(select(tellings).where(tellings.c.incident == number).order_by(tellings.c.id))
        ],
        "story": [
            {"at": e.at, "happened": e.happened, "text": e.text}
            for e in connection.execute(select(events).where(events.c.incident == number).order_by(events.c.id))
        ],
        "deliveries": _deliveries(connection, number),
        "silences": _silences(connection, incident.subject, number, now),
    }


def _change(row: Any) -> dict[str, Any]:
    kept = ("at", "happened", "channel", "outcome", "reason", "route", "digest")
    return {name: getattr(row, name) for name in kept} | {"storm": f"INC-{row.storm}" if row.storm else None}


def _deliveries(connection: Connection, number: int) -> list[dict[str, Any]]:
    row = deliveries.c
    digests = select(tellings.c.digest).where(tellings.c.incident == number, tellings.c.digest.is_not(None))
    found = connection.execute(select(deliveries).where((row.incident == number) | row.key.in_(digests)).order_by(row.id))
    kept = ("key", "channel", "form", "state", "attempts", "created_at", "not_before", "sent_at", "first_error", "last_error")
    return [{name: getattr(d, name) for name in kept} for d in found]


def _silences(connection: Connection, subject: str, number: int, now: datetime) -> list[dict[str, Any]]:
    """Those that hold now and may concern it."""
    row = silences.c
    query = select(silences).where(row.starts_at <= now, row.ends_at > now)
    query = query.where(row.subject.is_(None) | (row.subject == subject), row.incident.is_(None) | (row.incident == number))
    return [dict(r._mapping) for r in connection.execute(query)]


def matching(routes: tuple[Route, ...], asked: About) -> list[dict[str, Any]]:
    """Each route up to the one that takes it, with why those before do not."""
    out: list[dict[str, Any]] = []
    for number, route in enumerate(routes, start=1):
        why = route.refuses(asked)
        out.append({"route": number, "rule": route.words, "takes": why is None, "why": why or "all its conditions hold"})
        if why is None:
            break
    return out


def who_is_told(config: Config, given: Mapping[str, str], at: datetime) -> dict[str, Any]:
    """Who would be told of an incident with these properties. Raises ValueError for a key or value that is none."""
    allowed = ("severity", "dataset", "owner", "tag", "at")
    wrong = next((key for key in given if key not in allowed), None)
    if wrong:
        raise ValueError(f"{wrong!r} is nothing that a route can ask for; there are: {', '.join(allowed)}")
    word = given.get("severity", "critical")
    if word not in set(Severity):
        raise ValueError(f"severity {word!r} is none; write critical or warning")
    dataset = config.datasets.get(given.get("dataset", ""))
    owner = given.get("owner") or (dataset.owner if dataset else None)
    tags = tuple(given["tag"].split(",")) if "tag" in given else (dataset.tags if dataset else ())
    asked = About(Severity(word), given.get("dataset"), owner, tags)
    tried = matching(config.routes, asked)
    route = config.routes[tried[-1]["route"] - 1] if tried and tried[-1]["takes"] else None
    wait = route.not_before(at, asked.severity) if route else None
    planned = [plan.reason for plan in config.maintenance if asked.dataset and plan.covers(asked.dataset, at)]
    return {
        "asked": {"severity": word, "dataset": asked.dataset, "owner": owner, "tags": list(tags), "at": at},
        "known_dataset": dataset is not None,
        "to": list(route.to) if route else [],
        "routes": tried,
        "waits_until": wait,
        "escalates_to": list(route.escalate.to) if route and route.escalate and asked.severity is Severity.CRITICAL else [],
        "maintenance": planned,
    }
