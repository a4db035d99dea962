"""What is sent, when, and what happens where a channel misbehaves: the real channels against servers on loopback."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import insert, select, update

from alerts import wire
from alerts.base import Channel, CredentialBroken, NotSent, Unknown
from alerts.console import Console
from alerts.mail import Mail
from alerts.message import Outgoing
from alerts.slack import Slack
from alerts.telling import Delivery, Form, harmless
from alerts.webhook import Webhook
from monitor import delivery
from monitor.config import Config
from monitor.settings import DaemonSettings
from monitor.store import looking, outbox
from monitor.store.store import Store
from monitor.store.tables import deliveries, incidents
from monitor.store.telling import Stand
from monitor.testing import Clock, FakeSlack, Fault, SmtpSink, WebhookSink

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
TIGHT = DaemonSettings(send_timeout=3 * SECOND, lease=MINUTE)


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


class Desk:
    """A store, channels and a clock: put something down, send what is due, look at what became of it."""

    def __init__(self, store: Store, clock: Clock, channels: dict[str, Channel]) -> None:
        self.store, self.clock = store, clock
        self.config = Config(Path("config.toml"), daemon=TIGHT, channels=channels)
        for number in (1, 2):
            row = {"family": "quality", "severity": "warning", "since": clock.now(), "opened_at": clock.now(), "revision": 1}
            with store.begin() as connection:
                connection.execute(insert(incidents).values(id=number, subject=f"dataset_{number}", **row))

    def put(self, key: str, form: Form = "message", incident: int | None = None, channel: str = "team", **more: Any) -> None:
        said = Delivery(key, incident, channel, form, harmless(key, self.clock.now()), **more)
        outbox.put(self.store, said, self.clock.now())

    def incident(self, number: int = 1) -> None:
        """What an incident that opens, changes and ends sends to a channel with threads."""
        self.put(f"{number} open", "root", number, revision=1)
        self.put(f"{number} rev 2", "edit", number, revision=2)
        self.put(f"{number} line 2", "line", number, revision=2)

    def resolve(self, number: int) -> None:
        with self.store.begin() as connection:
            over = update(incidents).where(incidents.c.id == number)
            connection.execute(over.values(resolved_at=self.clock.now()))

    def send(self, channel: str = "team") -> int:
        return delivery.drain(self.config, self.store, channel, self.clock.now)

    def later(self, by: timedelta, channel: str = "team") -> int:
        self.clock.advance(by)
        return self.send(channel)

    def leases_end(self) -> None:
        """As if the time of every lease had passed by the store's own clock."""
        with self.store.begin() as connection:
            connection.execute(update(deliveries).values(lease_until=self.clock.now() - 9 * HOUR))

    def row(self, key: str) -> Any:
        with self.store.reading() as connection:
            return connection.execute(select(deliveries).where(deliveries.c.key == key)).one()

    def states(self) -> dict[str, str]:
        with self.store.reading() as connection:
            return {row.key: row.state for row in connection.execute(select(deliveries).order_by(deliveries.c.id))}


@pytest.fixture
def desk(store: Store, clock: Clock, slack: FakeSlack) -> Desk:
    return Desk(store, clock, {"team": to_slack(slack)})


def to_slack(server: FakeSlack, channel: str = "#data-quality", **more: Any) -> Slack:
    given: dict[str, Any] = {"token": SecretStr(server.token), "timeout": 2, **more}
    return Slack(channel=channel, api=server.url, **given)


# When all is well.


def test_an_incident_is_one_root_edited_in_place_with_its_story_in_the_thread(desk: Desk, slack: FakeSlack) -> None:
    desk.incident()
    desk.put("1 resolved", "line", 1, revision=3, broadcast=True)

    assert desk.send() == 4

    [root] = slack.roots("#data-quality")
    assert root["edits"] == 1
    assert [line.get("subtype") for line in slack.thread(root["ts"])] == [None, "thread_broadcast"]
    assert slack.keys() == ["1 open", "1 line 2", "1 resolved"]
    assert set(desk.states().values()) == {"sent"}
    row = desk.row("1 open")
    assert (row.attempts, row.sent_at, row.lease_token) == (1, desk.clock.now(), None)
    assert row.provider_ref.endswith(root["ts"])


def test_what_is_sent_is_not_sent_again(desk: Desk, slack: FakeSlack) -> None:
    desk.put("a")

    assert [desk.send(), desk.send(), desk.later(HOUR)] == [1, 0, 0]

    assert slack.keys() == ["a"]


def test_edits_that_were_overtaken_are_never_sent(desk: Desk, slack: FakeSlack) -> None:
    desk.incident()
    for revision in (3, 4):
        desk.put(f"1 rev {revision}", "edit", 1, revision=revision)

    desk.send()

    assert len(slack.asked("chat.update")) == 1
    assert desk.states() == {
        "1 open": "sent",
        "1 rev 2": "superseded",
        "1 line 2": "sent",
        "1 rev 3": "superseded",
        "1 rev 4": "sent",
    }


def test_a_message_waits_for_the_end_of_the_quiet_hours(desk: Desk, slack: FakeSlack) -> None:
    desk.put("a", not_before=desk.clock.now() + HOUR)

    assert desk.send() == 0
    assert desk.later(HOUR) == 1
    assert slack.keys() == ["a"]


def test_a_message_that_is_too_old_is_not_sent(desk: Desk, slack: FakeSlack) -> None:
    desk.put("a", expires_at=desk.clock.now() + HOUR)

    assert desk.later(HOUR) == 0

    assert slack.messages == []
    assert desk.states() == {"a": "expired"}


# Slack asks for a pause.


def test_s1_a_429_holds_the_channel_and_counts_no_attempt(desk: Desk, slack: FakeSlack) -> None:
    desk.put("a")
    desk.put("b")
    slack.misbehave([Fault("rate_limit", retry_after="20")])

    desk.send()

    assert slack.messages == []
    assert len(slack.asked("chat.postMessage")) == 1, "the second one was not even tried"
    assert (desk.row("a").state, desk.row("a").attempts) == ("waiting", 0)
    assert desk.later(19 * SECOND) == 0
    assert desk.later(SECOND) == 2
    assert slack.keys() == ["a", "b"]
    assert desk.row("a").attempts == 1


def test_a_429_on_the_look_up_does_not_make_us_forget_that_it_may_have_arrived(desk: Desk, slack: FakeSlack) -> None:
    desk.put("a")
    slack.misbehave([Fault("drop", accepted=True, method="chat.postMessage")])
    desk.send()
    slack.misbehave([Fault("rate_limit", retry_after="20", method="conversations.history")])

    desk.later(MINUTE)
    assert desk.row("a").state == "unknown"
    desk.later(20 * SECOND)

    assert slack.keys() == ["a"]
    assert desk.states() == {"a": "sent"}


def test_s11_where_the_edit_came_through_only_the_reply_is_tried_again(desk: Desk, slack: FakeSlack) -> None:
    desk.put("1 open", "root", 1)
    desk.send()
    desk.put("1 rev 2", "edit", 1, revision=2)
    desk.put("1 line 2", "line", 1, revision=2)
    slack.misbehave([Fault("drop", method="chat.postMessage")])

    desk.send()
    desk.later(MINUTE)

    assert slack.roots()[0]["edits"] == 1
    assert slack.keys() == ["1 open", "1 line 2"]


def test_a_channel_that_pauses_delays_no_other(store: Store, clock: Clock, slack: FakeSlack) -> None:
    desk = Desk(store, clock, {"team": to_slack(slack), "oncall": to_slack(slack, "#oncall")})
    desk.put("a", channel="team")
    desk.put("b", channel="oncall")
    slack.misbehave([Fault("rate_limit", retry_after="600")])

    desk.send("team")
    desk.send("oncall")

    assert slack.keys() == ["b"]


# It may have arrived.

UNCLEAR = [
    pytest.param({"do": "server_error", "status": 500}, id="500"),
    pytest.param({"do": "server_error", "status": 502}, id="502"),
    pytest.param({"do": "drop"}, id="dropped"),
    pytest.param({"do": "cut"}, id="cut"),
    pytest.param({"do": "not_json"}, id="not Slack's"),
    pytest.param({"do": "error", "error": "internal_error"}, id="internal_error"),
    pytest.param({"do": "hang", "seconds": 5}, id="hangs"),
]


@pytest.mark.parametrize("accepted", [True, False])
@pytest.mark.parametrize("fault", UNCLEAR)
def test_s4_s5_whatever_happened_to_the_answer_the_message_is_there_once(
    desk: Desk, slack: FakeSlack, fault: dict[str, Any], accepted: bool
) -> None:
    desk.incident()
    slack.misbehave([{**fault, "accepted": accepted, "method": "chat.postMessage"}])

    desk.send()

    assert desk.row("1 open").state == "unknown"
    assert desk.row("1 open").unknown_since == desk.clock.now()
    assert desk.later(59 * SECOND) == 0, "a message that was taken late must have time to show"

    desk.later(SECOND)

    assert slack.keys() == ["1 open", "1 line 2"]
    assert len(slack.roots()) == 1
    assert set(desk.states().values()) == {"sent"}
    # Where the first try arrived, whatever was ordered, there is one for each message.
    assert desk.row("1 open").found is (len(slack.asked("chat.postMessage")) == 2)
    assert desk.row("1 line 2").found is False


@pytest.mark.parametrize("accepted", [True, False])
def test_a_line_in_a_thread_is_looked_up_too(desk: Desk, slack: FakeSlack, accepted: bool) -> None:
    desk.put("1 open", "root", 1)
    desk.send()
    desk.put("1 line", "line", 1)
    slack.misbehave([Fault("drop", accepted=accepted)])

    desk.send()
    desk.later(MINUTE)

    assert slack.keys() == ["1 open", "1 line"]
    assert slack.thread(slack.roots()[0]["ts"])[0]["metadata"]["event_payload"]["key"] == "1 line"


def test_an_edit_whose_outcome_is_unknown_is_simply_made_again(desk: Desk, slack: FakeSlack) -> None:
    desk.incident()
    slack.misbehave([Fault("drop", accepted=True, method="chat.update")])

    desk.send()
    desk.later(MINUTE)

    assert slack.roots()[0]["edits"] == 2
    assert slack.keys() == ["1 open", "1 line 2"]
    assert set(desk.states().values()) == {"sent"}


def test_a_sender_that_died_after_slack_took_it_leaves_one_message(desk: Desk, slack: FakeSlack) -> None:
    desk.put("1 open", "root", 1)
    dead = outbox.claim(desk.store, "team", desk.clock.now(), timedelta(0))
    assert dead is not None
    reference = desk.config.channels["team"].send(Outgoing("root", dead.key, dead.message))

    desk.later(MINUTE)

    assert slack.keys() == ["1 open"]
    assert desk.row("1 open").provider_ref == reference
    assert outbox.finish(desk.store, dead, state="waiting") is False


def test_a_sender_that_died_before_it_sent_loses_nothing(desk: Desk, slack: FakeSlack) -> None:
    desk.put("1 open", "root", 1)
    outbox.claim(desk.store, "team", desk.clock.now(), timedelta(0))

    desk.later(MINUTE)

    assert slack.keys() == ["1 open"]


def test_a_sender_that_was_overtaken_writes_nothing(desk: Desk, slack: FakeSlack) -> None:
    """Paused beyond its lease while Slack answered: the other one found the message and its reference stands."""
    desk.put("a")
    taken = outbox.claim(desk.store, "team", desk.clock.now(), timedelta(0))
    assert taken is not None
    reference = desk.config.channels["team"].send(Outgoing("message", taken.key, taken.message))
    desk.later(MINUTE)

    assert outbox.finish(desk.store, taken, state="sent", provider_ref="C1:0") is False

    assert desk.row("a").provider_ref == reference
    assert slack.keys() == ["a"]


def test_the_longer_it_stays_unclear_the_longer_we_wait(desk: Desk, slack: FakeSlack) -> None:
    desk.put("a")
    slack.misbehave([Fault("server_error", method="chat.postMessage")] * 7)

    waits = []
    for _ in range(7):
        desk.send()
        waits.append((desk.row("a").next_attempt_at - desk.clock.now()) / MINUTE)
        desk.clock.set(desk.row("a").next_attempt_at)

    assert waits == [1, 2, 4, 8, 10, 10, 10]
    desk.send()
    assert slack.keys() == ["a"]


def test_s12_where_nobody_may_look_it_is_sent_again_and_says_so(store: Store, clock: Clock) -> None:
    with FakeSlack(scopes=["chat:write"], clock=lambda: clock.now().timestamp()) as blind:
        desk = Desk(store, clock, {"team": to_slack(blind)})
        desk.put("a")
        blind.misbehave([Fault("drop", accepted=True)])

        desk.send()
        desk.later(MINUTE)

        assert blind.keys() == ["a", "a"]
        assert ["may repeat" in str(m) for m in blind.messages] == [False, True]


def test_s6_an_answer_that_drips_ends_at_the_total_deadline(store: Store, clock: Clock, slack: FakeSlack) -> None:
    """The channel's own patience is longer than what one send may take in all."""
    desk = Desk(store, clock, {"team": to_slack(slack, timeout=30)})
    desk.put("a")
    slack.misbehave([Fault("drip", seconds=0.2, accepted=True)])

    desk.send()

    assert desk.row("a").state == "unknown"
    assert desk.row("a").last_error == "no answer within 3 s"
    desk.later(MINUTE)
    assert slack.keys() == ["a"]


# Surely not sent.


def closed_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}/api/"


def test_a_refused_connection_is_tried_again_ever_more_slowly(store: Store, clock: Clock) -> None:
    desk = Desk(store, clock, {"team": Slack(token=SecretStr("xoxb-1"), channel="#x", api=closed_port(), timeout=0.5)})
    desk.put("a")

    waits = []
    for _ in range(9):
        desk.send()
        row = desk.row("a")
        assert row.state == "waiting"
        waits.append((row.next_attempt_at - clock.now()) / SECOND)
        clock.set(row.next_attempt_at)

    for wait, most in zip(waits, (1, 2, 4, 8, 16, 32, 60, 60, 60), strict=True):
        assert most / 2 <= wait <= most
    assert "cannot be reached" in row.first_error
    assert row.attempts == 9


def test_a_refused_connection_holds_up_only_its_own_incident(desk: Desk, slack: FakeSlack) -> None:
    desk.put("1 open", "root", 1)
    desk.put("1 line", "line", 1)
    desk.put("2 open", "root", 2)
    slack.misbehave([Fault("server_error")])

    desk.send()

    assert slack.keys() == ["2 open"]
    desk.later(MINUTE)
    assert slack.keys() == ["2 open", "1 open", "1 line"]


# The channel, the account or the content is refused.


def test_s7_a_refused_token_keeps_everything_and_drains_when_it_is_mended(desk: Desk, slack: FakeSlack) -> None:
    desk.incident(1)
    desk.incident(2)
    slack.misbehave([{"do": "error", "error": "invalid_auth"}] * 2)

    desk.send()

    assert len(slack.asked("chat.postMessage")) == 1, "the others were not even tried"
    told = looking.channel_states(desk.store)["team"]
    assert told["unsent"] == 6
    assert "invalid_auth" in told["error"]
    assert told["broken_since"] == desk.clock.now()

    assert desk.later(4 * MINUTE) == 0
    assert desk.later(MINUTE) == 0
    assert len(slack.asked("auth.test")) == 1, "the probe, which fails once more"
    assert desk.later(4 * MINUTE) == 0
    desk.later(MINUTE)

    assert sorted(slack.keys()) == ["1 open", "2 open"], "how things stand, not the story it missed"
    assert set(desk.states().values()) == {"sent", "superseded"}
    assert looking.channel_states(desk.store) == {}


def test_s8_a_channel_that_is_gone_hands_everything_to_its_fallback_at_once(store: Store, clock: Clock, slack: FakeSlack) -> None:
    team = to_slack(slack, "#no-such-channel", fallback="oncall")
    desk = Desk(store, clock, {"team": team, "oncall": to_slack(slack, "#oncall")})
    desk.incident(1)
    desk.incident(2)

    desk.send("team")
    desk.send("oncall")

    assert len(slack.asked("chat.postMessage")) == 1 + len(slack.messages), "the dead channel was tried once"
    trouble, *others = sorted(slack.keys(), reverse=True)
    assert trouble.startswith("inc:3-")
    assert sorted(others) == [f"{n} {what}:via:oncall" for n in (1, 2) for what in ("line 2", "open")]
    assert slack.roots("#oncall") == slack.messages
    assert "channel team takes no messages: Slack #no-such-channel refused: channel_not_found" in str(slack.messages)
    assert "team is out of order" in str(slack.messages)

    desk.put("1 resolved", "line", 1, revision=3)
    desk.later(MINUTE, "team")
    desk.send("oncall")

    assert slack.keys()[-1] == "1 resolved:via:oncall"
    assert outbox.unsent(store) == {"team": 1}, "the message that it works again"


def test_a_channel_that_is_mended_is_found_out_by_its_probe(store: Store, clock: Clock, slack: FakeSlack) -> None:
    team = to_slack(slack, "#late", fallback="oncall")
    desk = Desk(store, clock, {"team": team, "oncall": to_slack(slack, "#oncall")})
    desk.put("a")
    desk.send()
    slack.workspace.add("late")
    desk.put("b")
    desk.send()
    assert desk.states()["b"] == "superseded"

    clock.advance(HOUR)
    desk.put("c")
    desk.send()
    desk.put("d")
    desk.send()

    back, *others = slack.keys()
    assert back.startswith("channel:team:back:")
    assert others == ["c", "d"]
    assert "what was meant for it went to oncall" in str(slack.messages[0])
    assert looking.channel_states(store)["oncall"]["unsent"] == 3, "a, b, and that team is out of order"


def test_s10_a_deleted_root_is_made_anew_and_the_thread_goes_on_there(desk: Desk, slack: FakeSlack) -> None:
    desk.put("1 open", "root", 1)
    desk.send()
    slack.delete(slack.messages[0]["ts"])
    desk.put("1 rev 2", "edit", 1, revision=2)
    desk.put("1 line 2", "line", 1, revision=2)

    desk.send()

    [root] = slack.roots()
    assert root["metadata"]["event_payload"]["key"] == "1 rev 2"
    assert [m["metadata"]["event_payload"]["key"] for m in slack.thread(root["ts"])] == ["1 line 2"]
    desk.put("1 resolved", "line", 1, revision=3)
    desk.send()
    assert len(slack.roots()) == 1


def test_a_root_that_never_came_is_replaced_by_what_comes_next(desk: Desk, slack: FakeSlack) -> None:
    desk.put("1 open", "root", 1, expires_at=desk.clock.now() + MINUTE)
    desk.resolve(1)
    desk.clock.advance(HOUR)
    desk.put("1 line 2", "line", 1, revision=2)
    desk.put("1 line 3", "line", 1, revision=3)

    desk.send()

    assert desk.states()["1 open"] == "expired"
    [root] = slack.roots()
    assert root["metadata"]["event_payload"]["key"] == "1 line 2"
    assert len(slack.thread(root["ts"])) == 1


def test_the_first_word_of_an_incident_that_goes_on_does_not_expire(desk: Desk, slack: FakeSlack) -> None:
    slack.misbehave([{"do": "error", "error": "invalid_auth"}])
    desk.put("1 open", "root", 1, expires_at=desk.clock.now() + 24 * HOUR)
    desk.send()
    assert slack.roots() == []

    desk.later(25 * HOUR)

    assert desk.states() == {"1 open": "sent"}
    assert len(slack.roots()) == 1


def test_a_channel_that_cannot_be_asked_is_tried_for_a_day_and_ever_more_seldom(store: Store, clock: Clock) -> None:
    with WebhookSink() as sink:
        sink.misbehave([{"do": "server_error", "accepted": True}] * 200)
        desk = Desk(store, clock, {"team": Webhook(url=SecretStr(sink.url))})
        desk.put("a", "message", 1, expires_at=clock.now() + 24 * HOUR)
        desk.send()
        for _ in range(24 * 12):
            desk.later(5 * MINUTE)
        assert 10 < len(sink.posts) < 25
        assert desk.states() == {"a": "expired"}


def test_a_webhook_that_was_away_for_an_hour_gets_its_alert(store: Store, clock: Clock) -> None:
    with WebhookSink() as sink:
        desk = Desk(store, clock, {"team": Webhook(url=SecretStr(sink.url))})
        sink.misbehave(["server_error"] * 5)
        desk.put("a", "message", 1, expires_at=clock.now() + 24 * HOUR)
        desk.send()
        for _ in range(60):
            desk.later(5 * MINUTE)
        assert desk.states() == {"a": "sent"}
        assert len(sink.posts) == 1


def test_a_message_that_keeps_failing_does_not_hold_up_the_others(desk: Desk, slack: FakeSlack) -> None:
    slack.misbehave(["server_error"])
    desk.put("a")
    desk.send()
    desk.put("b")
    slack.misbehave([{"do": "error", "error": "channel_not_found", "method": "chat.postMessage"}])

    desk.later(2 * HOUR)
    desk.later(2 * HOUR)

    assert desk.states()["b"] == "sent"


def test_content_that_is_refused_for_good_is_given_up_aloud(desk: Desk, slack: FakeSlack, caplog: pytest.LogCaptureFixture) -> None:
    desk.put("a")
    desk.put("b")
    slack.misbehave([{"do": "error", "error": "no_text"}, {"do": "error", "error": "no_text"}])

    desk.send()

    assert desk.states() == {"a": "dead", "b": "sent"}
    assert "delivery key=a channel=team state=dead" in caplog.text


def test_what_waits_for_a_channel_that_was_taken_out_of_the_config_is_kept(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.put("a", channel="old")

    desk.send("old")

    assert desk.states() == {"a": "waiting"}
    assert "there is no channel old in the config" in caplog.text


class Faulty(Console):
    def send(self, outgoing: Outgoing) -> None:
        raise KeyError("a bug in a channel")


def test_a_bug_in_a_channel_is_an_unknown_outcome_and_harms_nobody_else(store: Store, clock: Clock) -> None:
    desk = Desk(store, clock, {"team": Faulty(), "screen": Console()})
    desk.put("a")
    desk.put("b", channel="screen")

    desk.send("team")
    desk.send("screen")

    assert desk.states() == {"a": "unknown", "b": "sent"}
    assert desk.row("a").last_error == "KeyError in the channel"


# Others than Slack.


def test_a_webhook_that_fails_once_gets_it_again_marked(store: Store, clock: Clock) -> None:
    with WebhookSink() as sink:
        desk = Desk(store, clock, {"team": Webhook(url=SecretStr(sink.url), timeout=0.5)})
        desk.put("1 open", "message", 1)
        desk.put("1 over", "message", 1)
        sink.misbehave([Fault("drop", accepted=True)])

        desk.send()
        assert [post.json["key"] for post in sink.posts] == ["1 open"]
        desk.later(MINUTE)

        told = [(post.json["key"], post.json["message"]["may_repeat"]) for post in sink.posts]
        assert told == [("1 open", False), ("1 open", True), ("1 over", False)]


def test_a_webhook_that_refuses_us_keeps_the_rows(store: Store, clock: Clock) -> None:
    with WebhookSink() as sink:
        desk = Desk(store, clock, {"team": Webhook(url=SecretStr(sink.url), timeout=0.5)})
        sink.answers = [403, 200]
        desk.put("a")

        desk.send()
        assert desk.row("a").state == "waiting"
        desk.later(5 * MINUTE)

        assert desk.states() == {"a": "sent"}


def to_mail(sink: SmtpSink, **more: Any) -> Mail:
    return Mail(server=sink.server, sender="vigil@example.com", to=["team@example.com"], ca_file=sink.ca_file, timeout=1, **more)


def test_e2_greylisting_is_waited_out_and_the_mail_comes_once(store: Store, clock: Clock) -> None:
    with SmtpSink() as sink:
        desk = Desk(store, clock, {"team": to_mail(sink)})
        desk.config = Config(Path("config.toml"), daemon=DaemonSettings(), channels=desk.config.channels)
        desk.put("a")
        sink.greylist = 2

        tries = 0
        while desk.row("a").state != "sent" and tries < 5:
            clock.advance(HOUR)
            tries += desk.send()

        assert tries == 3
        assert len(sink.mails) == 1


def test_e4_a_mail_whose_reply_was_lost_comes_again_under_the_same_id(store: Store, clock: Clock) -> None:
    with SmtpSink() as sink:
        desk = Desk(store, clock, {"team": to_mail(sink)})
        desk.config = Config(Path("config.toml"), daemon=DaemonSettings(), channels=desk.config.channels)
        desk.put("a")
        sink.after_data = ["drop"]

        desk.send()
        assert desk.row("a").state == "unknown"
        desk.later(MINUTE)

        assert desk.states() == {"a": "sent"}
        assert len(sink.mails) == 2
        assert len({mail["Message-ID"] for mail in sink.mails}) == 1


# The look of a real crash: every step can be the last one.


@pytest.mark.parametrize("accepted", [True, False])
@pytest.mark.parametrize("step", ["before the send", "after the send", "in the finish"])
def test_a_crash_at_any_step_loses_nothing_and_posts_nothing_twice(
    desk: Desk, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch, step: str, accepted: bool
) -> None:
    desk.incident()
    if not accepted:
        slack.misbehave([Fault("server_error", method="chat.postMessage")])
    with monkeypatch.context() as patched:
        _crash(patched, step)
        with pytest.raises(SystemExit):
            desk.send()
    desk.leases_end()

    for _ in range(4):
        desk.later(2 * MINUTE)

    assert slack.keys() == ["1 open", "1 line 2"]
    assert set(desk.states().values()) == {"sent"}


def _crash(patched: pytest.MonkeyPatch, step: str) -> None:
    def dies(*_: Any, **__: Any) -> Any:
        raise SystemExit("killed")

    if step == "before the send":
        patched.setattr(delivery, "_send_once", dies)
    elif step == "in the finish":
        patched.setattr(outbox, "finish", dies)
    else:
        send = delivery._send_once

        def sends_and_dies(*given: Any) -> Any:
            try:
                send(*given)
            finally:
                dies()

        patched.setattr(delivery, "_send_once", sends_and_dies)


# test-channel.


def test_a_test_message_goes_past_the_store(desk: Desk, slack: FakeSlack) -> None:
    reference = delivery.send_test(desk.config.channels["team"], "team", desk.clock.now(), SECOND)

    assert reference is not None
    assert "Nothing is wrong" in slack.messages[0]["text"]
    assert desk.states() == {}


def test_a_test_message_that_cannot_go_says_why(desk: Desk, slack: FakeSlack) -> None:
    slack.misbehave([{"do": "error", "error": "invalid_auth"}])

    with pytest.raises(CredentialBroken, match="invalid_auth"):
        delivery.send_test(desk.config.channels["team"], "team", desk.clock.now(), SECOND)


class Hanging(Console):
    def send(self, outgoing: Outgoing) -> None:
        threading.Event().wait()


def test_a_test_message_does_not_wait_for_ever(clock: Clock) -> None:
    with pytest.raises(Unknown, match=r"no answer within 0\.05 s"):
        delivery.send_test(Hanging(), "team", clock.now(), timedelta(seconds=0.05))


def test_no_secret_is_stored_or_logged(desk: Desk, slack: FakeSlack, caplog: pytest.LogCaptureFixture) -> None:
    desk.incident()
    slack.misbehave(["drop", "not_json", {"do": "error", "error": "invalid_auth"}])
    for _ in range(4):
        desk.later(10 * MINUTE)

    with desk.store.reading() as connection:
        stored = str(connection.execute(select(deliveries)).all())
    for text in (stored, caplog.text, str(looking.channel_states(desk.store))):
        assert slack.token not in text


def test_t1_who_was_stopped_on_the_way_to_the_socket_does_not_send_as_it_wakes_up() -> None:
    with WebhookSink() as sink:
        token = wire.BEGIN_BY.set(time.monotonic() - 1)
        try:
            with pytest.raises(NotSent, match="left for the next try"):
                wire.post(sink.url, b"{}", {}, 5.0, "the hook")
        finally:
            wire.BEGIN_BY.reset(token)
        assert sink.posts == []
        assert wire.post(sink.url, b"{}", {}, 5.0, "the hook").status == 200


def test_what_began_later_is_no_part_of_a_storm() -> None:
    now = Clock().now()
    begun = {"team": [(number, now + number * MINUTE) for number in range(1, 9)]}
    assert Stand(begun=begun).heard(9, "team", True, now - 10 * MINUTE, now).begun == 0
    assert Stand(begun=begun).heard(9, "team", True, now - 10 * MINUTE, now + 4 * MINUTE).begun == 4
