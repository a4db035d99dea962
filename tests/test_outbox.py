"""Deliveries as rows: taken once, in order, finished by who holds them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from alerts.telling import Delivery, Form, harmless
from monitor.store import looking, outbox
from monitor.store.outbox import Claimed
from monitor.store.store import Store
from monitor.store.tables import deliveries, incidents

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LEASE = timedelta(minutes=1)
OVER = timedelta(0)
"""A lease that has run out as soon as it is given."""


@pytest.fixture(autouse=True)
def two_incidents(store: Store) -> None:
    with store.begin() as connection:
        for number in (1, 2):
            row = {"family": "quality", "severity": "warning", "since": NOON, "opened_at": NOON, "revision": 1}
            connection.execute(insert(incidents).values(id=number, subject=f"dataset_{number}", **row))


def put(store: Store, key: str, form: Form = "message", incident: int | None = None, channel: str = "team", **more: Any) -> None:
    outbox.put(store, Delivery(key, incident, channel, form, harmless(channel, NOON), **more), NOON)


def take(store: Store, now: datetime = NOON, lease: timedelta = LEASE, channel: str = "team") -> Claimed | None:
    return outbox.claim(store, channel, now, lease)


def key(claimed: Claimed | None) -> str | None:
    return claimed.key if claimed else None


def sent(store: Store, claimed: Claimed | None, reference: str | None = None) -> bool:
    assert claimed is not None
    return outbox.finish(store, claimed, state="sent", form=claimed.form, provider_ref=reference, sent_at=NOON)


def states(store: Store) -> dict[str, str]:
    with store.reading() as connection:
        return {row.key: row.state for row in connection.execute(select(deliveries).order_by(deliveries.c.id))}


def test_a_delivery_is_taken_once(store: Store) -> None:
    put(store, "a")

    claimed = take(store)

    assert claimed is not None
    assert (claimed.key, claimed.attempts, claimed.unsure, claimed.first_attempt_at) == ("a", 1, False, NOON)
    assert claimed.message == harmless("team", NOON)
    assert take(store) is None
    assert states(store) == {"a": "sending"}


def test_t1_of_many_senders_each_row_goes_to_one(store: Store) -> None:
    for number in range(8):
        put(store, f"row {number}")
    gate = threading.Barrier(4)

    def race(_: int) -> list[str]:
        gate.wait(30)
        return [claimed.key for claimed in iter(lambda: take(store), None)]

    with ThreadPoolExecutor(4) as pool:
        taken = [name for names in pool.map(race, range(4)) for name in names]

    assert sorted(taken) == [f"row {number}" for number in range(8)]


def test_d4_the_same_key_is_written_down_once(store: Store) -> None:
    put(store, "a")
    put(store, "a", channel="oncall")

    assert outbox.unsent(store) == {"team": 1}


def test_channels_have_nothing_to_do_with_each_other(store: Store) -> None:
    put(store, "a", "root", 1, "team")
    put(store, "b", "root", 1, "oncall")

    assert key(take(store, channel="oncall")) == "b"
    assert key(take(store, channel="team")) == "a"
    assert take(store, channel="nobody") is None


def test_rows_of_an_incident_go_one_after_another_and_other_incidents_go_on(store: Store) -> None:
    put(store, "1 open", "root", 1)
    put(store, "1 line", "line", 1)
    put(store, "2 open", "root", 2)

    first = take(store)

    assert key(first) == "1 open"
    assert key(take(store)) == "2 open"
    assert take(store) is None, "the line waits for its root"
    sent(store, first, "C1:7")
    line = take(store)
    assert line is not None
    assert (line.key, line.root) == ("1 line", "C1:7")


@pytest.mark.parametrize("state", ["waiting", "unknown"])
def test_a_reply_waits_while_its_root_is_tried_again(store: Store, state: str) -> None:
    put(store, "open", "root", 1)
    put(store, "line", "line", 1)
    first = take(store)
    assert first is not None
    outbox.finish(store, first, state=state, next_attempt_at=NOON + MINUTE)

    assert take(store) is None
    assert key(take(store, NOON + MINUTE)) == "open"


@pytest.mark.parametrize("state", ["dead", "expired", "superseded"])
def test_a_root_that_will_never_come_holds_nobody_up(store: Store, state: str) -> None:
    put(store, "open", "root", 1)
    put(store, "line", "line", 1)
    first = take(store)
    assert first is not None
    outbox.finish(store, first, state=state)

    line = take(store)

    assert line is not None
    assert (line.key, line.root) == ("line", None)


def test_only_the_newest_edit_is_sent(store: Store) -> None:
    put(store, "open", "root", 1)
    for revision in (2, 3, 4):
        put(store, f"rev {revision}", "edit", 1, revision=revision)
        put(store, f"line {revision}", "line", 1, revision=revision)
    put(store, "other", "edit", 2, revision=2)

    taken = []
    while claimed := take(store):
        taken.append(claimed.key)
        sent(store, claimed, "C1:7")

    assert taken == ["open", "line 2", "line 3", "rev 4", "line 4", "other"]
    assert states(store)["rev 2"] == states(store)["rev 3"] == "superseded"


def test_an_edit_that_may_have_become_a_root_is_not_superseded(store: Store) -> None:
    put(store, "rev 2", "edit", 1, revision=2)
    first = take(store)
    assert first is not None
    outbox.finish(store, first, state="unknown", next_attempt_at=NOON)
    put(store, "rev 3", "edit", 1, revision=3)

    again = take(store)

    assert again is not None
    assert (again.key, again.unsure) == ("rev 2", True)


def test_the_thread_hangs_on_the_root_not_on_a_line(store: Store) -> None:
    put(store, "open", "root", 1)
    put(store, "line", "line", 1)
    put(store, "end", "line", 1)
    sent(store, take(store), "C1:7")
    sent(store, take(store), "C1:8")

    end = take(store)

    assert end is not None
    assert end.root == "C1:7"


@pytest.mark.parametrize("form", ["root", "message"])
def test_a_root_that_is_gone_is_forgotten(store: Store, form: Form) -> None:
    put(store, "open", form, 1)
    put(store, "line", "line", 1)
    sent(store, take(store), "C1:7")

    outbox.forget_root(store, 1, "team")

    line = take(store)
    assert line is not None
    assert line.root is None


def test_a_row_comes_when_its_time_has_come(store: Store) -> None:
    put(store, "quiet", not_before=NOON + MINUTE)

    assert outbox.waiting_channels(store, NOON) == []
    assert take(store) is None
    assert outbox.waiting_channels(store, NOON + MINUTE) == ["team"]
    assert key(take(store, NOON + MINUTE)) == "quiet"


def test_what_is_too_old_expires_and_says_so(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    put(store, "old", expires_at=NOON + MINUTE)
    put(store, "held", expires_at=NOON + MINUTE, not_before=NOON + 2 * MINUTE)
    put(store, "young", expires_at=NOON + 2 * MINUTE)

    assert key(take(store, NOON + MINUTE)) == "young"

    assert states(store) == {"old": "expired", "held": "expired", "young": "sending"}
    assert "channel team: 2 deliveries are too old to be sent and were given up" in caplog.text


def test_what_stayed_unsure_until_it_is_too_old_expires(store: Store) -> None:
    put(store, "a", expires_at=NOON + MINUTE)
    first = take(store)
    assert first is not None
    outbox.finish(store, first, state="unknown", next_attempt_at=NOON)

    assert take(store, NOON + MINUTE) is None


# Leases.


def test_a_row_whose_sender_died_comes_again_and_may_have_arrived(store: Store) -> None:
    put(store, "a")
    first = take(store, NOON, OVER)

    again = take(store, NOON + MINUTE)

    assert first is not None
    assert again is not None
    assert (again.attempts, again.unsure, again.first_attempt_at) == (2, True, NOON)
    assert again.token != first.token


def test_what_a_stale_sender_writes_changes_nothing(store: Store) -> None:
    put(store, "a")
    stale = take(store, NOON, OVER)
    holder = take(store)

    assert sent(store, stale, "C1:1") is False
    assert states(store) == {"a": "sending"}
    assert sent(store, holder, "C1:2") is True
    assert sent(store, holder, "C1:3") is False
    with store.reading() as connection:
        assert connection.execute(select(deliveries.c.provider_ref)).scalar() == "C1:2"


def test_d5_leases_go_by_the_stores_clock_not_by_ours(store: Store) -> None:
    put(store, "a")
    take(store)

    assert take(store, NOON + timedelta(days=365)) is None


# Channels out of order.


def test_a_paused_channel_is_held_until_then(store: Store) -> None:
    outbox.pause(store, "team", NOON + MINUTE)

    assert set(outbox.held(store, NOON)) == {"team"}
    assert outbox.held(store, NOON + MINUTE) == {}


def test_a_blocked_channel_is_held_until_its_probe_and_known_since_when(store: Store) -> None:
    assert outbox.block(store, "team", "credential", "invalid_auth", NOON, NOON + MINUTE) is True
    assert outbox.block(store, "team", "credential", "invalid_auth", NOON + MINUTE, NOON + 2 * MINUTE) is False

    assert set(outbox.held(store, NOON + MINUTE)) == {"team"}
    assert outbox.held(store, NOON + 2 * MINUTE) == {}
    told = looking.channel_states(store)["team"]
    assert (told["broken_since"], told["error"], told["unsent"]) == (NOON, "invalid_auth", 0)

    outbox.unblock(store, "team")

    assert outbox.held(store, NOON + MINUTE) == {}
    assert looking.channel_states(store) == {}


def test_at_a_start_a_blocked_channel_is_tried_at_once_and_still_known_as_broken(store: Store) -> None:
    outbox.block(store, "team", "credential", "invalid_auth", NOON, NOON + MINUTE)
    outbox.pause(store, "oncall", NOON + MINUTE)

    outbox.try_again(store)

    assert set(outbox.held(store, NOON)) == {"oncall"}
    assert looking.channel_states(store)["team"]["broken_since"] == NOON


def test_all_that_waits_for_a_broken_channel_goes_to_its_fallback(store: Store) -> None:
    put(store, "1 open", "root", 1, revision=1)
    put(store, "1 rev", "edit", 1, revision=2)
    put(store, "2 open", "root", 2, revision=1)
    put(store, "notice")
    put(store, "quiet", not_before=NOON + MINUTE)

    assert outbox.reroute(store, "team", "oncall", NOON) == 4
    assert outbox.reroute(store, "team", "oncall", NOON) == 0

    fallen = []
    while claimed := take(store, channel="oncall"):
        fallen.append((claimed.key, claimed.form, claimed.incident))
        assert claimed.message.why.endswith("; team is out of order")
        sent(store, claimed)
    assert fallen == [
        ("1 open:via:oncall", "message", 1),
        ("2 open:via:oncall", "message", 2),
        ("notice:via:oncall", "message", None),
    ]
    assert states(store)["quiet"] == "pending"
    assert {states(store)[name] for name in ("1 open", "1 rev", "2 open", "notice")} == {"superseded"}


def test_what_may_have_arrived_says_so_where_it_falls_back_to(store: Store) -> None:
    put(store, "a")
    first = take(store)
    assert first is not None
    outbox.finish(store, first, state="unknown", next_attempt_at=NOON)

    outbox.reroute(store, "team", "oncall", NOON)

    fallen = take(store, channel="oncall")
    assert fallen is not None
    assert fallen.message.may_repeat


def test_a_row_that_somebody_is_sending_is_not_taken_from_them(store: Store) -> None:
    put(store, "a")
    take(store)

    assert outbox.reroute(store, "team", "oncall", NOON) == 0


def test_two_broken_channels_do_not_play_ball(store: Store) -> None:
    put(store, "a")
    outbox.reroute(store, "team", "oncall", NOON)

    assert outbox.reroute(store, "oncall", "team", NOON) == 0

    assert states(store) == {"a": "superseded", "a:via:oncall": "pending"}


def test_a_fallback_that_is_told_of_the_incident_anyway_is_not_told_twice(store: Store) -> None:
    put(store, "team open", "root", 1, "team", revision=1)
    put(store, "oncall open", "root", 1, "oncall", revision=1)

    outbox.reroute(store, "team", "oncall", NOON)

    assert states(store) == {"team open": "superseded", "oncall open": "pending"}


# A message that no wire would take as it is.


def test_nul_bytes_and_half_characters_do_not_reach_a_channel(store: Store) -> None:
    said = replace(harmless("team", NOON), text="NUL \x00 and half \ud83d", facts=())
    outbox.put(store, Delivery("odd", None, "team", "message", said), NOON)

    claimed = take(store)

    assert claimed is not None
    assert claimed.message.text == "NUL \\0 and half ?"


def test_how_many_wait_and_why_can_be_asked(store: Store) -> None:
    put(store, "a")
    put(store, "b")
    put(store, "c", channel="oncall")
    sent(store, take(store))
    with store.begin() as connection:
        connection.execute(update(deliveries).where(deliveries.c.key == "b").values(last_error="refused"))

    assert outbox.unsent(store) == {"team": 1, "oncall": 1}
    told = looking.channel_states(store)
    assert told["team"] == {"unsent": 1, "oldest": NOON, "error": "refused"}
