"""A problem's states as a table, and what holds for any order of results."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.problem import Move, Problem, Sighting, State, advance, needed
from alerts.rules import REMEMBERED
from checks.result import Bounds, Family, Result, Severity, Status

START = datetime(2026, 11, 23, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WARNING, CRITICAL = Severity.WARNING, Severity.CRITICAL


def sighting(letter: str, number: int = 0, length: timedelta = DAY, **more: Any) -> Sighting:
    """`F` failed (a bound of the user's), `C` failed as critical, `w` weakly failed against learned bounds, `W` clearly so,
    `O` passed, `S` skipped, `E` errored."""
    status = {"O": Status.PASSED, "S": Status.SKIPPED, "E": Status.ERRORED}.get(letter, Status.FAILED)
    severity = {"F": WARNING, "C": CRITICAL, "w": WARNING, "W": WARNING}.get(letter)
    bounds = Bounds(at_most=1.0, learned=letter in "wW")
    score = {"w": 1.5, "W": 2.5, "O": 0.5}.get(letter, 1.2)
    result = Result("missing(a)", "missing", Family.QUALITY, status, f"result {number}", "a", value=float(number), bounds=bounds)
    start = START + number * length
    return Sighting("orders", replace(result, **{"severity": severity, "score": score, **more}), start, start + length)


def told(letters: str, length: timedelta = DAY) -> tuple[Problem | None, str]:
    """The problem after these results, and what was told with each: `!` opened, `^` worse, `v` resolved, `.` nothing."""
    mark = {Move.OPENED: "!", Move.WORSE: "^", Move.RESOLVED: "v", None: "."}
    problem, said = None, ""
    for number, letter in enumerate(letters):
        problem, move = advance(problem, sighting(letter, number, length))
        said += mark[move]
    return problem, said


@pytest.mark.parametrize(
    ("letters", "said", "state"),
    [
        ("O", ".", None),
        ("SE", "..", None),
        ("F", "!", State.FIRING),
        ("FO", "!.", State.RECOVERING),
        ("FOO", "!.v", State.OK),
        ("FOF", "!..", State.FIRING),
        ("FOFOO", "!...v", State.OK),
        ("FFF", "!..", State.FIRING),
        ("FC", "!^", State.FIRING),
        ("FCF", "!^.", State.FIRING),
        ("FCFC", "!^..", State.FIRING),
        ("FOC", "!.^", State.FIRING),
        ("FOOF", "!.v!", State.FIRING),
        ("CFOOF", "!..v!", State.FIRING),
        ("FSSSO", "!....", State.RECOVERING),
        ("FOSO", "!..v", State.OK),
        ("FOEO", "!..v", State.OK),
        ("FEEE", "!...", State.FIRING),
        ("FSS", "!..", State.FIRING),
    ],
)
def test_a_problem_moves_as_in_the_table(letters: str, said: str, state: State | None) -> None:
    problem, heard = told(letters)
    assert heard == said
    assert (problem.state if problem else None) == state


@pytest.mark.parametrize(
    ("letters", "said", "state"),
    [
        ("w", ".", State.PENDING),
        ("wO", "..", State.PENDING),
        ("wOO", "...", State.OK),
        ("ww", ".!", State.FIRING),
        ("wOw", "..!", State.FIRING),
        ("wOOw", "....", State.PENDING),
        ("wOOwOw", ".....!", State.FIRING),
        ("W", "!", State.FIRING),
        ("wW", ".!", State.FIRING),
        ("F", "!", State.FIRING),
        ("wC", ".!", State.FIRING),
        ("wSw", "..!", State.FIRING),
        ("wE", "..", State.PENDING),
        ("wwOO", ".!.v", State.OK),
        ("wwOOw", ".!.v.", State.PENDING),
    ],
)
def test_in_short_windows_one_weak_finding_is_no_news(letters: str, said: str, state: State) -> None:
    problem, heard = told(letters, HOUR)
    assert heard == said
    assert problem is not None
    assert problem.state == state


def test_in_daily_windows_a_weak_finding_is_news_at_once() -> None:
    assert told("w", DAY)[1] == "!"
    assert told("w", 23 * HOUR)[1] == "."


@pytest.mark.parametrize(
    ("more", "k"),
    [
        ({"score": 1.9}, 2),
        ({"score": 2.0}, 1),
        ({"score": 1e6}, 1),
        ({"score": 1.1, "severity": CRITICAL}, 1),
        ({"score": 1.1, "bounds": Bounds(at_most=1.0)}, 1),
        ({"score": None, "bounds": None}, 1),
        ({"score": None, "bounds": Bounds(learned=True)}, 2),
    ],
)
def test_only_a_learned_finding_near_its_bound_has_to_come_twice(more: dict[str, Any], k: int) -> None:
    given_ = sighting("w", 0, HOUR)
    assert needed(replace(given_, result=replace(given_.result, **more)))[0] == k


def test_since_is_the_start_of_the_first_bad_window() -> None:
    problem, _ = told("OwOw", HOUR)
    assert problem is not None
    assert problem.since == START + HOUR
    problem, _ = told("FOOSF")
    assert problem is not None
    assert problem.since == START + 4 * DAY


def test_a_problem_keeps_the_worst_severity_and_the_last_value() -> None:
    problem, _ = told("FCF")
    assert problem is not None
    assert (problem.severity, problem.value, problem.message) == (CRITICAL, 2.0, "result 2")


def test_a_problem_that_is_over_forgets_what_it_belonged_to_and_stays_readable() -> None:
    opened, _ = told("C")
    assert opened is not None
    once, _ = advance(replace(opened, incident=7), sighting("O", 1))
    over, move = advance(once, sighting("O", 2))
    assert over is not None
    assert move is Move.RESOLVED
    assert (over.incident, over.since, over.severity, over.state) == (None, None, None, State.OK)
    assert over.message == "result 0"


def test_a_result_of_a_window_seen_before_moves_nothing() -> None:
    problem, _ = told("FO")
    for letter in "FCOwSE":
        for number in (0, 1):
            assert advance(problem, sighting(letter, number)) == (problem, None)


def test_a_fingerprint_is_of_what_it_is_and_not_of_what_was_measured() -> None:
    one = sighting("F", 0)
    assert sighting("C", 5, HOUR, value=9.0, message="other", bounds=None, score=3.0).fingerprint == one.fingerprint
    others = [
        replace(one, subject="refunds"),
        replace(one, result=replace(one.result, column="b")),
        replace(one, result=replace(one.result, segment="a")),
        replace(one, result=replace(one.result, column=None, segment="a")),
        replace(one, result=replace(one.result, check="missing(b)")),
    ]
    assert len({s.fingerprint for s in [one, *others]}) == 6


letters = st.text("FCwWOSE", min_size=1, max_size=40)
lengths = st.sampled_from([HOUR, DAY])


@given(letters, lengths)
def test_no_problem_leaves_firing_without_two_passes_in_a_row(said: str, length: timedelta) -> None:
    problem, verdicts = None, ""
    for number, letter in enumerate(said):
        before = problem
        problem, move = advance(problem, sighting(letter, number, length))
        verdicts += {"O": "O", "S": "", "E": ""}.get(letter, "F")
        if move is Move.RESOLVED:
            assert verdicts.endswith("OO")
        if before is not None and before.lasting:
            assert problem is not None
            assert problem.lasting or verdicts.endswith("OO")


@given(letters, lengths)
def test_opened_and_resolved_take_turns(said: str, length: timedelta) -> None:
    turns = told(said, length)[1].replace(".", "").replace("^", "")
    assert "!!" not in turns
    assert "vv" not in turns
    assert not turns.startswith("v")


@given(letters, lengths)
def test_worse_is_told_once_per_opening(said: str, length: timedelta) -> None:
    for part in told(said, length)[1].split("v"):
        assert part.count("^") <= 1
        assert "^" not in part.split("!")[0]


@given(letters, lengths, st.data())
def test_replays_change_nothing(said: str, length: timedelta, data: st.DataObject) -> None:
    problem = None
    for number, letter in enumerate(said):
        problem, _ = advance(problem, sighting(letter, number, length))
        if problem is not None and problem.last_end is not None:
            seen = data.draw(st.integers(0, number))
            again = sighting(data.draw(st.sampled_from("FCO")), seen, length)
            if again.end <= problem.last_end:
                assert advance(problem, again) == (problem, None)
    assert (problem, told(said, length)[1]) == told(said, length)


@given(letters)
def test_what_is_remembered_is_bounded(said: str) -> None:
    problem, _ = told(said * 3)
    assert problem is None or len(problem.outcomes) <= REMEMBERED


@given(letters, lengths)
def test_what_lasts_has_a_beginning_and_a_severity(said: str, length: timedelta) -> None:
    problem, _ = told(said, length)
    if problem is not None and problem.lasting:
        assert problem.since is not None
        assert problem.severity is not None
