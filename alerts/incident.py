"""An incident: the problems of one subject and family that belong together; what people see. Pure.

At most one is open per subject and family; problems that begin while it is open join it; it is resolved when its last one is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from alerts.problem import Move, Problem, Sighting, State, advance, closed
from checks.result import Family, Severity, Status


class Happened(StrEnum):
    """Why an incident changed; the reason travels into events, keys and messages."""

    OPENED = "opened"
    JOINED = "joined"
    WORSE = "worse"
    LEFT = "left"
    RESOLVED = "resolved"


@dataclass(frozen=True)
class Incident:
    """`since` is the start of the first bad window; `revision` rises with each change that is worth an edit."""

    id: int
    subject: str
    family: Family
    severity: Severity
    since: datetime
    opened_at: datetime
    resolved_at: datetime | None = None
    revision: int = 1
    acked_by: str | None = None
    acked_at: datetime | None = None

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
    """Those that began, or got worse, with this change."""


@dataclass(frozen=True)
class News:
    """What one window's results came to: the problems to store and the changes to tell, in order."""

    problems: tuple[Problem, ...] = ()
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Standing:
    """What stood before: every remembered problem of the subjects concerned, their open incidents, and the next free number."""

    problems: Sequence[Problem] = ()
    incidents: Sequence[Incident] = ()
    next_id: int = 1


def news(standing: Standing, sightings: Iterable[Sighting], now: datetime, asked: dict[str, set[str]] | None = None) -> News:
    """Problems and incidents after the sightings of one window; of two of the same problem the worse counts.

    `asked` names the checks that were judged per subject: a lasting problem of a check that is asked no longer is closed
    with that reason (a removed check must not stay open for ever). None: nothing is known about that.
    """
    known = {p.fingerprint: p for p in standing.problems}
    moves: list[Moved] = []
    seen: set[str] = set()
    for sighting in sorted(_with_implied(list(sightings), standing.problems), key=_badness, reverse=True):
        if sighting.fingerprint in seen or sighting.result.status not in {Status.PASSED, Status.FAILED}:
            continue
        seen.add(sighting.fingerprint)
        before = known.get(sighting.fingerprint)
        after, move = advance(before, sighting)
        if after is not None and after != before:
            moves.append(Moved(before, after, move))
    for problem in known.values():
        checks = (asked or {}).get(problem.subject)
        if problem.state is not State.OK and checks is not None and problem.check not in checks:
            # What it was must not count against it if the check comes back.
            after = replace(closed(problem), outcomes="")
            moves.append(Moved(problem, after, Move.RESOLVED if problem.lasting else None, "no longer checked"))
    stored = {m.after.fingerprint: m.after for m in moves}
    changes: list[Change] = []
    next_id = standing.next_id
    for group in dict.fromkeys((m.after.subject, m.after.family) for m in moves):
        here = [m for m in moves if (m.after.subject, m.after.family) == group]
        incident = next((i for i in standing.incidents if (i.subject, i.family) == group and i.resolved_at is None), None)
        begun = [m.after for m in here if m.move is Move.OPENED]
        if incident is None and begun:
            incident = Incident(next_id, *group, _worst(begun), min(p.since or now for p in begun), now, revision=0)
            next_id += 1
            happened: Happened | None = Happened.OPENED
        elif incident is not None:
            happened = _happened(incident, here, known)
        else:
            continue
        stored.update((p.fingerprint, replace(p, incident=incident.id)) for p in begun)
        if happened is not None:
            members = _members({**known, **stored}, incident.id)
            change = _changed(incident, happened, members, [m for m in here if m.move is Move.RESOLVED], now)
            fresh = [m.after for m in here if m.move in {Move.OPENED, Move.WORSE}]
            changes.append(replace(change, fresh=tuple(sorted(fresh, key=_weight, reverse=True))))
    return News(tuple(stored.values()), tuple(changes))


def _badness(sighting: Sighting) -> int:
    severity = sighting.result.severity or Severity.WARNING
    return severity.rank if sighting.result.status is Status.FAILED else 0


def _with_implied(sightings: list[Sighting], problems: Sequence[Problem]) -> list[Sighting]:
    """A check that names columns only when they fail (a changed layout) says "all well" for the table: that counts for each."""
    seen = {s.fingerprint for s in sightings}
    well = {
        (s.subject, s.result.check, s.result.segment): s
        for s in sightings
        if s.result.column is None and s.result.status is Status.PASSED
    }
    implied = [
        replace(said, result=replace(said.result, column=p.column))
        for p in problems
        if p.fingerprint not in seen and p.column and (said := well.get((p.subject, p.check, p.segment)))
    ]
    return sightings + implied


@dataclass(frozen=True)
class Moved:
    """A problem before and after a sighting, and what there is to tell of it."""

    before: Problem | None
    after: Problem
    move: Move | None
    reason: str = ""


def _happened(incident: Incident, here: Sequence[Moved], known: dict[str, Problem]) -> Happened | None:
    """The strongest thing that these moves did to an open incident; None: nothing to tell."""
    begun = [m.after for m in here if m.move is Move.OPENED]
    ended = {m.after.fingerprint for m in here if m.move is Move.RESOLVED}
    lasting = [p for p in known.values() if p.incident == incident.id and p.lasting and p.fingerprint not in ended]
    worse = [m.after for m in here if m.move is Move.WORSE] + begun
    if ended and not lasting and not begun:
        return Happened.RESOLVED
    if worse and _worst(worse).rank > incident.severity.rank:
        return Happened.WORSE
    if begun:
        return Happened.JOINED
    return Happened.LEFT if ended else None


def _changed(incident: Incident, happened: Happened, members: Sequence[Problem], ended: Sequence[Moved], now: datetime) -> Change:
    gone = tuple(m.before for m in ended if m.before is not None)
    worst = _worst([*members, *gone])
    after = replace(
        incident,
        revision=incident.revision + 1,
        resolved_at=now if happened is Happened.RESOLVED else None,
        severity=worst if worst.rank > incident.severity.rank else incident.severity,
        since=min([incident.since, *(p.since for p in members if p.since)]),
    )
    reason = "; ".join(dict.fromkeys(m.reason for m in ended if m.reason))
    return Change(after, happened, tuple(sorted(members, key=_weight, reverse=True)), gone, reason)


def _members(problems: dict[str, Problem], incident: int) -> list[Problem]:
    return [p for p in problems.values() if p.incident == incident and p.lasting]


def _worst(problems: Sequence[Problem]) -> Severity:
    return max((p.severity or Severity.WARNING for p in problems), key=lambda s: s.rank)


def _weight(problem: Problem) -> float:
    return (problem.severity.rank if problem.severity else 0) * 1e7 + (problem.score or 0.0)
