"""Inhibition: what is only the consequence of other trouble keeps quiet. A flag beside the state, never a state.

Data that did not arrive, or arrived in another layout, looks like drift, like missing values, and holds fewer different ones; one
message says what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from alerts.problem import Problem
from checks.result import Family

FIRST = (Family.SOURCE, Family.ARRIVAL, Family.LAYOUT)
"""The families that can be a cause; what they hold is decided before the others."""
NOT_THE_DATA = ("left_out", "unjudged")
"""Kinds of the family arrival that say nothing of the rows of the window."""
OF_THE_ROWS = ("missing", "distinct")
"""Kinds of the family quality that say how much is there, which follows from which rows are."""


def _causes(cause: Problem, problem: Problem) -> bool:
    """Whether one explains the other: never something more severe than itself, and a changed column only its own values."""
    if not cause.lasting or cause.incident is None or cause.fingerprint == problem.fingerprint:
        return False
    if (cause.severity.rank if cause.severity else 1) < (problem.severity.rank if problem.severity else 1):
        return False
    if cause.family is Family.LAYOUT:
        return cause.column is None or cause.column == problem.column
    if cause.family is Family.ARRIVAL and cause.segment:
        return _within(cause.segment, problem)
    return cause.family is Family.SOURCE or (cause.family is Family.ARRIVAL and cause.kind not in NOT_THE_DATA)


def _within(segment: str, problem: Problem) -> bool:
    """What a segment's rows explain: its own values, and that the column it is a value of looks different. All else stays news."""
    return problem.segment == segment or (not problem.segment and problem.column == segment.partition("=")[0])


def _consequence(problem: Problem) -> bool:
    return problem.family is Family.DRIFT or (problem.family is Family.QUALITY and problem.kind in OF_THE_ROWS)


def inhibitor(problem: Problem, problems: Iterable[Problem]) -> int | None:
    """The incident that explains this problem, of those of the same dataset and its source; None where nothing does."""
    if not problem.lasting or not _consequence(problem):
        return None
    found = (c.incident for c in problems if c.incident is not None and _causes(c, problem))
    return min(found, default=None)


def flagged(problem: Problem, problems: Iterable[Problem], stood: bool, judged: bool) -> Problem:
    """The problem with the flag set, kept, or taken away.

    `stood`: its cause was still there before this window. `judged`: the problem was seen bad in it. After the cause is over one
    fresh evaluation is needed: what was judged together with the end of its cause may still be its consequence.
    """
    cause = inhibitor(problem, problems)
    if cause is not None:
        return replace(problem, inhibited_by=cause)
    if problem.inhibited_by is not None and not stood and judged:
        return replace(problem, inhibited_by=None)
    return problem
