"""A DuckDB database file."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from checks.window import Window
from monitor.sources.base import Place, Record, Source, SourceDown, SourceError
from monitor.sources.faults import nearest
from monitor.sources.places import database_file

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.sql import SQLBackend

MOST_CELLS = 60_000_000
"""Rows times columns of a window that are copied into memory once, so that no question reads the file again."""
PAUSE = 0.1


class DuckDB(Source):
    """A DuckDB file, `duckdb:///orders.duckdb`. It is opened read-only for each window and closed at once, because an open
    file blocks its writer; while somebody writes, we wait as long as the window may take.
    """

    schemes: ClassVar[tuple[str, ...]] = ("duckdb",)

    @contextmanager
    def connect(self, timeout: timedelta) -> Iterator[SQLBackend]:
        with _opened(self._file(), timeout) as connection:
            yield connection

    def _file(self) -> str | None:
        return str(database_file(self.url.get_secret_value()))

    def window(self, connection: SQLBackend, place: Place, window: Window) -> ir.Table:
        table = super().window(connection, place, window)
        with self.speaking(place):
            return self.kept(connection, table)

    def kept(self, connection: SQLBackend, table: ir.Table) -> ir.Table:
        """The same rows in a temporary table of our own, if they are not too many."""
        [[rows]] = self.rows(connection, table.aggregate(rows=table.count()))
        if rows * len(table.columns) > MOST_CELLS:
            return table
        name = self._unused(connection)
        connection.raw_sql(f'CREATE TEMP TABLE "{name}" AS {connection.compile(table)}')
        return self.selected(connection, f'SELECT * FROM "{name}"')

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
def _opened(file: str | None, timeout: timedelta) -> Iterator[SQLBackend]:
    """An Ibis connection to a file, read-only, or (no file) to an empty database in memory."""
    import ibis

    raw = _patiently(file, timeout) if file else _in_memory()
    try:
        yield ibis.duckdb.from_connection(raw)
    finally:
        raw.close()


def _in_memory() -> Any:
    import duckdb

    # Without a word about it, what does not fit in memory is spilled into the working directory.
    return duckdb.connect(config={"temp_directory": tempfile.gettempdir()})


def _patiently(file: str, timeout: timedelta) -> Any:
    import duckdb

    deadline = time.monotonic() + timeout.total_seconds()
    while True:
        try:
            return duckdb.connect(file, read_only=True)
        except duckdb.Error as error:
            if "lock" not in str(error).lower():
                raise SourceDown(f"{file} cannot be opened as a DuckDB database: {str(error).splitlines()[0]}") from None
            if time.monotonic() >= deadline:
                raise SourceDown(f"{file} is held open by a program that writes to it") from None
        time.sleep(PAUSE)
