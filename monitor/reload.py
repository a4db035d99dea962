"""A changed config, read again while the daemon runs; a broken one leaves the old in force and is an incident of its own."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, insert, select, update

from alerts.message import Fact, Finding, Message
from alerts.routing import About, first
from alerts.telling import EXPIRES, Delivery, Form, key_of
from checks.result import Family, Severity
from monitor.config import Config, ConfigError, load
from monitor.removed import close_removed
from monitor.store.decisions import numbered, write_delivery
from monitor.store.store import Store
from monitor.store.tables import events, incidents

CONFIG = "config:"
"""How the subject of the incident begins; the file's name follows."""
AT_START = ("store", "daemon", "reports")
"""Sections that take effect at the next start only."""


def reread(old: Config, store: Store, now: datetime) -> tuple[Config, list[str]]:
    """The config to go on with, and what to say in the log. Never raises for what stands in the file."""
    try:
        new = load(old.path)
    except ConfigError as wrong:
        faults = placed(wrong)
        store.attempt(lambda connection: _broken(connection, old, faults, now))
        return old, [f"the config is not taken, the old one stays in force: {fault}" for fault in faults]
    store.attempt(lambda connection: _mended(connection, new, now))
    close_removed(store, new, now)
    later = [name for name in AT_START if getattr(new, name) != getattr(old, name)]
    said = [f"[{name}] has changed: that takes effect at the next start" for name in later]
    kept = {name: getattr(old, name) for name in AT_START}
    return replace(new, **kept), ["the config was read again and is in force", *said, *new.notes]


def placed(wrong: ConfigError) -> list[str]:
    """Each fault with its file, and its line where it can be told."""
    try:
        lines = wrong.path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    return [f"{wrong.path.name}{f', line {n}' if (n := line_of(fault, lines)) else ''}: {fault}" for fault in wrong.faults]


def line_of(fault: str, lines: list[str]) -> int | None:
    """The line (from 1) of the key a fault names, else of its section's heading; None where there is neither."""
    if found := re.search(r"\(at line (\d+),", fault):
        return int(found[1])
    place, _, said = fault.partition(": ")
    heading = _heading(place, lines)
    if heading is None:
        return None
    key = re.match(r'(?:unknown key "?)?(\w+)', said)
    value = re.search(r'"([^"]+)"', said)
    for number, line in enumerate(lines[heading:], start=heading + 1):
        if line.lstrip().startswith("["):
            break
        if key and re.match(rf"\s*{re.escape(key[1])}\s*=", line):
            return number
        if value and f'"{value[1]}"' in line:
            return number
    return heading


def _heading(place: str, lines: list[str]) -> int | None:
    """The line of `[datasets.orders]` for `dataset "orders", check 2`, of the second `[[routes]]` for `route 2`."""
    if found := re.match(r'(source|dataset|channel) "(.+?)"', place):
        wanted, count = rf'\[{found[1]}s\."?{re.escape(found[2])}"?\]', 1
    elif found := re.match(r"(route|maintenance) (\d+)", place):
        wanted, count = rf"\[\[{found[1]}s?\]\]", int(found[2])
    else:
        wanted, count = re.escape(place), 1
    there = [number for number, line in enumerate(lines, start=1) if re.match(rf"\s*{wanted}", line)]
    return there[count - 1] if len(there) >= count else None


def _broken(connection: Connection, old: Config, faults: list[str], now: datetime) -> None:
    """One incident as long as the config is broken, however often it is read; told again only when what is wrong changes."""
    number = numbered(connection)
    text = "; ".join(faults)
    row = connection.execute(_open(old.path)).first()
    if row is None:
        values = {"family": str(Family.SOURCE), "severity": str(Severity.WARNING), "title": "config", "revision": 1}
        connection.execute(insert(incidents).values(id=number, subject=CONFIG + old.path.name, since=now, opened_at=now, **values))
        _tell(connection, old, number, now, 1, "opened", faults, now)
        return
    last = select(events.c.text).where(events.c.incident == row.id).order_by(events.c.id.desc()).limit(1)
    if connection.execute(last).scalar() != text:
        connection.execute(update(incidents).where(incidents.c.id == row.id).values(revision=row.revision + 1))
        _tell(connection, old, row.id, row.opened_at, row.revision + 1, "joined", faults, now)


def _mended(connection: Connection, new: Config, now: datetime) -> None:
    row = connection.execute(_open(new.path)).first()
    if row is not None:
        connection.execute(update(incidents).where(incidents.c.id == row.id).values(resolved_at=now, revision=row.revision + 1))
        _tell(connection, new, row.id, row.opened_at, row.revision + 1, "resolved", [], now)


def _open(path: Path) -> Select[Any]:
    return select(incidents).where(incidents.c.subject == CONFIG + path.name, incidents.c.resolved_at.is_(None))


def _tell(
    connection: Connection,
    config: Config,
    number: int,
    opened: datetime,
    revision: int,
    what: str,
    faults: list[str],
    now: datetime,
) -> None:
    text = "; ".join(faults) or "read again and in order"
    connection.execute(insert(events).values(incident=number, revision=revision, at=now, happened=what, text=text))
    route = first(config.routes, About(Severity.WARNING, None))
    said = _message(config.path, number, opened, faults, now, route.words if route else "")
    for channel in (c for c in (route.to if route else ()) if c in config.channels):
        threads = config.channels[channel].threads
        forms: list[tuple[str, Form]] = [(f"line:{revision}", "line"), (f"rev:{revision}", "edit")] if threads else []
        if what == "opened" or not threads:
            forms = [("open:1" if what == "opened" else f"rev:{revision}", "root" if threads else "message")]
        for name, form in forms:
            key = key_of(number, opened, channel, name)
            write_delivery(connection, Delivery(key, number, channel, form, said, revision, False, None, now + EXPIRES), now)


def _message(path: Path, number: int, opened: datetime, faults: list[str], now: datetime, words: str) -> Message:
    over = not faults
    count = f"{len(faults)} mistake{'s' * (len(faults) != 1)}"
    return Message(
        state="resolved" if over else "open",
        title=f"{path.name} · the config is {'in order again' if over else 'broken'}",
        text=f"RESOLVED: {path.name} is in order and in force" if over else f"WARN {path.name} is not taken, {count}: {faults[0]}",
        at=now,
        severity=Severity.WARNING,
        findings=tuple(Finding(fault, severity=Severity.WARNING) for fault in faults),
        facts=(Fact("Since", opened), Fact("In force", "the new config" if over else "the config before it; nothing is lost")),
        todo=() if over else (f"datavigil check-config --config {path.name}", "mend it, then reload"),
        why=f"the daemon was asked to read its config again; route {words}",
        incident=f"INC-{number}",
        note="the config is in order again" if over else f"{count}: {faults[0]}",
    )
