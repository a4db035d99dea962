"""What a database that we have never talked to could not be asked: found by composing every statement, without connecting.

The measuring itself runs, on a source that composes the SQL and answers nothing but zeros; so what is composed here is what
would be sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from checks.base import Check
from checks.profile import Broken
from checks.question import Population, Question, Schema
from checks.window import Window
from monitor.dataset import Dataset
from monitor.sources.base import Place, Record, Source, SourceError

if TYPE_CHECKING:
    import ibis.expr.types as ir

DAY = Window(datetime(2024, 3, 5, tzinfo=UTC), datetime(2024, 3, 6, tzinfo=UTC))
INSTANT = "timestamp('UTC')"
KINDS = {
    "fractions": "float64",
    "whole numbers": "int64",
    "decimals": "decimal(18, 4)",
    "texts": "string",
    "booleans": "boolean",
    "instants": INSTANT,
    "times without zone": "timestamp",
    "dates": "date",
}
"""One column of each type that the learned checks tell apart."""
LACKING = ("OperationNotDefinedError", "UnsupportedOperationError", "UnsupportedBackendType", "UnsupportedArgumentError")
UNSUPPORTED = ("ParseError", "TokenError", *LACKING)
"""What is raised where the user's own SQL is none, or the dialect lacks something; all else does not fit its column."""
MANY = 1_000_000
"""Rows there seem to be, so that a sample is picked at random."""


@dataclass
class Composer:
    """Takes the place of an Ibis connection. `statements` is all that would have been sent."""

    name: str
    schema: Schema
    statements: list[str] = field(default_factory=list)

    @property
    def dialect(self) -> Any:
        from ibis.backends.sql import compilers

        return getattr(compilers, self.name).compiler.dialect

    def compile(self, expr: Any) -> str:
        from ibis.backends.sql import compilers

        self.statements.append(getattr(compilers, self.name).compiler.to_sqlglot(expr.as_table()).sql(self.dialect))
        return self.statements[-1]

    def sql(self, query: str, schema: Any) -> ir.Table:
        import ibis
        import ibis.expr.operations as ops

        return ops.SQLQueryResult(query, ibis.schema(schema), None).to_expr()

    def table(self, place: Place) -> ir.Table:
        import ibis

        if place.query is not None:
            return self.sql(place.query, self.schema)
        return ibis.table(dict(self.schema), name=(place.table or "").split(".")[-1])


def composed(source: Source, place: Place, asked: Mapping[Population, Sequence[Question]], schema: Schema) -> Composition:
    """All statements that the questions would take, and what of them this source's dialect has no words for.

    `schema` is the table's, Ibis' types by column. Raises SourceError where not even the window can be expressed,
    NotImplementedError where the dialect cannot be composed here.
    """
    from monitor.measuring.measure import measure, reading

    dry = _dry(type(source))(url=SecretStr(source.url.get_secret_value()))
    composer = Composer(source.dialect or "duckdb", schema)
    object.__setattr__(dry, "_composer", composer)
    _composable(composer.name)
    with reading(dry, place, DAY, timedelta(seconds=1)) as opened:
        profile = measure(opened, asked, {})
    answers = [(key, answer) for part in profile.parts.values() for key, answer in part.items()]
    return Composition(composer.statements, {key: answer.reason for key, answer in answers if isinstance(answer, Broken)})


def _composable(dialect: str) -> None:
    from ibis.backends.sql import compilers

    if not hasattr(getattr(compilers, dialect, None), "compiler"):
        raise NotImplementedError(f"Ibis composes SQL for {dialect} only when it is connected")


@dataclass(frozen=True)
class Composition:
    """Statements, and for each question (by key) that has none, the reason."""

    statements: Sequence[str]
    faults: Mapping[str, str]

    @property
    def unsupported(self) -> dict[str, str]:
        """The faults that are the dialect's, in words."""
        found = {key: reason.partition(": ") for key, reason in self.faults.items()}
        return {key: said or kind for key, (kind, _, said) in found.items() if kind in UNSUPPORTED}


def gaps(source: Source, dataset: Dataset) -> list[str]:
    """What of the dataset's checks this source's dialect cannot express, a sentence each; none where SQL is not looked at."""
    if source.dialect is None:
        return []
    try:
        composed(source, dataset.place, {}, _framed(dataset, {}))
    except SourceError as fault:
        return [str(fault)]
    except NotImplementedError as fault:
        return [f"what cannot be asked is not known beforehand: {fault}"]
    own = [said for check in dataset.checks if (said := _gap(source, dataset, check))]
    return own + (_learned(type(source), source.url.get_secret_value()) if dataset.auto else [])


def _gap(source: Source, dataset: Dataset, check: Check) -> str | None:
    """Whatever type the check's columns have, if one of them can be asked all is well."""
    said: dict[str, str] = {}
    for kind in KINDS.values():
        schema = _framed(dataset, dict.fromkeys(check.watched, kind))
        found = composed(source, dataset.place, _questions([check], dataset, schema), schema)
        if not found.faults:
            return None
        said = said or found.unsupported
    return f"{check.name} cannot be asked: {next(iter(said.values()))}" if said else None


@cache
def _learned(kind: type[Source], url: str) -> list[str]:
    """The same for every dataset of a source: it depends on types alone."""
    from monitor.worker import chosen

    source = kind(url=SecretStr(url))
    dataset = Dataset(name="any", table="any", time_column="instants")
    found = composed(source, dataset.place, _questions(chosen(dataset, KINDS), dataset, KINDS), KINDS)
    return [f"{key} cannot be asked: {reason}" for key, reason in found.unsupported.items()]


def _questions(checks: Sequence[Check], dataset: Dataset, schema: Schema) -> Mapping[Population, Sequence[Question]]:
    from monitor.worker import questions

    return questions(checks, dataset, schema)


def _framed(dataset: Dataset, schema: Schema) -> dict[str, str]:
    """With the columns that windows and segments are cut by."""
    frame = dict.fromkeys(dataset.segments, "string")
    return frame | dict(schema) | ({dataset.time_column: INSTANT} if dataset.time_column else {})


def _dry(kind: type[Source]) -> type[Source]:
    """The same kind of source, which composes and connects to nothing."""

    class Dry(kind):  # type: ignore[valid-type, misc]
        @contextmanager
        def connect(self, timeout: timedelta) -> Iterator[Any]:
            yield self._composer

        def relation(self, connection: Any, place: Place) -> ir.Table:
            return connection.table(place)

        def rows(self, connection: Any, table: ir.Table) -> list[Record]:
            connection.compile(table)
            if table.columns == ("rows",):
                return [(MANY,)]
            return [tuple("0" if kind.is_string() else 0 for kind in table.schema().values())]

        def run(self, connection: Any, sql: str) -> list[Record]:
            connection.statements.append(sql)
            return [(0,)]

        def said(self, error: BaseException | str) -> str:
            return f"{type(error).__name__}: {' '.join(str(error).split())}" if isinstance(error, Exception) else str(error)

    return Dry
