"""The same keys in every window: a healthy snapshot is left alone for ninety days, one wrong value among 21 rows is found."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from checks.base import Past, Table, View
from checks.changes import Changes
from checks.keyed import Keyed
from checks.pending import judged
from checks.profile import Answer, Broken
from checks.recurring import Moves, recurs
from checks.result import Result, Severity, Status
from checks.unique import Unique
from checks.window import Window
from monitor import judging, worker
from monitor.dataset import Dataset
from monitor.earlier import Stored

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
SCHEMA = {"shop": "int64", "turnover": "float64", "rating": "float64", "area": "float64", "stock": "int64", "city": "string"}
COLUMNS = tuple(SCHEMA)[1:]
SHOPS, DAYS, JUDGED = 21, 130, 90
KEY = "keys(shop)"
Snapshot = dict[str, NDArray[np.float64]]


def window(day: int) -> Window:
    return Window(START + day * DAY, START + (day + 1) * DAY)


def digits(shop: float) -> str:
    return hashlib.md5(str(int(shop)).encode(), usedforsecurity=False).hexdigest()[:16]


def keyed(snapshot: Snapshot, most: int = 256) -> Keyed:
    hashes = [digits(shop) for shop in snapshot["shop"]]
    order = sorted(range(len(hashes)), key=hashes.__getitem__)
    return Keyed(tuple(hashes[n] for n in order[:most]), {c: snapshot[c][order[:most]] for c in COLUMNS}, len(order) > most)


@cache
def snapshots(shops: int, seed: int) -> list[Snapshot]:
    """A carried-on total, a rating that drifts, an area that is seldom corrected, a stock that is filled up, a city.

    Now and then one shop closes and another opens.
    """
    chance = np.random.default_rng(seed)
    size = chance.lognormal(5, 0.7, shops)
    now: Snapshot = {
        "shop": np.arange(shops, dtype=np.float64),
        "turnover": 100 * size,
        "rating": chance.uniform(2, 4, shops),
        "area": np.round(chance.lognormal(4, 0.5, shops)),
        "stock": np.round(3 * size),
        "city": chance.integers(0, 1000, shops).astype(float),
    }
    found = []
    for day in range(DAYS):
        now["turnover"] = now["turnover"] + (0.6 if day % 7 > 4 else 1.0) * size * chance.lognormal(0, 0.2, shops)
        now["rating"] = now["rating"] + chance.normal(0, 0.01, shops)
        corrected = chance.random(shops) < 0.005
        now["area"] = np.where(corrected, np.round(now["area"] * chance.uniform(0.8, 1.3, shops)), now["area"])
        now["stock"] = np.maximum(now["stock"] - chance.poisson(0.2 * size), 0)
        now["stock"] = np.where(now["stock"] < size, now["stock"] + np.round(3 * size), now["stock"])
        new = chance.random(shops) < 0.002
        now["shop"] = np.where(new, 10_000 + 1000 * day + np.arange(shops), now["shop"])
        found.append({column: values.copy() for column, values in now.items()})
    return found


def view(answers: Sequence[Keyed], now: Answer, **more: Any) -> View:
    history = [Past(window(day), SHOPS, {KEY: one}, SCHEMA) for day, one in enumerate(answers)]
    at = window(len(answers))
    return View(at, at.end, SHOPS, SCHEMA, {KEY: now}, history=history, **more)


def checks() -> list[Changes]:
    return [check for check in Changes.automatic(Table(SCHEMA, key=("shop",))) if isinstance(check, Changes)]


def told(answers: Sequence[Keyed], now: Keyed) -> dict[str | None, Result]:
    """The failed ones by their column."""
    seen = view(answers, now)
    return {r.column: r for r in judging.judged_together([(c, seen) for c in checks()]) if r.status is Status.FAILED}


def with_fault(change: Callable[[Snapshot, Snapshot], None], shops: int = SHOPS, seed: int = 1) -> dict[str | None, Result]:
    days = snapshots(shops, seed)
    now = {column: values.copy() for column, values in days[JUDGED].items()}
    change(now, days[JUDGED - 1])
    return told([keyed(one) for one in days[:JUDGED]], keyed(now))


@pytest.mark.parametrize("shops", [SHOPS, 400])
def test_a_healthy_snapshot_is_left_alone_for_ninety_days(shops: int) -> None:
    answers = [keyed(one) for one in snapshots(shops, 1)]
    for day in range(40, DAYS):
        assert not {c: r.message for c, r in told(answers[max(0, day - 90) : day], answers[day]).items()}, day


def times(column: str, factor: float) -> Callable[[Snapshot, Snapshot], None]:
    def change(now: Snapshot, _: Snapshot) -> None:
        now[column][3] *= factor

    return change


@pytest.mark.parametrize("shops", [SHOPS, 200])
@pytest.mark.parametrize("column", ["turnover", "rating", "area"])
@pytest.mark.parametrize("factor", [10.0, 0.1, -1.0])
def test_one_wrong_value_is_found_under_its_column(shops: int, column: str, factor: float) -> None:
    found = with_fault(times(column, factor), shops)
    assert set(found) == {column}
    assert found[column].severity is Severity.CRITICAL or column == "area"


def swapped(now: Snapshot, _: Snapshot) -> None:
    smallest, largest = now["turnover"].argmin(), now["turnover"].argmax()
    now["turnover"][[smallest, largest]] = now["turnover"][[largest, smallest]]


def stale(now: Snapshot, before: Snapshot) -> None:
    now["rating"] = before["rating"].copy()


def shifted(now: Snapshot, _: Snapshot) -> None:
    for column in ("turnover", "city"):
        now[column] = np.roll(now[column], 1)


@pytest.mark.parametrize(("fault", "columns"), [(swapped, {"turnover"}), (stale, {"rating"}), (shifted, {"turnover", "city"})])
def test_what_is_moved_between_keys_or_stands_still_is_found(
    fault: Callable[[Snapshot, Snapshot], None], columns: set[str]
) -> None:
    assert set(with_fault(fault)) == columns


def test_keys_that_are_all_new_are_found() -> None:
    def renumbered(now: Snapshot, _: Snapshot) -> None:
        now["shop"] = now["shop"] + 500_000

    found = with_fault(renumbered)
    assert set(found) == {None}
    assert "changes: the share of keys that came or went is 100 %" in found[None].message


def test_the_right_value_after_a_wrong_one_is_no_change() -> None:
    days = [{c: v.copy() for c, v in one.items()} for one in snapshots(SHOPS, 1)]
    for column in ("turnover", "area"):
        days[JUDGED - 1][column][3] *= 10
    answers = [keyed(one) for one in days]
    assert set(told(answers[: JUDGED - 1], answers[JUDGED - 1])) == {"turnover", "area"}
    assert set(told(answers[:JUDGED], answers[JUDGED])) == set()


def test_what_begins_anew_with_each_month_is_told_once() -> None:
    days, since = [{c: v.copy() for c, v in one.items()} for one in snapshots(SHOPS, 1)], 0
    for day in range(DAYS):
        since = day if window(day).local_start.day == 1 else since
        days[day]["turnover"] = snapshots(SHOPS, 1)[day]["turnover"] - snapshots(SHOPS, 1)[max(since - 1, 0)]["turnover"]
    answers = [keyed(one) for one in days]
    turns = [day for day in range(40, DAYS) if window(day).local_start.day == 1]
    found = [set(told(answers[max(0, day - 90) : day], answers[day])) for day in turns]
    assert len(turns) == 3
    assert found[1:] == [set(), set()]


def test_the_right_rows_after_wrong_ones_are_no_change() -> None:
    days = [{c: v.copy() for c, v in one.items()} for one in snapshots(SHOPS, 1)]
    right = keyed(days[JUDGED])
    for column, wrong in (("area", 1.6 * days[JUDGED - 1]["area"]), ("shop", 500_000 + days[JUDGED - 1]["shop"])):
        answers = [keyed(one) for one in days[: JUDGED - 1]]
        bad = keyed({**days[JUDGED - 1], column: wrong})
        assert told(answers, bad), column
        assert set(told([*answers, bad], right)) == set(), column


def test_a_first_change_of_what_never_changed_is_a_warning_at_most() -> None:
    days = [{**one, "area": snapshots(SHOPS, 1)[0]["area"]} for one in snapshots(SHOPS, 1)]
    wrong = {**days[JUDGED], "area": days[JUDGED]["area"] * np.where(np.arange(SHOPS) == 3, 100.0, 1.0)}
    found = told([keyed(one) for one in days[:JUDGED]], keyed(wrong))["area"]
    assert (found.severity, found.score) == (Severity.WARNING, 2.0)
    assert "usual: changes in 0 of 89 windows" in found.message
    corrected = {**days[JUDGED], "area": days[JUDGED]["area"] * np.where(np.arange(SHOPS) == 3, 1.2, 1.0)}
    assert not told([keyed(one) for one in days[:JUDGED]], keyed(corrected))


def test_where_keys_do_not_recur_there_is_nothing_to_judge() -> None:
    answers = [keyed({**one, "shop": one["shop"] + 1000 * day}) for day, one in enumerate(snapshots(SHOPS, 1)[:60])]
    for check in checks():
        [result] = judged(check, view(answers[:-1], answers[-1]))
        assert result.status is Status.SKIPPED
        assert "not known to recur" in result.message


def test_an_answer_that_broke_is_told_and_one_that_was_never_asked_is_not() -> None:
    answers = [keyed(one) for one in snapshots(SHOPS, 1)[:50]]
    [check] = [c for c in checks() if c.column == "area"]
    assert judged(check, view(answers, Broken("no such function")))[0].status is Status.ERRORED
    seen = view(answers, answers[-1])
    assert judged(check, View(seen.window, seen.now, SHOPS, SCHEMA, {}, history=seen.history))[0].status is Status.SKIPPED


# What it is made of.


def few(**values: list[float]) -> Keyed:
    shops = values.pop("shop")
    return keyed({column: np.array(values.get(column, shops), dtype=np.float64) for column in COLUMNS} | {"shop": np.array(shops)})


def test_changes_are_those_of_keys_that_both_windows_have() -> None:
    first = few(shop=[1, 2, 3, 4], area=[10, 20, 30, np.nan])
    then = few(shop=[2, 3, 4, 5], area=[20, 15, 40, 50])
    moves = Moves.of([first, then], "area")
    assert (moves.rows.tolist(), moves.moved.tolist(), moves.fell.sum()) == ([2.0], [1.0], 1)
    assert moves.sizes.max() == pytest.approx(abs(np.arcsinh(15 / 15) - np.arcsinh(30 / 15)))


def test_the_share_in_common_is_that_of_what_both_samples_would_show() -> None:
    shops = np.arange(4000, dtype=np.float64)
    plain: Snapshot = dict.fromkeys(COLUMNS, shops)
    grown = np.arange(4400, dtype=np.float64)
    one, more = keyed({**plain, "shop": shops}), keyed({**dict.fromkeys(COLUMNS, grown), "shop": grown})
    assert one.common(one) == 1.0
    assert one.common(more) == pytest.approx(4000 / 4400, abs=0.06)
    assert one.common(Keyed((), {})) == 0.0


def test_whether_keys_recur_is_known_from_four_windows_on() -> None:
    days = [keyed(one) for one in snapshots(SHOPS, 1)[:6]]
    others = [keyed({**one, "shop": one["shop"] + 1000 * day}) for day, one in enumerate(snapshots(SHOPS, 1)[:6])]
    assert recurs(days[:3]) is None
    assert recurs(days[:4]) is True
    assert recurs([None, Broken("no"), *others]) is False
    assert recurs([*days, others[-1]]) is True


# Who gets it.


def chosen(history: Sequence[Keyed], **more: Any) -> list[str]:
    unique = {"columns": ("day", "shop"), **more.pop("unique", {})}
    dataset = Dataset(name="shops", table="shops/{start:%Y-%m-%d}.parquet", time_column="day", checks=(Unique(**unique),), **more)
    schema = {"day": "date", **SCHEMA}
    from checks.profile import Profile

    stored = [Stored(window(n), Profile(schema, SHOPS, {("", ""): {KEY: one}})) for n, one in enumerate(history)]
    return [check.name for check in worker.chosen(dataset, schema, stored) if check.kind == "changes"]


def test_a_table_with_a_key_gets_it_for_every_column() -> None:
    assert chosen([]) == ["changes", *(f"changes({column})" for column in COLUMNS)]
    assert chosen([], exclude=("area",)) == ["changes", *(f"changes({column})" for column in COLUMNS if column != "area")]


def test_it_is_asked_no_more_where_keys_do_not_recur() -> None:
    days = snapshots(SHOPS, 1)[:6]
    assert len(chosen([keyed(one) for one in days])) == 6
    assert chosen([keyed({**one, "shop": one["shop"] + 1000 * day}) for day, one in enumerate(days)]) == []


def test_without_a_key_of_the_whole_table_or_with_short_windows_nobody_gets_it() -> None:
    assert chosen([], every=timedelta(hours=1)) == []
    assert chosen([], unique={"where": "shop > 3"}) == []
    assert chosen([], unique={"at_most": 10}) == []
    assert chosen([], unique={"columns": ("day",)}) == []
    assert chosen([], unique={"columns": ("gone",)}) == []
