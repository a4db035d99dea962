"""The weekly summary as the HTML half of a mail, and its charts."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from alerts import weekly
from alerts.page import AMBER, GREEN, MOST, RED
from alerts.plain import clean
from alerts.weekly import Summary
from checks.result import Severity

if TYPE_CHECKING:
    from jinja2 import Template

ROOMS = ((40, 400), (25, 250), (12, 120), (6, 60))
"""Entries of a section and characters of a text: the first that fits is taken, and the last always does."""
MOST_CHARTS = 5
MOST_DECISIONS = 15
"""More than that nobody decides on in a morning."""
BADGES: dict[weekly.Kind, tuple[str, str]] = {
    "open": ("Decide", RED),
    "drift": ("Look", AMBER),
    "noisy": ("Tune", "#1f5fa8"),
    "never ran": ("Fix", RED),
}


@dataclass(frozen=True)
class Chart:
    """A picture of the mail: `cid` names it within the mail."""

    cid: str
    png: bytes
    about: str
    text: str

    @property
    def alt(self) -> str:
        """What it shows, in words. Without < and >, which HTML lets stand in an attribute, but some mail programs do not."""
        return f"{self.about}: {self.text}".translate({ord("<"): "‹", ord(">"): "›"})


def charts(summary: Summary) -> list[Chart]:
    """The pictures that could be drawn, five at most."""
    drawn = [(trend, _decoded(trend.png)) for trend in summary.trends[:MOST_CHARTS]]
    return [
        Chart(f"trend{number}.{summary.week}@datavigil", png, clean(trend.about, 120), clean(trend.text, 300))
        for number, (trend, png) in enumerate(drawn, 1)
        if png
    ]


def _decoded(png: str) -> bytes:
    try:
        return base64.b64decode(png, validate=True)
    except binascii.Error:
        return b""


def as_html(summary: Summary, channel: str, sources: dict[str, str] | None = None) -> str:
    """A whole page of at most 90 kB, styles in place, everything from data escaped. `sources`: where a picture is read from
    instead of from the mail (cid -> address), for a page that stands alone."""
    pages = (_page(summary, channel, sources or {}, *room) for room in ROOMS)
    return next((page for page in pages if len(page.encode()) <= MOST or sources), _page(summary, channel, {}, *ROOMS[-1]))


def alone(summary: Summary, channel: str) -> str:
    """The same as a file for a browser: its pictures are inside."""
    inside = {c.cid: f"data:image/png;base64,{base64.b64encode(c.png).decode()}" for c in charts(summary)}
    return as_html(summary, channel, inside)


def _page(summary: Summary, channel: str, sources: dict[str, str], most: int, longest: int) -> str:
    import css_inline

    page = _template().render(
        title=weekly.subject(summary),
        number=int(summary.week[-2:]),
        period=weekly.period(summary),
        zone=summary.timezone,
        colour=_colour(summary),
        verdict=weekly.verdict(summary),
        numbers=weekly.numbers(summary),
        decisions=[_decision(d, longest) for d in summary.decisions[: min(most, MOST_DECISIONS)]],
        more_decisions=max(len(summary.decisions) - min(most, MOST_DECISIONS), 0),
        events=[_event(e, summary, longest) for e in summary.events[:most]],
        more_events=max(len(summary.events) - most, 0),
        charts=[(sources.get(c.cid, f"cid:{c.cid}"), c) for c in charts(summary)],
        health=[clean(line, longest) for line in weekly.health_lines(summary)[:20]],
        budget=weekly.budget_line(summary, channel),
        made=weekly.when(summary.made_at, summary.timezone),
    )
    return css_inline.CSSInliner(keep_style_tags=False, keep_at_rules=True, load_remote_stylesheets=False).inline(page)


def _colour(summary: Summary) -> str:
    if summary.quiet and summary.this.due:
        return GREEN
    return RED if any(e.lasted is None and e.severity is Severity.CRITICAL for e in summary.events) else AMBER


def _decision(each: weekly.Decision, longest: int) -> dict[str, str]:
    word, colour = BADGES[each.kind]
    cut = {"about": clean(each.about, 120), "text": clean(each.text, longest), "advice": clean(each.advice, longest)}
    return {"word": word, "colour": colour, **cut}


def _event(each: weekly.Event, summary: Summary, longest: int) -> dict[str, Any]:
    return {
        "began": weekly.when(each.began, summary.timezone),
        "lasted": weekly.lasted(each),
        "open": each.lasted is None,
        "critical": each.severity is Severity.CRITICAL,
        "about": clean(each.about, 120),
        "text": clean(each.text, longest),
        "cause": clean(each.cause, longest),
    }


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    found = Environment(
        loader=PackageLoader("alerts"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return found.get_template("weekly.html")
