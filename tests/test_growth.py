"""What only ever grew: a fall and a standstill are told, once; what falls now and then is left alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from checks.base import Past, View
from checks.growth import Growth
from checks.histogram import Cells
from checks.pending import judged
from checks.profile import Answers, Broken, Counts, Grid, Histogram, Number
from checks.result import Result, Severity, Status
from checks.window import Window

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
SCHEMA = {"meter": "float64", "city": "string", "at": "timestamp"}
GRID = Grid(1000.0, 500.0)
CHECK = Growth(exclude=("at",))


def window(day: int) -> Window:
    return Window(START + day * DAY, START + (day + 1) * DAY)


def answers(meter: float, cities: int = 5, rows: int = 100) -> Answers:
    """A window whose only meter value is `meter`, beside a zero."""
    found = Histogram.of(GRID, {GRID.bucket(0.0): (1, 0.0), GRID.bucket(meter): (1, meter)}, low=0.0, high=meter)
    return {"distribution(meter)": found, "categories(city)": Counts({"x": rows}, distinct=cities), "rows": Number(rows, "add")}


def found(past: Sequence[Answers], now: Answers, check: Growth = CHECK, **more: Any) -> list[Result]:
    def rows(of: Answers) -> int:
        count = of["rows"]
        return int(count.value or 0) if isinstance(count, Number) else 0

    history = [Past(window(day), rows(one), one, SCHEMA) for day, one in enumerate(past)]
    at = window(len(past))
    return judged(check, View(at, at.end, rows(now), SCHEMA, now, history=history, **more))


def one(past: Sequence[float], now: float, **more: Any) -> Result:
    """The verdict on the meter, of meter values."""
    [result] = [r for r in found([answers(v) for v in past], answers(now), **more) if r.column == "meter"]
    return result


def counter(windows: int, step: float = 100.0, seed: int = 1) -> list[float]:
    steps = np.random.default_rng(seed).uniform(0.2 * step, 1.8 * step, windows)
    return [float(v) for v in 1000 + np.cumsum(steps)]


PAST = counter(60)
LAST, STEP = PAST[-1], float(np.median(np.diff(PAST)))


def test_what_grows_on_passes_and_says_what_it_was() -> None:
    result = one(PAST, LAST + 90)
    assert (result.status, result.score) == (Status.PASSED, 0.0)
    assert "never fell in 60 windows" in result.message


@pytest.mark.parametrize(
    ("fall", "status", "severity"),
    [
        (0.9 * STEP, Status.PASSED, None),
        (1.5 * STEP, Status.FAILED, Severity.WARNING),
        (3 * STEP, Status.FAILED, Severity.CRITICAL),
        (LAST, Status.FAILED, Severity.CRITICAL),
    ],
)
def test_a_fall_is_told_by_its_size_in_steps(fall: float, status: Status, severity: Severity | None) -> None:
    result = one(PAST, LAST - fall)
    assert (result.status, result.severity) == (status, severity)
    assert result.score == pytest.approx(fall / STEP, rel=0.01)


def test_a_standstill_after_growing_in_every_window_is_a_warning() -> None:
    result = one(PAST, LAST)
    assert (result.status, result.severity) == (Status.FAILED, Severity.WARNING)
    assert result.message.endswith("it stands still, having grown in each of 60 windows")
    weekends = [v for day, v in enumerate(PAST) for _ in range(1 + (day % 5 == 4))]
    assert one(weekends, weekends[-1]).status is Status.PASSED, "it stood still before"


def test_small_counts_stand_still_by_chance() -> None:
    past = [1000.0 + 3 * n + n % 2 for n in range(60)]
    assert one(past, past[-1]).status is Status.PASSED


def test_it_is_learned_from_twenty_windows_and_pages_from_thirty_five() -> None:
    assert [r.status for r in found([answers(v) for v in PAST[:19]], answers(0))] == [Status.SKIPPED]
    assert one(PAST[:20], 0).severity is Severity.WARNING
    assert one(PAST[:34], 0).severity is Severity.WARNING
    assert one(PAST[:35], 0).severity is Severity.CRITICAL


def test_after_a_fall_it_grows_on_and_only_a_deeper_one_is_told_and_never_pages() -> None:
    past = [*PAST, *(v - 1500 for v in counter(10, seed=2))]
    depth = PAST[-1] - past[60]
    assert one(past, past[-1] + 50).status is Status.PASSED
    assert one(past, past[-1] - 0.9 * depth).status is Status.PASSED
    deeper = one(past, past[-1] - 3 * depth)
    assert (deeper.status, deeper.severity) == (Status.FAILED, Severity.WARNING)
    assert "fell once in 70 windows" in deeper.message


def test_a_second_fall_ends_with_a_verdict_and_then_there_is_none() -> None:
    past = [*PAST[:40], 900.0, *PAST[40:50], 800.0]
    assert one([*past, *PAST[50:53]], PAST[53]).status is Status.PASSED
    assert one([*past, *PAST[50:53]], 0).status is Status.PASSED
    later = found([answers(v) for v in [*past, *PAST[50:]]], answers(0))
    assert "meter" not in {r.column for r in later}


def test_a_counter_that_begins_anew_with_a_month_is_a_warning_and_none_while_little_is_known() -> None:
    first_of_february, first_of_march = 27, 55
    assert window(first_of_march).local_start.day == window(first_of_february).local_start.day == 1
    assert one(PAST[:first_of_february], 0).status is Status.PASSED
    assert one(PAST[: first_of_february + 1], 0).status is Status.FAILED
    assert one(PAST[:first_of_march], 0).severity is Severity.WARNING
    assert one(PAST[: first_of_march + 1], 0).severity is Severity.CRITICAL


def test_the_right_value_after_one_that_was_far_too_large_is_no_fall() -> None:
    assert one([*PAST, 50 * LAST], LAST + 180).status is Status.PASSED


@pytest.mark.parametrize("seed", range(5))
def test_what_does_not_grow_gets_no_verdict(seed: int) -> None:
    chance = np.random.default_rng(seed)
    for values in (chance.normal(1000, 10, 91), 5000 + np.cumsum(chance.normal(0, 10, 91)), np.full(91, 7.0)):
        past = [answers(float(v)) for v in values]
        assert [r.status for r in found(past[:-1], past[-1])] == [Status.SKIPPED]


def test_healthy_growth_of_every_sort_stays_quiet() -> None:
    chance = np.random.default_rng(3)
    courses = {
        "a count": np.cumsum(chance.poisson(20, 120)),
        "working days": np.cumsum(np.where(np.arange(120) % 7 < 5, chance.lognormal(3, 0.5, 120), 0)),
        "a line with noise": 30 * np.arange(120) + chance.normal(0, 10, 120),
        "born and died": np.cumsum(chance.poisson(40, 120) - chance.poisson(20, 120)),
    }
    for name, values in courses.items():
        past = [answers(1000 + float(v)) for v in values]
        told = [r.message for n in range(35, 120) for r in found(past[n - 35 : n], past[n]) if r.status is Status.FAILED]
        assert not told, name


def test_rows_and_different_values_are_looked_at_too() -> None:
    past = [answers(7.0, cities=100 + 3 * n, rows=1000 + 10 * n) for n in range(60)]
    shrunk = {r.column: r for r in found(past, answers(7.0, cities=200, rows=1100))}
    assert {column: r.status for column, r in shrunk.items()} == {None: Status.FAILED, "city": Status.FAILED}
    assert "growth: the number of rows is 1 100, at least 1 580 needed (never fell in 60 windows)" in shrunk[None].message
    assert "growth(city): the number of different values is 200" in shrunk["city"].message


def test_masked_values_are_not_shown() -> None:
    assert "(not shown)" in one(PAST, 0, masked=frozenset({"meter"})).message


def test_a_level_that_was_accepted_begins_a_history_of_its_own() -> None:
    assert one(PAST, 0).status is Status.FAILED
    accepted = {"meter": window(50).start}
    assert [r.column for r in found([answers(v) for v in PAST], answers(0), accepted=accepted)] == [None]


def test_low_sensitivity_allows_more() -> None:
    assert one(PAST, LAST - 1.3 * STEP).status is Status.FAILED
    assert one(PAST, LAST - 1.3 * STEP, widths={"sensitivity": 1.5}).status is Status.PASSED


def test_what_could_not_be_measured_hides_nothing_else() -> None:
    past = [answers(7.0, cities=100 + 3 * n) for n in range(60)]
    now = {**answers(7.0, cities=100), "distribution(meter)": Broken("no")}
    assert {r.column: r.status for r in found(past, now)} == {"city": Status.FAILED}


def test_a_window_without_rows_or_a_column_without_values_is_no_fall() -> None:
    past = [answers(value, 5 + day, 100 + 7 * day + day % 3) for day, value in enumerate(PAST)]
    missing = Counts({}, distinct=0, missing=530)
    no_number = Histogram({GRID: Cells.of([])})
    nothing: Answers = {"distribution(meter)": no_number, "categories(city)": missing, "rows": Number(0, "add")}
    [empty] = found(past, nothing, empty_ok=True)
    assert (empty.status, empty.message.split(";")[0]) == (Status.SKIPPED, "growth: no rows to judge")
    now = answers(LAST + STEP, 65, 530)
    assert {r.column: r.status for r in found(past, {**now, "categories(city)": missing})} == {
        None: Status.PASSED,
        "meter": Status.PASSED,
    }
    after = found([*past[:-2], nothing, nothing], now)
    assert {(r.column, r.bounds.usual if r.bounds else "") for r in after} == {
        (about, "never fell in 58 windows") for about in (None, "meter", "city")
    }
