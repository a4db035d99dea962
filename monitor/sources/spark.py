"""Apache Spark: a cluster by its master's url, or a server by Spark Connect."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from monitor.sources import spark_session
from monitor.sources.base import Part, Record, Source, SourceDown, SourceError
from monitor.sources.faults import nearest
from monitor.sources.spark_ibis import over, schema_of
from monitor.sources.spark_session import Address, TookTooLong

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.sql import SQLBackend

FILES = re.compile(r"(\w+)\.`[^`]+`")
"""Spark's own way to name files: parquet.`/lake/orders`, delta.`s3a://lake/orders`."""
GONE = ("UNAVAILABLE", "RETRIES_EXCEEDED", "stopped SparkContext", "SparkContext was shut down", "Answer from Java side is empty")
REFUSED = ("UNAUTHENTICATED", "PERMISSION_DENIED")
NOT_THERE = ("TABLE_OR_VIEW_NOT_FOUND", "SCHEMA_NOT_FOUND", "CATALOG_NOT_FOUND", "REQUIRES_SINGLE_PART_NAMESPACE")


class Spark(Source):
    """Apache Spark 4: `sc://host:15002` (Spark Connect), or a master such as `spark://host:7077` and `k8s://https://host:443`,
    for which each worker runs a driver. What stands after `?` are Spark's properties, and a master that is no url is one of
    them: `spark://?spark.master=yarn`. Its Python package must be there: `pip install 'datavigil[spark]'`; a driver needs Java.

    A table is `catalog.schema.table`, or files as Spark names them, such as delta.`s3a://lake/orders`.
    """

    schemes: ClassVar[tuple[str, ...]] = ("spark", "sc", "k8s", "pyspark")

    @contextmanager
    def connect(self, timeout: timedelta) -> Iterator[SQLBackend]:
        limit = self.statement_timeout or timeout
        with ExitStack() as stack, self._reaching():
            connection = over(stack.enter_context(spark_session.opened(Address.of(self.url.get_secret_value()))))
            connection.limit = limit.total_seconds()
            opened = stack.pop_all()
        with opened:
            yield connection

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except SourceError:
            raise
        except ImportError as error:
            said = self.said(error)
            raise SourceError(f"the driver for Spark is missing ({said}): pip install 'datavigil[spark]'") from None
        except Exception as error:  # Of Java's, of gRPC's, of the network's.
            raise SourceDown(f"Spark does not let us in: {self.said(error)}") from None

    def table(self, connection: SQLBackend, name: str) -> ir.Table:
        select = f"SELECT * FROM {name if FILES.fullmatch(name) else _quoted(name)}"
        try:
            return connection.sql(select, schema=self.query_schema(connection, select))
        except Exception as error:
            if not any(word in str(error) for word in NOT_THERE):
                raise
        raise SourceError(f"there is no table {name}{self._there(connection, name)}")

    def _there(self, connection: SQLBackend, name: str) -> str:
        """The tables whose names are most like this one, where its schema can be listed."""
        *schema, last = name.split(".")
        inside = f" IN {_quoted('.'.join(schema))}" if schema else ""
        try:
            known = [table for _, table, *_ in self.run(connection, f"SHOW TABLES{inside}")]
        except Exception:  # Then the schema is not there either.
            return f" (there is no schema {'.'.join(schema)})"
        return nearest(last, known)

    def unpivoted(self, connection: SQLBackend, table: ir.Table, parts: Sequence[Part]) -> ir.Table:
        """From one pass over the files: each row is stacked into as many as there are parts."""
        import ibis

        rows = [part(table) for part in parts]
        wide = table.select(**{f"{name}_{place}": row[name] for place, row in enumerate(rows) for name in row})
        values = ", ".join(f"`{name}_{place}`" for place, row in enumerate(rows) for name in row)
        names = ", ".join(f"`{name}`" for name in rows[0])
        sql = f"SELECT stack({len(rows)}, {values}) AS ({names}) FROM (\n{connection.compile(wide)}\n)"
        return connection.sql(sql, schema=ibis.schema({name: value.type() for name, value in rows[0].items()}))

    def query_schema(self, connection: SQLBackend, query: str) -> Any:
        # As a subselect it can be nothing but a select: Spark has no session that only reads.
        return schema_of(connection.raw_sql(f"SELECT * FROM (\n{query}\n)"))

    def run(self, connection: SQLBackend, sql: str) -> list[Record]:
        with spark_session.limited(connection.session, connection.limit), warnings.catch_warnings():
            # pyspark leaves the socket that the rows come through to the garbage collector.
            warnings.simplefilter("ignore", ResourceWarning)
            return [tuple(row) for row in connection.raw_sql(sql).collect()]

    def is_down(self, error: BaseException) -> bool:
        return isinstance(error, OSError) or type(error).__name__ == "Py4JNetworkError" or _says(error, (*GONE, *REFUSED))

    def timed_out(self, error: BaseException) -> bool:
        return isinstance(error, TookTooLong)

    def said(self, error: BaseException | str) -> str:
        cause = getattr(error, "__cause__", None)
        if cause is not None and "RETRIES_EXCEEDED" in str(error):
            return super().said(cause.details() if hasattr(cause, "details") else cause)
        # What comes before the name of the fault is about jobs, stages and Java's classes.
        text = re.sub(r"\AAn error occurred while calling [^\n]*\n:? *", "", str(error))
        found = re.search(r"\[[A-Z][A-Z0-9_.]+\] .*", text)
        return super().said(found[0] if found else text or error)


def _quoted(name: str) -> str:
    """`lake.sales.orders` with each part in Spark's quotes, unless the user has put them there."""
    return name if "`" in name else ".".join(f"`{part}`" for part in name.split("."))


def _says(error: BaseException, words: tuple[str, ...]) -> bool:
    text = str(error)
    return any(word in text for word in words)
