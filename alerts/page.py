"""A message as the HTML half of a mail: tables and inline styles, since mail programs know little more."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from alerts.message import Finding, Message
from alerts.plain import clean, fact_text, footer, mark, news, shown, verdict
from checks.result import Severity

if TYPE_CHECKING:
    from jinja2 import Template

RED, AMBER, GREEN, GREY = "#b3261e", "#a15c00", "#1b6e3c", "#44546a"
MOST = 90_000
"""Bytes of a page; Gmail clips near 102 kB."""
ROOMS = ((50, 600, 6000), (25, 300, 3000), (10, 120, 1500))
"""Findings, characters of a text, characters of code: the first that fits is taken, and the last always does."""


@dataclass(frozen=True)
class Row:
    """One finding as the page shows it: its colour, the word that says the same, the sentence."""

    colour: str
    word: str
    text: str

    @property
    def tone(self) -> str:
        """Its colour's name: what the page turns into another one where the reader's screen is dark."""
        return {RED: "red", AMBER: "amber", GREEN: "green"}.get(self.colour, "grey")


def as_html(message: Message) -> str:
    """A whole page of at most 90 kB, everything from data escaped by the template."""
    pages = (_page(message, *room) for room in ROOMS)
    return next((page for page in pages if len(page.encode()) <= MOST), _page(message, *ROOMS[-1]))


def _page(message: Message, most: int, longest: int, code: int) -> str:
    findings, more = shown(message, most)
    return _template().render(
        title=clean(message.title, 200),
        verdict=verdict(message),
        colour=_colour(message.severity, message.state == "resolved", message.state == "info"),
        note=clean(news(message), longest),
        text=clean(message.text, longest) if not findings and message.text != message.title else "",
        findings=[_row(f, longest) for f in findings],
        more=more,
        facts=[(clean(f.label, 60), clean(fact_text(f), longest)) for f in message.facts[:30]],
        todo=[clean(step, longest) for step in message.todo[:20]],
        code=clean(message.code or "", code, breaks=True).strip("\n"),
        footer=footer(message),
    )


def _row(finding: Finding, longest: int) -> Row:
    return Row(_colour(finding.severity, finding.resolved), mark(finding), clean(finding.text, longest))


def _colour(severity: Severity | None, resolved: bool, info: bool = False) -> str:
    if resolved:
        return GREEN
    if info or severity is None:
        return GREY
    return RED if severity is Severity.CRITICAL else AMBER


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    found = Environment(
        loader=PackageLoader("alerts"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return found.get_template("message.html")
