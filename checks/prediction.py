"""What both kinds of model check share: their columns, the wait for labels, the drift of the predictions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from checks import learned
from checks.base import Check, View
from checks.figures import Figure, Figures, Limits, Standard, part, verdict
from checks.pending import CannotJudge, NothingToJudge, judged
from checks.profile import Answers, Broken, Counts
from checks.question import Cells
from checks.result import Bounds, Family, Result, Severity, Status
from checks.wording import amount, of_rows

if TYPE_CHECKING:
    from checks.drift import Drift

SPAN = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def wait(text: Any) -> timedelta:
    """`7d` -> 7 days. Raises ValueError with the form that is wanted."""
    if isinstance(text, timedelta):
        return text
    found = re.fullmatch(r"\s*(\d{1,5})\s*([smhdw])\s*", text) if isinstance(text, str) else None
    if not found:
        raise ValueError(f"{text!r} is not a duration; write a number and s, m, h, d or w, such as 12h or 7d")
    return timedelta(**{SPAN[found[2]]: int(found[1])})


def cells(answers: Answers, question: Cells) -> list[tuple[list[Any], int]]:
    """Combinations and their rows. Raises CannotJudge where they were not measured."""
    answer = answers.get(question.key)
    if isinstance(answer, Broken):
        raise CannotJudge(answer.reason)
    if not isinstance(answer, Counts):
        raise CannotJudge(f"{question.key} was not measured")
    try:
        found = [(json.loads(key), n) for key, n in answer.counts.items()]
    except ValueError:
        raise CannotJudge(f"{question.key} holds what is no combination of values") from None
    wide = len(question.columns) + (question.score is not None)
    if any(not isinstance(values, list) or len(values) != wide for values, _ in found):
        raise CannotJudge(f"{question.key} holds what is no combination of values")
    return found


def drifted(check: Check, drift: Drift, view: View) -> Iterator[Result]:
    """The ordinary drift of the predictions, told as the model's trouble."""
    for result in judged(drift, view):
        yield replace(result, kind=check.kind, family=Family.MODEL)


def shares(check: Check, view: View, labelled: float, rows: float, least: float) -> Result:
    """How many of the rows have their label. That too few have one is a finding: without it the model would look well."""
    if not rows:
        raise NothingToJudge("no rows to judge")
    share = labelled / rows
    failed = share < least
    said = f"{check.name}: labels: {of_rows(labelled, rows)} have their label ({amount(share, 'share')})"
    return check.result(
        Status.FAILED if failed else Status.PASSED,
        f"{said}, at least {amount(least, 'share')} needed",
        view,
        value=share,
        bounds=Bounds(at_least=least),
        score=Bounds(at_least=least).score(share, 1 / rows),
        severity=(check.severity or Severity.WARNING) if failed else None,
    )


def performance(
    check: Check,
    view: View,
    names: Sequence[str],
    measured: Callable[[Answers], Figures],
    limits: Mapping[str, Limits],
    baseline: Figures | Mapping[str, float],
    prefix: str = "",
) -> Iterable[Result]:
    """A verdict on each figure. `measured` makes them from a window's answers and may raise CannotJudge and NothingToJudge."""
    try:
        now, why = measured(view.answers), None
    except (CannotJudge, NothingToJudge) as fault:
        now, why = {}, fault
    past = _past(view, measured) if now else []
    for name in names:

        def judge(name: str = name) -> Result:
            if why is not None:
                raise why
            if name not in now:
                raise NothingToJudge("it has no value in this window: no row of the class, or only one class")
            points = [learned.Point(p.window, found[name].value, p.rows) for p, found in past if name in found]
            held = baseline.get(name)
            figure = held.value if isinstance(held, Figure) else held
            return verdict(check, view, f"{prefix}{name}", now[name], Standard(limits.get(name), figure, points))

        yield from part(check, view, f"{prefix}{name}", judge)


def _past(view: View, measured: Callable[[Answers], Figures]) -> list[tuple[Any, Figures]]:
    found = []
    for past in view.history:
        try:
            found.append((past, measured(past.answers)))
        except (CannotJudge, NothingToJudge):
            continue
    return found
