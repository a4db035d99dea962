"""Reports as a user meets them: made by real processes after the alert, lost at most by a `kill -9`, never half."""

from __future__ import annotations

import json
import os
import select
import signal
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from monitor.testing import FakeSlack
from tests.test_daemon import Service, service, until

CONFIG = """
[datasets.orders]
table = "landing/{{start:%Y-%m-%d}}.parquet"
auto = false
checks = [{{kind = "drift", column = "amount", method = "psi", at_most = 0.2, severity = "critical"}}]

[channels.team]
kind = "slack"
token = "${{SLACK_BOT_TOKEN}}"
channel = "#data-quality"
api = "{slack}"

[daemon]
tick = "1s"
lease = "4s"
settle = "1s"
send_timeout = "2s"
workers = 1
"""
DAY = timedelta(days=1)


def today() -> date:
    return datetime.now(UTC).date()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[tuple[Service, FakeSlack]]:
    """Nine quiet days, of which eight are history, and yesterday, which is not like them."""
    (tmp_path / "landing").mkdir()
    with duckdb.connect() as connection:
        for ago in range(10, 0, -1):
            amounts = f"select range / 40.0 + {5 if ago == 1 else 0} as amount from range(400)"
            connection.execute(f"copy ({amounts}) to '{tmp_path}/landing/{today() - ago * DAY}.parquet' (format parquet)")
    with FakeSlack() as slack, service(tmp_path, slack) as made:
        (tmp_path / "config.toml").write_text(CONFIG.format(slack=slack.url))
        past = made.command("backfill", "orders", "--from", str(today() - 10 * DAY), "--to", str(today() - 2 * DAY))
        assert b"8 of 8 windows measured" in past.stdout, past.stderr
        yield made, slack


def incident(daemon: Service) -> dict[str, Any]:
    [one] = json.loads(daemon.command("incidents", "--json").stdout)["incidents"]
    assert isinstance(one, dict)
    return one


def shelf(daemon: Service) -> list[Path]:
    return sorted((daemon.folder / "datavigil-reports").glob("*"))


def offspring(pid: int) -> list[int]:
    """The processes of a process, and theirs."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text(encoding="ascii").split():
            found += [int(child), *offspring(int(child))]
    return found


def test_once_makes_the_report_when_all_is_told(daemon: tuple[Service, FakeSlack]) -> None:
    service, slack = daemon
    ran = service.command("once")
    assert ran.returncode == 1, ran.stderr
    [path] = shelf(service)
    [told] = incident(service)["reports"]
    assert told["path"] == str(path)
    assert set(told) == {"at", "host", "path"}
    [root] = slack.roots()
    assert path.name in json.dumps(root["blocks"])
    said = service.command("incidents").stdout.decode()
    assert f"    report: {path}\n" in said


def test_the_daemon_tells_first_and_then_edits_in_where_the_report_is(daemon: tuple[Service, FakeSlack]) -> None:
    service, slack = daemon
    service.start()
    [root] = until(slack.roots)
    assert ".html" not in json.dumps(root["blocks"])
    until(lambda: ".html" in json.dumps(slack.roots()[0]["blocks"]))
    assert [m["ts"] for m in slack.roots()] == [root["ts"]]
    assert service.end(signal.SIGTERM) == 0
    assert [path.suffix for path in shelf(service)] == [".html"]


def test_killed_before_the_report_it_loses_no_more_than_that(daemon: tuple[Service, FakeSlack]) -> None:
    service, slack = daemon
    service.start()
    [root] = until(slack.roots)
    assert service.process is not None
    children = {pid: os.pidfd_open(pid) for pid in offspring(service.process.pid)}
    service.end(signal.SIGKILL)
    for process in children.values():
        assert select.select([process], [], [], 60)[0]
        os.close(process)
    assert [path for path in shelf(service) if path.suffix == ".html"] == []

    service.start()
    until(service.ready)
    until(lambda: service.rows("select count(*) from deliveries where state not in ('sent', 'superseded')") == [(0,)])
    assert service.end(signal.SIGTERM) == 0
    assert [m["ts"] for m in slack.roots()] == [root["ts"]]
    assert incident(service)["reports"] == []
