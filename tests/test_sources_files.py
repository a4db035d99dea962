"""Files: paths that hold the window, globs, layouts that differ, files that are broken or not there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from checks.profile import Profile
from checks.question import Categories, Population, Watermark
from checks.window import Window
from monitor.measuring.measure import measure, reading
from monitor.sources.base import NoData, Place, SourceError
from monitor.sources.files import Files

DAY = Window(datetime(2024, 3, 5, tzinfo=UTC), datetime(2024, 3, 6, tzinfo=UTC))


def write(path: Path, sql: str) -> Path:
    import duckdb

    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({sql}) TO '{path}'")
    return path


def read(table: Any, window: Window = DAY, **more: Any) -> Profile:
    with reading(Files(), Place(table=str(table), **more), window, timedelta(seconds=10)) as opened:
        return measure(opened, {Population(): [Categories(c) for c in opened.schema] + [Watermark()]}, {})


def fault(table: Any, **more: Any) -> str:
    with pytest.raises(SourceError) as error:
        read(table, **more)
    return str(error.value)


def test_a_path_with_fields_is_the_windows_file_as_a_whole(tmp_path: Path) -> None:
    write(tmp_path / "2024-03-05.parquet", "SELECT 1 AS x UNION ALL SELECT 2")
    write(tmp_path / "2024-03-06.parquet", "SELECT 'text' AS x")
    path = tmp_path / "{start:%Y-%m-%d}.parquet"
    assert read(path).rows == 2
    assert read(path, Window(DAY.end, DAY.end + timedelta(days=1))).schema == {"x": "string"}


def test_fields_are_times_of_the_datasets_zone(tmp_path: Path) -> None:
    write(tmp_path / "05T00" / "06T00.parquet", "SELECT 1 AS x")
    berlin = Window(datetime(2024, 3, 4, 23, tzinfo=UTC), datetime(2024, 3, 5, 23, tzinfo=UTC), "Europe/Berlin")
    assert read(tmp_path / "{start:%dT%H}" / "{end:%dT%H}.parquet", berlin, timezone="Europe/Berlin").rows == 1


def test_a_path_with_fields_may_be_a_glob(tmp_path: Path) -> None:
    for part in range(3):
        write(tmp_path / "2024-03-05" / f"{part}.parquet", f"SELECT {part} AS x")
    assert read(tmp_path / "{start:%Y-%m-%d}" / "*.parquet").rows == 3


def test_a_missing_file_is_no_data(tmp_path: Path) -> None:
    write(tmp_path / "2024-03-04.parquet", "SELECT 1 AS x")
    with pytest.raises(NoData, match=r"2024-03-05\.parquet"):
        read(tmp_path / "{start:%Y-%m-%d}.parquet")


def test_a_missing_folder_and_a_name_that_never_was_are_errors(tmp_path: Path) -> None:
    assert "there is no folder" in fault(tmp_path / "no" / "{start:%Y-%m-%d}.parquet")
    assert "none ever: nothing in" in fault(tmp_path / "{start:%Y-%m-%d}.parquet")
    assert "there is no folder" in fault(tmp_path / "no" / "*.parquet")
    assert "nothing in" in fault(tmp_path / "*.parquet")
    assert "is a folder; name its files" in fault(tmp_path)


def test_an_unknown_ending_and_mixed_formats_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.xls").write_text("x")
    assert "ending" in fault(tmp_path / "a.xls")
    write(tmp_path / "m" / "a.csv", "SELECT 1 AS x")
    write(tmp_path / "m" / "b.parquet", "SELECT 1 AS x")
    assert "different formats" in fault(tmp_path / "m" / "*")


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_every_format_is_read_and_filtered_by_its_time_column(tmp_path: Path, ending: str) -> None:
    sql = "SELECT i AS x, TIMESTAMP '2024-03-04 23:00:00' + INTERVAL (i) HOUR AS at FROM range(30) r(i)"
    profile = read(write(tmp_path / f"a.{ending}", sql), time_column="at")
    assert profile.rows == 24
    watermark = profile.answers()["watermark"]
    assert watermark.value == datetime(2024, 3, 5, 23, tzinfo=UTC).timestamp()  # type: ignore[union-attr]


def test_a_column_that_changed_its_type_between_files_is_told_with_both(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", "SELECT 1::BIGINT AS x, 'k' AS y")
    write(tmp_path / "b.parquet", "SELECT 'one' AS x, 'k' AS y")
    text = fault(tmp_path / "*.parquet")
    assert "column x is BIGINT" in text
    assert "VARCHAR" in text
    assert "a.parquet" in text
    assert "b.parquet" in text


def test_files_with_more_columns_than_others_are_read_together(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", "SELECT 1 AS x")
    write(tmp_path / "b.parquet", "SELECT 2 AS x, 'k' AS y")
    answers = read(tmp_path / "*.parquet").answers()
    assert answers["categories(y)"].missing == 1  # type: ignore[union-attr]


def test_a_csv_column_without_values_in_one_file_keeps_the_others_type(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2024-03-05\n2,2024-03-05\n")
    (tmp_path / "b.csv").write_text("x,y\n,2024-03-05\n,2024-03-05\n")
    (tmp_path / "c.csv").write_text("x,y\n1.5,2024-03-05\n")
    profile = read(tmp_path / "*.csv")
    assert profile.schema == {"x": "float64", "y": "date"}
    assert profile.rows == 5


def test_a_json_column_without_values_in_one_file_keeps_the_others_type(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"x": 1, "y": "a"}\n{"x": 2, "y": "b"}\n')
    (tmp_path / "b.json").write_text('{"x": null, "y": "a"}\n')
    profile = read(tmp_path / "*.json")
    assert profile.schema["x"] == "int64"
    assert profile.rows == 3


def test_a_csv_whose_files_disagree_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n2\n")
    (tmp_path / "b.csv").write_text("x\none\ntwo\n")
    assert "column x is" in fault(tmp_path / "*.csv")


def test_a_corrupt_file_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", "SELECT 1 AS x")
    whole = write(tmp_path / "b.parquet", "SELECT i AS x FROM range(1000) r(i)").read_bytes()
    (tmp_path / "b.parquet").write_bytes(whole[: len(whole) // 2])
    text = fault(tmp_path / "*.parquet")
    assert "b.parquet cannot be read" in text


def test_a_name_with_quotes_and_brackets_is_read(tmp_path: Path) -> None:
    file = tmp_path / "it's [1].csv"
    file.write_text("x\n1\n")
    assert read(file).rows == 1


@pytest.mark.parametrize(("date", "hours"), [("2024-03-31", 23), ("2024-10-27", 25)])
def test_a_day_of_the_clock_change_has_its_own_length(tmp_path: Path, date: str, hours: int) -> None:
    import duckdb

    zone = ZoneInfo("Europe/Berlin")
    start = datetime.fromisoformat(date).replace(tzinfo=zone)
    end = (start.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=zone)
    window = Window(start, end, "Europe/Berlin")
    assert window.length == timedelta(hours=hours)
    midnight = f"TIMESTAMPTZ '{date} 00:00:00+00'"
    hours_around = f"range({midnight} - INTERVAL 3 DAY, {midnight} + INTERVAL 3 DAY, INTERVAL 1 HOUR)"
    said = "strftime(t, '%Y-%m-%dT%H:%M:%SZ')"
    file = tmp_path / "a.parquet"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        sql = f"SELECT t AS instant, timezone('Europe/Berlin', t) AS wall, {said} AS said FROM {hours_around} r(t)"
        connection.execute(f"COPY ({sql}) TO '{file}'")
    rows = {c: read(file, window, time_column=c, timezone="Europe/Berlin").rows for c in ("instant", "wall", "said")}
    assert rows == {"instant": hours, "wall": hours, "said": hours}


def test_no_progress_bar_gets_among_the_facts_on_standard_output() -> None:
    source = Files()
    with source.connect(timedelta(seconds=10)) as connection:
        assert source.run(connection, "SELECT current_setting('enable_progress_bar')") == [(False,)]
