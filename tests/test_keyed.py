"""The rows of the keys with the smallest hashes: how they are picked, kept and judged from files to verdicts."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from checks.keyed import Keyed
from checks.profile import Broken, Profile
from checks.question import Keys, Population
from checks.result import Result
from checks.unique import Unique
from checks.window import Window
from monitor import worker
from monitor.dataset import Dataset
from monitor.job import Job
from monitor.measuring.measure import measure, reading
from monitor.sources.base import Place
from monitor.sources.files import Files

FIRST = datetime(2024, 3, 5, tzinfo=UTC)
DAY = timedelta(days=1)


def window(number: int) -> Window:
    return Window(FIRST + number * DAY, FIRST + (number + 1) * DAY)


def picked(sql: str, question: Keys, by: str | None = None) -> Any:
    with reading(Files(), Place(query=sql), window(0), timedelta(seconds=20)) as opened:
        profile = measure(opened, {Population(by=by): [question]}, {})
    return next(answers[question.key] for answers in profile.parts.values() if question.key in answers)


def hashes(*keys: object) -> tuple[str, ...]:
    return tuple(sorted(hashlib.md5(str(key).encode(), usedforsecurity=False).hexdigest()[:16] for key in keys))


def test_those_with_the_smallest_hashes_are_picked_with_their_values() -> None:
    found = picked("SELECT i AS id, i * 10 AS x FROM range(1000) r(i)", Keys(("id",), ("x",), most=50))
    by_hash = {one: n for n in range(1000) for one in hashes(n)}
    assert found.keys == hashes(*range(1000))[:50]
    assert found.values["x"].tolist() == [10.0 * by_hash[key] for key in found.keys]
    assert found.full


def test_all_are_there_where_they_are_few() -> None:
    found = picked("SELECT i AS id, i * 10 AS x FROM range(21) r(i)", Keys(("id",), ("x",)))
    assert (found.keys, found.full) == (hashes(*range(21)), False)


def test_keys_of_several_rows_and_missing_ones_are_left_out() -> None:
    sql = "SELECT * FROM (VALUES (1, 'a', 1), (1, 'b', 2), (1, 'b', 3), (2, NULL, 4), (NULL, 'a', 5)) t(n, word, x)"
    found = picked(sql, Keys(("n", "word"), ("x",)))
    assert found == Keyed(hashes("1|a"), {"x": np.array([1.0])})


def test_numbers_booleans_texts_and_what_is_missing() -> None:
    sql = "SELECT 1 AS id, 1.5::DECIMAL(9,2) AS d, true AS b, 'a' AS t, NULL::INT AS n, 'NaN'::DOUBLE AS f, '1' AS u"
    [values] = zip(*picked(sql, Keys(("id",), ("d", "b", "t", "n", "f", "u"))).values.values(), strict=True)
    assert values[:2] == (1.5, 1.0)
    assert np.isnan(values[3:5]).all()
    assert len({values[2], values[5], 1.0}) == 3, "a text is neither another text nor the number in it"


def test_an_empty_window_has_no_keys() -> None:
    assert picked("SELECT 1 AS id, 2 AS x WHERE false", Keys(("id",), ("x",))) == Keyed((), {"x": np.zeros(0)})


def test_they_are_not_asked_per_segment() -> None:
    assert isinstance(picked("SELECT 1 AS id, 'a' AS s", Keys(("id",), ()), by="s"), Broken)


def test_a_profile_keeps_them_and_a_merged_one_has_none() -> None:
    found = picked("SELECT i AS id, CASE WHEN i > 5 THEN i / 7 END AS x FROM range(30) r(i)", Keys(("id",), ("x",), most=20))
    profile = Profile({}, 30, {("", ""): {"keys(id)": found}})
    again = Profile.from_bytes(profile.to_bytes())
    assert again == profile
    assert again.answers() != {"keys(id)": Keyed(found.keys, {"x": np.zeros(20)}, full=True)}
    assert profile.plus(again).answers() == {}


def written(folder: Path, shift: int) -> Dataset:
    """A file per day of 21 shops, whose numbers go on by `shift` from day to day."""
    import duckdb

    for day in range(12):
        sold = f"1000 * i + {day} * 10 + i * {day} % 7"
        rows = f"SELECT i + {shift * day} AS shop, {sold} AS sold, 'city ' || i AS city FROM range(21) r(i)"
        duckdb.sql(f"COPY ({rows}) TO '{folder}/{FIRST + day * DAY:%Y-%m-%d}.parquet'")
    return Dataset(name="shops", table=f"{folder}/{{start:%Y-%m-%d}}.parquet", checks=(Unique(columns=("shop",)),))


def verdicts(dataset: Dataset) -> tuple[list[Result], bool]:
    """Of the last day, on `changes`; and whether keys were asked for."""
    stored: list[tuple[datetime, datetime, bytes]] = []
    for day in range(12):
        measured = worker.measure_window(Job(dataset, Files(), window(day), window(day).end, stored))
        assert measured.profile is not None
        stored.append((window(day).start, window(day).end, measured.profile))
    asked = "keys(shop)" in Profile.from_bytes(stored[-1][2]).answers()
    return [result for result in measured.results if result.kind == "changes"], asked


@pytest.mark.parametrize(("shift", "asked"), [(0, True), (100, False)])
def test_from_files_to_verdicts(tmp_path: Path, shift: int, asked: bool) -> None:
    results, was_asked = verdicts(written(tmp_path, shift))
    assert was_asked is asked
    assert {r.check: str(r.status) for r in results} == (
        {"changes": "passed", "changes(sold)": "passed", "changes(city)": "passed"} if asked else {}
    )
