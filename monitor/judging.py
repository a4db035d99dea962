"""Judging the checks that are `apart`: all of a window's in one process of its own, whose end takes one check's verdict at most."""

from __future__ import annotations

import pickle
import time
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from checks import control, discovery
from checks.base import Check, View
from checks.learned import Learning, Record
from checks.pending import Pending, Verdict, closed, judged, opened, recorded, weighed
from checks.result import Result, Status
from monitor import apart

if TYPE_CHECKING:
    from checks.judging import Weighed
    from checks.pending import Usual, Weights
    from monitor.config import Config

    Opened = tuple[Check, View, Sequence[Verdict]]
Pair = tuple[Check, View]
LEAST = 5.0
"""Seconds that are kept for the rest of a window."""
TRIAL = apart.Limits(120.0, 2048)


def judged_apart(pairs: Sequence[bytes], seconds: float) -> list[Result]:
    """The verdicts of these checks, as `packed` has them; never raises. They share `seconds`."""
    left: list[Pair] = [pickle.loads(pair) for pair in pairs]  # noqa: S301 - from a worker of ours
    until = time.monotonic() + max(seconds - max(LEAST, 0.05 * seconds), 0.0)
    results: list[Result] = []
    while left:
        done = 0
        try:
            for found in apart.run(_each, [left], _limits(left, until)):
                results += found
                done += 1
        except apart.Ended as ended:
            check, view = left[done]
            said = f"{check.name} could not be judged: {ended}"
            results.append(check.result(Status.ERRORED, said, view))
            # A new process for those after it.
            done += 1
        left = left[done:]
    return results


def judged_together(pairs: Sequence[Pair], share: float | None = None) -> list[Result]:
    """The verdicts of these checks on one window; a finding must be odd for the table too, by its own record of alarms.

    `share` of the windows may be false alarms, where the dataset has a budget. All learned numbers are weighed at once; segments
    have a record of their own.
    """
    first = _opened(pairs)
    usual = _weighed([(view, verdict) for _, view, verdicts in first for verdict in verdicts if isinstance(verdict, Pending)])
    widths = _widths(first, usual, share)
    found: list[Result] = []
    for check, view, verdicts in first:
        part = bool(view.segment)
        why, allowance = widths[part]
        wider = replace(view, widths={**view.widths, why: allowance}) if allowance > 1 else view
        if allowance > 1 and any(isinstance(v, Result) and v.status is Status.FAILED and _learned(v, part) for v in verdicts):
            # What was judged at once, by limits that were too narrow.
            found += judged(check, wider)
            continue
        for verdict in verdicts:
            if isinstance(verdict, Pending):
                found.append(closed(check, wider, verdict, usual[id(verdict)]))
            else:
                found.append(_widened(verdict, allowance, part))
    return [replace(result, record=()) if result.record else result for result in found]


def _widths(
    first: Sequence[Opened], usual: Mapping[int, Weights], share: float | None
) -> tuple[tuple[str, float], tuple[str, float]]:
    """By what the limits of the whole table are widened, and those of its segments, each with why. Many segments must not make the
    table blinder, so neither is part of the other's record."""
    whole, parts = ([one for one in first if bool(one[1].segment) is part] for part in (False, True))
    if share is not None and parts:
        # The budget is for both.
        share /= 2
    records = list(_records(whole, usual, plain=share is None))
    table = control.allowance(records) if share is None else control.for_budget(records, share)
    segments = discovery.allowance(_discovered(parts, usual), share) if parts else 1.0
    return (control.TABLE, table), (control.SEGMENTS, segments)


def _learned(result: Result, part: bool) -> bool:
    """It was made at once by limits that are widened: those with a record, and of a segment all that are learned."""
    return bool(result.record) or (part and result.bounds is not None and result.bounds.learned)


def _discovered(parts: Sequence[Opened], usual: Mapping[int, Weights]) -> discovery.Judged:
    """The numbers of segments, in groups of one column of one segment."""
    weighed: list[tuple[Hashable, float, Weighed]] = []
    made: list[tuple[Hashable, Result]] = []
    for check, view, verdicts in parts:
        group, wide = (view.segment, check.watched), view.allowance.people
        for verdict in verdicts:
            if isinstance(verdict, Result):
                made += [(group, verdict)] if _learned(verdict, True) else []
            elif not isinstance(weights := usual[id(verdict)], Exception):
                weighed += [(group, wide, one) for one in weights if not isinstance(one, Learning)]
    return discovery.gathered(weighed, made)


def _opened(pairs: Sequence[Pair]) -> list[Opened]:
    """In the same order; but those of one column are asked one after the other, so that they share what is made of its answers."""
    found: dict[int, Sequence[Verdict]] = {}
    for place, (check, view) in sorted(enumerate(pairs), key=lambda pair: _about(*pair[1])):
        found[place] = opened(check, view)
    return [(check, view, found[place]) for place, (check, view) in enumerate(pairs)]


def _about(check: Check, view: View) -> tuple[object, ...]:
    return check.where or "", view.segment or "", check.watched


def _weighed(pending: Sequence[tuple[View, Pending]]) -> dict[int, Weights]:
    """What is usual of the numbers of each verdict that waits for it, by its identity. Those of the whole table by themselves: how
    many segments' numbers there are makes them no less sure."""
    found: dict[int, Weights] = {}
    for part in (False, True):
        # Of one window; what people said of the windows before it is the same for all.
        waiting = [(view, one) for view, one in pending if bool(view.segment) is part]
        if waiting:
            usual = weighed([one for _, one in waiting], waiting[0][0])
            found |= {id(one): weights for (_, one), weights in zip(waiting, usual, strict=True)}
    return found


def _widened(result: Result, allowance: float, part: bool = False) -> Result:
    """What passed by the narrower limits, scored by those that hold: else what is further out would have the lower score."""
    return replace(result, score=result.score / allowance) if _learned(result, part) and result.score is not None else result


def _records(first: Iterable[Opened], usual: Mapping[int, Weights], plain: bool) -> Iterator[Record]:
    """How far out earlier windows were; for a budget by the limits as people set them, so that it holds at high sensitivity too."""
    alike: dict[float, list[Usual]] = {}
    for _, view, verdicts in first:
        wide = 1.0 if plain else view.allowance.people
        for verdict in verdicts:
            if isinstance(verdict, Result):
                yield _narrowed(verdict.record, wide)
            elif not isinstance(weights := usual[id(verdict)], Exception):
                alike.setdefault(wide, []).extend(weights)
    # The furthest of all is found at once: number by number it takes as long as the weighing.
    for wide, numbers in alike.items():
        yield _narrowed(recorded(numbers), wide)


def _narrowed(record: Record, wide: float) -> Record:
    return record if wide == 1 else [(start, out / wide) for start, out in record]


def _limits(pairs: Sequence[Pair], until: float) -> apart.Limits:
    seconds = max(float(getattr(check, "timeout", 60.0)) for check, _ in pairs)
    megabytes = max(int(getattr(check, "memory_mb", 1024)) for check, _ in pairs)
    return apart.Limits(seconds, megabytes, until)


def packed(pairs: Sequence[Pair]) -> tuple[list[bytes], list[Result]]:
    """Each pair by pickle, with only what the check asked for (the past of a wide table is large), and the verdicts on those that
    cannot travel."""
    found, refused = [], []
    for check, view in pairs:
        asked = {question.key for question in check.questions(view.schema)}
        narrowed = replace(view, answers={k: a for k, a in view.answers.items() if k in asked}, history=(), reference=None)
        try:
            found.append(pickle.dumps((check, narrowed)))
        except Exception as fault:  # Whatever an engine put among the rows.
            said = f"{check.name} could not be judged: it cannot be handed to a process of its own: {type(fault).__name__}"
            refused.append(check.result(Status.ERRORED, said, view))
    return found, refused


def _each(pairs: Sequence[Pair]) -> Iterator[list[Result]]:
    """In the process."""
    apart.without_network()
    for check, view in pairs:
        yield judged(check, view)


def faults(config: Config) -> list[str]:
    """What is wrong with the settings of such checks that only their libraries know, each with its place in the config."""
    checks = [
        (f'dataset "{dataset.name}", check {number}', check)
        for dataset in config.datasets.values()
        for number, check in enumerate(dataset.checks, start=1)
        if check.apart
    ]
    if not checks:
        return []
    found: list[str] = []
    try:
        found += apart.run(_trials, [checks], TRIAL)
    except apart.Ended as ended:
        return [*found, f"{checks[0][0]}: checks of kind {checks[0][1].kind} could not be tried: {ended}"]
    return found


def _trials(checks: Sequence[tuple[str, Check]]) -> Iterator[str]:
    apart.without_network()
    for place, check in checks:
        for fault in check.trial():
            yield f"{place}: {fault}"
