"""Slack by its Web API with a bot token: one root message per incident, edited in place, details in its thread."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, PrivateAttr, SecretStr, field_validator

from alerts.base import (
    CannotLookUp,
    Channel,
    ChannelBroken,
    CredentialBroken,
    DeliveryError,
    Impossible,
    RateLimited,
    RootGone,
    Unknown,
)
from alerts.blocks import blocks, fallback
from alerts.message import Outgoing
from alerts.wire import post, remaining
from checks.result import Severity

if TYPE_CHECKING:
    from slack_sdk import WebClient


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


EVENT = "datavigil"
"""The event type of our messages' metadata; the payload holds the key."""
PLAIN = 3000
"""Characters of the plain text that is tried where blocks were refused."""
EARLIER = timedelta(hours=1)
"""Slack's clock may be this much behind ours when we look for a message."""

BROKEN = _names(
    """
    channel_not_found not_in_channel is_archived restricted_action restricted_action_read_only_channel
    channel_is_archived restricted_action_thread_only_channel restricted_action_non_threadable_channel
    team_access_not_granted user_not_in_channel messages_tab_disabled is_inactive
    """
)
REFUSED = _names(
    """
    invalid_auth not_authed token_revoked token_expired account_inactive missing_scope ekm_access_denied no_permission
    not_allowed_token_type org_login_required access_denied two_factor_setup_required team_not_found
    """
)
IMPOSSIBLE = _names(
    """
    msg_too_long msg_blocks_too_long invalid_blocks invalid_blocks_format too_many_attachments no_text
    metadata_too_large invalid_metadata_format invalid_metadata_schema markdown_text_conflict
    """
)
GONE = _names("message_not_found cant_update_message edit_window_closed thread_not_found cannot_reply_to_message")
LIMITED = _names("ratelimited rate_limited message_limit_exceeded")
UNSEEN = _names("missing_scope not_in_channel channel_not_found no_permission not_allowed_token_type")
"""On a look-up these only say that we may not look: posting can work all the same."""


class SlackRefusal(Exception):
    """Slack's answer was `ok: false`; the message is its name for the reason."""


class Slack(Channel):
    """A Slack channel, by a bot token with the scope chat:write.

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
        client = _client(self.token.get_secret_value(), self.api, self.timeout, self.where)
        mention = " ".join(who for who in (self.mention, self._owner(outgoing)) if who)
        method, body = self._request(outgoing, mention)
        try:
            said = _call(client, method, {**body, "blocks": blocks(outgoing, mention, self.app_token is not None)})
        except SlackRefusal as refusal:
            if str(refusal) not in IMPOSSIBLE:
                raise _meaning(str(refusal), self.where) from None
            said = self._plainly(client, method, {**body, "text": fallback(outgoing, mention, PLAIN)})
        return self._reference(said)

    @property
    def account(self) -> str:
        return f"slack {self.api} {self.token.get_secret_value()}"

    def probe(self) -> bool:
        client = _client(self.token.get_secret_value(), self.api, self.timeout, self.where)
        try:
            _call(client, "auth.test", {})
        except SlackRefusal as refusal:
            raise _meaning(str(refusal), self.where) from None
        return True

    def _plainly(self, client: WebClient, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """Once more without layout, under the same key: what Slack cannot lay out it may still say."""
        try:
            # An edit that leaves its blocks out would keep the old ones.
            return _call(client, method, {**body, "blocks": []} if method == "chat.update" else body)
        except SlackRefusal as refusal:
            raise _meaning(str(refusal), self.where) from None

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
            client = _client(self.token.get_secret_value(), self.api, self.timeout / 4, self.where)
            try:
                found = _answer(client, "users.lookupByEmail", params={"email": owners[0]})
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
        client = _client(self.token.get_secret_value(), self.api, self.timeout, self.where)
        try:
            return self._found(client, outgoing, since - EARLIER)
        except SlackRefusal as refusal:
            if str(refusal) in UNSEEN:
                raise CannotLookUp(f"{self.where} cannot be read ({refusal}): {SCOPES}") from None
            if str(refusal) == "thread_not_found":
                return None
            raise _meaning(str(refusal), self.where) from None

    def _found(self, client: WebClient, outgoing: Outgoing, oldest: datetime) -> str | None:
        asked: dict[str, Any] = {"oldest": f"{oldest.timestamp():.6f}", "include_all_metadata": True, "limit": 200}
        if outgoing.form == "line":
            channel, _, ts = _root(outgoing).rpartition(":")
            pages = _pages(client, "conversations.replies", {**asked, "channel": channel, "ts": ts})
        else:
            channel = self._id(client, outgoing.near)
            pages = _pages(client, "conversations.history", {**asked, "channel": channel})
        for page in pages:
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
                for page in _pages(client, "users.conversations", {"types": types, "limit": 999, "exclude_archived": True}):
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


SCOPES = "grant channels:history (groups:history for a private channel) and invite the bot"


def _root(outgoing: Outgoing) -> str:
    if not outgoing.root or ":" not in outgoing.root:
        raise RootGone(f"there is no root message to {'edit' if outgoing.form == 'edit' else 'answer'}")
    return outgoing.root


def _client(token: str, api: str, timeout: float, where: str) -> WebClient:
    """Slack's own client on our own wire: it retries after a lost connection (and then posts twice), and its timeout does
    not bound an answer that drips."""
    from slack_sdk import WebClient

    until = time.monotonic() + timeout

    class Client(WebClient):
        def _perform_urllib_http_request_internal(self, url: str, req: Any) -> dict[str, Any]:
            answer = post(url, req.data or b"", dict(req.header_items()), remaining(until), where)
            if answer.status == 429:
                raise RateLimited(f"{where} asks for a pause of {answer.pause:g} s", answer.pause)
            if answer.status >= 500 or not _is_object(answer.body):
                raise Unknown(f"{where} answered {answer.status} with something that is not Slack's")
            return {"status": answer.status, "headers": dict(answer.headers.items()), "body": answer.body.decode()}

    silent = logging.getLogger("alerts.slack.sdk")
    # What goes wrong is raised, and logged once by who sends; the SDK would log it too, and whole bodies at debug.
    silent.setLevel(logging.CRITICAL)
    return Client(token, base_url=api, retry_handlers=[], logger=silent)


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except ValueError:
        return False


def _call(client: WebClient, method: str, body: dict[str, Any]) -> dict[str, Any]:
    """One call; Slack's answer. Raises SlackRefusal with Slack's name for what it refused, or a DeliveryError."""
    return _answer(client, method, json=body)


def _pages(client: WebClient, method: str, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    cursor = ""
    while True:
        page = _answer(client, method, params={**asked, **({"cursor": cursor} if cursor else {})})
        yield page
        cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
        if not cursor:
            return


def _answer(client: WebClient, method: str, **request: Any) -> dict[str, Any]:
    from slack_sdk.errors import SlackApiError, SlackClientError

    try:
        response = client.api_call(method, **request)
    except SlackApiError as refusal:
        name = str(refusal.response.get("error") or "")
        raise SlackRefusal(name if re.fullmatch(r"[a-z0-9_]{1,80}", name) else "an unnamed error") from None
    except (SlackClientError, ValueError) as fault:
        raise Unknown(f"Slack's client gave up ({type(fault).__name__})") from None
    return dict(response.data) if isinstance(response.data, dict) else {}


def _meaning(name: str, where: str) -> DeliveryError:
    said = f"{where} refused: {name}"
    if name in BROKEN:
        return ChannelBroken(said)
    if name in REFUSED:
        return CredentialBroken(said)
    if name in IMPOSSIBLE:
        return Impossible(said)
    if name in GONE:
        return RootGone(said)
    return RateLimited(said, 30.0) if name in LIMITED else Unknown(said)
