"""Asking a source questions about one population of a window so that one bad question never hides the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from checks.profile import Answer, Broken
from checks.question import Question
from monitor.sources.base import Place, Record, Source, SourceDown, SourceError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import sqlglot as sg
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
    """The rows that are asked about. `segmented`: they have a column `SEGMENT`, and each answer comes per value of it.
    `narrowed`: a user's condition has chosen them."""

    source: Source
    connection: SQLBackend
    place: Place
    table: ir.Table
    segmented: bool = False
    narrowed: bool = False

    @property
    def has_nan(self) -> bool:
        return self.source.has_nan(self.connection)

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

    def only(self, *columns: str) -> ir.Table:
        """The same rows with these columns alone, and the segment.

        Whatever is taken of a wide table, Ibis looks at all of its columns, and so does the planner of DuckDB below a `SELECT *`.
        Raises SourceError where a column is not there.
        """
        for column in columns:
            need(self.table, column)
        names = [*dict.fromkeys(columns), *([SEGMENT] if self.segmented else [])]
        schema = {name: self.table.schema()[name] for name in names}
        return self.connection.sql(self._selecting(names), schema=schema)

    def _selecting(self, names: Sequence[str]) -> str:
        import sqlglot as sg

        dialect = self.connection.dialect
        columns = [sg.column(name, quoted=True) for name in names]
        if self._tree is not None:
            return str(self._tree.select(*columns, append=False).sql(dialect))
        return f"SELECT {', '.join(c.sql(dialect) for c in columns)} FROM (\n{self._sql}\n) AS narrow"

    @cached_property
    def _tree(self) -> sg.exp.Select | None:
        """`SELECT * FROM place WHERE ...` as sqlglot's tree, without selects between; None where it is no such thing, or the
        user's own SQL, which is left as it was written."""
        import sqlglot as sg

        if self.connection.name != "duckdb" or self.place.query is not None or self.narrowed:
            return None
        tree = sg.parse_one(self._sql, dialect=self.connection.dialect)
        for inner in list(tree.find_all(sg.exp.Subquery)):
            if _is_whole(inner.this):
                place = inner.this.args["from_"].this.copy()
                inner.replace(sg.exp.alias_(place, inner.alias, table=True) if inner.alias else place)
        return tree if isinstance(tree, sg.exp.Select) and tree.is_star and len(tree.expressions) == 1 else None

    @cached_property
    def _sql(self) -> str:
        query = getattr(self.table.op(), "query", None)
        return query if isinstance(query, str) else str(self.connection.compile(self.table))

    def keys(self, table: ir.Table) -> dict[str, Any]:
        """The columns to group by, or to carry, for the segment."""
        return {SEGMENT: table[SEGMENT]} if self.segmented else {}


def _is_whole(tree: Any) -> bool:
    """`SELECT * FROM place` and nothing else."""
    import sqlglot as sg

    if not isinstance(tree, sg.exp.Select) or [name for name, value in tree.args.items() if value] != ["expressions", "from_"]:
        return False
    return tree.is_star and len(tree.expressions) == 1


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
