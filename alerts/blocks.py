"""A message in Slack's Block Kit, within Slack's limits, with nothing in it that data could turn into a mention or a link.

The limits are Slack's own (section 3000, header 150, field 2000, 10 fields, 50 blocks) except one that is
undocumented: about 13 000 characters of blocks in all are refused as `msg_blocks_too_long`. The shares below add up
to less than 9000.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from alerts.buttons import actions
from alerts.message import Fact, Message, Outgoing
from alerts.plain import clean, moment, news, shown, subject, verdict
from checks.result import Severity

HEADER, NOTE, FINDINGS, FIELD, TODO, CODE, CONTEXT = 150, 500, 2300, 230, 1000, 1300, 600
LEAD, MARK, MOST_MARKS = 200, 150, 3
FIELDS, MOST_SHOWN, STEPS = 10, 12, 6
TEXT = 3000

Block = dict[str, Any]


def blocks(outgoing: Outgoing, mention: str = "", buttons: bool = False) -> list[Block]:
    """The layout of a delivery; `mention` (Slack's own form) is used only where a critical incident opens or calls again.

    `buttons`: somebody listens to them.
    """
    message = outgoing.message
    if outgoing.form == "line":
        return _line(message, _called(outgoing, mention))
    parts = [
        _header(message),
        # A root is edited and its thread tells what changed; a message that stands alone has to say so itself.
        _section(safe(news(message), NOTE) if outgoing.form == "message" else ""),
        _section(_findings(message)),
        _section("\n".join(f":raised_hand: {safe(mark, MARK)}" for mark in message.marks[-MOST_MARKS:])),
        _section(_called(outgoing, mention)),
        _facts(message),
        _section(_todo(message)),
        _section(_code(message)),
        actions(outgoing) if buttons else None,
        _footer(message),
    ]
    return [part for part in parts if part]


def fallback(outgoing: Outgoing, mention: str = "", limit: int = TEXT) -> str:
    """What a phone's lock screen shows and a screen reader reads; mandatory beside blocks."""
    called = _called(outgoing, mention)
    start = f"{called} " if called else ""
    return start + safe(f"{emoji(outgoing.message)} {subject(outgoing.message, limit)}", limit - len(start))


def _called(outgoing: Outgoing, mention: str) -> str:
    critical = outgoing.message.severity is Severity.CRITICAL and outgoing.message.state == "open"
    calls = outgoing.form == "root" or (outgoing.form == "line" and outgoing.message.calls)
    return mention if calls and critical else ""


def emoji(message: Message) -> str:
    """The state at a glance; the words beside it say the same."""
    if message.state != "open":
        return "✅" if message.state == "resolved" else "ℹ️"
    return "🔴" if message.severity is Severity.CRITICAL else "🟠"


_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "`": "'"}


def safe(text: str, limit: int, breaks: bool = False) -> str:
    """Data for mrkdwn: escaped as Slack asks, no backticks, nothing that notifies anybody; at most `limit` characters *escaped*."""
    return _cut(_unmentioned(clean(text, limit, breaks)), _ESCAPES, limit)


def _unmentioned(text: str) -> str:
    # A word joiner after the @: reads the same, calls nobody even where a workspace parses names.
    return re.sub(r"@(?=(here|channel|everyone)\b)", "@\u2060", text, flags=re.IGNORECASE)


def _cut(text: str, escapes: dict[str, str], limit: int) -> str:
    """Escaped and cut, never inside an escape."""
    kept: list[str] = []
    length = 0
    for char in text:
        piece = escapes.get(char, char)
        if length + len(piece) > limit - 1:
            return "".join([*kept, "…"])
        kept.append(piece)
        length += len(piece)
    return "".join(kept)


def when(moment_: datetime) -> str:
    """A time that each reader sees in their own zone."""
    return f"<!date^{int(moment_.timestamp())}^{{date_short_pretty}} {{time}}|{moment(moment_.astimezone(UTC))}>"


def _header(message: Message) -> Block:
    text = safe(f"{emoji(message)} {verdict(message)} · {message.title}", HEADER - 10)
    return {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": True}}


def _section(text: str) -> Block | None:
    return {"type": "section", "text": _mrkdwn(text)} if text.strip() else None


def _mrkdwn(text: str) -> Block:
    # verbatim: Slack makes no links, channels or names out of words in the data.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _findings(message: Message) -> str:
    findings, more = shown(message, MOST_SHOWN)
    if not findings:
        return safe(message.text, FINDINGS) if message.text != message.title else ""
    share = (FINDINGS - LEAD - 60) // len(findings) - 12
    lines = [f"{_sign(f.severity, f.resolved)} {safe(f.text, share)}" for f in findings]
    if message.lead:
        # How unusual it is belongs to the gravest, which stands first.
        lines[0] = f"{lines[0]}\n_{safe(message.lead, LEAD)}_"
    if len(lines) > 1 and message.lead:
        lines.insert(1, "*Also bad*")
    return "\n".join([*lines, *([f"_and {more} more_"] if more else [])])


def _sign(severity: Severity | None, resolved: bool) -> str:
    if resolved:
        return "✅ healed:"
    return {Severity.CRITICAL: "🔴", Severity.WARNING: "🟠"}[severity] if severity else "•"


def _facts(message: Message) -> Block | None:
    fields = [_mrkdwn(f"*{safe(f.label, 60)}*\n{_value(f)}") for f in message.facts[:FIELDS]]
    return {"type": "section", "fields": fields} if fields else None


def _value(fact: Fact) -> str:
    if isinstance(fact.value, datetime):
        return when(fact.value)
    return safe(fact.value, FIELD - 70) or "–"


def _todo(message: Message) -> str:
    steps = message.todo[:STEPS]
    if not steps:
        return ""
    share = (TODO - 20) // len(steps) - 5
    return "\n".join(["*First do*", *(f"{n}. {_step(step, share)}" for n, step in enumerate(steps, 1))])


def _step(step: str, limit: int) -> str:
    """Addresses as links and our own commands as code: with `verbatim` Slack makes neither by itself."""
    text = safe(step, limit - 4)
    if text.startswith("datavigil "):
        return f"`{text}`"
    return re.sub(r"https?://[^\s<>|…]+", lambda link: f"<{link[0]}>", text, count=1)


def _code(message: Message) -> str:
    if not message.code:
        return ""
    # Pasted as it stands: single backticks stay (they quote names in SQL), and inside a fence Slack parses no names.
    code = clean(message.code, CODE, breaks=True).replace("```", "'''").strip("\n")
    return f"```\n{_cut(code, {**_ESCAPES, '`': '`'}, CODE - 10)}\n```"


def _footer(message: Message) -> Block:
    repeat = "(may repeat): an earlier try could not be confirmed" if message.may_repeat else ""
    mute = f"mute: `{safe(message.mute, 80)}`" if message.mute else ""
    parts = [safe(message.incident, 100), safe(message.why, CONTEXT - 350), mute, when(message.at), repeat]
    return {"type": "context", "elements": [_mrkdwn(" · ".join(p for p in parts if p))]}


def _line(message: Message, called: str = "") -> list[Block]:
    """One line of a thread: what changed, or else the story, and no more."""
    repeat = " (may repeat)" if message.may_repeat else ""
    said = f"{emoji(message)} {safe(news(message) or message.text or message.title, FINDINGS)}{repeat}"
    line = _section(f"{said} {called}".rstrip())
    return [line] if line else []
