"""The detection benchmark: its own arithmetic against plain counting, and a slice of a real table small enough for every day."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from benchmarks import detected, detection
from monitor import demo

FIRST = date(2013, 4, 1)
WARM, DAYS = 36, 44
WINDOW = ("dataset", "seq", "start", "period_days", "rows", "path", "phase", "kind", "time_column")
STREAM = ("stream", "seq", "start", "path", "phase", "kind", "episode", "fault", "magnitude", "columns")
TRUTH = ("episode", "dataset", "seq", "offset", "path", "persist", "fault", "magnitude", "size", "columns")


def said(*scores: tuple[str | None, float, str]) -> dict[str, Any]:
    results = [
        {"status": "passed" if severity == "" else "failed", "severity": severity or None, "score": score, "column": column}
        for column, score, severity in scores
    ]
    return {"dataset": "t-s0", "start": "2026-01-05T00:00:00+00:00", "state": "done", "results": results}


def test_a_window_is_told_by_its_worst_finding_of_the_level() -> None:
    window = said(("a", 1.5, "warning"), (None, 3.0, "critical"), ("b", 0.2, ""))
    assert detected.flagged(window, "warning") == (True, 3.0, "")
    assert detected.flagged(said(("a", 1.5, "warning")), "critical") == (False, 1.5, None)
    assert detected.flagged({**said(), "state": "errored"}, "critical") == (True, 0.0, None)


def test_the_area_is_how_often_a_faulty_window_is_above_a_healthy_one() -> None:
    chance = np.random.default_rng(3)
    healthy, faulty = chance.integers(0, 6, 40).astype(float), chance.integers(2, 9, 30).astype(float)
    by_hand = np.mean([(f > h) + (f == h) / 2 for f in faulty for h in healthy])
    assert detected.area(healthy, np.ones(40), faulty, np.ones(30)) == pytest.approx(by_hand)
    # A weight of two is the window twice.
    assert detected.area(healthy, np.full(40, 2.0), faulty, np.ones(30)) == pytest.approx(by_hand)
    assert np.isnan(detected.area(healthy, np.zeros(40), faulty, np.ones(30)))


def judged(path: str, told: bool, score: float, fault: str = "", table: str = "t") -> detected.Judged:
    return detected.Judged(table, path, bool(fault), fault, "small" if fault else "", told, score, told)


def test_every_kind_of_fault_and_every_table_weighs_the_same() -> None:
    ours = [judged("h", False, 0.1), *(judged(f"a{i}", True, 2.0, "a 1") for i in range(3)), judged("b", False, 0.2, "b")]
    theirs = [judged("H", True, 3.0, table="u"), judged("A", True, 2.0, "a 1", table="u")]
    found = detected.overall([*ours, *theirs])
    assert found["recall"][0] == pytest.approx((0.5 + 1.0) / 2)
    assert found["false alarm"][0] == pytest.approx(0.5)
    assert np.isnan(found["large"]).all()


def test_a_window_that_stands_in_several_streams_is_one() -> None:
    chance = np.random.default_rng(5)
    told = [bool(chance.random() < 0.2) for _ in range(50)]
    fault = judged("f", True, 9.0, "a")
    once = [judged(f"h{i}", one, float(one)) for i, one in enumerate(told)]
    _, low, high = detected.overall([*once, fault])["false alarm"]
    _, low_four, high_four = detected.overall([*once * 4, fault])["false alarm"]
    assert 0.12 < high - low < 0.35
    assert high_four - low_four > 0.8 * (high - low)


def test_the_interval_of_a_share_is_wilson_s() -> None:
    assert detected.wilson(8, 8) == pytest.approx((0.6756, 1.0), abs=1e-3)
    assert detected.wilson(0, 8) == pytest.approx((0.0, 0.3244), abs=1e-3)
    assert detected.wilson(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-3)


# A slice of a real table.


def kilometres(day: pa.Table) -> pa.Table:
    return day.set_column(day.schema.get_field_index("distance"), "distance", pc.multiply(day["distance"], 1.609))


def small(day: pa.Table) -> pa.Table:
    return day.set_column(day.schema.get_field_index("carrier"), "carrier", pc.utf8_lower(day["carrier"]))


def unknown(day: pa.Table) -> pa.Table:
    third = pa.array([place % 3 == 0 for place in range(day.num_rows)])
    column = pc.if_else(third, pa.scalar(None, pa.float64()), day["dep_delay"].cast(pa.float64()))
    return day.set_column(day.schema.get_field_index("dep_delay"), "dep_delay", column)


def few(day: pa.Table) -> pa.Table:
    return day.slice(0, day.num_rows // 10)


FAULTS = {
    38: (["distance"], kilometres),
    40: (["carrier"], small),
    42: (["dep_delay"], unknown),
    # What is left are the rows of the morning.
    43: (["<table>", "time_hour"], few),
}
NAMES = [spoil.__name__ for _, spoil in FAULTS.values()]
Written = dict[str, list[dict[str, object]]]


def days() -> Iterator[pa.Table]:
    year = demo._moved(demo._read(demo.source_file()), timedelta(0))
    for number in range(DAYS):
        day = year.filter(pc.equal(year["day"], FIRST + timedelta(days=number)))
        yield day.select(["carrier", "origin", "distance", "dep_delay", "time_hour"])


def write(folder: Path, name: str, columns: Sequence[str], rows: Sequence[dict[str, object]]) -> None:
    with (folder / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four quiet weeks and a few days more, four of them with a fault; and one fault that stays for a week."""
    folder = tmp_path_factory.mktemp("bench")
    found: Written = {"windows": [], "streams": [], "truth": []}
    for number, day in enumerate(days()):
        put(folder, number, day, found)
    write(folder, "windows.csv", WINDOW, found["windows"])
    write(folder, "streams.csv", STREAM, found["streams"])
    write(folder, "truth.csv", TRUTH, found["truth"])
    return folder


def put(folder: Path, number: int, day: pa.Table, found: Written) -> None:
    start, path = (FIRST + timedelta(days=number)).isoformat(), f"clean{number}.parquet"
    phase = "warmup" if number < WARM else "test"
    pq.write_table(day, folder / path)
    window = {"dataset": "flights", "seq": number, "start": start, "rows": day.num_rows, "path": path, "phase": phase}
    found["windows"].append({**window, "period_days": 1, "kind": "clean", "time_column": "time_hour"})
    row = {"stream": "flights-s0", "seq": number, "start": start, "path": path, "phase": phase, "kind": "clean", "columns": "[]"}
    about = {"dataset": "flights", "seq": number, "offset": 0, "size": "large"}
    if number in FAULTS:
        columns, spoil = FAULTS[number]
        pq.write_table(spoil(day), folder / f"fault{number}.parquet")
        row |= {"path": f"fault{number}.parquet", "kind": "fault", "episode": f"e-{number}", "columns": json.dumps(columns)}
        row |= {"fault": spoil.__name__, "magnitude": ""}
        truth = {"episode": f"e-{number}", "path": row["path"], "persist": False, "fault": spoil.__name__, "magnitude": ""}
        found["truth"].append({**about, **truth, "columns": row["columns"]})
    if number >= DAYS - detection.STAY:
        pq.write_table(kilometres(day), folder / f"stays{number}.parquet")
        truth = {"episode": "flights-p0", "path": f"stays{number}.parquet", "persist": True, "fault": "unit", "magnitude": "stays"}
        found["truth"].append({**about, **truth, "columns": '["distance"]'})
    found["streams"].append(row)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is measured once is kept here for the other run."""
    return tmp_path_factory.mktemp("out")


def test_a_slice_of_the_benchmark(data: Path, out: Path) -> None:
    detection.main(data, out, persist=False, wanted=set())
    windows = json.loads((out / "verdicts.json").read_text())["windows"]
    assert len(windows) == DAYS - WARM
    for level, wanted in {"warning": set(NAMES), "critical": set(NAMES) - {"unknown"}}.items():
        found = detected.judged(data, windows, level)
        assert {w.fault for w in found if w.faulty} == set(NAMES)
        assert {w.fault for w in found if w.faulty and w.flagged and w.named} >= wanted
        assert [w.path for w in found if w.flagged and not w.faulty] == []
    told = list(detected.told(data, [out / "verdicts.json"], persist=False))
    assert told[2].startswith("| all | warning | 8 on 8 windows | 0.000 (0.000-0.000) | 1.000 ")
    assert "| kilometres | large | 1 | 1.00 (0.21-1.00) | 1.00 (0.21-1.00) |" in told


def test_a_fault_that_stays_is_found_on_its_first_day(data: Path, out: Path) -> None:
    detection.main(data, out, persist=True, wanted=set())
    told = list(detected.told(data, [out / "verdicts.json"], persist=True))
    assert told[2:4] == [
        "| all | warning | 1 of 1 (0.21-1.00) | 0 |",
        "| unit stays | warning | 1 of 1 (0.21-1.00) | 0 |",
    ]
