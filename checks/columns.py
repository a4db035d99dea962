"""Which columns a window has, and of which type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import ClassVar

from pydantic import Field

from checks.base import Check, Table, View
from checks.pending import NothingToJudge
from checks.question import Question, Schema, column_kind
from checks.result import HIGHEST_SCORE, Bounds, Family, Result, Severity, Status


class Columns(Check):
    """The layout: a column that is gone or holds another kind of values is critical, a new one is a warning.

    `expect` is a list of columns, or `{column = "type"}`; a type is Ibis's (`int64`, `timestamp`) or what its values are
    (`number`, `text`, `boolean`, `time`). Without it the window is compared with the layout that most of the last five had.
    A type that changed within its kind, such as an integer that became a float because values are missing, is a warning.
    """

    family = Family.LAYOUT
    takes_segments = False
    remembered: ClassVar[int] = 5

    expect: tuple[str, ...] | dict[str, str] | None = Field(
        None, description="the columns, or columns and types; default: as before"
    )

    def questions(self, schema: Schema) -> Iterable[Question]:
        return ()

    def judge(self, view: View) -> Iterable[Result]:
        if not view.schema:
            raise NothingToJudge(f"{self.name}: this window's columns are not known")
        wanted = self._wanted(view)
        found = [*self._gone(view, wanted), *self._added(view, wanted), *self._retyped(view, wanted)]
        said = "expected" if self.expect is not None else "before"
        yield from found or [
            self.result(
                Status.PASSED,
                f"{self.name}: all {len(view.schema)} are as {said}",
                view,
                value=0.0,
                bounds=Bounds(at_most=0.0),
                score=0.0,
            )
        ]

    def _wanted(self, view: View) -> Schema:
        if isinstance(self.expect, Mapping):
            return self.expect
        if self.expect is not None:
            return dict.fromkeys(self.expect, "")
        layouts = [p.schema for p in view.history[-self.remembered :] if p.schema]
        if layouts:
            # The newest of equally frequent ones: of two layouts once each, the later is what was agreed on.
            common = Counter(tuple(sorted(s.items())) for s in reversed(layouts)).most_common(1)[0][0]
            return dict(common)
        if view.before:
            return view.before
        raise NothingToJudge(f"{self.name}: there is no earlier window to compare with yet")

    def _gone(self, view: View, wanted: Schema) -> list[Result]:
        new = [c for c in view.schema if c not in wanted]
        return [
            self._changed(view, column, f"{column}{_in_brackets(type_)} is gone{_renamed(type_, new, view.schema)}", critical=True)
            for column, type_ in wanted.items()
            if column not in view.schema
        ]

    def _added(self, view: View, wanted: Schema) -> list[Result]:
        return [
            self._changed(view, column, f"{column} ({type_}) is new", critical=False)
            for column, type_ in view.schema.items()
            if column not in wanted
        ]

    def _retyped(self, view: View, wanted: Schema) -> list[Result]:
        results = []
        for column, before in wanted.items():
            now = view.schema.get(column)
            if now is None or _same(now, before):
                continue
            untyped = "null" in (_bare(before), _bare(now))
            message = f"{column} was {_bare(before)} and is now {_bare(now)}{_why(before, now)}"
            results.append(self._changed(view, column, message, critical=not untyped and _kind(before) != column_kind(now)))
        return results

    def _changed(self, view: View, column: str, message: str, critical: bool) -> Result:
        return self.result(
            Status.FAILED,
            f"{self.name}: {message}",
            view,
            column=column,
            value=1.0,
            bounds=Bounds(at_most=0.0, learned=self.expect is None),
            score=HIGHEST_SCORE if critical else 2.0,
            severity=self.severity or (Severity.CRITICAL if critical else Severity.WARNING),
        )

    @classmethod
    def automatic(cls, table: Table) -> Iterable[Check]:
        return [cls()]


def _bare(type_: str) -> str:
    return type_.lstrip("!")


def _kind(type_: str) -> str:
    return type_ if type_ in {"number", "text", "boolean", "time", "other"} else column_kind(type_)


def _same(now: str, wanted: str) -> bool:
    """`timestamp` is content with `timestamp('UTC', 6)`, `number` with `int64`, and nothing said with anything."""
    now, wanted = _bare(now), _bare(wanted)
    return wanted in ("", now, column_kind(now), now.partition("(")[0])


def _why(before: str, now: str) -> str:
    if _bare(now) == "null":
        return " (a file without a single value in a column may not know its type)"
    turned = _bare(before).startswith(("int", "uint")) and _bare(now).startswith("float")
    return " (an integer column turns to float when values are missing)" if turned else ""


def _in_brackets(type_: str) -> str:
    return f" ({_bare(type_)})" if type_ else ""


def _renamed(type_: str, new: list[str], schema: Schema) -> str:
    """A hint where a new column of the same type may be the one that is gone."""
    alike = [c for c in new if not type_ or _same(schema[c], type_)]
    return f"; {' or '.join(alike[:3])} is new and of the same type: renamed?" if alike and type_ else ""
