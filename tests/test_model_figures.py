"""The figures of models beside those of Evidently and NannyML, and alike on every engine."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import SecretStr

from checks.base import Check, View
from checks.classification import Classification
from checks.confusion import Confusion
from checks.pending import judged
from checks.profile import Profile
from checks.question import Population
from checks.regression import Regression
from checks.result import Result
from checks.scores import HALF, NO_SCORE, Scored, calibrated, middle, place
from checks.window import Window
from monitor.kinds import source_kinds
from monitor.measuring.measure import measure, reading
from monitor.sources.base import Place, Source
from monitor.testing import predictions

DAY = Window(datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC))
NANNYML = json.loads((Path(__file__).parent / "model/nannyml.json").read_text(encoding="utf-8"))
ROWS = NANNYML["rows"]
Columns = Mapping[str, list[Any]]
SQL = {int: "BIGINT", float: "DOUBLE PRECISION", str: "VARCHAR(40)", bool: "BOOLEAN"}


def numbers(rows: int = 3000) -> Columns:
    """Predictions and targets far from zero, some missing, some without a prediction."""
    source = random.Random("numbers")
    target = [round(source.gauss(1e6, 40.0), 6) for _ in range(rows)]
    said = [round(t + source.gauss(1.5, 12.0), 6) for t in target]
    return {
        "was": [None if n % 11 == 0 else t for n, t in enumerate(target)],
        "said": [None if n % 13 == 0 else s for n, s in enumerate(said)],
    }


def create(columns: Columns) -> tuple[str, list[tuple[Any, ...]]]:
    """The statement for the table and its rows, which all lie in `DAY`."""
    kinds = [SQL[type(next(v for v in values if v is not None))] for values in columns.values()]
    names = ", ".join(f"{name} {kind}" for name, kind in zip(columns, kinds, strict=True))
    return f"CREATE TABLE predictions (made_at TIMESTAMP, {names})", list(zip(*columns.values(), strict=True))


class Engine:
    """Writes a table, and reads it as the product does."""

    def __init__(self, name: str, folder: Path, postgres: Any = None) -> None:
        self.name, self.folder, self.server = name, folder, postgres

    def source(self, columns: Columns) -> Source:
        statement, rows = create(columns)
        marks = ", ".join(["'2026-03-02 10:00:00'", *("?" for _ in columns)])
        file = self.folder / f"{len(list(self.folder.iterdir()))}.{self.name}"
        if self.name == "duckdb":
            with duckdb.connect(str(file)) as connection:
                connection.execute(statement)
                connection.begin()
                connection.executemany(f"INSERT INTO predictions VALUES ({marks})", rows)
                connection.commit()
        elif self.name == "sqlite":
            with closing(sqlite3.connect(file)) as lite, lite:
                lite.execute(statement)
                lite.executemany(f"INSERT INTO predictions VALUES ({marks})", rows)
        else:
            return self._postgres(statement, rows)
        return self._made(f"{self.name}:///{file}")

    def _postgres(self, statement: str, rows: list[tuple[Any, ...]]) -> Source:
        values = ", ".join("('2026-03-02 10:00:00', " + ", ".join(map(_literal, row)) + ")" for row in rows)
        self.server.run("DROP TABLE IF EXISTS predictions", statement, f"INSERT INTO predictions VALUES {values}")
        return self._made(self.server.reader)

    def _made(self, url: str) -> Source:
        scheme = url.partition(":")[0]
        kind = max(source_kinds(), key=lambda kind: kind.answers_to(scheme))
        return kind(url=SecretStr(url))

    def profile(self, check: Check, columns: Columns) -> Profile:
        with reading(self.source(columns), Place("predictions", None, "made_at", "UTC", None), DAY, timedelta(minutes=1)) as read:
            asked = {Population(): list(check.questions(read.schema))}
            return measure(read, asked, {})

    def figures(self, check: Check, columns: Columns) -> dict[str, Result]:
        """Part of the check -> its result."""
        profile = self.profile(check, columns)
        view = View(DAY, DAY.end, profile.rows, profile.schema, profile.answers())
        return {r.check.partition(": ")[2]: r for r in judged(check, view)}


def _literal(value: Any) -> str:
    return "NULL" if value is None else repr(value)


@pytest.fixture(params=["duckdb", "sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    server = request.getfixturevalue("postgres") if request.param == "postgres" else None
    return Engine(request.param, tmp_path, server)


@pytest.fixture
def quick(tmp_path: Path) -> Engine:
    return Engine("duckdb", tmp_path)


def labelled(check: Check) -> Check:
    made = check.for_labels()
    assert made is not None
    return made


def judging(kind: type[Any], names: tuple[str, ...], **more: Any) -> Any:
    """A check whose figures all have a bound, so that each has a verdict."""
    bounds = {name: {"at_least": -1e9} for name in names}
    return kind(prediction="said", target="was", metrics=names, bounds=bounds, **more)


# Beside Evidently.

EVIDENTLY = """
import json, sys, warnings
warnings.simplefilter("ignore")
import pandas as pd
from evidently import BinaryClassification, DataDefinition, Dataset, MulticlassClassification, Regression, Report
from evidently import metrics

out = []
for line in sys.stdin:
    columns, kind, names = json.loads(line)
    frame = pd.DataFrame(columns).dropna()
    if kind == "regression":
        definition = DataDefinition(regression=[Regression(target="was", prediction="said")], numerical_columns=["was", "said"])
    elif kind == "labels":
        definition = DataDefinition(classification=[BinaryClassification(target="was", prediction_labels="said", pos_label=1)])
    elif kind == "scores":
        definition = DataDefinition(classification=[BinaryClassification(target="was", prediction_probas="p", pos_label=1)])
    else:
        definition = DataDefinition(classification=[MulticlassClassification(target="was", prediction_labels="said")])
    made = Dataset.from_pandas(frame, data_definition=definition)
    report = Report([getattr(metrics, name)() for name in names]).run(made, None)
    values = [one["value"] for one in report.dict()["metrics"]]
    out.append([v["mean"] if isinstance(v, dict) else v for v in values])
json.dump(out, sys.stdout)
"""
CASES = {
    "labels": {"accuracy": "Accuracy", "precision": "Precision", "recall": "Recall", "f1": "F1Score", "specificity": "TNR"},
    "scores": {"roc_auc": "RocAuc", "log_loss": "LogLoss"},
    "several": {"accuracy": "Accuracy", "precision": "Precision", "recall": "Recall", "f1": "F1Score"},
    "regression": {"mae": "MAE", "rmse": "RMSE", "me": "MeanError", "mape": "MAPE", "r2": "R2Score", "max_error": "AbsMaxError"},
}


def data(case: str) -> Columns:
    if case == "regression":
        return numbers()
    rows = predictions.several("analysis", ROWS) if case == "several" else predictions.binary("sound", "analysis", ROWS)
    return {name: rows[name] for name in ("said", "was", *(["p"] if case == "scores" else []))}


@pytest.fixture(scope="module")
def evidently() -> dict[str, dict[str, float]]:
    """Case -> our name -> Evidently's figure, from a process of its own."""
    lines = "\n".join(json.dumps([data(case), case, list(names.values())]) for case, names in CASES.items())
    ran = subprocess.run(
        [sys.executable, "-c", EVIDENTLY],
        input=lines,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DO_NOT_TRACK": "1"},
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    found = json.loads(ran.stdout)
    return {case: dict(zip(names, values, strict=True)) for (case, names), values in zip(CASES.items(), found, strict=True)}


@pytest.mark.parametrize("case", CASES)
def test_the_figures_are_evidently_s(quick: Engine, evidently: dict[str, dict[str, float]], case: str) -> None:
    names = tuple(CASES[case])
    kind = Regression if case == "regression" else Classification
    check = judging(kind, names, **({"probability": "p"} if case == "scores" else {}))

    found = quick.figures(labelled(check), data(case))

    theirs = evidently[case]
    if case == "regression":
        theirs = {**theirs, "mape": theirs["mape"] / 100}
    within = {"roc_auc": found["roc_auc"].details["bins"] + 1e-12} if case == "scores" else {}  # type: ignore[index]
    for name in names:
        assert found[name].value == pytest.approx(theirs[name], rel=1e-9, abs=within.get(name, 1e-12)), name


# Beside NannyML.


@pytest.mark.parametrize(("case", "within"), [("sound", 5e-4), ("too_sure", 3e-3)])
def test_the_estimates_for_two_classes_are_nannyml_s(quick: Engine, case: str, within: float) -> None:
    names = tuple(NANNYML[case]["figures"])
    check = judging(Classification, names, probability="p", estimate=True, calibrate=NANNYML[case]["calibrated"])
    past = quick.profile(labelled(check), predictions.binary(case, "reference", ROWS))
    now = quick.profile(check, predictions.binary(case, "analysis", ROWS))

    found = {r.check.partition(": ")[2]: r.value for r in judged(check, view_of(now, past))}

    for name in names:
        assert found[f"estimated {name}"] == pytest.approx(NANNYML[case]["figures"][name], abs=within), name


def test_the_estimates_for_several_classes_are_nannyml_s(quick: Engine) -> None:
    names = tuple(NANNYML["several"]["figures"])
    check = judging(Classification, names, probability={name: f"p_{name}" for name in predictions.CLASSES}, estimate=True)
    now = quick.profile(check, predictions.several("analysis", ROWS))

    found = {r.check.partition(": ")[2]: r.value for r in judged(check, view_of(now))}

    for name in names:
        assert found[f"estimated {name}"] == pytest.approx(NANNYML["several"]["figures"][name], abs=5e-4), name


def view_of(now: Profile, past: Profile | None = None) -> View:
    from checks.base import Past

    before = Window(DAY.start - timedelta(days=1), DAY.start)
    kept = [Past(before, past.rows, past.answers(), past.schema)] if past else []
    return View(DAY, DAY.end, now.rows, now.schema, now.answers(), labelled=kept)


# On every engine.

SCORED = ("accuracy", "f1", "f1_weighted", "roc_auc", "log_loss", "brier", "calibration_error")


def test_the_figures_of_a_classifier_are_alike_on_every_engine(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> None:
    rows = predictions.binary("sound", "analysis", 500)
    rows["was"] = [None if n % 5 == 0 else value for n, value in enumerate(rows["was"])]  # type: ignore[misc]
    check = labelled(judging(Classification, SCORED, probability="p"))
    other = Engine("duckdb", tmp_path_factory.mktemp("other"))

    found, same = engine.figures(check, rows), other.figures(check, rows)

    assert found["labels"].value == 0.8
    for name in SCORED:
        assert found[name].value is not None
        assert found[name].value == pytest.approx(same[name].value, rel=1e-12), name


def test_the_figures_of_a_regression_are_alike_on_every_engine(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> None:
    names = tuple(CASES["regression"])
    check = labelled(judging(Regression, names))
    other = Engine("duckdb", tmp_path_factory.mktemp("other"))
    found, same = engine.figures(check, numbers(500)), other.figures(check, numbers(500))

    for name in names:
        assert found[name].value is not None
        assert found[name].value == pytest.approx(same[name].value, rel=1e-9), name


HOSTILE: dict[str, tuple[Columns, str]] = {
    "no class in common": ({"said": ["yes", "no"] * 20, "was": [1, 0] * 20}, "share no class: no, yes and 0, 1"),
    "few rows": ({"said": [1, 0], "was": [1, 0]}, "2 of 2 rows have their label, 10 needed"),
    "no label": ({"said": [1, 0] * 20, "was": [None] * 39 + [1]}, "1 of 40 rows have their label, 20 needed"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_cannot_be_a_figure_is_none_and_says_why(engine: Engine, case: str) -> None:
    columns, said = HOSTILE[case]
    found = engine.figures(labelled(judging(Classification, ("accuracy",))), columns)["accuracy"]

    assert found.value is None
    assert said in found.message


def test_scores_that_are_no_probabilities_are_left_out(engine: Engine) -> None:
    columns: Columns = {"said": [1, 0] * 50, "was": [1, 0] * 50, "p": [0.9, 0.2] * 48 + [1.5, -0.5, None, 1e300]}
    found = engine.figures(labelled(judging(Classification, ("roc_auc", "log_loss", "brier"), probability="p")), columns)

    assert found["roc_auc"].value == 1.0
    assert found["brier"].value == pytest.approx((0.01 + 0.04) / 2)


def test_too_many_classes_are_refused_in_words(quick: Engine) -> None:
    columns = {"said": list(range(20_001)), "was": list(range(20_001))}
    found = quick.figures(labelled(judging(Classification, ("accuracy",))), columns)["accuracy"]

    assert found.value is None
    assert "said and was hold more than 20000 different combinations" in found.message


def test_text_and_truth_are_classes_too(engine: Engine) -> None:
    words = {"said": ["ja", "nein"] * 20, "was": ["ja"] * 40}
    found = engine.figures(labelled(judging(Classification, ("precision", "recall"), positive="ja")), words)
    assert (found["precision"].value, found["recall"].value) == (1.0, 0.5)


def test_columns_that_hold_no_numbers_are_no_regression(quick: Engine) -> None:
    found = quick.figures(labelled(judging(Regression, ("mae",))), {"said": ["a"] * 20, "was": ["b"] * 20})
    assert "said and was must hold numbers" in found["mae"].message


def test_a_perfect_model_of_a_constant_has_no_r2_and_no_error(quick: Engine) -> None:
    found = quick.figures(labelled(judging(Regression, ("rmse", "r2"))), {"said": [5.0] * 20, "was": [5.0] * 20})
    assert found["rmse"].value == 0.0
    assert found["r2"].value is None


# The bins of scores.


@pytest.mark.parametrize(
    ("score", "bin_"),
    [(0.0, 0), (1.0, 2 * HALF - 1), (0.5, HALF), (0.4999999, HALF - 1), (1.1, NO_SCORE), (float("nan"), NO_SCORE)],
)
def test_a_score_has_its_bin(score: float, bin_: int) -> None:
    assert place(score) == bin_


def scores() -> Iterator[float]:
    source = random.Random("scores")
    yield from (source.random() ** power for power in (1, 3, 12) for _ in range(500))


def test_a_bin_s_middle_is_near_every_score_in_it() -> None:
    for score in scores():
        assert abs(middle(place(score)) - score) <= 0.001
        assert place(middle(place(score))) == place(score)


def test_the_bins_of_the_engine_are_those_of_the_code(engine: Engine) -> None:
    found = list(scores())[::10]
    check = Classification(prediction="said", target="was", probability="p", estimate=True)
    profile = engine.profile(check, {"said": [1] * len(found), "was": [1] * len(found), "p": found})

    counts = profile.answers()["cells(said;p)"].counts  # type: ignore[union-attr]
    expected: dict[str, int] = {}
    for score in found:
        key = json.dumps(["1", place(score)])
        expected[key] = expected.get(key, 0) + 1
    assert dict(counts) == expected


def test_an_isotonic_fit_pools_what_falls_and_is_straight_between() -> None:
    fit = Scored({100: 10, 200: 10, 300: 10}, {100: 4, 200: 2, 300: 9}).isotonic()
    assert fit == {100: 0.3, 200: 0.3, 300: 0.9}
    assert calibrated(fit, [50, 100, 400]) == {50: 0.3, 100: 0.3, 400: 0.9}
    [between] = calibrated(fit, [250]).values()
    assert 0.3 < between < 0.9


def test_one_class_alone_has_no_area() -> None:
    assert Scored({5: 10}, {5: 10}).roc_auc() is None
    assert Scored({5: 10}, {5: 5}).roc_auc() == (0.5, 0.5)
    assert Scored({5: 10, 9: 10}, {9: 10}).roc_auc() == (1.0, 0.0)


def test_figures_of_one_class_and_of_all() -> None:
    confusion = Confusion({("a", "a"): 6, ("a", "b"): 2, ("b", "b"): 1, ("b", "a"): 1})
    assert confusion.figure("recall:a") == (6 / 7, 7)
    assert confusion.figure("recall") == pytest.approx(((6 / 7 + 1 / 3) / 2, 10))
    assert confusion.figure("recall_weighted") == pytest.approx((0.7, 10))
    assert confusion.figure("precision:c") is None
    assert Confusion({}).figure("accuracy") is None
