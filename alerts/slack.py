"""Slack by its Web API with a bot token: one root message per incident, edited in place, details in its thread."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, PrivateAttr, SecretStr, field_validator

from alerts.base import (
    CannotLookUp,
    Channel,
    CredentialBroken,
    DeliveryError,
    RootGone,
    Unknown,
)
from alerts.blocks import blocks, fallback
from alerts.message import Chart, Outgoing
from alerts.slack_calls import IMPOSSIBLE, SlackRefusal, answer, call, client_of, meaning, names, pages, scopes
from alerts.slack_upload import uploaded
from checks.result import Severity

if TYPE_CHECKING:
    from slack_sdk import WebClient


EVENT = "datavigil"
"""The event type of our messages' metadata; the payload holds the key."""
PLAIN = 3000
"""Characters of the plain text that is tried where blocks were refused."""
EARLIER = timedelta(hours=1)
"""Slack's clock may be this much behind ours when we look for a message."""

UNSEEN = names("missing_scope not_in_channel channel_not_found no_permission not_allowed_token_type")
"""On a look-up these only say that we may not look: posting can work all the same."""


class Slack(Channel):
    """A Slack channel, by a bot token with the scope chat:write, and files:write for charts.

    The scopes channels:history (groups:history for a private channel) let it look up whether a message arrived, so that
    nothing is posted twice; without them a repeat after a lost connection is marked "(may repeat)". To look up by a
    channel's name before anything was sent there it needs channels:read (groups:read); by its id (C0123456789) it does not.
    """

    threads = True
    looks_up = True
    pace = 1.0

    token: SecretStr = Field(description="the bot token, xoxb-...", examples=["xoxb-0-example"])
    app_token: SecretStr | None = Field(
        None, description="xapp-..., for buttons by Socket Mode; without it there are none", examples=["xapp-0-example"]
    )
    channel: str = Field(description="a name (#data-quality) or an id (C0123456789)", min_length=1, examples=["#data-quality"])
    api: str = Field(
        "https://slack.com/api/", description="Slack's address; GovSlack and tests have others", pattern=r"^https?://\S+$"
    )
    timeout: float = Field(10, gt=0, le=120, description="seconds that one delivery may take in all")
    charts: bool = Field(True, description="a chart into the thread of each incident that opens; needs files:write")

    MENTION: ClassVar[str] = r"<!(here|channel|everyone)>|<@[A-Z0-9]+>|<!subteam\^[A-Z0-9]+>"
    _ids: dict[str, str] = PrivateAttr(default_factory=dict)
    _people: dict[str, str] = PrivateAttr(default_factory=dict)

    @field_validator("mention")
    @classmethod
    def _is_mention(cls, mention: str | None) -> str | None:
        if mention and not re.fullmatch(rf"({cls.MENTION})( +({cls.MENTION}))*", mention):
            raise ValueError("write <!here>, <@U0123456789> for a person or <!subteam^S0123456789> for a group")
        return mention

    @property
    def where(self) -> str:
        return f"Slack {self.channel}"

    def send(self, outgoing: Outgoing) -> str:
        """Posts, edits or answers; the reference is `CHANNELID:ts`."""
        client = self._client()
        mention = " ".join(who for who in (self.mention, self._owner(outgoing)) if who)
        method, body = self._request(outgoing, mention)
        try:
            said = call(client, method, {**body, "blocks": blocks(outgoing, mention, self.app_token is not None)})
        except SlackRefusal as refusal:
            if str(refusal) not in IMPOSSIBLE:
                raise meaning(str(refusal), self.where) from None
            said = self._plainly(client, method, {**body, "text": fallback(outgoing, mention, PLAIN)})
        return self._reference(said)

    @property
    def account(self) -> str:
        return f"slack {self.api} {self.token.get_secret_value()}"

    def probe(self) -> bool:
        client = self._client()
        try:
            call(client, "auth.test", {})
        except SlackRefusal as refusal:
            raise meaning(str(refusal), self.where) from None
        return True

    @property
    def draws(self) -> bool:
        return self.charts

    def attach(self, root: str, charts: Sequence[Chart]) -> str:
        channel, _, thread = root.rpartition(":")
        try:
            return f"{channel}:{uploaded(self._client(), channel, thread, charts, self.timeout, self.where)}"
        except SlackRefusal as refusal:
            if str(refusal) == "missing_scope":
                raise CredentialBroken(WITHOUT[CHARTS]) from None
            raise meaning(str(refusal), self.where) from None

    def lacks(self) -> list[str]:
        try:
            granted = scopes(self._client())
        except SlackRefusal as refusal:
            raise meaning(str(refusal), self.where) from None
        # A private channel is read by another scope, and only Slack knows which kind this one is.
        reads = granted is None or granted & HISTORY
        draws = granted is None or not self.charts or CHARTS in granted
        return [WITHOUT[scope] for scope, has in (("channels:history", reads), (CHARTS, draws)) if not has]

    def _client(self) -> WebClient:
        return client_of(self.token.get_secret_value(), self.api, self.timeout, self.where)

    def _plainly(self, client: WebClient, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """Once more without layout, under the same key: what Slack cannot lay out it may still say."""
        try:
            # An edit that leaves its blocks out would keep the old ones.
            return call(client, method, {**body, "blocks": []} if method == "chat.update" else body)
        except SlackRefusal as refusal:
            raise meaning(str(refusal), self.where) from None

    def _owner(self, outgoing: Outgoing) -> str:
        """The owner as a mention, where it is an e-mail address that Slack knows and a critical one opens or calls; else nothing.

        A courtesy: whatever goes wrong costs the mention, and at most a quarter of the time that the message has.
        """
        message = outgoing.message
        owners = [f.value for f in message.facts if f.label == "Owner" and isinstance(f.value, str)]
        loud = outgoing.form == "root" or (outgoing.form == "line" and message.calls)
        opens = loud and message.state == "open" and message.severity is Severity.CRITICAL
        if not opens or not owners or not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+", owners[0]):
            return ""
        if owners[0] not in self._people:
            client = client_of(self.token.get_secret_value(), self.api, self.timeout / 4, self.where)
            try:
                found = answer(client, "users.lookupByEmail", params={"email": owners[0]})
            except SlackRefusal as refusal:
                # Nobody of that address today may be somebody tomorrow, but that is not worth a call per incident.
                found = {}
                if str(refusal) != "users_not_found":
                    return ""
            except DeliveryError:
                return ""
            known = str((found.get("user") or {}).get("id") or "")
            self._people[owners[0]] = f"<@{known}>" if re.fullmatch(r"[UW][A-Z0-9]{2,}", known) else ""
        return self._people[owners[0]]

    def _request(self, outgoing: Outgoing, mention: str) -> tuple[str, dict[str, Any]]:
        text = fallback(outgoing, mention)
        if outgoing.form == "edit":
            # Without metadata in it the root keeps its own, under which it can be found again.
            channel, _, ts = _root(outgoing).rpartition(":")
            return "chat.update", {"channel": channel, "ts": ts, "text": text, "parse": "none"}
        body: dict[str, Any] = {
            "channel": self.channel,
            "text": text,
            "parse": "none",
            "link_names": False,
            "unfurl_links": False,
            "unfurl_media": False,
            "metadata": {"event_type": EVENT, "event_payload": {"key": outgoing.key}},
        }
        if outgoing.form == "line":
            channel, _, ts = _root(outgoing).rpartition(":")
            body |= {"channel": channel, "thread_ts": ts, "reply_broadcast": outgoing.broadcast}
        return "chat.postMessage", body

    def _reference(self, said: dict[str, Any]) -> str:
        channel, ts = said.get("channel"), said.get("ts")
        if not isinstance(channel, str) or not isinstance(ts, str):
            raise Unknown(f"{self.where} said ok but not which message it made")
        self._ids[self.channel] = channel
        return f"{channel}:{ts}"

    def find(self, outgoing: Outgoing, since: datetime) -> str | None:
        """By the key in the metadata of the channel's (or the thread's) messages. An edit is never found: it may be repeated."""
        if outgoing.form == "edit":
            return None
        client = self._client()
        try:
            return self._found(client, outgoing, since - EARLIER)
        except SlackRefusal as refusal:
            if str(refusal) in UNSEEN:
                raise CannotLookUp(f"{self.where} cannot be read ({refusal}): {SCOPES}") from None
            if str(refusal) == "thread_not_found":
                return None
            raise meaning(str(refusal), self.where) from None

    def _found(self, client: WebClient, outgoing: Outgoing, oldest: datetime) -> str | None:
        asked: dict[str, Any] = {"oldest": f"{oldest.timestamp():.6f}", "include_all_metadata": True, "limit": 200}
        if outgoing.form == "line":
            channel, _, ts = _root(outgoing).rpartition(":")
            found = pages(client, "conversations.replies", {**asked, "channel": channel, "ts": ts})
        else:
            channel = self._id(client, outgoing.near)
            found = pages(client, "conversations.history", {**asked, "channel": channel})
        for page in found:
            for message in page.get("messages", []):
                metadata = message.get("metadata") or {}
                if metadata.get("event_type") == EVENT and metadata.get("event_payload", {}).get("key") == outgoing.key:
                    return f"{channel}:{message['ts']}"
        return None

    def _id(self, client: WebClient, near: str | None) -> str:
        """The channel's id: reading, unlike posting, takes no name. An earlier message tells it without asking."""
        if re.fullmatch(r"[CDG][A-Z0-9]{8,}", self.channel):
            return self.channel
        if self.channel not in self._ids and near and ":" in near:
            return near.partition(":")[0]
        if self.channel not in self._ids:
            self._ids[self.channel] = self._looked_up(client)
        return self._ids[self.channel]

    def _looked_up(self, client: WebClient) -> str:
        refused = ""
        for types in ("public_channel", "private_channel"):
            try:
                for page in pages(client, "users.conversations", {"types": types, "limit": 999, "exclude_archived": True}):
                    for channel in page.get("channels", []):
                        if channel.get("name") == self.channel.removeprefix("#"):
                            return str(channel["id"])
            except SlackRefusal as refusal:
                if str(refusal) not in UNSEEN:
                    raise
                refused = str(refusal)
        raise CannotLookUp(
            f"the id of {self.where} is not known ({refused or 'the bot is not in it'}): write the id instead of the name"
        )


CHARTS, HISTORY = "files:write", {"channels:history", "groups:history"}
WITHOUT = {
    "channels:history": "without the scope channels:history (groups:history for a private channel) a message whose sending broke "
    "off may come twice, marked (may repeat); grant it to the bot",
    CHARTS: "without the scope files:write there are no charts in its threads; grant it to the bot, or set charts = false",
}
SCOPES = "grant channels:history (groups:history for a private channel) and invite the bot"


def _root(outgoing: Outgoing) -> str:
    if not outgoing.root or ":" not in outgoing.root:
        raise RootGone(f"there is no root message to {'edit' if outgoing.form == 'edit' else 'answer'}")
    return outgoing.root
