"""How well a model of numbers does: its errors when labels arrive, the drift of its predictions before that."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, PrivateAttr, field_validator, model_validator

from checks.base import Check, View, number
from checks.drift import Drift
from checks.figures import Figure, Good, Limits, part
from checks.pending import CannotJudge, NothingToJudge
from checks.prediction import drifted, performance, shares, wait
from checks.profile import Answers
from checks.question import Question, Scalar, Schema, column_kind
from checks.result import Family, Result

GOOD: dict[str, Good] = {"mae": "low", "rmse": "low", "me": "zero", "r2": "high", "mape": "low", "max_error": "low"}
LARGEST = 1.7976931348623157e308


class Regression(Check):
    """A model of numbers: `prediction` against `target`, both columns of the table, when labels have had `label_delay` to arrive.

    Right away the distribution of the predictions is judged like any drift. When a window's `label_delay` is over it is read
    again, and the figures of `metrics` are judged: mae, rmse, me (the mean error, prediction less target), r2, mape (a share, of
    rows whose target is not 0) and max_error; against `bounds` (or `at_least` and `at_most`, for a single metric), against the
    `baseline` (figures, or the column with another model's predictions) give or take what is chance, or against their own
    past. Rows without a label are left out; too few of them with one is a failure of its own.
    """

    family = Family.MODEL

    prediction: str = Field(description="the column with the predicted number")
    target: str = Field(description="the column with the actual number; missing where it is not known yet")
    label_delay: Annotated[timedelta, BeforeValidator(wait)] = Field(
        timedelta(days=7), description="how long after a window's end its labels have arrived: 12h, 7d"
    )
    labels_least: float = Field(
        0.5, gt=0, le=1, description="the share of rows that must have a label for the figures to be judged"
    )
    metrics: tuple[str, ...] = Field(("mae", "rmse", "me"), description="the figures to judge: mae, rmse, me, r2, mape, max_error")
    bounds: dict[str, Limits] = Field({}, description="metric -> at_least and at_most")
    baseline: dict[str, float] | str | None = Field(
        None, description="what to be no worse than: metric -> figure, or the column with another model's predictions"
    )
    _labels: bool = PrivateAttr(False)

    rows_least: ClassVar[int] = 10

    @field_validator("metrics")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in GOOD:
                raise ValueError(f"there is no metric {name}; there are {', '.join(GOOD)}")
        if not names:
            raise ValueError(f"name at least one metric: {', '.join(GOOD)}")
        return names

    @model_validator(mode="after")
    def _fits(self) -> Regression:
        if self.bounded and len(self.metrics) != 1:
            raise ValueError(
                "at_least and at_most are for a single metric: name it in metrics, or give bounds = {mae = {at_most = 5}}"
            )
        figures = self.baseline if isinstance(self.baseline, dict) else {}
        for name in (*self.bounds, *figures):
            if name not in self.metrics:
                raise ValueError(f"{name} is not among the metrics ({', '.join(self.metrics)})")
        return self

    @property
    def watched(self) -> tuple[str, ...]:
        other = (self.baseline,) if isinstance(self.baseline, str) else ()
        return tuple(dict.fromkeys((self.prediction, self.target, *other)))

    def _own_name(self) -> str:
        return f"{self.kind}({self.prediction},{self.target})" + (f" where {self.where}" if self.where else "")

    @property
    def label_wait(self) -> timedelta:
        return self.label_delay

    def for_labels(self) -> Check | None:
        made = self.model_copy()
        made._labels = True
        return made

    def questions(self, schema: Schema) -> Iterable[Question]:
        if not self._labels:
            return self._drift.questions(schema)
        columns = (self.prediction, *((self.baseline,) if isinstance(self.baseline, str) else ()))
        return [question for column in columns for question in self._sums(column, schema)]

    def _sums(self, prediction: str, schema: Schema) -> Iterator[Question]:
        """Sums over the rows where both are known and finite."""
        target = self.target

        def known(t: Any) -> tuple[Any, Any]:
            y, said = t[target].cast("float64"), t[prediction].cast("float64")
            return said - y, _sound(said) & _sound(y)

        def summed(power: Any) -> Any:
            return lambda t: power(known(t)[0]).sum(where=known(t)[1])

        def shared(t: Any) -> tuple[Any, Any]:
            error, ok = known(t)
            y = t[target].cast("float64")
            return (error / y.nullif(0)).abs(), ok & (y != 0)

        key = f"{prediction},{target}"
        if {column_kind(schema.get(c, "")) for c in (prediction, target)} != {"number"}:
            return
        yield Scalar(f"known({key})", lambda t: known(t)[1].sum(), "add")
        yield Scalar(f"labelled({target})", lambda t: t[target].count(), "add")
        yield Scalar(f"error({key})", summed(lambda e: e), "add")
        yield Scalar(f"absolute({key})", summed(lambda e: e.abs()), "add")
        yield Scalar(f"square({key})", summed(lambda e: e * e), "add")
        yield Scalar(f"fourth({key})", summed(lambda e: e * e * e * e), "add")
        yield Scalar(f"largest({key})", lambda t: known(t)[0].abs().max(where=known(t)[1]), "max")
        yield Scalar(f"shares({key})", lambda t: shared(t)[0].sum(where=shared(t)[1]), "add")
        yield Scalar(f"square_of_shares({key})", lambda t: (shared(t)[0] * shared(t)[0]).sum(where=shared(t)[1]), "add")
        yield Scalar(f"not_zero({key})", lambda t: shared(t)[1].sum(), "add")
        # Not from sums of squares: they lose all digits where the values are far from zero. It does not merge.
        yield Scalar(f"variance({key})", lambda t: t[target].cast("float64").var(how="pop", where=known(t)[1]), "none")

    @property
    def _drift(self) -> Drift:
        return Drift(id=f"{self.name}: prediction drift", column=self.prediction, where=self.where, severity=self.severity)

    def judge(self, view: View) -> Iterable[Result]:
        if not self._labels:
            yield from drifted(self, self._drift, view)
            return

        def labels() -> Result:
            return shares(self, view, self._number(view.answers, f"labelled({self.target})"), view.rows, self.labels_least)

        yield from part(self, view, "labels", labels)
        other: Mapping[str, Any] = self.baseline if isinstance(self.baseline, dict) else {}
        if isinstance(self.baseline, str):
            try:
                other = self._figures(view.answers, self.baseline, view.rows)
            except (CannotJudge, NothingToJudge):
                other = {}
        # The share of labels is known of this window; the past was judged then, by its own.
        enough = self._number_or_none(view.answers)
        if enough is not None and enough < self._needed(view.rows):
            yield from self._too_few(view, enough)
            return
        yield from performance(self, view, self.metrics, lambda a: self._figures(a, self.prediction, 0), self._limits, other)

    def _too_few(self, view: View, labelled: float) -> Iterator[Result]:
        said = f"{round(labelled)} of {view.rows} rows have their label, {self._needed(view.rows)} needed"

        def nothing() -> Result:
            raise NothingToJudge(said)

        for name in self.metrics:
            yield from part(self, view, name, nothing)

    def _needed(self, rows: int) -> int:
        return max(self.rows_least, math.ceil(self.labels_least * rows))

    @property
    def _limits(self) -> Mapping[str, Limits]:
        if self.bounded:
            return {self.metrics[0]: Limits(at_least=self.at_least, at_most=self.at_most)}
        return self.bounds

    def _number_or_none(self, answers: Answers) -> float | None:
        try:
            return self._number(answers, f"labelled({self.target})")
        except CannotJudge:
            return None

    def _number(self, answers: Answers, key: str) -> float:
        """A finite number under `key`, 0 for none. Raises CannotJudge."""
        if key not in answers:
            raise CannotJudge(f"{self.prediction} and {self.target} must hold numbers")
        value = number(answers, key) or 0.0
        if not math.isfinite(value):
            raise CannotJudge(f"{key} is {value}")
        return value

    def _figures(self, answers: Answers, prediction: str, rows: int) -> dict[str, Figure]:
        """Metric -> figure. Raises NothingToJudge where too few rows are known."""
        key = f"{prediction},{self.target}"

        def of(name: str) -> float:
            return self._number(answers, f"{name}({key})")

        n = of("known")
        if n < max(self.rows_least, self.labels_least * rows):
            raise NothingToJudge(f"{round(n)} rows have a prediction and a label, {self._needed(rows)} needed")
        mean, absolute, square = of("error") / n, of("absolute") / n, of("square") / n
        spread = math.sqrt(max(of("fourth") / n - square**2, 0.0) / n)
        rmse, variance, not_zero = math.sqrt(max(square, 0.0)), of("variance"), of("not_zero")
        found = {
            "mae": (absolute, math.sqrt(max(square - absolute**2, 0.0) / n)),
            # By the delta method: the chance of a root is that of what is under it, over twice the root.
            "rmse": (rmse, spread / (2 * rmse) if rmse else 0.0),
            "me": (mean, math.sqrt(max(square - mean**2, 0.0) / n)),
            "max_error": (of("largest"), rmse),
        }
        if variance > 0:
            found["r2"] = (1 - square / variance, spread / variance)
        if not_zero > 0:
            share = of("shares") / not_zero
            found["mape"] = (share, math.sqrt(max(of("square_of_shares") / not_zero - share**2, 0.0) / not_zero))
        unit: dict[str, Any] = {"mape": "share"}
        return {
            name: Figure(value, GOOD[name], unit=unit.get(name, "number"), chance=chance)
            for name, (value, chance) in found.items()
            if name in self.metrics and math.isfinite(value) and math.isfinite(chance)
        }


def _sound(values: Any) -> Any:
    return (values >= -LARGEST) & (values <= LARGEST)
