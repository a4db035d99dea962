"""Any metric or preset of Evidently's, on a sample."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator, model_validator

from checks import evidently_frames as frames
from checks.base import Check, View, rows
from checks.evidently_making import faults, reason
from checks.evidently_report import Measured, Run
from checks.freshness import Seconds
from checks.pending import CannotJudge, NothingToJudge
from checks.question import Question, Sample, Schema
from checks.result import Bounds, Family, Result, Severity, Status
from checks.wording import amount, bounds_in_words

if TYPE_CHECKING:
    import pandas as pd

ROLES = ("target", "prediction", "prediction_labels", "prediction_probas", "user_id", "item_id")
"""Keys of a model's description that name columns."""
DESCRIBED = ("column", "columns", "first_column", "second_column", "input", "contexts")
"""Options of a descriptor that name columns."""
MOST_LABELS = 100


class Evidently(Check):
    """A metric or preset of Evidently's by its name, such as `ValueDrift`, on samples of the window and of the reference.

    Bounds given are held against the metric's value (its share where it has one, its mean, that at `k`, each label's).
    Otherwise Evidently's own default tests decide; mind that with few rows its default drift tests flag most healthy
    columns, and that its other tests allow a tenth of difference whatever chance does. For these others, which count rows
    or look at extremes, both samples are cut to the same size, and the number of rows is never judged: it is the sample's.

    A column that is missing, retyped or without a single value would make a whole report fail: it is left out and told
    apart. Rows in which a model's column, a text to describe or an embedding is missing are left out. Booleans are handed
    over as `true` and `false`, those of a model as 1 and 0.

    All checks of this kind on a window are judged in one process of its own with a memory limit, without telemetry and
    without a network: what wants one (a language model as a judge, a download) is an error.
    """

    family = Family.DRIFT
    takes_segments = False
    apart = True

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
    descriptors: tuple[dict[str, Any], ...] = Field(
        (), description="columns made of text: {descriptor = 'TextLength', column = 'review', alias = 'length'}"
    )
    embeddings: dict[str, str | tuple[str, ...]] = Field(
        default_factory=dict, description="name to a column of arrays, or to columns of numbers: {review = 'vector'}"
    )
    definition: dict[str, Any] = Field(
        default_factory=dict, description="more of Evidently's DataDefinition: text_columns, categorical_columns, ..."
    )
    rows: int = Field(5000, ge=10, le=100_000, description="rows of each sample")
    timeout: Seconds = Field(120.0, gt=0, description="in seconds, or such as 5m; then its process is ended")
    memory_mb: int = Field(2048, ge=512, description="megabytes that its process may take")

    @field_validator("descriptors")
    @classmethod
    def _named(cls, descriptors: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        for given in descriptors:
            for key in ("descriptor", "alias"):
                if not isinstance(given.get(key), str):
                    raise ValueError(f"{key} is missing; write {{descriptor = 'TextLength', column = 'review', alias = 'length'}}")
        return descriptors

    @model_validator(mode="after")
    def _makes_sense(self) -> Evidently:
        if self.column and self.columns:
            raise ValueError("give column (a metric's) or columns (a preset's), not both")
        if self.metric == "RowCount":
            raise ValueError("RowCount counts the rows of a sample; the window's are counted by {kind = 'row_count'}")
        return self

    def _own_name(self) -> str:
        named = self.columns or ((self.column,) if self.column else ())
        inside = ",".join((self.metric, *self._grouped, *named))
        return f"{self.kind}({inside})" + (f" where {self.where}" if self.where else "")

    @property
    def watched(self) -> tuple[str, ...]:
        made = {given["alias"] for given in self.descriptors}
        named = [*super().watched, *self._grouped[1:], *self.roles, *(c for d in self.descriptors for c in self.described(d))]
        named += [c for of in self.embeddings.values() for c in ([of] if isinstance(of, str) else of)]
        return tuple(c for c in dict.fromkeys(named) if c not in made)

    @property
    def _grouped(self) -> tuple[str, ...]:
        """Of GroupBy: the metric, its column and the column whose values make the groups."""
        inner = self.options.get("metric")
        parts = (inner.get("metric"), inner.get("column"), self.options.get("column_name")) if isinstance(inner, dict) else ()
        return tuple(str(part) for part in parts if part)

    @property
    def roles(self) -> tuple[str, ...]:
        """The columns that play a role in a model."""
        models = [m for m in (self.regression, self.classification, self.ranking) if m]
        named = [m[role] for m in models for role in ROLES if role in m]
        return tuple(str(c) for of in named for c in (of if isinstance(of, list) else [of]))

    @property
    def _of_drift(self) -> bool:
        """Its tests know how many rows they compare, and need a reference."""
        return "Drift" in self.metric + "".join(self._grouped[:1])

    @property
    def metric_options(self) -> dict[str, Any]:
        named = {"column": self.column} if self.column else {"columns": list(self.columns)} if self.columns else {}
        return {**self.options, **named}

    @staticmethod
    def described(given: Mapping[str, Any]) -> list[str]:
        """The columns that a descriptor reads."""
        named = [given[key] for key in DESCRIBED if key in given]
        return [str(c) for of in named for c in (of if isinstance(of, list) else [of])]

    def trial(self) -> Iterable[str]:
        return faults(self)

    def questions(self, schema: Schema) -> Iterable[Question]:
        return [Sample("window", self.rows), Sample("reference", self.rows)]

    def result(self, status: Status, message: str, view: View, **more: Any) -> Result:
        made = super().result(status, message, view, **more)
        return replace(made, family=Family.MODEL) if self.roles else made

    def judge(self, view: View) -> Iterable[Result]:
        if not view.rows:
            raise NothingToJudge(f"{self.name}: the window has no rows")
        current = rows(view.answers, Sample("window", self.rows).key).frame
        reference, arrays = self._reference(view), self._arrays(current)
        schema = {c: t for c, t in view.schema.items() if c not in arrays}
        current = frames.spread(current, arrays)
        reference = None if reference is None else frames.spread(reference, arrays)
        apart = frames.unsound(current, reference, schema)
        self._refuse(apart, arrays)
        if not self.watched or self.columns:
            for column, (status, why) in self._meant(apart).items():
                yield self._apart(self.result(status, f"{self.name}: {column} is left out: {why}", view, column=column), column)
        sound = [c for c in current.columns if c not in apart]
        if not [c for c in self.columns or sound if c in sound]:
            raise NothingToJudge(f"{self.name}: no column can be compared")
        current = frames.plain(current[sound], schema, self.roles)
        reference = None if reference is None else frames.plain(reference[sound], schema, self.roles)
        current, reference, lonely = self._comparable(current, reference, arrays)
        for group in (f"{self._grouped[-1]}={value}" for value in lonely):
            if self._grouped[-1] not in view.masked:
                said = f"{self.name}: {group} is in only one of window and reference"
                yield self._apart(self.result(Status.SKIPPED, said, view), group)
        yield from self._results(view, Run(self, current, reference, self._embedded(arrays), view.masked), sound)

    def _reference(self, view: View) -> pd.DataFrame | None:
        try:
            frame = rows(view.answers, Sample("reference", self.rows).key).frame
        except CannotJudge:
            return None
        return frame if len(frame) else None

    def _arrays(self, current: pd.DataFrame) -> dict[str, list[str]]:
        """Column of arrays -> the names of the columns it becomes."""
        columns = [of for of in self.embeddings.values() if isinstance(of, str) and of in current.columns]
        return {c: [f"{c}.{i}" for i in range(frames.width(current, c))] for c in columns}

    def _embedded(self, arrays: Mapping[str, list[str]]) -> dict[str, list[str]]:
        return {name: arrays.get(of, [of]) if isinstance(of, str) else list(of) for name, of in self.embeddings.items()}

    def _comparable(
        self, current: pd.DataFrame, reference: pd.DataFrame | None, arrays: Mapping[str, list[str]]
    ) -> tuple[pd.DataFrame, pd.DataFrame | None, list[str]]:
        """Whole rows of the groups that both have, and for what counts as many of each; and the groups that only one has."""
        embedded = [c for columns in self._embedded(arrays).values() for c in columns]
        grouped = self._grouped[-1:]
        needed = [*self.roles, *(c for d in self.descriptors for c in self.described(d)), *embedded, *grouped]
        model = self.classification or {}
        classes = [str(model[role]) for role in ("target", "prediction_labels") if role in model]
        current = frames.labelled(frames.whole(current, needed), classes)
        reference = None if reference is None else frames.labelled(frames.whole(reference, needed), classes)
        if not len(current):
            raise NothingToJudge(f"{self.name}: no row of the sample has a value in each of {', '.join(needed)}")
        if reference is None or not len(reference):
            return current, None, []
        lonely: list[str] = []
        if grouped:
            current, reference, lonely = frames.in_both(current, reference, grouped[0])
        if not self._of_drift:
            current, reference = frames.evened(current, reference)
        return current, reference, lonely[:MOST_LABELS]

    def _refuse(self, apart: frames.Apart, arrays: Mapping[str, list[str]]) -> None:
        """Raises where a column that it cannot do without cannot be judged."""
        embedded = [c for columns in arrays.values() for c in columns]
        for column in [*(self.watched if self.columns is None else self.roles), *embedded]:
            if column in apart:
                status, why = apart[column]
                raise (NothingToJudge if status is Status.SKIPPED else CannotJudge)(f"{self.name}: {column}: {why}")

    def _meant(self, apart: frames.Apart) -> frames.Apart:
        return {c: fault for c, fault in apart.items() if self.columns is None or c in self.columns}

    def _results(self, view: View, run: Run, sound: list[str]) -> Iterator[Result]:
        try:
            measured = run.measured()
        except CannotJudge:
            raise
        except Exception as fault:
            if run.reference is None and self._of_drift:
                raise NothingToJudge(f"{self.name}: there is no reference to compare with yet") from fault
            if not run.takes_columns:
                raise CannotJudge(f"{self.name}: Evidently could not compute it: {self._reason(view, fault)}") from fault
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
                said = f"{self.name}: Evidently could not compute {column}: {self._reason(view, fault)}"
                yield self._apart(self.result(Status.ERRORED, said, view, column=column), column)
                continue
            yield from self._told(view, measured, lone=False)

    def _told(self, view: View, measured: list[Measured], lone: bool) -> Iterator[Result]:
        for one in (m for m in measured if self.bounded or m.tests):
            if lone and self.bounded and not one.values:
                raise CannotJudge(f"{self.name}: {one.name} has no number that bounds could be held against")
            if len(one.values) > MOST_LABELS:
                said = f"{one.name} has {len(one.values)} labels; at most {MOST_LABELS} are judged"
                yield self._apart(self.result(Status.ERRORED, said, view, column=one.column), one.name)
                continue
            for label, value in one.values if self.bounded else one.values[:1]:
                made = self._by_bounds(view, one, label, value) if self.bounded else self._by_tests(view, one, value)
                # A lone metric is the check itself; a preset's are told apart.
                yield made if lone and not label else self._apart(made, one.name + label)

    def _apart(self, made: Result, part: str) -> Result:
        return replace(made, check=f"{self.name}: {part}")

    def _by_bounds(self, view: View, one: Measured, label: str, value: float) -> Result:
        bounds = Bounds(self.at_least, self.at_most)
        if math.isnan(value):
            return self.result(Status.ERRORED, f"{one.name}{label}: Evidently gave no number", view, column=one.column)
        shown = "(not shown)" if one.column in view.masked else amount(value, "number")
        said = f"{one.name}{label} is {shown}, {bounds_in_words(bounds, 'number')}"
        return self._verdict(view, one, said, value, not bounds.admit(value), bounds, bounds.score(value))

    def _by_tests(self, view: View, one: Measured, value: float) -> Result:
        bad = [t for t in one.tests if t["status"] == "FAIL"]
        told = (bad or one.tests)[0]["description"] if not view.masked & {one.column, *self.watched} else "a test of Evidently's"
        if any(t["status"] not in {"FAIL", "SUCCESS", "WARNING"} for t in one.tests):
            return self.result(Status.ERRORED, f"{one.name} could not be tested: {told}", view, column=one.column)
        said = f"{one.name}: {told}"
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

    def _reason(self, view: View, fault: Exception) -> str:
        """Evidently's complaints may quote values."""
        return "the reason is not shown, it may hold values of a masked column" if view.masked else reason(fault)
