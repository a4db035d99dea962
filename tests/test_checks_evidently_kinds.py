"""Every sort of Evidently's metrics for real: text, embeddings, classification, regression, ranking, groups, presets."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from checks.evidently import Evidently
from checks.result import Family, Result, Status
from tests.test_checks_evidently import frame, judge, only

N = 200
RNG = np.random.default_rng(7)
LENGTH = {"descriptor": "TextLength", "column": "review", "alias": "length"}
TEXT = {"review": "string"}
VECTORS = {"v": "array<float64>"}
BINARY = {"y": "int64", "p": "int64"}
RANKED = {"user": "int64", "item": "int64", "y": "int64", "score": "float64"}


def texts(words: int) -> pd.DataFrame:
    return pd.DataFrame({"review": [" ".join(["word"] * (i % words + 1)) for i in range(N)]})


def vectors(shift: float, size: int = 4) -> pd.DataFrame:
    numbers = np.random.default_rng(int(shift * 10) + 1).normal(shift, 1, (60, size))
    return pd.DataFrame({"v": [str(list(map(float, row))) for row in numbers]})


def labels(wrong: float, values: list[Any] | None = None) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    values = [0, 1] if values is None else values
    truth = rng.integers(0, len(values), N)
    guess = np.where(rng.random(N) < wrong, (truth + 1) % len(values), truth)
    return pd.DataFrame({"y": [values[i] for i in truth], "p": [values[i] for i in guess]})


def ranking(hits: int) -> pd.DataFrame:
    """20 users, 5 items each, of which the best `hits` are right."""
    rows = [(u, i, int(i < hits), 1.0 - i / 10) for u in range(20) for i in range(5)]
    return pd.DataFrame(rows, columns=["user", "item", "y", "score"])


def classed(**roles: Any) -> dict[str, Any]:
    return {"target": "y", "prediction_labels": "p", **roles}


def statuses(found: dict[str, Result]) -> dict[str, Status]:
    return {name.partition(": ")[2]: result.status for name, result in found.items()}


# Text.


def test_the_length_of_texts_is_held_against_bounds() -> None:
    check = Evidently(metric="MeanValue", column="length", descriptors=(LENGTH,), at_most=20)
    short, long = (only(judge(check, texts(words), None, TEXT)) for words in (4, 40))
    assert (short.status, long.status) == (Status.PASSED, Status.FAILED)
    assert short.value == pytest.approx(texts(4).review.str.len().mean())
    assert check.name == "evidently(MeanValue,length)"
    assert check.watched == ("review",)


def test_the_evaluation_of_texts_compares_with_the_reference() -> None:
    check = Evidently(metric="TextEvals", descriptors=(LENGTH, {**LENGTH, "descriptor": "WordCount", "alias": "words"}))
    same, longer = (judge(check, texts(words), texts(9), TEXT) for words in (9, 30))
    assert set(statuses(same).values()) == {Status.PASSED}
    assert statuses(longer)["MeanValue(length)"] is Status.FAILED
    assert statuses(longer)["MeanValue(words)"] is Status.FAILED


def test_rows_without_a_text_are_left_out() -> None:
    some = texts(4)
    some.loc[:99, "review"] = None
    check = Evidently(metric="MinValue", column="length", descriptors=(LENGTH,), at_least=1)
    assert only(judge(check, some, None, TEXT)).value == 4


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"column": "review", "alias": "x"}, "descriptor is missing"),
        ({"descriptor": "TextLength", "column": "review"}, "alias is missing"),
    ],
)
def test_a_descriptor_has_a_name_and_names_its_column(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Evidently(metric="MeanValue", column="x", descriptors=(given,))


# Embeddings.


def test_embeddings_drift_as_arrays_and_as_columns() -> None:
    options = {"embeddings_name": "e", "drift_method": {"method": "mmd"}}
    arrays = Evidently(metric="EmbeddingsDrift", embeddings={"e": "v"}, options=options, at_most=0.015)
    assert only(judge(arrays, vectors(0.0), vectors(0.0), VECTORS)).status is Status.PASSED
    moved = only(judge(arrays, vectors(2.0), vectors(0.0), VECTORS))
    assert moved.status is Status.FAILED
    columns = Evidently(metric="EmbeddingsDrift", embeddings={"e": ("v.0", "v.1", "v.2", "v.3")}, options=options, at_most=0.015)
    current, reference = (pd.DataFrame([eval(t) for t in f.v]).add_prefix("v.") for f in (vectors(2.0), vectors(0.0)))
    same = only(judge(columns, current, reference, dict.fromkeys(current.columns, "float64")))
    assert same.value == moved.value


def test_embeddings_of_another_length_or_without_a_reference_are_no_pass() -> None:
    check = Evidently(metric="EmbeddingsDrift", embeddings={"e": "v"}, options={"embeddings_name": "e"}, at_most=0.5)
    other = only(judge(check, vectors(0.0, 5), vectors(0.0, 4), VECTORS))
    assert (other.status, "v.0: the reference has no value in it" in other.message) == (Status.SKIPPED, True)
    assert only(judge(check, vectors(0.0), None, VECTORS)).status is Status.SKIPPED


# Models.


def test_a_binary_classifier_by_labels() -> None:
    check = Evidently(metric="ClassificationPreset", classification=classed())
    worse = judge(check, labels(0.5), labels(0.1), BINARY)
    assert worse["evidently(ClassificationPreset): Accuracy"].status is Status.FAILED
    assert worse["evidently(ClassificationPreset): Accuracy"].family is Family.MODEL
    assert set(statuses(judge(check, labels(0.1), labels(0.1), BINARY)).values()) == {Status.PASSED}


@pytest.mark.parametrize("values", [[False, True], ["no", "yes"]], ids=["booleans", "texts"])
def test_labels_may_be_booleans_or_texts(values: list[Any]) -> None:
    roles = classed() if values[1] is True else classed(pos_label="yes")
    kind = "boolean" if values[1] is True else "string"
    check = Evidently(metric="Recall", classification=roles, at_least=0.8)
    found = only(judge(check, labels(0.0, values).astype(object), None, {"y": kind, "p": kind}))
    assert (found.status, found.value) == (Status.PASSED, 1.0)


def test_a_classifier_by_probabilities() -> None:
    probable = labels(0.1).assign(p=lambda f: 0.2 + 0.6 * f.p)
    check = Evidently(metric="RocAuc", classification={"target": "y", "prediction_probas": "p"}, at_least=0.8)
    found = only(judge(check, probable, None, {"y": "int64", "p": "float64"}))
    assert found.status is Status.PASSED
    assert found.value == pytest.approx(0.9, abs=0.05)


def test_many_classes_by_labels_and_by_probabilities() -> None:
    check = Evidently(metric="Accuracy", classification=classed(), at_least=0.9)
    many = labels(0.2, ["a", "b", "c"])
    found = only(judge(check, many, None, {"y": "string", "p": "string"}))
    assert (found.status, found.value) == (Status.FAILED, (many.y == many.p).mean())
    shares = {c: np.where(many.p == c, 0.8, 0.1) for c in "abc"}
    roles = {"target": "y", "prediction_probas": ["a", "b", "c"]}
    sure = Evidently(metric="Accuracy", classification=roles, at_least=0.9)
    schema = {"y": "string", **dict.fromkeys("abc", "float64")}
    assert only(judge(sure, many[["y"]].assign(**shares), None, schema)).value == found.value


def test_labels_that_are_not_there_yet_are_left_out() -> None:
    late = labels(0.0).astype({"y": float})
    late.loc[:49, "y"] = np.nan
    check = Evidently(metric="Accuracy", classification=classed(), at_least=0.9)
    assert only(judge(check, late, None, BINARY)).value == 1.0
    by_label = Evidently(metric="RecallByLabel", classification=classed(), at_least=0.9)
    assert {r.check for r in judge(by_label, late, None, BINARY).values()} == {
        "evidently(RecallByLabel): RecallByLabel `0`",
        "evidently(RecallByLabel): RecallByLabel `1`",
    }
    never = pd.DataFrame({"y": [1.0] + [np.nan] * 9, "p": [np.nan] + [1.0] * 9})
    none = only(judge(check, never, None, BINARY))
    assert (none.status, "no row of the sample has a value in each of y, p" in none.message) == (Status.SKIPPED, True)


def test_a_regression_against_its_reference() -> None:
    truth = RNG.normal(10, 2, N)
    good, bad = (pd.DataFrame({"y": truth, "p": truth + RNG.normal(0, e, N)}) for e in (0.1, 3.0))
    check = Evidently(metric="RMSE", regression={"target": "y", "prediction": "p"})
    schema = dict.fromkeys(("y", "p"), "float64")
    assert only(judge(check, bad, good, schema)).status is Status.FAILED
    assert only(judge(check, good, good, schema)).status is Status.PASSED


@pytest.mark.parametrize("metric", ["PrecisionTopK", "NDCG"])
def test_a_ranking_is_judged_at_its_k(metric: str) -> None:
    roles = {"user_id": "user", "item_id": "item", "target": "y", "prediction": "score"}
    check = Evidently(metric=metric, ranking=roles, options={"k": 2}, at_least=0.9)
    right, wrong = (only(judge(check, ranking(hits), None, RANKED)) for hits in (2, 1))
    assert (right.status, right.value, right.family) == (Status.PASSED, 1.0, Family.MODEL)
    assert metric == "NDCG" or (wrong.status, wrong.value) == (Status.FAILED, 0.5)


def test_a_ranking_preset_is_judged_part_by_part() -> None:
    roles = {"user_id": "user", "item_id": "item", "target": "y", "prediction": "score"}
    check = Evidently(metric="RecsysPreset", ranking=roles, options={"k": 2}, at_least=0.0)
    found = judge(check, ranking(2), None, RANKED)
    assert found["evidently(RecsysPreset): HitRate(2)"].value == 1.0
    # Tables have no number to judge.
    assert not [name for name in found if "RecCasesTable" in name]


# Groups.


def grouped(**more: Any) -> Evidently:
    inner = {"metric": "MeanValue", "column": "a"}
    return Evidently(metric="GroupBy", options={"metric": inner, "column_name": "c"}, **more)


def test_each_group_is_judged_and_named() -> None:
    check = grouped(at_most=0.5)
    current = frame(1).assign(a=lambda f: f.a + 2 * (f.c == "x"))
    found = judge(check, current, None)
    name = "evidently(GroupBy,MeanValue,a,c): MeanValue(a) for c="
    assert {label: found[f"{name}`{label}`"].status for label in "xyz"} == {
        "x": Status.FAILED,
        "y": Status.PASSED,
        "z": Status.PASSED,
    }
    assert check.watched == ("a", "c")


def test_groups_that_only_one_side_has_are_told_and_hide_no_other() -> None:
    inner = {"metric": "ValueDrift", "column": "a", "method": "psi"}
    check = Evidently(metric="GroupBy", options={"metric": inner, "column_name": "c"}, at_most=0.5)
    current = frame(1).assign(c=lambda f: f.c.replace("z", "new"))
    current.loc[:20, "c"] = None
    found = statuses(judge(check, current, frame(2)))
    assert found == {
        "c=new": Status.SKIPPED,
        "c=z": Status.SKIPPED,
        "ValueDrift(a) for c=`x`": Status.PASSED,
        "ValueDrift(a) for c=`y`": Status.PASSED,
    }


def test_a_masked_group_is_not_named() -> None:
    found = judge(grouped(at_most=0.0), frame(1, 3.0), frame(2), masked=frozenset({"c"}))
    said = " ".join(f"{r.check} {r.message}" for r in found.values())
    assert len(found) == 3
    assert not [label for label in "xyz" if f"`{label}`" in said or f"c={label}" in said]
    assert "for c=#" in said


# Presets.


def test_booleans_take_part_in_a_drift_preset() -> None:
    some = frame(1).assign(b=[None] * 10 + [True] * 390).astype({"b": object})
    other = frame(2).astype({"b": object})
    found = statuses(judge(Evidently(metric="DataDriftPreset"), some, other))
    assert (found["ValueDrift(b)"], found["ValueDrift(a)"]) == (Status.FAILED, Status.PASSED)


def test_a_summary_does_not_fail_for_the_size_of_the_sample() -> None:
    one = frame(1).assign(a=lambda f: f.a.where(f.a > 0), d=1.0)
    seven = pd.concat([one] * 7, ignore_index=True).sample(frac=1, random_state=1, ignore_index=True)
    found = statuses(judge(Evidently(metric="DataSummaryPreset"), one, seven))
    assert "RowCount" not in found
    counts = {name: status for name, status in found.items() if "Count" in name and "Duplicated" not in name}
    assert counts["MissingValueCount(a)"] is Status.PASSED
    assert set(counts.values()) == {Status.PASSED}


def test_the_number_of_rows_is_not_evidently_s_to_judge() -> None:
    with pytest.raises(ValidationError, match="RowCount counts the rows of a sample; the window's are counted by"):
        Evidently(metric="RowCount", at_least=1000)


@pytest.mark.parametrize("metric", ["DatasetCorrelations", "CorrelationMatrix"])
def test_what_has_no_number_says_so(metric: str) -> None:
    found = judge(Evidently(metric=metric, at_most=1), frame(1), None)
    assert metric == "DatasetCorrelations" or "no number that bounds" in only(found).message
    assert Status.PASSED not in statuses(found).values()


def test_a_label_for_every_row_is_an_error_not_a_thousand_results() -> None:
    many = pd.DataFrame({"k": [f"k{i // 2}" for i in range(400)]})
    check = Evidently(metric="UniqueValueCount", column="k", at_most=1)
    found = only(judge(check, many, None, {"k": "string"}))
    assert (found.status, "200 labels; at most 100" in found.message) == (Status.ERRORED, True)


def test_masked_values_are_in_no_message() -> None:
    hidden = frozenset({"a", "c"})
    for check in (
        Evidently(metric="DataSummaryPreset"),
        Evidently(metric="MaxValue", column="a", at_most=1),
        Evidently(metric="UniqueValueCount", column="c", at_most=0.1),
    ):
        found = judge(check, frame(1, 5.0), frame(2), masked=hidden)
        told = {r.check + r.message for r in found.values() if r.column in hidden}
        assert told
        assert not [said for said in told if "Actual value" in said or "`x`" in said or " is 8." in said]


# Settings that only Evidently can judge.


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"metric": "MeanVal", "column": "a"}, "Evidently has no metric or preset MeanVal; did you mean MeanValue?"),
        ({"metric": "MeanValue"}, "MeanValue refuses its options: ValidationError: column: field required"),
        ({"metric": "MeanValue", "column": "a", "options": {"q": 1}}, "MeanValue has no option q; it has column, tests"),
        ({"metric": "NDCG"}, "NDCG refuses its options: ValidationError: k: field required"),
        ({"metric": "RecsysPreset"}, "missing 1 required positional argument: 'k'"),
        ({"metric": "GroupBy", "options": {"metric": {"metric": "Mean"}, "column_name": "c"}}, "no metric or preset Mean"),
        (
            {"metric": "EmbeddingsDrift", "options": {"embeddings_name": "e", "drift_method": {"method": "mdm"}}},
            "no method mdm for embeddings; it has distance, mmd, model, ratio",
        ),
        (
            {"metric": "EmbeddingsDrift", "options": {"embeddings_name": "e", "drift_method": {"method": "mmd", "x": 1}}},
            "MMDDriftMethod has no option x",
        ),
        (
            {"metric": "MAE", "regression": {"target": "y", "guess": "p"}},
            "Regression has no option guess; it has name, prediction, target",
        ),
        ({"metric": "MeanValue", "column": "x", "definition": {"colour": []}}, "refuses the definition: TypeError"),
        (
            {"metric": "MeanValue", "column": "length", "descriptors": ({**LENGTH, "descriptor": "TextLenght"},)},
            "Evidently has no descriptor TextLenght; did you mean TextLength?",
        ),
        (
            {"metric": "MeanValue", "column": "length", "descriptors": ({**LENGTH, "colour": 1},)},
            "TextLength has no option colour; it has alias, column_name, tests",
        ),
    ],
)
def test_a_trial_finds_what_is_wrong(given: dict[str, Any], said: str) -> None:
    [fault] = Evidently(**given).trial()
    assert said in fault


def test_a_trial_has_nothing_against_what_works() -> None:
    inner = {"metric": "MeanValue", "column": "a"}
    for check in (
        Evidently(metric="DataDriftPreset"),
        Evidently(metric="MeanValue", column="length", descriptors=(LENGTH,)),
        Evidently(metric="GroupBy", options={"metric": inner, "column_name": "c"}),
        Evidently(metric="ClassificationPreset", classification=classed()),
        Evidently(metric="EmbeddingsDrift", embeddings={"e": "v"}, options={"embeddings_name": "e"}),
    ):
        assert list(check.trial()) == []


def test_no_connection_is_tried_by_import_or_report() -> None:
    code = """
import sys
tried = []
from monitor.apart import CONNECTING
sys.addaudithook(lambda event, args: tried.append(event) if event in CONNECTING else None)
from tests.test_checks_evidently import frame, judge
from checks.evidently import Evidently
found = judge(Evidently(metric="DataDriftPreset"), frame(1), frame(2))
print(len(found), tried)
"""
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "5 []"
