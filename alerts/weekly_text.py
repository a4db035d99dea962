"""The weekly summary as plain text that reads well on its own."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from alerts import weekly
from alerts.plain import clean
from alerts.weekly import TODO, Summary
from checks.result import Severity

WIDTH = 76
MOST = 40
"""Lines of a section; what is more is counted."""
LONGEST = 300


def as_text(summary: Summary, channel: str) -> str:
    """Lines of at most 76 characters, ending in a line break. `channel`: whose alerts are counted in it."""
    return "\n".join(_lines(summary, channel)) + "\n"


def _lines(summary: Summary, channel: str) -> Iterator[str]:
    yield f"Data quality, week {int(summary.week[-2:])} · {weekly.period(summary)} · {summary.timezone}"
    yield from ["", *textwrap.wrap(weekly.verdict(summary), WIDTH), ""]
    yield f"  {'':<18}{'this week':>12}{'last week':>12}"
    yield from (f"  {label:<18}{this:>12}{before:>12}" for label, this, before in weekly.numbers(summary))
    yield from _section("NEEDS A DECISION", _decisions(summary), "Nothing.")
    yield from _section("WHAT HAPPENED", _events(summary), "No incidents.")
    if summary.trends:
        yield from _section("TRENDS", ((" - ", f"{clean(t.about, 120)}: {clean(t.text, LONGEST)}") for t in summary.trends), "")
    yield from _section("THE MONITOR ITSELF", ((" - ", clean(line, LONGEST)) for line in weekly.health_lines(summary)), "")
    yield from _section("ALERTS IN THIS CHANNEL", [(" - ", weekly.budget_line(summary, channel))], "")
    made = weekly.when(summary.made_at, summary.timezone)
    yield from ["", *textwrap.wrap(f"Numbers as of {made}. Times and days are in {summary.timezone}.", WIDTH)]


def _decisions(summary: Summary) -> Iterator[tuple[str, str]]:
    for number, each in enumerate(summary.decisions, 1):
        advice = f" -> {clean(each.advice, LONGEST)}" if each.advice else ""
        yield f"{number:>2}. ", f"[{TODO[each.kind]}] {clean(each.about, 120)}: {clean(each.text, LONGEST)}{advice}"


def _events(summary: Summary) -> Iterator[tuple[str, str]]:
    for each in summary.events:
        grave = "CRITICAL, " if each.severity is Severity.CRITICAL else ""
        cause = f" Cause: {clean(each.cause, LONGEST)}" if each.cause else ""
        began = weekly.when(each.began, summary.timezone)
        yield " - ", f"{began}, {grave}{weekly.lasted(each)}: {clean(each.about, 120)}: {clean(each.text, LONGEST)}{cause}"


def _section(title: str, entries: Iterable[tuple[str, str]], nothing: str) -> Iterator[str]:
    yield from ["", title]
    every = list(entries)
    if not every:
        yield f" {nothing}"
    for first, text in every[:MOST]:
        yield from textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=" " * len(first))
    if len(every) > MOST:
        yield f"    and {len(every) - MOST} more"
