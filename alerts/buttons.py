"""Buttons under an incident's message, and what pressing one says. Both directions in one place, so that they agree."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from alerts.message import Outgoing

Verb = Literal["acknowledge", "silence_4h", "silence_morning", "accept", "not_useful"]
VERBS: tuple[Verb, ...] = get_args(Verb)
WORDS: dict[Verb, str] = {
    "acknowledge": "Acknowledge",
    "silence_4h": "Silence 4 h",
    "silence_morning": "Silence until morning",
    "accept": "Accept as new normal",
    "not_useful": "Not useful",
}
SURE = "From its first bad window on, this level counts as normal. It can be rolled back."
PREFIX = "datavigil:"
STAMP = "%Y%m%dT%H%M%S%f"
VALUE = re.compile(r"(\d{1,18})-(\d{8}T\d{12})")

Block = dict[str, Any]


@dataclass(frozen=True)
class Press:
    """What somebody pressed: the verb, which incident (by number and the time it opened), and who it was."""

    verb: Verb
    incident: int
    opened_at: datetime
    author: str
    user: str
    channel: str
    answer_to: str | None = None


def actions(outgoing: Outgoing) -> Block | None:
    """The row of buttons under an open incident. Which one it is stands in the delivery's key; None where it is about none."""
    message = outgoing.message
    found = re.match(rf"inc:{VALUE.pattern}:", outgoing.key)
    if found is None or message.state != "open":
        return None
    value = f"{found[1]}-{found[2]}"
    acked = any(mark.startswith("acknowledged ") for mark in message.marks)
    shown = [verb for verb in VERBS if not (acked and verb == "acknowledge")]
    return {"type": "actions", "block_id": f"{PREFIX}{value}"[:255], "elements": [_button(verb, value) for verb in shown]}


def _button(verb: Verb, value: str) -> Block:
    button: Block = {
        "type": "button",
        "action_id": PREFIX + verb,
        "text": {"type": "plain_text", "text": WORDS[verb]},
        "value": value,
    }
    if verb == "acknowledge":
        button["style"] = "primary"
    if verb == "accept":
        button["confirm"] = {
            "title": {"type": "plain_text", "text": WORDS[verb]},
            "text": {"type": "plain_text", "text": SURE},
            "confirm": {"type": "plain_text", "text": "Accept"},
            "deny": {"type": "plain_text", "text": "Cancel"},
        }
    return button


def pressed(payload: Any) -> list[Press]:
    """What an interaction of Slack's says was pressed; nothing for whatever is not one of our buttons. Never raises."""
    if not isinstance(payload, dict) or payload.get("type") != "block_actions":
        return []
    user, channel, said = (_part(payload, name) for name in ("user", "channel", "container"))
    author = str(user.get("username") or user.get("name") or user.get("id") or "somebody")
    out: list[Press] = []
    for action in payload.get("actions") or []:
        verb = str(_dict(action).get("action_id", "")).removeprefix(PREFIX)
        found = VALUE.fullmatch(str(_dict(action).get("value", "")))
        opened = _moment(found[2]) if found else None
        if found and opened and verb in VERBS and str(action["action_id"]).startswith(PREFIX):
            place = str(channel.get("id") or said.get("channel_id") or "")
            url = payload.get("response_url")
            answer = url if isinstance(url, str) else None
            out.append(Press(verb, int(found[1]), opened, author, str(user.get("id") or ""), place, answer))
    return out


def _part(payload: dict[str, Any], name: str) -> dict[str, Any]:
    return _dict(payload.get(name))


def _dict(given: Any) -> dict[str, Any]:
    return given if isinstance(given, dict) else {}


def _moment(stamp: str) -> datetime | None:
    try:
        return datetime.strptime(stamp, STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None
