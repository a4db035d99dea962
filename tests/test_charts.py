"""Charts: a PNG of the right size whatever the numbers are, and what is bad is drawn apart."""

from __future__ import annotations

import struct
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alerts.charts import Point, against_reference, over_time, small
from checks.grid import Grid
from checks.histogram import Histogram
from checks.profile import Counts
from checks.result import Bounds

AT = datetime(2026, 11, 20, tzinfo=UTC)
NONE = Bounds()


def points(*values: float | None, bad: tuple[int, ...] = ()) -> list[Point]:
    return [Point(AT + timedelta(hours=n), value, n in bad) for n, value in enumerate(values)]


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    wide, high = struct.unpack(">II", png[16:24])
    return wide, high


def numbers(*values: float, missing: int = 0) -> Histogram:
    grid = Grid(50.0, 10.0)
    buckets: dict[int, tuple[int, float]] = {}
    for value in values:
        rows, total = buckets.get(grid.bucket(value), (0, 0.0))
        buckets[grid.bucket(value)] = (rows + 1, total + value)
    return Histogram.of(grid, buckets, missing=missing)


EVEN = points(1.0, 1.1, 0.9, 1.0)


def test_a_chart_is_twice_as_wide_as_a_phone_shows_it_and_small() -> None:
    png = over_time(points(*[0.01] * 500, 0.4, bad=(500,)), Bounds(at_most=0.02), "missing(amount) in orders", "share")
    assert size(png) == (720, 396)
    assert len(png) < 100_000
    assert size(small(EVEN, NONE)) == (300, 72)


def test_the_same_numbers_make_the_same_picture_and_a_bad_window_another() -> None:
    assert over_time(EVEN, NONE, "a") == over_time(EVEN, NONE, "a")
    marked = points(1.0, 1.1, 0.9, 1.0, bad=(1,))
    assert over_time(marked, NONE, "a") != over_time(EVEN, NONE, "a")
    assert small(marked, NONE) != small(EVEN, NONE)
    assert over_time(EVEN, Bounds(at_most=1.2), "a") != over_time(EVEN, NONE, "a")


def test_bad_windows_differ_from_others_without_colour_too() -> None:
    assert _grey(small(points(1.0, 1.1, 0.9, 1.0, bad=(1,)), NONE)) != _grey(small(EVEN, NONE))


def _grey(png: bytes) -> bytes:
    import io

    from PIL import Image

    # Down to four shades, as a bad print has them.
    shades: bytes = Image.open(io.BytesIO(png)).convert("L").quantize(4).convert("L").tobytes()
    return shades


@pytest.mark.parametrize(
    "values",
    [
        (0.0,),
        (0.0, 0.0),
        (1e308, -1e308, 0.0),
        (5e-324, 1e-300),
        (float("inf"), 1.0, float("nan")),
        (None, 1.0, None),
        tuple(float(n) for n in range(3000)),
    ],
)
@pytest.mark.parametrize("unit", ["number", "share", "rows", "seconds"])
def test_no_numbers_break_it(values: tuple[float | None, ...], unit: Any) -> None:
    assert size(over_time(points(*values, bad=(0,)), Bounds(-1e308, 1e308), "extreme", unit)) == (720, 396)
    assert size(small(points(*values), Bounds(float("nan"), float("inf")))) == (300, 72)


@pytest.mark.parametrize("title", ["", "$\\frac{1}{0", "データ 🔥 \u202eevil", "a\nb\x00c", "x" * 5000, "a_b^c % #"])
def test_no_name_breaks_it(title: str) -> None:
    assert size(over_time(EVEN, NONE, title)) == (720, 396)
    assert size(against_reference(Counts({title: 3}), Counts({"b": 2, title: 1}), title)) == (720, 396)


@pytest.mark.parametrize("nothing", [(), (None,), (float("nan"), float("inf"))])
def test_without_a_value_it_says_so(nothing: tuple[float | None, ...]) -> None:
    with pytest.raises(ValueError, match="no value to draw"):
        over_time(points(*nothing), NONE, "a")
    with pytest.raises(ValueError, match="no value to draw"):
        small(points(*nothing), NONE)


@pytest.mark.parametrize(
    ("now", "before"),
    [
        (numbers(), numbers(1.0)),
        (numbers(1.0), numbers()),
        (Counts({}), Counts({"a": 1})),
        (Counts({"a": 1}), Counts({})),
    ],
)
def test_nothing_has_no_distribution(now: Any, before: Any) -> None:
    with pytest.raises(ValueError, match="no value to draw"):
        against_reference(now, before, "a")


def test_numbers_and_categories_do_not_go_together() -> None:
    with pytest.raises(ValueError, match="numbers and categories"):
        against_reference(Counts({"a": 1}), numbers(1.0), "a")


@pytest.mark.parametrize(
    ("now", "before"),
    [
        (numbers(*range(100), missing=7), numbers(*range(50))),
        (numbers(5.0), numbers(5.0)),
        (numbers(1e300, -1e300), numbers(0.0)),
        (Counts({str(n): n + 1 for n in range(1000)}, other=5), Counts({"x": 1}, missing=3)),
        (Counts({"": 1}), Counts({}, other=9)),
    ],
)
def test_any_two_of_a_kind_are_drawn(now: Any, before: Any) -> None:
    assert size(against_reference(now, before, "amount: now and reference")) == (720, 396)


def test_the_daemon_does_not_pay_for_charts_that_others_draw() -> None:
    code = "import sys, alerts.charts; sys.exit(any(m in sys.modules for m in ('matplotlib', 'numpy', 'pandas')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
