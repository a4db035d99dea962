"""What we use of Ibis, DuckDB, pandas, NumPy and Evidently, together: what a new release of one of them breaks, breaks here."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

EVIDENTLY = """
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift

frame = pd.DataFrame({"x": [float(n % 17) for n in range(200)]})
datasets = [Dataset.from_pandas(f, data_definition=DataDefinition(numerical_columns=["x"])) for f in (frame, frame + 5)]
result = Report([ValueDrift(column="x")]).run(*datasets)
print(result.dict()["metrics"][0]["value"])
"""


def test_ibis_compiles_and_duckdb_runs_what_we_use(tmp_path: Path) -> None:
    import ibis
    import numpy as np
    import pandas as pd

    frame = pd.DataFrame(
        {"x": np.arange(100) / 7, "s": ["a", None] * 50, "at": pd.date_range("2024-03-05", periods=100, freq="min")}
    )
    frame.to_parquet(tmp_path / "a.parquet")
    connection = ibis.duckdb.connect()
    schema = {"x": "float64", "s": "string", "at": "timestamp"}
    table = connection.sql(f"SELECT * FROM read_parquet(['{tmp_path}/a.parquet'], union_by_name = true)", schema=schema)
    late = table.filter(table.at >= ibis.literal(datetime(2024, 3, 5, 1)))
    groups = late.group_by(late.s).aggregate(n=late.count(), top=late.x.max(), newest=late["at"].max().epoch_seconds())
    ranked = groups.mutate(r=ibis.row_number().over(ibis.window(order_by=[ibis.desc("n"), ibis.asc("s")])))
    both = ibis.union(ranked, ranked)
    records = connection.raw_sql(connection.compile(both)).fetchall()
    assert sorted(record[1] for record in records) == [20, 20, 20, 20]
    assert {record[3] for record in records} == {datetime(2024, 3, 5, 1, n, tzinfo=UTC).timestamp() for n in (38, 39)}
    assert len(connection.execute(late)) == 40
    assert connection.to_pyarrow(late).num_rows == 40
    connection.disconnect()


def test_ibis_wraps_a_connection_of_ours(tmp_path: Path) -> None:
    import sqlite3

    import duckdb
    import ibis

    with closing(sqlite3.connect(tmp_path / "a.db")) as raw, raw:
        raw.execute("CREATE TABLE t AS SELECT 1.5 AS x")
        one = ibis.sqlite.from_connection(raw)
        assert one.raw_sql(one.compile(one.table("t").x.ln().exp().as_table())).fetchone()[0] > 1.4
        assert dict(one._get_schema_using_query("SELECT * FROM t")).keys() == {"x"}
    raw.close()
    other = ibis.duckdb.from_connection(duckdb.connect())
    assert other.raw_sql("DESCRIBE SELECT 1::DECIMAL(5,2) AS x").fetchall()[0][:2] == ("x", "DECIMAL(5,2)")
    assert str(other.compiler.type_mapper.from_string("DECIMAL(5,2)")) == "decimal(5, 2)"
    other.con.close()


def test_the_backends_ibis_knows_are_found_without_importing_it() -> None:
    from monitor.sources.ibis_url import known

    assert {"mysql", "snowflake", "bigquery", "trino", "clickhouse", "pyspark", "databricks"} <= known()


def test_every_engine_compiles_the_grid() -> None:
    import ibis

    from checks.profile import Grid
    from monitor.measuring import grid

    table = ibis.table({"x": "float64"}, name="t")
    for dialect in ("duckdb", "postgres", "mysql", "sqlite", "snowflake", "bigquery", "databricks", "trino", "clickhouse"):
        less = grid.apart(table.x, Grid(1.0, 2.0))
        bucket = grid.bucket(less, *grid.placed(less, Grid(1.0, 2.0)), has_nan=dialect not in {"mysql", "sqlite"})
        sql = ibis.to_sql(table.aggregate(b=bucket.max(), s=grid.sums(table.x)[1]), dialect=dialect)
        assert str(grid.MISSING) in sql, dialect


def test_evidently_runs_beside_this_pandas() -> None:
    environment = {**os.environ, "DO_NOT_TRACK": "1", "PYTHONWARNINGS": "ignore"}
    run = subprocess.run([sys.executable, "-c", EVIDENTLY], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    assert float(run.stdout.split()[-1]) < 0.05
