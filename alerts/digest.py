"""The digest: what waited, what healed by itself, what still stands, as one message per channel. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.message import Fact, Finding, Message
from checks.result import Severity

RECENT = timedelta(days=6)


@dataclass(frozen=True)
class Line:
    """One change that waited: `text` is its sentence, `happened` what it was (`opened`, `resolved`, ...), `why` it waited.

    `fired` is when its incident began, `at` when the change was.
    """

    incident: int
    happened: str
    fired: datetime
    at: datetime
    text: str
    severity: Severity
    why: str = ""


@dataclass(frozen=True)
class Standing:
    """An incident that is still open: its sentence, since when, and who has it (None: nobody yet)."""

    incident: int
    text: str
    severity: Severity
    since: datetime
    acked_by: str | None = None


def digest(channel: str, lines: Sequence[Line], still: Sequence[Standing], zone: str, now: datetime) -> Message | None:
    """The message; None where there is nothing to say. Changes of one incident are one line; nothing is said twice."""
    stories = [_story([each for each in lines if each.incident == i], zone, now) for i in dict.fromkeys(x.incident for x in lines)]
    told = {line.incident for line in lines}
    open_ = [_open(each, zone, now) for each in still if each.incident not in told]
    findings = sorted([*stories, *open_], key=lambda f: (f.resolved, -(f.severity.rank if f.severity else 0)))
    if not findings:
        return None
    healed = sum(f.resolved for f in findings)
    fresh = len(stories) - healed
    counts = [f"{fresh} new" * bool(fresh), f"{healed} over" * bool(healed), f"{len(open_)} still open" * bool(open_)]
    said = ", ".join(filter(None, counts))
    return Message(
        state="info",
        title=f"Digest · {said}",
        text=f"Digest of {now.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M} ({zone}): {said}",
        at=now,
        findings=tuple(findings),
        facts=(Fact("Times", f"in {zone}"),),
        todo=("datavigil incidents",) if fresh or open_ else (),
        why=f"digest of {channel}: warnings of quiet hours, what healed before it was told, what is still open",
    )


def _story(changes: Sequence[Line], zone: str, now: datetime) -> Finding:
    """`orders: missing(amount) is 38 % ... · fired 02:10, healed 02:25`."""
    first, last = changes[0], changes[-1]
    healed = last.happened == "resolved"
    severity = max((c.severity for c in changes), key=lambda s: s.rank)
    parts = [f"fired {moment(first.fired, zone, now)}", f"healed {moment(last.at, zone, now)}" * healed, last.why]
    text = next((c.text for c in reversed(changes) if c.happened != "resolved"), last.text)
    return Finding(f"{text} · {', '.join(filter(None, parts))} (INC-{first.incident})", None, severity, healed)


def _open(each: Standing, zone: str, now: datetime) -> Finding:
    whose = f", {each.acked_by} has it" if each.acked_by else ", not acknowledged" * (each.severity is Severity.CRITICAL)
    return Finding(f"{each.text} · open since {moment(each.since, zone, now)}{whose} (INC-{each.incident})", None, each.severity)


def moment(at: datetime, zone: str, now: datetime) -> str:
    """In the zone, as short as is clear: `02:10`, `Sat 02:10`, `2026-11-02 02:10`."""
    here, today = at.astimezone(ZoneInfo(zone)), now.astimezone(ZoneInfo(zone))
    if here.date() == today.date():
        return f"{here:%H:%M}"
    return f"{here:%a %H:%M}" if timedelta(0) <= now - at < RECENT else f"{here:%Y-%m-%d %H:%M}"
