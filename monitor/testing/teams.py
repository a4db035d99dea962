"""The webhook of a Teams workflow on loopback: takes Adaptive Cards, checks them as Teams does, and misbehaves on order."""

from __future__ import annotations

import json
from typing import Any

from monitor.testing.serving import Reply, Request
from monitor.testing.webhook import WebhookSink

LARGEST = 28 * 1024


class FakeTeams(WebhookSink):
    """`with FakeTeams() as teams: Teams(url=teams.url)`. `cards` are those that were shown."""

    @property
    def url(self) -> str:
        return f"{self.address}/workflows/1?sig=s1gn4tur3"

    @property
    def cards(self) -> list[dict[str, Any]]:
        return [post.json["attachments"][0]["content"] for post in self.posts]

    def texts(self) -> list[str]:
        """What each card says, line by line."""
        return [
            "\n".join("".join(run["text"] for run in block["inlines"]) for block in card["body"] if "inlines" in block)
            for card in self.cards
        ]

    def answer(self, request: Request) -> Reply:
        refused = _refusal(request)
        return Reply({"error": {"code": "BadRequest"}}, refused) if refused else super().answer(request)


def _refusal(request: Request) -> int:
    if "sig=s1gn4tur3" not in request.path:
        return 401
    if len(request.body) > LARGEST:
        return 413
    try:
        (attachment,) = json.loads(request.body)["attachments"]
        good = attachment["content"]["type"] == "AdaptiveCard" and attachment["content"]["body"]
    except (ValueError, KeyError, TypeError):
        return 400
    return 0 if good and all(_sound(block) for block in good) else 400


def _sound(block: dict[str, Any]) -> bool:
    runs = block.get("inlines") or ()
    return block.get("type") == "RichTextBlock" and bool(runs) and all(run["type"] == "TextRun" and "text" in run for run in runs)
