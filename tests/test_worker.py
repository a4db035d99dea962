"""A window measured and judged in a worker, on a real file."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from checks.result import Result, Status
from checks.window import Window
from monitor.dataset import Dataset
from monitor.job import Job
from monitor.kinds import check_kinds
from monitor.sources.files import Files
from monitor.worker import measure_window

WINDOW = Window(datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))


def results(folder: Path, *checks: dict[str, Any], **more: Any) -> list[Result]:
    (folder / "2026-11-22.csv").write_text("country,paid\n" + "DE,1\n" * 30 + "AT,0\n" * 10)
    made = [check_kinds()[c["kind"]].model_validate({k: v for k, v in c.items() if k != "kind"}) for c in checks]
    dataset = Dataset(name="orders", table=f"{folder}/{{start:%Y-%m-%d}}.csv", auto=False, checks=tuple(made), **more)
    return list(measure_window(Job(dataset, Files(url=SecretStr("")), WINDOW, WINDOW.end)).results)


def test_rows_are_counted_where_a_check_asks_nothing_else(tmp_path: Path) -> None:
    [paid] = results(tmp_path, {"kind": "row_count", "where": "paid = 1", "at_least": 1})
    assert (paid.status, paid.value) == (Status.PASSED, 30.0)


def test_rows_are_counted_per_segment(tmp_path: Path) -> None:
    found = results(tmp_path, {"kind": "row_count", "at_least": 20, "segments": ["country"]})
    assert {r.segment: (r.status, r.value) for r in found} == {
        None: (Status.PASSED, 40.0),
        "country=DE": (Status.PASSED, 30.0),
        "country=AT": (Status.FAILED, 10.0),
    }


def test_a_where_that_does_not_hold_water_is_errored_not_zero(tmp_path: Path) -> None:
    [wrong] = results(tmp_path, {"kind": "row_count", "where": "nonsense = 1", "at_most": 10})
    assert wrong.status is Status.ERRORED
    assert "nonsense" in wrong.message


def test_a_segment_column_that_is_not_there_is_told_once(tmp_path: Path) -> None:
    checks = ({"kind": "row_count", "at_least": 1}, {"kind": "missing", "column": "paid", "at_most": 0})
    found = results(tmp_path, *checks, segments=("contry",))
    [told] = [r for r in found if r.status is Status.ERRORED]
    assert told.message == "segments: there is no column contry (there are: country, paid)"


def test_values_of_masked_columns_are_neither_in_complaints_nor_in_segments(tmp_path: Path) -> None:
    checks = ({"kind": "mean", "column": "country", "at_most": 1}, {"kind": "row_count", "at_least": 1, "segments": ["country"]})
    found = results(tmp_path, *checks, mask=("country",))
    [mean] = [r for r in found if r.kind == "mean"]
    assert mean.status is Status.ERRORED
    said = " ".join(f"{r.message} {r.segment}" for r in found)
    assert "DE" not in said
    assert "country=#" in said


def sampled(folder: Path, rows: int, *checks: dict[str, Any], sample: int = 2000) -> dict[str, Result]:
    """The verdicts on a window of so many rows, each tenth without a value, of which about `sample` are measured."""
    import duckdb

    duckdb.execute(f"COPY (SELECT NULLIF(i % 10, 0) AS x FROM range({rows}) t(i)) TO '{folder}/2026-11-22.parquet'")
    made = [check_kinds()[c["kind"]].model_validate({k: v for k, v in c.items() if k != "kind"}) for c in checks]
    table = f"{folder}/{{start:%Y-%m-%d}}.parquet"
    dataset = Dataset(name="orders", table=table, auto=False, checks=tuple(made), sample=sample)
    measured = measure_window(Job(dataset, Files(url=SecretStr("")), WINDOW, WINDOW.end))
    assert measured.rows == rows
    return {result.kind: result for result in measured.results}


def test_every_verdict_on_a_sample_says_so_and_the_rows_are_all_counted(tmp_path: Path) -> None:
    checks = (
        {"kind": "row_count", "at_least": 1},
        {"kind": "missing", "column": "x", "at_most": 0.5},
        {"kind": "total", "column": "x", "at_least": 1},
        {"kind": "mean", "column": "x", "at_most": 100},
    )
    found = sampled(tmp_path, 100_000, *checks)
    assert found["row_count"].value == 100_000
    assert "sample" not in found["row_count"].message
    for kind in ("missing", "total", "mean"):
        assert re.search(r"on a sample of [12].\d{3} of 100.000 rows", found[kind].message), found[kind].message
        assert (found[kind].details or {})["sample"][1] == 100_000
    assert 0.07 < (found["missing"].value or 0) < 0.13
    # 450,000 in all; of about 2,000 rows of 0 to 9.
    assert 400_000 < (found["total"].value or 0) < 500_000
    assert 4.5 < (found["mean"].value or 0) < 5.5


def test_a_window_that_is_small_enough_is_measured_whole(tmp_path: Path) -> None:
    found = sampled(tmp_path, 1500, {"kind": "missing", "column": "x", "at_most": 0.5})
    assert found["missing"].value == 0.1
    assert "sample" not in found["missing"].message
