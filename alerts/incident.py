"""An incident: the problems of one subject and family that belong together; what people see.

At most one is open per subject and family; problems that begin while it is open join it; it is resolved when its last one is.
What a window's results make of it is decided in `alerts/deciding.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from alerts.problem import Problem, Quiet
from checks.result import Family, Severity


class Happened(StrEnum):
    """Why an incident changed; the reason travels into events, keys and messages.

    `released`: what nobody was told of before (it was caused by another incident, came late, or while nobody was watching) goes
    on, and may be told now. `flapping` and `steady`: it goes to and fro too often for single turns to be news; no longer.
    """

    OPENED = "opened"
    REOPENED = "reopened"
    JOINED = "joined"
    WORSE = "worse"
    RELEASED = "released"
    INHIBITED = "inhibited"
    FLAPPING = "flapping"
    STEADY = "steady"
    ACKED = "acked"
    LEFT = "left"
    RESOLVED = "resolved"


@dataclass(frozen=True)
class Incident:
    """`since` is the start of the first bad window; `revision` rises with each change that is worth an edit.

    `resolved_end` is the end of the window that resolved it, `reopened` how often it began again. Beside its state stand flags:
    `held`, why nobody was told of it yet; `inhibited_by`, the incident that causes it; `flapping_since`.
    """

    id: int
    subject: str
    family: Family
    severity: Severity
    since: datetime
    opened_at: datetime
    resolved_at: datetime | None = None
    revision: int = 1
    resolved_end: datetime | None = None
    reopened: int = 0
    acked_by: str | None = None
    acked_at: datetime | None = None
    held: Quiet | None = None
    inhibited_by: int | None = None
    flapping_since: datetime | None = None

    @property
    def name(self) -> str:
        return f"INC-{self.id}"


@dataclass(frozen=True)
class Change:
    """An incident after what happened to it: the problems it holds (worst first) and those that just left, as they were."""

    incident: Incident
    happened: Happened
    members: tuple[Problem, ...]
    gone: tuple[Problem, ...] = ()
    reason: str = ""
    fresh: tuple[Problem, ...] = ()
    """Those that began, got worse, or were released with this change."""
    quiet: Quiet | None = None
    """Why it is not told by itself; the end of what was told before is told all the same."""
    flapping: bool | None = None
    """True: with this change it began to flap; False: it stopped; None: neither."""


@dataclass(frozen=True)
class News:
    """What one window's results came to: the problems to store and the changes to tell, in order."""

    problems: tuple[Problem, ...] = ()
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Standing:
    """What stood before: every remembered problem of the subjects concerned, their open and their last incidents, the next number.

    `reopenings` are the times at which each of these incidents was opened again.
    """

    problems: Sequence[Problem] = ()
    incidents: Sequence[Incident] = ()
    next_id: int = 1
    reopenings: Mapping[int, Sequence[datetime]] = field(default_factory=dict)


def acked(incident: Incident, by: str, now: datetime, members: Sequence[Problem] = ()) -> Change | None:
    """Somebody has seen it: the first one counts. None where it was seen before, or is over."""
    if incident.acked_by is not None or incident.resolved_at is not None:
        return None
    after = replace(incident, acked_by=by, acked_at=now, revision=incident.revision + 1)
    return Change(after, Happened.ACKED, tuple(members), reason=f"acknowledged by {by}")
