"""A SQLite database file."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from monitor.sources import times
from monitor.sources.base import Part, Place, Source, SourceDown, SourceError
from monitor.sources.places import database_file

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.sql import SQLBackend

STEPS = 100_000
"""Steps of SQLite's machine, a few milliseconds, after which it looks at the clock."""
KEPT = "datavigil_window"


class SQLite(Source):
    """A SQLite file, `sqlite:///orders.db`, opened read-only. NaN is stored as NULL there, so it counts as missing.

    Times are texts in SQLite; with an offset (`+02:00`, `Z`) they are instants, without one wall-clock times of the dataset's zone.
    """

    schemes: ClassVar[tuple[str, ...]] = ("sqlite",)

    @contextmanager
    def connect(self, timeout: timedelta) -> Iterator[SQLBackend]:
        import sqlite3

        import ibis

        file = database_file(self.url.get_secret_value())
        address = f"{file.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=timeout.total_seconds())) as raw:
            try:
                raw.execute("SELECT count(*) FROM sqlite_master").fetchone()
            except sqlite3.Error as error:
                raise SourceDown(f"{file} cannot be opened as a SQLite database: {error}") from None
            deadline = time.monotonic() + (self.statement_timeout or timeout).total_seconds()
            raw.create_function("md5", 1, _md5, deterministic=True)
            raw.set_progress_handler(lambda: time.monotonic() > deadline, STEPS)
            yield ibis.sqlite.from_connection(raw)

    def query_schema(self, connection: SQLBackend, query: str) -> Any:
        # A temporary view lives outside the file, and is the only way to a query's declared types.
        return connection._get_schema_using_query(query)

    def zoned(self, connection: SQLBackend, table: ir.Table, place: Place) -> bool:
        column = table[place.time_column].cast("string")
        found = self.rows(connection, table.select(at=column).filter(lambda t: t.at.notnull()).limit(1))
        text = str(found[0][0]) if found else ""
        if text and "-" not in text[1:]:
            raise SourceError(f"{place.words}.{place.time_column} holds {text}, which is no time; give a query that casts it")
        return times.text_has_zone(text)

    def between(self, column: ir.Value, start: datetime | None, end: datetime, timezone: str, zoned: bool) -> list[Any]:
        at = column.cast("string").cast("timestamp('UTC')" if zoned else "timestamp")
        exact = times.between(at, start, end, timezone, zoned)
        return exact if start is None or column.type().is_string() else [column >= _days_before(start), *exact]

    def unpivoted(self, connection: SQLBackend, table: ir.Table, parts: Sequence[Part]) -> ir.Table:
        """From one pass over the table into a transient one, which the parts are read from."""
        import ibis

        kept = ibis.table(table.schema(), name=KEPT)
        union = super().unpivoted(connection, kept, parts)
        sql = f"WITH {KEPT} AS MATERIALIZED (\n{connection.compile(table)}\n)\n{connection.compile(union)}"
        return connection.sql(sql, schema=union.schema())

    def timed_out(self, error: BaseException) -> bool:
        return str(error) == "interrupted"


def _md5(text: str | None) -> str | None:
    """What SQLite lacks, to pick keys by their hash."""
    return None if text is None else hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def _days_before(start: datetime) -> datetime:
    """A bound that every spelling of a time of the window is above, so that an index on the column can be used."""
    return datetime.combine(start.date() - timedelta(days=2), datetime.min.time())
