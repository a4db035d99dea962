"""Slack out of reach for hours, by the numbers of the fault list: real deliveries to a server on loopback, by a simulated clock."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from monitor import delivery, rounds
from monitor.store import outbox
from monitor.store.store import Store
from monitor.testing import Clock, FakeSlack, Fault, as_text
from tests.test_delivery import to_slack
from tests.test_rounds import World, at

MINUTE = timedelta(minutes=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path}/store.db")
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def clock() -> Clock:
    return Clock(at("02:00"))


@pytest.fixture
def slack(clock: Clock) -> Iterator[FakeSlack]:
    with FakeSlack(clock=lambda: clock.now().timestamp()) as server:
        yield server


class Live(World):
    """A world whose channel is a running Slack; after each step of its clock the rounds are made and what waits is sent."""

    def __init__(self, store: Store, clock: Clock, slack: FakeSlack, names: int) -> None:
        super().__init__(store, names=names)
        self.clock, self.slack = clock, slack
        self.config = replace(self.config, channels={"team": to_slack(slack, timeout=10)})

    def step(self, by: timedelta, *seen: tuple[str, str]) -> None:
        """Time passes; then these datasets are seen: (letter, name)."""
        now = self.clock.advance(by)
        for letter, name in seen:
            self.see(f"{now:%H:%M}", letter, name, rounded=False)
        rounds.due(self.config, self.store, now)
        delivery.drain(self.config, self.store, "team", self.clock.now)

    def stories(self) -> list[str]:
        """The first line of every message that starts a thread or stands alone, in order."""
        return [as_text(m).splitlines()[0] for m in self.slack.roots()]


def test_s3_an_hour_of_429_over_200_alerts_ends_in_one_storm_message(store: Store, clock: Clock, slack: FakeSlack) -> None:
    world = Live(store, clock, slack, names=200)
    slack.misbehave([Fault("rate_limit", retry_after="600")] * 6)
    for turn in range(10):
        world.step(5 * MINUTE, *(("F", f"d{20 * turn + n}") for n in range(20)))
    for _ in range(2):
        world.step(MINUTE, *(("O", f"d{n}") for n in range(100, 110)))
    assert slack.messages == []
    assert len(slack.asked("chat.postMessage")) <= 6, "the channel pauses, it does not knock at each turn"

    for _ in range(4):
        world.step(5 * MINUTE)
    [story] = world.stories()
    assert "Storm · 200 incidents in 200 datasets" in story
    assert len(slack.keys()) == len(set(slack.keys()))
    assert not any(f"d{n}:" in m["text"] for m in slack.messages for n in range(100, 110)), "what healed is not told by itself"
    assert outbox.unsent(store) == {}


def nowhere(*_: Any, **__: Any) -> Any:
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


def test_s13_three_hours_without_a_network_lose_nothing_and_end_in_what_is_open(
    store: Store, clock: Clock, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = Live(store, clock, slack, names=12)
    with monkeypatch.context() as dead:
        dead.setattr(socket, "getaddrinfo", nowhere)
        for n in range(12):
            # Far enough from each other to be no storm.
            world.step(13 * MINUTE, ("C", f"d{n}"))
        for _ in range(2):
            world.step(12 * MINUTE, *(("O", f"d{n}") for n in range(4)))
    assert slack.calls == []

    assert clock.now() - at("02:00") == timedelta(hours=3)
    world.step(MINUTE)
    world.step(MINUTE)
    stories = world.stories()
    said = " ".join(m["text"] for m in slack.roots())
    assert [f"d{n}" for n in range(12) if f"CRIT d{n}:" in said] == [f"d{n}" for n in range(4, 12)], stories
    assert len(slack.keys()) == len(set(slack.keys())), "none twice"
    assert outbox.unsent(store) == {}
    # One message for each that is open; what healed meanwhile is told to nobody, and no probe wrote into the channel.
    assert len(slack.roots()) == 8, stories
