"""Every other database that Ibis knows, by its url alone."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar

from monitor.sources.base import Record, Source, SourceDown, SourceError, scheme_of

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.sql import SQLBackend

SAME = {"mariadb": "mysql"}
RUN = frozenset({"mysql", "mariadb"})
SESSION = {"mysql": ("SET SESSION TRANSACTION READ ONLY", "SET time_zone = '+00:00'")}
"""What makes a session read-only and its clock UTC, where that is not the driver's doing."""
LIMIT = {"mysql": ("SET SESSION max_statement_time = {seconds}", "SET SESSION max_execution_time = {milliseconds}")}
"""MariaDB knows the first, MySQL the second."""


class IbisUrl(Source):
    """A database by Ibis' own url: MySQL, MariaDB, Snowflake, BigQuery, Databricks, Trino, ClickHouse, Spark, ...

    Its driver must be installed (`pip install 'ibis-framework[trino]'`). What our tests have run is said to be so; all else is
    compiled by Ibis and was never run by us.
    """

    proven: ClassVar[bool] = False

    @classmethod
    def answers_to(cls, scheme: str) -> int:
        return 50 if SAME.get(scheme, scheme) in known() else 0

    @property
    def was_run(self) -> bool:
        return scheme_of(self.url.get_secret_value()) in RUN

    @property
    def dialect(self) -> str | None:
        scheme = scheme_of(self.url.get_secret_value())
        return None if self.was_run else SAME.get(scheme, scheme)

    @contextmanager
    def connect(self, timeout: timedelta) -> Iterator[SQLBackend]:
        connection = self._reached()
        limit = self.statement_timeout or timeout
        try:
            with self.speaking():
                for statement in SESSION.get(connection.name, ()):
                    connection.raw_sql(statement)
            for statement in LIMIT.get(connection.name, ()):
                with suppress(Exception):  # One of the two is always unknown.
                    seconds = max(1, round(limit.total_seconds()))
                    connection.raw_sql(statement.format(seconds=seconds, milliseconds=seconds * 1000))
            yield connection
        finally:
            connection.disconnect()

    def _reached(self) -> SQLBackend:
        import ibis

        url = self.url.get_secret_value()
        scheme = scheme_of(url)
        backend = SAME.get(scheme, scheme)
        try:
            with warnings.catch_warnings():
                # Ibis names the zone, which a server without zone tables does not know; we set the offset.
                warnings.filterwarnings("ignore", message="Unable to set session timezone")
                return ibis.connect(backend + url[len(scheme) :])
        except ImportError as error:
            wanted = "datavigil[mysql]" if backend == "mysql" else f"ibis-framework[{backend}]"
            raise SourceError(f"the driver for {scheme} is missing ({self.said(error)}): pip install '{wanted}'") from None
        except Exception as error:  # Every driver has exceptions of its own.
            raise SourceDown(f"{scheme} does not let us in: {self.said(error)}") from None

    def table(self, connection: SQLBackend, name: str) -> ir.Table:
        table = super().table(connection, name)
        found = _booleans(self, connection, name) if connection.name == "mysql" else set()
        return table.mutate(**{column: table[column] != 0 for column in table.columns if column in found}) if found else table

    def rows(self, connection: SQLBackend, table: ir.Table) -> list[Record]:
        if connection.name == "mysql":
            return super().rows(connection, table)
        # Not every driver has a DB-API cursor; Arrow is what all of Ibis' backends give.
        return [tuple(row.values()) for row in connection.to_pyarrow(table).to_pylist()]

    def run(self, connection: SQLBackend, sql: str) -> list[Record]:
        cursor = connection.raw_sql(sql)
        try:
            return [tuple(row) for row in (cursor.fetchall() if hasattr(cursor, "fetchall") else cursor)]
        finally:
            with suppress(AttributeError):
                cursor.close()

    def is_down(self, error: BaseException) -> bool:
        return _number(error) in {2002, 2003, 2006, 2013, 1053, 1040}

    def timed_out(self, error: BaseException) -> bool:
        return _number(error) in {1969, 3024}


@cache
def known() -> frozenset[str]:
    """The backends Ibis has, without importing it."""
    return frozenset(entry.name for entry in entry_points(group="ibis.backends"))


def _booleans(source: Source, connection: SQLBackend, name: str) -> set[str]:
    """MySQL has no booleans: by every driver's agreement a tinyint(1) is one. Ibis takes it for an int8."""
    *schema, table = name.split(".")
    columns = connection.table("COLUMNS", database="information_schema")
    wanted = columns.filter(
        columns["COLUMN_TYPE"] == "tinyint(1)",
        columns["TABLE_NAME"] == table,
        columns["TABLE_SCHEMA"] == (schema[-1] if schema else connection.current_database),
    )
    return {column for (column,) in source.rows(connection, wanted.select("COLUMN_NAME"))}


def _number(error: BaseException) -> Any:
    """MySQL's drivers give (number, text)."""
    return error.args[0] if error.args else None
