"""Flapping: a problem that goes to and fro too often for each turn to be news. Two thresholds: flapping must not flap itself.

The idea of two thresholds is that of Nagios; the numbers are in `Rules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from alerts.problem import Move, Problem, State
from alerts.rules import REMEMBERED, Rules

DAY = timedelta(days=1)


def turns(outcomes: str) -> int:
    """How often good and bad took turns in the last 12 verdicts; before the first one remembered all was well."""
    said = outcomes if len(outcomes) >= REMEMBERED else "O" + outcomes
    return sum(one != next_one for one, next_one in pairwise(said))


def settled(before: Problem | None, after: Problem, move: Move | None, at: datetime, rules: Rules) -> tuple[Problem, Move | None]:
    """The problem after a verdict, with flapping begun, kept up or over. While it flaps it does not end."""
    since = before.flapping_since if before else None
    if since is None:
        flaps = after.lasting and turns(after.outcomes) >= rules.flapping_at
        return (replace(after, flapping_since=at), move) if flaps else (after, move)
    if turns(after.outcomes) <= rules.steady_at:
        return replace(after, flapping_since=None), move
    if move is Move.RESOLVED and before is not None:
        kept = replace(before, state=State.RECOVERING, outcomes=after.outcomes, last_end=after.last_end)
        return kept, None
    return after, move


def too_often(reopenings: Sequence[datetime], now: datetime, rules: Rules) -> bool:
    """An incident that is opened again now, after these reopenings, flaps."""
    return 1 + sum(now - DAY < at <= now for at in reopenings) >= rules.reopens
