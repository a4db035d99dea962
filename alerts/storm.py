"""A storm: many incidents at once are one message with counts and the worst ten, edited while it goes on. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from alerts.message import Fact, Finding, Message
from checks.result import Severity
from checks.wording import duration

WORST = 10
MOST_SUBJECTS = 8


@dataclass(frozen=True)
class Member:
    incident: int
    subject: str
    text: str
    severity: Severity
    over: bool = False


def worst(members: Sequence[Member]) -> Severity:
    return max((m.severity for m in members), key=lambda s: s.rank, default=Severity.WARNING)


def message(name: str, members: Sequence[Member], began: datetime, now: datetime, ended: bool, why: str) -> Message:
    """The storm as it stands. Members that are over come last and are counted apart.

    Its end says also what it was and from when to when: a channel that was paused may hear of nothing else.
    """
    left = [m for m in members if not m.over]
    critical = sum(m.severity is Severity.CRITICAL for m in members)
    subjects = Counter(m.subject for m in members)
    said = f"{len(members)} incidents in {len(subjects)} dataset{'s' * (len(subjects) != 1)}, {critical} critical"
    ranked = sorted(left or members, key=lambda m: (-m.severity.rank, m.incident))
    lasted = duration((now - began).total_seconds())
    head = (
        f"STORM over after {lasted} ({began:%Y-%m-%d %H:%M} to {now:%Y-%m-%d %H:%M} UTC): {said}, {len(left)} still open"
        if ended
        else f"STORM: {said}, since {began:%Y-%m-%d %H:%M} UTC"
    )
    return Message(
        state="resolved" if ended else "open",
        title=f"Storm · {said}",
        text=f"{head}; worst: {ranked[0].text}" if ranked else head,
        at=now,
        severity=worst(members),
        findings=tuple(Finding(f"{m.text} (INC-{m.incident})", None, m.severity, m.over) for m in ranked[:WORST]),
        facts=(
            Fact("Since", began),
            Fact("Still open", str(len(left))),
            Fact("Not listed", str(max(len(members) - WORST, 0))),
            Fact("Datasets", _names(subjects)),
        ),
        todo=() if ended else ("look for one cause: a source, a load, a deployment", "datavigil incidents"),
        why=why,
        incident=name,
        note=f"the storm is over: {said}, {len(left)} still open" if ended else said,
    )


def _names(subjects: Counter[str]) -> str:
    named = [f"{name} {n}" if n > 1 else name for name, n in subjects.most_common(MOST_SUBJECTS)]
    more = len(subjects) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")
