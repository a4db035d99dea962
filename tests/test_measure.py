"""Measuring one window: segments, conditions, hostile columns, samples, the user's own SQL."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from checks.profile import Broken, Counts, Histogram, Number, Profile, Rows
from checks.question import Categories, Distribution, Duplicates, Population, Query, Question, Sample, Scalar, Watermark
from checks.window import Window
from monitor.measuring.measure import measure, pinned, reading
from monitor.sources.base import Place
from monitor.sources.files import Files

DAY = Window(datetime(2024, 3, 5, tzinfo=UTC), datetime(2024, 3, 6, tzinfo=UTC))


def measured(sql: str, *asked: Question, by: str | None = None, **more: Any) -> Profile:
    """The profile of what a DuckDB query gives."""
    place = Place(query=sql, time_column=more.pop("time_column", None))
    with reading(Files(), place, DAY, timedelta(seconds=20)) as opened:
        return measure(opened, {Population(by=by): asked}, more.pop("grids", {}), **more)


def answers(sql: str, *asked: Question, **more: Any) -> dict[str, Any]:
    return dict(measured(sql, *asked, **more).answers())


def test_nothing_asked_is_rows_and_schema() -> None:
    profile = measured("SELECT i AS x, 'a' AS y FROM range(7) r(i)")
    assert profile.rows == 7
    assert profile.schema == {"x": "int64", "y": "string"}
    assert profile.answers() == {"rows": Number(7, "add")}


def test_a_column_that_is_all_missing_has_an_empty_distribution() -> None:
    found = answers("SELECT NULL::DOUBLE AS x FROM range(5)", Distribution("x"), Categories("x"))
    assert found["distribution(x)"].missing == 5
    assert found["distribution(x)"].finite == 0
    assert found["categories(x)"] == Counts({}, distinct=0, missing=5)


def test_a_constant_column_lies_in_one_bucket() -> None:
    found = answers("SELECT 5.5::DOUBLE AS x FROM range(100)", Distribution("x"))["distribution(x)"]
    assert found.buckets == {0: (100, 550.0)}


def test_an_infinite_column_is_counted_apart() -> None:
    sql = "SELECT CASE WHEN i % 2 = 0 THEN 'inf' ELSE '-inf' END::DOUBLE AS x FROM range(10) r(i)"
    found = answers(sql, Distribution("x"), Categories("x"))
    assert (found["distribution(x)"].positive_infinity, found["distribution(x)"].negative_infinity) == (5, 5)
    assert found["categories(x)"].counts == {"inf": 5, "-inf": 5}


def test_a_number_column_that_became_text_breaks_its_distribution_only() -> None:
    sql = "SELECT 'n/a' AS x, i AS y FROM range(10) r(i)"
    found = answers(sql, Distribution("x"), Distribution("y"), Categories("x"))
    assert isinstance(found["distribution(x)"], Broken)
    assert found["distribution(y)"].finite == 10
    assert found["categories(x)"].counts == {"n/a": 10}


def test_many_distinct_texts_stay_bounded() -> None:
    sql = "SELECT CASE WHEN i < 1000 THEN 'often' ELSE 'value ' || i END AS x FROM range(200000) r(i)"
    found = answers(sql, Categories("x", cap=100))["categories(x)"]
    assert len(found.counts) == 100
    assert found.counts["often"] == 1000
    assert found.distinct == 199_001
    assert found.total == 200_000


def test_ties_are_broken_by_value() -> None:
    found = answers("SELECT chr(97 + i::INT) AS x FROM range(26) r(i)", Categories("x", cap=3))["categories(x)"]
    assert found == Counts({"a": 1, "b": 1, "c": 1}, other=23, distinct=26)


def test_nul_bytes_and_long_texts_are_harmless() -> None:
    sql = "SELECT 'a' || chr(0) || 'b' AS x, repeat('ü', 100000) AS y FROM range(3)"
    profile = measured(sql, Categories("x"), Categories("y"), Sample())
    found = profile.answers()
    assert found["categories(x)"].counts == {"a\\x00b": 3}  # type: ignore[union-attr]
    assert found["categories(y)"].counts == {"ü" * 200: 3}  # type: ignore[union-attr]
    assert Profile.from_bytes(profile.to_bytes()).answers()["categories(x)"] == found["categories(x)"]


def test_texts_that_differ_only_after_the_cut_are_counted_together() -> None:
    found = answers("SELECT repeat('x', 300) || i AS x FROM range(3) r(i)", Categories("x"))["categories(x)"]
    assert found == Counts({"x" * 200: 3}, distinct=3)


def test_times_that_pandas_cannot_hold_break_nothing() -> None:
    sql = (
        "SELECT * FROM (VALUES (TIMESTAMP '294246-01-01', DATE '5877642-06-25' , TIMESTAMPTZ '2024-03-05 00:00:00+02'), "
        "('infinity', '-infinity', 'infinity'), (NULL, NULL, NULL), (TIMESTAMP '0044-03-15 (BC)', NULL, NULL)) t(a, b, c)"
    )
    whole = answers(sql, Categories("a"), Categories("b"), Categories("c"), Sample())
    assert not [answer for answer in whole.values() if isinstance(answer, Broken)]
    assert len(measured(sql, Categories("a"), by="c").segments(None, "c")) == 3
    assert whole["categories(a)"].distinct == 3
    assert len(whole["sample(window,5000)"].frame) == 4


def test_every_type_duckdb_has_can_be_counted_or_says_why_not() -> None:
    profile = measured("SELECT * FROM test_all_types()")
    asked = [Categories(column) for column in profile.schema]
    found = answers("SELECT * FROM test_all_types()", *asked)
    broken = {key: answer.reason for key, answer in found.items() if isinstance(answer, Broken)}
    assert not broken


def test_booleans_are_true_and_false() -> None:
    found = answers("SELECT i % 3 = 0 AS x FROM range(9) r(i)", Categories("x"))["categories(x)"]
    assert found.counts == {"false": 6, "true": 3}


def test_duplicates_are_the_rows_beyond_the_first_per_key() -> None:
    sql = "SELECT * FROM (VALUES (1, 'a'), (1, 'a'), (1, 'b'), (1, 'a'), (2, NULL), (2, NULL)) t(x, y)"
    found = answers(sql, Duplicates(("x",)), Duplicates(("x", "y")))
    assert found["duplicates(x)"] == Number(4)
    assert found["duplicates(x,y)"] == Number(2)


SEGMENTED = "SELECT i AS x, CASE WHEN i % 10 = 0 THEN NULL WHEN i % 3 = 0 THEN 'DE' ELSE 'FR' END AS land FROM range(100) r(i)"


def test_segments_add_up_to_the_whole() -> None:
    asked: list[Question] = [
        Distribution("x"),
        Categories("x", cap=10),
        Duplicates(("x",)),
        Scalar("top", lambda t: t.x.max(), "max"),
    ]
    with reading(Files(), Place(query=SEGMENTED), DAY, timedelta(seconds=20)) as opened:
        profile = measure(opened, {Population(): asked, Population(by="land"): asked}, {})
    assert profile.segments(None, "land") == ["land=(missing)", "land=DE", "land=FR"]
    parts = [profile.answers(None, segment) for segment in profile.segments(None, "land")]
    assert [part["rows"].value for part in parts] == [10, 30, 60]  # type: ignore[union-attr]
    whole = profile.answers()["distribution(x)"]
    assert isinstance(whole, Histogram)
    added = parts[0]["distribution(x)"]
    for part in parts[1:]:
        added = added.plus(part["distribution(x)"])  # type: ignore[union-attr, arg-type]
    assert added.buckets == whole.buckets  # type: ignore[union-attr]
    assert [part["top"].value for part in parts] == [90, 99, 98]  # type: ignore[union-attr]
    assert [part["categories(x)"].distinct for part in parts] == [10, 30, 60]  # type: ignore[union-attr]
    assert all(len(part["categories(x)"].counts) == 10 for part in parts)  # type: ignore[union-attr]


def test_more_than_fifty_segments_are_the_largest_and_the_others() -> None:
    sql = "SELECT 's' || least(i % 80, i % 7 + 70) AS s, i AS x FROM range(8000) r(i)"
    profile = measured(sql, Distribution("x"), by="s")
    segments = profile.segments(None, "s")
    assert len(segments) == 51
    assert "s=(other)" in segments
    assert sum(profile.answers(None, s)["rows"].value for s in segments) == 8000  # type: ignore[union-attr, misc]


def test_what_is_not_asked_per_segment_says_so() -> None:
    profile = measured(SEGMENTED, Sample(), Watermark(), by="land")
    found = profile.answers(None, "land=DE")
    assert isinstance(found["sample(window,5000)"], Broken)
    assert found["watermark"] == Number(None, "max")


def test_a_pinned_grid_is_used_and_kept() -> None:
    sql = "SELECT i AS x FROM range(100) r(i)"
    first = measured(sql, Distribution("x"))
    second = measured("SELECT i + 1000 AS x FROM range(100) r(i)", Distribution("x"), grids=pinned([first]))
    assert second.answers()["distribution(x)"].grid == first.answers()["distribution(x)"].grid  # type: ignore[union-attr]


def test_a_column_that_is_nearly_always_missing_still_has_a_grid_of_its_own() -> None:
    sql = "SELECT CASE WHEN i % 90000 = 1 THEN 1e6 + i ELSE NULL END AS x FROM range(200000) r(i)"
    grid = answers(sql, Distribution("x"))["distribution(x)"].grid
    assert grid.center > 1e6


QUERY_PLACE = "SELECT i AS x, TIMESTAMP '2024-03-04' + INTERVAL (i) HOUR AS at FROM range(72) r(i)"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query("select sum(x) from {window} w"), 852),
        (Query("select count(*) from range(5) where timestamp '2024-03-05 01:00:00' between {start} and {end};"), 5),
        (Query("select * from {window} w where x > 40 -- bad rows", rows=True), 7),
        (Query("select avg(x) from {window} w where false"), None),
    ],
)
def test_a_query_sees_the_window_and_its_times(query: Query, expected: float | None) -> None:
    found = answers(QUERY_PLACE, query, time_column="at")
    assert found[query.key] == Number(expected)


def test_a_query_can_be_nothing_but_a_select(tmp_path: Path) -> None:
    query = Query(f"copy (select 1) to '{tmp_path}/written.csv'")
    assert isinstance(answers(QUERY_PLACE, query)[query.key], Broken)
    assert not (tmp_path / "written.csv").exists()


def test_a_sample_is_bounded_and_has_plain_types() -> None:
    sql = "SELECT i AS x, i / 3 AS y, i::DECIMAL(10,2) AS z, TIMESTAMP '2024-03-05' AS at, NULL::INT AS n FROM range(30000) r(i)"
    rows = answers(sql, Sample(rows=500))["sample(window,500)"]
    assert isinstance(rows, Rows)
    assert len(rows.frame) == 500
    assert [str(kind) for kind in rows.frame.dtypes[:3]] == ["int64", "float64", "float64"]
    assert rows.frame["x"].max() > 15_000, "rows are picked all over the window"
    assert str(rows.frame["at"].dtype).startswith("datetime64")
    assert rows.frame["n"].isna().all()


def test_a_sample_of_the_reference_comes_from_its_windows() -> None:
    windows = [Window(DAY.start + timedelta(days=d), DAY.end + timedelta(days=d)) for d in (-1, 1, 5)]
    found = answers(QUERY_PLACE, Sample("reference", 30), time_column="at", reference=windows)
    frame = found["sample(reference,30)"].frame
    assert set(frame["at"].dt.day) == {4, 6}
    assert len(frame) == 20
    alone = answers(QUERY_PLACE, Sample("reference", 30), time_column="at")["sample(reference,30)"]
    assert isinstance(alone, Broken)


def test_a_profile_survives_storing_and_merging() -> None:
    asked: list[Question] = [Distribution("x"), Categories("x"), Scalar("m", lambda t: t.x.sum(), "add")]
    profile = measured("SELECT 1e300 * (i - 50) AS x FROM range(100) r(i)", *asked)
    again = Profile.from_bytes(profile.to_bytes())
    assert again == profile
    both = again.plus(again).answers()["distribution(x)"]
    assert both.finite == 200  # type: ignore[union-attr]
    assert math.isfinite(both.mean())  # type: ignore[union-attr, arg-type]
