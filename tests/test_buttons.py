"""Buttons, from the message they stand under to what becomes of the incident, over a real WebSocket."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from slack_sdk.socket_mode.builtin.connection import Connection
from sqlalchemy import insert, select

from alerts.buttons import pressed
from alerts.message import Message, Outgoing
from alerts.slack import Slack
from alerts.telling import Delivery, key_of
from checks.result import Severity
from monitor import buttons, delivery
from monitor.buttons import Listener, closed
from monitor.config import Config
from monitor.store import outbox
from monitor.store.store import Store
from monitor.store.tables import events, incidents, silences
from monitor.testing import FakeSlack, as_text

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SAID = Message("open", "orders · bad values", "CRIT orders: missing(amount)", NOON, Severity.CRITICAL, incident="INC-1")


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path / 'store.db'}")
    made.migrate()
    yield made
    made.close()


def channel(slack: FakeSlack, **more: Any) -> Slack:
    given = {"token": slack.token, "app_token": slack.app_token, "channel": "#oncall", "api": slack.url, "timeout": 5}
    return Slack.model_validate({**given, **more})


class World:
    """An incident that is told in #oncall, and somebody who listens to its buttons."""

    def __init__(self, slack: FakeSlack, store: Store) -> None:
        self.slack, self.store, self.now = slack, store, NOON
        self.config = Config(Path(), channels={"oncall": channel(slack)})
        row = {"subject": "orders", "family": "quality", "severity": "critical", "since": NOON, "opened_at": NOON, "revision": 1}
        with store.begin() as connection:
            connection.execute(insert(incidents).values(id=1, **row))
        key = key_of(1, NOON, "oncall", "open:1")
        outbox.put(store, Delivery(key, 1, "oncall", "root", SAID, 1), NOON)
        self.send()
        self.changed = threading.Event()
        self.listener = Listener(self.config, store, lambda: self.now, channel(slack), ping=1)

    def send(self) -> None:
        delivery.drain(self.config, self.store, "oncall", lambda: self.now)

    @property
    def ts(self) -> str:
        return str(self.slack.roots("oncall")[0]["ts"])

    def press(self, verb: str, user: str = "ann", within: float = 3.0) -> None:
        """Pressed, acknowledged as Slack wants it, and done."""
        before = len(self.story())
        envelope = self.slack.press(self.ts, verb, user)
        assert self.slack.socket.wait(envelope, within)
        self.until(lambda: len(self.story()) > before)

    def until(self, seen: Any) -> None:
        for _ in range(3000):
            if seen():
                return
            self.changed.wait(0.01)
        raise AssertionError("it did not happen")

    def story(self) -> list[tuple[str, str]]:
        with self.store.reading() as connection:
            return [(row.happened, row.actor) for row in connection.execute(select(events).order_by(events.c.id))]

    def incident(self) -> Any:
        with self.store.reading() as connection:
            return connection.execute(select(incidents)).one()


@pytest.fixture
def world(slack: FakeSlack, store: Store) -> Iterator[World]:
    made = World(slack, store)
    made.listener.start()
    assert slack.socket.wait_for_listeners()
    yield made
    made.listener.stop()


def test_without_an_app_token_there_are_no_buttons_and_nobody_listens(slack: FakeSlack, store: Store) -> None:
    plain = channel(slack, app_token=None)
    plain.send(Outgoing("root", key_of(1, NOON, "oncall", "open:1"), SAID))
    assert [b for b in slack.messages[0]["blocks"] if b["type"] == "actions"] == []
    assert buttons.listeners(Config(Path(), channels={"a": plain}), store, lambda: NOON) == []


def test_channels_of_one_app_share_a_listener(slack: FakeSlack, store: Store) -> None:
    three = {"a": channel(slack), "b": channel(slack, channel="#data-quality"), "c": channel(slack, app_token="xapp-other")}
    assert len(buttons.listeners(Config(Path(), channels=three), store, lambda: NOON)) == 2


def test_the_buttons_stand_under_an_open_incident_and_nowhere_else(slack: FakeSlack) -> None:
    team = channel(slack)
    key = key_of(1, NOON, "oncall", "open:1")
    team.send(Outgoing("root", key, SAID))
    team.send(Outgoing("message", "digest:oncall:2026-11-23", SAID))
    team.send(Outgoing("root", key, Message("resolved", "t", "t", NOON, Severity.CRITICAL)))
    rows = [[e["text"]["text"] for b in m["blocks"] if b["type"] == "actions" for e in b["elements"]] for m in slack.messages]
    assert rows == [["Acknowledge", "Silence 4 h", "Silence until morning", "Accept as new normal", "Not useful"], [], []]


def test_pressing_acknowledge_is_seen_by_everybody(world: World) -> None:
    world.press("acknowledge")
    assert world.incident().acked_by == "ann"
    world.send()
    root = world.slack.roots("oncall")[0]
    assert "acknowledged by ann" in as_text(root)
    assert [as_text(line) for line in world.slack.thread(world.ts)] == ["🔴 acknowledged by ann"]
    # There is nothing left to acknowledge; the rest stays.
    assert [e["action_id"] for b in root["blocks"] if b["type"] == "actions" for e in b["elements"]] == [
        "datavigil:silence_4h",
        "datavigil:silence_morning",
        "datavigil:accept",
        "datavigil:not_useful",
    ]


def test_a1_pressed_twice_and_by_two_people_the_first_one_wins_and_the_others_are_told(world: World) -> None:
    world.press("acknowledge")
    world.press("acknowledge")
    world.press("acknowledge", "bob")
    assert world.incident().acked_by == "ann"
    assert world.story() == [("acked", "ann"), ("acked", "ann"), ("acked", "bob")]
    world.until(lambda: len(world.slack.answers) == 2)
    assert {a["text"] for a in world.slack.answers} == {"ann has acknowledged INC-1 already"}
    assert {(a["response_type"], a["replace_original"]) for a in world.slack.answers} == {("ephemeral", False)}


def test_a1_after_the_end_it_is_only_recorded(world: World) -> None:
    with world.store.begin() as connection:
        connection.execute(incidents.update().values(resolved_at=NOON))
    world.press("acknowledge")
    assert world.incident().acked_by is None
    assert world.story() == [("acked", "ann")]
    world.until(lambda: world.slack.answers)
    assert "over already" in world.slack.answers[0]["text"]


def test_a1_ten_minutes_late_it_counts_from_when_it_came(world: World) -> None:
    world.now = NOON + timedelta(minutes=10)
    world.press("silence_4h")
    with world.store.reading() as connection:
        row = connection.execute(select(silences)).one()
    assert (row.starts_at, row.ends_at, row.author) == (world.now, world.now + timedelta(hours=4), "ann")


def test_a1_slack_refreshes_the_connection_and_buttons_go_on(world: World) -> None:
    world.slack.socket.refresh()
    world.until(lambda: len(world.slack.asked("apps.connections.open")) == 2)
    assert world.slack.socket.wait_for_listeners()
    # Slack's client closes the old connection, up to three seconds, before it reads from the new one.
    world.press("acknowledge", within=30)
    assert world.incident().acked_by == "ann"


def test_a1_a_connection_that_breaks_comes_back(world: World) -> None:
    world.slack.socket.drop()
    assert world.slack.socket.wait_for_listeners()
    world.press("not_useful", within=30)
    assert world.story() == [("not useful", "ann")]


def test_a_press_that_slack_says_twice_is_done_once(world: World) -> None:
    envelope = {"ts": world.ts, "verb": "silence_4h"}
    world.slack.press(**envelope)
    world.slack.press(**envelope)
    world.until(lambda: len(world.story()) == 2)
    with world.store.reading() as connection:
        assert len(connection.execute(select(silences)).all()) == 1


def test_until_morning_ends_in_the_morning(world: World) -> None:
    world.press("silence_morning")
    with world.store.reading() as connection:
        assert connection.execute(select(silences.c.ends_at)).scalar() == datetime(2026, 11, 24, 8, tzinfo=UTC)


def test_another_stores_incident_of_the_same_number_is_left_alone(world: World) -> None:
    other = {"action_id": "datavigil:acknowledge", "value": "1-20250101T000000000000"}
    envelope = world.slack.socket.interact(world.slack.interaction(world.slack.channel("oncall"), world.ts, other, "ann"))
    assert world.slack.socket.wait(envelope)
    world.until(lambda: world.slack.answers)
    assert world.incident().acked_by is None
    assert "no incident INC-1" in world.slack.answers[0]["text"]


def test_by_a_new_config_apps_that_stay_are_kept_those_that_left_are_let_go_and_new_ones_begin(
    slack: FakeSlack, store: Store
) -> None:
    none = Config(Path(), channels={"a": channel(slack, app_token=None)})
    one = Config(Path(), channels={"a": channel(slack)})
    other = Config(Path(), channels={"a": channel(slack, app_token="xapp-other"), "b": channel(slack, channel="#b")})

    begun = buttons.renewed([], one, store, lambda: NOON)
    assert slack.socket.wait_for_listeners()
    same = buttons.renewed(begun, Config(Path(), channels={**one.channels}), store, lambda: NOON)
    assert same == begun, "it stays connected"
    more = buttons.renewed(same, other, store, lambda: NOON)
    assert more[0] is begun[0]
    assert (more[0].config, more[0].ending.is_set()) == (other, False)
    assert [listener.app[0] for listener in more] == [slack.app_token, "xapp-other"]
    assert buttons.renewed(more, none, store, lambda: NOON) == []
    assert all(listener.ending.is_set() for listener in more)
    for listener in more:
        listener.thread.join(10)
        assert not listener.thread.is_alive()


def test_a_refused_app_token_costs_the_buttons_and_nothing_else(slack: FakeSlack, store: Store, caplog: Any) -> None:
    world = World(slack, store)
    listener = Listener(world.config, store, lambda: NOON, channel(slack, app_token="xapp-wrong"))
    listener.start()
    world.until(lambda: "no buttons in Slack #oncall for now: Slack refused: invalid_auth" in caplog.text)
    listener.stop()
    listener.thread.join(10)
    assert not listener.thread.is_alive()
    assert "xapp-wrong" not in caplog.text


def test_a_store_that_is_gone_is_answered_and_the_connection_stays(world: World) -> None:
    world.store.engine.dispose()
    Path(str(world.store.engine.url.database)).unlink()
    envelope = world.slack.press(world.ts, "acknowledge")
    assert world.slack.socket.wait(envelope)
    world.until(lambda: world.slack.answers)
    assert "press again later" in world.slack.answers[0]["text"]
    assert len(world.slack.socket.connected) == 1


def test_a2_a_forged_interaction_has_no_door_to_come_in_by(world: World) -> None:
    """Socket Mode calls Slack; nothing of ours listens. The sockets of this process that do are the double's."""
    listening = _listening()
    double = {world.slack.port, world.slack.socket.port}
    assert double <= listening
    world.press("acknowledge")
    assert _listening() == listening
    world.listener.stop()
    world.listener.thread.join(10)
    assert _listening() == listening


def _listening() -> set[int]:
    """Ports of this machine's IPv4 that some process listens on and this process holds."""
    import os

    mine = set()
    for link in Path("/proc/self/fd").iterdir():
        try:
            mine.add(os.readlink(link))  # noqa: PTH115 - it is no path
        except OSError:
            continue
    rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in mine}


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        "x",
        {},
        {"type": "view_submission"},
        {"type": "block_actions"},
        {"type": "block_actions", "actions": [None, 1, {}]},
        {"type": "block_actions", "actions": [{"action_id": "datavigil:drop", "value": "1-20261123T120000000000"}]},
        {"type": "block_actions", "actions": [{"action_id": "acknowledge", "value": "1-20261123T120000000000"}]},
        {"type": "block_actions", "actions": [{"action_id": "datavigil:acknowledge", "value": "1-99999999T999999999999"}]},
        {"type": "block_actions", "actions": [{"action_id": "datavigil:acknowledge", "value": "1"}]},
        {"type": "block_actions", "user": 5, "channel": [], "actions": [{"action_id": "datavigil:acknowledge", "value": None}]},
    ],
)
def test_what_is_not_one_of_our_buttons_is_nothing(payload: Any) -> None:
    assert pressed(payload) == []


@pytest.mark.parametrize("url", ["http://169.254.169.254/", "https://hooks.slack.com.evil.example/x", "file:///etc/passwd", "x"])
def test_only_slack_is_answered(url: str, slack: FakeSlack) -> None:
    assert not buttons._is_slack(url, channel(slack))
    assert buttons._is_slack("https://hooks.slack.com/actions/T1/2/3", channel(slack))


class TheOtherOne:
    """Another thread's turn, just when this one waits for the lock."""

    def __init__(self, session: Connection) -> None:
        self.session = session

    def __enter__(self) -> None:
        if self.session.sock is not None:
            self.session.sock.close()
        self.session.sock = None

    def __exit__(self, *_: object) -> None:
        pass


def test_a_socket_that_the_sdk_closes_at_the_same_moment_leaves_no_thread(world: World) -> None:
    client = world.listener._connected()
    session = client.current_session
    assert session is not None

    session.sock_send_lock = TheOtherOne(session)  # type: ignore[assignment]
    closed(client)
    runners = (client.current_session_runner, client.current_app_monitor, client.message_processor)
    assert not any(runner.is_alive() for runner in runners)
