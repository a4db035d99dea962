"""The numbers of all checks of a window weighed together: no check sees another's, nor another's fault."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from checks import control, learned
from checks.base import Check, View
from checks.learned import Learned, Learning, Point, Trace
from checks.pending import CannotJudge, NothingToJudge, Pending, Verdict, judged
from checks.result import Bounds, Family, Result, Status
from checks.window import Window
from monitor.judging import judged_together

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
WINDOWS = [Window(START + n * DAY, START + (n + 1) * DAY) for n in range(41)]
VIEW = View(WINDOWS[40], WINDOWS[40].end, 1000, {}, {})


def trace(value: float, *, wide: float = 1.0, windows: Sequence[Window] = WINDOWS[:40], **more: Any) -> Trace:
    """A number around 100; `wide` is how far it swings."""
    past = [Point(w, 100 + wide * (7 * n % 11 - 5), 1000) for n, w in enumerate(windows)]
    return Trace(value, past, 1000, title="height", **more)


class Made(Check):
    """Yields what it was given, and raises what is to be raised."""

    family = Family.DRIFT
    given: tuple[Any, ...] = ()

    def judge(self, view: View) -> Iterable[Verdict]:
        for one in self.given:
            if isinstance(one, Exception):
                raise one
            yield one if isinstance(one, Result | Pending) else self.worst(view, one)


def made(name: str, *given: Any) -> tuple[Made, View]:
    return Made.model_construct(id=name, given=given), VIEW


def told(*pairs: tuple[Check, View]) -> dict[str, Result]:
    return {result.check: result for result in judged_together(pairs)}


def raising(fault: Exception) -> Pending:
    def result(usual: Sequence[Any], view: View) -> Result:
        raise fault

    return Pending([trace(100.0)], result)


def scores(found: Sequence[Learned | Learning]) -> list[float]:
    return [one.score for one in found if isinstance(one, Learned)]


def test_together_or_alone_the_verdict_is_the_same() -> None:
    pairs = [made(f"c{n}", [trace(100.0 + n, wide=1 + n / 9), trace(90.0, lasting="level")]) for n in range(9)]
    alone = [one for check, view in pairs for one in judged(check, view)]
    together = judged_together(pairs)
    assert [(r.status, r.message) for r in together] == [(r.status, r.message) for r in alone]
    assert [r.score for r in together] == pytest.approx([r.score for r in alone])


def test_more_numbers_than_are_weighed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    traces = [trace(100.0 + n, wide=1 + n / 9) for n in range(9)]
    whole = learned.judge_all(traces, WINDOWS[40])
    monkeypatch.setattr(learned, "CHUNK", 2)
    parts = learned.judge_all(traces, WINDOWS[40])
    assert scores(parts) == pytest.approx(scores(whole))


def test_as_many_windows_need_not_be_the_same_windows() -> None:
    """One number lacks the second Monday, another the third Tuesday: each is compared with its own Saturdays."""
    gaps = [[w for n, w in enumerate(WINDOWS[:40]) if n != gap] for gap in (7, 15)]
    traces = [trace(100.0, windows=windows) for windows in gaps]
    together = learned.judge_all(traces, WINDOWS[40])
    alone = [learned.judge_all([one], WINDOWS[40])[0] for one in traces]
    assert together == alone
    assert [len(one.record) for one in together if isinstance(one, Learned)] == [39, 39]


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        (NothingToJudge("bad: no rows"), Status.SKIPPED, "bad: no rows"),
        (CannotJudge("x was not measured"), Status.ERRORED, "bad could not be judged: x was not measured"),
        (ZeroDivisionError("by zero\nand more"), Status.ERRORED, "bad could not be judged: ZeroDivisionError: by zero"),
        (KeyError(), Status.ERRORED, "bad could not be judged: KeyError:"),
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_a_fault_is_a_result_and_what_came_before_it_stays(fault: Exception, status: Status, said: str, late: bool) -> None:
    bad = made("bad", [trace(100.0)], raising(fault) if late else fault)
    found = judged_together([made("one", [trace(100.0)]), bad, made("two", [trace(100.0)])])
    assert [(r.check, r.status) for r in found] == [
        ("one", Status.PASSED),
        ("bad", Status.PASSED),
        ("bad", status),
        ("two", Status.PASSED),
    ]
    assert found[2].message == said


def test_a_number_that_cannot_be_weighed_is_the_fault_of_its_check_alone() -> None:
    found = told(made("one", [trace(100.0)]), made("bad", [trace("many")]), made("two", [trace(200.0)]))  # type: ignore[arg-type]
    assert [r.status for r in found.values()] == [Status.PASSED, Status.ERRORED, Status.FAILED]
    assert found["bad"].message.startswith("bad could not be judged: ")


def test_without_history_there_is_nothing_to_judge() -> None:
    found = told(made("none", []), made("few", [trace(100.0, windows=WINDOWS[:7])]), made("enough", [trace(100.0)]))
    assert [r.status for r in found.values()] == [Status.SKIPPED, Status.SKIPPED, Status.PASSED]
    assert found["none"].message == f"none: {Learning(0)}"
    assert found["few"].message == f"few: {Learning(7)}"


def restless() -> Result:
    """A verdict whose record says that the table has been restless."""
    record = tuple((w.start, 1.3) for w in WINDOWS[:40])
    return Result("restless", "made", Family.DRIFT, Status.PASSED, "", bounds=Bounds(learned=True), score=0.5, record=record)


def test_the_table_s_own_record_widens_what_passed_and_what_failed() -> None:
    near, far = (made(name, [trace(value)]) for name, value in (("near", 101.0), ("far", 140.0)))
    narrow, wide = told(near, far), told(near, far, made("restless", restless()))
    for name in ("near", "far"):
        before, after = narrow[name], wide[name]
        assert before.bounds
        assert after.bounds
        assert (after.bounds.at_most or 0) > (before.bounds.at_most or 0)
        assert (after.details or {})["widths"] == {control.TABLE: 1.3}
        assert (after.score or 0) < (before.score or 0)
    assert wide["near"].message != narrow["near"].message, "the limits that hold are the ones that are shown"
    assert [wide[name].status for name in wide] == [Status.PASSED, Status.FAILED, Status.PASSED]
    assert wide["restless"].score == pytest.approx(0.5 / 1.3)


def test_what_is_expected_is_heard_where_a_verdict_waited() -> None:
    check, view = made("far", [trace(200.0)])
    [found] = judged(check, replace(view, marks={view.window.start: "expected"}))
    assert found.status is Status.PASSED
    assert found.message.endswith("the window is marked as expected")
