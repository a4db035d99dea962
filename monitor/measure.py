"""Measuring one window: every question asked once, inside the source's own engine, the answers as a profile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from checks.profile import Answer, Broken, Counts, Grid, Histogram, Number, Profile
from checks.question import (
    Categories,
    Distribution,
    Duplicates,
    Population,
    Query,
    Question,
    Sample,
    Scalar,
    Watermark,
)
from checks.window import Window
from monitor import counting, histograms, sampling
from monitor.asking import SEGMENT, Found, Rowset, each, need
from monitor.grid import pinned
from monitor.sources.base import Place, Source

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.sql import SQLBackend

MOST_SEGMENTS = 50
OTHER, MISSING, UNREADABLE = "(other)", "(missing)", "(unreadable)"
ROWS = Scalar("rows", lambda t: t.count(), "add")

T = TypeVar("T")
Part = dict[str, Answer]


@dataclass(frozen=True)
class Reading:
    """A window that can be asked. `schema` maps columns to Ibis types, without the mark of those that cannot be missing."""

    source: Source
    connection: SQLBackend
    place: Place
    window: Window
    table: ir.Table

    @property
    def schema(self) -> dict[str, str]:
        return {name: str(kind.copy(nullable=True)) for name, kind in self.table.schema().items()}


@contextmanager
def reading(source: Source, place: Place, window: Window, timeout: timedelta) -> Iterator[Reading]:
    """The window, open for questions. Raises SourceDown, SourceError and NoData."""
    with source.connect(timeout) as connection:
        with source.speaking(place):
            table = source.window(connection, place, window)
        yield Reading(source, connection, place, window, table)


def measure(
    reading: Reading,
    asked: Mapping[Population, Sequence[Question]],
    grids: Mapping[str, Grid],
    reference: Sequence[Window] = (),
) -> Profile:
    """The answers to all questions, per population. `grids` are those pinned by earlier windows, `reference` the windows that
    a `Sample` of the reference is drawn from.

    A question that fails is `Broken` with the reason and the others are answered. Raises SourceDown, SourceError where
    nothing can be asked any more.
    """
    rowset = Rowset(reading.source, reading.connection, reading.place, reading.table)
    with reading.source.speaking(reading.place):
        [[rows]] = rowset.rows(reading.table.aggregate(rows=reading.table.count()))
        on = _grids(rowset, asked, grids, int(rows))
        parts: dict[tuple[str, str], Part] = {("", ""): {"rows": Number(int(rows), "add")}}
        for population, questions in asked.items():
            for segment, answers in _population(reading, rowset, population, questions, on, reference).items():
                parts.setdefault((population.where or "", segment), {}).update(answers)
    return Profile(reading.schema, int(rows), parts)


def apply_where(connection: SQLBackend, table: ir.Table, where: str) -> ir.Table:
    """The rows of `table` for which a condition in the source's own SQL holds."""
    # The line break ends a comment that the condition may end with.
    sql = f"SELECT * FROM (\n{connection.compile(table)}\n) AS t WHERE (\n{where}\n)"
    return connection.sql(sql, schema=table.schema())


def _grids(
    rowset: Rowset, asked: Mapping[Population, Sequence[Question]], pinned: Mapping[str, Grid], rows: int
) -> dict[str, Grid | Broken]:
    """A grid for every column whose distribution is asked: one for all its populations, so that they compare."""
    wanted = {q.column: None for questions in asked.values() for q in questions if isinstance(q, Distribution)}
    fresh = [column for column in wanted if column not in pinned]
    return {**histograms.made(rowset, fresh, rows), **{c: g for c, g in pinned.items() if c in wanted}}


def _population(
    reading: Reading,
    whole: Rowset,
    population: Population,
    questions: Sequence[Question],
    grids: Mapping[str, Grid | Broken],
    reference: Sequence[Window],
) -> dict[str, Part]:
    """Segment (`` or `country=DE`) -> answers."""
    unique = list({q.key: q for q in questions if q.key != "rows"}.values())
    unreadable = f"{population.by}={UNREADABLE}" if population.by else ""
    try:
        rowset = _narrowed(whole, population)
    except Exception as error:  # The user's condition, or a segment's column that is gone.
        if reading.source.is_down(error):
            raise
        return {unreadable: {key: Broken(reading.source.said(error)) for key in ("rows", *(q.key for q in unique))}}
    found = _asked(rowset, unique, grids)
    if population.by is None:
        _one_by_one(found, reading, rowset, population, unique, reference)
    if not population.by and ROWS in found.broken:
        return {"": dict.fromkeys(("rows", *(q.key for q in unique)), found.broken[ROWS])}
    _watermark(found, reading, unique)
    segments = sorted(found.answers, key=str) if population.by else [None]
    parts = {f"{population.by}={s}" if population.by else "": _part(found, s, unique, grids) for s in segments}
    return parts or ({unreadable: _part(found, None, unique, grids)} if found.broken else {})


def _narrowed(whole: Rowset, population: Population) -> Rowset:
    table = whole.table
    if population.where:
        table = apply_where(whole.connection, table, population.where)
    if not population.by:
        return replace(whole, table=table)
    return replace(whole, table=_by_segment(whole, table, population.by), segmented=True)


def _by_segment(whole: Rowset, table: ir.Table, by: str) -> ir.Table:
    """The table with a column that names each row's segment: the 50 with the most rows, the others as one."""
    import ibis

    column = need(table, by)
    text = counting.as_text(column, column.type()).substr(0, counting.LONGEST)
    named = table.mutate(**{SEGMENT: text.fill_null(MISSING)})
    sizes = named.group_by(SEGMENT).aggregate(n=named.count())
    ranked = whole.rows(sizes.order_by(ibis.desc("n"), SEGMENT).limit(MOST_SEGMENTS + 1))
    if len(ranked) <= MOST_SEGMENTS:
        return named
    top = [segment for segment, _ in ranked[:MOST_SEGMENTS]]
    return named.mutate(**{SEGMENT: ibis.ifelse(named[SEGMENT].isin(top), named[SEGMENT], OTHER)})


def _asked(rowset: Rowset, questions: Sequence[Question], grids: Mapping[str, Grid | Broken]) -> Found[Question]:
    """Everything that is asked of all segments at once."""
    source, found = rowset.source, Found[Question]()
    on = {column: grid for column, grid in grids.items() if isinstance(grid, Grid)}
    sound = [q for q in _of(Distribution, questions) if q.column in on]
    found.add(each(source, [ROWS, *_of(Scalar, questions)], lambda some: counting.scalars(rowset, some)))
    found.add(each(source, sound, lambda some: histograms.distributions(rowset, some, on)))
    found.add(each(source, _of(Categories, questions), lambda some: counting.categories(rowset, some)))
    for question in _of(Duplicates, questions):
        found.add(each(source, [question], lambda some: counting.duplicates(rowset, some)))
    found.broken.update({q: grids[q.column] for q in _of(Distribution, questions) if isinstance(grids.get(q.column), Broken)})
    return found


def _one_by_one(
    found: Found[Question],
    reading: Reading,
    rowset: Rowset,
    population: Population,
    questions: Sequence[Question],
    reference: Sequence[Window],
) -> None:
    """What needs rows, or is the user's own SQL: not asked per segment."""

    def query(some: Sequence[Question]) -> Found[Question]:
        return _single(some[0], sampling.query(reading, rowset, some[0]))

    def sample(some: Sequence[Question]) -> Found[Question]:
        return _single(some[0], sampling.sample(reading, rowset, population, some[0], reference))

    for question in _of(Query, questions):
        found.add(each(reading.source, [question], query))
    for question in _of(Sample, questions):
        found.add(each(reading.source, [question], sample))


def _watermark(found: Found[Question], reading: Reading, questions: Sequence[Question]) -> None:
    """The newest time of the whole table, the same for every segment."""

    def newest(some: Sequence[Question]) -> Found[Question]:
        value = reading.source.newest(reading.connection, reading.place, reading.window.end)
        return _single(some[0], Number(value, "max"))

    for question in _of(Watermark, questions):
        said = each(reading.source, [question], newest)
        answer = said.broken.get(question) or said.answers[None][question]
        for segment in list(found.answers):
            found.answers[segment][question] = answer


def _single(question: Question, answer: Answer) -> Found[Question]:
    found: Found[Question] = Found()
    found.answers[None][question] = answer
    return found


def _part(found: Found[Question], segment: str | None, questions: Sequence[Question], grids: Mapping[str, Any]) -> Part:
    """The answers of a segment; what gave no row at all (an empty window) is an empty answer, not a missing one."""
    answers = found.answers.get(segment, {})
    part: Part = {"rows": found.broken.get(ROWS) or answers.get(ROWS, Number(0, "add"))}
    for question in questions:
        part[question.key] = found.broken.get(question) or answers.get(question) or _empty(question, grids)
    return part


def _empty(question: Question, grids: Mapping[str, Any]) -> Answer:
    if isinstance(question, Distribution):
        return Histogram(grids[question.column], {})
    if isinstance(question, Categories):
        return Counts({}, distinct=0)
    if isinstance(question, Duplicates):
        return Number(0)
    return Broken("this is asked of whole windows only, not of segments")


def _of(kind: type[T], questions: Sequence[Question]) -> list[T]:
    return [q for q in questions if isinstance(q, kind)]


__all__ = ["Reading", "apply_where", "measure", "pinned", "reading"]
