"""How the monitor itself did in a week: what the weekly summary says of it. Its own troubles are no incidents of the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from alerts import weekly
from alerts.plain import clean
from alerts.weekly import Health, Numbers
from checks.wording import duration
from monitor import budgets
from monitor.config import Config
from monitor.reload import CONFIG
from monitor.store import weeks
from monitor.store.store import Store
from monitor.store.telling import STORM
from monitor.trouble import CHANNEL

if TYPE_CHECKING:
    from monitor.summary import Week

OWN = (STORM, CONFIG, CHANNEL)
"""How the subjects of incidents begin that are not about data."""
MOST = 10


def health(config: Config, store: Store, week: Week, this: Numbers, rows: Sequence[Any], now: datetime) -> Health:
    """Of the week; `rows` are the incidents that are the monitor's own."""
    sent = weeks.messages(store, week.start, week.end, now)
    reasons = [
        f"{r.dataset}: {clean(r.error or 'no reason given', 120)} ({r.n})"
        for r in weeks.unmeasured(store, week.start, week.end)[:3]
    ]
    blocked = weeks.broken_channels(store)
    broken = [
        f"{r.name} is out of order since {weekly.when(r.blocked_since, week.zone)}: {clean(r.reason or '', 150)}" for r in blocked
    ]
    return Health(
        missed=this.due - this.evaluated,
        reasons=tuple(reasons),
        unsent=sent.get("unsent", 0),
        unknown=sent.get("unknown", 0),
        given_up=sent.get("given up", 0),
        prevented=weeks.prevented(store, week.start, week.end),
        channels=tuple(broken),
        own=tuple(_own(store, week, rows, {r.name for r in blocked})),
        budgets=tuple(
            f"{name}: {budgets.words(spent)}"
            for name, dataset in config.datasets.items()
            if (spent := budgets.spent(store, dataset, min(now, week.end)))
        ),
    )


def _own(store: Store, week: Week, rows: Sequence[Any], blocked: set[str]) -> Iterator[str]:
    """A line for each trouble of the monitor's own, the open ones first."""
    # What is said of a channel that is out of order is not said twice.
    told = [r for r in rows if r.resolved_at is not None or r.subject.removeprefix(CHANNEL) not in blocked]
    said = weeks.said_of(store, [row.id for row in told])
    for row in sorted(told, key=lambda r: r.resolved_at is not None)[:MOST]:
        over = row.resolved_at is not None and row.resolved_at < week.end
        lasted = f"lasted {duration((row.resolved_at - row.opened_at).total_seconds())}" if over else "not over yet"
        yield f"{weekly.when(row.opened_at, week.zone)}, {lasted}: {_named(row.subject, said.get(row.id, []))}"
    if len(told) > MOST:
        yield f"and {len(told) - MOST} more troubles of its own"


def _named(subject: str, events: Sequence[Any]) -> str:
    """The trouble in words."""
    if subject.startswith(STORM):
        return f"so many incidents began at once that channel {subject.removeprefix(STORM)} was told of them in one message"
    text = clean(next((e.text for e in events if e.happened == "opened" and e.text), ""), 200)
    if subject.startswith(CONFIG):
        return f"{subject.removeprefix(CONFIG)} was changed and not taken: {text}"
    return text or f"channel {subject.removeprefix(CHANNEL)} took no messages"
