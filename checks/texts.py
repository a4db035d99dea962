"""What the texts of a column are like."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from pydantic import Field

from checks.base import Check, Past, Table, View, counts
from checks.learned import Series, Trace
from checks.line import each
from checks.pending import NothingToJudge, Verdict
from checks.profile import Counts
from checks.question import Categories, Question, Schema
from checks.result import Family
from checks.scales import Scale
from checks.wording import Unit

NOTHING = frozenset(
    [
        "",
        "-",
        "--",
        ".",
        "?",
        "n/a",
        "na",
        "#n/a",
        "nan",
        "null",
        "none",
        "nil",
        "unknown",
        "undefined",
        "missing",
        "tbd",
        "xxx",
        "(null)",
    ]
)
"""Texts that people and programs write where there is no value."""
SHARE: tuple[Scale, Unit] = ("share", "share")
LENGTH: tuple[Scale, Unit] = ("size", "number")
SHARES: dict[str, Callable[[str], bool]] = {
    "share of texts that stand for nothing": lambda t: t.strip().lower() in NOTHING,
    "share of texts with capitals": lambda t: t != t.lower(),
    "share of texts with small letters": lambda t: t != t.upper(),
    "share of texts with digits": lambda t: bool(re.search(r"\d", t)),
    "share of texts that are numbers": lambda t: bool(re.fullmatch(r"\s*[-+]?\d+([.,]\d+)?([eE][-+]?\d+)?\s*", t)),
    "share of texts with other letters than English ones": lambda t: not t.isascii(),
    "share of texts with blanks around": lambda t: t != t.strip(),
    "share of texts with other signs": lambda t: bool(re.search(r"[^\w\s]", t)),
}


class Texts(Check):
    """What the values of a text `column` are like: length, capitals, digits, letters beyond English, words
    for nothing (`N/A`, `unknown`).

    Always learned; the verdict is on the one that is furthest out. Looks at the values that are counted one by one.
    """

    family = Family.QUALITY

    column: str = Field(description="the text column to look at")

    def questions(self, schema: Schema) -> Iterable[Question]:
        yield Categories(self.column)

    def judge(self, view: View) -> Iterable[Verdict]:
        now = counts(view.answers, self.column)
        if not now.counts:
            raise NothingToJudge(f"{self.name}: no values to judge in {view.rows} rows")
        past = each(view.recent, (self.kind, self.column), self._numbers)
        *before, rows = past.columns(len(described(now)) + 1)
        traces = []
        for (name, value), values in zip(described(now).items(), before, strict=True):
            points = Series(past.windows, values, rows)
            scale, unit = SHARE if name in SHARES else LENGTH
            traces.append(Trace(value, points, now.total, scale, unit=unit, title=name, lasting="new"))
        yield self.worst(view, traces)

    def _numbers(self, past: Past) -> tuple[float, ...] | None:
        answer = past.answers.get(Categories(self.column).key)
        return (*described(answer).values(), answer.total) if isinstance(answer, Counts) and answer.counts else None

    @classmethod
    def automatic(cls, table: Table) -> Iterable[Check]:
        return [cls(column=c) for c in table.columns("text")]


def described(answer: Counts) -> dict[str, float]:
    """The shares of the counted rows, and the mean length; computed once."""
    cache = answer.cache.setdefault("texts", {})
    if not cache:
        rows = sum(answer.counts.values())
        cache["mean length"] = sum(len(t) * n for t, n in answer.counts.items()) / rows
        for name, holds in SHARES.items():
            cache[name] = sum(n for t, n in answer.counts.items() if holds(t)) / rows
    found: dict[str, float] = cache
    return found
