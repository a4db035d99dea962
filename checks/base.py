"""A check: what to measure and how to judge it.

A new kind is one new file in this package with a subclass of `Check` in it; its name in TOML is the file's name,
its fields are its settings, its docstring is its page in the docs. Most kinds measure one number per column: they say
`questions` and `value`, and inherit `judge`, which compares the value with the user's bounds or with bounds learned from
history.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from checks import learned
from checks.control import RECORDS, Sensitivity
from checks.gradual import Lasting
from checks.learned import Allowance
from checks.line import each
from checks.once import shared
from checks.pending import CannotJudge, NothingToJudge, Pending, Verdict
from checks.profile import Answer, Answers, Broken, Counts, Histogram, Number, Rows
from checks.question import IN_ALL, Distribution, Of, Question, Schema, column_kind
from checks.result import Bounds, Family, Result, Severity, Status
from checks.special import Special
from checks.window import Window
from checks.wording import Unit, amount, bounds_in_words

if TYPE_CHECKING:
    from checks.judging import Weighed
    from checks.pending import Usual


Made = TypeVar("Made")


@dataclass(frozen=True)
class Past:
    """An earlier window as a check sees it: when it was, how many rows, what was measured (for the same rows and segment).

    `schema` is that window's; empty where it is not known. `whole` are the rows of all segments, 0 where that is not known.
    """

    window: Window
    rows: int
    answers: Answers
    schema: Schema = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """What checks made of these answers before, for the next window that looks back at them."""
    whole: int = 0

    def once(self, key: str, work: Callable[[Past], Made]) -> Made:
        """What `work` makes of it, made once under this key."""
        if key not in self.made:
            self.made[key] = work(self)
        found: Made = self.made[key]
        return found


@dataclass(frozen=True)
class View:
    """All a check may know. `answers`, `history` (oldest first) and `reference` are those of the check's own rows and segment.

    `schema` is the window's, `before` the last measured window's (None: this is the first). `empty_ok`: the dataset
    says that a window without rows is nothing to worry about.
    """

    window: Window
    now: datetime
    rows: int
    schema: Schema
    answers: Answers
    segment: str | None = None
    whole: int = 0
    """The rows of all segments."""
    before: Schema | None = None
    history: Sequence[Past] = ()
    reference: Answers | None = None
    labelled: Sequence[Past] = ()
    """Earlier windows as they were measured once their labels were there, for a check that `learns_from_labels`."""
    time_column: str | None = None
    masked: frozenset[str] = frozenset()
    """Columns whose values must not be shown."""
    empty_ok: bool = False
    widths: Mapping[str, float] = field(default_factory=dict)
    """What learned limits are multiplied by, and why: `sensitivity`, `not useful`, `table` or `segments` (their own record)."""
    marks: Mapping[datetime, str] = field(default_factory=dict)
    """What people said of earlier windows: start -> `expected` (unusual and fine) or `bad` (no example of normal)."""
    days: Mapping[datetime, Special] = field(default_factory=dict)
    """Those of all these windows that lie in a holiday, bridge to one or come after it, by their start."""
    accepted: Mapping[str, datetime] = field(default_factory=dict)
    """Column ("": the table) -> from when on somebody accepted its level as normal. The history of a check that watches that
    column begins there already; one that looks at many columns cuts each column's past itself."""

    @cached_property
    def allowance(self) -> Allowance:
        """By what learned limits are multiplied."""
        people, record = (
            math.prod(width for why, width in self.widths.items() if (why in RECORDS) is recorded) for recorded in (False, True)
        )
        return Allowance(people, record)

    @property
    def recent(self) -> Sequence[Past]:
        """The last windows; on a special day also the older ones that are its like, where the history has some."""
        return self.history if self.window.start in self.days else self.history[-learned.LONGEST :]

    @property
    def expected(self) -> frozenset[datetime]:
        """The starts of the windows that people called unusual and fine."""
        return frozenset(start for start, mark in self.marks.items() if mark == "expected")


@dataclass(frozen=True)
class Table:
    """What the automatic checks are chosen from. `exclude` are columns to leave alone; `key` are those that tell the rows of a
    window apart, where that is known and the same ones may be there again in the next."""

    schema: Schema
    time_column: str | None = None
    exclude: frozenset[str] = frozenset()
    key: tuple[str, ...] = ()

    def columns(self, *kinds: str) -> list[str]:
        """Columns of these kinds (`number`, `text`, `boolean`, `time`, `other`; none named: all), less the excluded."""
        wanted = kinds or ("number", "text", "boolean", "time", "other")
        return [c for c, t in self.schema.items() if column_kind(t) in wanted and c not in self.exclude]


class Check(BaseModel):
    """Settings that every check has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str]
    family: ClassVar[Family]
    scale: ClassVar[learned.Scale] = "number"
    unit: ClassVar[Unit] = "number"
    upward: ClassVar[bool] = False
    """Only more than usual is bad; less never is."""
    lasting: ClassVar[Lasting] = ""
    """Which small changes that stay are told too, where bounds are learned."""
    takes_segments: ClassVar[bool] = True
    takes_absent: ClassVar[bool] = False
    """It is asked of segments too that had rows lately and have none now."""
    apart: ClassVar[bool] = False
    """It runs other people's code on rows: judged in a process of its own, with its `timeout` and `memory_mb`."""

    id: str | None = Field(None, description="a name of your own, kept when columns or wording change")
    where: str | None = Field(None, description="only rows for which this SQL condition of the source holds")
    severity: Severity | None = Field(None, description="of a failure: warning or critical")
    segments: tuple[str, ...] | None = Field(None, description="judge each value of these columns too; default: the dataset's")
    sensitivity: Sensitivity | None = Field(
        None, description="how narrow learned limits are: low, normal or high; default: the dataset's"
    )
    at_least: float | None = Field(
        None, allow_inf_nan=False, description="lower bound; not given: learned, or none where less is never bad"
    )
    at_most: float | None = Field(None, allow_inf_nan=False, description="upper bound; not given: learned")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.kind = cls.__module__.rpartition(".")[2]

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Check:
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least ({self.at_least:g}) is above at_most ({self.at_most:g}); swap them")
        return self

    # What a kind says of itself.

    def questions(self, schema: Schema) -> Iterable[Question]:
        """What must be asked of each window. A column that is not in the schema has been dealt with by the caller."""
        raise NotImplementedError

    def value(self, answers: Answers, rows: int) -> float | None:
        """The measured number from the answers of a window with this many rows; None: there is none (no rows, all missing)."""
        raise NotImplementedError

    def trial(self) -> Iterable[str]:
        """For a kind that is `apart`: what is wrong with its settings that only its libraries know, in sentences."""
        return ()

    @property
    def label_wait(self) -> timedelta:
        """How long after a window's end its labels have arrived."""
        return timedelta(0)

    @property
    def learns_from_labels(self) -> bool:
        """It looks at what earlier windows were with their labels."""
        return False

    def for_labels(self) -> Check | None:
        """The check of what can only be known when labels have arrived; None: it waits for none."""
        return None

    @classmethod
    def automatic(cls, table: Table) -> Iterable[Check]:
        """The checks of this kind that every table gets unasked, all with learned bounds."""
        return ()

    # What follows from it.

    @property
    def watched(self) -> tuple[str, ...]:
        """The columns it is about, for its id and for "is it there?"; empty: the table."""
        # Asked often, and pydantic takes long to say that there is no such field.
        column = self.__dict__.get("column")
        return tuple(self.__dict__.get("columns") or ((column,) if column else ()))

    @property
    def name(self) -> str:
        """The id that results, problems and fingerprints use: the user's, or kind, columns and `where`."""
        return self.id or self._own_name()

    def _own_name(self) -> str:
        inside = self._about
        about = f"{self.kind}({inside})" if inside else self.kind
        return about + (f" where {self.where}" if self.where else "")

    @property
    def _about(self) -> str:
        # As above: few kinds have such a field.
        inside, of = ",".join(self.watched), self.__dict__.get("of", "value")
        return inside if of == "value" else f"{of}({inside})"

    @property
    def bounded(self) -> bool:
        """The user gave a bound, so nothing is learned."""
        return self.at_least is not None or self.at_most is not None

    @property
    def _column(self) -> str | None:
        return self.watched[0] if len(self.watched) == 1 else None

    def judge(self, view: View) -> Iterable[Verdict]:
        """The verdicts on one window and segment. May raise CannotJudge and NothingToJudge; see `judged`."""
        value = self.value(view.answers, view.rows)
        if value is None:
            raise NothingToJudge(f"{self.name}: no values to judge in {view.rows} rows")
        yield self.verdict(view, value, self.past_values(view))

    def past_values(self, view: View) -> Sequence[learned.Point]:
        """The same number for every earlier window that has it, oldest first."""
        # All settings: two checks may measure other numbers of one column. One text for all the windows that hold it.
        key = shared(repr(self))
        past = each(view.history, key, lambda one: one.once(key, self._past_value))
        values, rows = past.columns(2)
        return learned.Series(past.windows, values, rows)

    def _past_value(self, past: Past) -> tuple[float, int] | None:
        """With the rows of that window."""
        try:
            value = self.value(past.answers, past.rows)
        except (CannotJudge, NothingToJudge):
            return None
        return None if value is None else (value, past.rows)

    def verdict(
        self,
        view: View,
        value: float,
        past: Sequence[learned.Point],
        column: str | None = None,
        extra: str = "",
        least: float = 0.0,
    ) -> Verdict:
        """`value` against the user's bounds, or against what the past says is usual.

        `least` is the smallest change worth telling, in the value's own unit; given bounds are used as they are.
        The severity of a failure is the user's, else warning for given bounds and by score for learned ones.
        """
        column = column or self._column
        if not self.bounded:
            trace = learned.Trace(value, past, view.rows, self.scale, self.upward, least, self.unit, "", extra, self.lasting)
            return Pending([trace], partial(self._of_one, trace, column))
        bounds = Bounds(self.at_least, self.at_most, usual=learned.usual(past, view.window, self.unit))
        failed = not bounds.admit(value)
        return self.result(
            Status.FAILED if failed else Status.PASSED,
            f"{self._subject(column)} is {amount(value, self.unit)}, {bounds_in_words(bounds, self.unit)}{extra}",
            view,
            column=column,
            value=value,
            bounds=bounds,
            score=bounds.score(value, learned.noise(self.scale, view.rows)),
            severity=(self.severity or Severity.WARNING) if failed else None,
        )

    def _of_one(self, trace: learned.Trace, column: str | None, usual: Sequence[Usual], view: View) -> Result:
        [one] = usual
        said = f"{self._subject(column)} is {amount(trace.value, trace.unit)}"
        if isinstance(one, learned.Learning):
            raise NothingToJudge(f"{said}; {one}")
        return self._by(one.by(view.allowance), trace, said, column, view)

    def worst(self, view: View, traces: Sequence[learned.Trace]) -> Verdict:
        """The one verdict on several numbers of one column: that on the number which is furthest out.

        A skipped one where none has history enough.
        """
        return Pending(traces, self._of_worst)

    def _of_worst(self, usual: Sequence[Usual], view: View) -> Result:
        one = self._furthest(usual, view)
        trace = one.trace
        said = f"{self._subject(self._column)}: the {trace.title} is {amount(trace.value, trace.unit)}"
        found = self._by(one.by(view.allowance), trace, said, self._column, view)
        return replace(found, details={**(found.details or {}), "number": trace.title})

    def _furthest(self, usual: Sequence[Usual], view: View) -> Weighed:
        """That which is furthest out; raises NothingToJudge where none has history enough."""
        known = [one for one in usual if not isinstance(one, learned.Learning)]
        if not known:
            raise NothingToJudge(f"{self.name}: {next(iter(usual), learned.Learning(0))}")
        return max(known, key=lambda weighed: weighed.score(view.allowance))

    def _by(self, found: learned.Learned, trace: learned.Trace, said: str, column: str | None, view: View) -> Result:
        """The verdict by learned limits."""
        bounds = Bounds(found.at_least, found.at_most, learned=True, usual=found.words(trace.unit))
        failed = found.score > 1
        return self.result(
            Status.FAILED if failed else Status.PASSED,
            f"{said}{found.on_day}, {bounds_in_words(bounds, trace.unit)}{found.lasting(trace.unit)}{trace.extra}",
            view,
            column=column,
            value=trace.value,
            bounds=bounds,
            score=found.score,
            severity=(self.severity or found.severity) if failed else None,
            details=found.details(),
        )

    def result(self, status: Status, message: str, view: View, **more: Any) -> Result:
        """A result of this check on the view's segment."""
        more.setdefault("column", self._column)
        message = " ".join(message.split())
        return Result(self.name, self.kind, self.family, status, message, segment=view.segment, **more)

    def _subject(self, column: str | None) -> str:
        """What a verdict is about. An id of the user's own does not say which column, so both are named."""
        about = self._own_name() if column in (None, self._column) else f"{self.kind}({column})"
        return f"{self.id}: {about}" if self.id else about


def number(answers: Answers, key: str) -> float | None:
    """The number under `key`; raises CannotJudge where the question was not answered."""
    answer = answers.get(key)
    if not isinstance(answer, Number):
        _answer(answers, key)
        raise CannotJudge(f"{key} did not give a number")
    return None if answer.value is None else float(answer.value)


def histogram(answers: Answers, column: str, of: Of = "value") -> Histogram:
    """The distribution of a column's values or lengths; raises CannotJudge where there is none."""
    answer = _answer(answers, Distribution(column, of).key)
    if not isinstance(answer, Histogram):
        raise CannotJudge(f"{column} has no distribution")
    return answer


def counts(answers: Answers, column: str) -> Counts:
    """The value counts of a column; raises CannotJudge where there are none."""
    answer = _answer(answers, f"categories({column})")
    if not isinstance(answer, Counts):
        raise CannotJudge(f"{column} has no value counts")
    return answer


def rows_in_all(answers: Answers, rows: int) -> int:
    """The rows that were measured, or, of a sample, those it stands for."""
    answer = answers.get(IN_ALL)
    return int(answer.value or 0) if isinstance(answer, Number) else rows


def rows(answers: Answers, key: str) -> Rows:
    """A sample; raises CannotJudge where there is none."""
    answer = _answer(answers, key)
    if not isinstance(answer, Rows):
        raise CannotJudge(f"there is no sample for {key}")
    return answer


def _answer(answers: Mapping[str, Answer], key: str) -> Answer:
    answer = answers.get(key)
    if answer is None:
        raise CannotJudge(f"{key} was not measured")
    if isinstance(answer, Broken):
        raise CannotJudge(answer.reason)
    return answer
