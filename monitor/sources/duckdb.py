"""A DuckDB database file."""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field

from checks.window import Window
from monitor.sources.base import Place, Record, Source, SourceDown, SourceError
from monitor.sources.faults import nearest
from monitor.sources.places import database_file

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.sql import SQLBackend

CHEAP_CELLS, MOST_CELLS = 2_000_000, 60_000_000
"""Rows times columns up to which a window is copied once, so that no question reads it again: where reading again is cheap (a
table, Parquet), and where it is dear (a query is run again, CSV and JSON are parsed again)."""
SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]i?B)\s*", re.IGNORECASE)
PAUSE = 0.1


def _size(text: str) -> str:
    """Raises ValueError with the form that is wanted."""
    if not SIZE.fullmatch(text):
        raise ValueError(f"{text!r} is no size; write a number and KB, MB or GB, such as 512MB or 2GB")
    return text.strip()


class DuckDB(Source):
    """A DuckDB file, `duckdb:///orders.duckdb`. It is opened read-only for each window and closed at once, because an open
    file blocks its writer; while somebody writes, we wait as long as the window may take.
    """

    schemes: ClassVar[tuple[str, ...]] = ("duckdb",)
    samples: ClassVar[bool] = True

    memory: Annotated[str, AfterValidator(_size)] = Field(
        "1GB", description="what the embedded DuckDB may hold of a window at once, such as 512MB; more is put into spill"
    )
    spill: Path | None = Field(
        None, description="the folder for what does not fit into memory; default: the system's for such files"
    )

    @contextmanager
    def connect(self, timeout: timedelta) -> Iterator[SQLBackend]:
        with _opened(self._file(), timeout, self._settings()) as connection:
            yield connection

    def rooted(self, folder: Path) -> Self:
        rooted = super().rooted(folder)
        return rooted.model_copy(update={"spill": folder / self.spill}) if self.spill else rooted

    def _settings(self) -> dict[str, Any]:
        return {
            "memory_limit": self.memory,
            "temp_directory": str(_own_folder(self.spill or Path(tempfile.gettempdir()))),
            # Nobody asks for the order of rows, and keeping it takes memory.
            "preserve_insertion_order": False,
        }

    def _file(self) -> str | None:
        return str(database_file(self.url.get_secret_value()))

    def window(self, connection: SQLBackend, place: Place, window: Window) -> ir.Table:
        table = super().window(connection, place, window)
        with self.speaking(place):
            return self.kept(connection, table, self.is_dear(place))

    def is_dear(self, place: Place) -> bool:
        """Reading the place again would cost much more than reading a copy."""
        return place.query is not None

    def kept(self, connection: SQLBackend, table: ir.Table, dear: bool) -> ir.Table:
        """The same rows in a temporary table of our own, if that is worth it."""
        [[rows]] = self.rows(connection, table.aggregate(rows=table.count()))
        if rows * len(table.columns) > (MOST_CELLS if dear else CHEAP_CELLS):
            return table
        name = self._unused(connection)
        connection.raw_sql(f'CREATE TEMP TABLE "{name}" AS {connection.compile(table)}')
        return self.selected(connection, f'SELECT * FROM "{name}"')

    def sampled(self, connection: SQLBackend, table: ir.Table, most: int) -> tuple[ir.Table, int | None]:
        [[rows]] = self.rows(connection, table.aggregate(rows=table.count()))
        if rows <= most:
            return table, None
        name = self._unused(connection)
        sql = f"SELECT * FROM (\n{connection.compile(table)}\n) WHERE random() < {most / rows!r}"
        connection.raw_sql(f'CREATE TEMP TABLE "{name}" AS {sql}')
        return self.selected(connection, f'SELECT * FROM "{name}"'), int(rows)

    def _unused(self, connection: SQLBackend) -> str:
        """A name for a table of ours: the same in every session, so that what is composed for one window fits the next."""
        [[tables]] = self.run(connection, "SELECT count(*) FROM duckdb_tables() WHERE table_name LIKE 'datavigil_window%'")
        return f"datavigil_window_{tables}"

    def selected(self, connection: SQLBackend, sql: str) -> ir.Table:
        """A statement as a table. (Ibis' own ways to look at a table call what DuckDB 2 no longer has.)"""
        return connection.sql(sql, schema=self.query_schema(connection, sql))

    def table(self, connection: SQLBackend, name: str) -> ir.Table:
        *schema, last = name.split(".")
        quoted = ".".join('"' + part.replace('"', '""') + '"' for part in (*schema, last))
        known = self.run(connection, "SELECT table_name FROM information_schema.tables")
        if not any(last.lower() == table.lower() for (table,) in known):
            raise SourceError(f"there is no table {name}{nearest(last, (table for (table,) in known))}")
        return self.selected(connection, f"SELECT * FROM {quoted}")

    def query_schema(self, connection: SQLBackend, query: str) -> Any:
        import ibis

        mapper = connection.compiler.type_mapper
        described = self.run(connection, f"DESCRIBE {query}")
        return ibis.schema({name: mapper.from_string("VARCHAR" if kind == '"NULL"' else kind) for name, kind, *_ in described})

    def run(self, connection: SQLBackend, sql: str) -> list[Record]:
        # Its cursor is the connection: it must not be closed.
        return [tuple(row) for row in connection.raw_sql(sql).fetchall()]


@contextmanager
def _opened(file: str | None, timeout: timedelta, settings: dict[str, Any]) -> Iterator[SQLBackend]:
    """An Ibis connection to a file, read-only, or (no file) to an empty database in memory."""
    import duckdb
    import ibis

    raw = _patiently(file, timeout, settings) if file else duckdb.connect(config=settings)
    try:
        # Each column of a window is a scan of its own, which would read the files' footers again.
        raw.execute("SET parquet_metadata_cache = true")
        # It would draw itself on standard output, among the facts of `once --json`, where a query takes two seconds.
        raw.execute("SET enable_progress_bar = false")
        yield ibis.duckdb.from_connection(raw)
    finally:
        raw.close()


def _own_folder(spill: Path) -> Path:
    """Where this process may put what does not fit into memory: two that shared a folder would overwrite each other's files.

    DuckDB makes it when it is needed and removes it at the end; those of processes that were killed are removed here. Raises
    SourceError where it cannot be.
    """
    try:
        spill.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SourceError(f"spill: the folder {spill} cannot be made: {error.strerror}") from None
    mark = f"datavigil-{socket.gethostname()}-"
    for left in spill.glob(f"{mark}*"):
        process = left.name.removeprefix(mark)
        if process.isdigit() and not _lives(int(process)):
            shutil.rmtree(left, ignore_errors=True)
    return spill / f"{mark}{os.getpid()}"


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _patiently(file: str, timeout: timedelta, settings: dict[str, Any]) -> Any:
    import duckdb

    deadline = time.monotonic() + timeout.total_seconds()
    while True:
        try:
            return duckdb.connect(file, read_only=True, config=settings)
        except duckdb.Error as error:
            if "lock" not in str(error).lower():
                raise SourceDown(f"{file} cannot be opened as a DuckDB database: {str(error).splitlines()[0]}") from None
            if time.monotonic() >= deadline:
                raise SourceDown(f"{file} is held open by a program that writes to it") from None
        time.sleep(PAUSE)
