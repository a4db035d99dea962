"""What each kind of check says of a window, sentence by sentence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from checks.allowed_values import AllowedValues
from checks.base import Past, Table, View
from checks.columns import Columns
from checks.distinct import Distinct
from checks.drift import Drift
from checks.freshness import Freshness
from checks.mean import Mean
from checks.missing import Missing
from checks.pattern import Pattern
from checks.pending import judged
from checks.profile import Answers, Counts, Grid, Histogram, Number
from checks.quantile import Quantile
from checks.question import Schema
from checks.result import Result, Severity, Status
from checks.row_count import RowCount
from checks.sql import Sql
from checks.unique import Unique
from checks.value_range import ValueRange
from checks.window import Window

START = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
GRID = Grid(0.0, 1.0)


def histogram(values: Sequence[float], **apart: int) -> Histogram:
    buckets: dict[int, tuple[int, float]] = {}
    for x in values:
        n, total = buckets.get(GRID.bucket(x), (0, 0.0))
        buckets[GRID.bucket(x)] = (n + 1, total + x)
    return Histogram.of(GRID, buckets, **apart)


def view(answers: Answers | None = None, past: Sequence[Answers] = (), rows: int = 1000, **more: Any) -> View:
    schema = more.get("schema", {"x": "float64", "t": "string"})
    history = [
        Past(Window(START - DAY * b, START - DAY * (b - 1)), rows, a, schema)
        for b, a in zip(range(len(past), 0, -1), past, strict=True)
    ]
    window = more.pop("window", Window(START, START + DAY))
    return View(window, window.end, rows, **{"schema": schema, "answers": answers or {}, "history": history, **more})


def only(results: list[Result]) -> Result:
    (result,) = results
    return result


# row_count


def test_a_window_without_rows_is_critical() -> None:
    result = only(judged(RowCount(), view(rows=0)))
    assert (result.status, result.severity) == (Status.FAILED, Severity.CRITICAL)
    assert result.message == "row_count is 0: the window has no rows"


def test_a_window_without_rows_passes_where_that_is_ok() -> None:
    assert only(judged(RowCount(at_least=5), view(rows=0, empty_ok=True))).status is Status.PASSED


def test_a_segment_without_rows_is_judged_by_its_bounds() -> None:
    result = only(judged(RowCount(at_least=5), view(rows=0, segment="country=DE")))
    assert result.severity is Severity.WARNING
    assert result.segment == "country=DE"


def test_half_of_the_usual_rows_fail() -> None:
    past = [Past(Window(START - DAY * b, START - DAY * (b - 1)), 1000 + b, {}) for b in range(40, 0, -1)]
    result = only(judged(RowCount(), view(rows=300, history=past)))
    assert result.status is Status.FAILED
    assert "row_count is 300" in result.message
    assert "usual: 1 0" in result.message


# freshness


def newest(hours_before_end: float) -> Answers:
    return {"newest(at)": Number((START + DAY - timedelta(hours=hours_before_end)).timestamp(), "max")}


ZONED = {"at": "timestamp('UTC', 6)"}


def test_the_newest_row_s_age_is_held_against_a_duration() -> None:
    check = Freshness(column="at", at_most="2h")
    assert only(judged(check, view(newest(1), schema=ZONED))).status is Status.PASSED
    late = only(judged(check, view(newest(5), schema=ZONED)))
    assert late.status is Status.FAILED
    assert late.message == "freshness(at) is 5 h, at most 2 h allowed"
    assert late.value == 5 * 3600


def test_a_row_from_after_the_window_s_end_is_not_younger_than_new() -> None:
    assert only(judged(Freshness(column="at", at_most=60), view(newest(-3), schema=ZONED))).value == 0


def test_a_time_without_a_zone_is_read_in_the_dataset_s() -> None:
    window = Window(START, START + DAY, "America/New_York")
    wall = {"newest(at)": Number(datetime(2026, 3, 2, 18, tzinfo=UTC).timestamp())}
    result = only(judged(Freshness(column="at", at_most=7200), view(wall, schema={"at": "timestamp(6)"}, window=window)))
    assert result.value == 3600


def test_without_a_column_the_whole_table_s_newest_row_counts() -> None:
    answers = {"watermark": Number(START.timestamp(), "max")}
    result = only(judged(Freshness(at_most="1d"), view(answers, rows=0)))
    assert (result.status, result.value) == (Status.PASSED, 86400)


def test_a_minute_later_than_ever_is_not_worth_telling() -> None:
    result = only(judged(Freshness(column="at"), view(newest(0.05), [newest(0.001)] * 40, schema=ZONED)))
    assert result.status is Status.PASSED


@pytest.mark.parametrize("wrong", ["2 hours", "soon", "-1h"])
def test_a_duration_that_is_none_is_refused_with_the_form_wanted(wrong: str) -> None:
    with pytest.raises(ValidationError, match="such as 20m or 1d"):
        Freshness(at_most=wrong)


def test_times_kept_as_text_are_left_to_the_source() -> None:
    table = Table({"at": "string"}, time_column="at")
    assert [c.name for c in Freshness.automatic(table)] == ["freshness"]
    assert [c.name for c in Freshness.automatic(Table(ZONED, "at"))] == ["freshness(at)"]


# columns


BEFORE: Schema = {"id": "int64", "carrier": "string", "delay": "int64"}


def layout(now: Schema, expect: Any = None, before: Sequence[Schema] = (BEFORE,) * 5) -> dict[str | None, Result]:
    past = [
        Past(Window(START - DAY * b, START - DAY * (b - 1)), 10, {}, s)
        for b, s in zip(range(len(before), 0, -1), before, strict=True)
    ]
    return {r.column: r for r in judged(Columns(expect=expect), view(schema=now, history=past))}


def test_the_same_columns_in_another_order_pass() -> None:
    assert layout(dict(reversed(list(BEFORE.items()))))[None].status is Status.PASSED


def test_a_renamed_column_is_gone_and_new_and_said_to_be_so() -> None:
    found = layout({"id": "int64", "airline": "string", "delay": "int64"})
    assert found["carrier"].severity is Severity.CRITICAL
    assert found["airline"].severity is Severity.WARNING
    assert found["carrier"].message == "columns: carrier (string) is gone; airline is new and of the same type: renamed?"


def test_text_where_numbers_were_is_critical() -> None:
    found = layout({**BEFORE, "delay": "string"})
    assert found["delay"].severity is Severity.CRITICAL
    assert found["delay"].message == "columns: delay was int64 and is now string"


def test_an_integer_that_became_a_float_is_told_as_a_warning() -> None:
    found = layout({**BEFORE, "delay": "float64"})
    assert found["delay"].severity is Severity.WARNING
    assert "values are missing" in found["delay"].message


def test_that_a_column_may_not_be_missing_is_no_part_of_its_type() -> None:
    assert layout({**BEFORE, "id": "!int64"})[None].status is Status.PASSED


def test_one_odd_window_is_not_the_layout_to_compare_with() -> None:
    odd = {"id": "int64"}
    assert layout(BEFORE, before=[BEFORE, BEFORE, BEFORE, BEFORE, odd])[None].status is Status.PASSED


def test_the_first_window_has_nothing_to_compare_with() -> None:
    assert layout(BEFORE, before=[])[None].status is Status.SKIPPED


def test_expected_columns_are_what_counts() -> None:
    assert layout(BEFORE, expect=["id", "carrier", "delay"], before=[])[None].status is Status.PASSED
    assert set(layout(BEFORE, expect=["id", "gone"])) == {"gone", "carrier", "delay"}


@pytest.mark.parametrize("said", ["int64", "number"])
def test_an_expected_type_may_be_exact_or_what_its_values_are(said: str) -> None:
    assert layout(BEFORE, expect={"id": said, "carrier": "text", "delay": "int64"})[None].status is Status.PASSED
    assert (
        layout({**BEFORE, "id": "string"}, expect={"id": said, "carrier": "text", "delay": "int64"})["id"].severity
        is Severity.CRITICAL
    )


# missing, unique, pattern, sql


def missing(share: float, rows: int = 1000) -> Answers:
    return {"missing(x)": Number(round(share * rows), "add")}


def test_missing_tells_value_bound_and_what_is_usual() -> None:
    past = [missing((b % 4 + 1) / 1000) for b in range(42)]
    result = only(judged(Missing(column="x", at_most=0.02), view(missing(0.382), past)))
    assert result.message == "missing(x) is 38.2 %, at most 2 % allowed (usual: 0.1 % to 0.4 % on Mondays, 6 windows)"
    assert result.score == pytest.approx(19.1)


def test_nan_counts_as_missing() -> None:
    answers = {**missing(0.1), "distribution(x)": histogram([1.0], nan=200)}
    assert only(judged(Missing(column="x", at_most=0), view(answers))).value == pytest.approx(0.3)


def test_a_column_without_a_single_value_fails_where_it_had_some() -> None:
    result = only(judged(Missing(column="x"), view(missing(1.0), [missing(0.001)] * 40)))
    assert (result.status, result.severity) == (Status.FAILED, Severity.CRITICAL)


def test_no_duplicate_is_allowed_unless_said() -> None:
    answers = {"duplicates(a,b)": Number(3)}
    assert only(judged(Unique(columns=("a", "b")), view(answers))).message == "unique(a,b) is 3, at most 0 allowed"
    assert only(judged(Unique(columns=("a", "b"), at_most=3), view(answers))).status is Status.PASSED


def test_text_that_does_not_match_is_a_share_of_what_is_there() -> None:
    answers = {"unlike(t,^[a-z]+$)": Number(5), "present(t)": Number(50)}
    result = only(judged(Pattern(column="t", regex="^[a-z]+$"), view(answers)))
    assert result.message == "pattern(t) is 10 %, at most 0 % allowed"


def test_a_regular_expression_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="not a regular expression"):
        Pattern(column="t", regex="(")


def test_bad_rows_are_counted_and_none_is_allowed() -> None:
    check = Sql(name="refunds", bad_rows="select * from {window} where amount > paid")
    (question,) = check.questions({})
    assert only(judged(check, view({question.key: Number(2)}))).message == "sql(refunds) is 2, at most 0 allowed"


def test_a_query_s_number_is_held_against_its_bound() -> None:
    check = Sql(name="balance", query="select 3", at_most=5)
    (question,) = check.questions({})
    assert only(judged(check, view({question.key: Number(3)}))).status is Status.PASSED


@pytest.mark.parametrize("given", [{}, {"query": "select 1", "bad_rows": "select 2"}, {"query": "select 1", "where": "a"}])
def test_a_query_check_needs_one_query_and_no_where(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Sql.model_validate({"name": "x", **given})


# value_range


def ends(low: float | None, high: float | None, **more: Any) -> Answers:
    return {"minimum(x)": Number(low, "min"), "maximum(x)": Number(high, "max"), **more}


def test_the_value_that_is_furthest_out_is_told() -> None:
    outside = {"outside(x,0.0,100.0)": Number(17, "add")}
    result = only(judged(ValueRange(column="x", at_least=0, at_most=100), view(ends(-1, 5000, **outside))))
    assert result.message == "value_range(x) is -1 to 5 000, 0 to 100 allowed; 17 of 1 000 rows outside"
    assert result.value == 5000


def test_which_rare_values_a_window_has_is_chance() -> None:
    def seen(number: int) -> Answers:
        return {"categories(x)": Counts({f"v{n}": 40 for n in range(number)}, distinct=number)}

    carriers, hours = [seen(15 + n % 2) for n in range(40)], [seen(24)] * 40
    assert only(judged(Distinct(column="x"), view(seen(13), carriers))).status is Status.PASSED
    assert only(judged(Distinct(column="x"), view(seen(9), carriers))).status is Status.FAILED
    assert only(judged(Distinct(column="x"), view(seen(21), hours))).status is Status.FAILED


def test_a_long_tail_may_grow_a_longer_one() -> None:
    incomes = [ends(0, 100 * (1 + n % 4)) for n in range(40)]
    ages = [ends(0, 400) for n in range(40)]
    assert only(judged(ValueRange(column="x"), view(ends(0, 1100), incomes))).status is Status.PASSED
    assert only(judged(ValueRange(column="x"), view(ends(0, 850), ages))).status is Status.FAILED
    # The lower end has a tail of its own, and one absurd value in the past is no tail.
    losses = [ends(-100 * (1 + n % 4), 0) for n in range(40)]
    assert only(judged(ValueRange(column="x"), view(ends(-1100, 0), losses))).status is Status.PASSED
    absurd = [*ages, ends(0, 10_000_000)]
    assert only(judged(ValueRange(column="x"), view(ends(0, 60_000_000), absurd))).status is Status.FAILED


def test_learned_a_value_may_lie_out_by_the_range_seen_and_no_more() -> None:
    past = [ends(0, 50 + b % 50) for b in range(40)]
    assert only(judged(ValueRange(column="x"), view(ends(0, 175), past))).status is Status.PASSED
    result = only(judged(ValueRange(column="x"), view(ends(0, 1000), past)))
    assert (result.status, result.severity, result.value) == (Status.FAILED, Severity.CRITICAL, 1000)


def test_infinity_fails_as_such() -> None:
    answers = ends(0, 1, **{"distribution(x)": histogram([0.0, 1.0], positive_infinity=2)})
    result = only(judged(ValueRange(column="x", at_most=10), view(answers)))
    assert result.message == "value_range(x): 2 of 1 000 rows hold infinity"


# allowed_values, distinct


def values(**counted: int) -> Answers:
    return {"categories(t)": Counts(counted, 0, len(counted))}


def test_values_outside_the_list_are_named() -> None:
    check = AllowedValues(column="t", values=("DE", "FR"))
    answers = {**values(DE=60, FR=20, XX=15, Y=5), check._others_key: Number(20), "present(t)": Number(100)}
    result = only(judged(check, view(answers)))
    assert result.message == "allowed_values(t) is 20 %, at most 0 % allowed; `XX`, `Y`"


def test_a_value_never_seen_before_is_named() -> None:
    result = only(judged(AllowedValues(column="t"), view(values(DE=600, de=400), [values(DE=700, FR=300)] * 40)))
    assert result.status is Status.FAILED
    assert "never seen before: `de` in 400 of 1 000 rows" in result.message


def test_a_single_new_value_among_a_thousand_rows_is_noise() -> None:
    result = only(judged(AllowedValues(column="t"), view(values(DE=999, Q=1), [values(DE=700, FR=300)] * 40)))
    assert result.status is Status.PASSED


def test_values_of_a_masked_column_are_never_shown() -> None:
    masked = frozenset({"t", "x"})
    new = only(judged(AllowedValues(column="t"), view(values(DE=600, de=400), [values(DE=700, FR=300)] * 40, masked=masked)))
    moved = only(judged(Drift(column="t"), view(values(DE=900, FR=100), [values(DE=500, FR=500)] * 40, masked=masked)))
    out = only(
        judged(ValueRange(column="x", at_most=100), view(ends(0, 5000, **{"outside(x,None,100.0)": Number(1)}), masked=masked))
    )
    for result in (new, moved, out):
        assert result.status is Status.FAILED
        assert "DE" not in result.message
        assert "de`" not in result.message
        assert "5 000" not in result.message


def test_a_column_of_many_values_is_not_watched_for_new_ones() -> None:
    many = values(**{f"v{i}": 1 for i in range(200)})
    assert only(judged(AllowedValues(column="t"), view(many, [many] * 40))).status is Status.SKIPPED


def test_half_as_many_different_values_fail() -> None:
    past = [values(**{f"v{i}": 5 for i in range(100 + b % 3)}) for b in range(40)]
    result = only(judged(Distinct(column="t"), view(values(**{f"v{i}": 5 for i in range(40)}), past)))
    assert result.status is Status.FAILED
    assert result.value == 40


def test_an_estimated_number_of_different_values_is_called_one() -> None:
    seen = {"categories(t)": Counts({}, other=10_000_000, distinct=9_876_543, error=0.002)}
    result = only(judged(Distinct(column="t", at_least=1), view(seen, rows=10_000_000)))
    assert "an estimate" in result.message
    assert "estimate" not in only(judged(Distinct(column="t", at_least=1), view(values(a=5)))).message


# mean, quantile


def test_a_mean_and_a_median_are_read_from_the_distribution() -> None:
    answers = {"distribution(x)": histogram([1.0, 2.0, 3.0, 10.0])}
    assert only(judged(Mean(column="x", at_most=5), view(answers))).value == 4.0
    assert only(judged(Quantile(column="x", at_most=5), view(answers))).value == 2.0
    assert Quantile(column="x", q=0.9).name == "quantile(x,0.9)"


def test_the_lengths_of_texts_have_a_mean_too() -> None:
    check = Mean(column="t", of="length", at_most=5)
    assert check.name == "mean(length(t))"
    assert only(judged(check, view({"distribution(length(t))": histogram([1.0, 2.0, 3.0])}))).value == 2.0


# drift


def spread(centre: float, rows: int = 1000) -> Answers:
    return {"distribution(x)": histogram([centre + (i * 37 % rows) / rows for i in range(rows)])}


def test_numbers_that_moved_have_drifted() -> None:
    past = [spread(b % 5 / 50) for b in range(40)]
    result = only(judged(Drift(column="x"), view(spread(2.0), past)))
    assert result.status is Status.FAILED
    assert "asinh-wasserstein distance from the last 28 windows; the mean is 2.499, was 0.5416" in result.message


def test_numbers_like_those_before_have_not() -> None:
    past = [spread(b % 5 / 50) for b in range(40)]
    assert only(judged(Drift(column="x"), view(spread(0.05), past))).status is Status.PASSED


def test_given_bounds_are_used_as_they_are() -> None:
    answers = spread(0.0)
    check = Drift(column="x", method="wasserstein", at_most=0.1)
    assert only(judged(check, view(spread(0.02), reference=answers))).status is Status.PASSED
    far = only(judged(check, view(spread(0.3), reference=answers)))
    assert far.status is Status.FAILED
    assert far.value == pytest.approx(0.3 * 12**0.5, rel=0.01)


def test_a_mix_that_changed_names_the_value_that_changed_most() -> None:
    past = [values(DE=500 + b % 7, FR=500 - b % 7) for b in range(40)]
    result = only(judged(Drift(column="t"), view(values(DE=900, FR=100), past)))
    assert result.status is Status.FAILED
    assert "`DE` is 90 % of rows, was 50" in result.message


def test_text_of_which_every_row_is_its_own_has_no_drift() -> None:
    ids = values(**{f"id{i}": 1 for i in range(300)})
    assert only(judged(Drift(column="t"), view(ids, [ids] * 40, rows=300))).status is Status.SKIPPED


def test_words_have_no_wasserstein_distance() -> None:
    result = only(judged(Drift(column="t", method="wasserstein"), view(values(a=500), [values(a=500)] * 10)))
    assert result.status is Status.ERRORED
    assert "needs numbers" in result.message


def test_the_time_column_s_distribution_is_not_watched() -> None:
    table = Table({"at": "int64", "x": "float64", "t": "string"}, time_column="at")
    assert [c.name for c in Drift.automatic(table)] == ["drift(x)", "drift(t)"]


def test_a_reference_without_the_column_leaves_the_last_windows_to_compare_with() -> None:
    past = [spread(b % 5 / 50) for b in range(40)]
    result = only(judged(Drift(column="x"), view(spread(2.0), past, reference={})))
    assert result.status is Status.FAILED
    assert "from the last 28 windows" in result.message
