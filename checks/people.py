"""What people turned and said, in a verdict: why its limits are wider, and that a window was expected to be unusual."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from checks.result import Result, Status

if TYPE_CHECKING:
    from checks.base import View


def heard(result: Result, view: View) -> Result:
    """The verdict with what people said. It changes nothing about one by bounds that were given."""
    if result.bounds is None or not result.bounds.learned:
        return result
    return _as_marked(_with_widths(result, view), view)


def _with_widths(result: Result, view: View) -> Result:
    widths = {why: width for why, width in view.widths.items() if width != 1}
    return replace(result, details={**(result.details or {}), "widths": widths}) if widths else result


def _as_marked(result: Result, view: View) -> Result:
    if result.status is not Status.FAILED or view.window.start not in view.expected:
        return result
    return replace(result, status=Status.PASSED, severity=None, message=f"{result.message}; the window is marked as expected")
