"""The simulated healthy tables: their profiles are those that the product measures, and their year is told as it came."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.healthy_tables import BEGIN, TIME, Table, holiday, month_end
from benchmarks.healthy_year import kept, report, sort, tables, year
from checks.histogram import Histogram
from checks.profile import Number, Profile
from monitor import special_days, worker
from monitor.job import Job
from monitor.sources.files import Files

DAY = timedelta(days=1)


def measured(made: Table, number: int, folder: Path, before: Profile | None) -> Profile:
    """A day's values as a Parquet file, measured by the product with the day before as its history."""
    columns = {name: pd.Series(values).mask(pd.Series(missing)) for name, (values, missing) in made.values(number).items()}
    frame = pd.DataFrame(columns)
    frame[TIME] = pd.to_datetime(frame[TIME], unit="s", utc=True)
    for column in made.columns:
        frame[column.name] = frame[column.name].astype(
            {"count": "Int64", "flag": "boolean"}.get(column.kind, frame[column.name].dtype)
        )
    (folder / made.name).mkdir(exist_ok=True)
    window = made.window(number)
    frame.to_parquet(folder / made.name / f"{window.start:%Y-%m-%d}.parquet", index=False)
    dataset = made.dataset.model_copy(update={"table": f"{folder}/{made.dataset.table}"})
    earlier = [(window.start - DAY, window.start, before.to_bytes())] if before else []
    found = worker.measure_window(Job(dataset, Files(), window, window.end, earlier))
    assert found.profile is not None, found.error
    return Profile.from_bytes(found.profile)


def test_a_simulated_profile_is_the_one_that_is_measured(tmp_path: Path) -> None:
    made, before = Table("t", 7, 5, rows=600), None
    for number in range(2):
        simulated, real = made.profile(number), measured(made, number, tmp_path, before)
        assert real.rows == simulated.rows
        ours, theirs = simulated.answers(), real.answers()
        assert ours.keys() == theirs.keys()
        for key, answer in theirs.items():
            mine = ours[key]
            if isinstance(answer, Histogram) and isinstance(mine, Histogram):
                assert (mine.missing, mine.low, mine.high, mine.grid) == (answer.missing, answer.low, answer.high, answer.grid), key
                assert {k: n for k, (n, _) in mine.buckets.items()} == {k: n for k, (n, _) in answer.buckets.items()}, key
            else:
                assert mine == answer, key
        before = real


def test_the_same_seed_is_the_same_table_and_another_is_not() -> None:
    ones = [Table("t", 4, seed).profile(3).answers()["distribution(c0)"] for seed in (1, 1, 2)]
    means = [sorted(one.buckets.items()) for one in ones if isinstance(one, Histogram)]
    assert means[0] == means[1] != means[2]


def test_the_calendar_has_holidays_and_month_ends() -> None:
    days = [BEGIN + n * DAY for n in range(365)]
    assert sum(map(month_end, days)) == 12
    assert sum(map(holiday, days)) == 11
    assert [sort(BEGIN), sort(BEGIN + 30 * DAY), sort(BEGIN + DAY)] == ["holiday", "month end", "other"]


def test_what_breaks_is_found_told_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Table.profile

    def halved(self: Table, number: int) -> Profile:
        profile = whole(self, number)
        return profile if number < 45 else Profile(profile.schema, 0, {("", ""): {"rows": Number(0, "add")}})

    monkeypatch.setattr(Table, "profile", halved)
    came = year(Table("t", 2, 1, rows=200), 47)
    assert came["pages"] >= 1
    assert "arrival" in came["incidents"]
    assert "row_count" in {f["kind"] for f in came["findings"] if f["critical"]}
    assert "row_count" in report([came])


def test_a_table_that_is_done_is_not_run_again(tmp_path: Path) -> None:
    [(made, days)] = tables(["2=1x3"], seed=1)
    first = kept(tmp_path, made, days)
    assert json.loads(first.read_text())["days"] == 3
    first.write_text(json.dumps({"known": True}))
    assert json.loads(kept(tmp_path, made, days).read_text()) == {"known": True}


def test_holidays_are_a_key_of_the_dataset_and_a_year_of_its_own(tmp_path: Path) -> None:
    [(plain, days)], [(named, _)] = (tables(["2=1x3"], 1, calendar) for calendar in (False, True))
    assert (plain.dataset.holidays, named.dataset.holidays) == ((), ("DE",))
    assert kept(tmp_path, plain, days) != kept(tmp_path, named, days)
    known = special_days.of(("DE",), [named.window(n) for n in range(365)])
    listed = {start for start, day in known.items() if day.kind == "holiday"}
    assert {day for day in (BEGIN + n * DAY for n in range(365)) if holiday(day)} - listed == {BEGIN + n * DAY for n in (357, 364)}
    assert all(map(holiday, listed))


def test_so_is_a_budget(tmp_path: Path) -> None:
    [(plain, days)], [(limited, _)] = (tables(["2=1x3"], 1, budget=budget) for budget in ("", "1 per month"))
    assert (plain.dataset.budget, str(limited.dataset.budget)) == (None, "1 per month")
    assert kept(tmp_path, plain, days) != kept(tmp_path, limited, days)


def test_the_widths_take_turns() -> None:
    assert [(made.width, days) for made, days in tables(["5=3", "50=1x9"], seed=1)] == [(50, 9), (5, 365), (5, 365), (5, 365)]


def test_findings_count_by_kind_and_sort_of_day() -> None:
    found = [
        ("2025-01-09", "numbers", False),
        ("2025-01-09", "numbers", True),
        ("2025-03-31", "numbers", False),
        ("2025-05-01", "mix", False),
    ]
    findings = [{"day": day, "kind": kind, "status": "failed", "critical": bad} for day, kind, bad in found]
    one = {"table": "t", "width": 5, "days": 365, "findings": findings, "incidents": ["drift"] * 6, "messages": 12, "pages": 3}
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in report([one]).splitlines()]
    assert lines[2] == ["5", "1", "365", "0.25", "0.08", "0.50", "1.00", "0.25", "0.50", "0.25"]
    assert lines[-2:] == [["numbers", "2", "1", "1", "1", "0", "2.92"], ["mix", "1", "0", "0", "0", "1", "0.00"]]
