"""Measuring one window: every question asked once, inside the source's own engine, the answers as a profile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import reduce
from typing import TYPE_CHECKING, TypeVar

from checks.profile import Answer, Broken, Counts, Grid, Histogram, Number, Profile
from checks.question import (
    IN_ALL,
    Categories,
    Cells,
    Distribution,
    Duplicates,
    Keys,
    Population,
    Query,
    Question,
    Repeats,
    Sample,
    Scalar,
    Watermark,
)
from checks.window import Window
from monitor.measuring import cells, counting, histograms, keyed, sampling, values
from monitor.measuring.asking import AT_ONCE, SEGMENT, Found, Rowset, each, each_batch, need
from monitor.measuring.grid import pinned
from monitor.measuring.sampling import apply_where
from monitor.segments import MISSING, OTHER, UNREADABLE
from monitor.sources.base import Place, Source

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.sql import SQLBackend

MOST_SEGMENTS = 50
ROWS = Scalar("rows", lambda t: t.count(), "add")

WHOLE = 2**53
"""A number beyond it is asked for: a distribution counts in floats."""

T = TypeVar("T")
Part = dict[str, Answer]


@dataclass(frozen=True)
class Reading:
    """A window that can be asked. `schema` maps columns to Ibis types, without the mark of those that cannot be missing; `whole` is
    the number of its rows where the table is a sample of them."""

    source: Source
    connection: SQLBackend
    place: Place
    window: Window
    table: ir.Table
    whole: int | None = None

    @property
    def schema(self) -> dict[str, str]:
        return {name: str(kind.copy(nullable=True)) for name, kind in self.table.schema().items()}


@contextmanager
def reading(source: Source, place: Place, window: Window, timeout: timedelta) -> Iterator[Reading]:
    """The window, open for questions. Raises SourceDown, SourceError and NoData."""
    with source.connect(timeout) as connection:
        with source.speaking(place):
            table, whole = source.window(connection, place, window), None
            if place.sample:
                table, whole = source.sampled(connection, table, place.sample)
        yield Reading(source, connection, place, window, table, whole)


def measure(
    reading: Reading,
    asked: Mapping[Population, Sequence[Question]],
    grids: Mapping[str, Grid],
    reference: Sequence[Window] = (),
) -> Profile:
    """The answers to all questions, per population. `grids` (by question's key) are those pinned by earlier windows,
    `reference` the windows that a `Sample` of the reference is drawn from.

    A question that fails is `Broken` with the reason and the others are answered. Raises SourceDown, SourceError where
    nothing can be asked any more.
    """
    rowset = Rowset(reading.source, reading.connection, reading.place, reading.table)
    with reading.source.speaking(reading.place):
        [[rows]] = rowset.rows(reading.table.aggregate(rows=reading.table.count()))
        on, gridless = _grids(rowset, asked, grids, int(rows))
        parts: dict[tuple[str, str], Part] = {("", ""): {"rows": Number(int(rows), "add")}}
        known: dict[str | None, Part] = {}
        # Segments first: together they are the whole, which then needs no pass of its own.
        for population in sorted(asked, key=lambda p: p.by is None):
            questions, where = _unique(asked[population]), population.where
            asking = _Asking(reading, population, questions, on, gridless, reference, int(rows), known.get(where, {}))
            found = _population(asking, rowset)
            if population.by and where not in known:
                known[where] = _together(list(found.values()))
            for segment, answers in found.items():
                parts.setdefault((where or "", segment), {}).update(answers)
        if reading.whole is not None:
            _scaled(parts.values(), reading.whole / max(int(rows), 1))
    return Profile(reading.schema, int(rows), parts)


def _scaled(parts: Iterable[Part], share: float) -> None:
    """How many rows each part stands for where a sample was measured."""
    for part in parts:
        rows = part.get(ROWS.key)
        if isinstance(rows, Number):
            part[IN_ALL] = Number(round((rows.value or 0) * share), "add")


def _together(segments: Sequence[Part]) -> Part:
    """The distributions of all rows from those of their segments."""
    found: Part = {}
    for key in segments[0] if segments else ():
        answers = [segment.get(key) for segment in segments]
        histograms = [answer for answer in answers if isinstance(answer, Histogram)]
        if len(histograms) == len(answers):
            found[key] = reduce(Histogram.plus, histograms)
    return found


def _grids(
    rowset: Rowset, asked: Mapping[Population, Sequence[Question]], pinned: Mapping[str, Grid], rows: int
) -> tuple[dict[str, Grid], dict[str, Broken]]:
    """A grid for every distribution that is asked, by its key: one for all its populations, so that they compare. And the
    distributions (by key) that cannot have one."""
    wanted = {q.key: q for questions in asked.values() for q in _of(Distribution, questions)}
    fresh = [question for key, question in wanted.items() if key not in pinned]
    made, broken = histograms.made(rowset, fresh, rows)
    return made | {key: grid for key, grid in pinned.items() if key in wanted}, broken


@dataclass(frozen=True)
class _Asking:
    """What is asked of one population, in a window of so many `rows`. `gridless` are the distributions, by key, that no grid
    could be made for; `known` are answers that its segments gave."""

    reading: Reading
    population: Population
    questions: Sequence[Question]
    grids: Mapping[str, Grid]
    gridless: Mapping[str, Broken]
    reference: Sequence[Window]
    rows: int
    known: Part

    def of(self, kind: type[T]) -> list[T]:
        return _of(kind, self.questions)

    def all_broken(self, why: Broken) -> Part:
        return dict.fromkeys((ROWS.key, *(q.key for q in self.questions)), why)

    def segment(self, value: str | None) -> str:
        """`country=DE`; an empty text where the population has no segments."""
        return f"{self.population.by}={value}" if self.population.by else ""


def _population(asking: _Asking, whole: Rowset) -> dict[str, Part]:
    """Segment (`` or `country=DE`) -> answers."""
    source = asking.reading.source
    try:
        rowset = _narrowed(whole, asking.population)
    except Exception as error:  # The user's condition, or a segment's column that is gone.
        if source.is_down(error):
            raise
        return {asking.segment(UNREADABLE): asking.all_broken(Broken(source.said(error)))}
    found = _asked(asking, rowset)
    if ROWS.key in found.broken:
        return {asking.segment(UNREADABLE): asking.all_broken(found.broken[ROWS.key])}
    if asking.population.by is None:
        _one_by_one(asking, rowset, found)
    _watermark(asking, found)
    segments = sorted(found.answers, key=str) if asking.population.by else [None]
    return {asking.segment(segment): _part(asking, found, segment) for segment in segments}


def _narrowed(whole: Rowset, population: Population) -> Rowset:
    table = whole.table
    if population.where:
        table = apply_where(whole.connection, table, population.where)
    if not population.by:
        return replace(whole, table=table, narrowed=bool(population.where))
    return replace(whole, table=_by_segment(whole, table, population.by), segmented=True, narrowed=bool(population.where))


def _by_segment(whole: Rowset, table: ir.Table, by: str) -> ir.Table:
    """The table with a column that names each row's segment: the 50 with the most rows, the others as one."""
    import ibis

    column = need(table, by)
    text = values.as_text(column, column.type()).substr(0, values.LONGEST)
    named = table.mutate(**{SEGMENT: text.fill_null(MISSING)})
    sizes = named.group_by(SEGMENT).aggregate(n=named.count())
    ranked = whole.rows(sizes.order_by(ibis.desc("n"), SEGMENT).limit(MOST_SEGMENTS + 1))
    if len(ranked) <= MOST_SEGMENTS:
        return named
    top = [segment for segment, _ in ranked[:MOST_SEGMENTS]]
    return named.mutate(**{SEGMENT: ibis.ifelse(named[SEGMENT].isin(top), named[SEGMENT], OTHER)})


def _asked(asking: _Asking, rowset: Rowset) -> Found:
    """Everything that is asked of all segments at once."""
    source, found = rowset.source, Found()
    if not asking.population.by:
        found.answers[None] |= {q.key: asking.known[q.key] for q in asking.of(Distribution) if q.key in asking.known}
    known = found.answers.get(None, {})
    sound = [q for q in asking.of(Distribution) if q.key in asking.grids and q.key not in known]
    found.add(each_batch(source, sound, lambda some: histograms.distributions(rowset, some, asking.grids)))
    found.add(each_batch(source, asking.of(Categories), lambda some: values.categories(rowset, some, asking.rows), AT_ONCE // 4))
    left = [ROWS, *(q for q in asking.of(Scalar) if not _within(q, found))]
    found.add(each_batch(source, left, lambda some: counting.scalars(rowset, some)))
    for combined in asking.of(Cells):
        found.add(each(source, [combined], lambda some: cells.cells(rowset, some[0])))
    for question in asking.of(Duplicates):
        found.add(each(source, [question], lambda some: counting.duplicates(rowset, some)))
    for repeated in asking.of(Repeats):
        found.add(each(source, [repeated], lambda some: counting.repeats(rowset, some[0], asking.rows)))
    found.broken.update({q.key: asking.gridless[q.key] for q in asking.of(Distribution) if q.key in asking.gridless})
    return found


def _within(question: Scalar, found: Found) -> bool:
    """Whether the answers at hand hold the number, in every segment; then it is put there."""
    if question.within is None or not found.answers:
        return False
    key, part = question.within
    numbers = {}
    for segment, answers in found.answers.items():
        answer = answers.get(key)
        value = getattr(answer, part, None)
        if answer is None or (value is not None and abs(value) > WHOLE):
            return False
        numbers[segment] = Number(value, question.merge)
    for segment, number in numbers.items():
        found.answers[segment][question.key] = number
    return True


def _one_by_one(asking: _Asking, rowset: Rowset, found: Found) -> None:
    """What needs rows, or is the user's own SQL, or is about the keys of the whole table: not asked per segment."""
    reading, where = asking.reading, asking.population.where

    def query(some: Sequence[Query]) -> Found:
        return Found.one(some[0], sampling.query(reading, rowset, some[0]))

    def sample(some: Sequence[Sample]) -> Found:
        windows = asking.reference if some[0].of == "reference" else None
        return Found.one(some[0], sampling.sample(reading, rowset, where, some[0].rows, windows))

    for question in asking.of(Query):
        found.add(each(reading.source, [question], query))
    for recurring in asking.of(Keys):
        found.add(each(reading.source, [recurring], lambda some: keyed.keys(rowset, some[0])))
    for wanted in asking.of(Sample):
        found.add(each(reading.source, [wanted], sample))


def _watermark(asking: _Asking, found: Found) -> None:
    """The newest time of the whole table, the same for every segment."""
    reading = asking.reading

    def newest(some: Sequence[Watermark]) -> Found:
        value = reading.source.newest(reading.connection, reading.place, reading.window)
        return Found.one(some[0], Number(value, "max"))

    for question in asking.of(Watermark):
        said = each(reading.source, [question], newest)
        answer = said.broken.get(question.key) or said.answers[None][question.key]
        for segment in list(found.answers):
            found.answers[segment][question.key] = answer


def _part(asking: _Asking, found: Found, segment: str | None) -> Part:
    """The answers of a segment; what gave no row at all (an empty window) is an empty answer, not a missing one."""
    answers = found.answers.get(segment, {})
    part: Part = {ROWS.key: answers.get(ROWS.key, Number(0, "add"))}
    for question in asking.questions:
        key = question.key
        part[key] = found.broken.get(key) or answers.get(key) or _empty(question, asking.grids)
    return part


def _empty(question: Question, grids: Mapping[str, Grid]) -> Answer:
    if isinstance(question, Distribution):
        return Histogram.of(grids[question.key], {})
    if isinstance(question, Categories | Cells):
        return Counts({}, distinct=0)
    if isinstance(question, Duplicates | Repeats):
        return Number(0)
    return Broken("this is asked of whole windows only, not of segments")


def _unique(questions: Sequence[Question]) -> list[Question]:
    """Two questions with one key are one question; the rows are counted anyway."""
    return list({q.key: q for q in questions if q.key != ROWS.key}.values())


def _of(kind: type[T], questions: Sequence[Question]) -> list[T]:
    return [q for q in questions if isinstance(q, kind)]


__all__ = ["Reading", "apply_where", "measure", "pinned", "reading"]
