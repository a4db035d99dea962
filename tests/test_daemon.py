"""The daemon as a process: PostgreSQL on one side, a Slack on loopback on the other, and `kill -9` in between.

These tests wait for a real process with a real clock, so they poll; nothing else in the suite does.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from monitor.testing import FakeSlack
from tests.conftest import Server

TRIES = int(os.environ.get("DATAVIGIL_KILL_TRIES", "3"))
COMMAND = [sys.executable, "-c", "from monitor.cli import main; main()"]
CONFIG = """
[sources.shop]
url = "{url}"

[datasets.orders]
source = "shop"
table = "{table}"
time_column = "created_at"
{cut}
auto = false
owner = "data-platform"
checks = [
  {{kind = "missing", column = "amount", at_most = 0.1, severity = "critical"}},
  {{kind = "row_count", at_least = 1}},
]

[channels.team]
kind = "slack"
token = "${{SLACK_BOT_TOKEN}}"
channel = "#data-quality"
api = "{slack}"

[store]
url = "{store}"

[daemon]
tick = "1s"
lease = "4s"
settle = "1s"
send_timeout = "2s"
workers = 1
"""


def until(wanted: Callable[[], Any], seconds: float = 60.0) -> Any:
    """The first true answer; fails where there is none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = wanted()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds:g} s")


class Service:
    """`datavigil run` in a folder."""

    def __init__(self, folder: Path, slack: FakeSlack) -> None:
        self.folder = folder
        self.environment = {**os.environ, "SLACK_BOT_TOKEN": slack.token}
        self.process: subprocess.Popen[bytes] | None = None
        self.before = 0

    def command(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*COMMAND, *words], cwd=self.folder, env=self.environment, capture_output=True, check=False, timeout=120
        )

    def start(self) -> None:
        log = (self.folder / "log").open("ab")
        self.before = log.tell()
        self.process = subprocess.Popen([*COMMAND, "run"], cwd=self.folder, env=self.environment, stdout=log, stderr=log)
        log.close()

    def end(self, how: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(60)

    def ready(self) -> bool:
        """The daemon that was started last has its signals and its ticker."""
        return "ready" in self.log[self.before :]

    @property
    def log(self) -> str:
        return (self.folder / "log").read_bytes().decode("ascii", "replace")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        store = sqlite3.connect(self.folder / "datavigil.db", timeout=30)
        try:
            return store.execute(query).fetchall()
        finally:
            store.close()


@contextmanager
def service(folder: Path, slack: FakeSlack) -> Iterator[Service]:
    made = Service(folder, slack)
    try:
        yield made
    finally:
        if made.process is not None and made.process.poll() is None:
            made.end(signal.SIGKILL)


def written(folder: Path, slack: FakeSlack, postgres: Server, table: str, cut: str, store: str = "sqlite:///datavigil.db") -> None:
    folder.mkdir(exist_ok=True)
    config = CONFIG.format(url=postgres.reader, slack=slack.url, table=table, cut=cut, store=store)
    (folder / "config.toml").write_text(config)


def test_rows_of_another_process_become_one_root_message_that_recovery_edits(
    tmp_path: Path, postgres: Server, store_url: str
) -> None:
    postgres.run(
        "DROP TABLE IF EXISTS live",
        "CREATE TABLE live (created_at timestamptz, amount float8)",
        "GRANT SELECT ON live TO reader",
        "INSERT INTO live SELECT now() - n * interval '0.1 second', 1.5 FROM generate_series(0, 100) n",
    )
    broken, ended = threading.Event(), threading.Event()

    def feed() -> None:
        while not ended.wait(0.1):
            amount = "NULL" if broken.is_set() else "1.5"
            postgres.run(f"INSERT INTO live VALUES (now(), {amount})")

    feeder = threading.Thread(target=feed)
    with FakeSlack() as slack, service(tmp_path, slack) as daemon:
        written(tmp_path, slack, postgres, "live", 'every = "2s"', store_url)
        feeder.start()
        try:
            daemon.start()
            until(lambda: "state=done" in daemon.log)
            assert slack.messages == []
            broken.set()
            [root] = until(slack.roots)
            assert "CRIT orders: missing(amount) is " in root["text"]
            assert "at most 10 % allowed" in root["text"]
            broken.clear()
            until(lambda: "RESOLVED" in slack.roots()[0]["text"])
            until(lambda: any("resolved" in answer["text"].lower() for answer in slack.thread(root["ts"])))
            assert [m["ts"] for m in slack.roots()] == [root["ts"]]
            assert daemon.end(signal.SIGTERM) == 0
        finally:
            ended.set()
            feeder.join()
        assert "stopped" in daemon.log
        assert slack.token not in daemon.log
        assert "p@ss/w:rd" not in daemon.log


def days_of_orders(postgres: Server, today: date) -> None:
    """Twelve days of orders; the amounts of two stretches are missing."""
    postgres.run(
        "DROP TABLE IF EXISTS days", "CREATE TABLE days (created_at timestamptz, amount float8)", "GRANT SELECT ON days TO reader"
    )
    for ago in range(12, 0, -1):
        amount = "NULL" if ago in {9, 8, 4} else "n"
        start = datetime(today.year, today.month, today.day, tzinfo=UTC) - timedelta(days=ago)
        hours = f"SELECT timestamptz '{start.isoformat()}' + n * interval '1 hour', {amount} FROM generate_series(0, 23) n"
        postgres.run(f"INSERT INTO days {hours}")


def caught_up(daemon: Service) -> bool:
    """Every window recorded, every delivery over."""
    if not (daemon.folder / "datavigil.db").exists():
        return False
    try:
        [(done,)] = daemon.rows("select count(*) from windows where state = 'done'")
        [(waiting,)] = daemon.rows("select count(*) from deliveries where state not in ('sent', 'superseded')")
        [(unread,)] = daemon.rows("select count(*) from windows where state <> 'done'")
    except sqlite3.OperationalError:
        return False
    return (done, waiting, unread) == (12, 0, 0)


def story(slack: FakeSlack, daemon: Service) -> dict[str, Any]:
    """What people and the store ended up with, without times of the run. Nothing is told twice.

    Whether an incident that is over within seconds, as in a catch-up, was told before its end hangs on how fast the sender was;
    that it was told, or waits for the digest, does not.
    """
    keys = list(slack.keys())
    assert len(set(keys)) == len(keys)
    told = "select distinct incident from tellings where outcome in ('told', 'combined', 'digest', 'held') order by 1"
    return {
        "told": daemon.rows(told),
        "incidents": daemon.rows("select id, subject, family, severity, since, resolved_at is null from incidents order by id"),
        "results": daemon.rows('select window_start, "check", status, value from results order by 1, 2'),
        "problems": daemon.rows("select fingerprint, state, outcomes from problems order by 1"),
    }


def run_with_kills(folder: Path, postgres: Server, kills: list[float], today: date, fault_rate: float, seed: int) -> dict[str, Any]:
    with FakeSlack(fault_rate=fault_rate, seed=seed) as slack, service(folder, slack) as daemon:
        written(folder, slack, postgres, "days", 'every = "1d"\ncatchup = "30d"')
        with (folder / "config.toml").open("a") as config:
            config.write('\n[incidents]\npage_within = "30d"\n[telling]\nedit_every = "1s"\n')
        first = today - timedelta(days=12)
        assert daemon.command("backfill", "orders", "--from", str(first), "--to", str(first + timedelta(days=1))).returncode == 0
        for after in kills:
            daemon.start()
            time.sleep(after)
            daemon.end(signal.SIGKILL)
        daemon.start()
        until(lambda: caught_up(daemon), 120)
        until(daemon.ready)
        assert daemon.end(signal.SIGTERM) == 0
        return story(slack, daemon)


def test_kill_minus_nine_at_any_point_loses_nothing_and_tells_nothing_twice(tmp_path: Path, postgres: Server) -> None:
    today = datetime.now(UTC).date()
    days_of_orders(postgres, today)
    expected = run_with_kills(tmp_path / "whole", postgres, [], today, 0.0, 0)
    assert expected["told"] == [(i[0],) for i in expected["incidents"]] == [(1,)]
    for seed in range(TRIES):
        chance = random.Random(seed)
        kills = [chance.uniform(0.5, 6.0) for _ in range(3)]
        found = run_with_kills(tmp_path / f"try{seed}", postgres, kills, today, 0.2, seed)
        assert found == expected, f"killed after {kills}"


@pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc")
def test_k3_workers_that_are_killed_are_there_again(tmp_path: Path, postgres: Server) -> None:
    postgres.run(
        "DROP TABLE IF EXISTS steady",
        "CREATE TABLE steady (created_at timestamptz, amount float8)",
        "GRANT SELECT ON steady TO reader",
        "INSERT INTO steady SELECT now() + n * interval '0.5 second', 1.5 FROM generate_series(-40, 400) n",
    )
    with FakeSlack() as slack, service(tmp_path, slack) as daemon:
        written(tmp_path, slack, postgres, "steady", 'every = "2s"')
        daemon.start()
        until(lambda: "state=done" in daemon.log)
        assert daemon.process is not None
        for pid in descendants(daemon.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        before = daemon.log.count("state=done")
        until(lambda: daemon.log.count("state=done") > before + 1)
        assert daemon.end(signal.SIGTERM) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are found in /proc")
def test_workers_die_with_a_killed_daemon(tmp_path: Path, postgres: Server) -> None:
    today = datetime.now(UTC).date()
    days_of_orders(postgres, today)
    with FakeSlack() as slack, service(tmp_path, slack) as daemon:
        written(tmp_path, slack, postgres, "days", 'every = "1d"')
        daemon.start()
        until(lambda: "state=done" in daemon.log)
        assert daemon.process is not None
        family = descendants(daemon.process.pid)
        assert family
        daemon.end(signal.SIGKILL)
        until(lambda: not any(alive(pid) for pid in family))


def descendants(pid: int) -> list[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(entry.parent.name)] = int(fields[1])
    found = [child for child, parent in parents.items() if parent == pid]
    return found + [below for child in found for below in descendants(child)]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
