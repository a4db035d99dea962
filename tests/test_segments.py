"""Segments: how far out a finding in them must be, which ones there are, and what they explain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from alerts.inhibition import inhibitor
from alerts.problem import Problem, State
from checks import discovery, learned
from checks.base import Past, View
from checks.discovery import Judged
from checks.distinct import Distinct
from checks.numbers import Numbers
from checks.pending import judged as judge
from checks.profile import Answer, Counts, Grid, Histogram, Number, Profile
from checks.result import Family, Result, Severity, Status
from checks.row_count import RowCount
from checks.window import Window
from monitor import segments
from monitor.dataset import Dataset

if TYPE_CHECKING:
    pass

# How far out a finding must be.


def judged(outs: Sequence[float], numbers: int = 30, record: Sequence[Sequence[float]] = ()) -> Judged:
    return Judged(numbers, np.array(outs), np.array(record).reshape(len(record), len(outs)))


def test_a_lone_finding_among_many_numbers_must_be_further_out() -> None:
    widths = [discovery.allowance(judged([0.1, 0.1], numbers)) for numbers in (30, 500, 5_000, 40_000)]
    assert widths == sorted(widths)
    assert 1 <= widths[0] < 1.05
    assert 1.3 < widths[2] < 1.6
    assert widths[3] < discovery.WIDEST


def test_several_findings_need_to_be_less_far_out_than_one() -> None:
    alone = discovery.allowance(judged([1.3, *[0.5] * 99], 5_000))
    together = discovery.allowance(judged([1.3] * 20 + [0.5] * 80, 5_000))
    assert together < 1.3 < alone


def test_a_smaller_budget_asks_for_more() -> None:
    assert discovery.allowance(judged([0.5], 1000), 0.1) < discovery.allowance(judged([0.5], 1000), 0.001)


def test_what_segments_often_were_is_no_finding() -> None:
    restless = [[1.0 + 0.8 * (day % 10) / 9, 0.2, 0.2] for day in range(90)]
    assert discovery.allowance(judged([1.7, 0.1, 0.1], 90, restless)) > 1.8
    # Two at once they never were.
    assert discovery.allowance(judged([1.7, 1.7, 0.1], 90, restless)) < 1.2


def test_one_incident_of_the_past_does_not_blind() -> None:
    calm = [[0.5, 0.4]] * 89
    assert discovery.allowance(judged([0.5, 0.5], 30, [*calm, [500.0, 0.4]])) < 1.5
    assert discovery.allowance(judged([0.5, 0.5], 30, [[9.0, 9.0]] * 90)) <= discovery.WIDEST


def test_nothing_to_judge_widens_nothing() -> None:
    assert discovery.allowance(discovery.gathered([])) == 1.0


def test_the_furthest_of_a_group_is_gathered_with_its_record() -> None:
    windows = [Window(BEGIN + n * DAY, BEGIN + (n + 1) * DAY) for n in range(41)]
    traces = [learned.Trace(v, [learned.Point(w, 10 + n % 2, 100) for n, w in enumerate(windows[:-1])], 100) for v in (10.0, 40.0)]
    one, other = learned.weigh(traces, windows[-1])
    assert not isinstance(one, learned.Learning)
    assert not isinstance(other, learned.Learning)
    made = Result("r", "r", Family.DRIFT, Status.PASSED, "", score=0.25, record=((BEGIN, 0.75),))
    found = discovery.gathered([("a", 1.0, one), ("b", 2.0, other), ("b", 2.0, one)], [("a", replace(made, score=0.5))])
    assert found.numbers == 4
    assert found.outs.tolist() == pytest.approx([max(0.5, one.score(learned.USUAL)), off(other) / 2])
    assert found.record.shape == (40, 2)
    assert found.record[0, 0] == 0.75
    further = [max(a[1], b[1]) / 2 for a, b in zip(one.record, other.record, strict=True)]
    assert found.record[:, 1].tolist() == pytest.approx(further)


def off(weighed: Any) -> float:
    return float(weighed.among.off[:, weighed.place].min())


# Which segments there are.

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
ORDERS = Dataset(name="orders", table="{start:%Y-%m-%d}.csv", segments="country")


def profile(**rows: int) -> Profile:
    parts = {("", f"country={name}"): {"rows": Number(n, "add")} for name, n in rows.items()}
    return Profile({"country": "string"}, sum(rows.values()), {("", ""): {"rows": Number(sum(rows.values()), "add")}, **parts})


def asked(now: Profile, past: Sequence[Profile]) -> list[str | None]:
    return segments.of(RowCount(), ORDERS, now, past)


def test_a_segment_that_had_rows_lately_is_missed() -> None:
    assert asked(profile(DE=5), [profile(DE=5, FR=3)] * 8) == [None, "country=DE", "country=FR"]


def test_a_segment_that_comes_and_goes_is_not_missed() -> None:
    assert asked(profile(DE=5), [profile(DE=5)] * 5 + [profile(DE=5, FR=3)] * 3) == [None, "country=DE"]


def test_where_the_smaller_ones_are_put_together_nobody_is_missed() -> None:
    rest = {"(other)": 9}
    assert asked(profile(DE=5, **rest), [profile(DE=5, FR=3)] * 8) == [None, "country=DE", "country=(other)"]
    assert segments.rows(profile(DE=5, **rest), RowCount(), "country=FR") is None


def test_an_empty_window_is_the_whole_table_s() -> None:
    assert asked(profile(), [profile(DE=5)] * 8) == [None]


def test_no_rows_are_counted_only_where_the_column_was_measured() -> None:
    assert segments.rows(profile(DE=5), RowCount(), "country=FR") == 0
    assert segments.rows(profile(), RowCount(), "country=FR") is None


# What explains what.


def problem(family: Family, check: str, column: str | None = None, segment: str | None = None, incident: int = 1) -> Problem:
    known = {"state": State.FIRING, "severity": Severity.CRITICAL, "incident": incident}
    return Problem(f"{check} {segment}", "orders", check, check, family, column, segment, **known)  # type: ignore[arg-type]


def test_a_segment_without_rows_explains_itself_and_its_column_and_nothing_else() -> None:
    gone = problem(Family.ARRIVAL, "row_count", segment="country=FR")
    same = problem(Family.DRIFT, "numbers", "amount", "country=FR", 2)
    column = problem(Family.DRIFT, "mix", "country", incident=2)
    other, whole = (
        problem(Family.DRIFT, "numbers", "amount", "country=DE", 2),
        problem(Family.DRIFT, "numbers", "amount", incident=2),
    )
    assert [inhibitor(one, [gone]) for one in (same, column, other, whole)] == [1, 1, None, None]
    assert inhibitor(other, [problem(Family.ARRIVAL, "row_count")]) == 1


def test_missing_rows_explain_fewer_different_values_and_no_wrong_ones() -> None:
    gone = problem(Family.ARRIVAL, "row_count")
    fewer, wrong = (problem(Family.QUALITY, kind, "tail", incident=2) for kind in ("distinct", "value_range"))
    assert (inhibitor(fewer, [gone]), inhibitor(wrong, [gone])) == (1, None)


# What chance does to few rows.


def view(now: Answer, past: Sequence[Answer], key: str, rows: int, segment: str | None = "country=DE") -> View:
    windows = [Window(BEGIN + n * DAY, BEGIN + (n + 1) * DAY) for n in range(len(past) + 1)]
    history = [Past(window, rows, {key: one}) for window, one in zip(windows, past, strict=False)]
    return View(windows[-1], windows[-1].end, rows, {"c": "string"}, {key: now}, segment, history=history)


def counted(**rows: int) -> Counts:
    return Counts(rows, distinct=len(rows))


@pytest.mark.parametrize(("segment", "status"), [("country=DE", Status.SKIPPED), (None, Status.FAILED)])
def test_a_seldom_value_that_is_not_there_is_no_finding_in_a_segment(segment: str | None, status: Status) -> None:
    usual = counted(a=20, b=15, c=4)
    [said] = judge(Distinct(column="c"), view(counted(a=22, b=17), [usual] * 40, "categories(c)", 39, segment))
    assert said.status is status


def test_values_that_are_always_there_are_counted_in_a_segment_whatever_came_by_once() -> None:
    usual = [counted(a=200, b=150, c=40)] * 39
    [said] = judge(Distinct(column="c"), view(counted(a=200, b=190), [*usual, counted(a=200, b=189, x=1)], "categories(c)", 390))
    assert said.status is Status.FAILED


def flags(ones: int, rows: int) -> Histogram:
    grid = Grid(0.0, 1.0)
    buckets = {grid.bucket(value): (n, value * n) for value, n in ((0.0, rows - ones), (1.0, ones)) if n}
    return Histogram.of(grid, buckets, low=0.0, high=1.0 if ones else 0.0)


@pytest.mark.parametrize(("segment", "status"), [("country=DE", Status.PASSED), (None, Status.FAILED)])
def test_few_rows_that_are_all_alike_are_no_finding_in_a_segment(segment: str | None, status: Status) -> None:
    past = [flags(2 + day % 5, 9) for day in range(40)]
    [said] = judge(Numbers(column="c"), view(flags(0, 9), past, "distribution(c)", 9, segment))
    assert said.status is status


def test_as_many_rows_as_lately_are_no_finding_whatever_the_others_had() -> None:
    past = [counted(a=1)] * 40
    seen = view(counted(a=1), past, "categories(c)", 50)
    seen = replace(seen, whole=5000, history=[replace(one, whole=500) for one in seen.history])
    [said] = judge(RowCount(), seen)
    assert (said.status, said.value) == (Status.PASSED, 50)
    [gone] = judge(RowCount(), replace(seen, rows=0))
    assert gone.status is Status.FAILED
    [bounded] = judge(RowCount(at_least=10), replace(seen, rows=0))
    assert bounded.message == "row_count is 0, at least 10 needed (usual: 50, 40 windows)"
