"""What goes wrong in the world, seen as the user sees it: one run of `once` over sound and broken datasets side by side."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from monitor import daemon
from monitor.config import load
from monitor.runner import Finished
from monitor.store import looking
from monitor.store.store import Store
from tests.conftest import Server

COMMAND = [sys.executable, "-c", "from monitor.cli import main; main()"]
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
AT = NOON.isoformat()

SOUND = """select range as id, ((range * 37 % 1000) / 10.0)::double as amount, 'c' || (range % 5) as country,
timestamp '2026-11-{day} 00:00' + to_seconds(range * 200) as made from range(400)"""
BROKEN = {
    "sound": "select * from ({sound})",
    "all_missing": "select * replace (cast(null as double) as amount) from ({sound})",
    "constant": "select * replace (7.0::double as amount) from ({sound})",
    "infinite": "select * replace ('inf'::double as amount) from ({sound})",
    "retyped": "select * replace ('x' || amount as amount) from ({sound})",
    "distinct": "select range as id, amount, 'k' || range as country, made from range(200000), ({sound}) where id = 0",
    "nul": "select * replace (country || chr(0) as country) from ({sound})",
    "empty": "select * from ({sound}) where false",
    "column_gone": "select * exclude (amount) from ({sound})",
}
"""What becomes of the sound rows on 22 November."""
DATASET = """
[datasets.{name}]
table = "landing/{name}-{{start:%Y-%m-%d}}.parquet"
time_column = "made"
checks = [
  {{kind = "missing", column = "amount", at_most = 0.1}},
  {{kind = "distinct", column = "amount", at_least = 2}},
  {{kind = "unique", columns = ["id"]}},
]
"""


def once(folder: Path, *words: str) -> dict[str, Any]:
    """Dataset -> its one window in `once --json`."""
    done = subprocess.run(
        [*COMMAND, "once", "--at", AT, "--json", *words], cwd=folder, capture_output=True, check=False, timeout=300
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    found: dict[str, Any] = {}
    for window in json.loads(done.stdout)["windows"]:
        assert window["dataset"] not in found
        found[window["dataset"]] = window
    return found


def told(window: dict[str, Any], status: str = "failed") -> dict[str, str]:
    """Check -> message of the results with this status."""
    return {result["check"]: result["message"] for result in window["results"] if result["status"] == status}


# Broken columns.


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every broken dataset after ten sound days, measured in one run, each beside the others."""
    folder = tmp_path_factory.mktemp("columns")
    (folder / "landing").mkdir()
    (folder / "config.toml").write_text("".join(DATASET.format(name=name) for name in BROKEN))
    with duckdb.connect() as connection:
        for name, query in BROKEN.items():
            for day in range(12, 23):
                sound = SOUND.format(day=day)
                rows = query.format(sound=sound) if day == 22 else sound
                connection.execute(f"copy ({rows}) to '{folder}/landing/{name}-2026-11-{day}.parquet' (format parquet)")
    settings = load(folder / "config.toml", {})
    store = Store(settings.store.url.get_secret_value())
    store.migrate()
    for name in BROKEN:
        daemon.backfill(settings, store, name, datetime(2026, 11, 12, tzinfo=UTC), NOON.replace(day=22), False, lambda *_: None)
    store.close()
    return once(folder)


def test_p4_every_dataset_is_measured_whatever_is_wrong_with_the_others(seen: dict[str, Any]) -> None:
    assert {name: window["state"] for name, window in seen.items()} == {
        name: "no_data" if name == "empty" else "done" for name in BROKEN
    }


def test_a_sound_window_has_no_finding(seen: dict[str, Any]) -> None:
    assert told(seen["sound"]) == told(seen["sound"], "errored") == {}
    assert len(told(seen["sound"], "passed")) > 8


def test_a_column_that_is_all_missing_is_a_finding(seen: dict[str, Any]) -> None:
    assert told(seen["all_missing"])["missing(amount)"].startswith("missing(amount) is 100 %, at most 10 % allowed")


def test_a_column_that_is_constant_is_a_finding(seen: dict[str, Any]) -> None:
    assert told(seen["constant"])["distinct(amount)"].startswith("distinct(amount) is 1, at least 2 needed")


def test_a_column_of_infinity_is_a_finding_and_never_a_number_in_the_json(seen: dict[str, Any]) -> None:
    assert told(seen["infinite"])["value_range(amount)"] == "value_range(amount): 400 of 400 rows hold infinity"
    assert "Infinity" not in json.dumps(seen["infinite"])


def test_a_column_of_another_type_is_a_finding_and_what_cannot_be_judged_says_so(seen: dict[str, Any]) -> None:
    assert told(seen["retyped"])["columns"] == "columns: amount was float64 and is now string"
    for check, message in told(seen["retyped"], "errored").items():
        assert message.startswith(check)


def test_two_hundred_thousand_different_texts_are_a_finding(seen: dict[str, Any]) -> None:
    assert seen["distinct"]["rows"] == 200_000
    assert told(seen["distinct"])["distinct(country)"].startswith("distinct(country) is 200")


def test_texts_with_nul_bytes_are_a_finding_in_readable_letters(seen: dict[str, Any]) -> None:
    messages = " ".join(told(seen["nul"]).values())
    assert "allowed_values(country)" in messages
    assert "\x00" not in json.dumps(seen["nul"], ensure_ascii=False)


def test_a_window_without_rows_is_a_critical_finding_and_nothing_passes_for_want_of_rows(seen: dict[str, Any]) -> None:
    [failed] = [result for result in seen["empty"]["results"] if result["status"] == "failed"]
    assert (failed["check"], failed["severity"]) == ("row_count", "critical")
    assert failed["message"] == "row_count is 0: the window has no rows"
    assert set(told(seen["empty"], "passed")) <= {"columns"}


def test_a_column_that_is_gone_is_a_finding_and_its_own_checks_say_that_they_cannot_judge(seen: dict[str, Any]) -> None:
    assert told(seen["column_gone"])["columns"] == "columns: amount (float64) is gone"
    errored = told(seen["column_gone"], "errored")
    assert errored["missing(amount)"] == "missing(amount): there is no column amount (there are: id, country, made)"
    assert "unique(id)" in told(seen["column_gone"], "passed")


# Broken sources.

SHOP = """
[sources.shop]
url = "{url}"
[sources.down]
url = "postgres://reader:s3cr3t@127.0.0.1:1/shop"
[sources.locked_out]
url = "{wrong}"
[sources.nowhere]
url = "sqlite:///nowhere/shop.db"

[datasets.sound]
source = "shop"
table = "orders"
time_column = "at"
[datasets.down]
source = "down"
table = "orders"
time_column = "at"
[datasets.down_too]
source = "down"
table = "refunds"
time_column = "at"
[datasets.locked_out]
source = "locked_out"
table = "orders"
time_column = "at"
[datasets.nowhere]
source = "nowhere"
table = "orders"
time_column = "at"
[datasets.table_gone]
source = "shop"
table = "ordres"
time_column = "at"
[datasets.time_gone]
source = "shop"
table = "orders"
time_column = "created"
[datasets.no_time]
source = "shop"
table = "orders"
time_column = "id"
[datasets.forbidden]
source = "shop"
table = "secrets"
time_column = "at"
[datasets.hangs]
source = "shop"
query = "select at, pg_sleep(60) from orders"
time_column = "at"
timeout = "1s"
[datasets.typo]
source = "shop"
query = "selct * from orders"
time_column = "at"
"""


@pytest.fixture(scope="module")
def sources(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which one run over good and bad sources was made."""
    postgres.clear()
    postgres.run(
        "CREATE TABLE orders (id int, at timestamptz)",
        "INSERT INTO orders SELECT n, '2026-11-22T00:00Z'::timestamptz + n * interval '1 min' FROM generate_series(1, 50) n",
        "CREATE TABLE secrets (id int, at timestamptz)",
        "REVOKE ALL ON secrets FROM reader",
    )
    folder = tmp_path_factory.mktemp("sources")
    wrong = postgres.reader.replace("p%40ss%2Fw%3Ard", "wr0ngp4ss")
    (folder / "config.toml").write_text(SHOP.format(url=postgres.reader, wrong=wrong))
    (folder / "told.json").write_text(json.dumps(once(folder)))
    return folder


@pytest.fixture(scope="module")
def found(sources: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((sources / "told.json").read_text())
    return read


SAID = {
    "down": ("reachable", "the source does not answer|PostgreSQL does not let us in"),
    "down_too": ("reachable", "PostgreSQL does not let us in"),
    "locked_out": ("reachable", 'password authentication failed for user "reader"'),
    "nowhere": ("reachable", "nowhere/shop.db"),
    "table_gone": ("measure", "there is no table ordres (there is orders"),
    "time_gone": ("measure", "orders has no time column created"),
    "no_time": ("measure", "orders.id is int32, which is no time"),
    "forbidden": ("measure", "permission denied for table secrets"),
    "hangs": ("measure", "took too long|it took longer than 1 s and was ended"),
    "typo": ("measure", "the query: syntax error at or near"),
}


@pytest.mark.parametrize("name", SAID)
def test_a_broken_source_is_an_errored_window_with_the_reason(found: dict[str, Any], name: str) -> None:
    check, sentences = SAID[name]
    window = found[name]

    assert window["state"] == "errored"
    [result] = window["results"]
    assert (result["check"], result["status"], result["severity"]) == (check, "errored", None)
    assert any(sentence in result["message"] for sentence in sentences.split("|")), result["message"]
    assert "\n" not in result["message"]
    assert not any(secret in result["message"] for secret in ("s3cr3t", "wr0ngp4ss", "p@ss", "p%40ss"))


def test_sound_datasets_go_on_beside_broken_sources(found: dict[str, Any]) -> None:
    assert (found["sound"]["state"], found["sound"]["rows"]) == ("done", 50)
    assert set(found) == {"sound", *SAID}


def test_p1_a_source_that_is_down_is_one_incident_however_many_datasets_it_has(sources: Path) -> None:
    store = Store(f"sqlite:///{sources}/datavigil.db")

    subjects = [incident.subject for incident in looking.found_incidents(store)]

    assert sorted(subjects) == sorted(
        ["source:down", "source:locked_out", "source:nowhere", "table_gone", "time_gone", "no_time", "forbidden", "hangs", "typo"]
    )
    store.close()


def test_nothing_is_lost_when_what_was_broken_is_mended(sources: Path, found: dict[str, Any], postgres: Server) -> None:
    postgres.run("CREATE TABLE ordres AS SELECT * FROM orders", "GRANT SELECT ON secrets TO reader")

    again = once(sources)

    assert "sound" not in again, "what was measured is not measured again"
    assert (again["table_gone"]["state"], again["table_gone"]["rows"]) == ("done", 50)
    assert again["forbidden"]["state"] == "no_data"
    assert again["down"]["state"] == "errored"


# Times without a zone.


@pytest.mark.parametrize("timezone", ["UTC", "America/New_York", "Asia/Tokyo"])
def test_times_without_a_zone_are_wall_clock_times_of_the_dataset(tmp_path: Path, timezone: str) -> None:
    with duckdb.connect() as connection:
        rows = "select timestamp '2026-11-20 00:30' + to_hours(range) as made from range(96)"
        connection.execute(f"copy ({rows}) to '{tmp_path}/orders.parquet' (format parquet)")
    inside = "select count(*) from {window} where made::date = date '2026-11-22'"
    (tmp_path / "config.toml").write_text(
        f'[datasets.orders]\ntable = "orders.parquet"\ntime_column = "made"\ntimezone = "{timezone}"\n'
        f'checks = [{{kind = "sql", name = "inside", query = "{inside}", at_least = 24}}]'
    )

    window = once(tmp_path)["orders"]

    assert window["rows"] == 24
    assert told(window, "errored") == {}
    assert window["start"].startswith("2026-11-22T00:00:00")
    assert "sql(inside)" in told(window, "passed")


# A full store.


def test_d6_a_full_store_is_said_and_nothing_is_lost_when_there_is_room(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        wide = ", ".join(f"range % {n} as column_{n}" for n in range(2, 60))  # whose results need more than the page there is
        connection.execute(f"copy (select {wide} from range(99)) to '{tmp_path}/orders-2026-11-22.parquet' (format parquet)")
    (tmp_path / "config.toml").write_text('[datasets.orders]\ntable = "orders-{start:%Y-%m-%d}.parquet"')
    settings = load(tmp_path / "config.toml", {})
    store = Store(settings.store.url.get_secret_value())
    store.migrate()
    seen: list[Finished] = []

    with full(store), pytest.raises(OperationalError) as fault:
        daemon.run_due(settings, store, NOON, None, seen.append)
    assert "database or disk is full" in store.said(fault.value)
    assert seen == []
    assert looking.found_results(store) == []

    _as_if_that_process_had_ended(store)
    daemon.run_due(settings, store, NOON, None, seen.append)

    assert [finished.measured.state for finished in seen] == ["done"]
    assert looking.found_results(store) != []
    store.close()


class full:
    """A SQLite store that may not grow while this lasts: what the engine answers is what it answers on a full disk."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __enter__(self) -> None:
        event.listen(self.store.engine, "connect", _no_growth)

    def __exit__(self, *_: object) -> None:
        event.remove(self.store.engine, "connect", _no_growth)


def _no_growth(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA max_page_count = 1")  # less than there is means: not one more


def _as_if_that_process_had_ended(store: Store) -> None:
    with closing(sqlite3.connect(str(store.engine.url.database))) as raw, raw:
        raw.execute("UPDATE windows SET lease_until = '2000-01-01'")
    raw.close()
