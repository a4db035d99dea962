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
    places, rows = once.by_value_once(values)
    for one, other in zip(rows, masses.aligned(values), strict=True):
        assert (one == other.rows).all()
        assert places == other.places


def test_categories_of_many_windows_are_counted_side_by_side() -> None:
    """Windows of the same values, of others, and of so many that some are not named."""
    many = {f"v{n:03}": n + 1 for n in range(200)}
    answers = [Counts({"a": 5, "b": 1}), Counts({"b": 2, "a": 1}), Counts({"c": 7}), Counts({}), Counts({"a": 1, **many})]
    places, rows = masses.by_value(answers)
    assert places == ("a", "b", "c", *sorted(many))
    for _ in range(2):
        for answer, row in zip(answers, masses.by_value(answers)[1], strict=True):
            assert row.tolist() == [*(float(answer.counts.get(value, 0)) for value in places), 0.0]
    places, rows = masses.by_value([*answers[:2], Counts({"a": 3, "c": 1}, other=4)])
    assert (places, rows.tolist()) == (("a", "c"), [[5.0, 0.0, 1.0], [1.0, 0.0, 2.0], [3.0, 1.0, 4.0]])
    assert masses.by_value([Counts({}, other=2)])[1].tolist() == [[2.0]]
    assert answers[0].names is answers[1].names, "kept once, however many windows have them"
    assert answers[4].names == {"a", *many}
    assert "names" not in answers[4].cache, "so many take too much place"
    for number in range(10):
        answers[0].rows(("a", f"v{number}"))
    assert len(answers[0].cache["rows"]) <= 4, "what was asked for long ago is not kept"


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
