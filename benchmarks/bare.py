"""DuckDB by hand: what the checks need of a window, in the SQL that somebody who knows DuckDB would write. Its own process.

Of every column rows, missing, smallest and largest value and an approximate number of distinct ones; of every number also the sum,
and rows and sum per bucket of its grid; of every category the 100 most frequent values. Grids are pinned beforehand, as ours are.

Two plans, because which is faster depends on the machine: each query on the Parquet file (`parquet`), or on a copy in memory
(`table`). Of several forms tried for the grid this one was the fastest: a logarithm is cheaper than DuckDB's `asinh`.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from benchmarks.answering import serve, timed

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FINENESS = 64
TOP = 100
COUNTED = "count({c}), min({c}), max({c}), approx_count_distinct({c})"
GRID = """
    (SELECT {place} AS q, floor({fineness} * if(z < 0, -a, a))::INTEGER AS b, count(*), sum(x) FROM (
        SELECT x, z, ln(abs(z) + sqrt(z * z + 1)) AS a FROM (
            SELECT {c} AS x, ({c} - ({center!r})::DOUBLE) * ({scale!r})::DOUBLE AS z FROM {table} WHERE {c} IS NOT NULL))
    GROUP BY b)
"""


class Bare:
    """The queries for files of one layout, which the first file tells."""

    def __init__(self, file: str) -> None:
        import duckdb

        with duckdb.connect() as connection:
            kinds = connection.execute(f"DESCRIBE SELECT * FROM '{file}'").fetchall()
            self.categories = [name for name, kind, *_ in kinds if kind == "VARCHAR"]
            self.numbers = [name for name, kind, *_ in kinds if kind != "VARCHAR"]
            self.grids = {name: _grid(connection, file, name) for name in self.numbers}

    def measure(self, plan: str, file: str) -> int:
        """Everything once; how many rows of answers there were."""
        import duckdb

        with duckdb.connect() as connection:
            connection.execute("SET enable_progress_bar = false")
            table = f"read_parquet('{file}')"
            if plan == "table":
                connection.execute(f"CREATE TEMP TABLE rows AS SELECT * FROM {table}")
                table = "rows"
            return sum(len(connection.execute(sql).fetchall()) for sql in self.queries(table))

    def queries(self, table: str) -> list[str]:
        counted = [COUNTED.format(c=c) for c in (*self.numbers, *self.categories)]
        scalars = ["count(*)", *counted, *(f"sum({c})" for c in self.numbers)]
        grids = [self._on_grid(place, name, table) for place, name in enumerate(self.numbers)]
        tops = [f"SELECT {c}, count(*) AS n FROM {table} GROUP BY 1 ORDER BY n DESC LIMIT {TOP}" for c in self.categories]
        return [f"SELECT {', '.join(scalars)} FROM {table}", " UNION ALL ".join(grids), *tops]

    def _on_grid(self, place: int, name: str, table: str) -> str:
        center, spread = self.grids[name]
        return GRID.format(place=place, c=name, center=center, scale=1 / spread, table=table, fineness=FINENESS)


def _grid(connection: DuckDBPyConnection, file: str, name: str) -> tuple[float, float]:
    """Median and spread of a sample, as our own grid is made."""
    parts = f"quantile_cont({name}::DOUBLE, [0.25, 0.5, 0.75]), stddev({name}::DOUBLE)"
    [[(low, center, high), deviation]] = connection.execute(f"SELECT {parts} FROM '{file}' USING SAMPLE 10000").fetchall()
    return center, (high - low) / 1.349 or deviation or 1.0


def main() -> None:
    bare = Bare(sys.argv[1])

    def work(asked: str) -> dict[str, Any]:
        plan, _, file = asked.partition(" ")
        seconds, answers = timed(lambda: bare.measure(plan, file))
        return {"seconds": seconds, "answers": answers}

    serve({"versions": {"duckdb": version("duckdb")}}, work)


if __name__ == "__main__":
    main()
