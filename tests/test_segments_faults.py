"""Segments of generated tables: healthy ones keep within the budget, a fault in one is found, told once and with its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from alerts.routing import Route
from alerts.slack import Slack
from benchmarks import healthy_segments
from benchmarks.healthy_segments import BY, Segmented, cut
from checks import control
from checks.histogram import Histogram
from checks.profile import Number, Profile
from checks.result import Result, Severity, Status
from checks.window import Window
from monitor import backtest
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


# The tables themselves.


def test_segments_of_a_simulated_table_are_its_rows() -> None:
    made, again = (Segmented("t", 4, 3, rows=300, segments=5).profile(2) for _ in range(2))
    assert made == again
    parts = [made.answers(None, segment) for segment in made.segments(None, BY)]
    assert len(parts) == 5
    for key, whole in made.answers().items():
        found = [part[key] for part in parts if key in part]
        if isinstance(whole, Number) and whole.merge == "add":
            assert sum(one.value or 0 for one in found if isinstance(one, Number)) == whole.value or key == "repeats"
        if isinstance(whole, Histogram):
            assert sum(one.finite for one in found if isinstance(one, Histogram)) == whole.finite


def test_the_benchmark_counts_the_days_with_a_finding(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    whole = Segmented.values
    monkeypatch.setattr(Segmented, "values", lambda made, day: whole(made, day) if day < 11 else nulls(whole(made, day), SECOND))
    healthy_segments.main(["--seeds", "4", "--days", "12", "--segments", "2", "--columns", "3", "--rows", "400"])
    cells = [cell.strip() for cell in capsys.readouterr().out.splitlines()[-1].strip("|").split("|")]
    assert cells[0] == "4"
    assert cells[2:] == ["1", "0", "0"]
