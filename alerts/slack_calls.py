"""Slack's Web API as calls: its own client on our own wire, and what its refusals mean."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from alerts.base import ChannelBroken, CredentialBroken, DeliveryError, Impossible, RateLimited, RootGone, Unknown
from alerts.wire import post, remaining

if TYPE_CHECKING:
    from slack_sdk import WebClient
    from slack_sdk.web import SlackResponse


def names(words: str) -> frozenset[str]:
    return frozenset(words.split())


BROKEN = names(
    """
    channel_not_found not_in_channel is_archived restricted_action restricted_action_read_only_channel
    channel_is_archived restricted_action_thread_only_channel restricted_action_non_threadable_channel
    team_access_not_granted user_not_in_channel messages_tab_disabled is_inactive
    """
)
REFUSED = names(
    """
    invalid_auth not_authed token_revoked token_expired account_inactive missing_scope ekm_access_denied no_permission
    not_allowed_token_type org_login_required access_denied two_factor_setup_required team_not_found
    """
)
IMPOSSIBLE = names(
    """
    msg_too_long msg_blocks_too_long invalid_blocks invalid_blocks_format too_many_attachments no_text
    metadata_too_large invalid_metadata_format invalid_metadata_schema markdown_text_conflict
    """
)
GONE = names("message_not_found cant_update_message edit_window_closed thread_not_found cannot_reply_to_message")
LIMITED = names("ratelimited rate_limited message_limit_exceeded")


class SlackRefusal(Exception):
    """Slack's answer was `ok: false`; the message is its name for the reason."""


def client_of(token: str, api: str, timeout: float, where: str) -> WebClient:
    """Slack's own client on our own wire: it retries after a lost connection (and then posts twice), and its timeout does
    not bound an answer that drips."""
    from slack_sdk import WebClient

    until = time.monotonic() + timeout

    class Client(WebClient):
        def _perform_urllib_http_request_internal(self, url: str, req: Any) -> dict[str, Any]:
            said = post(url, req.data or b"", dict(req.header_items()), remaining(until), where)
            if said.status == 429:
                raise RateLimited(f"{where} asks for a pause of {said.pause:g} s", said.pause)
            if said.status >= 500 or not _is_object(said.body):
                raise Unknown(f"{where} answered {said.status} with something that is not Slack's")
            return {"status": said.status, "headers": dict(said.headers.items()), "body": said.body.decode()}

    silent = logging.getLogger("alerts.slack.sdk")
    # What goes wrong is raised, and logged once by who sends; the SDK would log it too, and whole bodies at debug.
    silent.setLevel(logging.CRITICAL)
    return Client(token, base_url=api, retry_handlers=[], logger=silent)


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except ValueError:
        return False


def call(client: WebClient, method: str, body: dict[str, Any]) -> dict[str, Any]:
    """One call; Slack's answer. Raises SlackRefusal with Slack's name for what it refused, or a DeliveryError."""
    return answer(client, method, json=body)


def pages(client: WebClient, method: str, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    cursor = ""
    while True:
        page = answer(client, method, params={**asked, **({"cursor": cursor} if cursor else {})})
        yield page
        cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
        if not cursor:
            return


def scopes(client: WebClient) -> set[str] | None:
    """What the token may do; None where the answer does not say. Raises as `call` does."""
    granted = _answered(client, "auth.test").headers.get("x-oauth-scopes")
    return None if granted is None else {scope.strip() for scope in granted.split(",")}


def answer(client: WebClient, method: str, **request: Any) -> dict[str, Any]:
    response = _answered(client, method, **request)
    return dict(response.data) if isinstance(response.data, dict) else {}


def _answered(client: WebClient, method: str, **request: Any) -> SlackResponse:
    from slack_sdk.errors import SlackApiError, SlackClientError

    try:
        return client.api_call(method, **request)
    except SlackApiError as refusal:
        name = str(refusal.response.get("error") or "")
        raise SlackRefusal(name if re.fullmatch(r"[a-z0-9_]{1,80}", name) else "an unnamed error") from None
    except (SlackClientError, ValueError) as fault:
        raise Unknown(f"Slack's client gave up ({type(fault).__name__})") from None


def meaning(name: str, where: str) -> DeliveryError:
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
