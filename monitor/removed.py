"""Datasets, sources, channels and mail addresses that left the config: nothing will ever end their problems, so they end with that
reason."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from alerts.deciding import news
from alerts.incident import Change
from alerts.routing import About, first
from alerts.telling import Subject
from monitor import trouble
from monitor.config import Config
from monitor.news import telling
from monitor.store import addresses, decisions
from monitor.store import telling as tellings
from monitor.store.decisions import Decision
from monitor.store.store import Store
from monitor.store.tables import problems

NOT_WATCHED = "it is not in the config any more"


def close_removed(store: Store, config: Config, now: datetime) -> list[str]:
    """Close what is open of them and tell who was told; the subjects that were closed. Mail addresses that left begin anew if they
    come back."""
    for channel, recipient in addresses.strangers(store, {name: c.recipients for name, c in config.channels.items()}):
        trouble.ends(config, store, channel, now, recipient, "it is not written to any more")
        addresses.forget(store, channel, recipient)
    return store.attempt(lambda connection: _close(connection, config, now))


def _close(connection: Connection, config: Config, now: datetime) -> list[str]:
    watched = {*config.datasets, *(f"source:{name}" for name in config.sources), *(f"channel:{name}" for name in config.channels)}
    troubled = connection.execute(select(problems.c.subject).where(problems.c.state != "ok").distinct()).scalars()
    removed = sorted(set(troubled) - watched)
    if not removed:
        return []
    standing = decisions.stood(connection, removed)
    reasons = {problem.fingerprint: NOT_WATCHED for problem in standing.problems}
    found = news(standing, [], now, gone=reasons)
    stand = tellings.stand(connection, [incident.id for incident in standing.incidents], now)
    out = Decision(found)
    for change in found.changes:
        rows, told = telling(config, first(config.routes, _about(change)), change, stand, Subject(_name(change)), now)
        stand = stand.after(told, now)
        out = Decision(found, [*out.deliveries, *rows], [*out.tellings, *told])
    decisions.write(connection, out, now)
    return removed


def _about(change: Change) -> About:
    subject = change.incident.subject
    return About(change.incident.severity, None if subject.startswith("source:") else subject)


def _name(change: Change) -> str:
    return change.incident.subject.replace("source:", "source ", 1)
