"""What several checks make of the same answers is made once, and never taken for that of others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from checks import gathering, masses, once
from checks.base import Past, View
from checks.distance import methods
from checks.drift import AUTO, Drift
from checks.masses import aligned, pooled
from checks.pending import judged
from checks.profile import Answer, Counts, Grid, Histogram
from checks.window import Window

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
GRID = Grid(50.0, 10.0)


def test_the_same_answers_are_worked_on_once() -> None:
    seen: list[tuple[Sequence[object], float]] = []

    def work(answers: Sequence[object], least: float) -> int:
        seen.append((answers, least))
        return len(seen)

    shared = once.once(work)
    one, same = [1.0, 2.0], [1.0, 2.0]
    a, b = object(), object()
    assert [shared([a, b], 0.1), shared([a, b], 0.1)] == [1, 1]
    assert shared([b, a], 0.1) == 2, "in another order they are another history"
    assert shared([a, b], 0.2) == 3
    assert shared([one], 0.1) != shared([same], 0.1), "equal is not the same: it may be changed"


def test_no_more_is_kept_than_a_few() -> None:
    shared = once.once(lambda answers: [len(answers)])
    kept = [object() for _ in range(5)]
    first = shared([kept[0]])
    for other in kept[1:]:
        shared([other])
    assert shared([kept[0]]) is not first
    assert shared([kept[0]]) is shared([kept[0]])


def test_a_fault_is_not_kept() -> None:
    tries: list[int] = []

    def work(answers: Sequence[object]) -> int:
        tries.append(1)
        if len(tries) == 1:
            raise ZeroDivisionError
        return 5

    shared, answer = once.once(work), [object()]
    with pytest.raises(ZeroDivisionError):
        shared(answer)
    assert shared(answer) == 5


def test_the_shared_forms_are_those_of_the_work_itself() -> None:
    numbers, values = [spread(n) for n in range(9)], [named(n) for n in range(9)]
    assert (once.gathered_once(numbers, 1 / 1000).rows == gathering.gathered(numbers, 1 / 1000).rows).all()
    for one, other in zip(once.aligned_once(values), masses.aligned(values), strict=True):
        assert (one.rows == other.rows).all()
        assert one.places == other.places


def spread(day: int, shift: float = 0.0) -> Histogram:
    buckets: dict[int, tuple[int, float]] = {}
    for step in range(400):
        value = 50 + shift + ((step * 37 + day * 11) % 400 - 200) / 9
        n, total = buckets.get(GRID.bucket(value), (0, 0.0))
        buckets[GRID.bucket(value)] = n + 1, total + value
    return Histogram.of(GRID, buckets, low=20.0, high=100.0)


def named(day: int, shift: int = 0) -> Counts:
    return Counts({"DE": 500 + day % 5 + shift, "FR": 300 - day % 3 - shift, "IT": 10}, distinct=3)


def view(column: str, now: Answer, past: Sequence[Answer], kind: str) -> View:
    history = [Past(Window(START + n * DAY, START + (n + 1) * DAY), 400, {column: one}, {"x": kind}) for n, one in enumerate(past)]
    window = Window(START + len(past) * DAY, START + (len(past) + 1) * DAY)
    return View(window, window.end, 400, {"x": kind}, {column: now}, history=history)


@pytest.mark.parametrize("shift", [0.0, 0.5, 5.0, 30.0])
def test_a_drift_of_numbers_is_the_distance_from_the_windows_before(shift: float) -> None:
    past, now = [spread(n) for n in range(40)], spread(40, shift)
    [found] = judged(Drift(column="x"), view("distribution(x)", now, past, "float64"))
    *before, this = aligned([*past[-28:], now])
    assert found.value == pytest.approx(methods()[AUTO["number"]](this, pooled(before)), rel=0.05, abs=1e-4)
    assert f"the mean is {now.mean():.4g}, was" in found.message


@pytest.mark.parametrize("shift", [0, 20, 290])
def test_a_drift_of_values_is_the_distance_from_the_windows_before(shift: int) -> None:
    past, now = [named(n) for n in range(40)], named(40, shift)
    [found] = judged(Drift(column="x"), view("categories(x)", now, past, "string"))
    *before, this = aligned([*past[-28:], now])
    assert found.value == pytest.approx(methods()[AUTO["category"]](this, pooled(before)), rel=1e-9)
    assert "from the last 28 windows" in found.message
