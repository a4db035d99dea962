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
        if lost == ROWS:
            found[f"distribution({column})"] = Histogram.of(GRID, {}, missing=lost)
            continue
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


@pytest.mark.parametrize(
    ("times", "told"), [(0.93, {"net", "gross"}), (0.85, {"net", "gross"}), (0.6, {"gross"}), (1.4, {"gross"})]
)
def test_of_two_that_part_the_one_that_is_further_from_where_it_always_is_is_told(times: float, told: set[str]) -> None:
    for off in ("net", "gross"):
        days = sales()
        day = {"net": 100.0, "gross": 119.0}
        day[off] *= times
        days[-1] = {**days[-1], **{column: (mean, 0.0) for column, mean in day.items()}}
        other = {"net": "gross", "gross": "net"}
        results = found(days)
        assert set(results) == (told if off == "gross" else {other[column] for column in told}), (off, results.keys())
        assert results[off].status is Status.FAILED, results[off].message


def test_what_does_not_follow_two_that_moved_together_is_told() -> None:
    """They are further from where they always are, and say nothing against each other: nobody else would tell of it."""
    draw = np.random.default_rng(3)
    days: list[dict[str, tuple[float, float]]] = []
    for _ in range(DAYS):
        visits = 100 * float(np.exp(draw.normal(0, 0.25)))
        views, orders = (visits * float(np.exp(draw.normal(0, spread))) for spread in (0.02, 0.12))
        days.append({"visits": (visits, 0.0), "views": (views, 0.0), "orders": (orders, 0.0)})
    days[-1] = {"visits": (250.0, 0.0), "views": (250.0, 0.0), "orders": (100.0, 0.0)}
    results = found(days)
    assert {column: result.status for column, result in results.items()} == {
        "visits": Status.PASSED,
        "views": Status.PASSED,
        "orders": Status.FAILED,
    }


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


def factor(days: int = DAYS, columns: int = 8, seed: int = 11) -> list[dict[str, tuple[float, float]]]:
    """Columns that all follow one factor, by a tenth from day to day, and each but the first itself a little."""
    draw = np.random.default_rng(seed)
    made = []
    for _ in range(days):
        level = 100 * float(np.exp(draw.normal(0, 0.1)))
        made.append({f"c{n}": (level * (1 + n / 10) * float(np.exp(draw.normal(0, 0.003 * (n > 0)))), 0.0) for n in range(columns)})
    return made


@pytest.mark.parametrize("faulty", ["c0", "c5"])
def test_of_many_that_go_together_the_one_that_does_not_is_told_alone(faulty: str) -> None:
    days = factor()
    mean, _ = days[-1][faulty]
    days[-1] = {**days[-1], faulty: (0.9 * mean, 0.0)}
    told = {column for column, result in found(days).items() if result.status is Status.FAILED}
    assert told == {faulty}


def test_two_that_part_from_what_all_go_with_are_both_told() -> None:
    days = factor()
    days[-1] = {**days[-1], **{column: (0.9 * days[-1][column][0], 0.0) for column in ("c3", "c5")}}
    told = {column for column, result in found(days).items() if result.status is Status.FAILED}
    assert told == {"c3", "c5"}


@pytest.mark.parametrize(("odd", "rows", "most"), [(1, 24, 8), (3, 1000, 200), (60, 100_000, 100)])
def test_a_few_odd_rows_are_no_finding_however_exact_it_was_before(odd: int, rows: int, most: int) -> None:
    draw = np.random.default_rng(13)

    def one(left: int, arrived: int) -> Answers:
        rest = {GRID.bucket(100.0): (10, 1000.0)}
        return {
            f"distribution({column})": Histogram.of(GRID, rest, missing=lost, low=100.0, high=100.0)
            for column, lost in (("left", left), ("arrived", arrived))
        }

    shares = draw.integers(0, most, DAYS - 1).tolist()
    named = {"left": "float64", "arrived": "float64"}
    history = [Past(window(n), rows, one(lost, lost), named) for n, lost in enumerate(shares)]

    def verdicts(more: int) -> set[Status]:
        at, lost = window(DAYS - 1), most // 2
        view = View(at, at.end, rows, named, one(lost, lost + more), history=history)
        return {result.status for result in judged(CHECK, view)}

    assert verdicts(odd) == {Status.PASSED}
    assert Status.FAILED in verdicts(8 * odd)


def test_windows_of_hours_say_nothing() -> None:
    days = sales()
    hours = [Window(START + n * DAY / 24, START + (n + 1) * DAY / 24) for n in range(DAYS)]
    history = [Past(hour, ROWS, answers(day), schema(day)) for hour, day in zip(hours, days[:-1], strict=False)]
    at = hours[-1]
    [skipped] = judged(CHECK, View(at, at.end, ROWS, schema(days[-1]), answers(days[-1]), history=history))
    assert skipped.status is Status.SKIPPED


def test_a_window_without_a_column_takes_nothing_from_the_next() -> None:
    days = sales(DAYS + 1)
    history = [Past(window(n), ROWS, answers(day), schema(day)) for n, day in enumerate(days[:-1])]
    without = {column: day for column, day in days[-2].items() if column != "gross"}
    at = window(DAYS - 1)
    [skipped] = judged(CHECK, View(at, at.end, ROWS, schema(without), answers(without), history=history[:-1]))
    assert skipped.status is Status.SKIPPED
    after = window(DAYS)
    results = judged(CHECK, View(after, after.end, ROWS, schema(days[-1]), answers(days[-1]), history=history))
    assert {result.column for result in results} == {"net", "gross"}


def test_a_table_of_no_such_columns_is_skipped_also_when_a_level_was_accepted() -> None:
    named = {"at": "timestamp"}
    history = [Past(window(n), ROWS, {}, named) for n in range(60)]
    at = window(60)
    [skipped] = judged(CHECK, View(at, at.end, ROWS, named, {}, history=history, accepted={"": window(3).start}))
    assert skipped.status is Status.SKIPPED


def test_what_the_others_explain_may_be_wrong_by_a_quarter() -> None:
    """Both twice as large as ever, one of them by a fifth too little of that, and by half of it."""
    days = sales()
    usual = float(np.median([day["net"][0] for day in days]))
    for part, status in ((0.8, Status.PASSED), (0.5, Status.FAILED)):
        gross = 1.19 * (usual + part * usual)
        days[-1] = {**days[-1], "net": (2 * usual, 0.0), "gross": (gross, 0.0)}
        assert found(days)["gross"].status is status, part


def noisy(part: float) -> list[dict[str, tuple[float, float]]]:
    """`b` is `a` and something of its own, of which so much of the variance is."""
    draw = np.random.default_rng(17)
    own, shared = np.sqrt(part), np.sqrt(1 - part)
    made = []
    for _ in range(DAYS):
        a, e = draw.normal(0, 5, 2)
        made.append({"a": (100 + float(a), 0.0), "b": (100 + float(shared * a + own * e), 0.0)})
    return made


@pytest.mark.parametrize(("own", "together"), [(0.1, True), (0.45, False)])
def test_three_quarters_must_be_explained(own: float, together: bool) -> None:
    assert (set(found(noisy(own))) == {"a", "b"}) is together


def test_one_bad_day_does_not_make_two_columns_friends() -> None:
    days = noisy(0.9)
    days[40] = {"a": (5000.0, 0.0), "b": (5000.0, 0.0)}
    assert found(days).keys() == {None}


def test_what_is_missing_does_not_go_with_what_the_values_are() -> None:
    draw = np.random.default_rng(19)
    days = []
    for _ in range(DAYS):
        share = round(float(draw.uniform(0.01, 0.2)), 3)
        days.append({"a": (100 * (1 + share), 0.0), "b": (100.0, share)})
    assert found(days).keys() == {None}


@pytest.mark.parametrize(("known", "together"), [(83, True), (70, False)])
def test_a_new_column_is_known_after_nine_tenths_of_the_windows(known: int, together: bool) -> None:
    days: list[dict[str, tuple[float, float]]] = sales()
    for place in range(DAYS - 1 - known):
        days[place] = {column: day for column, day in days[place].items() if column != "gross"}
    assert (set(found(days)) == {"net", "gross"}) is together


def test_few_changes_of_one_weekday_are_too_few() -> None:
    assert set(found(sales(39))) == {"net", "gross"}, "38 windows, 31 changes"
    days = sales(39)
    for place in (20, 25):
        days[place] = {**days[place], "gross": (100.0, 1.0)}
    assert found(days).keys() == {None}, "27 changes are known"


def test_the_mean_of_a_few_values_says_nothing() -> None:
    draw = np.random.default_rng(23)

    def one(mean: float) -> Answers:
        few = {GRID.bucket(mean): (3, 3 * mean)}
        return {f"distribution({c})": Histogram.of(GRID, few, low=mean, high=mean) for c in ("a", "b")}

    named = {"a": "float64", "b": "float64"}
    history = [Past(window(n), ROWS, one(float(draw.normal(100, 9))), named) for n in range(DAYS - 1)]
    at = window(DAYS - 1)
    assert {r.column for r in judged(CHECK, View(at, at.end, ROWS, named, one(100.0), history=history))} == {None}
