"""Running a metric or preset of Evidently's on the columns it can bear, for the check `evidently`; workers only."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from inspect import signature
from typing import TYPE_CHECKING, Any

from checks.base import CannotJudge
from checks.question import Schema, column_kind
from checks.result import HIGHEST_SCORE, Status
from checks.wording import quoted

if TYPE_CHECKING:
    import pandas as pd

    from checks.evidently import Evidently

FAILED = 2.0
"""The score of a failed test of Evidently's, which says no more than that it failed."""


@dataclass(frozen=True)
class Measured:
    """A metric of a report: its name and column, its numbers with their labels, its tests as Evidently tells them."""

    name: str
    column: str | None
    values: list[tuple[str, float]]
    tests: list[dict[str, Any]]
    method: str = ""
    threshold: float | None = None

    def score(self, value: float, failed: bool) -> float:
        """1 on the threshold where Evidently tells it (a p-value counts downwards), else failed or not."""
        if self.threshold and math.isfinite(value):
            raw = self.threshold / max(value, 1e-12) if self.method.endswith("p_value") else value / self.threshold
            raw = min(max(raw, 0.0), HIGHEST_SCORE)
            return max(raw, math.nextafter(1.0, 2.0)) if failed else min(raw, 1.0)
        return FAILED if failed else 0.0


@dataclass(frozen=True)
class Run:
    """Running a metric or preset on two frames of sound columns."""

    check: Evidently
    current: pd.DataFrame
    reference: pd.DataFrame | None

    @property
    def takes_columns(self) -> bool:
        return "columns" in getattr(_found(self.check.metric), "__fields__", {})

    def measured(self, column: str | None = None) -> list[Measured]:
        """All its metrics, or those of one column alone. Raises what Evidently raises, CannotJudge for a name or option unknown."""
        metric = self._made(column)
        current, reference = self._both(column)
        with _quiet():
            from evidently import Report

            body = Report([metric], include_tests=not self.check.bounded).run(current, reference).dict()
        return [_measured(m, body["tests"]) for m in body["metrics"]]

    def _made(self, column: str | None) -> Any:
        check, found = self.check, _found(self.check.metric)
        options = dict(check.options)
        if check.column:
            options["column"] = check.column
        if column or check.columns:
            options["columns"] = [column] if column else [c for c in check.columns or () if c in self.current.columns]
        _known(check.name, found, options)
        try:
            return found(**options)
        except (TypeError, ValueError) as fault:
            raise CannotJudge(f"{check.name}: {check.metric} refuses its options: {reason(fault)}") from fault

    def _both(self, column: str | None) -> tuple[Any, Any]:
        """Evidently's two datasets. Both are read by the reference's definition, or a column could change its kind by chance."""
        with _quiet():
            from evidently import Dataset

            def pick(frame: pd.DataFrame) -> pd.DataFrame:
                return frame if column is None else frame[[column]]

            definition = _definition(self.check)
            if self.reference is None:
                return Dataset.from_pandas(pick(self.current), definition), None
            reference = Dataset.from_pandas(pick(self.reference), definition)
            return Dataset.from_pandas(pick(self.current), definition or reference.data_definition), reference


def _quiet() -> warnings.catch_warnings[None]:
    """Before every import of Evidently: telemetry off, and silence for the warnings of its many dependencies, which are theirs."""
    os.environ["DO_NOT_TRACK"] = "1"
    return warnings.catch_warnings(action="ignore")


def _found(name: str) -> Any:
    """The class of this name. Raises CannotJudge with the nearest one."""
    with _quiet():
        from evidently import metrics, presets
    for module in (presets, metrics):
        if name in module.__all__:
            return getattr(module, name)
    near = get_close_matches(name, [*presets.__all__, *metrics.__all__], 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise CannotJudge(f"Evidently has no metric or preset {name}{hint}")


def _known(name: str, found: Any, options: Mapping[str, Any]) -> None:
    """Evidently drops an option that it does not know without a word; raises CannotJudge instead."""
    known = {*found.__fields__, *signature(found.__init__).parameters} - {"self", "type", "args", "kwargs", "data"}
    for option in options:
        if option not in known:
            raise CannotJudge(f"{name}: Evidently's {found.__name__} has no option {option}; it has {', '.join(sorted(known))}")


def _definition(check: Evidently) -> Any:
    """Evidently's DataDefinition, None for what it finds out itself."""
    import evidently

    given = dict(check.definition)
    try:
        if check.regression:
            given["regression"] = [evidently.Regression(**check.regression)]
        if check.classification:
            many = "labels" in check.classification or isinstance(check.classification.get("prediction_probas"), list)
            kind = evidently.MulticlassClassification if many else evidently.BinaryClassification
            given["classification"] = [kind(**check.classification)]
        if check.ranking:
            given["ranking"] = [evidently.Recsys(**check.ranking)]
        return evidently.DataDefinition(**given) if given else None
    except (TypeError, ValueError) as fault:
        raise CannotJudge(f"{check.name}: Evidently refuses the definition: {reason(fault)}") from fault


def _measured(metric: dict[str, Any], tests: list[dict[str, Any]]) -> Measured:
    config = metric["config"]
    own = [{**t, "status": _word(t["status"])} for t in tests if t["metric_config"]["metric_id"] == metric["id"]]
    threshold = config.get("threshold")
    return Measured(
        name=_name(config),
        column=config.get("column"),
        values=_numbers(metric["value"]),
        tests=own,
        method=str(config.get("method") or ""),
        threshold=float(threshold) if isinstance(threshold, int | float) else None,
    )


def _name(config: Mapping[str, Any]) -> str:
    """`QuantileValue(amount, 0.25)`: part of a problem's identity, so without what Evidently chooses by sample size."""
    passing = {"type", "method", "threshold", "drift_share"}
    said = [str(v) for k, v in config.items() if isinstance(v, str | float | int) and not isinstance(v, bool) and k not in passing]
    said = [v for v in said if v != "default"]
    kind = str(config.get("type", "metric")).rpartition(":")[2]
    return f"{kind}({', '.join(said)})" if said else kind


def _word(status: Any) -> str:
    return str(getattr(status, "value", status)).rpartition(".")[2].upper()


def _numbers(value: Any) -> list[tuple[str, float]]:
    """The numbers of a metric's value: one, the share of a count, the mean of a spread, or one per label."""
    if not isinstance(value, Mapping):
        return [("", _float(value))]
    for chosen in ("share", "mean"):
        if chosen in value:
            return [("", _float(value[chosen]))]
    labels = value.get("shares", value)
    return [(f" {quoted([str(label)])}", _float(v)) for label, v in labels.items()] or [("", math.nan)]


def _float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def unsound(current: pd.DataFrame, reference: pd.DataFrame | None, schema: Schema) -> dict[str, tuple[Status, str]]:
    """Columns that would make Evidently raise or be left out without a word, and why."""
    found: dict[str, tuple[Status, str]] = {}
    every = list(current.columns) if reference is None else [*reference.columns, *current.columns]
    for column in dict.fromkeys(every):
        if column not in current.columns:
            found[column] = Status.ERRORED, "it is gone from the window"
        elif column_kind(schema.get(column, "string")) == "other":
            found[column] = Status.SKIPPED, f"Evidently knows no values of type {schema[column]}"
        elif current[column].isna().all():
            found[column] = Status.SKIPPED, "the window has no value in it"
        elif reference is not None:
            found |= _unlike(column, current, reference, schema)
    return found


def _unlike(column: str, current: pd.DataFrame, reference: pd.DataFrame, schema: Schema) -> dict[str, tuple[Status, str]]:
    if column not in reference.columns:
        return {column: (Status.SKIPPED, "it is new and has no reference")}
    if reference[column].isna().all():
        return {column: (Status.SKIPPED, "the reference has no value in it")}
    now, before = (_kind(_numeric(f[column], schema)) for f in (current, reference))
    if now != before:
        return {column: (Status.ERRORED, f"it was {before} and is now {now}")}
    return {}


def _kind(values: pd.Series[Any]) -> str:
    from pandas.api import types

    if types.is_bool_dtype(values):
        return "boolean"
    if types.is_numeric_dtype(values):
        return "number"
    return "time" if types.is_datetime64_any_dtype(values) else "text"


def plain(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    return frame.assign(**{c: _numeric(frame[c], schema) for c in frame.columns})


def _numeric(values: pd.Series[Any], schema: Schema) -> pd.Series[Any]:
    """Decimals come as Python objects, which Evidently takes for text."""
    decimal = schema.get(str(values.name), "").lstrip("!").startswith("decimal")
    if not decimal or values.dtype != object:
        return values
    return values.map(lambda v: math.nan if v is None else float(v)).astype(float)


def reason(fault: Exception) -> str:
    first = str(fault).strip().splitlines()
    return f"{type(fault).__name__}: {first[0][:200]}" if first else type(fault).__name__
