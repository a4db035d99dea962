"""The same keys in every window, where a window was bad, empty, missing or of another type: the next healthy one is left alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from checks.base import Past, Table, View
from checks.changes import Changes
from checks.keyed import Keyed
from checks.pending import judged
from checks.question import Keys
from checks.recurring import Moves
from checks.result import Result, Severity, Status
from tests.test_changes import COLUMNS, JUDGED, KEY, SCHEMA, SHOPS, keyed, snapshots, window

DAYS = [keyed(one) for one in snapshots(SHOPS, 1)]
PAST, NOW = DAYS[:JUDGED], DAYS[JUDGED]


def part(answer: Keyed, keys: slice) -> Keyed:
    return Keyed(answer.keys[keys], {column: values[keys] for column, values in answer.values.items()})


def verdict(past: dict[int, Keyed], now: Keyed = NOW, column: str | None = None, schema: Any = SCHEMA, **more: Any) -> Result:
    """On the window after ninety; `past` are those by their day."""
    history = [Past(window(day), len(one.keys), {KEY: one}, schema) for day, one in sorted(past.items())]
    at = window(JUDGED)
    view = View(at, at.end, len(now.keys), SCHEMA, {KEY: now}, history=history, **more)
    [found] = judged(Changes(key=("shop",), column=column), view)
    return found


@pytest.mark.parametrize("kept", [1, 8, 16])
def test_keys_that_come_back_after_a_bad_window_are_not_new(kept: int) -> None:
    assert verdict(dict(enumerate([*PAST[:-1], part(PAST[-1], slice(kept))]))).status is Status.PASSED


def test_keys_that_are_all_new_after_a_bad_window_are_told() -> None:
    others = Keyed(tuple(sorted(f"{n:016x}" for n in range(SHOPS))), NOW.values)
    assert verdict(dict(enumerate([*PAST[:-1], part(PAST[-1], slice(8))])), others).severity is Severity.CRITICAL


def test_few_keys_that_are_left_are_told_and_no_keys_at_all_are_nothing_to_judge() -> None:
    assert verdict(dict(enumerate(PAST)), part(NOW, slice(1))).status is Status.FAILED
    empty = verdict(dict(enumerate(PAST)), part(NOW, slice(0)))
    assert (empty.status, empty.message) == (Status.SKIPPED, "changes: no keys to judge in 0 rows")


@pytest.mark.parametrize("column", [None, *COLUMNS])
def test_after_a_gap_there_are_changes_of_more_than_one_window(column: str | None) -> None:
    found = verdict({day: one for day, one in enumerate(PAST) if day < JUDGED - 4}, column=column)
    assert found.status is Status.SKIPPED
    assert "the window before this one is not known" in found.message


def test_a_gap_of_every_weekend_is_usual() -> None:
    first = JUDGED % 7
    assert verdict({day: one for day, one in enumerate(PAST) if (day - first) % 7 < 5}, column="turnover").status is Status.PASSED


def test_what_was_text_for_a_day_did_not_fall_when_it_is_a_number_again() -> None:
    texts = replace(PAST[-1], values={**PAST[-1].values, "turnover": PAST[-1].values["turnover"] + 4e9})
    past = dict(enumerate([*PAST[:-1], texts]))
    history = [Past(window(day), SHOPS, {KEY: one}, SCHEMA) for day, one in past.items()]
    history[-1] = replace(history[-1], schema={**SCHEMA, "turnover": "string"})
    at = window(JUDGED)
    view = View(at, at.end, SHOPS, SCHEMA, {KEY: NOW}, history=history)
    [found] = judged(Changes(key=("shop",), column="turnover"), view)
    assert found.status is Status.SKIPPED
    assert verdict(past, column="turnover").status is Status.FAILED


def test_a_gross_change_as_large_as_an_expected_one_is_no_finding() -> None:
    place = next(n for n, key in enumerate(NOW.keys) if all(key in one.keys for one in PAST[40:]))

    def wrong(answer: Keyed) -> Keyed:
        values = answer.values["rating"].copy()
        values[answer.keys.index(NOW.keys[place])] *= 300
        return replace(answer, values={**answer.values, "rating": values})

    past = dict(enumerate(PAST))
    past[60] = wrong(past[60])
    assert verdict(past, wrong(NOW), "rating").severity is Severity.CRITICAL
    assert verdict(past, wrong(NOW), "rating", marks={window(60).start: "expected"}).status is Status.PASSED


def test_values_near_the_ends_of_all_numbers_are_judged_without_overflow() -> None:
    ends = np.array([[5e-324, 1.7e308, -1.7e308, 1.0, 0.0]] * 6)
    ends[-1] = [1e308, -1.7e308, 1.7e308, -1e-320, np.inf]
    answers = [Keyed(tuple("abcde"), {"area": row}) for row in ends]
    for one in answers:
        one.__dict__["hashes"] = np.arange(5, dtype=np.uint64)
    with np.errstate(all="raise", under="ignore"):
        moves = Moves.of(answers, "area")
    assert np.isfinite(moves.in_usual_ones).all()
    assert moves.changed[-1].tolist() == [True, True, True, True, False]


def test_columns_to_leave_alone_are_not_asked() -> None:
    found = Changes.automatic(Table(SCHEMA, exclude=frozenset({"city"}), key=("shop",)))
    asked = {question for check in found for question in check.questions(SCHEMA)}
    assert asked == {Keys(("shop",), tuple(c for c in COLUMNS if c != "city"))}
