"""Distances of a history's windows from those before them: computed once, kept with the window, and never those of others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from checks.distance import Distance, methods
from checks.histogram import Histogram
from checks.own_history import earlier, last
from checks.profile import Counts, Grid, Profile
from checks.window import Window

DAY = timedelta(days=1)
FIRST = datetime(2026, 3, 1, tzinfo=UTC)
MOST, LEAST = 28, 7
Answer = Histogram | Counts


def numbers(day: int) -> Histogram:
    values = np.random.default_rng(day).normal(100 + day % 3, 10, 500)
    grid = Grid(100.0, 10.0)
    buckets: dict[int, tuple[int, float]] = {}
    for x in values:
        n, total = buckets.get(grid.bucket(x), (0, 0.0))
        buckets[grid.bucket(x)] = (n + 1, total + x)
    return Histogram.of(grid, buckets, low=float(values.min()), high=float(values.max()))


def texts(day: int) -> Counts:
    rows = np.random.default_rng(day).multinomial(500, [0.5, 0.3, 0.2])
    return Counts({name: int(n) for name, n in zip("abc", rows, strict=True)}, distinct=3)


BOTH = pytest.mark.parametrize(
    ("made", "method"), [(numbers, methods()["asinh_wasserstein"]), (texts, methods()["jensen_shannon"])], ids=["numbers", "texts"]
)


def found(method: Distance, answers: Sequence[Answer], first: int = 0) -> list[float]:
    windows = [Window(FIRST + (first + n) * DAY, FIRST + (first + n + 1) * DAY) for n in range(len(answers))]
    # In the order of a check: the judged window's own, then those of the windows before it.
    value, _ = last(method, windows, answers, MOST)
    return [*earlier(method, windows[:-1], answers[:-1], MOST, LEAST), value]


@BOTH
def test_one_after_the_other_or_all_at_once(made: Callable[[int], Answer], method: Distance) -> None:
    in_order = [made(day) for day in range(60)]
    for upto in range(LEAST + 1, 60):
        found(method, in_order[:upto])
    assert found(method, in_order) == pytest.approx(found(method, [made(day) for day in range(60)]), rel=0.05)


@BOTH
def test_what_was_computed_is_stored_with_the_window(made: Callable[[int], Answer], method: Distance) -> None:
    answers = [made(day) for day in range(40)]
    whole = found(method, answers)
    again = []
    for answer in answers:
        stored = Profile({}, 500, {("", ""): {"x": answer}}).to_bytes()
        read = Profile.from_bytes(stored).answers()["x"]
        assert isinstance(read, Histogram | Counts)
        assert read.compared == answer.compared
        again.append(read)
    assert found(method, again) == whole


@BOTH
def test_a_distance_from_other_windows_is_not_taken(made: Callable[[int], Answer], method: Distance) -> None:
    answers = [made(day) for day in range(40)]
    found(method, answers)
    for answer in answers:
        # Wrong on purpose: whatever is taken over shows.
        answer.compared.update({key: 77.0 for key in answer.compared if key[0] == method.name})
    assert found(method, answers) == [77.0] * (len(answers) - LEAST)
    # Without the first window, those of the early ones are from others, and so are those of another method.
    later = found(method, answers[1:], first=1)
    assert later[: MOST - LEAST] != [77.0] * (MOST - LEAST)
    assert 77.0 not in later[: MOST - LEAST]
    assert later[MOST - LEAST :] == [77.0] * (40 - 1 - MOST)
    assert 77.0 not in found(methods()["total_variation"], answers)


def test_a_distance_that_is_not_finite_is_not_stored() -> None:
    answer = texts(1)
    answer.compared["x", 1, 0.0] = float("nan")
    answer.compared["y", 1, 0.0] = ["a", 0.5, float("inf")]
    answer.compared["y", 2, 0.0] = ["a", 0.5, None]
    answer.compared["x", 2, 0.0] = 0.5
    read = Profile.from_bytes(Profile({}, 1, {("", ""): {"x": answer}}).to_bytes()).answers()["x"]
    assert isinstance(read, Counts)
    assert read.compared == {("x", 2, 0.0): 0.5, ("y", 2, 0.0): ["a", 0.5, None]}


@BOTH
def test_what_was_compared_with_windows_that_were_measured_once_more_is_computed_anew(
    made: Callable[[int], Answer], method: Distance
) -> None:
    answers = [made(day) for day in range(40)]
    found(method, answers)
    answers[-1].compared.update({key: 77.0 for key in answers[-1].compared if key[0] == method.name})
    assert found(method, answers)[-1] == 77.0
    # The same window, of other values: neither the first nor the last of those before.
    answers[30] = made(100)
    assert found(method, answers)[-1] != 77.0
