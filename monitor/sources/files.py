"""Parquet, CSV and JSON files by path or glob: always there, without a url."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, SecretStr

from checks.window import Window
from monitor.sources import layout, paths
from monitor.sources.base import Place
from monitor.sources.duckdb import DuckDB

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.sql import SQLBackend


class Files(DuckDB):
    """Files on disk, read by an embedded DuckDB: `table = "landing/*.parquet"`, filtered by the time column; or a path that
    holds the window, `table = "landing/{start:%Y-%m-%d}.parquet"`: the window is that file (or glob), whole. A query names files
    in quotes: `select * from 'landing/*.csv' where not test`.
    """

    schemes: ClassVar[tuple[str, ...]] = ("files",)

    url: SecretStr = Field(SecretStr(""), description="not needed: paths of tables start at the config's folder")

    @classmethod
    def answers_to(cls, scheme: str) -> int:
        return 100 if scheme == "" else super().answers_to(scheme)

    def _file(self) -> str | None:
        return None

    def window(self, connection: SQLBackend, place: Place, window: Window) -> ir.Table:
        if place.table is None or not paths.has_fields(place.table):
            return super().window(connection, place, window)
        files = paths.of_window(place.table, window, place.timezone)
        with self.speaking(place):
            return self.kept(connection, self._read(connection, files), self.is_dear(place))

    def is_dear(self, place: Place) -> bool:
        return place.table is None or not layout.is_parquet(place.table)

    def newest(self, connection: SQLBackend, place: Place, window: Window) -> float | None:
        if place.table is None or place.time_column is None or not paths.has_fields(place.table):
            return super().newest(connection, place, window)
        # The newest row is in the window's own file; reading every file there ever was would tell no more.
        return self.newest_of(
            connection, self._read(connection, paths.of_window(place.table, window, place.timezone)), place, window
        )

    def table(self, connection: SQLBackend, name: str) -> ir.Table:
        return self._read(connection, paths.always(name))

    def _read(self, connection: SQLBackend, files: list[str]) -> ir.Table:
        def run(sql: str) -> list[tuple[Any, ...]]:
            return self.run(connection, sql)

        if all(layout.is_parquet(file) for file in files):
            return self.selected(connection, layout.select(files, run, self._named(connection, files)))
        return self.selected(connection, layout.select(files, run))

    def _named(self, connection: SQLBackend, files: list[str]) -> str:
        """A variable of the session that holds the paths: so a window's statements are the same as the last one's, and what Ibis
        composed for that one is used again."""
        number = getattr(connection, "datavigil_reads", 0)
        connection.datavigil_reads = number + 1
        connection.raw_sql(f"SET VARIABLE datavigil_files_{number} = {layout.listed(files)}")
        return f"getvariable('datavigil_files_{number}')"
