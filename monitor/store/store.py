"""Opening the store, and its transactions. The verbs stand in `ledger`, `outbox` and `looking`, one transaction each."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool, StaticPool

from monitor.sources.faults import plain

log = logging.getLogger("datavigil.store")
T = TypeVar("T")
TRIES = 5
WAITS = (1.0, 2.0, 4.0, 8.0)
BUSY_TIMEOUT = 30
MIGRATION_LOCK = 7_204_533
REMEDIES = {
    "disk I/O error": " (most likely its disk is full; what was not recorded is done again when there is room)",
    "disk is full": "; what was not recorded is done again when there is room",
    "unable to open database file": " (is its folder there, and may we write to it?)",
    "readonly database": " (its file, its folder or the disk takes no writes)",
}


class StoreError(Exception):
    """The store cannot be used. The message says where it is (without password) and what to do."""


class StoreAway(StoreError):
    """The store does not answer or takes nothing just now: another try may help."""


class Store:
    """A connection pool to the store; cheap to make, nothing is opened before the first transaction."""

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
            self.place = parsed.set(query={}).render_as_string(hide_password=True)
            self.engine = _engine(url)
        except OSError as fault:
            raise StoreError(f"the store {self.place} does not work: {fault.filename}: {fault.strerror}") from None
        except (ArgumentError, ModuleNotFoundError, ValueError) as fault:
            raise StoreError(
                f"[store] url cannot be used ({type(fault).__name__}); write sqlite:///file.db or postgresql+psycopg://..."
            ) from None
        self.sqlite = self.engine.dialect.name == "sqlite"

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction that may write; SQLite's lock is taken at its start, so that two writers queue and never deadlock."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self.engine.connect().execution_options(datavigil_reading=True) as connection:
            yield connection

    def attempt(self, work: Callable[[Connection], T]) -> T:
        """`work` in one transaction, again from its start where another writer was faster (a unique key, a serialisation fault)."""
        for left in reversed(range(TRIES)):
            try:
                with self.begin() as connection:
                    return work(connection)
            except (IntegrityError, OperationalError) as fault:
                if not left or (isinstance(fault, OperationalError) and not _again_helps(fault)):
                    raise
        raise AssertionError("the last try returns or raises")

    def clock(self, connection: Connection) -> datetime:
        """The store's own time, for leases only: two daemons' clocks may differ, the store has one."""
        if not self.sqlite:
            now: datetime = connection.execute(text("select clock_timestamp()")).scalar_one()
            return now.astimezone(UTC)
        told = connection.execute(text("select strftime('%Y-%m-%dT%H:%M:%f', 'now')")).scalar_one()
        return datetime.fromisoformat(told).replace(tzinfo=UTC)

    def migrate_patiently(self, waits: Sequence[float] = WAITS) -> None:
        """`migrate`, again after each of these waits (seconds) where the store is away: at boot it may start after us."""
        for wait in waits:
            try:
                return self.migrate()
            except StoreAway as away:
                log.warning("%s; tried again in %g s", away, wait)
                time.sleep(wait)
        return self.migrate()

    def migrate(self) -> None:
        """Bring the tables to this version. Raises StoreError where the store is not there, or belongs to a newer version."""
        from alembic import command
        from alembic.config import Config
        from alembic.runtime.migration import MigrationContext
        from alembic.script import ScriptDirectory

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.set_main_option("path_separator", "os")
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        try:
            with self.begin() as connection:
                if not self.sqlite:
                    connection.execute(text(f"select pg_advisory_xact_lock({MIGRATION_LOCK})"))
                current = MigrationContext.configure(connection).get_current_revision()
                if current is not None and current not in known:
                    raise StoreError(f"the store {self.place} was written by a newer datavigil ({current}); upgrade this one")

                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        except SQLAlchemyError as fault:
            raise (StoreAway if isinstance(fault, OperationalError) else StoreError)(self.said(fault)) from None

    def said(self, fault: BaseException) -> str:
        """A database fault as one line for people, without statement, parameters and password."""
        cause = fault.orig if isinstance(fault, DBAPIError) and fault.orig is not None else fault
        line = plain(cause, self.engine.url.render_as_string(hide_password=False))
        remedy = next((remedy for words, remedy in REMEDIES.items() if words in line), "")
        return f"the store {self.place} does not work: {line}{remedy}"

    def close(self) -> None:
        self.engine.dispose()


def _engine(url: str) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(
            url,
            pool_pre_ping=True,
            pool_size=5,
            hide_parameters=True,
            # A daemon that is stopped inside a transaction must not stop the others.
            connect_args={
                "connect_timeout": 10,
                "options": "-c idle_in_transaction_session_timeout=10s -c lock_timeout=20s -c statement_timeout=60s",
            },
        )
    path = make_url(url).database
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    # In memory (no path) there is but the one connection: with it everything would be gone.
    pool = NullPool if path else StaticPool
    engine = create_engine(url, poolclass=pool, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own transaction control commits before DDL and begins late; ours begins where we say.
    connection.isolation_level = None
    for pragma in (f"busy_timeout={BUSY_TIMEOUT * 1000}", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    _write_ahead(connection)


def _write_ahead(connection: Any) -> None:
    """WAL mode, which stays with the file. The change to it is refused at once where somebody writes, whatever the timeout."""
    until = time.monotonic() + BUSY_TIMEOUT
    while connection.execute("PRAGMA journal_mode").fetchone()[0] not in {"wal", "memory"}:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as fault:
            if "locked" not in str(fault) or time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get("datavigil_reading")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _again_helps(fault: OperationalError) -> bool:
    code = getattr(fault.orig, "sqlstate", None)
    return code in {"40001", "40P01"} or "database is locked" in str(fault.orig)
