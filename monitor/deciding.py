"""What a week leaves somebody to decide on: drift that is on its way, checks that make noise, checks that judge nothing. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from alerts.trend import theil_sen
from alerts.weekly import Decision, count
from monitor.store.weeks import Key

DAY = timedelta(days=1)
FAR = timedelta(days=60)
"""A limit that would be passed later than this is nobody's concern yet."""
NOTICED = 0.4
"""Of what is allowed; a rise below it is none yet."""
OFTEN = 3
"""Times that a check failed anew within a week."""


def named(key: Key) -> str:
    """`orders.amount`, with the segment where there is one: for people, not ids."""
    dataset, _, column, segment = key
    return (f"{dataset}.{column}" if column else dataset) + (f" ({segment})" if segment else "")


def slow_drift(scores: Mapping[Key, Sequence[tuple[datetime, float]]], end: datetime) -> list[tuple[Key, Decision]]:
    """Rises that are sure, still within the bound, and reach it within 60 days; the nearest date first."""
    found: list[tuple[datetime, Key, Decision]] = []
    # Of ten thousand columns of noise 50 rise "with 99 %". So all of them together may be wrong in one week of a hundred.
    certainty = 1 - 0.02 / max(len(scores), 1)
    for key, days in scores.items():
        # Cheap tests first: there may be ten thousand columns.
        if len(days) < OFTEN or max(s for _, s in days[-3:]) > 1 or days[-1][1] < NOTICED or end - days[-1][0] > 3 * DAY:
            continue
        slope = theil_sen([((at - end) / DAY, score) for at, score in days], certainty)
        crosses = slope.reaches(1.0) if slope and slope.rises else None
        if slope is None or crosses is None or not 0 < crosses <= FAR / DAY:
            continue
        date, first = end + crosses * DAY, slope.at((days[0][0] - end) / DAY)
        text = (
            f"drifts slowly and steadily: {_share(max(first, 0))} of what is allowed {_weeks(days, end)} ago, "
            f"{_share(slope.at(0))} now. At this pace it passes the limit about {date.day} {date:%b}."
        )
        decision = Decision(
            kind="drift", about=named(key), text=text, advice="Is the change meant? Accept it as normal, or find its cause."
        )
        found.append((date, key, decision))
    return [(key, decision) for _, key, decision in sorted(found, key=lambda f: (f[0], f[1]))]


def _share(score: float) -> str:
    return f"{100 * score:.0f} %"


def _weeks(days: Sequence[tuple[datetime, float]], end: datetime) -> str:
    return count(max(round((end - days[0][0]) / (7 * DAY)), 1), "week")


def noisy(key: Key, verdicts: Sequence[Any]) -> Decision | None:
    """A check that failed anew three times or more in the week, with the bound that all but its worst window keeps."""
    bad = [v.status == "failed" for v in verdicts]
    times = sum(now and not before for before, now in zip([False, *bad], bad, strict=False))
    if times < OFTEN:
        return None
    failed = [v for v in verdicts if v.status == "failed" and v.value is not None]
    advice = _bound(failed)
    return Decision(
        kind="noisy", about=named(key), text=f"{key[1]} failed and healed {times} times in {len(bad)} windows.", advice=advice
    )


def _bound(failed: Sequence[Any]) -> str:
    above = sorted((v.value for v in failed if v.at_most is not None and v.value > v.at_most), reverse=True)
    below = sorted(v.value for v in failed if v.at_least is not None and v.value < v.at_least)
    told = []
    if len(above) > 1:
        told.append(f"at_most = {_rounded(above[1], math.ceil)}")
    if len(below) > 1:
        told.append(f"at_least = {_rounded(below[1], math.floor)}")
    if not told:
        return "Look whether it asks for too much."
    return f"With {' and '.join(told)} only the worst window would have been told."


def _rounded(value: float, way: Any) -> str:
    """Two significant digits, away from what it was."""
    if value == 0:
        return "0"
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    return f"{way(round(value / step, 6)) * step:.6g}"


def never_ran(datasets: Mapping[str, str | None], idle: Sequence[Any], young: frozenset[str]) -> list[Decision]:
    """`datasets` that measured nothing though they were due, with the reason; then checks that gave no verdict all week.

    Checks that only lack history are left out where the dataset is `young`.
    """
    out = [
        Decision(
            kind="never ran",
            about=name,
            text=f"was not checked once this week{': ' + why if why else ', and it is not known why'}.",
            advice="Until this is mended nothing is known about it.",
        )
        for name, why in sorted(datasets.items())
    ]
    grouped: dict[str, list[Any]] = {}
    for row in idle:
        if row.dataset not in datasets and (row.errored or row.dataset not in young):
            grouped.setdefault(row.dataset, []).append(row)
    for dataset, rows in grouped.items():
        worst = max(rows, key=lambda r: r.errored)
        what = "could not be made" if worst.errored else "had too little to judge by"
        text = f"{count(len(rows), 'check')} {what} all week, such as {worst.check}: {worst.message}"
        out.append(Decision(kind="never ran", about=dataset, text=text, advice="Mend or remove what cannot work."))
    return out
