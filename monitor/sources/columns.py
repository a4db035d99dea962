"""Rows of a DB-API driver as typed columns: what SQLAlchemy says of a column, as Arrow has it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any


def arrow_types(columns: Sequence[str], kinds: dict[str, Any] | None, chunk: Sequence[Any]) -> Any:
    """An Arrow schema for the columns: from their SQLAlchemy types, or (a query) from the values of the first chunk."""
    import pyarrow as pa

    if kinds is not None:
        return pa.schema([(name, _of_type(kinds[name])) for name in columns])
    return pa.schema([(name, _of_values([row[place] for row in chunk])) for place, name in enumerate(columns)])


def chunk_table(chunk: Sequence[Any], types: Any) -> Any:
    """Rows as an Arrow table of these types. Raises pyarrow's errors where a value does not fit."""
    import pyarrow as pa

    arrays = [pa.array([_fitting(row[place], field.type) for row in chunk], field.type) for place, field in enumerate(types)]
    return pa.Table.from_arrays(arrays, schema=types)


def _of_type(kind: Any) -> Any:
    import pyarrow as pa
    import sqlalchemy as sa

    if isinstance(kind, sa.Boolean) or (type(kind).__name__ == "TINYINT" and getattr(kind, "display_width", None) == 1):
        return pa.bool_()
    if isinstance(kind, sa.Integer):
        return pa.decimal128(20, 0) if getattr(kind, "unsigned", False) else pa.int64()
    if isinstance(kind, sa.Float):
        return pa.float64()
    if isinstance(kind, sa.Numeric):
        return pa.decimal128(kind.precision, kind.scale or 0) if (kind.precision or 99) <= 38 else pa.float64()
    if isinstance(kind, sa.DateTime):
        instant = kind.timezone or (type(kind).__name__ == "TIMESTAMP" and "mysql" in type(kind).__module__)
        return pa.timestamp("us", tz="UTC") if instant else pa.timestamp("us")
    if isinstance(kind, sa.Date):
        return pa.date32()
    return pa.binary() if isinstance(kind, sa.LargeBinary) else pa.string()


def _of_values(values: Sequence[Any]) -> Any:
    import pyarrow as pa

    known = [value for value in values if value is not None]
    if known and all(isinstance(value, bool) for value in known):
        return pa.bool_()
    if known and all(isinstance(value, int) for value in known):
        return pa.int64()
    if known and all(isinstance(value, (int, float, Decimal)) for value in known):
        return pa.float64()
    if known and all(isinstance(value, datetime) for value in known):
        return pa.timestamp("us", tz="UTC" if known[0].tzinfo else None)
    if known and all(isinstance(value, date) and not isinstance(value, datetime) for value in known):
        return pa.date32()
    return pa.binary() if known and all(isinstance(value, bytes) for value in known) else pa.string()


def _fitting(value: Any, kind: Any) -> Any:
    """Drivers give Decimals for floats, ints for booleans, and types of their own that only text can hold."""
    import pyarrow as pa

    if value is None:
        return None
    if pa.types.is_floating(kind):
        return float(value)
    if pa.types.is_boolean(kind):
        return bool(value)
    return str(value) if pa.types.is_string(kind) and not isinstance(value, str) else value
