"""Rows of a window as a frame, and the user's own SQL about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from checks.profile import Number, Rows
from checks.question import Population, Query, Sample, column_kind
from checks.window import Window
from monitor.asking import Rowset
from monitor.counting import number_of
from monitor.grid import exactly
from monitor.sources import times
from monitor.sources.base import NoData, SourceError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

    from monitor.measure import Reading


def query(reading: Reading, rowset: Rowset, question: Query) -> Number:
    """The user's SQL on the read-only connection: the first value of its only row, or how many rows it gives.

    Raises SourceError where it gives no such thing.
    """
    text = filled(reading, rowset.table, question.text)
    if question.rows:
        [[rows]] = reading.source.run(reading.connection, f"SELECT count(*) FROM (\n{text}\n) AS answer")
        return Number(int(rows))
    # As a subselect it can be nothing but a select.
    records = reading.source.run(reading.connection, f"SELECT * FROM (\n{text}\n) AS answer")
    if len(records) != 1:
        raise SourceError(f"the query must give one row and gave {len(records)}; to count bad rows, say so in the check")
    return Number(number_of(records[0][0]))


def filled(reading: Reading, table: ir.Table, text: str) -> str:
    """The query with `{window}` as a subselect of the window's rows and `{start}`, `{end}` as times in the time column's own kind."""
    source, place, connection = reading.source, reading.place, reading.connection
    zoned = bool(place.time_column in table.columns and source.zoned(connection, table, place))

    def moment(at: datetime) -> str:
        import ibis

        wall = at if zoned else times.local(at, place.timezone)
        return f"({connection.compile(ibis.literal(wall).name('at').as_table())})"

    plain = text.rstrip().rstrip(";")
    plain = plain.replace("{start}", moment(reading.window.start)).replace("{end}", moment(reading.window.end))
    return plain.replace("{window}", f"(\n{connection.compile(table)}\n)")


def sample(reading: Reading, rowset: Rowset, population: Population, question: Sample, reference: Sequence[Window]) -> Rows:
    """At most `rows` rows, picked at random where there are more; of the reference: as many from each of its windows."""
    import pandas as pd

    if question.of == "window":
        return Rows(picked(rowset, rowset.table, question.rows))
    if not reference:
        raise SourceError("there is no reference to take a sample from")
    share, frames = max(1, question.rows // len(reference)), []
    for window in reference:
        try:
            table = reading.source.window(reading.connection, reading.place, window)
        except NoData:
            continue
        frames.append(picked(rowset, _where(rowset, table, population), share))
    if not frames:
        raise SourceError("no window of the reference has any rows")
    return Rows(pd.concat([f for f in frames if len(f)] or frames[:1], ignore_index=True))


def picked(rowset: Rowset, table: ir.Table, most: int) -> pd.DataFrame:
    """At most `most` rows of a table as a frame."""
    import ibis

    [[rows]] = rowset.rows(table.aggregate(rows=table.count()))
    if rows > most:
        table = table.filter(ibis.random() < exactly(min(1.0, 1.1 * most / rows + 10 / rows)))
    # Times travel as text: drivers and pandas each have years they cannot hold.
    plain = table.select(**{c: _portable(table[c]) for c in table.columns}).limit(most)
    return framed(rowset.rows(plain), {c: str(k) for c, k in table.schema().items()})


def framed(records: Sequence[tuple[Any, ...]], schema: dict[str, str]) -> pd.DataFrame:
    """Rows as a frame with a plain type per column: floats, nullable integers, objects; a time pandas cannot hold is missing."""
    import pandas as pd

    columns = {}
    for place, (name, kind) in enumerate(schema.items()):
        columns[name] = _series([record[place] for record in records], kind)
    return pd.DataFrame(columns)


def _series(values: list[Any], kind: str) -> Any:
    import pandas as pd

    sort = column_kind(kind)
    if sort == "number":
        known = [None if v is None else (int(v) if "int" in kind else float(v)) for v in values]
        whole = "int" in kind and None not in known
        return pd.Series(known, dtype="int64" if whole and all(abs(v) < 2**63 for v in known) else "float64")
    if sort == "boolean":
        return pd.Series([None if v is None else bool(v) for v in values], dtype="object")
    if sort == "time":
        return pd.to_datetime(pd.Series(values, dtype="object"), errors="coerce", utc=True, format="ISO8601")
    return pd.Series(values, dtype="object")


def _portable(column: Any) -> Any:
    kind = column.type()
    return column if kind.is_numeric() or kind.is_boolean() or kind.is_string() else column.cast("string")


def _where(rowset: Rowset, table: ir.Table, population: Population) -> ir.Table:
    from monitor.measure import apply_where

    return apply_where(rowset.connection, table, population.where) if population.where else table
