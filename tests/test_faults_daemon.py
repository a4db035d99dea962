"""The daemon whose store or mail server goes away and comes back, by the numbers of the fault list: its own jobs, one turn after
the other, by a clock that is set; real databases, a Slack, a mail server and a dead man's switch on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from alerts.mail import Mail
from checks.window import Window
from monitor import daemon
from monitor.config import Config, load
from monitor.daemon import Daemon
from monitor.runner import Runner
from monitor.store import ledger, looking, outbox
from monitor.store.store import Store
from monitor.store.tables import deliveries, incidents, results, windows
from monitor.testing import Clock, FakeSlack, SmtpSink, WebhookSink
from monitor.testing.inline import InLine
from tests.conftest import started_postgres
from tests.test_faults import full
from tests.test_runner import ORDERS, land

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
AROUND = """
[channels.team]
kind = "slack"
token = "{token}"
channel = "#data-quality"
api = "{api}"
[heartbeat]
url = "{ping}/ping"
"""


class Life:
    """A daemon without its ticker: `turn` is one turn of each job, by the clock."""

    def __init__(self, config: Config, store: Store, clock: Clock) -> None:
        self.daemon, self.clock = Daemon(config, store, Runner(config, store, InLine())), clock
        self.daemon.last_resort.patience = timedelta(0)

    def turn(self, later: timedelta = MINUTE) -> None:
        self.clock.advance(later)
        # A ping at each turn, not one a minute of real time.
        self.daemon.heartbeat.last = float("-inf")
        for job in (self.daemon.tick, self.daemon.collect, self.daemon.housekeeping, self.daemon.summarise, self.daemon.beat):
            job()

    def until(self, wanted: Callable[[], Any]) -> None:
        """Turns until it is so: the senders are threads of their own."""
        end = time.monotonic() + 120
        while not wanted():
            assert time.monotonic() < end, "it never came"
            self.turn(timedelta(seconds=1))
            time.sleep(0.02)


@contextmanager
def living(config: Config, store: Store, clock: Clock) -> Iterator[Life]:
    life = Life(config, store, clock)
    for sender in life.daemon.senders.values():
        sender.thread.start()
    try:
        yield life
    finally:
        for sender in life.daemon.senders.values():
            sender.stop()
            sender.thread.join(30)
        life.daemon.reporter.stop()
        life.daemon.last_resort.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(daemon, "now", made.now)
    # It rests after a fault by the real clock, which no test waits for.
    monkeypatch.setattr(daemon, "PAUSE_AFTER_FAULT", timedelta(0))
    return made


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "landing").mkdir()
    return tmp_path


@pytest.fixture
def slack(clock: Clock) -> Iterator[FakeSlack]:
    with FakeSlack(clock=lambda: clock.now().timestamp()) as server:
        yield server


@pytest.fixture
def pings() -> Iterator[WebhookSink]:
    with WebhookSink() as running:
        yield running


def configured(home: Path, slack: FakeSlack, pings: WebhookSink, datasets: str = ORDERS) -> Config:
    around = AROUND.format(token=slack.token, api=slack.url, ping=pings.address)
    (home / "config.toml").write_text(datasets + around)
    return load(home / "config.toml", {})


def count(store: Store, table: Any, *where: Any) -> int:
    with store.reading() as connection:
        return len(connection.execute(select(table).where(*where)).all())


@contextmanager
def server_of_our_own() -> Iterator[Any]:
    """A PostgreSQL that a test may kill."""
    folder, server = started_postgres()
    try:
        yield server
    finally:
        server.ensure_postgres_running()
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def killed(server: Any) -> None:
    """As a power cut would: nothing is finished, no client is told."""
    process = server.get_postmaster_info().process
    os.kill(process.pid, signal.SIGQUIT)
    process.wait(60)


def store_in(server: Any) -> Store:
    store = Store(server.get_uri().replace("postgresql://", "postgresql+psycopg://"))
    store.migrate()
    return store


# The store goes away.


def test_d2_a_daemon_whose_store_goes_away_lives_on_tells_it_once_and_catches_up(
    home: Path, clock: Clock, slack: FakeSlack, pings: WebhookSink
) -> None:
    with server_of_our_own() as server:
        store = store_in(server)
        land(home, 22, missing=20)
        with living(configured(home, slack, pings), store, clock) as life:
            # Written down too: what was being sent is looked after when its lease is over, which is minutes of the store's clock.
            life.until(lambda: slack.roots() and not outbox.unsent(store))
            killed(server)
            before, told = len(pings.posts), len(slack.messages)
            land(home, 23)
            for _ in range(5):
                life.turn(DAY / 5)
            assert len(pings.posts) == before, "no ping is the message"
            server.ensure_postgres_running()
            life.until(lambda: count(store, windows, windows.c.state == "done") == 2)
            life.until(lambda: not outbox.unsent(store))
            life.turn()

        said = [message["text"] for message in slack.messages[told:] if "cannot store results" in message["text"]]
        assert len(said) == 1
        assert len(pings.posts) > before
        assert len(slack.keys()) == len(set(slack.keys())), "nothing is told twice"
        assert count(store, incidents) == 1
        store.close()


def test_d6_a_daemon_whose_disk_is_full_tells_it_once_stops_its_pings_and_recovers_alone(
    home: Path, clock: Clock, slack: FakeSlack, pings: WebhookSink
) -> None:
    store = Store(f"sqlite:///{home}/store.db")
    store.migrate()
    import duckdb

    wide = ", ".join(f"range % {n} as column_{n}" for n in range(2, 60))  # whose results need more than the page there is
    with duckdb.connect() as connection:
        connection.execute(f"copy (select {wide} from range(99)) to '{home}/landing/orders-2026-11-22.parquet' (format parquet)")
    dataset = '[datasets.orders]\ntable = "landing/orders-{start:%Y-%m-%d}.parquet"\n'
    with living(configured(home, slack, pings, dataset), store, clock) as life:
        with full(store):
            for _ in range(5):
                life.turn()
            assert pings.posts == [], "no ping is the message"
            assert life.daemon.last_resort.troubled
        assert count(store, results) == 0
        life.until(lambda: count(store, windows, windows.c.state == "done") == 1)
        life.until(lambda: pings.posts)
        assert not life.daemon.last_resort.troubled

    assert count(store, results) > 58
    [said] = slack.messages
    assert "cannot store results" in said["text"]
    assert "full" in said["text"]
    store.close()


def test_d6_where_only_the_results_do_not_fit_any_more_it_is_told_all_the_same(home: Path, slack: FakeSlack) -> None:
    from monitor.last_resort import LastResort

    with WebhookSink() as pings:
        last = LastResort(configured(home, slack, pings), patience=timedelta(0))
    last.failed("collect", "database or disk is full", Clock().now())
    last.works("tick")
    assert last.troubled, "a tick is small: that it fits says nothing of the results"
    last.works("collect")
    assert not last.troubled
    last.close()


@pytest.mark.parametrize("seconds", [5, -5])
def test_d5_a_fail_over_to_a_server_whose_clock_is_off_claims_nothing_twice(seconds: int) -> None:
    """The new primary's clock is a function that stands before PostgreSQL's own."""
    lease = timedelta(seconds=60)
    noon = Clock().now()
    window = Window(noon - DAY, noon)
    with server_of_our_own() as server:
        store = store_in(server)
        first = ledger.claim(store, "orders", window, lease)
        assert first is not None
        killed(server)
        with pytest.raises(OperationalError):
            ledger.claim(store, "orders", window, lease)
        server.ensure_postgres_running()
        shifted = f"SELECT pg_catalog.clock_timestamp() + interval '{seconds} s'"
        server.psql(f"CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ {shifted} $$;")
        server.psql("ALTER DATABASE postgres SET search_path = public, pg_catalog;")
        other = store_in(server)
        with other.reading() as connection:
            ahead = other.clock(connection) - daemon.now()
        assert abs(ahead.total_seconds() - seconds) < abs(seconds), "the other clock is in force"

        assert ledger.claim(other, "orders", window, lease) is None
        ledger.renew(store, [first], lease)
        assert ledger.claim(other, "orders", window, lease) is None
        ledger.give_back(store, [first])
        assert ledger.claim(other, "orders", window, lease) is not None
        assert ledger.claim(store, "orders", window, lease) is None
        for each in (store, other):
            each.close()


# The mail server goes away.


def test_e1_a_daemon_whose_mail_server_is_away_from_sunday_to_tuesday_sends_mondays_mail_once(
    home: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Mail, "pace", 0.0)
    clock.set(clock.now() - 2 * DAY)
    store = Store(f"sqlite:///{home}/store.db")
    store.migrate()
    for day in range(20, 26):
        land(home, day)
    with SmtpSink(tls="none") as sink:
        inbox = f'[channels.inbox]\nkind = "mail"\nserver = "{sink.server}"\ntls = false\nsender = "vigil@example.com"\n'
        summary = 'to = ["a@example.com"]\n[summary]\nweekly = "mon 08:00"\nto = ["inbox"]\n'
        (home / "config.toml").write_text(ORDERS + inbox + summary)
        sink.sender_reply = "421 4.3.2 shutting down"
        with living(load(home / "config.toml", {}), store, clock) as life:
            for _ in range(16):
                life.turn(4 * HOUR)
                life.daemon.senders["inbox"].wake()
            life.until(lambda: count(store, deliveries, deliveries.c.attempts > 0) == 1)
            assert sink.mails == []
            sink.sender_reply = ""
            clock.advance(2 * HOUR)
            life.until(lambda: sink.mails)
            life.until(lambda: not outbox.unsent(store))
            for _ in range(3):
                life.turn(4 * HOUR)
        [mail] = sink.mails
    assert mail["Subject"].startswith("Data quality week 47")
    assert looking.found_incidents(store, everything=True) == []
    store.close()
