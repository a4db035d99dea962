"""Columns that go together: told where one of them moves by itself, by less than it moves every day; silent where both do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from checks.agreement import Agreement
from checks.base import Past, View
from checks.numbers import Numbers
from checks.pending import judged
from checks.profile import Answers, Counts, Grid, Histogram
from checks.result import Family, Result, Severity, Status
from checks.window import Window

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
ROWS = 1000
GRID = Grid(100.0, 10.0)
CHECK = Agreement()
DAYS = 91

Day = Mapping[str, tuple[float, float]]
"""Column -> its mean and the share that is missing."""


def window(day: int) -> Window:
    return Window(START + day * DAY, START + (day + 1) * DAY)


def answers(day: Day) -> Answers:
    """A window in which every column has values of ten sizes around its mean; `city` is a text of one value."""
    found: dict[str, Histogram | Counts] = {}
    for column, (mean, missing) in day.items():
        lost = round(missing * ROWS)
        if column == "city":
            found["categories(city)"] = Counts({"x": ROWS - lost}, missing=lost, distinct=1)
            continue
        values = [mean * (0.55 + 0.1 * n) for n in range(10)]
        buckets: dict[int, tuple[int, float]] = {}
        for value in values:
            rows, total = buckets.get(GRID.bucket(value), (0, 0.0))
            buckets[GRID.bucket(value)] = (rows + (ROWS - lost) // 10, total + value * ((ROWS - lost) // 10))
        found[f"distribution({column})"] = Histogram.of(GRID, buckets, missing=lost, low=min(values), high=max(values))
    return found


def schema(day: Day) -> dict[str, str]:
    return {column: "string" if column == "city" else "float64" for column in day}


def found(days: Sequence[Day], check: Agreement = CHECK, **more: Any) -> dict[str | None, Result]:
    """The verdicts on the last day, by column."""
    *past, now = days
    history = [Past(window(n), ROWS, answers(day), schema(day)) for n, day in enumerate(past)]
    at = window(len(past))
    view = View(at, at.end, ROWS, schema(now), answers(now), history=history, **more)
    return {result.column: result for result in judged(check, view)}


def sales(days: int = DAYS, seed: int = 1) -> list[dict[str, tuple[float, float]]]:
    """`net` moves by a tenth from day to day and `gross` with it; `weight` has nothing to do with them."""
    draw = np.random.default_rng(seed)
    made = []
    for _ in range(days):
        net = 100 * float(np.exp(draw.normal(0, 0.1)))
        gross = 1.19 * net * float(np.exp(draw.normal(0, 0.005)))
        made.append({"net": (net, 0.0), "gross": (gross, 0.0), "weight": (50 * float(np.exp(draw.normal(0, 0.1))), 0.0)})
    return made


def test_what_moves_by_itself_is_told_though_it_moves_more_every_day() -> None:
    days = sales()
    days[-1] = {**days[-1], "net": (100.0, 0.0), "gross": (1.19 * 100 * 0.93, 0.0)}
    results = found(days)
    assert set(results) == {"net", "gross"}
    gross = results["gross"]
    assert (gross.status, gross.severity, gross.family) == (Status.FAILED, Severity.CRITICAL, Family.DRIFT), gross.message
    assert gross.message.startswith("agreement(gross): the mean given `net` is ")
    assert (gross.details or {})["number"] == "mean given `net`"
    # By itself the same mean is nothing.
    history = [Past(window(n), ROWS, answers(day), schema(day)) for n, day in enumerate(days[:-1])]
    at = window(len(days) - 1)
    [alone] = judged(Numbers(column="gross"), View(at, at.end, ROWS, schema(days[-1]), answers(days[-1]), history=history))
    assert alone.status is Status.PASSED, alone.message


def test_what_moves_together_passes_however_far() -> None:
    days = sales()
    days[-1] = {**days[-1], "net": (180.0, 0.0), "gross": (1.19 * 180, 0.0)}
    results = found(days)
    assert {result.status for result in results.values()} == {Status.PASSED}, [r.message for r in results.values()]


def test_healthy_days_are_silent() -> None:
    for seed in range(20):
        for result in found(sales(seed=seed)).values():
            assert result.status is Status.PASSED, result.message


def test_a_sum_goes_with_its_two_parts() -> None:
    draw = np.random.default_rng(3)
    days = []
    for _ in range(DAYS):
        casual, registered = (float(v) for v in draw.uniform([20, 60], [60, 100]))
        days.append({"casual": (casual, 0.0), "registered": (registered, 0.0), "all": (casual + registered, 0.0)})
    days[-1] = {"casual": (40.0, 0.0), "registered": (80.0, 0.0), "all": (126.0, 0.0)}
    results = found(days)
    whole = results["all"]
    assert (whole.status, whole.column) == (Status.FAILED, "all"), whole.message
    assert "`casual`" in whole.message
    assert "`registered`" in whole.message


def outages(days: int = DAYS) -> list[dict[str, tuple[float, float]]]:
    """`left` and `arrived`, and the text `city`, are missing in the same rows, of which there are more or less."""
    draw = np.random.default_rng(5)
    made = []
    for _ in range(days):
        share = round(float(draw.uniform(0.01, 0.15)), 3)
        made.append(dict.fromkeys(("left", "arrived", "city"), (100.0, share)))
    return made


def test_what_is_missing_without_the_others_is_told() -> None:
    days = outages()
    days[-1] = {"left": (100.0, 0.05), "arrived": (100.0, 0.05), "city": (100.0, 0.10)}
    results = found(days)
    # In one incident with the missing values themselves.
    assert (results["city"].status, results["city"].family) == (Status.FAILED, Family.QUALITY), results["city"].message
    assert "the missing share given `" in results["city"].message
    days[-1] = dict.fromkeys(("left", "arrived", "city"), (100.0, 0.16))
    assert {result.status for result in found(days).values()} == {Status.PASSED}


def test_columns_that_only_share_their_weekends_do_not_go_together() -> None:
    draw = np.random.default_rng(7)
    days = []
    for n in range(DAYS):
        calm = 0.5 if n % 7 > 4 else 1.0
        days.append({c: (100 * calm * float(np.exp(draw.normal(0, 0.05))), 0.0) for c in ("a", "b")})
    [skipped] = found(days).values()
    assert (skipped.status, skipped.column) == (Status.SKIPPED, None)
    assert skipped.message == "agreement: no columns go together in 90 windows"


def test_of_a_gross_fault_only_the_column_that_has_it_is_told() -> None:
    days = sales()
    net = 100.0
    days[-1] = {**days[-1], "net": (net, 0.0), "gross": (119 * net, 0.0)}
    results = found(days)
    assert results["gross"].status is Status.FAILED
    assert "net" not in results


def test_a_short_history_says_nothing() -> None:
    [skipped] = found(sales(30)).values()
    assert (skipped.status, skipped.message) == (Status.SKIPPED, "agreement: still learning what is usual (29 of 35 windows)")


def test_what_was_before_an_accepted_level_is_not_compared() -> None:
    days = sales()
    half = [{**day, "gross": (2 * day["gross"][0], 0.0)} for day in days[:45]]
    mixed = [*half, *days[45:]]
    assert found(mixed, accepted={"gross": window(45).start}).keys() == {None}, "45 windows of 90 are too few to be known of"
    assert found(mixed[40:], accepted={"gross": window(5).start})["gross"].status is Status.PASSED


def test_a_column_that_is_left_alone_is_not_asked_nor_judged() -> None:
    check = Agreement(exclude=("net",))
    assert [question.column for question in check.questions(schema(sales(1)[0]))] == ["gross", "weight"]
    assert found(sales(), check).keys() == {None}


@pytest.mark.parametrize("wild", [0.0, 1e300, -1e300])
def test_numbers_of_any_size_are_no_error(wild: float) -> None:
    days = sales()
    days[20] = {**days[20], "net": (wild, 0.0)}
    days[-1] = {**days[-1], "weight": (wild, 1.0)}
    assert all(result.status is not Status.ERRORED for result in found(days).values())


def test_a_text_column_that_appears_is_not_yet_known() -> None:
    days: list[dict[str, tuple[float, float]]] = sales()
    days[-1] = {**days[-1], "city": (100.0, 0.1)}
    assert set(found(days)) == {"net", "gross"}
