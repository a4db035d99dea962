"""A source: a place to connect to. A new one is one new file in this package with a subclass of `Source` in it.

Only worker processes connect: Ibis is imported inside the functions that need it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from checks.window import Window
from monitor.durations import Duration
from monitor.rates import Pace
from monitor.sources import times
from monitor.sources.faults import nearest, plain

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.sql import SQLBackend

Record = tuple[Any, ...]
Part = Callable[[Any], Mapping[str, Any]]
"""From an Ibis table to columns of it, by name."""
WITHOUT_NAN = frozenset({"sqlite", "mysql", "singlestoredb", "mssql", "exasol", "flink"})
"""Of Ibis' backends: no NaN can be stored there, or (the last two) Ibis has no word for it."""


class SourceError(Exception):
    """A window could not be measured. The message is for people, names the place and what to do, and holds no secret."""


class SourceDown(SourceError):
    """The source as a whole does not answer or lets nobody in; every dataset on it suffers."""


class NoData(Exception):
    """There is nothing for this window: the file that would hold it is not there."""


@dataclass(frozen=True)
class Place:
    """What to read of a source: a table (or a path), or a query; exactly one is given.

    `sample`: about how many rows of a window.
    """

    table: str | None = None
    query: str | None = None
    time_column: str | None = None
    timezone: str = "UTC"
    sample: int | None = None

    @property
    def words(self) -> str:
        """What an error message calls it."""
        return self.table or "the query"


def scheme_of(url: str) -> str:
    """`PostgreSQL+psycopg://...` -> `postgresql+psycopg`; an empty text for a url without a scheme."""
    scheme, found, _ = url.partition("://")
    return scheme.lower() if found else ""


class Source(BaseModel):
    """Settings and abilities that every source has.

    What an engine does its own way is overridden: `connect`, `table`, `query_schema`, `is_down`, `timed_out`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str]
    schemes: ClassVar[tuple[str, ...]] = ()
    """The url schemes this kind answers to; one without `+driver` stands for every driver."""
    samples: ClassVar[bool] = False
    """It can hold a sample of a window still, so that every question is asked of the same rows."""
    proven: ClassVar[bool] = True
    """It was run for real in our tests; else it is called "compiled, never run"."""

    url: SecretStr = Field(description="where to connect: postgres://user:${PASSWORD}@host/db, duckdb:///file.duckdb, ...")
    concurrency: int = Field(2, ge=1, le=64, description="windows measured at the same time")
    rate: Pace | None = Field(None, description="windows started per time: 10/m, 2/30s; default: as many as there are")
    statement_timeout: Duration | None = Field(
        None, description="ask the engine to end a statement after this long; default: the dataset's timeout"
    )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.kind = cls.__module__.rpartition(".")[2]

    def rooted(self, folder: Path) -> Self:
        """The same source with a relative path in its url read from `folder`, where the config lies."""
        found = re.fullmatch(r"(duckdb|sqlite|chdb):///(?!/)([^?]+)(.*)", self.url.get_secret_value())
        if not found or found[2] == ":memory:":
            return self
        return self.model_copy(update={"url": SecretStr(f"{found[1]}:///{folder / found[2]}{found[3]}")})

    # Choosing.

    @classmethod
    def answers_to(cls, scheme: str) -> int:
        """How well this kind fits a scheme as `scheme_of` gives it: 0 not at all, the highest of all kinds is taken."""
        if scheme in cls.schemes:
            return 100
        return 90 if scheme.partition("+")[0] in cls.schemes else 0

    @property
    def was_run(self) -> bool:
        """This very kind of database was run in our tests; a kind that covers many says so per scheme."""
        return self.proven

    @property
    def dialect(self) -> str | None:
        """Ibis' name of the SQL that is composed for a database we never talked to, so that it can be looked at; else None."""
        return None

    # Connecting.

    @contextmanager
    def connect(self, timeout: timedelta) -> Iterator[SQLBackend]:
        """An open, read-only Ibis connection, closed at the end. Raises SourceDown where nobody is let in."""
        raise NotImplementedError
        yield

    # Reading.

    def window(self, connection: SQLBackend, place: Place, window: Window) -> ir.Table:
        """The rows of the window as an Ibis table. Raises SourceError, NoData."""
        return self.within(connection, self.relation(connection, place), place, window)

    def within(self, connection: SQLBackend, table: ir.Table, place: Place, window: Window) -> ir.Table:
        """Those rows of `table` whose time lies in the window; all of them where there is no time column."""
        if place.time_column is None:
            return table
        column = self.time_column(table, place)
        zoned = self.zoned(connection, table, place)
        return table.filter(*self.between(column, window.start, window.end, place.timezone, zoned))

    def sampled(self, connection: SQLBackend, table: ir.Table, most: int) -> tuple[ir.Table, int | None]:
        """About `most` rows of a window, picked at random, and how many it has in all; the table as it is, and None, where it
        has no more. Raises SourceError where the kind cannot."""
        raise SourceError(f"a {self.kind} source cannot take a sample; give a query that does, or smaller windows")

    def newest(self, connection: SQLBackend, place: Place, window: Window) -> float | None:
        """The newest time before the window's end in the whole table, in epoch seconds; None where there is none, or no time
        column. Raises SourceError."""
        if place.time_column is None:
            return None
        return self.newest_of(connection, self.relation(connection, place), place, window)

    def newest_of(self, connection: SQLBackend, table: ir.Table, place: Place, window: Window) -> float | None:
        """The same, of a table at hand."""
        column = self.time_column(table, place)
        zoned = self.zoned(connection, table, place)
        earlier = table.filter(*self.between(column, None, window.end, place.timezone, zoned))
        newest = times.comparable(earlier[place.time_column], zoned).max()
        [[seconds]] = self.rows(connection, earlier.aggregate(newest=times.epoch(newest)))
        return None if seconds is None else times.instant(float(seconds), place.timezone, zoned)

    def relation(self, connection: SQLBackend, place: Place) -> ir.Table:
        """The whole table or query as an Ibis table. Raises SourceError where it is not there."""
        with self.speaking(place):
            if place.query is not None:
                return connection.sql(place.query, schema=self.query_schema(connection, place.query))
            return self.table(connection, place.table or "")

    def table(self, connection: SQLBackend, name: str) -> ir.Table:
        """A table by name, `schema.table` or `catalog.schema.table`. Raises SourceError that names what is there."""
        from ibis.common.exceptions import TableNotFound

        *database, last = name.split(".")
        try:
            return connection.table(last, database=tuple(database) or None)
        except TableNotFound:
            known = connection.list_tables(database=tuple(database) or None)
        raise SourceError(f"there is no table {name}{nearest(last, known)}")

    def query_schema(self, connection: SQLBackend, query: str) -> Any:
        """The Ibis schema of a query, from running it for zero rows; nothing is created in the source."""
        return connection._get_schema_using_query(query)

    def time_column(self, table: ir.Table, place: Place) -> ir.Value:
        """The dataset's time column. Raises SourceError where it is gone or holds no times."""
        name = place.time_column or ""
        if name not in table.columns:
            raise SourceError(f"{place.words} has no time column {name}{nearest(name, table.columns)}")
        kind = table.schema()[name]
        if not (kind.is_timestamp() or kind.is_date() or kind.is_string()):
            raise SourceError(
                f"{place.words}.{name} is {kind}, which is no time; give a query that casts it, such as "
                f'select *, to_timestamp({name}) as at from {place.table or "..."}, and time_column = "at"'
            )
        return table[name]

    def between(self, column: ir.Value, start: datetime | None, end: datetime, timezone: str, zoned: bool) -> list[Any]:
        """Ibis conditions for start <= column < end; no start: everything before the end."""
        return times.between(times.comparable(column, zoned), start, end, timezone, zoned)

    def zoned(self, connection: SQLBackend, table: ir.Table, place: Place) -> bool:
        """The time column holds instants; else wall-clock times of the dataset's zone. A text is judged by one value of it."""
        column = table[place.time_column]
        if not column.type().is_string():
            return times.has_zone(column.type())
        found = self.rows(connection, table.select(at=column).filter(lambda t: t.at.notnull()).limit(1))
        return bool(found) and times.text_has_zone(str(found[0][0]))

    def unpivoted(self, connection: SQLBackend, table: ir.Table, parts: Sequence[Part]) -> ir.Table:
        """One row per row of `table` and part: the union of `table.select(**part(table))` over all parts.

        The parts give columns of the same names and types. `table` should hold only what they look at. An engine that keeps a
        row's values together overrides this, so that the table is read once and not once per part; the answer is the same.
        """
        import ibis

        selects = [table.select(**part(table)) for part in parts]
        return ibis.union(*selects) if len(selects) > 1 else selects[0]

    def has_nan(self, connection: SQLBackend) -> bool:
        """The engine has a NaN, and a way to ask for it."""
        return connection.name not in WITHOUT_NAN

    def rows(self, connection: SQLBackend, table: ir.Table) -> list[Record]:
        """All rows of a (small) Ibis table as the driver gives them: no pandas, whose types cannot hold every time."""
        return self.run(connection, connection.compile(table))

    def run(self, connection: SQLBackend, sql: str) -> list[Record]:
        """The rows of a statement in the source's own SQL."""
        cursor = connection.raw_sql(sql)
        try:
            return [tuple(row) for row in cursor.fetchall()]
        finally:
            cursor.close()

    # Telling what went wrong.

    def is_down(self, error: BaseException) -> bool:
        """The connection is gone or refused, so nothing else on this source will work either."""
        return False

    def timed_out(self, error: BaseException) -> bool:
        """The engine ended the statement because it ran too long."""
        return False

    def said(self, error: BaseException | str) -> str:
        """What went wrong in one line without a secret in it."""
        return plain(error, self.url.get_secret_value())

    @contextmanager
    def speaking(self, place: Place | None = None) -> Iterator[None]:
        """Whatever the engine raises inside becomes SourceError or SourceDown, in words."""
        about = f"{place.words}: " if place else ""
        try:
            yield
        except (SourceError, NoData):
            raise
        except Exception as error:  # Every driver has exceptions of its own.
            if self.is_down(error):
                raise SourceDown(f"the source does not answer: {self.said(error)}") from None
            if self.timed_out(error):
                raise SourceError(f"{about}the statement was ended because it took too long; {self.said(error)}") from None
            raise SourceError(f"{about}{self.said(error)}") from None
