"""Slack against the double: what it is told, what it refuses, how it breaks, and that data can do no harm."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from alerts.base import (
    CannotLookUp,
    ChannelBroken,
    CredentialBroken,
    DeliveryError,
    Impossible,
    NotSent,
    RateLimited,
    RootGone,
    Unknown,
)
from alerts.blocks import blocks
from alerts.message import Fact, Finding, Message, Outgoing
from alerts.slack import Slack
from checks.result import Severity
from monitor.testing import FakeSlack, as_html, as_text, pings
from monitor.testing.limits import texts

AT = datetime(2026, 11, 23, 2, 4, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

OPEN = Message(
    state="open",
    title="orders · bad values in amount",
    text="CRIT orders: missing(amount) is 38.2 %, at most 2 % allowed",
    at=AT,
    severity=Severity.CRITICAL,
    findings=(
        Finding("value_range(amount) is -12, 0 to 100 allowed", "amount", Severity.WARNING),
        Finding("missing(amount) is 38.2 %, at most 2 % allowed", "amount", Severity.CRITICAL),
    ),
    facts=(Fact("Since", datetime(2026, 11, 23, 1, tzinfo=UTC)), Fact("Owner", "data-platform")),
    todo=("Runbook: https://wiki.example.com/orders?a=1&b=2", "datavigil results --dataset orders --failed"),
    code='select * from orders where "amount" is null',
    why="route critical",
    incident="INC-12",
    note="opened",
)
RESOLVED = replace(OPEN, state="resolved", text="RESOLVED orders: over after 1 h 58 min", note="resolved", todo=(), code=None)


def root(key: str = "inc:12:open:1", message: Message = OPEN) -> Outgoing:
    return Outgoing("root", key, message)


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as running:
        yield running


def channel(slack: FakeSlack, **more: Any) -> Slack:
    return Slack.model_validate({"token": slack.token, "channel": "#oncall", "api": slack.url, "timeout": 5, **more})


def test_a_root_says_what_broke_how_bad_since_when_and_what_to_do_first(slack: FakeSlack) -> None:
    reference = channel(slack).send(root())
    (message,) = slack.roots("#oncall")
    assert reference == f"{slack.channel('oncall')}:{message['ts']}"
    shown = as_text(message)
    assert shown.splitlines()[0] == "🔴 CRITICAL · orders · bad values in amount"
    assert shown.index("missing(amount)") < shown.index("value_range(amount)")
    assert "Mon 2026-11-23 01:00 UTC" in shown
    assert "https://wiki.example.com/orders?a=1&b=2" in shown
    assert "INC-12 · route critical" in shown.splitlines()[-1]
    assert message["text"] == "🔴 CRIT orders: missing(amount) is 38.2 %, at most 2 % allowed"
    assert message["metadata"] == {"event_type": "datavigil", "event_payload": {"key": "inc:12:open:1"}}


def test_a_time_is_shown_in_the_readers_own_zone(slack: FakeSlack) -> None:
    channel(slack).send(root())
    fields = slack.messages[0]["blocks"][2]["fields"]
    assert fields[0]["text"] == "*Since*\n<!date^1795395600^{date_short_pretty} {time}|Mon 2026-11-23 01:00 UTC>"


def test_an_edit_replaces_the_root_and_keeps_the_key_it_is_found_by(slack: FakeSlack) -> None:
    team = channel(slack)
    reference = team.send(root())
    assert team.send(Outgoing("edit", "inc:12:rev:2", RESOLVED, root=reference)) == reference
    (message,) = slack.messages
    assert message["edits"] == 1
    assert as_text(message).startswith("✅ RESOLVED, was CRITICAL")
    assert team.find(root(), LONG_AGO) == reference


def test_a_line_answers_in_the_thread_and_is_broadcast_when_asked(slack: FakeSlack) -> None:
    team = channel(slack)
    reference = team.send(root())
    worse = replace(OPEN, note="worse: missing(amount) is 60 %")
    team.send(Outgoing("line", "inc:12:line:2", worse, root=reference))
    team.send(Outgoing("line", "inc:12:resolved:1", RESOLVED, root=reference, broadcast=True))
    quiet, loud = slack.thread(reference.partition(":")[2])
    assert as_text(quiet) == "🔴 worse: missing(amount) is 60 %"
    assert "subtype" not in quiet
    assert as_text(loud) == "✅ RESOLVED orders: over after 1 h 58 min"
    assert loud["subtype"] == "thread_broadcast"


def test_only_an_opening_critical_root_mentions_somebody(slack: FakeSlack) -> None:
    team = channel(slack, mention="<!here> <@U0123456789>")
    reference = team.send(root("critical"))
    team.send(root("warning", replace(OPEN, severity=Severity.WARNING)))
    team.send(root("resolved", RESOLVED))
    team.send(Outgoing("message", "alone", OPEN))
    team.send(Outgoing("line", "line", OPEN, root=reference))
    first, *others = slack.messages
    assert pings(first) == ["<!here>", "<@U0123456789>"]
    assert [pings(m) for m in others] == [[], [], [], []]
    team.send(Outgoing("edit", "edit", OPEN, root=reference))
    assert pings(slack.messages[0]) == []


@pytest.mark.parametrize("mention", ["@here", "here", "<!here>, please", "<!date^1^x|y>", "<https://example.com>"])
def test_a_mention_that_slack_would_not_understand_is_refused(mention: str) -> None:
    with pytest.raises(ValueError, match="<!here>"):
        Slack.model_validate({"token": "xoxb", "channel": "C0123456789", "mention": mention})


def test_a_message_that_may_repeat_says_so(slack: FakeSlack) -> None:
    team = channel(slack)
    reference = team.send(root(message=OPEN.marked()))
    team.send(Outgoing("line", "line", OPEN.marked(), root=reference))
    for message in slack.messages:
        assert "(may repeat)" in message["text"]
        assert "(may repeat)" in as_text(message)


ATTACKS = [
    "<!channel> <!here> <!everyone>",
    "@channel @here @everyone",
    "<@U0123456789> <!subteam^S0123456789>",
    "`<!here>` ``` <!here> ```",
    "<https://evil.example|click me>",
    "<script>alert(1)</script>",
    "</pre></div><img src=x onerror=alert(1)>",
    "&lt;!channel&gt;",
    "<!date^0^{date}|<!here>>",
    "nul \x00 bell \x07 escape \x1b[31m turn \u202e half \ud800 line\nbreak",
]


def everywhere(text: str) -> Message:
    return Message(
        state="open",
        title=text,
        text=text,
        at=AT,
        severity=Severity.CRITICAL,
        findings=(Finding(text, text, Severity.CRITICAL), Finding(text, None, None, resolved=True)),
        facts=(Fact(text, text),),
        todo=(text, f"see https://example.com/{text}", f"datavigil {text}"),
        code=text,
        why=text,
        incident=text,
        note=text,
    )


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("form", ["root", "message", "line"])
def test_data_can_mention_nobody_and_makes_no_markup(slack: FakeSlack, attack: str, form: Any) -> None:
    team = channel(slack)
    first = team.send(root())
    team.send(Outgoing(form, "attack", everywhere(attack), root=first))
    message = slack.messages[-1]
    assert message["metadata"]["event_payload"]["key"] == "attack"
    assert pings(message) == []
    assert all(text.count("```") in {0, 2} for text in texts(message["blocks"]))
    page = as_html(message)
    assert "<script" not in page
    assert "<img" not in page
    # Nothing in angle brackets but our own dates and the addresses of steps.
    raw = json.dumps(message["blocks"]) + message["text"]
    assert raw.count("<") == raw.count("<!date^") + raw.count("<https://example.com/")
    assert not set("\x00\x07\x1b\u202e\ud800") & set("".join(texts(message["blocks"])))


@pytest.mark.parametrize("letter", ["x", "&", "<", "`", "é", "🔴", "\n", "@here "])
def test_a_message_of_any_size_stays_within_slacks_limits(slack: FakeSlack, letter: str) -> None:
    huge = letter * 20_000
    message = replace(
        everywhere(huge),
        findings=tuple(Finding(huge, "c", Severity.WARNING) for _ in range(60)),
        facts=tuple(Fact(f"{n} {huge}", huge) for n in range(30)),
        todo=(huge,) * 40,
    )
    first = channel(slack).send(root("huge", message))
    channel(slack).send(Outgoing("line", "line", message, root=first))
    assert len(slack.asked("chat.postMessage")) == 2, "nothing was refused and said again without layout"
    drawn = slack.messages[0]["blocks"]
    assert len(drawn) <= 20
    assert sum(len(text) for text in texts(drawn)) <= 9000
    assert "and 48 more" in as_text(slack.messages[0])


def test_layout_that_slack_refuses_is_said_once_as_plain_text_under_the_same_key(slack: FakeSlack) -> None:
    slack.misbehave([{"do": "error", "error": "invalid_blocks"}])
    reference = channel(slack).send(root())
    (message,) = slack.messages
    assert "blocks" not in message
    assert message["metadata"]["event_payload"]["key"] == "inc:12:open:1"
    assert channel(slack).find(root(), LONG_AGO) == reference


def test_an_edit_that_slack_cannot_lay_out_leaves_no_old_layout_behind(slack: FakeSlack) -> None:
    reference = channel(slack).send(root())
    slack.misbehave([{"do": "error", "error": "msg_blocks_too_long", "method": "chat.update"}])
    channel(slack).send(Outgoing("edit", "rev", RESOLVED, root=reference))
    (message,) = slack.messages
    assert message["blocks"] == []
    assert message["text"] == "✅ RESOLVED orders: over after 1 h 58 min"


def test_what_is_refused_even_as_plain_text_is_impossible(slack: FakeSlack) -> None:
    slack.misbehave([{"do": "error", "error": "invalid_blocks"}, {"do": "error", "error": "msg_too_long"}])
    with pytest.raises(Impossible, match="msg_too_long"):
        channel(slack).send(root())
    assert slack.messages == []


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
def test_a_rate_limit_says_how_long_to_pause(slack: FakeSlack, header: str | None, pause: float) -> None:
    slack.misbehave([{"do": "rate_limit", "retry_after": header}])
    with pytest.raises(RateLimited) as raised:
        channel(slack).send(root())
    assert raised.value.after == pause
    assert slack.messages == []


def test_a_rate_limit_may_give_a_date(slack: FakeSlack) -> None:
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
    team = channel(slack, timeout=0.4)
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


def test_a_root_that_somebody_deleted_is_gone(slack: FakeSlack) -> None:
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


# The double itself.


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "no_text"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"text": "x", "blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "y" * 3001}}]}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": ""}}]}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "header", "text": {"type": "plain_text", "text": "y" * 151}}]}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "y"}}]}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "section", "fields": [{"type": "mrkdwn", "text": "y"}] * 11}]}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "section", "fields": [{"type": "mrkdwn", "text": "y" * 2001}]}]}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "context", "elements": [{"type": "mrkdwn", "text": "y"}] * 11}]}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "y" * 2700}}] * 5}, "msg_blocks_too_long"),
        ({"text": "x", "metadata": {"event_type": "e"}}, "invalid_metadata_format"),
        ({"text": "x", "metadata": {"event_type": "e", "event_payload": {"k": "v" * 9000}}}, "metadata_too_large"),
        ({"text": "x", "channel": "#nowhere"}, "channel_not_found"),
        ({"text": "x", "thread_ts": "1.000001"}, "thread_not_found"),
    ],
)
def test_the_double_refuses_what_slack_refuses(slack: FakeSlack, body: dict[str, Any], error: str) -> None:
    answer = slack.workspace.answer("chat.postMessage", slack.token, {"channel": "#oncall", **body})
    assert (answer["ok"], answer["error"]) == (False, error)
    assert slack.messages == []


def test_the_double_refuses_a_wrong_token_an_archived_channel_and_a_name_where_an_id_is_due(slack: FakeSlack) -> None:
    with pytest.raises(CredentialBroken, match="invalid_auth"):
        channel(slack, token="xoxb-other").send(root())
    slack.workspace.add("old", archived=True)
    with pytest.raises(ChannelBroken, match="is_archived"):
        channel(slack, channel="#old").send(root())
    assert slack.workspace.answer("conversations.history", slack.token, {"channel": "#oncall"})["error"] == "channel_not_found"
    assert slack.workspace.answer("auth.test", slack.token, {})["ok"]
    slack.workspace.people["a@example.com"] = "U0000000007"
    found = slack.workspace.answer("users.lookupByEmail", slack.token, {"email": "a@example.com"})
    assert found["user"]["id"] == "U0000000007"


def ask(url: str, body: bytes | None = None) -> str:
    with build_opener(ProxyHandler({})).open(Request(url, data=body), timeout=10) as response:
        return str(response.read().decode())


def test_the_double_lives_on_as_a_process_of_its_own(tmp_path: Path) -> None:
    state = tmp_path / "slack.json"
    for run in (1, 2):
        command = [sys.executable, "-m", "monitor.testing", "slack", "--state", str(state)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            api = process.stdout.readline().strip()
            try:
                ask(api.replace("/api/", "/_/misbehave"), b'[{"do": "drop", "accepted": true}]')
                team = Slack.model_validate({"token": "xoxb-test", "channel": "#oncall", "api": api})
                with pytest.raises(Unknown):
                    team.send(root(f"key {run}"))
                assert "bad values in amount" in ask(api.replace("/api/", "/_/text"))
                assert "datavigil" in ask(api.replace("/api/", "/"))
            finally:
                process.terminate()
    with FakeSlack(state=state) as slack:
        assert slack.keys() == ["key 1", "key 2"]


def test_random_trouble_is_the_same_for_the_same_seed() -> None:
    def outcomes(seed: int) -> list[str]:
        with FakeSlack(fault_rate=0.5, seed=seed) as slack:
            return [type(_outcome(channel(slack), str(n))).__name__ for n in range(20)]

    assert outcomes(1) == outcomes(1)
    assert len(set(outcomes(1))) > 2


def _outcome(team: Slack, key: str) -> object:
    try:
        return team.send(root(key))
    except DeliveryError as fault:
        return fault


def test_the_shares_of_the_layout_add_up_to_less_than_slack_takes() -> None:
    full = replace(everywhere("w " * 5000), findings=(Finding("w " * 5000),) * 12, facts=(Fact("w " * 90, "w " * 900),) * 10)
    assert 5000 < sum(len(t) for t in texts(blocks(Outgoing("message", "k", full)))) < 9000
