"""Ibis on Spark, so that it counts like every other engine."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ibis.backends.sql import SQLBackend


def over(session: Any) -> SQLBackend:
    """An Ibis connection on a session of Spark's, whose clock it sets to UTC."""
    connection: SQLBackend = _backend()().connect(session)
    connection.session = session
    return connection


def schema_of(frame: Any) -> Any:
    """The Ibis schema of a frame of Spark's; its `timestamp` is an instant, its `timestamp_ntz` a wall-clock time."""
    import ibis
    from ibis.backends.pyspark.datatypes import PySparkType
    from pyspark.sql.types import TimestampType

    kinds = {}
    for field in frame.schema.fields:
        kinds[field.name] = "timestamp('UTC')" if isinstance(field.dataType, TimestampType) else _kind(PySparkType, field.dataType)
    return ibis.schema(kinds)


def _kind(mapper: Any, kind: Any) -> Any:
    """A type Ibis does not know (intervals of several units, variants, geometries) is one of unknown values."""
    import ibis.expr.datatypes as dt
    from ibis.common.exceptions import IbisError

    try:
        return mapper.to_ibis(kind)
    except (IbisError, NotImplementedError):
        return dt.unknown


@cache
def _backend() -> Any:
    """Made when first needed: only workers import Ibis."""
    import ibis
    from ibis.backends.sql.compilers.base import NULL
    from ibis.backends.sql.compilers.pyspark import PySparkCompiler
    from ibis.backends.sql.datatypes import PySparkType

    class Types(PySparkType):  # type: ignore[misc]
        @classmethod
        def from_ibis(cls, dtype: Any) -> Any:
            import sqlglot.expressions as sge

            # Ibis casts both to an instant; then no bound of a window reaches the files, for the column has to be cast too.
            if dtype.is_timestamp() and dtype.timezone is None:
                return sge.DataType(this=sge.DataType.Type.TIMESTAMPNTZ)
            return super().from_ibis(dtype)

    class Compiler(PySparkCompiler):  # type: ignore[misc]
        type_mapper = Types

        # Ibis on Spark takes NaN for missing. Nowhere else is it.
        def visit_IsNull(self, op: Any, *, arg: Any) -> Any:
            return arg.is_(NULL)

        def visit_NotNull(self, op: Any, *, arg: Any) -> Any:
            return arg.is_(NULL).not_()

    _ = ibis.pyspark  # Looking at it makes Ibis' options for Spark.
    from ibis.backends.pyspark import Backend

    class Connection(Backend):  # type: ignore[misc]
        compiler = Compiler()

    return Connection
