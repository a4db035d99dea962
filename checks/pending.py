"""The verdicts of a check on one window; those that are learned wait until all numbers of the window are judged together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from checks import learned, people
from checks.result import Result, Status

if TYPE_CHECKING:
    from checks.base import Check, View
    from checks.judging import Weighed

    Usual = Weighed | learned.Learning
    Weights = Sequence[Usual] | Exception
    Closing = Callable[[Sequence[Usual], View], Result]


class CannotJudge(Exception):
    """The check cannot say anything; the message names the cause and goes to the user as the reason of an errored result."""


class NothingToJudge(Exception):
    """There is nothing to judge yet or in this window; the message says why. A skipped result."""


@dataclass(frozen=True)
class Pending:
    """A verdict that waits for what is usual of its numbers. `told` makes it of that and a view, which says by how much limits are
    widened; it may raise as `Check.judge` may."""

    traces: Sequence[learned.Trace]
    told: Closing


Verdict = Result | Pending


def opened(check: Check, view: View) -> list[Verdict]:
    """The verdicts of a check, as far as they are known; never raises. See `judged`."""
    found: list[Verdict] = []
    try:
        for verdict in check.judge(view):
            found.append(people.heard(verdict, view) if isinstance(verdict, Result) else _at_once(verdict, view))
    except Exception as fault:  # A check's own fault must not take the window's other verdicts with it.
        found.append(_instead(check, view, fault))
    return found


def _at_once(pending: Pending, view: View) -> Pending:
    """What lasts is told of the whole table: of many small segments some always has a week of its own."""
    if not view.segment:
        return pending
    return replace(pending, traces=[trace._replace(lasting="") if trace.lasting else trace for trace in pending.traces])


def weighed(pending: Sequence[Pending], view: View) -> list[Weights]:
    """What is usual of the numbers of each, all weighed together; where that fails each by itself, to tell whose fault it is."""
    try:
        found = iter(learned.weigh([trace for one in pending for trace in one.traces], view.window, view.expected, view.days))
    except Exception as fault:
        return [fault] if len(pending) == 1 else [weighed([one], view)[0] for one in pending]
    return [list(islice(found, len(one.traces))) for one in pending]


def closed(check: Check, view: View, pending: Pending, usual: Weights) -> Result:
    """The verdict, now that it is known what is usual of its traces; never raises."""
    if isinstance(usual, Exception):
        return _instead(check, view, usual)
    try:
        return people.heard(pending.told(usual, view), view)
    except Exception as fault:  # As above.
        return _instead(check, view, fault)


def judged(check: Check, view: View) -> list[Result]:
    """The verdicts of a check by itself; never raises: a fault is an errored result, nothing to judge a skipped one.

    Verdicts that came before a fault stay.
    """
    found = []
    for verdict in opened(check, view):
        if isinstance(verdict, Pending):
            [usual] = weighed([verdict], view)
            found.append(replace(closed(check, view, verdict, usual), record=recorded(usual)))
        else:
            found.append(verdict)
    return found


def recorded(usual: Weights) -> learned.Record:
    """How far out each earlier window was, of the numbers of a verdict the furthest."""
    if isinstance(usual, Exception):
        return ()
    places: dict[int, list[Weighed]] = {}
    for one in usual:
        if not isinstance(one, learned.Learning):
            places.setdefault(id(one.among), []).append(one)
    return learned.together([those[0].among.recorded([one.place for one in those]) for those in places.values()])


def _instead(check: Check, view: View, fault: Exception) -> Result:
    said = str(fault)
    if isinstance(fault, NothingToJudge):
        return check.result(Status.SKIPPED, said, view)
    if isinstance(fault, CannotJudge):
        named = said if said.startswith(check.name) else f"{check.name} could not be judged: {said}"
        return check.result(Status.ERRORED, named, view)
    reason = said.splitlines()[0] if said else ""
    return check.result(Status.ERRORED, f"{check.name} could not be judged: {type(fault).__name__}: {reason}", view)
