"""What one window's results make of problems and incidents: `news(standing, sightings, now) -> News`. Pure.

Each problem moves (alerts/problem.py), settles down or flaps (alerts/flapping.py); what is asked no longer ends with that reason;
per subject and family they make one incident, opened, opened again, joined, left, resolved (alerts/grouping.py); what other
trouble explains keeps quiet (alerts/inhibition.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from alerts import flapping, inhibition
from alerts.grouping import Moved, changed, home
from alerts.incident import Change, Incident, News, Standing
from alerts.problem import Move, Problem, Sighting, State, advance, closed
from alerts.rules import RULES, Rules
from checks.result import Family, Severity, Status

NOT_ASKED = "no longer checked"
LATE_ROWS = "passes with the rows that came late"


def news(
    standing: Standing,
    sightings: Iterable[Sighting],
    now: datetime,
    asked: Mapping[str, set[str]] | None = None,
    rules: Rules = RULES,
    gone: Mapping[str, str] | None = None,
) -> News:
    """Problems and incidents after the sightings of one window; of two of the same problem the worse counts.

    `asked` names the checks that were judged per subject: a lasting problem of a check that is asked no longer is closed
    with that reason (a removed check must not stay open for ever). None: nothing is known about that. `gone` are further
    fingerprints to close, each with its reason.
    """
    known = {p.fingerprint: p for p in standing.problems}
    moves = [*_steps(known, list(sightings), rules), *_closings(known, asked or {}, gone or {})]
    stored = {m.after.fingerprint: m.after for m in moves}
    changes: list[Change] = []
    next_id = standing.next_id
    for group in sorted(_groups(moves, known), key=_causes_first):
        here = [m for m in moves if (m.after.subject, m.after.family) == group]
        incident, next_id = home(standing, group, here, now, next_id, rules)
        if incident is None:
            continue
        if flapping.too_often(standing.reopenings.get(incident.id, ()), now, rules) and incident.resolved_at is not None:
            here = [_flapping(m, now) if m.move is Move.OPENED else m for m in here]
        here = [_joined(m, incident) for m in here]
        here = _flagged(here, incident, known, {**known, **stored})
        stored.update((m.after.fingerprint, m.after) for m in here if m.after != m.before)
        members = [p for p in {**known, **stored}.values() if p.incident == incident.id and p.lasting]
        change = changed(incident, here, members, now)
        if change is not None:
            changes.append(change)
    return News(tuple(stored.values()), tuple(changes))


def _steps(known: Mapping[str, Problem], sightings: list[Sighting], rules: Rules) -> list[Moved]:
    moves: list[Moved] = []
    seen: set[str] = set()
    for sighting in sorted(_with_implied(sightings, known.values()), key=_badness, reverse=True):
        if sighting.fingerprint in seen or sighting.result.status not in {Status.PASSED, Status.FAILED}:
            continue
        seen.add(sighting.fingerprint)
        before = known.get(sighting.fingerprint)
        after, move = advance(before, sighting, rules)
        if after is None or after == before:
            continue
        after, move = flapping.settled(before, after, move, sighting.end, rules)
        reason = LATE_ROWS if sighting.again and move is Move.RESOLVED else ""
        moves.append(Moved(before, after, move, reason, sighting))
    return moves


def _closings(known: Mapping[str, Problem], asked: Mapping[str, set[str]], gone: Mapping[str, str]) -> Iterable[Moved]:
    for problem in known.values():
        checks = asked.get(problem.subject)
        removed = NOT_ASKED if checks is not None and problem.check not in checks else None
        reason = gone.get(problem.fingerprint, removed)
        if problem.state is not State.OK and reason:
            # What it was must not count against it if the check comes back.
            after = replace(closed(problem), outcomes="", last_incident=None)
            yield Moved(problem, after, Move.RESOLVED if problem.lasting else None, reason)


def _groups(moves: Sequence[Moved], known: Mapping[str, Problem]) -> set[tuple[str, Family]]:
    """Whose incident may change: those of what moved, and those of what its end or its beginning may quiet or release."""
    lasting = {(p.subject, p.family) for p in known.values() if p.lasting} if moves else set()
    return {(m.after.subject, m.after.family) for m in moves} | lasting


def _causes_first(group: tuple[str, Family]) -> tuple[int, str, str]:
    subject, family = group
    return (inhibition.FIRST.index(family) if family in inhibition.FIRST else len(inhibition.FIRST), subject, family)


def _joined(moved: Moved, incident: Incident) -> Moved:
    return replace(moved, after=replace(moved.after, incident=incident.id)) if moved.move is Move.OPENED else moved


def _flapping(moved: Moved, now: datetime) -> Moved:
    return replace(moved, after=replace(moved.after, flapping_since=moved.after.flapping_since or now))


def _flagged(here: Sequence[Moved], incident: Incident, known: Mapping[str, Problem], after: Mapping[str, Problem]) -> list[Moved]:
    """The moves of an incident's problems with their flags; also of those that did not move, but whose cause came."""
    moved = {m.after.fingerprint for m in here}
    still = [Moved(p, p, None) for p in after.values() if p.incident == incident.id and p.lasting and p.fingerprint not in moved]
    out: list[Moved] = []
    for m in (*here, *still):
        stood = inhibition.inhibitor(m.after, known.values()) is not None
        flagged = inhibition.flagged(m.after, after.values(), stood, m.bad)
        if m.sighting is not None or flagged != m.after or m.move is not None:
            out.append(replace(m, after=flagged))
    return out


def _badness(sighting: Sighting) -> int:
    severity = sighting.result.severity or Severity.WARNING
    return severity.rank if sighting.result.status is Status.FAILED else 0


def _with_implied(sightings: list[Sighting], problems: Iterable[Problem]) -> list[Sighting]:
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
