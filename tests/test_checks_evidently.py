"""Evidently's metrics as checks: its values and tests, one column's fault never hiding the others."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from checks.base import View
from checks.evidently import Evidently
from checks.pending import judged
from checks.profile import Answer, Rows
from checks.result import Family, Result, Severity, Status
from checks.window import Window

ROWS = 400
START = datetime(2026, 3, 2, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(days=1))
SCHEMA = {"a": "float64", "c": "string", "b": "boolean", "d": "decimal(10, 2)", "at": "timestamp(6)"}


def frame(seed: int, shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "a": rng.normal(shift, 1, ROWS),
            "c": rng.choice(list("xyz"), ROWS),
            "b": rng.random(ROWS) > 0.5,
            "d": [Decimal(i) / 4 for i in range(ROWS)],
            "at": pd.date_range("2026-03-02", periods=ROWS, freq="min"),
        }
    )


def judge(
    check: Evidently,
    current: pd.DataFrame,
    reference: pd.DataFrame | None,
    schema: dict[str, str] | None = None,
    masked: frozenset[str] = frozenset(),
) -> dict[str, Result]:
    answers: dict[str, Answer] = {f"sample(window,{check.rows})": Rows(current)}
    if reference is not None:
        answers[f"sample(reference,{check.rows})"] = Rows(reference)
    view = View(WINDOW, WINDOW.end, len(current), schema or SCHEMA, answers, masked=masked)
    return {r.check: r for r in judged(check, view)}


def only(results: dict[str, Result]) -> Result:
    (result,) = results.values()
    return result


def test_a_column_that_drifted_fails_by_evidently_s_own_test() -> None:
    check = Evidently(metric="ValueDrift", column="a", options={"method": "psi"})
    result = only(judge(check, frame(1, 1.0), frame(2)))
    assert (result.status, result.severity, result.column) == (Status.FAILED, Severity.WARNING, "a")
    assert result.value is not None
    assert result.score == pytest.approx(result.value / 0.1)
    assert result.message == f"ValueDrift(a) is {result.value:.3f} by psi, threshold 0.1"
    assert only(judge(check, frame(2), frame(2))).status is Status.PASSED


def test_a_low_p_value_is_far_out() -> None:
    result = only(judge(Evidently(metric="ValueDrift", column="a"), frame(1, 1.0), frame(2)))
    assert result.status is Status.FAILED
    assert result.score is not None
    assert result.score > 1000


def test_given_bounds_take_the_place_of_evidently_s_tests() -> None:
    result = only(judge(Evidently(metric="MeanValue", column="a", at_most=0.5), frame(1, 1.0), None))
    assert result.status is Status.FAILED
    assert result.message.startswith("MeanValue(a) is 0.9")
    assert result.message.endswith("at most 0.5 allowed")


def test_unsound_columns_are_told_and_hide_no_other() -> None:
    current = frame(1, 1.0).drop(columns="b").assign(empty=np.nan, new=1.0, turned=3, lists=[[1]] * ROWS)
    reference = frame(2).assign(empty=1.0, turned="text", lists=[[1]] * ROWS)
    schema = {**SCHEMA, "empty": "float64", "new": "float64", "turned": "int64", "lists": "array<int64>"}
    found = judge(Evidently(metric="DataDriftPreset"), current, reference, schema)
    apart = {r.column: r for name, r in found.items() if name == f"evidently(DataDriftPreset): {r.column}"}
    assert {c: r.status for c, r in apart.items()} == {
        "b": Status.ERRORED,
        "turned": Status.ERRORED,
        "empty": Status.SKIPPED,
        "new": Status.SKIPPED,
        "lists": Status.SKIPPED,
    }
    assert found["evidently(DataDriftPreset): ValueDrift(a)"].status is Status.FAILED
    assert found["evidently(DataDriftPreset): ValueDrift(c)"].status is Status.PASSED
    assert found["evidently(DataDriftPreset): ValueDrift(d)"].status is Status.PASSED


def test_a_column_that_evidently_chokes_on_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    from checks import evidently_report

    whole = evidently_report.Run.measured

    def choking(run: Any, column: str | None = None) -> Any:
        if column in (None, "c"):
            raise ValueError("cannot\nbear c")
        return whole(run, column)

    monkeypatch.setattr(evidently_report.Run, "measured", choking)
    found = judge(Evidently(metric="DataDriftPreset"), frame(1, 1.0), frame(2))
    assert found["evidently(DataDriftPreset): c"].status is Status.ERRORED
    assert "ValueError: cannot" in found["evidently(DataDriftPreset): c"].message
    assert found["evidently(DataDriftPreset): ValueDrift(a)"].status is Status.FAILED
    assert "evidently(DataDriftPreset): DriftedColumnsCount" not in found


def test_an_unsound_column_of_those_named_hides_no_other() -> None:
    found = judge(Evidently(metric="DataDriftPreset", columns=("a", "b")), frame(1, 1.0).drop(columns="b"), frame(2))
    name = "evidently(DataDriftPreset,a,b)"
    assert found[f"{name}: b"].status is Status.ERRORED
    assert found[f"{name}: ValueDrift(a)"].status is Status.FAILED
    assert not [r for r in found.values() if r.column not in ("a", "b", None)]


def test_what_was_found_before_a_fault_stays() -> None:
    current = frame(1).drop(columns="b")
    found = judge(Evidently(metric="DataDriftPreset", columns=("b",)), current, frame(2))
    assert found["evidently(DataDriftPreset,b): b"].status is Status.ERRORED
    assert found["evidently(DataDriftPreset,b)"].status is Status.SKIPPED


def test_a_model_s_quality_is_of_the_model_family() -> None:
    rng = np.random.default_rng(3)
    truth = rng.normal(size=ROWS)
    good, bad = (pd.DataFrame({"y": truth, "p": truth + rng.normal(size=ROWS) * e}) for e in (0.1, 2.0))
    schema = {"y": "float64", "p": "float64"}
    roles = {"target": "y", "prediction": "p"}
    result = only(judge(Evidently(metric="MAE", regression=roles, at_most=0.5), bad, good, schema))
    assert (result.status, result.family) == (Status.FAILED, Family.MODEL)
    preset = judge(Evidently(metric="RegressionPreset", regression=roles), bad, good, schema)
    assert preset["evidently(RegressionPreset): RMSE"].status is Status.FAILED


def test_each_label_of_a_classifier_is_judged() -> None:
    frame = pd.DataFrame({"y": [0, 1] * 50, "p": [0, 0] * 50})
    roles = {"target": "y", "prediction_labels": "p"}
    found = judge(Evidently(metric="RecallByLabel", classification=roles, at_least=0.5), frame, None, {"y": "int64", "p": "int64"})
    assert sorted((r.value, r.status) for r in found.values()) == [(0.0, Status.FAILED), (1.0, Status.PASSED)]
    assert len(found) == 2


def test_a_metric_that_does_not_exist_is_told_with_the_nearest() -> None:
    result = only(judge(Evidently(metric="MeanVal", column="a"), frame(1), frame(2)))
    assert result.status is Status.ERRORED
    assert result.message.endswith(": Evidently has no metric or preset MeanVal; did you mean MeanValue?")


def test_an_option_that_does_not_exist_is_told() -> None:
    result = only(judge(Evidently(metric="MeanValue", column="a", options={"colour": 1}), frame(1), frame(2)))
    assert result.status is Status.ERRORED
    assert "no option colour; it has column, tests" in result.message


def test_without_a_reference_drift_is_skipped() -> None:
    result = only(judge(Evidently(metric="ValueDrift", column="a"), frame(1), None))
    assert (result.status, "no reference" in result.message) == (Status.SKIPPED, True)


def test_a_metric_without_a_test_needs_bounds() -> None:
    result = only(judge(Evidently(metric="MeanValue", column="a"), frame(1), None))
    assert (result.status, "at_least or at_most" in result.message) == (Status.SKIPPED, True)


def test_telemetry_is_off_before_evidently_is_imported() -> None:
    code = """
import builtins, os
seen, real = [], builtins.__import__
def watched(name, *args, **more):
    if name.partition(".")[0] == "evidently":
        seen.append(os.environ.get("DO_NOT_TRACK"))
    return real(name, *args, **more)
builtins.__import__ = watched
from checks import evidently_making
assert not seen
evidently_making.found("MeanValue")
print(set(seen))
"""
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "{'1'}"
