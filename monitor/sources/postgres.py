"""PostgreSQL, and what speaks its protocol and its catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from monitor.sources.base import Part, Source, SourceDown, scheme_of

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.sql import SQLBackend

GONE = ("08", "57P", "53300")
"""SQLSTATEs of a connection that is lost, a server that goes down, one that takes nobody more."""


class Postgres(Source):
    """PostgreSQL, `postgres://reader:${PASSWORD}@host/database`. The session is read-only and each statement has a timeout;
    a role that has SELECT and nothing else is enough. Parameters of libpq (`?sslmode=require`) are understood.
    """

    schemes: ClassVar[tuple[str, ...]] = ("postgres", "postgresql", "postgresql+psycopg")

    @contextmanager
    def connect(self, timeout: timedelta) -> Iterator[SQLBackend]:
        import ibis

        limit = self.statement_timeout or timeout
        with closing(self._reached(timeout)) as raw:
            raw.execute("SET default_transaction_read_only = on")
            raw.execute(f"SET statement_timeout = {max(1, round(limit.total_seconds() * 1000))}")
            yield ibis.postgres.from_connection(raw)

    def _reached(self, timeout: timedelta) -> Any:
        import psycopg

        url = self.url.get_secret_value()
        address = "postgresql" + url[len(scheme_of(url)) :]
        try:
            # libpq counts whole seconds and takes 1 as 2.
            return psycopg.connect(address, autocommit=True, connect_timeout=max(2, min(10, int(timeout.total_seconds()))))
        except psycopg.Error as error:
            raise SourceDown(f"PostgreSQL does not let us in: {self.said(_short(error))}") from None

    def query_schema(self, connection: SQLBackend, query: str) -> Any:
        import ibis

        # Ibis would create a view, which a role with SELECT only must not.
        mapper = connection.compiler.type_mapper
        with closing(connection.con.execute(f"SELECT * FROM (\n{query}\n) AS q LIMIT 0")) as cursor:
            return ibis.schema({column.name: mapper.from_string(column.type_display) for column in cursor.description})

    def unpivoted(self, connection: SQLBackend, table: ir.Table, parts: Sequence[Part]) -> ir.Table:
        """From one pass over the table: arrays of every column's values, unnested beside each row."""
        import ibis

        rows = [part(table) for part in parts]
        wide = table.select(**{f"{name}_{place}": row[name] for place, row in enumerate(rows) for name in row})
        arrays = [", ".join(f'w."{name}_{place}"' for place in range(len(rows))) for name in rows[0]]
        names = ", ".join(f'"{name}"' for name in rows[0])
        unnest = f"unnest({', '.join(f'ARRAY[{array}]' for array in arrays)}) AS v({names})"
        sql = f"SELECT v.* FROM (\n{connection.compile(wide)}\n) AS w CROSS JOIN LATERAL {unnest}"
        return connection.sql(sql, schema=ibis.schema({name: value.type() for name, value in rows[0].items()}))

    def is_down(self, error: BaseException) -> bool:
        import psycopg

        state = getattr(error, "sqlstate", None)
        if isinstance(error, psycopg.errors.QueryCanceled):
            return False
        return isinstance(error, psycopg.OperationalError) and (state is None or state.startswith(GONE))

    def timed_out(self, error: BaseException) -> bool:
        return getattr(error, "sqlstate", None) == "57014"


def _short(error: BaseException) -> str:
    """The part of libpq's message after the address: `password authentication failed for user "reader"`."""
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return first.removeprefix("connection failed: ").rpartition("FATAL:  ")[2]
