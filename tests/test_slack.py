"""What Slack is told, within its limits, and that data can do no harm there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from alerts.base import (
    Impossible,
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


def test_a_reminder_in_the_thread_mentions_them_again_and_the_owner_too(slack: FakeSlack) -> None:
    slack.workspace.people["ann@example.com"] = "U0000000042"
    team = channel(slack, mention="<!here>")
    reference = team.send(root("open", OWNED))
    calls = replace(OWNED, note="nobody has acknowledged this for 15 min", calls=True)
    team.send(Outgoing("line", "remind", calls, root=reference, broadcast=True))
    team.send(Outgoing("line", "of a warning", replace(calls, severity=Severity.WARNING), root=reference))
    team.send(Outgoing("edit", "edit", calls, root=reference))
    edited, reminder, warning = slack.messages
    assert pings(reminder) == ["<!here>", "<@U0000000042>"]
    assert "nobody has acknowledged this for 15 min" in as_text(reminder)
    assert (pings(warning), pings(edited)) == ([], [])


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
def test_s9_data_can_mention_nobody_and_makes_no_markup(slack: FakeSlack, attack: str, form: Any) -> None:
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
    assert raw.count("<") == raw.count("<!date^") + raw.count("<https://")
    assert not set("\x00\x07\x1b\u202e\ud800") & set("".join(texts(message["blocks"])))


@pytest.mark.parametrize("letter", ["x", "&", "<", "`", "é", "🔴", "\n", "@here "])
def test_s9_a_message_of_any_size_stays_within_slacks_limits(slack: FakeSlack, letter: str) -> None:
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


def test_the_shares_of_the_layout_add_up_to_less_than_slack_takes() -> None:
    full = replace(everywhere("w " * 5000), findings=(Finding("w " * 5000),) * 12, facts=(Fact("w " * 90, "w " * 900),) * 10)
    assert 5000 < sum(len(t) for t in texts(blocks(Outgoing("message", "k", full)))) < 9000


OWNED = replace(OPEN, facts=(Fact("Owner", "ann@example.com"),))


def test_an_owner_with_an_address_that_slack_knows_is_mentioned_where_a_critical_incident_opens(slack: FakeSlack) -> None:
    slack.workspace.people["ann@example.com"] = "U0000000042"
    team = channel(slack)
    reference = team.send(root("open", OWNED))
    team.send(root("again", OWNED))
    team.send(root("warning", replace(OWNED, severity=Severity.WARNING)))
    team.send(Outgoing("line", "line", OWNED, root=reference))
    assert [pings(m) for m in slack.messages] == [["<@U0000000042>"], ["<@U0000000042>"], [], []]
    # Asked once, then known.
    assert len(slack.asked("users.lookupByEmail")) == 1


@pytest.mark.parametrize("fault", ["server_error", "drop", "not_json", {"do": "error", "error": "missing_scope"}, "rate_limit"])
def test_a_look_up_that_fails_costs_the_mention_and_nothing_else(slack: FakeSlack, fault: Any) -> None:
    slack.workspace.people["ann@example.com"] = "U0000000042"
    order = {"do": fault} if isinstance(fault, str) else fault
    slack.misbehave([{**order, "method": "users.lookupByEmail"}])
    team = channel(slack)
    team.send(root("open", OWNED))
    team.send(root("later", OWNED))
    assert [pings(m) for m in slack.messages] == [[], ["<@U0000000042>"]]


@pytest.mark.parametrize("owner", ["data-platform", "nobody@example.com", "<!channel>@a.b", "a b@c.d", ""])
def test_an_owner_that_is_nobody_in_slack_is_only_named(slack: FakeSlack, owner: str) -> None:
    channel(slack).send(root("open", replace(OPEN, facts=(Fact("Owner", owner),))))
    assert pings(slack.messages[0]) == []
