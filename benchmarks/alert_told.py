"""What a simulated year came to: messages per channel and week, pages at night, what was told twice, what to nobody."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import chain
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from alerts.message import Outgoing
from alerts.outcome import Outcome
from benchmarks.alert_faults import Plan
from benchmarks.tables import count, table
from checks.result import Severity
from monitor.rounds.reminders import REMIND
from monitor.store import telling
from monitor.store.store import Store
from monitor.store.tables import incidents, tellings, windows

NIGHT = (22, 8)
REASONS = ("begins", "worse, or again", "reminders", "second target")
NAMED = re.compile(r"\(INC-(\d+)\)")


@dataclass(frozen=True)
class Sent:
    """A message as a channel got it."""

    at: datetime
    channel: str
    outgoing: Outgoing

    @property
    def shown(self) -> bool:
        """Somebody sees it come: no edit, no line that only stands in a thread."""
        return self.outgoing.form in {"root", "message"} or (self.outgoing.form == "line" and self.outgoing.broadcast)

    @property
    def page(self) -> bool:
        """It wakes somebody: a critical incident that begins, gets worse, or is mentioned again."""
        message = self.outgoing.message
        return self.shown and message.severity is Severity.CRITICAL and message.state == "open"


@dataclass
class Year:
    """A finished run."""

    plan: Plan
    sent: list[Sent]
    store: Store

    @cached_property
    def opened(self) -> dict[int, Any]:
        """All incidents but storms' own, by number."""
        own = incidents.c.subject.not_like(f"{telling.STORM}%")
        with self.store.reading() as connection:
            return {row.id: row for row in connection.execute(select(incidents).where(own))}

    @cached_property
    def told(self) -> set[int]:
        """Incidents of which a message, a line of a digest or a storm's count told."""
        return set(self._named(ends=False)) | self._stormed(self.sent)

    @cached_property
    def ended(self) -> set[int]:
        """Incidents of whose end somebody heard."""
        over = [s for s in self.sent if s.outgoing.message.state == "resolved"]
        return set(self._named(ends=True)) | self._stormed(over)

    def _named(self, ends: bool) -> Iterator[int]:
        for message in (sent.outgoing.message for sent in self.sent):
            if message.incident and (message.state == "resolved" or not ends):
                yield int(message.incident.removeprefix("INC-"))
            found = (NAMED.findall(f.text) for f in message.findings if f.resolved or not ends)
            yield from map(int, chain.from_iterable(found))

    def _stormed(self, sent: list[Sent]) -> set[int]:
        """Those that a storm counted whose message is among these; it lists the worst ten only."""
        said = {s.outgoing.message.incident for s in sent}
        with self.store.reading() as connection:
            counted = connection.execute(select(tellings.c.incident, tellings.c.storm).where(tellings.c.storm.is_not(None)))
            return {incident for incident, storm in counted if f"INC-{storm}" in said}

    @cached_property
    def explained(self) -> set[int]:
        """Incidents that nobody was told of because another one, that was told, explains them."""
        untold = self.opened.keys() - self.told
        query = select(tellings.c.incident, tellings.c.outcome).where(tellings.c.incident.in_(untold))
        outcomes: dict[int, set[str]] = {}
        with self.store.reading() as connection:
            for incident, outcome in connection.execute(query):
                outcomes.setdefault(incident, set()).add(outcome)
        quiet = {str(Outcome.INHIBITED), str(Outcome.NOTHING)}
        return {n for n, found in outcomes.items() if str(Outcome.INHIBITED) in found <= quiet}

    @property
    def lost(self) -> set[int]:
        return self.opened.keys() - self.told - self.explained

    @property
    def endless(self) -> set[int]:
        """Told, over, and nobody heard of the end."""
        return {n for n in self.told & self.opened.keys() if self.opened[n].resolved_at is not None} - self.ended

    @property
    def twice(self) -> dict[str, int]:
        """Key -> how often it came, of those that came more than once."""
        times = Counter(f"{s.channel} {s.outgoing.key}" for s in self.sent)
        return {key: n for key, n in times.items() if n > 1}

    @property
    def measured(self) -> int:
        with self.store.reading() as connection:
            return connection.execute(select(func.count()).select_from(windows)).scalar_one()

    def night(self, sent: list[Sent]) -> list[Sent]:
        """Those at night, in the datasets' own zone."""
        zone = ZoneInfo(self.plan.datasets[0].timezone)
        hours = [(s, s.at.astimezone(zone).hour) for s in sent]
        return [s for s, hour in hours if hour >= NIGHT[0] or hour < NIGHT[1]]

    def pages(self) -> list[Sent]:
        return self.night([s for s in self.sent if s.page])

    def reasons(self) -> dict[str, int]:
        """The pages at night by what they say; a storm's are those of one message for many incidents."""
        found = Counter(self._reason(sent) for sent in self.pages())
        return {why: found[why] for why in REASONS}

    def _reason(self, sent: Sent) -> str:
        if REMIND in sent.outgoing.key:
            return "reminders"
        if sent.channel == "pager":
            return "second target"
        return "begins" if ":open:" in sent.outgoing.key else "worse, or again"


def report(year: Year) -> str:
    """Both tables."""
    opened = year.opened
    told = len(year.told & opened.keys())
    over = [n for n in opened if opened[n].resolved_at is not None]
    zone = ZoneInfo(year.plan.datasets[0].timezone)
    # A night is named by the day it begins on.
    nights = Counter((s.at.astimezone(zone) - timedelta(hours=NIGHT[1])).date() for s in year.pages())
    rows = [
        ("days, datasets", f"{year.plan.days}, {len(year.plan.datasets)}"),
        ("windows", count(year.measured)),
        ("planted faults", count(sum(map(len, year.plan.faults.values())))),
        ("incidents opened", count(len(opened))),
        ("told by a message, a digest or a storm", count(told)),
        ("not told: another incident explains it", count(len(year.explained))),
        ("**lost**", count(len(year.lost))),
        ("resolved", count(len(over))),
        ("told, and its end was not", count(len(year.endless))),
        ("**told twice**", count(len(year.twice))),
        ("pages at night (22-08)", count(sum(nights.values()))),
        *((f"- {why}", count(n)) for why, n in year.reasons().items()),
        ("nights with a page", count(len(nights))),
        ("most pages in a night", count(max(nights.values(), default=0))),
    ]
    return f"{table(['in all', ''], rows)}\n\n{table(HEAD, weekly(year))}"


HEAD = ["channel", "a week: median", "95 %", "worst", "in threads only: median", "edits: median", "in all, shown"]


def weekly(year: Year) -> list[list[str]]:
    """Of each channel: messages per week that are shown, then what only stands in threads."""
    rows = []
    for channel in sorted({s.channel for s in year.sent}):
        mine = [s for s in year.sent if s.channel == channel]
        shown = _weeks(year, [s for s in mine if s.shown])
        lines = _weeks(year, [s for s in mine if not s.shown and s.outgoing.form == "line"])
        edits = _weeks(year, [s for s in mine if s.outgoing.form == "edit"])
        high = shown[min(int(0.95 * len(shown)), len(shown) - 1)]
        middles = [f"{median(each):g}" for each in (lines, edits)]
        rows.append([channel, f"{median(shown):g}", str(high), str(shown[-1]), *middles, count(sum(s.shown for s in mine))])
    return rows


def _weeks(year: Year, sent: list[Sent]) -> list[int]:
    """How many came in each week, fewest first; also the weeks without any."""
    found = Counter((s.at - year.plan.begin).days // 7 for s in sent)
    return sorted(found.get(n, 0) for n in range(max(year.plan.days // 7, 1)))
