"""Rows of a window as a frame, and the user's own SQL about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from checks.profile import Number, Rows
from checks.question import Query, column_kind
from checks.window import Window
from monitor.measuring.asking import Rowset
from monitor.measuring.counting import number_of
from monitor.measuring.grid import exactly
from monitor.sources import times
from monitor.sources.base import NoData, SourceError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd
    from ibis.backends.sql import SQLBackend

    from monitor.measuring.measure import Reading


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


def apply_where(connection: SQLBackend, table: ir.Table, where: str) -> ir.Table:
    """The rows of `table` for which a condition in the source's own SQL holds."""
    # The line break ends a comment that the condition may end with.
    sql = f"SELECT * FROM (\n{connection.compile(table)}\n) AS t WHERE (\n{where}\n)"
    return connection.sql(sql, schema=table.schema())


def filled(reading: Reading, table: ir.Table, text: str) -> str:
    """The query with `{window}` as a subselect of the window's rows; `{start}`, `{end}` as times like those of the time column."""
    source, place, connection = reading.source, reading.place, reading.connection
    zoned = bool(place.time_column in table.columns and source.zoned(connection, table, place))

    def moment(at: datetime) -> str:
        import ibis

        wall = at if zoned else times.local(at, place.timezone)
        return f"({connection.compile(ibis.literal(wall).name('at').as_table())})"

    plain = text.rstrip().rstrip(";")
    plain = plain.replace("{start}", moment(reading.window.start)).replace("{end}", moment(reading.window.end))
    return plain.replace("{window}", f"(\n{connection.compile(table)}\n)")


def sample(reading: Reading, rowset: Rowset, where: str | None, most: int, windows: Sequence[Window] | None) -> Rows:
    """At most `most` rows of the window, picked at random where there are more; or of other windows, as many from each.

    Raises SourceError where those windows have none.
    """
    import pandas as pd

    if windows is None:
        return Rows(picked(rowset, rowset.table, most))
    frames = []
    for window in windows:
        try:
            table = reading.source.window(reading.connection, reading.place, window)
        except NoData:
            continue
        table = apply_where(rowset.connection, table, where) if where else table
        frames.append(picked(rowset, table, max(1, most // len(windows))))
    filled_ones = [frame for frame in frames if len(frame)]
    if not filled_ones:
        raise SourceError("there is no row of the reference to take a sample from")
    return Rows(pd.concat(filled_ones, ignore_index=True))


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
        whole = "int" in kind and all(v is not None and abs(v) < 2**63 for v in known)
        return pd.Series(known, dtype="int64" if whole else "float64")
    if sort == "boolean":
        return pd.Series([None if v is None else bool(v) for v in values], dtype="object")
    if sort == "time":
        return pd.to_datetime(pd.Series(values, dtype="object"), errors="coerce", utc=True, format="ISO8601")
    return pd.Series(values, dtype="object")


def _portable(column: Any) -> Any:
    kind = column.type()
    return column if kind.is_numeric() or kind.is_boolean() or kind.is_string() else column.cast("string")
