"""The store: its tables, migrations, times and what it says when something is wrong."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import insert, inspect, select, text
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError, StatementError

from monitor.store.store import Store, StoreError
from monitor.store.tables import channels, metadata, windows

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def window(start: datetime, dataset: str = "orders") -> dict[str, Any]:
    return {"dataset": dataset, "start": start, "end": start + timedelta(hours=1), "state": "done"}


def differences(store: Store) -> list[Any]:
    """What alembic would change to make the tables those of `tables.py`."""
    with store.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": _other_default}
        context = MigrationContext.configure(connection, opts=options)
        found: list[Any] = compare_metadata(context, metadata)
    return found


def _other_default(_context: Any, _there: Any, _here: Any, there: str | None, _default: Any, here: str | None) -> bool | None:
    # Alembic puts brackets around SQLite's default '' and then finds that it differs.
    return False if there == "('')" and here == "" else None


# Tables and migrations.


def test_migrations_make_exactly_the_tables_we_declare(store: Store) -> None:
    assert set(inspect(store.engine).get_table_names()) == {*metadata.tables, "alembic_version"}
    assert differences(store) == []


def test_a_difference_between_tables_and_migrations_is_found(store: Store) -> None:
    with store.begin() as connection:
        connection.execute(text("ALTER TABLE windows ADD COLUMN stray INTEGER"))

    assert [what for what, *_ in differences(store)] == ["remove_column"]


def test_unique_keys_are_in_the_database_not_only_in_the_declaration(store: Store) -> None:
    with store.begin() as connection:
        connection.execute(insert(windows).values(**window(NOON)))

    with pytest.raises(IntegrityError), store.begin() as connection:
        connection.execute(insert(windows).values(**window(NOON)))


def test_two_incidents_of_one_dataset_and_family_cannot_be_open_at_once(store: Store) -> None:
    columns = "subject, family, severity, since, opened_at, revision"
    row = "'orders', 'quality', 'warning', '2026-11-23', '2026-11-23', 1"
    with store.begin() as connection:
        for name in (1, 2):
            connection.execute(
                text(f"INSERT INTO incidents (id, {columns}, resolved_at) VALUES ({name}, {row}, '2026-11-24')")  # closed ones
            )
        connection.execute(text(f"INSERT INTO incidents (id, {columns}) VALUES (3, {row})"))

    with pytest.raises(IntegrityError), store.begin() as connection:
        connection.execute(text(f"INSERT INTO incidents (id, {columns}) VALUES (4, {row})"))


def test_migrating_again_keeps_everything(store: Store) -> None:
    with store.begin() as connection:
        connection.execute(insert(windows).values(**window(NOON)))

    store.migrate()

    with store.reading() as connection:
        assert connection.execute(select(windows.c.dataset)).scalars().all() == ["orders"]
    assert differences(store) == []


def _migrate(url: str, gate: Any) -> None:
    gate.wait(30)
    store = Store(url)
    store.migrate()
    store.close()


def test_two_processes_that_migrate_at_once_both_succeed(store_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(3)
    both = [context.Process(target=_migrate, args=(store_url, gate)) for _ in range(2)]
    for process in both:
        process.start()
    gate.wait(30)
    for process in both:
        process.join(60)

    assert [process.exitcode for process in both] == [0, 0]
    store = Store(store_url)
    assert differences(store) == []
    store.close()


def test_t2_a_store_of_a_newer_version_is_refused_and_left_alone(store: Store) -> None:
    with store.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(StoreError, match=r"written by a newer datavigil \(9999\); upgrade this one"):
        store.migrate()

    with store.reading() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9999"


def test_k2_a_migration_that_dies_in_the_middle_leaves_nothing(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic.operations import Operations

    made: list[str] = []
    create = Operations.create_table

    def dies(self: Operations, name: str, *args: Any, **kwargs: Any) -> Any:
        if len(made) == 4:
            raise RuntimeError("killed")
        made.append(name)
        return create(self, name, *args, **kwargs)

    store = Store(store_url)
    with monkeypatch.context() as patched:
        patched.setattr(Operations, "create_table", dies)
        with pytest.raises(RuntimeError, match="killed"):
            store.migrate()
    assert len(made) == 4
    assert inspect(store.engine).get_table_names() == []

    store.migrate()

    assert differences(store) == []
    store.close()


# Times.


def test_a_time_comes_back_aware_and_in_utc_whatever_zone_it_came_in(store: Store) -> None:
    berlin = NOON.astimezone(timezone(timedelta(hours=1)))
    with store.begin() as connection:
        connection.execute(insert(windows).values(**window(berlin)))

    with store.reading() as connection:
        row = connection.execute(select(windows.c.start, windows.c.end, windows.c.finished_at)).one()
    assert row.start == NOON
    assert (row.start.tzinfo, row.end.tzinfo) == (UTC, UTC)
    assert row.finished_at is None


def test_microseconds_survive(store: Store) -> None:
    exact = NOON + timedelta(microseconds=123457)
    with store.begin() as connection:
        connection.execute(insert(windows).values(**window(exact)))

    with store.reading() as connection:
        assert connection.execute(select(windows.c.start)).scalar() == exact


def test_times_are_compared_as_instants_not_as_texts(store: Store) -> None:
    with store.begin() as connection:
        connection.execute(insert(windows).values(**window(NOON)))

    ahead = (NOON - timedelta(minutes=1)).astimezone(timezone(timedelta(hours=9)))  # a larger wall clock, an earlier instant
    with store.reading() as connection:
        assert connection.execute(select(windows.c.id).where(windows.c.start > ahead)).scalar() is not None


def test_a_time_without_a_zone_is_refused(store: Store) -> None:
    with pytest.raises(StatementError, match="a time without a zone must not reach the store"), store.begin() as connection:
        connection.execute(insert(windows).values(**window(NOON.replace(tzinfo=None))))


def test_the_stores_own_clock_tells_the_real_time_aware(store: Store) -> None:
    with store.reading() as connection:
        told = store.clock(connection)

    assert told.tzinfo is UTC
    assert abs(datetime.now(UTC) - told) < timedelta(minutes=1)


# Transactions.


def test_a_transaction_that_raises_leaves_nothing(store: Store) -> None:
    def halfway() -> None:
        with store.begin() as connection:
            connection.execute(insert(windows).values(**window(NOON)))
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        halfway()

    with store.reading() as connection:
        assert connection.execute(select(windows.c.id)).first() is None


def test_work_that_lost_a_race_is_done_again_from_its_start(store: Store) -> None:
    tries = []

    def work(connection: Any) -> str:
        tries.append(1)
        if len(tries) == 1:
            connection.execute(insert(channels).values(name="team"))
            connection.execute(insert(channels).values(name="team"))
        return f"done after {len(tries)}"

    assert store.attempt(work) == "done after 2"
    with store.reading() as connection:
        assert connection.execute(select(channels.c.name)).first() is None


def test_work_that_loses_every_race_gives_up_with_the_reason(store: Store) -> None:
    def work(connection: Any) -> None:
        for _ in range(2):
            connection.execute(insert(channels).values(name="team"))

    with pytest.raises(IntegrityError):
        store.attempt(work)


def test_sqlite_writes_through_to_the_disk_and_lets_readers_read(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/store.db")

    with store.reading() as connection:
        names = ("journal_mode", "synchronous", "foreign_keys")
        told = [connection.execute(text(f"PRAGMA {name}")).scalar() for name in names]

    assert told == ["wal", 2, 1]


def test_somebody_may_read_sqlite_while_somebody_writes(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/store.db")
    store.migrate()

    with store.begin() as writing:
        writing.execute(insert(windows).values(**window(NOON)))
        with store.reading() as connection:
            assert connection.execute(select(windows.c.id)).first() is None


# What it says when something is wrong.


def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/deep/down/store.db")

    store.migrate()

    assert (tmp_path / "deep/down/store.db").is_file()


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")

    with pytest.raises(StoreError) as told:
        Store(f"sqlite:///{tmp_path}/file/store.db").migrate()

    assert str(told.value) == f"the store sqlite:///{tmp_path}/file/store.db does not work: {tmp_path}/file: File exists"


def test_a_folder_in_the_files_place_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "store.db").mkdir()

    with pytest.raises(StoreError, match="unable to open database file"):
        Store(f"sqlite:///{tmp_path}/store.db").migrate()


def test_a_file_that_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_text("dear diary, " * 200)

    with pytest.raises(StoreError, match=r"^the store .*store\.db does not work: file is not a database$"):
        Store(f"sqlite:///{tmp_path}/store.db").migrate()


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A mount that takes no writes, with a migrated store on it; permissions alone do not stop root."""
    folder = tmp_path / "mount"
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=False, capture_output=True).returncode:
        pytest.skip("only root may mount")
    try:
        store = Store(f"sqlite:///{folder}/store.db")
        store.migrate()
        with closing(sqlite3.connect(folder / "store.db")) as raw, raw:
            raw.execute("PRAGMA journal_mode=DELETE")
        raw.close()
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_read_only_disk_is_one_sentence(read_only: Path) -> None:
    with pytest.raises(StoreError, match=r"^the store \S+store\.db does not work: attempt to write a readonly database"):
        Store(f"sqlite:///{read_only}/store.db").migrate()
    with pytest.raises(StoreError, match=r"^the store \S+new\.db does not work: "):
        Store(f"sqlite:///{read_only}/new.db").migrate()


def test_a_full_disk_is_one_sentence_and_room_makes_it_work_again(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/store.db")
    store.migrate()
    with full(store), pytest.raises(SQLAlchemyError) as fault, store.begin() as connection:
        connection.execute(insert(windows).values(**window(NOON), error="x" * 100_000))

    said = f"the store sqlite:///{tmp_path}/store.db does not work: database or disk is full"
    assert store.said(fault.value) == f"{said}; what was not recorded is done again when there is room"
    with store.begin() as connection:
        connection.execute(insert(windows).values(**window(NOON)))


class full:
    """A SQLite store that may not grow while this lasts: what the engine answers is what it answers on a full disk."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __enter__(self) -> None:
        from sqlalchemy import event

        event.listen(self.store.engine, "connect", _no_growth)

    def __exit__(self, *_: object) -> None:
        from sqlalchemy import event

        event.remove(self.store.engine, "connect", _no_growth)


def _no_growth(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA max_page_count = 1")  # less than there is means: not one more


@pytest.mark.parametrize("url", ["", "nonsense", "mysql+nodriver://x/y", "sqlite", "postgresql+psycopg://host:port/x"])
def test_a_url_that_is_none_says_what_to_write(url: str) -> None:
    with pytest.raises(StoreError, match=r"write sqlite:///file\.db or postgresql\+psycopg://"):
        Store(url)


def test_a_password_is_in_no_sentence(tmp_path: Path) -> None:
    store = Store("postgresql+psycopg://me:s3cr%40t@localhost:1/x?connect_timeout=1")
    faults = [
        OperationalError("select :p", {"p": "s3cr@t"}, Exception(f"password {word} is wrong")) for word in ("s3cr@t", "s3cr%40t")
    ]

    told = [store.place, *(store.said(fault) for fault in faults)]
    with pytest.raises(StoreError) as refused:
        store.migrate()

    for sentence in (*told, str(refused.value)):
        assert "s3cr" not in sentence
    assert "localhost:1" in str(refused.value)


def test_a_wrong_password_for_the_store_is_one_sentence(postgres: Any) -> None:
    url = postgres.reader.replace("postgres://", "postgresql+psycopg://").replace("p%40ss%2Fw%3Ard", "wr0ng%21word")

    with closing(Store(url)) as store, pytest.raises(StoreError) as told:
        store.migrate()

    assert 'password authentication failed for user "reader"' in str(told.value)
    assert "\n" not in str(told.value)
    assert "wr0ng" not in str(told.value)


def test_a_role_that_may_not_make_tables_is_told_so(postgres: Any) -> None:
    url = postgres.reader.replace("postgres://", "postgresql+psycopg://")

    with closing(Store(url)) as store, pytest.raises(StoreError, match="permission denied"):
        store.migrate()
