"""How well a classifier does: its figures when labels arrive, the drift of its predictions and an estimate before that."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, PrivateAttr, field_validator, model_validator

from checks.base import Check, View, number
from checks.confusion import OF_ONE, Confusion, chance
from checks.drift import Drift
from checks.expected import Expected
from checks.figures import Figure, Limits, part
from checks.pending import CannotJudge, NothingToJudge
from checks.prediction import cells, drifted, performance, shares, wait
from checks.profile import Answers
from checks.question import Cells, Question, Scalar, Schema, column_kind
from checks.result import Family, Result
from checks.scores import NO_SCORE, Scored

COUNTED = ("accuracy", *OF_ONE, *(f"{name}_weighted" for name in OF_ONE))
SCORED = ("roc_auc", "log_loss", "brier", "calibration_error")
SMALLEST = 2.220446049250313e-16
"""No probability is taken for smaller, so that one sure mistake is no infinite loss."""


class Classification(Check):
    """A classifier: `prediction` against `target`, both columns of the table, once the labels have had `label_delay` to arrive.

    Right away the distribution of the predictions is judged like any drift. When a window's `label_delay` is over it is read
    again, and the figures of `metrics` are judged: against `bounds` (or `at_least` and `at_most`, for a single metric), against
    the `baseline` (figures, or the column with another model's predictions) give or take what is chance, or against their own
    past. Rows without a label are left out; too few of them with one is a failure of its own. For two classes of which one is
    `positive` (0 and 1, false and true: the second one) precision, recall, f1 and specificity are those of that class;
    otherwise the mean over the classes, with `_weighted` weighted by their rows, or `f1:cat` for the class cat. With
    `probability` there are roc_auc, log_loss, brier and calibration_error too, and with `estimate` what the figures
    will probably be before any label is there.
    """

    family = Family.MODEL

    prediction: str = Field(description="the column with the predicted class")
    target: str = Field(description="the column with the actual class; missing where it is not known yet")
    probability: str | dict[str, str] | None = Field(
        None, description="the column with the probability of the positive class, or {class = column} for each class"
    )
    positive: str | int | bool | None = Field(None, description="the class that two-class figures are about; default: 1 or true")
    label_delay: Annotated[timedelta, BeforeValidator(wait)] = Field(
        timedelta(days=7), description="how long after a window's end its labels have arrived: 12h, 7d"
    )
    labels_least: float = Field(
        0.5, gt=0, le=1, description="the share of rows that must have a label for the figures to be judged"
    )
    metrics: tuple[str, ...] = Field(
        (), description="the figures to judge; default: accuracy and f1, with probabilities roc_auc and log_loss"
    )
    bounds: dict[str, Limits] = Field({}, description="metric -> at_least and at_most")
    baseline: dict[str, float] | str | None = Field(
        None, description="what to be no worse than: metric -> figure, or the column with another model's predictions"
    )
    estimate: bool = Field(False, description="estimate the figures from the probabilities before labels are there (CBPE)")
    calibrate: bool = Field(False, description="first make the probabilities fit the labels of the past (isotonic)")
    _labels: bool = PrivateAttr(False)

    rows_least: ClassVar[int] = 10

    @field_validator("metrics")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            plain, _, of = name.partition(":")
            if plain not in (*COUNTED, *SCORED) or (of and plain not in OF_ONE):
                raise ValueError(
                    f"there is no metric {name}; there are {', '.join((*COUNTED, *SCORED))}, and f1:CLASS and its like"
                )
        return names

    @model_validator(mode="after")
    def _fits(self) -> Classification:
        if self.bounded and len(self.metrics) != 1:
            raise ValueError(
                "at_least and at_most are for a single metric: name it in metrics, or give bounds = {f1 = {at_least = 0.8}}"
            )
        needs = [name for name in self.names if name.partition(":")[0] in SCORED]
        if needs and self.probability is None:
            raise ValueError(f"{needs[0]} needs a probability column")
        if isinstance(self.probability, dict) and len(self.probability) < 2:
            raise ValueError('probability must name a column for each class: {cat = "p_cat", dog = "p_dog"}')
        if (self.estimate or self.calibrate) and self.probability is None:
            raise ValueError("an estimate needs a probability column")
        if self.calibrate and isinstance(self.probability, dict):
            # The probabilities of a row must add up to 1 again, and no count of bins knows the rows.
            raise ValueError("calibrate is for two classes, with the probability of the positive one")
        if self.calibrate and not self.estimate:
            raise ValueError("calibrate is for the estimate; set estimate = true too")
        figures = self.baseline if isinstance(self.baseline, dict) else {}
        for name in (*self.bounds, *figures):
            if name not in self.names:
                raise ValueError(f"{name} is not among the metrics ({', '.join(self.names)})")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The figures to judge."""
        return self.metrics or ("accuracy", "f1", *(("roc_auc", "log_loss") if self.probability is not None else ()))

    @property
    def watched(self) -> tuple[str, ...]:
        other = (self.baseline,) if isinstance(self.baseline, str) else ()
        return tuple(dict.fromkeys((self.prediction, self.target, *self._columns.values(), *other)))

    def _own_name(self) -> str:
        return f"{self.kind}({self.prediction},{self.target})" + (f" where {self.where}" if self.where else "")

    @property
    def _columns(self) -> Mapping[str, str]:
        """Class -> the column with its probability; of two classes "" is the positive one."""
        return self.probability if isinstance(self.probability, dict) else {"": self.probability} if self.probability else {}

    # Questions.

    @property
    def label_wait(self) -> timedelta:
        return self.label_delay

    @property
    def learns_from_labels(self) -> bool:
        return self.calibrate and not self._labels

    def for_labels(self) -> Check | None:
        made = self.model_copy()
        made._labels = True
        return made

    def questions(self, schema: Schema) -> Iterable[Question]:
        if self._labels:
            yield from self._labelled_questions(schema)
            return
        yield from self._drift.questions(schema)
        if self.estimate:
            yield from (self._guess(column) for column in self._columns.values())

    def _labelled_questions(self, schema: Schema) -> Iterator[Question]:
        yield Cells((self.prediction, self.target))
        if isinstance(self.baseline, str):
            yield Cells((self.baseline, self.target))
        for name, column in self._columns.items():
            yield Cells((self.target,), column)
            yield from self._losses(name, column, schema)

    def _losses(self, name: str, column: str, schema: Schema) -> Iterator[Question]:
        """Sums over labelled rows with a probability: of the squared error and its square, of the loss and its square."""
        value = self._value(name, schema)
        if value is None:
            return

        def row(t: Any) -> tuple[Any, Any, Any]:
            p = t[column].cast("float64")
            hit = t[self.target] == value
            return p, hit, (p >= 0) & (p <= 1) & t[self.target].notnull()

        def brier(t: Any, power: int) -> Any:
            p, hit, ok = row(t)
            one = hit.ifelse(1 - p, p) * hit.ifelse(1 - p, p)
            return (one if power == 1 else one * one).sum(where=ok)

        def loss(t: Any, power: int) -> Any:
            p, hit, ok = row(t)
            said = ok.ifelse(hit.ifelse(p, 1 - p if name == "" else 1.0), 1.0).clip(SMALLEST, 1.0)
            one = -said.ln()
            return (one if power == 1 else one * one).sum(where=ok)

        about = f"({column},{self.target},{value})"
        yield Scalar(f"brier1{about}", lambda t: brier(t, 1), "add")
        yield Scalar(f"brier2{about}", lambda t: brier(t, 2), "add")
        yield Scalar(f"log_loss1{about}", lambda t: loss(t, 1), "add")
        yield Scalar(f"log_loss2{about}", lambda t: loss(t, 2), "add")

    def _value(self, name: str, schema: Schema) -> Any:
        """The class as the target column holds it: text, number or truth; None: that column cannot hold it."""
        given: Any = name if name else self.positive
        kind = column_kind(schema.get(self.target, ""))
        if kind == "boolean":
            return True if given is None else str(given).lower() in {"true", "1"}
        if kind == "number":
            return 1 if given is None else _number(given)
        return "1" if given is None else str(given)

    @property
    def _drift(self) -> Drift:
        return Drift(id=f"{self.name}: prediction drift", column=self.prediction, where=self.where, severity=self.severity)

    def _guess(self, column: str) -> Cells:
        return Cells((self.prediction,), column)

    # Verdicts.

    def judge(self, view: View) -> Iterable[Result]:
        if self._labels:
            yield from self._by_labels(view)
            return
        yield from drifted(self, self._drift, view)
        if self.estimate:
            names = [n for n in self.names if n not in {"log_loss", "brier", "calibration_error"}]
            figures = self.baseline if isinstance(self.baseline, dict) else {}
            yield from performance(self, view, names, self._estimated(view), self._limits, figures, "estimated ")

    def _by_labels(self, view: View) -> Iterator[Result]:
        question = Cells((self.prediction, self.target))

        def labels() -> Result:
            found = cells(view.answers, question)
            known = sum(n for (_, target), n in found if target is not None)
            return shares(self, view, known, sum(n for _, n in found), self.labels_least)

        yield from part(self, view, "labels", labels)
        other: Mapping[str, Any] = self.baseline if isinstance(self.baseline, dict) else {}
        if isinstance(self.baseline, str):
            try:
                other = self._figures(view.answers, self.baseline)
            except (CannotJudge, NothingToJudge):
                other = {}
        yield from performance(self, view, self.names, lambda a: self._figures(a, self.prediction), self._limits, other)

    @property
    def _limits(self) -> Mapping[str, Limits]:
        if self.bounded:
            return {self.names[0]: Limits(at_least=self.at_least, at_most=self.at_most)}
        return self.bounds

    @property
    def _positive(self) -> str | None:
        if self.positive is None:
            return None
        return str(self.positive).lower() if isinstance(self.positive, bool) else str(self.positive)

    def _figures(self, answers: Answers, prediction: str) -> dict[str, Figure]:
        """Metric -> figure. Raises NothingToJudge where too few rows have a label."""
        found = cells(answers, Cells((prediction, self.target)))
        rows = sum(n for _, n in found)
        known = {(said, was): float(n) for (said, was), n in found if was is not None and said is not None}
        labelled = sum(n for (_, was), n in found if was is not None)
        if labelled < self.rows_least or labelled < self.labels_least * rows:
            raise NothingToJudge(f"{labelled} of {rows} rows have their label, {self._needed(rows)} needed")
        if not {said for said, _ in known} & {was for _, was in known}:
            raise CannotJudge(f"{prediction} and {self.target} share no class: {_some(known, 0)} and {_some(known, 1)}")
        confusion = Confusion(known, self._positive)
        made: dict[str, Figure] = {}
        for name in self.names:
            if name not in SCORED and (value := confusion.figure(name)) is not None:
                made[name] = Figure(value[0], "high", "share", chance=chance(*value))
        return made | (self._scored(answers) if self.probability is not None and prediction == self.prediction else {})

    def _needed(self, rows: int) -> int:
        return max(self.rows_least, -int(-self.labels_least * rows // 1))

    def _scored(self, answers: Answers) -> dict[str, Figure]:
        """The figures of the probabilities; of several classes the mean of each against the others."""
        parts = {name: self._bins(answers, name, column) for name, column in self._columns.items()}
        rows = max(sum(one.rows.values()) for one in parts.values())
        made: dict[str, Figure] = {}
        areas = [area for one in parts.values() if (area := one.roc_auc()) is not None]
        if areas:
            value, off = (sum(area[place] for area in areas) / len(areas) for place in (0, 1))
            made["roc_auc"] = Figure(value, "high", "share", chance=chance(value, rows / 2), off=off)
        errors = [error for one in parts.values() if (error := one.calibration_error()) is not None]
        if errors:
            made["calibration_error"] = Figure(sum(errors) / len(errors), "low", "share", chance=chance(0.5, rows) / 2)
        for name in ("log_loss", "brier"):
            made |= self._loss(answers, name, rows)
        return {name: figure for name, figure in made.items() if name in self.names}

    def _loss(self, answers: Answers, name: str, rows: float) -> dict[str, Figure]:
        """The mean over rows of a sum over classes."""
        first, second = (
            sum(_starting(answers, f"{name}{power}({column},{self.target},") for column in self._columns.values())
            for power in (1, 2)
        )
        if not rows:
            return {}
        mean = first / rows
        if not math.isfinite(mean) or not math.isfinite(second):
            raise CannotJudge(f"{name} is not finite")
        return {name: Figure(mean, "low", chance=(max(second / rows - mean**2, 0.0) / rows) ** 0.5)}

    def _bins(self, answers: Answers, name: str, column: str) -> Scored:
        """Rows and rows of the class per bin, of rows with a label and a probability."""
        totals: dict[int, float] = {}
        hits: dict[int, float] = {}
        for (was, bin_), n in cells(answers, Cells((self.target,), column)):
            if was is None or bin_ == NO_SCORE:
                continue
            totals[bin_] = totals.get(bin_, 0.0) + n
            if was == name or (name == "" and was in ({self._positive} if self._positive else {"1", "true"})):
                hits[bin_] = hits.get(bin_, 0.0) + n
        return Scored(totals, hits)

    def _estimated(self, view: View) -> Any:
        """Answers -> the figures that are to be expected, by the probabilities as they are or as they fit the past's labels."""
        levels = self._levels(view) if self.calibrate else {}
        return lambda answers: self._expected(answers, levels).figures(self.names)

    def _expected(self, answers: Answers, levels: Mapping[str, Mapping[int, float]]) -> Expected:
        counted = {name: cells(answers, self._guess(column)) for name, column in self._columns.items()}
        return Expected.of(counted, levels, self._positive)

    def _levels(self, view: View) -> Mapping[str, Mapping[int, float]]:
        """Class -> bin -> probability, from the labels of the past."""
        found: dict[str, Mapping[int, float]] = {}
        for name, column in self._columns.items():
            parts = [
                self._bins(past.answers, name, column)
                for past in view.labelled
                if Cells((self.target,), column).key in past.answers
            ]
            whole = Scored(_added([p.rows for p in parts]), _added([p.hits for p in parts]))
            found[name] = whole.isotonic()
        return found


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _added(parts: list[Mapping[int, float]]) -> dict[int, float]:
    whole: dict[int, float] = {}
    for one in parts:
        for bin_, n in one.items():
            whole[bin_] = whole.get(bin_, 0.0) + n
    return whole


def _some(known: Mapping[tuple[str, str], float], side: int) -> str:
    return ", ".join(sorted({pair[side] for pair in known})[:3]) or "nothing"


def _starting(answers: Answers, start: str) -> float:
    key = next((key for key in answers if key.startswith(start)), start)
    return number(answers, key) or 0.0
