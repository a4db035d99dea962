"""The table as a whole: its own record of alarms is part of its bounds."""

from __future__ import annotations

from collections.abc import Iterable

from checks.learned import together
from checks.result import Result

WIDEST = 1.5
"""No record of alarms widens limits more than this."""
FORGIVEN = 1
"""Windows of the history that may have been further out than the limits."""


def allowance(results: Iterable[Result], forgiven: int = FORGIVEN) -> float:
    """By what the limits must be widened so that at most `forgiven` of the windows of the history had failed any; 1 to 1.5.

    With many columns some number is always at its limit: this holds the number of alarms steady with 5 columns and with 500.
    """
    record = together([result.record for result in results])
    if len(record) <= forgiven:
        return 1.0
    outs = sorted((out for _, out in record), reverse=True)
    return min(max(outs[forgiven], 1.0), WIDEST)
