"""Any metric or preset of Evidently's, on a sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from checks.base import CannotJudge, Check, NothingToJudge, View, bounds_in_words, rows
from checks.evidently_report import Measured, Run, plain, reason, unsound
from checks.question import Question, Sample, Schema
from checks.result import Bounds, Family, Result, Severity, Status
from checks.wording import amount

if TYPE_CHECKING:
    import pandas as pd


class Evidently(Check):
    """A metric or preset of Evidently's by its name, such as `ValueDrift`, on samples of the window and of the reference.

    Bounds given are held against the metric's value (its share where it has one, its mean, each label's). Otherwise
    Evidently's own default tests decide; mind that with few rows its default drift tests flag most healthy columns. A column
    that is missing, retyped or without a single value would make a whole report fail: it is left out and told apart. Evidently is
    imported in the worker only, with its telemetry off.
    """

    family = Family.DRIFT
    takes_segments = False

    metric: str = Field(description="the metric's or preset's class in evidently.metrics or evidently.presets")
    column: str | None = Field(None, description="the metric's column")
    columns: tuple[str, ...] | None = Field(None, description="the preset's columns; default: all")
    options: dict[str, Any] = Field(default_factory=dict, description="the metric's own options, such as {method = 'psi'}")
    regression: dict[str, Any] | None = Field(None, description="{target = 'y', prediction = 'y_hat'}")
    classification: dict[str, Any] | None = Field(
        None, description="{target = 'y', prediction_labels = 'y_hat'} or, with prediction_probas, of probabilities"
    )
    ranking: dict[str, Any] | None = Field(
        None, description="{user_id = 'user', item_id = 'item', target = 'y', prediction = 'rank'}"
    )
    definition: dict[str, Any] = Field(
        default_factory=dict, description="more of Evidently's DataDefinition: text_columns, categorical_columns, embeddings, ..."
    )
    rows: int = Field(5000, ge=10, le=100_000, description="rows of each sample")

    @model_validator(mode="after")
    def _column_or_columns(self) -> Evidently:
        if self.column and self.columns:
            raise ValueError("give column (a metric's) or columns (a preset's), not both")
        return self

    def _own_name(self) -> str:
        inside = ",".join((self.metric, *self.watched))
        return f"{self.kind}({inside})" + (f" where {self.where}" if self.where else "")

    def questions(self, schema: Schema) -> Iterable[Question]:
        return [Sample("window", self.rows), Sample("reference", self.rows)]

    def result(self, status: Status, message: str, view: View, **more: Any) -> Result:
        made = super().result(status, message, view, **more)
        return replace(made, family=Family.MODEL) if self._of_a_model else made

    @property
    def _of_a_model(self) -> bool:
        return bool(self.regression or self.classification or self.ranking)

    def judge(self, view: View) -> Iterable[Result]:
        if not view.rows:
            raise NothingToJudge(f"{self.name}: the window has no rows")
        current = rows(view.answers, Sample("window", self.rows).key).frame
        reference = self._reference(view)
        apart = unsound(current, reference, view.schema)
        self._refuse(apart)
        if not self.column and not self._of_a_model:
            for column, (status, why) in self._meant(apart).items():
                yield self._apart(self.result(status, f"{self.name}: {column} is left out: {why}", view, column=column), column)
        sound = [c for c in current.columns if c not in apart]
        if not [c for c in self.columns or sound if c in sound]:
            raise NothingToJudge(f"{self.name}: no column can be compared")
        run = Run(self, plain(current[sound], view.schema), None if reference is None else plain(reference[sound], view.schema))
        yield from self._results(view, run, sound)

    def _reference(self, view: View) -> pd.DataFrame | None:
        try:
            frame = rows(view.answers, Sample("reference", self.rows).key).frame
        except CannotJudge:
            return None
        return frame if len(frame) else None

    def _refuse(self, apart: Mapping[str, tuple[Status, str]]) -> None:
        """Raises where the one column that it is about, or one of a model's, cannot be judged."""
        roles = [r for r in (self.regression, self.classification, self.ranking) if r]
        named = [*([self.column] if self.column else []), *(v for role in roles for v in role.values() if isinstance(v, str))]
        for column in named:
            if column in apart:
                status, why = apart[column]
                raise (NothingToJudge if status is Status.SKIPPED else CannotJudge)(f"{self.name}: {column}: {why}")

    def _meant(self, apart: Mapping[str, tuple[Status, str]]) -> dict[str, tuple[Status, str]]:
        return {c: fault for c, fault in apart.items() if self.columns is None or c in self.columns}

    def _results(self, view: View, run: Run, sound: list[str]) -> Iterator[Result]:
        try:
            measured = run.measured()
        except CannotJudge:
            raise
        except Exception as fault:
            if run.reference is None:
                raise NothingToJudge(f"{self.name}: there is no reference to compare with yet") from fault
            if not run.takes_columns:
                raise CannotJudge(f"{self.name}: Evidently could not compute it: {reason(fault)}") from fault
            yield from self._one_by_one(view, run, [c for c in self.columns or sound if c in sound])
            return
        if not self.bounded and not any(m.tests for m in measured):
            raise NothingToJudge(f"{self.name}: Evidently has no test of its own for this; give at_least or at_most")
        yield from self._told(view, measured, lone=len(measured) == 1)

    def _one_by_one(self, view: View, run: Run, columns: list[str]) -> Iterator[Result]:
        """A column that makes a report fail must not hide the others: each gets a report of its own."""
        for column in columns:
            try:
                measured = [m for m in run.measured(column) if m.column == column]
            except Exception as fault:
                said = f"{self.name}: Evidently could not compute {column}: {reason(fault)}"
                yield self._apart(self.result(Status.ERRORED, said, view, column=column), column)
                continue
            yield from self._told(view, measured, lone=False)

    def _told(self, view: View, measured: list[Measured], lone: bool) -> Iterator[Result]:
        for one in (m for m in measured if self.bounded or m.tests):
            for label, value in one.values if self.bounded else one.values[:1]:
                made = self._by_bounds(view, one, label, value) if self.bounded else self._by_tests(view, one, value)
                # A lone metric is the check itself; a preset's are told apart.
                yield made if lone and not label else self._apart(made, one.name + label)

    def _apart(self, made: Result, part: str) -> Result:
        return replace(made, check=f"{self.name}: {part}")

    def _by_bounds(self, view: View, one: Measured, label: str, value: float) -> Result:
        bounds = Bounds(self.at_least, self.at_most)
        failed = not bounds.admit(value)
        said = f"{one.name}{label} is {amount(value, 'number')}, {bounds_in_words(bounds, 'number')}"
        return self._verdict(view, one, said, value, failed, bounds, bounds.score(value))

    def _by_tests(self, view: View, one: Measured, value: float) -> Result:
        broken = [t for t in one.tests if t["status"] not in ("FAIL", "SUCCESS", "WARNING")]
        if broken:
            return self.result(Status.ERRORED, f"{one.name}: {broken[0]['description']}", view, column=one.column)
        bad = [t for t in one.tests if t["status"] == "FAIL"]
        said = f"{one.name}: {(bad or one.tests)[0]['description']}"
        if one.threshold is not None and one.method:
            said = f"{one.name} is {amount(value, 'number')} by {one.method}, threshold {amount(one.threshold, 'number')}"
        return self._verdict(view, one, said, value, bool(bad), Bounds(), one.score(value, bool(bad)))

    def _verdict(self, view: View, one: Measured, said: str, value: float, failed: bool, bounds: Bounds, score: float) -> Result:
        return self.result(
            Status.FAILED if failed else Status.PASSED,
            said,
            view,
            column=one.column,
            value=value,
            bounds=bounds,
            score=score,
            severity=(self.severity or Severity.WARNING) if failed else None,
        )
