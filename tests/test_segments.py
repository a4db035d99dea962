"""Segments: kept within the budget, their faults found, the whole table judged as without them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from alerts.inhibition import inhibitor
from alerts.problem import Problem, State
from alerts.routing import Route
from alerts.slack import Slack
from benchmarks.healthy_segments import BY, Segmented, cut
from checks import control, discovery, learned
from checks.discovery import Judged
from checks.profile import Number, Profile
from checks.result import Family, Result, Severity, Status
from checks.row_count import RowCount
from checks.window import Window
from monitor import backtest, segments
from monitor.config import Config
from monitor.dataset import Dataset
from monitor.job import Measured
from monitor.replaying import Task, verdicts
from monitor.sources.files import Files

if TYPE_CHECKING:
    from alerts.message import Message
    from benchmarks.healthy_tables import Values

PAST = 57
SECOND, FOURTH = f"{BY}=segment 1", f"{BY}=segment 3"


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


# Faults in one segment.


@cache
def table() -> tuple[Segmented, dict[datetime, bytes], Profile]:
    made = Segmented("t", 5, 1, rows=1200, segments=8)
    stored = {made.window(number).start: made.profile(number).to_bytes() for number in range(PAST)}
    assert made.last is not None
    return made, stored, made.last


def seen(values: Values, **more: object) -> tuple[Dataset, Window, Measured]:
    """The table's last day with these values, judged after the days before."""
    made, stored, last = table()
    made.last = last
    windows = [made.window(number) for number in range(PAST + 1)]
    stored = {**stored, windows[-1].start: made.counted(values).to_bytes()}
    dataset = made.dataset.model_copy(update=more)
    [(window, found)] = verdicts(Task(dataset, Files(), windows, stored, measures=False, history=PAST))
    assert not [r.message for r in found.results if r.status is Status.ERRORED]
    return dataset, window, found


def judge(values: Values, **more: object) -> list[Result]:
    return list(seen(values, **more)[2].results)


def failed(results: Sequence[Result]) -> list[Result]:
    return sorted((r for r in results if r.status is Status.FAILED), key=lambda r: -(r.score or 0))


def inside(values: Values, segment: str) -> Any:
    return values[BY][0] == segment.partition("=")[2]


def without(values: Values, segment: str) -> Values:
    return cut(values, ~inside(values, segment))


def thrice(values: Values, segment: str) -> Values:
    here = inside(values, segment)
    return cut(values, np.concatenate([np.arange(len(here)), np.repeat(np.flatnonzero(here), 2)]))


def nulls(values: Values, segment: str) -> Values:
    found, gaps = values["c0"]
    return {**values, "c0": (found, gaps | inside(values, segment))}


def larger(values: Values, segment: str) -> Values:
    found, gaps = values["c0"]
    return {**values, "c0": (np.where(inside(values, segment), 1.6 * found, found), gaps)}


def test_a_healthy_window_is_left_alone() -> None:
    results = judge(table()[0].values(PAST))
    assert failed(results) == []
    assert len({r.segment for r in results}) == 9


FAULTS = [(without, "row_count"), (thrice, "row_count"), (nulls, "missing(c0)"), (larger, "numbers(c0)")]


@pytest.mark.parametrize("segment", [SECOND, FOURTH])
@pytest.mark.parametrize(("fault", "check"), FAULTS)
def test_a_fault_in_one_segment_is_found_there(fault: Callable[[Values, str], Values], check: str, segment: str) -> None:
    found = failed(judge(fault(table()[0].values(PAST), segment)))
    named = next(r for r in found if r.segment == segment and r.check == check)
    assert named.severity is Severity.CRITICAL or fault is thrice or segment != SECOND
    assert {r.segment for r in found} <= {None, segment}


def test_an_emptied_segment_says_how_many_rows_it_had() -> None:
    found = failed(judge(without(table()[0].values(PAST), SECOND)))
    [gone] = [r for r in found if r.check == "row_count"]
    assert gone.message.startswith("row_count is 0, ")
    assert gone.message.endswith("; 0 % of all rows")
    assert "usual" in gone.message


def test_a_verdict_says_by_how_much_segments_are_widened() -> None:
    [named] = [r for r in judge(table()[0].values(PAST)) if r.check == "missing(c0)" and r.segment == SECOND]
    assert named.details is not None
    assert named.details["widths"]["segments"] > 1.2
    assert control.TABLE not in named.details["widths"]


@pytest.mark.parametrize("fault", [lambda values, _: values, nulls, larger])
def test_the_whole_table_is_judged_as_without_segments(fault: Callable[[Values, str], Values]) -> None:
    values = fault(table()[0].values(PAST), f"{BY}=segment 0")
    with_, without_ = ([r for r in judge(values, segments=by) if r.segment is None] for by in ((BY,), ()))
    assert with_ == without_


def test_a_budget_is_shared_by_the_table_and_its_segments() -> None:
    budget = control.Budget.read("1 per quarter")
    values = table()[0].values(PAST)
    by = {r.check: r for r in judge(values, budget=budget) if r.segment is None}
    alone = {r.check: r for r in judge(values, segments=(), budget=control.Budget.read("2 per quarter")) if r.segment is None}
    assert by.keys() == alone.keys()
    # Half of it for each: as much for the whole as half as strict a budget alone.
    half = {r.check: r for r in judge(values, segments=(), budget=SimpleNamespace(share=lambda every: budget.share(every) / 2))}
    assert {check: r.score for check, r in by.items()} == pytest.approx({check: half[check].score for check in by})


# Sixty healthy days.


def test_healthy_segments_keep_within_the_budget() -> None:
    made = Segmented("calm", 4, 7, rows=900, segments=6)
    windows = [made.window(number) for number in range(100)]
    stored = {window.start: made.profile(number).to_bytes() for number, window in enumerate(windows)}
    found = verdicts(Task(made.dataset, Files(), windows, stored, measures=False, history=40))
    days = [at.start for at, measured in found if any(r.status is Status.FAILED and r.segment for r in measured.results)]
    assert len(found) == 60
    # One in ninety is allowed; three of sixty come by chance once in thirty times.
    assert len(days) <= 3


# What is told.


def opening(values: Values) -> list[Message]:
    dataset, window, found = seen(values)
    team = Slack.model_validate({"token": "xoxb-nobody", "channel": "#nobody"})
    config = Config(Path(), datasets={dataset.name: dataset}, channels={"team": team}, routes=(Route(to=("team",)),))
    sent = backtest.told(config, [(dataset, window, found)]).sent
    return [one.outgoing.message for one in sent if one.outgoing.form == "root"]


def test_what_shows_in_the_table_and_in_a_segment_is_told_once_and_names_the_segment() -> None:
    values = nulls(table()[0].values(PAST), SECOND)
    assert {r.segment for r in failed(judge(values)) if r.check == "missing(c0)"} == {None, SECOND}
    [said] = opening(values)
    assert {fact.label: fact.value for fact in said.facts}["Where"] == SECOND


def test_a_segment_without_rows_explains_the_other_mix_of_its_column() -> None:
    values = without(table()[0].values(PAST), SECOND)
    assert f"mix({BY})" in {r.check for r in failed(judge(values))}
    said = [message.text for message in opening(values)]
    assert [text for text in said if "row_count is 0" in text]
    assert not [text for text in said if f"mix({BY})" in text]


def test_three_times_the_rows_of_the_largest_segment_blame_no_other() -> None:
    found = failed(judge(thrice(table()[0].values(PAST), f"{BY}=segment 0")))
    assert {r.segment for r in found if r.segment} == {f"{BY}=segment 0"}


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
