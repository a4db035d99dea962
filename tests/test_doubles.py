"""The doubles themselves: they refuse what the real ones refuse, and live on where a test kills what talks to them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from alerts.base import ChannelBroken, CredentialBroken, DeliveryError, Unknown
from alerts.message import Message, Outgoing
from alerts.slack import Slack
from checks.result import Severity
from monitor.testing import Clock, FakeSlack, Fault, as_html, as_text

AT = datetime(2026, 11, 23, 2, 4, tzinfo=UTC)


def root(key: str = "inc:12:open:1") -> Outgoing:
    return Outgoing("root", key, Message("open", "orders · bad values in amount", "CRIT orders", AT, Severity.CRITICAL))


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as running:
        yield running


def channel(slack: FakeSlack, **more: Any) -> Slack:
    return Slack.model_validate({"token": slack.token, "channel": "#oncall", "api": slack.url, "timeout": 5, **more})


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


def _outcome(team: Slack, key: str) -> object:
    try:
        return team.send(root(key))
    except DeliveryError as fault:
        return fault


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


def test_what_is_no_fault_is_refused(slack: FakeSlack) -> None:
    for wrong in ("explode", {"do": "drop", "when": "now"}, {}):
        with pytest.raises(ValueError, match="is no fault"):
            slack.misbehave([wrong])
    assert Fault.of("drop") == Fault.of(Fault("drop")) == Fault.of({"do": "drop"})


def test_a_fault_waits_for_the_method_it_is_meant_for(slack: FakeSlack) -> None:
    slack.misbehave([{"do": "error", "error": "is_archived", "method": "chat.update"}])
    reference = channel(slack).send(root())
    with pytest.raises(ChannelBroken):
        channel(slack).send(Outgoing("edit", "k", root().message, root=reference))
    assert channel(slack).send(Outgoing("edit", "k", root().message, root=reference)) == reference


def test_no_two_messages_share_a_ts_even_while_the_clock_stands_still() -> None:
    with FakeSlack(clock=lambda: 1_795_395_600.0) as slack:
        for n in range(3):
            channel(slack).send(root(str(n)))
        assert [m["ts"] for m in slack.messages] == ["1795395600.000000", "1795395600.000001", "1795395600.000002"]


def test_a_drawing_shows_what_slack_would_and_escapes_the_rest() -> None:
    text = "*bold* snake_case_name 2 * 3 * 4 &lt;b&gt; <!here> <https://example.com|there> `x &lt; 1`"
    block = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    page = as_html({"text": "", "blocks": [block]})
    assert "<b>bold</b> snake_case_name 2 * 3 * 4 &lt;b&gt;" in page
    assert '<span class="ping">@here</span>' in page
    assert '<a href="https://example.com">there</a>' in page
    assert "<code>x &lt; 1</code>" in page
    assert as_text({"text": "", "blocks": [block]}) == "*bold* snake_case_name 2 * 3 * 4 <b> @here there `x < 1`"


def test_the_clock_goes_only_where_it_is_set() -> None:
    clock = Clock(AT)
    assert clock.now() == clock.now() == AT
    assert clock.advance(timedelta(hours=-1)) == clock.now() == datetime(2026, 11, 23, 1, 4, tzinfo=UTC)
    with pytest.raises(ValueError, match="zone"):
        clock.set(datetime(2026, 1, 1))
