"""ClickHouse: a server by its HTTP port, or chDB, the same engine without a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from monitor.sources.base import Place, Record, Source, SourceDown, SourceError, scheme_of
from monitor.sources.faults import nearest

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.sql import SQLBackend

NOT_THERE = {60, 81}
"""Numbers of ClickHouse's errors: no such table, no such database."""
TOOK_TOO_LONG = {159, 160}
GONE = {209, 210, 279, 425}
"""Errors of its network between servers."""
SLACK = 10.0
"""Seconds that the network gets beyond the statement's own limit."""


class ClickHouse(Source):
    """ClickHouse, `clickhouse://reader:${PASSWORD}@host:8443/shop?secure=true`, by its HTTP port; or chDB, the same engine
    inside our worker, on a folder of its own: `chdb:////data/shop`. The session is read-only, which needs a user whose profile
    lets it change settings (`readonly` 0 or 2). `pip install 'datavigil[clickhouse]'`; for chDB, `datavigil[chdb]`.

    Every time of ClickHouse's is an instant; dates are read as the dataset's zone has them.
    """

    schemes: ClassVar[tuple[str, ...]] = ("clickhouse", "chdb")

    @property
    def was_run(self) -> bool:
        # The engine is the same; its server, and the way there, never were.
        return scheme_of(self.url.get_secret_value()) == "chdb"

    @property
    def dialect(self) -> str | None:
        return None if self.was_run else "clickhouse"

    @contextmanager
    def connect(self, timeout: timedelta) -> Iterator[SQLBackend]:
        with closing(self._reached((self.statement_timeout or timeout).total_seconds())) as client:
            import ibis

            yield ibis.clickhouse.from_connection(client)

    def _reached(self, limit: float) -> Any:
        settings = {
            "max_execution_time": max(1, round(limit)),
            # Nothing has no sum and no maximum, as everywhere else; ClickHouse's own answer is 0.
            "aggregate_functions_null_for_empty": 1,
            "session_timezone": "UTC",
            "readonly": 2,
        }
        folder = self._folder()
        if folder is not None and not folder.is_dir():
            raise SourceDown(f"there is no folder {folder} (an absolute path has four slashes: chdb:////...)")
        try:
            from clickhouse_connect import get_client

            return get_client(dsn=self.url.get_secret_value(), settings=settings, **self._of_the_network(limit))
        except ImportError as error:
            scheme = scheme_of(self.url.get_secret_value())
            raise SourceError(f"the driver is missing ({self.said(error)}): pip install 'datavigil[{scheme}]'") from None
        except Exception as error:  # Of the driver's, of the network's.
            raise SourceDown(f"ClickHouse does not let us in: {self.said(error)}") from None

    def _folder(self) -> Path | None:
        """Where chDB's tables lie. It would make the folder if it were not there."""
        scheme, _, rest = self.url.get_secret_value().partition(":///")
        return Path("/", rest.partition("?")[0]) if scheme.lower() == "chdb" else None

    def _of_the_network(self, limit: float) -> dict[str, Any]:
        """What the driver must be told apart from the url, which it does not read all of."""
        url = self.url.get_secret_value()
        if scheme_of(url) == "chdb":
            return {}
        secure = dict(parse_qsl(urlsplit(url).query)).get("secure", "false")
        return {"secure": secure, "connect_timeout": int(min(SLACK, limit) + 1), "send_receive_timeout": int(limit + SLACK)}

    def table(self, connection: SQLBackend, name: str) -> ir.Table:
        *database, last = name.split(".")
        try:
            return connection.table(last, database=database[0] if database else None)
        except Exception as error:
            if _number(error) not in NOT_THERE and type(error).__name__ != "TableNotFound":
                raise
        known = connection.list_tables(database=database[0] if database else None)
        raise SourceError(f"there is no table {name}{nearest(last, known)}")

    def query_schema(self, connection: SQLBackend, query: str) -> Any:
        import ibis

        # Ibis would create a view.
        mapper = connection.compiler.type_mapper
        described = self.run(connection, f"DESCRIBE TABLE (\n{query}\n)")
        return ibis.schema({name: mapper.from_string(kind) for name, kind, *_ in described})

    def zoned(self, connection: SQLBackend, table: ir.Table, place: Place) -> bool:
        if table.schema()[place.time_column].is_timestamp():
            return True
        return super().zoned(connection, table, place)

    def run(self, connection: SQLBackend, sql: str) -> list[Record]:
        return [tuple(row) for row in connection.con.query(sql).result_rows]

    def is_down(self, error: BaseException) -> bool:
        return _number(error) in GONE or type(error).__name__ in {"OperationalError", "StreamFailureError"}

    def timed_out(self, error: BaseException) -> bool:
        return _number(error) in TOOK_TOO_LONG


def _number(error: BaseException) -> Any:
    return getattr(error, "code", None)
