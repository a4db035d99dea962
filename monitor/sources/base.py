"""A source: a place to connect to. A new one is one new file in this package with a subclass of `Source` in it.

Only worker processes connect: Ibis is imported inside the functions that need it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from checks.window import Window
from monitor.durations import Duration

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.sql import SQLBackend


class SourceError(Exception):
    """A window could not be measured. The message is for people, names the place and what to do, and holds no secret."""


class SourceDown(SourceError):
    """The source as a whole does not answer or lets nobody in; every dataset on it suffers."""


class NoData(Exception):
    """There is nothing for this window: the file that would hold it is not there."""


@dataclass(frozen=True)
class Place:
    """What to read of a source: a table (or a path), or a query; exactly one is given."""

    table: str | None = None
    query: str | None = None
    time_column: str | None = None
    timezone: str = "UTC"


class Source(BaseModel):
    """Settings and abilities that every source has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schemes: ClassVar[tuple[str, ...]] = ()
    """The url schemes this kind answers to, without `+driver`."""
    proven: ClassVar[bool] = True
    """It was run for real in our tests; else it is called "compiled, never run"."""

    url: SecretStr = Field(description="where to connect: postgres://user:${PASSWORD}@host/db, duckdb:///file.duckdb, ...")
    concurrency: int = Field(2, ge=1, le=64, description="windows measured at the same time")
    statement_timeout: Duration | None = Field(
        None, description="ask the engine to end a statement after this long; default: the dataset's timeout"
    )

    @contextmanager
    def connect(self, timeout: timedelta) -> Iterator[SQLBackend]:
        """An open, read-only Ibis connection, closed at the end. Raises SourceDown where nobody is let in."""
        raise NotImplementedError
        yield

    def window(self, connection: SQLBackend, place: Place, window: Window) -> ir.Table:
        """The rows of the window as an Ibis table. Raises SourceError, NoData."""
        raise NotImplementedError

    def newest(self, connection: SQLBackend, place: Place, before: datetime) -> Any:
        """An Ibis scalar: the newest time before `before` in the whole table as epoch seconds; None where it cannot be asked."""
        raise NotImplementedError
