"""The automatic checks on synthetic windows: a healthy table is left alone, a fault is found under the right column."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import pytest

from checks import control, limits
from checks.profile import Answer, Counts, Grid, Histogram, Number, Profile
from checks.result import Family, Result, Severity, Status
from checks.window import Window
from monitor import judging, worker
from monitor.dataset import Dataset
from monitor.earlier import Stored
from monitor.job import Job
from monitor.replaying import Task, verdicts
from monitor.sources.files import Files

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
ROWS = 2000
Row = tuple[float, str]


class Measured(NamedTuple):
    """A window and what was measured in it."""

    window: Window
    profile: Profile


def rows(seed: int) -> list[Row]:
    chance = random.Random(seed)
    return [(chance.gauss(50, 10), chance.choices(["DE", "FR", "IT"], [6, 3, 1])[0]) for _ in range(ROWS)]


def measured(day: int, of: Sequence[Row], names: tuple[str, str] = ("amount", "country"), times: float = 1.0) -> Measured:
    grid, (number, text) = Grid(50.0 * times, 10.0 * times), names
    buckets: dict[int, tuple[int, float]] = {}
    counted: dict[str, int] = {}
    for value, country in of:
        n, total = buckets.get(grid.bucket(value * times), (0, 0.0))
        buckets[grid.bucket(value * times)] = n + 1, total + value * times
        counted[country] = counted.get(country, 0) + 1
    values = [value * times for value, _ in of]
    answers: dict[str, Answer] = {
        "rows": Number(len(of), "add"),
        "repeats": Number(len(of) - len(set(of))),
        f"distribution({number})": Histogram.of(grid, buckets, low=min(values), high=max(values)),
        f"categories({text})": Counts(counted, distinct=len(counted)),
        f"missing({number})": Number(0, "add"),
        f"missing({text})": Number(0, "add"),
        f"minimum({number})": Number(min(values), "min"),
        f"maximum({number})": Number(max(values), "max"),
    }
    window = Window(START + day * DAY, START + (day + 1) * DAY)
    return Measured(window, Profile({number: "float64", text: "string"}, len(of), {("", ""): answers}))


HEALTHY = [rows(seed) for seed in range(60)]


@cache
def healthy(names: tuple[str, str], times: float) -> list[Measured]:
    return [measured(day, of, names, times) for day, of in enumerate(HEALTHY)]


def last(fault: Sequence[Row], **more: object) -> list[Result]:
    names, times = more.get("names", ("amount", "country")), more.get("times", 1.0)
    windows = [*healthy(names, times), measured(len(HEALTHY), fault, names, times)]  # type: ignore[arg-type]
    shift = more.get("shift", timedelta(0))
    moved = [Measured(Window(m.window.start + shift, m.window.end + shift), m.profile) for m in windows]  # type: ignore[operator]
    dataset = Dataset(name="orders", table="orders/{start:%Y-%m-%d}.parquet")
    now, past = moved[-1], [Stored(m.window, m.profile) for m in moved[:-1]]
    job = Job(dataset, Files(), now.window, now.window.end)
    return worker.judge(job, worker.chosen(dataset, now.profile.schema), now.profile, past)[0]


def found(results: Sequence[Result]) -> list[Result]:
    return sorted((r for r in results if r.status is Status.FAILED), key=lambda r: -(r.score or 0))


def test_windows_are_replayed_in_order_each_with_those_before_it() -> None:
    dataset = Dataset(name="orders", table="orders/{start:%Y-%m-%d}.parquet")
    windows = [measured(day, of) for day, of in enumerate(HEALTHY[:10])]
    stored = {m.window.start: m.profile.to_bytes() for m in windows}
    found = verdicts(Task(dataset, Files(), [m.window for m in windows], stored, measures=False))
    assert [at for at, _ in found] == [m.window for m in windows]
    missing = [next(r for r in judged.results if r.kind == "missing") for _, judged in found]
    assert [r.status for r in missing] == [Status.SKIPPED] * 8 + [Status.PASSED] * 2


def test_a_healthy_window_is_left_alone() -> None:
    results = last(rows(99))
    assert found(results) == []
    assert not [r.message for r in results if r.status is Status.ERRORED]


FAULTS: dict[str, tuple[Callable[[Row, int], Row], str | None, str]] = {
    "kilometres": (lambda row, _: (row[0] * 1.609, row[1]), "amount", "numbers"),
    "zeros": (lambda row, i: (0.0 if i % 20 == 0 else row[0], row[1]), "amount", "numbers"),
    "words for nothing": (lambda row, i: (row[0], "N/A" if i % 50 == 0 else row[1]), "country", "texts"),
    "small letters": (lambda row, i: (row[0], row[1].lower() if i % 20 == 0 else row[1]), "country", "texts"),
    "another mix": (lambda row, i: (row[0], "IT" if i % 5 == 0 else row[1]), "country", "mix"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_under_its_column(fault: str) -> None:
    change, column, kind = FAULTS[fault]
    results = found(last([change(row, i) for i, row in enumerate(rows(99))]))
    # A value put into many rows makes rows alike too, which is the table's.
    assert {r.column for r in results if r.kind != "repeated"} == {column}
    named = next(r for r in results if r.kind == kind)
    assert named.severity is Severity.CRITICAL
    assert named.details is not None
    assert {"expected", "forecast", "spread", "limit", "allowance", "windows"} <= named.details.keys()


def test_repeated_rows_are_found() -> None:
    good = rows(99)
    assert "repeated" in {r.kind for r in found(last([*good, *good[:100]]))}


def test_an_earlier_window_once_more_is_critical() -> None:
    (stale, *_) = found(last(HEALTHY[30]))
    assert (stale.kind, stale.severity) == ("repeated", Severity.CRITICAL)
    assert "2026-02-04" in stale.message


CHANGES: dict[str, dict[str, object]] = {
    "names": {"names": ("zz", "a")},
    "weeks": {"shift": timedelta(days=70)},
    "powers of two": {"times": 0.25},
    "great powers of two": {"times": 2.0**40},
    "all": {"names": ("b", "a"), "shift": timedelta(days=-7), "times": 8.0},
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("fault", [*FAULTS, "nothing"])
def test_names_weeks_and_powers_of_two_change_no_verdict(fault: str, change: str) -> None:
    make = FAULTS[fault][0] if fault in FAULTS else lambda row, _: row
    rows_ = [make(row, i) for i, row in enumerate(rows(99))]
    names = CHANGES[change].get("names", ("amount", "country"))
    before = said(last(rows_), ("amount", "country"))
    after = said(last(rows_, **CHANGES[change]), names)  # type: ignore[arg-type]
    if "times" in CHANGES[change]:
        # Whether a number is whole, and the typical size of a range, are no matter of scale: verdicts are, not their decimals.
        before, after = ({one[:-1] for one in side} for side in (before, after))
    assert before == after


def said(results: Sequence[Result], names: tuple[str, str]) -> set[tuple[object, ...]]:
    """Each verdict with its column as its place in the table, and its score at the end."""
    place = {name: n for n, name in enumerate(names)}
    return {(r.kind, place.get(r.column or ""), r.status, r.severity, round(r.score or 0, 6)) for r in results}


def record(outs: Sequence[float]) -> list[tuple[datetime, float]]:
    return [(START + day * DAY, out) for day, out in enumerate(outs)]


def test_a_table_that_fired_once_keeps_its_limits() -> None:
    assert control.allowance([record([0.5, 3.0, 0.5]), record([0.2, 2.0, 0.9])]) == 1.0


def test_a_table_that_fired_often_gets_wider_limits_up_to_half_as_wide_again() -> None:
    assert control.allowance([record([0.5, 3.0, 0.5]), record([1.3, 0.2, 0.9])]) == 1.3
    assert control.allowance([record([9.0, 9.0, 9.0])]) == 1.5
    assert control.allowance([]) == 1.0


@pytest.mark.parametrize(
    ("out", "allowance", "score"),
    [
        (0.5, 1.0, 0.5),
        (1.5, 1.0, 1.5),
        (3.0, 1.0, 3.0),
        (1.5, 1.5, 1.0),
        (1.75, 1.5, 1.5),
        (2.0, 1.5, 2.0),  # What pages is not moved by the table's record,
        (2.6, 1.95, 2.0),  # but stays apart from the warning,
        (0.75, 0.75, 1.0),
        (1.5, 0.75, 2.0),  # and comes nearer with narrower limits.
    ],
)
def test_the_table_s_record_moves_the_warning_and_not_the_page(out: float, allowance: float, score: float) -> None:
    assert limits.score(out, allowance) == pytest.approx(score)


@pytest.mark.parametrize("allowance", [0.5, 0.75, 1.0, 1.2, 1.5, 2.25, 4.0])
def test_further_out_is_never_a_lower_score(allowance: float) -> None:
    scores = [limits.score(step / 100, allowance) for step in range(1000)]
    assert scores == sorted(scores)
    assert max(b - a for a, b in pairwise(scores)) < 0.1


def test_what_passes_is_scored_by_the_limits_that_hold() -> None:
    learned, hard = last(rows(99))[0], Result("x", "x", Family.LAYOUT, Status.PASSED, "", score=0.9)
    near = replace(learned, status=Status.PASSED, score=0.9, record=((START, 0.5),))
    assert [judging._widened(r, 1.5).score for r in (near, hard)] == [pytest.approx(0.6), 0.9]
