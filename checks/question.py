"""What can be asked of a source about a window.

A question is asked once per window, whoever asks: two questions with the same `key` on the same population are the
same question. An answer is a value of `checks.profile`. Expressions are Ibis, built from the table they are handed, so
nothing here imports Ibis or knows an engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import ibis.expr.types as ir

Merge = Literal["add", "min", "max", "none"]
Schema = Mapping[str, str]
"""Column name -> Ibis type as text, such as `int64`, `string`, `timestamp('UTC', 6)`, `decimal(10, 2)`."""

Of = Literal["value", "length"]
"""What of a column is counted: its values, or the lengths of its texts in characters."""
ColumnKind = Literal["number", "text", "boolean", "time", "other"]


def column_kind(type_: str) -> ColumnKind:
    """What sort of values an Ibis type holds; a leading `!` marks a column that cannot be missing."""
    name = type_.lstrip("!").split("(")[0].split("<")[0]
    if name.startswith(("int", "uint", "float", "decimal")):
        return "number" if name != "interval" and not name.startswith("interval") else "other"
    if name in {"string", "uuid", "inet", "macaddr", "enum"}:
        return "text"
    if name == "boolean":
        return "boolean"
    return "time" if name in {"timestamp", "date"} else "other"


@dataclass(frozen=True)
class Population:
    """Which rows of the window are meant: all, those of a `where` (SQL of the source), each value of a column `by`."""

    where: str | None = None
    by: str | None = None


@dataclass(frozen=True)
class Scalar:
    """One number from an aggregate: `expression(table)` is an Ibis scalar over that table. All go in one query.

    Times must come as epoch seconds (`.epoch_seconds()`), booleans as sums. `merge` says how the numbers of two windows become one.
    `within`, the key of another question and a part of its answer, says where the number can be had for nothing if that
    question is asked too.
    """

    key: str
    expression: Callable[[ir.Table], Any]
    merge: Merge = "none"
    within: tuple[str, Literal["missing", "low", "high"]] | None = None


@dataclass(frozen=True)
class Distribution:
    """The distribution of a column on the asinh grid; the answer is a `Histogram`. Merges by adding.

    `of` its values: numbers, booleans as 0 and 1, times in epoch seconds; or of the lengths of its texts in characters.
    """

    column: str
    of: Of = "value"

    @property
    def key(self) -> str:
        return f"distribution({self.column})" if self.of == "value" else f"distribution({self.of}({self.column}))"


@dataclass(frozen=True)
class Categories:
    """Value counts of a column: the `cap` most frequent, the rest as other; the answer is `Counts`. Merges by adding."""

    column: str
    cap: int = 256

    @property
    def key(self) -> str:
        return f"categories({self.column})"


@dataclass(frozen=True)
class Cells:
    """Rows per combination of values; the answer is `Counts` whose keys `cell` reads. Merges by adding.

    The values of `columns`, as text, and after them, where there is a `score`, the bin of that column (`checks.scores`).
    More than `cap` combinations are no answer.
    """

    columns: tuple[str, ...]
    score: str | None = None
    cap: int = 20_000

    @property
    def key(self) -> str:
        return f"cells({','.join(self.columns)}{f';{self.score}' if self.score else ''})"


@dataclass(frozen=True)
class Duplicates:
    """Rows beyond the first per key, rows with a missing key left out; the answer is a `Number`. Does not merge."""

    columns: tuple[str, ...]

    @property
    def key(self) -> str:
        return f"duplicates({','.join(self.columns)})"


@dataclass(frozen=True)
class Repeats:
    """Rows that are the same as another row in all of these columns, beyond the first; a `Number`. Does not merge.

    Not asked of windows with more than `most` rows: it sorts or hashes them whole.
    """

    columns: tuple[str, ...]
    most: int = 200_000

    @property
    def key(self) -> str:
        return "repeats"


@dataclass(frozen=True)
class Keys:
    """What the rows of some keys hold in other columns; the answer is `Keyed`. Does not merge.

    Asked are the `most` keys with the smallest hashes: of two windows with the same keys, the same ones. Rows in which a column of
    the key is missing are left out, and so are keys of several rows.
    """

    columns: tuple[str, ...]
    values: tuple[str, ...]
    most: int = 256

    @property
    def key(self) -> str:
        return f"keys({','.join(self.columns)})"


@dataclass(frozen=True)
class Watermark:
    """The newest time before the window's end in the whole table, in epoch seconds; a `Number`. Merges by maximum."""

    key: str = "watermark"


@dataclass(frozen=True)
class Sample:
    """At most `rows` rows, of the window or of its reference, as a pandas frame; the answer is `Rows`. Never stored."""

    of: Literal["window", "reference"] = "window"
    rows: int = 5000

    @property
    def key(self) -> str:
        return f"sample({self.of},{self.rows})"


@dataclass(frozen=True)
class Query:
    """The user's own SQL. `{window}` stands for the window's rows, `{start}` and `{end}` for its times as literals.

    With `rows` false the answer is the `Number` in the first column of the only row; with `rows` true the `Number` of
    rows it returns.
    """

    text: str
    rows: bool = False

    @property
    def key(self) -> str:
        return f"query({self.text},{self.rows})"


IN_ALL = "rows in all"
"""The key of the number of rows that a sample stands for; not there where all rows were measured."""
Question = Scalar | Distribution | Categories | Cells | Duplicates | Repeats | Keys | Watermark | Sample | Query
