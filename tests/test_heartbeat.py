"""The dead man's switch, the last resort and systemd: what the outside hears of us, against real sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy.exc import SQLAlchemyError

from alerts.message import Message
from alerts.slack import Slack
from alerts.telling import Delivery
from checks.result import Severity
from checks.window import Window
from monitor import systemd
from monitor.config import Config
from monitor.dataset import Dataset
from monitor.heartbeat import Heartbeat, ailing
from monitor.last_resort import LastResort
from monitor.settings import HeartbeatSettings
from monitor.store import ledger, outbox
from monitor.store.store import Store
from monitor.testing import FakeSlack, WebhookSink

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ORDERS = Dataset(name="orders", table="orders/{start:%Y-%m-%d}.csv")


@pytest.fixture
def sink() -> Iterator[WebhookSink]:
    with WebhookSink() as running:
        yield running


def config(sink: WebhookSink | None = None, **more: Any) -> Config:
    ping = HeartbeatSettings(url=SecretStr(f"{sink.address}/ping/s3cr3t?x=1"), timeout=2) if sink else None
    return Config(Path("config.toml"), heartbeat=ping, **more)


def waiting(store: Store, severity: Severity, since: datetime) -> None:
    said = Message("open", "orders", "CRIT orders", since, severity)
    outbox.put(store, Delivery("inc:1:team:open:1", None, "team", "message", said), since)


def test_it_pings_at_the_start_and_while_all_is_well(store: Store, sink: WebhookSink) -> None:
    beat = Heartbeat(config(sink), store)
    beat.start()
    beat.beat(NOW)
    beat.beat(NOW)
    assert [post.path for post in sink.posts] == ["/ping/s3cr3t/start?x=1", "/ping/s3cr3t?x=1"], "one a minute"


def test_a_critical_message_that_is_not_sent_for_ten_minutes_is_told(store: Store, sink: WebhookSink) -> None:
    waiting(store, Severity.CRITICAL, NOW - 11 * MINUTE)
    Heartbeat(config(sink), store).beat(NOW)
    (post,) = sink.posts
    assert post.path == "/ping/s3cr3t/fail?x=1"
    assert post.body == b"a critical message waits since 2026-11-23 11:49 UTC"


@pytest.mark.parametrize(("severity", "minutes"), [(Severity.CRITICAL, 9), (Severity.WARNING, 600)])
def test_what_waits_in_good_order_is_well(store: Store, severity: Severity, minutes: int) -> None:
    waiting(store, severity, NOW - minutes * MINUTE)
    assert ailing(config(), store, NOW) == ""


def test_a_dataset_that_nobody_measures_is_told(store: Store) -> None:
    day = timedelta(days=1)
    midnight = NOW.replace(hour=0)
    ledger.claim(store, "orders", Window(midnight - 2 * day, midnight - day), MINUTE)
    watched = config(datasets={"orders": ORDERS})
    assert ailing(watched, store, midnight + 29 * MINUTE) == ""
    assert ailing(watched, store, midnight + 31 * MINUTE) == "1 datasets are late, such as orders"


def test_an_address_that_fails_harms_nobody_and_is_not_shown(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    with WebhookSink() as sink:
        sink.answers = [500]
        beat = Heartbeat(config(sink), store)
        beat.start()
    beat.beat(NOW)
    assert "the heartbeat's address answered 500" in caplog.text
    assert "the heartbeat's address cannot be reached" in caplog.text
    assert "s3cr3t" not in caplog.text


def test_a_store_that_takes_nothing_gets_no_ping(tmp_path: Path, sink: WebhookSink) -> None:
    beat = Heartbeat(config(sink), Store(f"sqlite:///{tmp_path}/empty.db"))
    with pytest.raises(SQLAlchemyError):
        beat.beat(NOW)
    assert sink.posts == []


def test_d2_a_store_that_stays_away_is_told_once_an_hour_without_it() -> None:
    with FakeSlack() as slack:
        channel = Slack(token=SecretStr(slack.token), channel="#oncall", api=slack.url, timeout=2)
        last = LastResort(config(channels={"oncall": channel}), patience=timedelta(0))
        assert last.failed("tick", "the store sqlite:///x.db does not work: database or disk is full", NOW)
        assert not last.failed("tick", "the same", NOW)
        assert last.troubled
        last.works("tick")
        assert not last.troubled
        last.close()
        (message,) = slack.messages
    assert "cannot store results" in message["text"]
    assert "disk is full" in message["text"]


def test_a_store_that_is_busy_for_a_moment_is_no_news() -> None:
    with FakeSlack() as slack:
        channel = Slack(token=SecretStr(slack.token), channel="#oncall", api=slack.url)
        last = LastResort(config(channels={"oncall": channel}))
        assert not last.failed("tick", "database is locked", NOW)
        last.close()
        assert slack.messages == []


def test_systemd_is_told_where_it_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "s"))
        assert systemd.notify("READY=1")
        assert listener.recv(100) == b"READY=1"
    assert not systemd.notify("READY=1"), "nobody listens any more, and nobody is harmed"
    monkeypatch.delenv("NOTIFY_SOCKET")
    assert not systemd.notify("READY=1")
