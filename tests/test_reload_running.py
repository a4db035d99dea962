"""A changed config while things go on: a real daemon that gets SIGHUP, and checks that go, change their bound or their id."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from monitor.config import load
from monitor.reload import reread
from monitor.runner import Runner
from monitor.store.store import Store
from monitor.store.tables import deliveries, events, incidents, problems
from monitor.testing import FakeSlack
from tests.test_daemon import Service, service, until
from tests.test_runner import InLine, work

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
AMOUNT = '{kind = "missing", column = "amount", at_most = 0.1, severity = "critical"}'
ORDERS = f"""
[datasets.orders]
table = "landing/orders-{{start:%Y-%m-%d}}.csv"
every = "1d"
auto = false
checks = [
  {AMOUNT},
  {{kind = "row_count", at_least = 1}},
]
"""
TEAM = """
[channels.team]
kind = "webhook"
url = "http://127.0.0.1:9/nobody"
"""


class Orders:
    """A dataset of daily files whose config changes; each day is measured at noon of the next, and what waits counts as sent."""

    def __init__(self, home: Path, store: Store) -> None:
        self.home, self.store, self.now = home, store, NOON
        (home / "landing").mkdir()
        (home / "config.toml").write_text(ORDERS + TEAM)
        self.config = load(home / "config.toml", {})
        self.runner = Runner(self.config, store, InLine())

    def day(self, missing: int) -> None:
        """The next day's file, with so many of ten amounts missing."""
        rows = "".join(f"{n},{'' if n < missing else n * 1.5}\n" for n in range(10))
        start = self.now - DAY
        (self.home / "landing" / f"orders-{start:%Y-%m-%d}.csv").write_text("id,amount\n" + rows)
        work(self.runner, self.now)
        with self.store.begin() as connection:
            connection.execute(update(deliveries).where(deliveries.c.state == "pending").values(state="sent", attempts=1))
        self.now += DAY

    def change(self, old: str, new: str) -> None:
        written = (self.home / "config.toml").read_text()
        assert old in written
        (self.home / "config.toml").write_text(written.replace(old, new))
        self.config, said = reread(self.config, self.store, self.now)
        assert said[0] == "the config was read again and is in force"
        self.runner.take(self.config)

    def rows(self, *columns: Any) -> list[tuple[Any, ...]]:
        with self.store.reading() as connection:
            return [tuple(row) for row in connection.execute(select(*columns).order_by(columns[0]))]

    @property
    def told(self) -> list[str]:
        """The ends of the keys of all that was written down to be sent."""
        return [key.partition(":team:")[2] for _, key in self.rows(deliveries.c.id, deliveries.c.key)]


@pytest.fixture
def orders(tmp_path: Path, store: Store) -> Orders:
    return Orders(tmp_path, store)


def test_r2_a_check_that_is_taken_out_ends_its_incident_with_one_line_that_says_why(orders: Orders) -> None:
    orders.day(missing=5)
    assert orders.told == ["open:1"]
    orders.change(f"  {AMOUNT},\n", "")
    orders.day(missing=5)
    orders.day(missing=5)
    assert orders.told == ["open:1", "resolved:1"]
    assert "no longer checked" in orders.rows(events.c.id, events.c.text)[-1][1]
    [(_, resolved)] = orders.rows(incidents.c.id, incidents.c.resolved_at)
    assert resolved is not None


def test_r3_a_changed_bound_keeps_what_is_open_and_tells_nothing_again(orders: Orders) -> None:
    orders.day(missing=5)
    orders.change("at_most = 0.1", "at_most = 0.2")
    orders.day(missing=5)
    orders.day(missing=5)
    assert orders.told == ["open:1"]
    assert orders.rows(problems.c.check, problems.c.state) == [("missing(amount)", "firing")]


def test_r3_what_a_looser_bound_allows_ends_as_anything_does_after_two_windows(orders: Orders) -> None:
    orders.day(missing=5)
    orders.change("at_most = 0.1", "at_most = 0.9")
    orders.day(missing=5)
    assert orders.told == ["open:1"]
    orders.day(missing=5)
    assert orders.told == ["open:1", "resolved:1"]


def test_r4_a_changed_id_is_a_new_problem_and_the_old_one_is_over(orders: Orders) -> None:
    orders.day(missing=5)
    orders.change('{kind = "missing"', '{id = "amounts", kind = "missing"')
    orders.day(missing=5)
    assert orders.rows(problems.c.check, problems.c.state) == [("amounts", "firing"), ("missing(amount)", "ok")]
    # Both belong to one incident, which goes on: it opened once.
    assert [t for t in orders.told if t.startswith("open")] == ["open:1"]
    assert orders.rows(incidents.c.id, incidents.c.resolved_at) == [(1, None)]


SLACK = """
[channels.team]
kind = "slack"
token = "${{SLACK_BOT_TOKEN}}"
channel = "#data-quality"
api = "{slack}"

[daemon]
tick = "1s"
workers = 1
"""
WATCHED = """
[datasets.{name}]
table = "landing/{{start:%Y-%m-%d}}.csv"
every = "1d"
auto = false
checks = [{{kind = "row_count", at_least = 1}}]
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Service, FakeSlack]]:
    (tmp_path / "landing").mkdir()
    for days in (0, 1):
        (tmp_path / "landing" / f"{datetime.now(UTC) - days * DAY:%Y-%m-%d}.csv").write_text("id\n1\n2\n")
    with FakeSlack() as slack, service(tmp_path, slack) as daemon:
        yield daemon, slack


def hang_up(daemon: Service, text: str) -> None:
    """The config is written anew, and the daemon told to read it."""
    assert daemon.process is not None
    (daemon.folder / "config.toml").write_text(text)
    os.kill(daemon.process.pid, signal.SIGHUP)


def test_r1_a_daemon_that_gets_sighup_keeps_the_old_config_while_the_new_one_is_broken(running: tuple[Service, FakeSlack]) -> None:
    daemon, slack = running
    first = SLACK.format(slack=slack.url) + WATCHED.format(name="orders")
    good = first + WATCHED.format(name="refunds")
    broken = good.replace("at_least", "at_laest")
    (daemon.folder / "config.toml").write_text(first)
    daemon.start()
    until(daemon.ready)

    # Good: the new dataset is measured.
    hang_up(daemon, good)
    until(lambda: "the config was read again and is in force" in daemon.log)
    until(lambda: daemon.rows("select 1 from windows where dataset = 'refunds'"))

    # Broken: said once with file and line, however often it is read.
    hang_up(daemon, broken)
    until(lambda: [m for m in slack.roots() if "config.toml, line" in m["text"]])
    said = daemon.log.count("the old one stays in force")
    hang_up(daemon, broken)
    until(lambda: daemon.log.count("the old one stays in force") > said)
    assert daemon.process is not None
    assert daemon.process.poll() is None

    # Mended: the message about it turns green.
    hang_up(daemon, good)
    until(lambda: [m for m in slack.roots() if "RESOLVED" in m["text"]])
    assert len([m for m in slack.roots() if "config.toml" in m["text"]]) == 1
    assert len(slack.keys()) == len(set(slack.keys()))
    assert daemon.end(signal.SIGTERM) == 0
