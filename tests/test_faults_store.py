"""The store at start, by the numbers of the fault list; D2, D4-D6, K2 and T2 stand beside the code they try."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from alerts.telling import Delivery, harmless
from monitor.store import outbox
from monitor.store.store import Store, StoreAway, StoreError

NOW = datetime(2026, 11, 23, tzinfo=UTC)
AWAY = "postgresql+psycopg://vigil:s3cr3t@127.0.0.1:9/vigil"


def test_d1_a_store_that_is_down_at_the_start_is_an_error_after_so_many_tries(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(StoreAway, match="does not work") as raised:
        Store(AWAY).migrate_patiently((0.0, 0.0))
    assert len(caplog.records) == 2
    assert "s3cr3t" not in caplog.text + str(raised.value)


def test_d1_a_store_that_comes_a_little_later_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mounted later"
    store = Store(f"sqlite:///{folder}/store.db")
    folder.rmdir()
    monkeypatch.setattr("time.sleep", lambda _: folder.mkdir(exist_ok=True))
    store.migrate_patiently((1.0,))
    assert (folder / "store.db").exists()


def test_d1_what_no_waiting_mends_is_told_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "store.db").write_text("this is no database, and long enough to be looked at as one" * 20)
    with pytest.raises(StoreError):
        Store(f"sqlite:///{tmp_path}/store.db").migrate_patiently((0.0,))
    assert caplog.records == []


def test_d3_a_store_that_somebody_else_has_locked_is_waited_for_and_nothing_is_lost(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/store.db")
    store.migrate()
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, other.rollback)
    release.start()

    outbox.put(store, Delivery("a", None, "team", "message", harmless("team", NOW)), NOW)

    release.join()
    other.close()
    assert outbox.unsent(store) == {"team": 1}
