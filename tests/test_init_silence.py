"""What `init` writes is sound, and silent on what is healthy: of the demo's files, and of three related tables of a database."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitor import daemon, demo, init_command
from monitor.config import load
from tests.conftest import Server

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TABLES = (
    "CREATE TABLE customers (customer_id bigint primary key, country text not null, plan text, signed_up_at timestamptz not null)",
    """CREATE TABLE orders (order_id bigint primary key, customer_id bigint not null references customers, amount double precision
       not null, coupon text, status text not null, created_at timestamptz not null, updated_at timestamptz)""",
    """CREATE TABLE order_lines (order_id bigint not null references orders, line_no int not null, sku text not null,
       quantity int not null, price double precision not null, primary key (order_id, line_no))""",
)


def checked(config: Path) -> int:
    """How `datavigil check-config` ends."""
    code = "import sys; from monitor.cli import main; sys.exit(main())"
    return subprocess.run([sys.executable, "-c", code, "check-config", "--config", str(config)], check=False).returncode


@pytest.fixture
def _at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "now", lambda: NOW)


@pytest.mark.usefixtures("_at_noon")
def test_of_the_demos_files_only_what_was_planted_is_told(tmp_path: Path) -> None:
    story = demo.prepare(tmp_path / "demo", NOW)
    config = tmp_path / "config.toml"
    assert init_command.run(str(tmp_path / "demo" / "departures"), config, yes=True, asks=None) == 0
    assert 'timezone = "America/New_York"' in config.read_text()
    assert checked(config) == 0
    told = re.findall(r"would have told on (\S+): (.*)", config.read_text())
    planted = {str(fault.day + timedelta(days=1)): fault.column for fault in story.faults}
    assert {day for day, _ in told} == set(planted), told
    assert all(any(day == on and (column or "times") in said for on, said in told) for day, column in planted.items()), told


@pytest.fixture
def shop(postgres: Server) -> Iterator[Server]:
    """Ninety days of a small shop: more by day and on weekdays, a little growth, chance in everything."""
    chance = random.Random(7)
    customers: list[str] = []
    orders: list[str] = []
    lines: list[str] = []
    for day in range(90):
        start = datetime(2026, 8, 27, tzinfo=UTC) + day * DAY
        busy = (0.6 if start.weekday() > 4 else 1.0) * (1 + day / 900) * chance.gauss(1, 0.04)
        for _ in range(round(60 * busy)):
            country = chance.choices(["DE", "FR", "NL"], [6, 3, 1])[0]
            plan = chance.choices(["'free'", "'paid'", "NULL"], [7, 2, 1])[0]
            customers.append(f"({len(customers) + 1}, '{country}', {plan}, '{start + by_day(chance)}')")
        for _ in range(round(300 * busy)):
            order, at, amount = len(orders) + 1, start + by_day(chance), round(chance.lognormvariate(3.5, 0.7), 2)
            customer, coupon = chance.randint(1, len(customers)), "NULL" if chance.random() < 0.9 else "'WELCOME'"
            status = chance.choices(["new", "paid", "sent", "back"], [1, 2, 6, 1])[0]
            orders.append(f"({order}, {customer}, {amount}, {coupon}, '{status}', '{at}', '{at + 2 * DAY * chance.random()}')")
            for line in range(1, chance.choices([1, 2, 3], [5, 3, 2])[0] + 1):
                sku, quantity = min(int(chance.expovariate(1 / 12)), 60), chance.choices([1, 2, 5], [7, 2, 1])[0]
                lines.append(f"({order}, {line}, 'sku-{sku}', {quantity}, {round(chance.lognormvariate(2.5, 0.5), 2)})")
    postgres.clear()
    postgres.run(*TABLES)
    for table, rows in (("customers", customers), ("orders", orders), ("order_lines", lines)):
        postgres.run(*(f"INSERT INTO {table} VALUES {', '.join(rows[n : n + 5000])}" for n in range(0, len(rows), 5000)))
    yield postgres
    postgres.clear()


def by_day(chance: random.Random) -> timedelta:
    return timedelta(hours=min(max(chance.gauss(14, 4), 0.0), 23.99))


@pytest.mark.usefixtures("_at_noon")
def test_of_three_healthy_tables_nothing_is_told(
    shop: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    assert init_command.run(shop.reader, config, yes=True, asks=None) == 0, capsys.readouterr().err
    written = config.read_text()
    monkeypatch.setenv("SOURCE_PASSWORD", "p@ss/w:rd")
    assert checked(config) == 0
    assert written.count("tried on 60 windows, 0 incidents") == 3, written
    read = load(config, dict(os.environ))
    assert set(read.datasets) == {"customers", "orders", "order_lines"}
    names = {dataset: {check.name for check in one.checks} for dataset, one in read.datasets.items()}
    assert "unique(order_id,line_no)" in names["order_lines"]
    assert names["orders"] >= {"unique(order_id)", "missing(customer_id)", "value_range(amount)", "allowed_values(status)"}
    assert names["customers"] >= {"unique(customer_id)", "allowed_values(country)", "allowed_values(plan)"}
    assert "left out" not in written
    assert "would have told" not in written
