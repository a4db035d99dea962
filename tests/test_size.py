"""Windows that are wide, long, or larger than memory."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import SecretStr

from checks.histogram import Histogram
from checks.profile import Counts, Number, Profile
from checks.question import Categories, Distribution, Population, Question, Scalar
from checks.window import Window
from monitor.measuring.measure import measure, reading
from monitor.sources.base import Place, Source, SourceError
from monitor.sources.files import Files
from monitor.sources.postgres import Postgres
from monitor.sources.sqlite import SQLite

DAY = Window(datetime(2024, 3, 5, tzinfo=UTC), datetime(2024, 3, 6, tzinfo=UTC))


def measured(source: Source, place: Place, *asked: Question) -> Profile:
    with reading(source, place, DAY, timedelta(minutes=2)) as opened:
        return measure(opened, {Population(): asked}, {})


def wide(columns: int) -> str:
    return ", ".join(f"i * {n + 1} AS c{n}, 'v' || (i % {n + 2}) AS t{n}" for n in range(columns))


def total(column: str, table: Any) -> Any:
    return table[column].sum()


def asked(columns: int) -> list[Question]:
    found: list[Question] = []
    for n in range(columns):
        found += [Distribution(f"c{n}"), Categories(f"t{n}"), Scalar(f"sum(c{n})", partial(total, f"c{n}"), "add")]
    return found


def all_there(profile: Profile, columns: int, rows: int) -> None:
    answers = profile.answers()
    for n in range(columns):
        histogram, counts, total = answers[f"distribution(c{n})"], answers[f"categories(t{n})"], answers[f"sum(c{n})"]
        assert isinstance(histogram, Histogram)
        assert (histogram.finite, histogram.high) == (rows, (rows - 1) * (n + 1))
        assert isinstance(counts, Counts)
        assert (counts.distinct, counts.total) == (min(n + 2, rows), rows)
        assert total == Number(rows * (rows - 1) // 2 * (n + 1), "add")


def test_500_columns_of_a_parquet_file_are_measured(tmp_path: Path) -> None:
    duckdb.execute(f"COPY (SELECT {wide(250)} FROM range(200) r(i)) TO '{tmp_path}/wide.parquet'")
    all_there(measured(Files(), Place(table=f"{tmp_path}/wide.parquet"), *asked(250)), 250, 200)


def test_500_columns_of_a_sqlite_table_are_measured(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "wide.db")
    rows = "WITH RECURSIVE r(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM r WHERE i < 49)"
    names = ", ".join(f"c{n} INTEGER, t{n} TEXT" for n in range(250))
    connection.execute(f"CREATE TABLE wide ({names})")
    connection.execute(f"INSERT INTO wide {rows} SELECT {wide(250)} FROM r")
    connection.commit()
    connection.close()
    source = SQLite(url=SecretStr(f"sqlite:///{tmp_path}/wide.db"))
    all_there(measured(source, Place(table="wide"), *asked(250)), 250, 50)


def test_a_window_that_does_not_fit_into_memory_is_put_into_the_folder_for_it(tmp_path: Path) -> None:
    columns = ", ".join(f"hash(i * {n}) AS c{n}" for n in range(1, 7))
    duckdb.execute(f"COPY (SELECT {columns} FROM range(1500000) r(i)) TO '{tmp_path}/large.parquet'")
    source = Files(memory="64MB", spill=tmp_path / "spill")
    profile = measured(source, Place(query=f"SELECT * FROM '{tmp_path}/large.parquet'"), *(Distribution(f"c{n}") for n in (1, 6)))
    for n in (1, 6):
        answer = profile.answers()[f"distribution(c{n})"]
        assert isinstance(answer, Histogram), answer
        assert answer.finite == 1_500_000
    assert not list((tmp_path / "spill").glob("*"))


def test_a_folder_to_spill_into_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match=r"spill: the folder .*file/spill cannot be made"):
        measured(Files(spill=tmp_path / "file" / "spill"), Place(query="SELECT 1 AS x"))


def test_what_a_killed_process_left_in_the_folder_is_removed_and_a_living_one_s_is_not(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    ended.wait()
    left, kept = (tmp_path / f"datavigil-{socket.gethostname()}-{pid}" for pid in (ended.pid, os.getppid()))
    for folder in (left, kept):
        folder.mkdir()
        (folder / "duckdb_temp_storage-0.tmp").write_bytes(b"x")
    with Files(spill=tmp_path).connect(timedelta(seconds=10)):
        assert not left.exists()
        assert kept.exists()


def test_a_limit_of_memory_reaches_duckdb(tmp_path: Path) -> None:
    with Files(memory="256MB", spill=tmp_path).connect(timedelta(seconds=10)) as connection:
        [(limit, folder)] = connection.raw_sql(
            "SELECT current_setting('memory_limit'), current_setting('temp_directory')"
        ).fetchall()
    assert limit == "244.1 MiB"
    assert Path(folder).parent == tmp_path


@pytest.mark.parametrize("by", [None, "country"])
def test_a_column_full_of_rare_values_is_counted_by_its_frequent_ones(tmp_path: Path, by: str | None) -> None:
    sql = (
        "SELECT CASE WHEN i % 5 = 0 THEN 'often' WHEN i % 5 = 1 THEN NULL ELSE 'value ' || i END AS x, "
        "CASE WHEN i % 2 = 0 THEN 'DE' ELSE 'AT' END AS country FROM range(1000000) r(i)"
    )
    duckdb.execute(f"COPY ({sql}) TO '{tmp_path}/ids.parquet'")
    with reading(Files(), Place(table=f"{tmp_path}/ids.parquet"), DAY, timedelta(minutes=2)) as opened:
        profile = measure(opened, {Population(by=by): [Categories("x")]}, {})
    parts = [profile.answers(segment=s) for s in ([None] if by is None else ["country=DE", "country=AT"])]
    found = [part["categories(x)"] for part in parts]
    counts = [answer for answer in found if isinstance(answer, Counts)]
    assert len(counts) == len(parts)
    assert {c.error for c in counts} == {0.002}
    assert sum(c.counts["often"] for c in counts) == 200_000
    assert (sum(c.other for c in counts), sum(c.missing for c in counts)) == (600_000, 200_000)
    assert 540_000 < sum(c.distinct or 0 for c in counts) < 660_001


def test_postgres_estimates_the_distinct_values_of_such_a_column(postgres) -> None:  # type: ignore[no-untyped-def]
    values = "CASE WHEN i % 10 = 0 THEN 'often' ELSE 'value ' || i END"
    postgres.run("DROP TABLE IF EXISTS ids", f"CREATE TABLE ids AS SELECT {values} AS x FROM generate_series(1, 600000) i")
    counts = measured(Postgres(url=SecretStr(postgres.reader)), Place(table="ids"), Categories("x")).answers()["categories(x)"]
    assert isinstance(counts, Counts)
    assert (counts.counts["often"], counts.other, counts.error) == (60_000, 540_000, 0.002)
    assert counts.distinct == pytest.approx(540_001, rel=0.03)


def test_a_column_of_many_values_that_repeat_is_counted_exactly(tmp_path: Path) -> None:
    duckdb.execute(f"COPY (SELECT 'v' || (i % 3000) AS x FROM range(600000) r(i)) TO '{tmp_path}/many.parquet'")
    counts = measured(Files(), Place(table=f"{tmp_path}/many.parquet"), Categories("x")).answers()["categories(x)"]
    assert isinstance(counts, Counts)
    assert (counts.distinct, counts.error, len(counts.counts), counts.other) == (3000, 0.0, 256, 600_000 - 256 * 200)
