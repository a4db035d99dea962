"""A message as plain text: for the console, for the text half of a mail, for whatever cannot take more."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime

from alerts.message import Fact, Finding, Message
from checks.result import Severity

MOST_FINDINGS = 50
LONGEST = 2000
"""Characters of one value that are shown."""
WIDTH = 100

_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean(text: str, limit: int = LONGEST, breaks: bool = False) -> str:
    """Without what does harm in a terminal, a header or a page: control characters, text-direction marks, lone surrogates.

    Line breaks become spaces unless `breaks`; at most `limit` characters, the cut marked.
    """
    kept = "".join(_harmless(c, breaks) for c in text[: limit * 2])
    kept = kept if breaks else " ".join(kept.split())
    return kept if len(kept) <= limit and len(text) <= limit * 2 else kept[: limit - 1] + "…"


def _harmless(char: str, breaks: bool) -> str:
    if char in "\n\t":
        return char if breaks else " "
    if char in "\r\v\f\x85\u2028\u2029":
        return " "
    return "" if char in _TURNS or unicodedata.category(char) in {"Cc", "Cs"} else char


def verdict(message: Message) -> str:
    """`CRITICAL`, `WARNING`, `RESOLVED, was CRITICAL`, `INFO`: the colour in words."""
    severity = str(message.severity).upper() if message.severity else ""
    if message.state == "resolved":
        return f"RESOLVED, was {severity}" if severity else "RESOLVED"
    return severity if message.state == "open" and severity else message.state.upper()


def subject(message: Message, limit: int = 200) -> str:
    """The whole story in one line."""
    repeat = " (may repeat)" if message.may_repeat else ""
    return clean(message.text or message.title, limit - len(repeat)) + repeat


def news(message: Message) -> str:
    """What changed, where that is more than the verdict says already."""
    note = clean(message.note)
    return "" if note.lower() in {"opened", "resolved"} else note


def moment(when: datetime) -> str:
    return f"{when.astimezone(UTC):%a %Y-%m-%d %H:%M} UTC"


def fact_text(fact: Fact) -> str:
    return moment(fact.value) if isinstance(fact.value, datetime) else clean(fact.value)


def shown(message: Message, most: int = MOST_FINDINGS) -> tuple[list[Finding], int]:
    """The findings to show, the gravest first and the healed last, and how many are left out."""
    ranked = sorted(message.findings, key=lambda f: (f.resolved, -(f.severity.rank if f.severity else 0)))
    return ranked[:most], max(len(ranked) - most, 0)


def footer(message: Message) -> str:
    """`INC-12 · why · when`, and that it may be a repeat."""
    repeat = "may repeat: an earlier try could not be confirmed" if message.may_repeat else ""
    return " · ".join(p for p in (clean(message.incident, 100), clean(message.why, 400), moment(message.at), repeat) if p)


def mark(finding: Finding) -> str:
    if finding.resolved:
        return "healed"
    return {Severity.CRITICAL: "CRITICAL", Severity.WARNING: "warning"}[finding.severity] if finding.severity else "-"


def as_text(message: Message, width: int = WIDTH) -> str:
    """The message as lines of at most `width` characters (code is left as it is), ending in a line break."""
    return "\n".join(_lines(message, width)) + "\n"


def _lines(message: Message, width: int) -> Iterator[str]:
    yield from textwrap.wrap(f"{verdict(message)} · {clean(message.title)}", width)
    yield from textwrap.wrap(news(message), width)
    yield from _findings(message, width)
    yield from _facts(message, width)
    if message.todo:
        yield from ["", "First do:"]
        for number, step in enumerate(message.todo, 1):
            yield from _hanging(f"  {number}. ", clean(step), width)
    if message.code:
        yield from ["", "To look closer:"]
        yield from textwrap.indent(clean(message.code, breaks=True), "    ").splitlines()
    yield ""
    yield from textwrap.wrap(footer(message), width)


def _findings(message: Message, width: int) -> Iterator[str]:
    findings, more = shown(message)
    if not findings:
        # A message without findings still has its story to tell.
        yield from ["", *textwrap.wrap(clean(message.text), width)] if message.text != message.title else []
        return
    yield ""
    room = max(len(mark(f)) for f in findings)
    for finding in findings:
        yield from _hanging(f"  {mark(finding):<{room}}  ", clean(finding.text), width)
    if more:
        yield f"  and {more} more"


def _facts(message: Message, width: int) -> Iterator[str]:
    if message.facts:
        yield ""
    room = max((len(clean(f.label, 40)) for f in message.facts), default=0)
    for fact in message.facts:
        yield from _hanging(f"  {clean(fact.label, 40):<{room}}  ", fact_text(fact), width)


def _hanging(first: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, initial_indent=first, subsequent_indent=" " * len(first)) or [first.rstrip()]
