"""The values of the keys with the smallest hashes: a sample that is the same in every window with the same keys."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any

from checks.keyed import DIGITS, Keyed
from checks.question import Distribution, Keys
from monitor.measuring.asking import Found, Rowset
from monitor.measuring.histograms import number
from monitor.measuring.values import LONGEST, as_text

if TYPE_CHECKING:
    import ibis.expr.types as ir

BETWEEN = "|"
"""Between the columns of a key."""
HASHING = {
    "bigquery": ("to_hex", "md5"),
    "clickhouse": ("hex", "MD5"),
    "trino": ("to_hex", "md5", "to_utf8"),
}
"""The functions that make a hash of a text, the last one first, where it is not `md5` alone. No engine's own hash: that may change
with its version, and all keys would seem to be new."""


def keys(rowset: Rowset, question: Keys) -> Found:
    """One query, whose rows are the keys with the smallest hashes. Not asked per segment."""
    table = rowset.only(*question.columns, *question.values)
    records = rowset.asked(("keys", question), lambda: _smallest(rowset, question, table))
    hashes = [(h.hex() if isinstance(h, bytes) else str(h).lower())[:DIGITS] for h, *_ in records]
    often = Counter(hashes)
    full = len(records) > question.most
    if full:
        # There may be more rows of the last one.
        often[hashes[-1]] += 1
    single = [record for record, h in zip(records, hashes, strict=True) if often[h] == 1]
    found = Keyed(tuple(h for h in hashes if often[h] == 1), _columns(question, single), full)
    return Found.one(question, found)


def _smallest(rowset: Rowset, question: Keys, table: ir.Table) -> ir.Table:
    whole = table.drop_null(list(question.columns))
    text = None
    for name in question.columns:
        part = as_text(whole[name], whole[name].type())
        text = part if text is None else text + BETWEEN + part
    picked = whole.select(
        h=_hash(rowset.connection.name, text), **{f"v{n}": _value(whole, c) for n, c in enumerate(question.values)}
    )
    return picked.order_by("h").limit(question.most + 1)


def _value(table: ir.Table, name: str) -> Any:
    kind = table[name].type()
    if kind.is_numeric() or kind.is_boolean():
        return number(table, Distribution(name)).cast("float64")
    return as_text(table[name], kind).substr(0, LONGEST)


def _hash(engine: str, text: Any) -> Any:
    for name in reversed(HASHING.get(engine, ("md5",))):
        text = _function(name)(text)
    return text


@cache
def _function(name: str) -> Any:
    """A function of the engine, from text to text."""
    import ibis

    def hashed(text: str) -> str:
        raise NotImplementedError("the engine has it")

    return ibis.udf.scalar.builtin(hashed, name=name)


def _columns(question: Keys, records: list[tuple[Any, ...]]) -> dict[str, Any]:
    import numpy as np

    return {
        name: np.array([_plain(record[place]) for record in records], dtype=np.float64)
        for place, name in enumerate(question.values, start=1)
    }


def _plain(value: Any) -> float:
    """A number, or the one that stands for a text: its CRC-32, which differs for two texts but once in four billion times."""
    if isinstance(value, str):
        return float(zlib.crc32(value.encode("utf-8", "surrogatepass")))
    return math.nan if value is None else float(value)
