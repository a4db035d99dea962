"""Running a metric or preset of Evidently's on two samples of sound columns, and reading what came out; workers only."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from checks import evidently_making as making
from checks.pending import CannotJudge
from checks.result import HIGHEST_SCORE
from checks.wording import quoted

if TYPE_CHECKING:
    import pandas as pd

    from checks.evidently import Evidently

FAILED = 2.0
"""The score of a failed test of Evidently's, which says no more than that it failed."""
PASSING = {"type", "method", "threshold", "drift_share"}
"""What Evidently chooses by the number of rows, so no part of a metric's name."""


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
    """Running a check's metric or preset on two frames of sound columns.

    `embedded` maps the name of an embedding to its columns; `masked` are columns whose values must not be shown.
    """

    check: Evidently
    current: pd.DataFrame
    reference: pd.DataFrame | None
    embedded: Mapping[str, list[str]] = field(default_factory=dict)
    masked: frozenset[str] = frozenset()

    @property
    def takes_columns(self) -> bool:
        return "columns" in getattr(making.found(self.check.metric), "__fields__", {})

    def measured(self, column: str | None = None) -> list[Measured]:
        """All its metrics, or those of one column alone. Raises what Evidently raises, CannotJudge for a name or option unknown.

        The number of rows is left out: it is the sample's.
        """
        metric = self._made(column)
        current, reference = self._both(column)
        with making.quiet():
            from evidently import Report

            body = Report([metric], include_tests=not self.check.bounded).run(current, reference).dict()
        found = [self._measured(m, body["tests"]) for m in body["metrics"]]
        return [m for m in found if m.name != "RowCount"]

    def _made(self, column: str | None) -> Any:
        options = self.check.metric_options
        if column or self.check.columns:
            options["columns"] = [column] if column else [c for c in self.check.columns or () if c in self.current.columns]
        return making.metric(self.check.name, self.check.metric, options)

    def _both(self, column: str | None) -> tuple[Any, Any]:
        """Evidently's two datasets. Both are read by the reference's definition, or a column could change its kind by chance."""
        made = making.descriptors(self.check) if self.check.descriptors and column is None else None
        definition = making.definition(self.check, self.embedded, self._classes())
        if self.reference is None:
            return self._dataset(self.current, column, definition, made), None
        reference = self._dataset(self.reference, column, definition, None)
        # Before descriptors: they add their columns to the definition they are given.
        definition = definition or reference.data_definition.copy(deep=True)
        if made:
            reference = self._dataset(self.reference, column, definition.copy(deep=True), made)
        return self._dataset(self.current, column, definition, made), reference

    def _classes(self) -> int:
        target = (self.check.classification or {}).get("target")
        frames = [f for f in (self.current, self.reference) if f is not None and target in f.columns]
        return len({value for frame in frames for value in frame[target].dropna().unique()})

    def _dataset(self, frame: pd.DataFrame, column: str | None, definition: Any, descriptors: list[Any] | None) -> Any:
        with making.quiet():
            from evidently import Dataset

            try:
                return Dataset.from_pandas(frame if column is None else frame[[column]], definition, descriptors=descriptors)
            except Exception as fault:
                if not descriptors:
                    raise
                why = "not shown, it may hold masked values" if self.masked else making.reason(fault)
                raise CannotJudge(f"{self.check.name}: the descriptors could not be computed: {why}") from fault

    def _measured(self, metric: dict[str, Any], tests: list[dict[str, Any]]) -> Measured:
        config = metric["config"]
        own = [{**t, "status": _word(t["status"])} for t in tests if t["metric_config"]["metric_id"] == metric["id"]]
        inner = config.get("metric") if isinstance(config.get("metric"), Mapping) else config
        column, threshold = inner.get("column"), inner.get("threshold")
        return Measured(
            name=self._name(config),
            column=column,
            values=[(self._label(label, column), value) for label, value in numbers(metric["value"], config)],
            tests=own,
            method=str(inner.get("method") or ""),
            threshold=float(threshold) if isinstance(threshold, int | float) else None,
        )

    def _name(self, config: Mapping[str, Any]) -> str:
        """`QuantileValue(amount, 0.25)`, `MeanValue(amount) for country=DE`: part of a problem's identity."""
        inner = config.get("metric")
        if isinstance(inner, Mapping):
            by = str(config.get("column_name"))
            label = _hidden(config.get("label")) if by in self.masked else quoted([str(config.get("label"))])
            return f"{self._name(inner)} for {by}={label}"
        said = [
            str(v) for k, v in config.items() if isinstance(v, str | float | int) and not isinstance(v, bool) and k not in PASSING
        ]
        said = [v for v in said if v != "default"]
        kind = str(config.get("type", "metric")).rpartition(":")[2]
        return f"{kind}({', '.join(said)})" if said else kind

    def _label(self, label: str, column: str | None) -> str:
        """A label is a value of the metric's column, or of the model's target."""
        of = {column} if column else set(self.check.roles)
        return "" if not label else f" {_hidden(label) if of & self.masked else quoted([label])}"


def _hidden(value: Any) -> str:
    return "#" + hashlib.sha256(str(value).encode("utf-8", "replace")).hexdigest()[:8]


def _word(status: Any) -> str:
    return str(getattr(status, "value", status)).rpartition(".")[2].upper()


def numbers(value: Any, config: Mapping[str, Any]) -> list[tuple[str, float]]:
    """The numbers of a metric's value: one, the share of a count, the mean of a spread, that at k of a ranking, or one per label.

    What is no number (a table, a matrix) has none.
    """
    if not isinstance(value, Mapping):
        return _labelled({"": value})
    for chosen in ("share", "mean"):
        if chosen in value:
            return _labelled({"": value[chosen]})
    if value.keys() == {"rank", "value"}:
        # By its place: some rankings count their ranks from 2, with the value at 1 in it.
        ranked = list(value["value"].values())
        return _labelled({"": ranked[min(int(config.get("k") or 1), len(ranked)) - 1]} if ranked else {})
    return _labelled(value.get("shares", value))


def _labelled(values: Mapping[Any, Any]) -> list[tuple[str, float]]:
    told = []
    for label, value in values.items():
        try:
            told.append((str(label), float(value)))
        except (TypeError, ValueError):
            continue
    return told
