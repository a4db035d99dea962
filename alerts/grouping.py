"""Problems that belong together make one incident: which one a beginning problem goes to, and what the moves did to it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from alerts.incident import Change, Happened, Incident, Standing
from alerts.problem import Move, Problem, Quiet, Sighting
from alerts.rules import Rules
from checks.result import Family, Severity, Status

EVALUATIONS = 2
"""What begins again within so many evaluations opens its last incident again, however long they take."""
BROKE_QUIET = {Happened.OPENED, Happened.REOPENED, Happened.JOINED, Happened.WORSE}


@dataclass(frozen=True)
class Moved:
    """A problem before and after a sighting, and what there is to tell of it. No sighting: it was closed, or only flagged."""

    before: Problem | None
    after: Problem
    move: Move | None
    reason: str = ""
    sighting: Sighting | None = None

    @property
    def bad(self) -> bool:
        """It was seen bad with this window."""
        return self.sighting is not None and self.sighting.result.status is Status.FAILED

    @property
    def released(self) -> bool:
        """What explained it is over, and it goes on."""
        before = self.before.inhibited_by if self.before else None
        return before is not None and self.after.inhibited_by is None and self.after.lasting


def home(
    standing: Standing, group: tuple[str, Family], here: Sequence[Moved], now: datetime, next_id: int, rules: Rules
) -> tuple[Incident | None, int]:
    """The incident that these moves belong to, and the next free number: the open one, the last one again, or a new one.

    One that is opened again still has its `resolved_at`; a new one has revision 0. None where there is none and nothing begins.
    """
    mine = [i for i in standing.incidents if (i.subject, i.family) == group]
    is_open = next((i for i in mine if i.resolved_at is None), None)
    begun = [m for m in here if m.move is Move.OPENED]
    if is_open is not None or not begun:
        return is_open, next_id
    again = next((i for i in sorted(mine, key=lambda i: -i.id) if any(_soon(m, i, rules) for m in begun)), None)
    if again is not None:
        return again, next_id
    since = min(m.after.since or now for m in begun)
    return Incident(next_id, *group, worst([m.after for m in begun]), since, now, revision=0), next_id + 1


def _soon(moved: Moved, incident: Incident, rules: Rules) -> bool:
    sighting, since = moved.sighting, moved.after.since
    if sighting is None or since is None or incident.resolved_end is None or moved.after.last_incident != incident.id:
        return False
    return since - incident.resolved_end < max(rules.reopen_within, EVALUATIONS * (sighting.end - sighting.start))


def changed(incident: Incident, here: Sequence[Moved], members: Sequence[Problem], now: datetime) -> Change | None:
    """The incident after these moves of its problems, and what happened to it; None: nothing to tell."""
    ended = [m for m in here if m.move is Move.RESOLVED]
    flagged = _flags(incident, members) if members else incident
    happened = _happened(incident, flagged, here, ended, members)
    if happened is None:
        return None
    worse = [m for m in here if m.move in {Move.OPENED, Move.WORSE} or m.released]
    held = _held(incident, here, happened)
    gone = tuple(m.before for m in ended if m.before is not None)
    fresh = [m.after for m in worse] or [m.after for m in here if m.bad and happened is Happened.RELEASED]
    after = replace(
        flagged,
        revision=incident.revision + 1,
        severity=_severity(incident, happened, [*members, *gone]),
        since=min([incident.since, *(p.since for p in members if p.since)]),
        held=held,
    )
    if happened is Happened.RESOLVED:
        end = max((m.after.last_end for m in ended if m.after.last_end), default=now)
        after = replace(after, resolved_at=now, resolved_end=end, flapping_since=None)
    elif happened is Happened.REOPENED:
        after = replace(after, resolved_at=None, resolved_end=None, reopened=incident.reopened + 1, acked_by=None, acked_at=None)
    flaps = None if (incident.flapping_since is None) == (after.flapping_since is None) else after.flapping_since is not None
    reason = "; ".join(dict.fromkeys(m.reason for m in ended if m.reason))
    quiet = Quiet.INHIBITED if _explained(after, worse, happened) else held or _common([m for m in here if m.move])
    return Change(after, happened, _ordered(members), gone, reason, _ordered(fresh), quiet, flaps)


def _happened(
    before: Incident, after: Incident, here: Sequence[Moved], ended: Sequence[Moved], members: Sequence[Problem]
) -> Happened | None:
    """The strongest thing that these moves did to an incident; None: nothing to tell."""
    begun = [m.after for m in here if m.move is Move.OPENED]
    worse = begun + [m.after for m in here if m.move is Move.WORSE]
    if begun and (before.revision == 0 or before.resolved_at is not None):
        return Happened.REOPENED if before.resolved_at is not None else Happened.OPENED
    if ended and not members:
        return Happened.RESOLVED
    if worse and worst(worse).rank > before.severity.rank:
        return Happened.WORSE
    timely = before.held is not None and any(m.bad and m.sighting and m.sighting.held is None for m in here)
    if after.inhibited_by is None and (timely or any(m.released for m in here)):
        return Happened.RELEASED
    if after.flapping_since is not None and before.flapping_since is None:
        return Happened.FLAPPING
    if begun:
        return Happened.JOINED
    if before.flapping_since is not None and after.flapping_since is None:
        return Happened.STEADY
    if ended:
        return Happened.LEFT
    return Happened.INHIBITED if after.inhibited_by is not None and before.inhibited_by is None else None


def _flags(incident: Incident, members: Sequence[Problem]) -> Incident:
    """The incident is explained where all its problems are, and flaps where one does."""
    causes = [p.inhibited_by for p in members]
    flapping = [p.flapping_since for p in members if p.flapping_since is not None]
    explained = min((c for c in causes if c is not None), default=None) if None not in causes else None
    return replace(incident, inhibited_by=explained, flapping_since=min(flapping, default=None))


def _common(moves: Sequence[Moved]) -> Quiet | None:
    """Why none of these moves is to be told by itself; None where one of them is."""
    held = [m.sighting.held if m.sighting else None for m in moves]
    return held[0] if held and None not in held else None


def _held(incident: Incident, here: Sequence[Moved], happened: Happened) -> Quiet | None:
    """Whether something of it is untold yet: then it is told with the next timely window that is still bad."""
    if happened is Happened.RELEASED:
        return None
    fresh = [m for m in here if m.move in {Move.OPENED, Move.WORSE}]
    if happened in BROKE_QUIET:
        return _common(fresh)
    return incident.held


def _explained(after: Incident, worse: Sequence[Moved], happened: Happened) -> bool:
    if after.inhibited_by is not None:
        return True
    return happened is Happened.JOINED and all(m.after.inhibited_by is not None for m in worse)


def _severity(incident: Incident, happened: Happened, problems: Sequence[Problem]) -> Severity:
    if not problems:
        return incident.severity
    found = worst(problems)
    # An incident keeps the worst it has seen; one that begins again begins with what is bad now.
    return found if happened is Happened.REOPENED or found.rank > incident.severity.rank else incident.severity


def worst(problems: Sequence[Problem]) -> Severity:
    return max((p.severity or Severity.WARNING for p in problems), key=lambda s: s.rank)


def _ordered(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=_weight, reverse=True))


def _weight(problem: Problem) -> float:
    return (problem.severity.rank if problem.severity else 0) * 1e7 + (problem.score or 0.0)
