"""A problem: one check on one column and segment that keeps failing, as a pure state machine.

`advance(problem, sighting) -> (problem, move)`: no clock, no store. States: `ok`, `pending` (bad, not often enough yet), `firing`,
`recovering` (good again, not long enough yet). A result without a verdict (skipped, errored) moves nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from alerts.rules import REMEMBERED, RULES, Rules
from checks.result import Family, Result, Severity, Status

FAR_OUT = 2.0
LONG_WINDOW = timedelta(days=1)


class State(StrEnum):
    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"


class Move(StrEnum):
    """What people may want to hear of a problem: it began, it got more severe, it ended."""

    OPENED = "opened"
    WORSE = "worse"
    RESOLVED = "resolved"


class Quiet(StrEnum):
    """Why a change is not told by itself; what it says belongs in the next digest.

    `inhibited`: another incident causes it. `late`: it came of a window that was measured after a later one, or once more.
    `away`: its window ended longer ago than anybody is paged for, as after a downtime.
    """

    INHIBITED = "inhibited"
    LATE = "late"
    AWAY = "away"


@dataclass(frozen=True)
class Problem:
    """`since` is the start of the first bad window; `outcomes` the last verdicts, `F` failed and `O` passed, oldest first."""

    fingerprint: str
    subject: str
    check: str
    kind: str
    family: Family
    column: str | None = None
    segment: str | None = None
    state: State = State.OK
    since: datetime | None = None
    outcomes: str = ""
    last_end: datetime | None = None
    severity: Severity | None = None
    value: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    score: float | None = None
    message: str = ""
    incident: int | None = None
    last_incident: int | None = None
    """What it belonged to when it was over last: if it begins again soon, that is opened again."""
    inhibited_by: int | None = None
    flapping_since: datetime | None = None

    @property
    def lasting(self) -> bool:
        """It belongs to an open incident: firing, or recovering and not yet believed."""
        return self.state in {State.FIRING, State.RECOVERING}


@dataclass(frozen=True)
class Sighting:
    """A result on its way into a problem: of which subject (a dataset, or `source:NAME`), and of which window.

    `held`: why it is not to be told by itself. `again`: the window was judged before; this verdict takes the place of that one.
    """

    subject: str
    result: Result
    start: datetime
    end: datetime
    held: Quiet | None = None
    again: bool = False

    @property
    def fingerprint(self) -> str:
        """Of what it is, never of what was measured: no value, no bound, no text."""
        r = self.result
        parts = (self.subject, r.check, r.column or "", r.segment or "")
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def needed(sighting: Sighting, rules: Rules = RULES) -> tuple[int, int]:
    """K bad ones of the last N open the problem: 1 of 1, but 2 of 3 (a setting) for a weak learned finding in a short window."""
    r = sighting.result
    learned = r.bounds is not None and r.bounds.learned
    weak = learned and (r.score or 0.0) < FAR_OUT and r.severity is not Severity.CRITICAL
    return rules.bad_of if weak and sighting.end - sighting.start < LONG_WINDOW else (1, 1)


def advance(problem: Problem | None, sighting: Sighting, rules: Rules = RULES) -> tuple[Problem | None, Move | None]:
    """The problem after one more result, and what there is to tell. None: never was bad, nothing to remember.

    A result of a window that is not later than the last one seen moves nothing, so replays and reordering are harmless; only
    that of the last window, judged `again`, takes the place of its first verdict.
    """
    r = sighting.result
    if r.status not in {Status.PASSED, Status.FAILED}:
        return problem, None
    if problem is None:
        if r.status is Status.PASSED:
            return None, None
        problem = Problem(sighting.fingerprint, sighting.subject, r.check, r.kind, r.family, r.column, r.segment)
    again = sighting.again and sighting.end == problem.last_end
    if problem.last_end is not None and sighting.end <= problem.last_end and not again:
        return problem, None
    letter, known = "F" if r.status is Status.FAILED else "O", problem.outcomes[:-1] if again else problem.outcomes
    seen = replace(problem, outcomes=(known + letter)[-REMEMBERED:], last_end=sighting.end)
    if r.status is Status.FAILED:
        return _bad(seen, sighting, rules)
    # What this window alone had opened was not there; before the first verdict remembered all was well.
    return _good(replace(seen, outcomes="O" + seen.outcomes) if again and len(known) < rules.close_after else seen, rules)


def _bad(problem: Problem, sighting: Sighting, rules: Rules) -> tuple[Problem, Move | None]:
    r, bounds = sighting.result, sighting.result.bounds
    severity = r.severity or Severity.WARNING
    raised = problem.severity is not None and severity.rank > problem.severity.rank
    measured = replace(
        problem,
        since=problem.since or sighting.start,
        value=r.value,
        at_least=bounds.at_least if bounds else None,
        at_most=bounds.at_most if bounds else None,
        score=r.score,
        message=r.message,
        # An incident keeps the worst it has seen: getting milder is not worth a message.
        severity=severity if problem.severity is None or raised else problem.severity,
    )
    if problem.lasting:
        return replace(measured, state=State.FIRING), Move.WORSE if raised else None
    k, n = needed(sighting, rules)
    if problem.outcomes[-n:].count("F") >= k:
        return replace(measured, state=State.FIRING, severity=severity), Move.OPENED
    return replace(measured, state=State.PENDING, severity=severity), None


def _good(problem: Problem, rules: Rules) -> tuple[Problem, Move | None]:
    if problem.lasting:
        # A source that answers answers: there is nothing to wait for.
        if problem.outcomes.endswith("O" * (1 if problem.family is Family.SOURCE else rules.close_after)):
            return closed(problem), Move.RESOLVED
        return replace(problem, state=State.RECOVERING), None
    others = rules.bad_of[1] - 1
    if problem.state is State.PENDING and others and "F" in problem.outcomes[-others:]:
        return problem, None
    return closed(problem), None


def closed(problem: Problem) -> Problem:
    """Over: what it was stays readable, what it belonged to does not."""
    over = replace(problem, state=State.OK, since=None, severity=None, incident=None, inhibited_by=None, flapping_since=None)
    return replace(over, last_incident=problem.incident) if problem.incident is not None else over
