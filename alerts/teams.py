"""Microsoft Teams by the webhook of a workflow: each message an Adaptive Card."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import Field, SecretStr, field_validator

from alerts.base import Channel, ChannelBroken, CredentialBroken, DeliveryError, Impossible, RateLimited, Unknown
from alerts.message import Message, Outgoing
from alerts.plain import as_text, clean, fact_text, footer, mark, news, shown, subject, verdict
from alerts.wire import Answer, post

LARGEST = 26_000
"""Bytes of a message; Teams takes 28 kB."""
FINDINGS = 20
PLAIN = 3000
"""Characters of the plain text that is tried where the card was refused."""
LONGEST_CODE = 2000
COLOURS = {"open": "attention", "resolved": "good", "info": "default"}


class Teams(Channel):
    """A Teams channel or chat, by the address of a workflow "post to a channel when a webhook request is received".

    The workflow answers as soon as it took the card; it neither edits nor can be asked. Each change of an incident is a card
    of its own.
    """

    url: SecretStr = Field(
        description="the workflow's address; secret, since it holds a signature",
        examples=["https://prod-01.westeurope.logic.azure.com/workflows/0?sig=x"],
    )
    timeout: float = Field(10, gt=0, le=120, description="seconds that one delivery may take in all")

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: SecretStr) -> SecretStr:
        if not re.fullmatch(r"https?://[^\s/@]+/\S*", url.get_secret_value()):
            raise ValueError("must be the address that Teams shows when the workflow is saved, https://...")
        return url

    @property
    def where(self) -> str:
        return "Microsoft Teams"

    def send(self, outgoing: Outgoing) -> None:
        try:
            self._post(card(outgoing.message))
        except Impossible:
            # What cannot be laid out may still be said.
            self._post([_text(as_text(outgoing.message)[:PLAIN])])

    def _post(self, body: list[dict[str, Any]]) -> None:
        raw = _encoded(body)
        answer = post(self.url.get_secret_value(), raw, {"Content-Type": "application/json"}, self.timeout, self.where)
        if not 200 <= answer.status < 300:
            raise _refusal(answer)


def envelope(body: list[dict[str, Any]]) -> dict[str, Any]:
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": body,
    }
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "contentUrl": None, "content": content}]}


def _encoded(body: list[dict[str, Any]]) -> bytes:
    # Not as \u escapes: those take twelve bytes for a letter that is four.
    return json.dumps(envelope(body), ensure_ascii=False).encode()


def card(message: Message) -> list[dict[str, Any]]:
    """The card's body: as many findings as fit."""
    for findings in (FINDINGS, 5, 1):
        body = list(_parts(message, findings))
        if len(_encoded(body)) <= LARGEST:
            return body
    return [_text(clean(as_text(message), PLAIN, breaks=True))]


def _parts(message: Message, most: int) -> Iterator[dict[str, Any]]:
    yield _text(f"{verdict(message)} · {clean(message.title, 200)}", weight="bolder", size="large", color=COLOURS[message.state])
    yield _text(subject(message, 500), weight="bolder")
    if said := news(message):
        yield _text(said)
    findings, more = shown(message, most)
    for finding in findings:
        yield _text(f"{mark(finding)}: {clean(finding.text, 500)}")
    if more:
        yield _text(f"and {more} more")
    for fact in message.facts[:most]:
        yield _labelled(clean(fact.label, 40), fact_text(fact)[:500])
    for step in message.todo[:5]:
        yield _labelled("First do", clean(step, 500))
    if message.code:
        yield _text(clean(message.code, LONGEST_CODE, breaks=True), fontType="monospace")
    yield _text(footer(message), isSubtle=True, size="small")


def _text(text: str, **style: Any) -> dict[str, Any]:
    return _rich({"type": "TextRun", "text": text, **style})


def _labelled(label: str, text: str) -> dict[str, Any]:
    return _rich({"type": "TextRun", "text": f"{label}: ", "weight": "bolder"}, {"type": "TextRun", "text": text})


def _rich(*runs: dict[str, Any]) -> dict[str, Any]:
    """A TextBlock would read data as Markdown; what stands in a text run is shown as it is."""
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _refusal(answer: Answer) -> DeliveryError:
    said = f"Microsoft Teams answered {answer.status}"
    if answer.status == 429:
        return RateLimited(said, answer.pause)
    if answer.status in {401, 403}:
        return CredentialBroken(f"{said}: the workflow's address is no longer valid; copy it anew")
    if answer.status in {400, 413, 422}:
        return Impossible(said)
    if answer.status >= 500 or answer.status in {408, 409}:
        return Unknown(said)
    return ChannelBroken(f"{said}: the workflow is gone or turned off" if answer.status in {404, 410} else said)
