"""Slack when things go wrong: what each failure means, and that a look tells what arrived."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alerts.base import (
    CannotLookUp,
    ChannelBroken,
    CredentialBroken,
    DeliveryError,
    NotSent,
    RateLimited,
    RootGone,
    Unknown,
)
from alerts.message import Message, Outgoing
from alerts.slack import Slack
from checks.result import Severity
from monitor.testing import FakeSlack

AT = datetime(2026, 11, 23, 2, 4, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
OPEN = Message("open", "orders · bad values in amount", "CRIT orders: missing(amount) is 38.2 %", AT, Severity.CRITICAL)


def root(key: str = "inc:12:open:1") -> Outgoing:
    return Outgoing("root", key, OPEN)


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as running:
        yield running


def channel(slack: FakeSlack, **more: Any) -> Slack:
    return Slack.model_validate({"token": slack.token, "channel": "#oncall", "api": slack.url, "timeout": 5, **more})


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("channel_not_found", ChannelBroken),
        ("not_in_channel", ChannelBroken),
        ("is_archived", ChannelBroken),
        ("restricted_action", ChannelBroken),
        ("invalid_auth", CredentialBroken),
        ("not_authed", CredentialBroken),
        ("token_revoked", CredentialBroken),
        ("token_expired", CredentialBroken),
        ("account_inactive", CredentialBroken),
        ("missing_scope", CredentialBroken),
        ("ekm_access_denied", CredentialBroken),
        ("message_not_found", RootGone),
        ("cant_update_message", RootGone),
        ("edit_window_closed", RootGone),
        ("ratelimited", RateLimited),
        ("rate_limited", RateLimited),
        ("internal_error", Unknown),
        ("fatal_error", Unknown),
        ("a_name_nobody_has_seen", Unknown),
    ],
)
def test_each_refusal_means_what_the_sender_can_do_about_it(slack: FakeSlack, name: str, kind: type[DeliveryError]) -> None:
    slack.misbehave([{"do": "error", "error": name}])
    with pytest.raises(kind, match=name) as raised:
        channel(slack).send(root())
    assert type(raised.value) is kind


@pytest.mark.parametrize(
    ("header", "pause"),
    [("2", 2), ("2.5", 2.5), (None, 30), ("86400", 600), ("0", 1), ("nan", 30), ("soon", 30), ("-5", 1)],
)
def test_s2_a_rate_limit_says_how_long_to_pause(slack: FakeSlack, header: str | None, pause: float) -> None:
    slack.misbehave([{"do": "rate_limit", "retry_after": header}])
    with pytest.raises(RateLimited) as raised:
        channel(slack).send(root())
    assert raised.value.after == pause
    assert slack.messages == []


def test_s2_a_rate_limit_may_give_a_date(slack: FakeSlack) -> None:
    later = datetime.now(UTC) + timedelta(hours=5)
    slack.misbehave([{"do": "rate_limit", "retry_after": f"{later:%a, %d %b %Y %H:%M:%S} GMT"}])
    with pytest.raises(RateLimited) as raised:
        channel(slack).send(root())
    assert raised.value.after == 600


@pytest.mark.parametrize("accepted", [True, False])
@pytest.mark.parametrize(
    "fault",
    [
        {"do": "server_error"},
        {"do": "server_error", "status": 503},
        {"do": "drop"},
        {"do": "cut", "accepted": True},
        {"do": "hang", "seconds": 60},
        {"do": "drip", "seconds": 0.05, "accepted": True},
        {"do": "not_json"},
        {"do": "redirect"},
        {"do": "error", "error": "internal_error"},
    ],
    ids=lambda fault: f"{fault['do']}-{fault.get('status', '')}",
)
def test_an_answer_that_proves_nothing_is_unknown_and_a_look_tells(slack: FakeSlack, fault: dict[str, Any], accepted: bool) -> None:
    team = channel(slack, timeout=1.5 if fault["do"] in {"hang", "drip"} else 10)
    slack.misbehave([{"accepted": accepted, **fault}])
    with pytest.raises(Unknown):
        team.send(root())
    found = channel(slack).find(root(), LONG_AGO)
    arrived = [f"{m['channel']}:{m['ts']}" for m in slack.messages]
    assert arrived == ([found] if accepted or fault.get("accepted") else [])
    assert len(slack.asked("chat.postMessage")) == 1, "the sender decides about a repeat, not the client"


def test_a_redirect_gets_neither_message_nor_token(slack: FakeSlack) -> None:
    slack.misbehave([{"do": "redirect"}])
    with pytest.raises(Unknown):
        channel(slack).send(root())
    assert len(slack.calls) == 1


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_refused_connection_is_surely_not_sent() -> None:
    nobody = Slack.model_validate({"token": "xoxb", "channel": "#oncall", "api": f"http://127.0.0.1:{closed_port()}/api/"})
    with pytest.raises(NotSent, match="refused"):
        nobody.send(root())


def test_a_name_that_does_not_resolve_is_surely_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    with pytest.raises(NotSent, match="gaierror"):
        Slack.model_validate({"token": "xoxb", "channel": "#oncall"}).send(root())


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(slack: FakeSlack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    channel(slack).send(root())
    assert len(slack.messages) == 1


def test_s10_a_root_that_somebody_deleted_is_gone(slack: FakeSlack) -> None:
    team = channel(slack)
    reference = team.send(root())
    slack.delete(reference.partition(":")[2])
    line = Outgoing("line", "line", OPEN, root=reference)
    for outgoing in (Outgoing("edit", "edit", OPEN, root=reference), line, replace(line, root=None)):
        with pytest.raises(RootGone):
            team.send(outgoing)
    assert team.find(line, LONG_AGO) is None


def test_a_look_goes_through_every_page_and_only_back_to_the_attempt(slack: FakeSlack) -> None:
    team = channel(slack)
    reference = team.send(root("wanted"))
    for n in range(205):
        slack.workspace.post({"channel": "oncall", "text": f"chatter {n}"})
    assert team.find(root("wanted"), LONG_AGO) == reference
    assert len(slack.asked("conversations.history")) == 2
    assert team.find(root("another"), LONG_AGO) is None
    assert team.find(root("wanted"), datetime.now(UTC) + timedelta(hours=1)) is None


def test_a_look_after_a_restart_finds_a_line_in_its_thread_and_a_root_by_the_channels_name(slack: FakeSlack) -> None:
    reference = channel(slack).send(root())
    line = Outgoing("line", "inc:12:line:2", OPEN, root=reference)
    sent = channel(slack).send(line)
    assert channel(slack).find(line, LONG_AGO) == sent
    assert channel(slack).find(replace(line, key="inc:12:line:3"), LONG_AGO) is None
    assert channel(slack).find(root(), LONG_AGO) == reference
    assert channel(slack, channel=slack.channel("oncall")).find(root(), LONG_AGO) == reference


def test_somebody_elses_metadata_is_not_taken_for_ours(slack: FakeSlack) -> None:
    for event, payload in (("other", {"key": "k"}), ("datavigil", {"no": "key"}), ("datavigil", {})):
        slack.workspace.post({"channel": "oncall", "text": "x", "metadata": {"event_type": event, "event_payload": payload}})
    assert channel(slack).find(root("k"), LONG_AGO) is None


def test_a_look_without_the_scope_says_which_one_is_missing() -> None:
    with FakeSlack(scopes=["chat:write"]) as slack:
        channel(slack).send(root())
        by_id = channel(slack, channel=slack.channel("oncall"))
        with pytest.raises(CannotLookUp, match="channels:history"):
            by_id.find(root(), LONG_AGO)
        with pytest.raises(CannotLookUp, match="write the id"):
            channel(slack).find(root(), LONG_AGO)


def test_an_earlier_message_tells_where_to_look_without_the_scope_to_list_channels() -> None:
    with FakeSlack(scopes=["chat:write", "channels:history"]) as slack:
        earlier = channel(slack).send(root("inc:1:open:1"))
        lost = channel(slack).send(root())
        restarted = channel(slack)
        with pytest.raises(CannotLookUp):
            restarted.find(root(), LONG_AGO)
        assert restarted.find(replace(root(), near=earlier), LONG_AGO) == lost


def test_a_private_channel_is_found_by_name() -> None:
    with FakeSlack(scopes=["chat:write", "groups:read", "groups:history"]) as slack:
        slack.workspace.add("secret-room", private=True)
        room = channel(slack, channel="#secret-room")
        reference = room.send(root())
        assert channel(slack, channel="#secret-room").find(root(), LONG_AGO) == reference


def test_a_look_that_fails_itself_proves_nothing(slack: FakeSlack) -> None:
    team = channel(slack)
    team.send(root())
    slack.misbehave(["server_error", {"do": "error", "error": "invalid_auth"}, {"do": "rate_limit", "retry_after": "7"}])
    for kind in (Unknown, CredentialBroken, RateLimited):
        with pytest.raises(kind):
            team.find(root(), LONG_AGO)
