"""A database that Ibis does not know: read through SQLAlchemy in chunks into DuckDB, and measured there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from checks.window import Window
from monitor.sources import times
from monitor.sources.base import Place, SourceDown, SourceError
from monitor.sources.columns import arrow_types, chunk_table
from monitor.sources.duckdb import DuckDB
from monitor.sources.faults import nearest

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import sqlalchemy as sa
    from ibis.backends.sql import SQLBackend

CHUNK = 20_000
SESSION = {
    "mysql": ("SET SESSION TRANSACTION READ ONLY", "SET time_zone = '+00:00'", "SET SESSION max_statement_time = {seconds}"),
    "mariadb": ("SET SESSION TRANSACTION READ ONLY", "SET time_zone = '+00:00'", "SET SESSION max_statement_time = {seconds}"),
    "postgresql": ("SET default_transaction_read_only = on", "SET statement_timeout = '{seconds}s'"),
    "sqlite": ("PRAGMA query_only = on",),
}


class SQLAlchemyUrl(DuckDB):
    """A database by SQLAlchemy's url, `mysql+pymysql://reader:${PASSWORD}@host/shop`, for those Ibis does not know. Only the
    window's rows travel, in chunks; nothing is written, and the transaction is rolled back. A user's own SQL (`where`, `sql`
    checks) is DuckDB's here and sees the window's rows only.
    """

    proven: ClassVar[bool] = False

    @classmethod
    def answers_to(cls, scheme: str) -> int:
        from sqlalchemy.dialects import registry
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError

        try:
            registry.load(scheme.replace("+", "."))
        except (NoSuchModuleError, ArgumentError):
            return 0
        except ImportError:
            return 10
        return 10

    @property
    def was_run(self) -> bool:
        return self.url.get_secret_value().lower().startswith(("mysql+pymysql://", "mariadb+pymysql://"))

    def _file(self) -> str | None:
        return None

    @contextmanager
    def connect(self, timeout: timedelta) -> Iterator[SQLBackend]:
        with self._reached(timeout) as remote, super().connect(timeout) as connection:
            connection.remote = remote
            yield connection

    @contextmanager
    def _reached(self, timeout: timedelta) -> Iterator[sa.Connection]:
        import sqlalchemy as sa

        limit = self.statement_timeout or timeout
        try:
            engine = sa.create_engine(self.url.get_secret_value(), poolclass=sa.NullPool)
        except ImportError as error:
            raise SourceError(f"the driver for this url is missing ({self.said(error)}): pip install it") from None
        except (sa.exc.ArgumentError, ValueError) as error:
            raise SourceError(f"the url is not understood: {self.said(error)}") from None
        try:
            remote = engine.connect()
        except Exception as error:  # Every driver has exceptions of its own.
            raise SourceDown(f"{engine.dialect.name} does not let us in: {self.said(error)}") from None
        with remote:
            for statement in SESSION.get(engine.dialect.name, ()):
                with suppress(sa.exc.DBAPIError):
                    remote.execute(sa.text(statement.format(seconds=max(1, round(limit.total_seconds())))))
            remote.rollback()
            yield remote
            remote.rollback()

    def said(self, error: BaseException | str) -> str:
        # The driver's own words, not SQLAlchemy's with the statement and a link to its manual.
        return super().said(getattr(error, "orig", None) or error)

    def is_down(self, error: BaseException) -> bool:
        return bool(getattr(error, "connection_invalidated", False))

    def timed_out(self, error: BaseException) -> bool:
        return any(word in str(getattr(error, "orig", "")) for word in ("max_statement_time", "statement timeout"))

    def window(self, connection: SQLBackend, place: Place, window: Window) -> ir.Table:
        with self.speaking(place):
            select, kinds = self._select(connection.remote, place, window)
            return self._copied(connection, select, kinds)

    def newest(self, connection: SQLBackend, place: Place, window: Window) -> float | None:
        import sqlalchemy as sa

        if place.time_column is None:
            return None
        with self.speaking(place):
            source, _ = self._source(connection.remote, place)
            column = self._time(connection.remote, source, place)
            newest = connection.remote.execute(sa.select(sa.func.max(column)).where(column < _bound(column, window.end, place)))
            return _epoch(newest.scalar(), place.timezone)

    def _select(self, remote: sa.Connection, place: Place, window: Window) -> tuple[Any, Any]:
        import sqlalchemy as sa

        source, kinds = self._source(remote, place)
        if place.time_column is None:
            return sa.select(source), kinds
        column = self._time(remote, source, place)
        bounds = _bound(column, window.start, place), _bound(column, window.end, place)
        return sa.select(source).where(column >= bounds[0], column < bounds[1]), kinds

    def _source(self, remote: sa.Connection, place: Place) -> tuple[Any, Any]:
        """What stands after FROM, and its columns' types where the database tells them (a table's)."""
        import sqlalchemy as sa

        if place.query is not None:
            # A colon would be a bind parameter to SQLAlchemy.
            text = sa.text(re.sub(r"(?<![:\\]):(?=\w)", r"\:", place.query))
            names = list(remote.execute(sa.select(sa.text("*")).select_from(text.columns().subquery("q")).limit(0)).keys())
            return text.columns(*(sa.column(name) for name in names)).subquery("q"), None
        *schema, name = (place.table or "").split(".")
        try:
            table = sa.Table(name, sa.MetaData(), autoload_with=remote, schema=".".join(schema) or None)
        except sa.exc.NoSuchTableError:
            there = sa.inspect(remote).get_table_names(schema=".".join(schema) or None)
            raise SourceError(f"there is no table {place.table}{nearest(name, there)}") from None
        for column in table.columns:
            if isinstance(column.type, sa.Float):
                # MySQL's DOUBLE comes as a decimal of ten digits otherwise.
                column.type.asdecimal = False
        return table, {column.name: column.type for column in table.columns}

    def _time(self, remote: sa.Connection, source: Any, place: Place) -> Any:
        """The time column with a type that its values have. Raises SourceError where it is gone or holds no times."""
        import sqlalchemy as sa

        name = place.time_column or ""
        if name not in source.c:
            raise SourceError(f"{place.words} has no time column {name}{nearest(name, source.c.keys())}")
        column = source.c[name]
        if isinstance(column.type, sa.String):
            return sa.cast(column, sa.DateTime)
        if isinstance(column.type, (sa.DateTime, sa.Date)):
            return column
        value = remote.execute(sa.select(column).where(column.is_not(None)).limit(1)).scalar()
        if isinstance(value, str):
            return sa.cast(column, sa.DateTime)
        if value is not None and not isinstance(value, date):
            kind = type(value).__name__
            raise SourceError(f"{place.words}.{name} is {kind}, which is no time; give a query that casts it to a timestamp")
        if isinstance(value, datetime):
            return sa.type_coerce(column, sa.DateTime(timezone=value.tzinfo is not None))
        return sa.type_coerce(column, sa.Date() if value is not None else sa.DateTime())

    def _copied(self, connection: SQLBackend, select: Any, kinds: Any) -> ir.Table:
        """The rows of a statement as a table of our own DuckDB, chunk by chunk."""
        name = self._unused(connection)
        result = connection.remote.execution_options(stream_results=True, yield_per=CHUNK).execute(select)
        columns = list(result.keys())
        types: Any = None
        for chunk in result.partitions(CHUNK):
            types = types or arrow_types(columns, kinds, chunk)
            self._append(connection, name, chunk_table(chunk, types))
        if types is None:
            self._append(connection, name, chunk_table([], arrow_types(columns, kinds, [])))
        return self.selected(connection, f'SELECT * FROM "{name}"')

    def _append(self, connection: SQLBackend, name: str, rows: Any) -> None:
        connection.con.register("chunk", rows)
        there = self.run(connection, f"SELECT 1 FROM information_schema.tables WHERE table_name = '{name}'")
        connection.raw_sql(f'INSERT INTO "{name}" FROM chunk' if there else f'CREATE TEMP TABLE "{name}" AS FROM chunk')
        connection.con.unregister("chunk")


def _bound(column: Any, moment: datetime, place: Place) -> Any:
    """A window's edge as the column's type has it."""
    import sqlalchemy as sa

    if isinstance(column.type, sa.Date):
        return times.first_day(moment, place.timezone)
    if getattr(column.type, "timezone", False):
        return moment.astimezone(UTC)
    # MySQL's TIMESTAMP is an instant that is shown in the session's zone, which is UTC.
    is_instant = type(column.type).__name__ == "TIMESTAMP" and "mysql" in type(column.type).__module__
    return times.local(moment, "UTC" if is_instant else place.timezone)


def _epoch(value: Any, timezone: str) -> float | None:
    if value is None:
        return None
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    if moment.tzinfo is not None:
        return moment.timestamp()
    return times.instant((moment - datetime(1970, 1, 1)).total_seconds(), timezone, zoned=False)  # noqa: DTZ001 - has no zone
