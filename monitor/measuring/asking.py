"""Asking a source questions about one population of a window so that one bad question never hides the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from checks.profile import Answer, Broken
from checks.question import Question
from monitor.sources.base import Place, Record, Source, SourceDown, SourceError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.sql import SQLBackend

SEGMENT = "datavigil_segment"
"""The column that holds a row's segment where a population is asked per value of a column."""
AT_ONCE = 100
"""Questions of one statement, for all engines."""
MOST_KEPT = 200
KEPT: dict[tuple[Hashable, ...], str] = {}
"""Composed SQL, the least recently used first."""
Q = TypeVar("Q", bound=Question)


@dataclass(frozen=True)
class Rowset:
    """The rows that are asked about. `segmented`: they have a column `SEGMENT`, and each answer comes per value of it."""

    source: Source
    connection: SQLBackend
    place: Place
    table: ir.Table
    segmented: bool = False

    @property
    def has_nan(self) -> bool:
        """The engine has a NaN to ask for (SQLite and MySQL have none)."""
        return self.connection.name not in {"sqlite", "mysql"}

    def rows(self, table: ir.Table) -> list[Record]:
        return self.source.rows(self.connection, table)

    def asked(self, what: tuple[Hashable, ...], build: Callable[[], ir.Table]) -> list[Record]:
        """The rows of the table that `build` makes, which must follow from `what` and the rowset alone.

        Its SQL is kept for the next window: on a small one, Ibis' composing takes longer than the engine's answering.
        """
        key = self._identity and (*self._identity, *what)
        if not key:
            return self.rows(build())
        sql = KEPT.pop(key, None) or self.connection.compile(build())
        KEPT[key] = sql
        if len(KEPT) > MOST_KEPT:
            del KEPT[next(iter(KEPT))]
        return self.source.run(self.connection, sql)

    @property
    def _identity(self) -> tuple[Hashable, ...] | None:
        """What the SQL of a question depends on beside the question; None where that cannot be said."""
        query = getattr(self.table.op(), "query", None)
        if self.segmented or self.connection.name != "duckdb" or not isinstance(query, str):
            return None
        return (self.connection.name, query, tuple((name, str(kind)) for name, kind in self.table.schema().items()))

    def keys(self, table: ir.Table) -> dict[str, Any]:
        """The columns to group by, or to carry, for the segment."""
        return {SEGMENT: table[SEGMENT]} if self.segmented else {}


@dataclass
class Found:
    """Answers per segment (None: no segments) and question's key, and the questions that failed, with the reason."""

    answers: dict[str | None, dict[str, Answer]] = field(default_factory=lambda: defaultdict(dict))
    broken: dict[str, Broken] = field(default_factory=dict)

    def add(self, other: Found) -> Found:
        for segment, answers in other.answers.items():
            self.answers[segment].update(answers)
        self.broken.update(other.broken)
        return self

    @classmethod
    def one(cls, question: Question, answer: Answer) -> Found:
        """The answer to a question that is not asked per segment."""
        return cls({None: {question.key: answer}})


def each(source: Source, questions: Sequence[Q], ask: Callable[[Sequence[Q]], Found]) -> Found:
    """All questions in one statement; where that fails, halves of them, down to the ones that cannot be answered.

    Raises SourceDown where the source is gone, and SourceError where many questions at once took too long: asking
    them in parts would take longer still.
    """
    if not questions:
        return Found()
    try:
        return ask(questions)
    except SourceDown:
        raise
    except Exception as error:  # An engine's fault, or an expression that does not fit the columns.
        if source.is_down(error):
            raise SourceDown(f"the source does not answer any more: {source.said(error)}") from None
        if len(questions) == 1:
            return Found(broken={questions[0].key: Broken(source.said(error))})
        if source.timed_out(error):
            raise SourceError(f"the measuring was ended because it took too long: {source.said(error)}") from None
    half = len(questions) // 2
    return each(source, questions[:half], ask).add(each(source, questions[half:], ask))


def each_batch(source: Source, questions: Sequence[Q], ask: Callable[[Sequence[Q]], Found], most: int = AT_ONCE) -> Found:
    """The same, so many questions at a time: engines have limits to what a statement may hold, and a batch bounds memory."""
    found = Found()
    for start in range(0, len(questions), most):
        found.add(each(source, questions[start : start + most], ask))
    return found


def need(table: ir.Table, column: str) -> Any:
    """A column of the window. Raises SourceError, in words, where it is not there."""
    if column not in table.columns:
        raise SourceError(f"there is no column {column}")
    return table[column]
