"""`datavigil init`: what is proposed for real tables, written, sound, tried on the past, without a secret."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from checks.result import Family, Result, Severity, Status
from monitor import backtest, init_command
from monitor.config import Config, load
from monitor.dataset import Dataset
from monitor.job import Measured
from monitor.proposing import NO_TIME, Proposal, Rule
from monitor.related import parents
from monitor.sources.files import Files
from tests.conftest import Server

TABLES = """
CREATE TABLE customers (customer_id bigint primary key, country text not null, signed_up_at timestamptz not null, birth_date date);
INSERT INTO customers SELECT i, (ARRAY['DE','FR','NL'])[1 + i % 3],
 date_trunc('day', now()) - (i % 80) * interval '1 day' - interval '5 hours',
 date '1970-01-01' + (i % 9000)::int FROM generate_series(1, 4000) i;
CREATE TABLE orders (order_id bigint primary key, customer_id bigint not null references customers,
 amount double precision not null,
 status text not null, created_at timestamptz not null, updated_at timestamptz);
INSERT INTO orders SELECT i, 1 + i % 4000, 1 + (i * 7919 % 10000) / 100.0,
 (ARRAY['new','paid','sent','back'])[1 + (i * 31) % 4], date_trunc('day', now())
 - (i % 60) * interval '1 day' - ((i / 60) % 24) * interval '1 hour', now() FROM generate_series(1, 12000) i;
CREATE TABLE order_items (order_id bigint not null references orders, line int not null, sku text not null,
 quantity int not null, hour int not null, primary key (order_id, line));
INSERT INTO order_items SELECT o, l, 'sku-' || (o * 31 + l) % 200, 1 + (o * 7 + l) % 4, (o * 5 + l) % 24
 FROM generate_series(1, 12000) o, generate_series(1, 2) l;
CREATE TABLE shop_countries (code text primary key, name text);
INSERT INTO shop_countries VALUES ('DE', 'Germany'), ('FR', 'France'), ('NL', 'Netherlands')
"""


@pytest.fixture
def shop(postgres: Server) -> Iterator[Server]:
    postgres.clear()
    postgres.run(*TABLES.split(";\n"))
    yield postgres
    postgres.clear()


def test_three_related_tables_become_a_sound_config_without_the_password(
    shop: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "config.toml"
    assert init_command.run(shop.reader, output, yes=True, asks=None) == 0, capsys.readouterr().err
    written = output.read_text()
    printed = capsys.readouterr().out
    assert "w%3Ard" not in written + printed
    assert "p@ss" not in written + printed
    assert "export SOURCE_PASSWORD" in printed
    read = load(output, {"SOURCE_PASSWORD": "p@ss/w:rd"})
    assert set(read.datasets) == {"customers", "order_items", "orders"}
    items = read.datasets["order_items"]
    assert items.query == "select c.*, p.created_at from order_items c join orders p on p.order_id = c.order_id"
    assert items.time_column == "created_at"
    proposed = {c.name for c in items.checks}
    assert proposed == {"unique(order_id,line)", "missing(order_id)", "value_range(quantity)"}, "of an hour zero is no limit"
    assert "# its rows have no time of their own: each has that of its orders row, by order_id" in written
    orders = read.datasets["orders"]
    assert orders.time_column == "created_at", "not when it was changed"
    assert {c.name for c in orders.checks} >= {"unique(order_id)", "allowed_values(status)", "value_range(amount)"}
    assert read.datasets["customers"].time_column == "signed_up_at", "not the day of birth"
    assert "#   shop_countries: no column says when a row came to be" in written
    assert "rows, all different" in written
    assert [p.name for p in tmp_path.iterdir()] == ["config.toml"], "no draft and no store is left behind"


def looked_at(name: str, columns: str, time: str | None, key: str | None) -> Proposal:
    return Proposal(name, name, time, skipped="" if time else NO_TIME, columns=columns.split(), key=key)


@pytest.mark.parametrize(
    ("child", "parent", "column"),
    [
        (looked_at("lines", "order_id sku", None, None), looked_at("orders", "order_id at", "at", "order_id"), "order_id"),
        (looked_at("lines", "order_id sku", None, None), looked_at("orders", "id at", "at", "id"), "order_id"),
        (looked_at("lines", "sku", None, None), looked_at("orders", "id at", "at", "id"), None),
        (looked_at("lines", "order_id", None, None), looked_at("orders", "id", None, "id"), None),
        (looked_at("lines", "order_id at", None, None), looked_at("orders", "id at", "at", "id"), None),
        (looked_at("Order Lines", "order_id", None, None), looked_at("orders", "id at", "at", "id"), None),
    ],
    ids=["the key's name", "the table's name", "no reference", "no time there", "a column of that name", "a name to be quoted"],
)
def test_whose_row_a_row_is(child: Proposal, parent: Proposal, column: str | None) -> None:
    assert [found.column for found in parents(child, [child, parent])] == ([column] if column else [])


def replay_of(bad: Sequence[int], check: str, column: str | None) -> tuple[backtest.Backtest, Proposal]:
    """60 daily windows of which those in `bad` fail one check; the proposal has a rule named `missing(id)`."""
    dataset = Dataset(name="orders", table="orders.csv", time_column="at")
    config = Config(Path(), sources={"files": Files()}, datasets={"orders": dataset})
    found = backtest.Backtest(config)
    for n in range(60):
        failed = n in bad
        status, severity = (Status.FAILED, Severity.WARNING) if failed else (Status.PASSED, None)
        result = Result(check, "kind", Family.DRIFT, status, f"{check} is odd", column, severity=severity)
        window = dataset.calendar.holding(datetime(2026, 1, 1, tzinfo=UTC) + n * timedelta(days=1))
        found.windows.append((dataset, window, Measured("done", [result], 100, 0.1)))
    return found, Proposal("orders", "orders.csv", "at", rules=[Rule("", "missing(id)", "")])


def test_a_column_that_is_often_odd_is_not_watched() -> None:
    kept, said = init_command._quieter(*replay_of(range(10, 50, 4), "drift(code)", "code"))
    assert kept.exclude == {"code": "its learned checks failed in 10 of 60 windows"}
    assert said == [
        "orders: tried on 60 windows, 0 incidents",
        "  not watched: code: its learned checks failed in 10 of 60 windows",
    ]


def test_a_column_that_was_odd_once_is_watched_and_named() -> None:
    kept, said = init_command._quieter(*replay_of([30, 31], "drift(code)", "code"))
    assert kept.exclude == {}
    assert said == ["orders: tried on 60 windows, 1 incident", "  would have told on 2026-02-01: drift(code) is odd"]


def test_a_rule_that_failed_is_left_out_and_tells_nothing() -> None:
    kept, said = init_command._quieter(*replay_of([30], "missing(id)", "id"))
    assert (kept.rules, kept.exclude) == ([], {})
    assert said == ["orders: tried on 60 windows, 0 incidents", "  left out, as it failed in 1 of the windows: missing(id)"]


def landed(folder: Path, price_of_a_day: str = "1 + (i % 100) * 0.1") -> None:
    folder.mkdir()
    today = datetime.now(UTC).date()
    for back in range(1, 31):
        day = today - timedelta(days=back)
        numbers = f"{back} * 1000 + i as id, ({price_of_a_day})::double as price"
        rows = f"select {numbers}, timestamp '{day} 10:00' + i * interval '1 minute' as at"
        file = folder / f"sales-{day:%Y-%m-%d}.parquet"
        duckdb.sql(f"copy ({rows}, {back} as back from range(300) t(i)) to '{file}' (format parquet)")


def test_a_folder_of_daily_files_is_one_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    landed(tmp_path / "landing")
    assert init_command.run(str(tmp_path / "landing"), tmp_path / "config.toml", yes=True, asks=None) == 0
    read = load(tmp_path / "config.toml", {})
    [dataset] = read.datasets.values()
    assert (dataset.name, dataset.time_column) == ("sales", "at")
    assert dataset.table == str(tmp_path / "landing" / "sales-{start:%Y-%m-%d}.parquet")
    assert {c.name for c in dataset.checks} >= {"unique(id)", "missing(id)"}
    assert "sales: tried on 30 windows" in capsys.readouterr().out


def test_eight_digits_in_a_name_may_be_no_day(tmp_path: Path) -> None:
    (tmp_path / "landing").mkdir()
    for number in range(20269901, 20269907):
        rows = "select i as id, timestamptz '2026-11-01 10:00+00' + i * interval '1 minute' as at from range(300) t(i)"
        duckdb.sql(f"copy ({rows}) to '{tmp_path}/landing/batch-{number}.parquet' (format parquet)")
    assert init_command.run(str(tmp_path / "landing"), tmp_path / "config.toml", yes=True, asks=None) == 0
    assert "timezone" not in (tmp_path / "config.toml").read_text()


def test_a_file_that_is_there_is_not_overwritten_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.toml").write_text("mine")
    assert init_command.run(str(tmp_path), tmp_path / "config.toml", yes=False, asks=None) == 3
    assert "is there already; name another file with --output" in capsys.readouterr().err
    assert (tmp_path / "config.toml").read_text() == "mine"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("no/such/folder", "is neither a url nor a folder"),
        ("gopher://host/x", "no source answers to gopher://"),
        ("duckdb:////no/such.duckdb", "the source cannot be looked at"),
    ],
)
def test_what_cannot_be_looked_at_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str], url: str, said: str) -> None:
    assert init_command.run(url, tmp_path / "config.toml", yes=True, asks=None) == 3
    assert said in capsys.readouterr().err
    assert not (tmp_path / "config.toml").exists()


def test_only_what_is_wanted_is_watched(tmp_path: Path) -> None:
    landed(tmp_path / "landing")
    asked: list[str] = []

    def no(question: str) -> bool:
        asked.append(question)
        return False

    assert init_command.run(str(tmp_path / "landing"), tmp_path / "config.toml", yes=False, asks=no) == 3
    assert asked[0].startswith("watch sales (one file per day, 30 of them")
