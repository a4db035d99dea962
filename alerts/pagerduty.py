"""PagerDuty by its Events API v2: an incident is one alert that triggers, is acknowledged and resolves under one dedup_key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field, SecretStr

from alerts.base import Channel, ChannelBroken, CredentialBroken, DeliveryError, Impossible, RateLimited, Unknown
from alerts.message import Message, Outgoing
from alerts.plain import as_text, clean, fact_text, moment, shown
from alerts.wire import Answer, post

LONGEST_SUMMARY, LONGEST_KEY, LONGEST_TEXT = 1024, 255, 3000
"""Characters that PagerDuty takes of a summary and of a dedup_key, and what we give of a text."""
NAMED = 20
"""Findings that are named; the whole event must stay below 512 kB."""

Action = Literal["trigger", "acknowledge", "resolve"]


class Pagerduty(Channel):
    """A PagerDuty service, by the routing key of its Events API v2 integration.

    The dedup_key is the incident's own: PagerDuty folds what it is told twice, so an incident pages once. What is no
    incident (a digest, a test) goes there as a change event, which pages nobody.
    """

    folds: ClassVar[bool] = True

    routing_key: SecretStr = Field(description="the integration key of the service", examples=["0123456789abcdef0123456789abcdef"])
    api: str = Field(
        "https://events.pagerduty.com", description="https://events.eu.pagerduty.com in the EU", pattern=r"^https?://\S+$"
    )
    timeout: float = Field(10, gt=0, le=120, description="seconds that one delivery may take in all")

    @property
    def where(self) -> str:
        return "PagerDuty"

    def send(self, outgoing: Outgoing) -> str:
        """One event; the reference is its dedup_key."""
        if outgoing.message.state == "info":
            self._enqueue("v2/change/enqueue", {"payload": _summary(outgoing.message)})
        else:
            self._enqueue("v2/enqueue", event(outgoing))
        return dedup_key(outgoing.key)

    def _enqueue(self, path: str, body: dict[str, Any]) -> None:
        raw = json.dumps({"routing_key": self.routing_key.get_secret_value(), **body}).encode()
        url = f"{self.api.rstrip('/')}/{path}"
        answer = post(url, raw, {"Content-Type": "application/json", "User-Agent": "datavigil"}, self.timeout, self.where)
        if answer.status != 202:
            raise _refusal(answer)


def dedup_key(key: str) -> str:
    """The incident's part of a delivery's key: `inc:12-20261123T020400000000:oncall`; the whole key of what is no incident."""
    return (":".join(key.split(":")[:3]) if key.startswith("inc:") else key)[:LONGEST_KEY]


def action(message: Message) -> Action:
    if message.state == "resolved":
        return "resolve"
    return "acknowledge" if message.note.startswith("acknowledged") else "trigger"


def event(outgoing: Outgoing) -> dict[str, Any]:
    """The event without its routing key; only a trigger carries what is wrong."""
    message, act = outgoing.message, action(outgoing.message)
    head = {"event_action": act, "dedup_key": dedup_key(outgoing.key)}
    if act != "trigger":
        return head
    payload = _summary(message) | {
        "severity": "critical" if message.severity == "critical" else "warning",
        "component": clean(message.title, 200),
        "custom_details": dict(_details(message)),
    }
    return {**head, "payload": payload, "client": "datavigil"}


def _summary(message: Message) -> dict[str, Any]:
    text = clean(message.text or message.title, LONGEST_SUMMARY) or "datavigil"
    return {"summary": text, "source": "datavigil", "timestamp": message.at.isoformat()}


def _details(message: Message) -> Iterator[tuple[str, str]]:
    findings, more = shown(message, NAMED)
    for number, finding in enumerate(findings, 1):
        yield f"finding {number}", clean(finding.text, 500)
    if more:
        yield "further findings", str(more)
    for fact in message.facts[:NAMED]:
        yield clean(fact.label, 40), fact_text(fact)[:500]
    yield "message", as_text(message)[:LONGEST_TEXT]
    yield "told at", moment(message.at)


def _refusal(answer: Answer) -> DeliveryError:
    said = f"PagerDuty answered {answer.status}"
    if answer.status == 429:
        return RateLimited(said, answer.pause)
    if answer.status == 400:
        # Its words are left out: they may repeat what they were sent.
        wrong_key = re.search(rb"routing[_ ]key", answer.body, re.IGNORECASE)
        return CredentialBroken(f"{said}: it does not know the routing_key") if wrong_key else Impossible(said)
    if answer.status in {401, 403, 404}:
        return CredentialBroken(said)
    if answer.status == 413:
        return Impossible(said)
    return Unknown(said) if answer.status >= 500 or 200 <= answer.status < 300 or answer.status == 408 else ChannelBroken(said)
