"""Channels that are out of order, by the numbers of the fault list: what is told, to whom, how often, and what is kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select
from typer.testing import CliRunner

from alerts.slack import Slack
from alerts.telling import Delivery, harmless
from monitor import cli
from monitor.removed import close_removed
from monitor.store import outbox
from monitor.store.store import Store
from monitor.store.tables import addresses, deliveries, incidents, problems
from monitor.testing import Clock, FakeSlack, SmtpSink
from tests.test_delivery import Desk, closed_port, to_mail, to_slack

MINUTE, HOUR, WEEK = timedelta(minutes=1), timedelta(hours=1), timedelta(weeks=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path}/store.db")
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slack(clock: Clock) -> Iterator[FakeSlack]:
    with FakeSlack(clock=lambda: clock.now().timestamp()) as server:
        yield server


def troubles(store: Store) -> list[tuple[str, bool]]:
    """The incidents of channels, and whether each is open."""
    with store.reading() as connection:
        rows = connection.execute(select(incidents).where(incidents.c.subject.startswith("channel:")).order_by(incidents.c.id))
        return [(row.subject, row.resolved_at is None) for row in rows]


def test_s7_a_token_that_is_mended_tells_each_open_incident_once_as_it_stands(store: Store, clock: Clock, slack: FakeSlack) -> None:
    with SmtpSink() as sink:
        channels = {"team": to_slack(slack), "oncall": to_slack(slack, "#oncall"), "inbox": to_mail(sink)}
        desk = Desk(store, clock, channels)
        slack.misbehave([{"do": "error", "error": "token_revoked"}])
        desk.incident(1)
        desk.incident(2)
        desk.put("3", channel="oncall")
        desk.send("team")
        desk.send("oncall")
        desk.send("inbox")

        assert slack.keys() == [], "one account: the other channel is not even tried"
        assert sorted(troubles(store)) == [("channel:oncall", True), ("channel:team", True)]
        assert {str(mail["Subject"]).split(":")[0] for mail in sink.mails} == {"CRIT channel team", "CRIT channel oncall"}

        desk.resolve(1)
        desk.later(6 * MINUTE)
        desk.send("oncall")
        assert sorted(slack.keys()) == ["2 open", "3"], "what healed is not told, what is open is told once"
        assert [open_ for _, open_ in troubles(store)] == [False, False]


def test_s8_a_channel_that_is_gone_is_one_incident_and_not_one_for_each_message(
    store: Store, clock: Clock, slack: FakeSlack
) -> None:
    team = to_slack(slack, "#gone", fallback="oncall")
    desk = Desk(store, clock, {"team": team, "oncall": to_slack(slack, "#oncall")})
    for number in range(5):
        desk.put(f"m{number}")
        desk.send("team")
    desk.later(2 * HOUR)
    desk.send("oncall")

    assert troubles(store) == [("channel:team", True)]
    assert sum("takes no messages" in m["text"] for m in slack.messages) == 1
    assert sum(":via:oncall" in key for key in iter(slack.keys())) == 5

    slack.workspace.add("gone")
    desk.later(HOUR)
    assert troubles(store) == [("channel:team", False)]
    [back] = slack.roots("#gone")
    assert "datavigil reaches this channel again" in back["text"]


def test_s13_a_channel_that_cannot_be_reached_for_ten_minutes_is_told_and_loses_nothing(
    store: Store, clock: Clock, slack: FakeSlack
) -> None:
    away = Slack(token=SecretStr("xoxb-1"), channel="#x", api=closed_port(), timeout=0.5)
    desk = Desk(store, clock, {"team": away, "oncall": to_slack(slack, "#oncall")})
    desk.put("a")
    for _ in range(5):
        desk.later(2 * MINUTE)
    assert troubles(store) == []
    desk.later(2 * MINUTE)
    desk.send("oncall")

    assert troubles(store) == [("channel:team", True)]
    assert desk.states()["a"] == "waiting"
    assert "channel team takes no messages" in slack.messages[0]["text"]

    desk.config.channels["team"] = to_slack(slack)  # type: ignore[index]
    desk.later(2 * MINUTE)
    assert desk.states()["a"] == "sent"
    assert troubles(store) == [("channel:team", False)]


REFUSED = [{"do": "error", "error": "invalid_blocks"}, {"do": "error", "error": "msg_too_long"}]


def test_a_message_that_is_refused_for_good_is_told_by_another_channel_with_what_it_said(
    store: Store, clock: Clock, slack: FakeSlack
) -> None:
    desk = Desk(store, clock, {"team": to_slack(slack), "oncall": to_slack(slack, "#oncall")})
    slack.misbehave(REFUSED)
    desk.put("poison")
    desk.put("sound")
    desk.send("team")
    desk.send("oncall")

    assert desk.states()["poison"] == "dead"
    [told] = slack.roots("#oncall")
    assert "channel team refused a message for good, even as plain text" in told["text"]
    assert "msg_too_long" in told["text"]
    assert "nobody was told there of: datavigil can reach the channel poison" in told["text"]
    assert slack.keys().count("sound") == 1
    assert troubles(store) == [("channel:team", True)], "what is taken right after it does not unsay it"

    clock.advance(HOUR)
    desk.put("later")
    desk.send("team")
    assert troubles(store) == [("channel:team", False)]


def test_many_refused_messages_are_told_of_one_by_one_up_to_five(store: Store, clock: Clock, slack: FakeSlack) -> None:
    desk = Desk(store, clock, {"team": to_slack(slack), "oncall": to_slack(slack, "#oncall")})
    slack.misbehave(REFUSED * 9)
    for number in range(9):
        desk.put(f"poison {number}")
    desk.send("team")

    with store.reading() as connection:
        open_ = connection.execute(select(problems.c.segment).where(problems.c.state == "firing").order_by(problems.c.segment))
        assert list(open_.scalars()) == ["and more", *(f"poison {number}" for number in range(5))]
    assert troubles(store) == [("channel:team", True)]
    assert list(desk.states().values()).count("dead") == 9

    clock.advance(HOUR)
    desk.put("sound")
    desk.send("team")
    assert troubles(store) == [("channel:team", False)]


def test_two_channels_that_refuse_everything_do_not_tell_each_other_for_ever(store: Store, clock: Clock, slack: FakeSlack) -> None:
    desk = Desk(store, clock, {"team": to_slack(slack), "oncall": to_slack(slack, "#oncall")})
    slack.misbehave(REFUSED * 100)
    desk.put("poison")
    sent = [desk.later(10 * MINUTE, "team") + desk.send("oncall") for _ in range(20)]

    assert sent[-1] == 0
    assert sum(sent) < 30
    assert set(desk.states().values()) <= {"dead", "superseded"}


def test_a_channel_that_is_out_of_order_is_not_taken_for_one_that_left_the_config(
    store: Store, clock: Clock, slack: FakeSlack
) -> None:
    desk = Desk(store, clock, {"team": to_slack(slack, "#gone"), "oncall": to_slack(slack, "#oncall")})
    desk.put("a")
    desk.send("team")

    assert close_removed(store, desk.config, clock.now()) == []
    assert troubles(store) == [("channel:team", True)]
    del desk.config.channels["team"]  # type: ignore[attr-defined]
    assert close_removed(store, desk.config, clock.now()) == ["channel:team"]


def test_e3_one_of_five_recipients_is_refused_and_the_others_have_it_once(store: Store, clock: Clock, slack: FakeSlack) -> None:
    people = [f"p{number}@example.com" for number in range(5)]
    with SmtpSink() as sink:
        sink.refused = {"p3@example.com": "550 5.1.1 no such user"}
        mail = to_mail(sink).model_copy(update={"to": tuple(people), "timeout": 30.0})
        desk = Desk(store, clock, {"team": mail, "oncall": to_slack(slack, "#oncall")})
        desk.put("1 open", incident=1)
        desk.send()
        desk.later(HOUR)
        desk.send("oncall")

        assert sorted(to for taken in sink.taken for to in taken) == [p for p in people if p != "p3@example.com"]
        assert len({m["Message-ID"] for m in sink.mails}) == 4
        [told] = slack.messages
        assert "p3@example.com takes no messages" in told["text"]
        assert troubles(store) == [("channel:team", True)]


def test_e3_an_address_that_is_refused_for_three_weeks_is_suspended_with_notice(
    store: Store, clock: Clock, slack: FakeSlack
) -> None:
    with SmtpSink() as sink:
        sink.refused = {"team@example.com": "550 5.1.1 no such user"}
        desk = Desk(store, clock, {"team": to_mail(sink), "oncall": to_slack(slack, "#oncall")})
        for week in range(4):
            desk.put(f"week {week}")
            desk.send()
            clock.advance(WEEK)
        desk.send("oncall")
        assert any("team@example.com is suspended" in str(m) for m in slack.messages)

        sink.refused = {}
        desk.put("afterwards")
        desk.send()
        assert sink.mails == []
        assert desk.states()["afterwards"] == "dead"
    with store.reading() as connection:
        assert connection.execute(select(addresses.c.suspended_at)).scalar_one() is not None


@pytest.fixture
def suspended(store: Store, clock: Clock, slack: FakeSlack) -> Iterator[tuple[Desk, SmtpSink, str]]:
    """A desk whose one address of two was refused until it was suspended, and what was said of that."""
    with SmtpSink() as sink:
        sink.refused = {"team@example.com": "550 5.1.1 no such user"}
        mail = to_mail(sink).model_copy(update={"to": ("team@example.com", "ann@example.com")})
        desk = Desk(store, clock, {"inbox": mail, "oncall": to_slack(slack, "#oncall")})
        for week in range(4):
            desk.put(f"week {week}", channel="inbox")
            desk.send("inbox")
            clock.advance(WEEK)
        desk.send("oncall")
        notice = next(str(m) for m in slack.messages if "team@example.com is suspended" in str(m))
        sink.refused, sink.taken[:], sink.mails[:] = {}, [], []
        yield desk, sink, notice


def test_the_command_that_the_notice_names_frees_the_address(suspended: tuple[Desk, SmtpSink, str], tmp_path: Path) -> None:
    desk, sink, notice = suspended
    server = f'server = "{sink.server}"\ntls = false\nsender = "d@example.com"\nto = ["team@example.com", "ann@example.com"]\n'
    path = tmp_path / "config.toml"
    watched = '[datasets.orders]\ntable = "orders-{start:%Y-%m-%d}.csv"\n'
    path.write_text(f'[store]\nurl = "sqlite:///store.db"\n{watched}[channels.inbox]\nkind = "mail"\n{server}', encoding="utf-8")
    found = re.search(r"datavigil (unsuspend inbox \S+@example\.com)", notice)
    assert found is not None
    call = [*found[1].split(), "--config", str(path)]

    done = CliRunner().invoke(cli.app, call)
    assert (done.exit_code, done.output.split(";")[0]) == (0, "team@example.com gets mail from channel inbox again")
    again = CliRunner().invoke(cli.app, [*call, "--json"])
    assert again.exit_code == 1
    assert json.loads(again.output) == {"said": "team@example.com is not suspended in channel inbox", "changed": False}
    wrong = CliRunner().invoke(cli.app, ["unsuspend", "inbox", "tea@example.com", "--config", str(path)])
    assert (wrong.exit_code, 'did you mean "team@example.com"?' in wrong.output) == (3, True)

    assert troubles(desk.store) == [("channel:inbox", True)], "nothing was taken yet"
    desk.put("afterwards", channel="inbox")
    desk.send("inbox")
    assert sorted(sink.taken) == [["ann@example.com"], ["team@example.com"]]
    assert troubles(desk.store) == [("channel:inbox", False)]


def test_taken_out_of_the_config_and_put_back_an_address_begins_anew(suspended: tuple[Desk, SmtpSink, str]) -> None:
    desk, sink, notice = suspended
    assert "or take team@example.com out of the addresses of channel inbox" in notice
    whole = desk.config.channels["inbox"]
    channels = desk.config.channels
    channels["inbox"] = whole.model_copy(update={"to": ("ann@example.com",)})  # type: ignore[index]

    close_removed(desk.store, desk.config, desk.clock.now())

    assert troubles(desk.store) == [("channel:inbox", False)]
    channels["inbox"] = whole  # type: ignore[index]
    close_removed(desk.store, desk.config, desk.clock.now())
    desk.put("afterwards", channel="inbox")
    desk.send("inbox")
    assert sorted(sink.taken) == [["ann@example.com"], ["team@example.com"]]


def test_a_suspended_address_is_left_out_of_what_names_it_alone(suspended: tuple[Desk, SmtpSink, str]) -> None:
    desk, sink, _ = suspended
    for who in ("team@example.com", "ann@example.com"):
        said = replace(harmless("inbox", desk.clock.now()), to=who)
        outbox.put(desk.store, Delivery(f"weekly {who}", None, "inbox", "message", said), desk.clock.now())
    desk.send("inbox")
    assert sink.taken == [["ann@example.com"]]
    assert (desk.row("weekly team@example.com").state, desk.row("weekly ann@example.com").state) == ("dead", "sent")


def test_e2_one_recipient_that_is_postponed_holds_up_no_other(store: Store, clock: Clock) -> None:
    with SmtpSink() as sink:
        sink.greylist = 1
        mail = to_mail(sink).model_copy(update={"to": ("a@example.com", "b@example.com")})
        desk = Desk(store, clock, {"team": mail})
        desk.put("1 open", incident=1)
        desk.send()
        assert sink.taken == [["b@example.com"]]
        desk.later(4 * MINUTE)
        assert sink.taken == [["b@example.com"]]
        desk.later(MINUTE)
        assert sink.taken == [["b@example.com"], ["a@example.com"]]
    with store.reading() as connection:
        assert set(connection.execute(select(deliveries.c.state)).scalars()) == {"sent"}
