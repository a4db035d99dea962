"""Looks at a source and proposes what to watch there, each with its reason. Runs in a worker process."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checks.question import column_kind
from monitor import zones
from monitor.related import parents
from monitor.sources.base import Place, Source, SourceError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.sql import SQLBackend

TIMEOUT = timedelta(minutes=10)
LIKELY = (
    "created_at",
    "created",
    "inserted_at",
    "event_time",
    "occurred_at",
    "ordered_at",
    "timestamp",
    "ts",
    "at",
    "time",
    "date",
)
"""Names of columns that say when a row came to be, the likeliest first."""
CHANGES = re.compile(r"updat|modif|delet|birth|expir|valid|due|until", re.IGNORECASE)
"""Times that move after the row was written, or lie elsewhere: they cut no windows."""
DAY_IN_NAME = re.compile(r"(?<!\d)(?:(\d{4})-(\d\d)-(\d\d)|(\d{4})(\d\d)(\d\d))(?!\d)")
AMOUNTS = re.compile(
    r"amounts?|prices?|costs?|total|subtotal|fees?|tax|paid|revenue|sales|salary|wage|quantity|qty|units|count|distance"
    r"|length|width|height|weight|size|area|volume|age|duration|capacity|stock"
)
"""Words in the names of numbers of which less than nothing makes no sense."""
NO_TIME = "no column says when a row came to be, so it cannot be cut into windows"
WITHIN = re.compile(r"(line|item|position|pos|seq|sequence|row|part|step|rank)(_?(no|nr|num|number|id|index))?|idx|index|number")
"""Names of numbers that count within something."""
MOST_DAYS = 40
"""Files of days that are looked into for the clocks they keep."""
ENOUGH, FEW = 200, 20
"""Rows from which on a rule may be read off the data; different values of a column that is a list of choices."""


@dataclass(frozen=True)
class Rule:
    """A check as TOML, and why."""

    toml: str
    name: str
    reason: str


@dataclass(frozen=True)
class Proposal:
    """A table to watch, or (`skipped`) why not."""

    name: str
    table: str
    time_column: str | None = None
    every: str = "1d"
    reasons: Sequence[str] = ()
    rules: Sequence[Rule] = ()
    skipped: str = ""
    columns: Sequence[str] = ()
    rows: int = 0
    key: str | None = None
    timezone: str | None = None
    query: str | None = None
    """Instead of the table, where its rows get their time from another one."""
    exclude: Mapping[str, str] = field(default_factory=dict)
    """Columns that are not watched, each with the reason."""


def proposals(source: Source, folder: Path | None) -> list[Proposal]:
    """What there is at a source; `folder`: of files. Raises SourceError, SourceDown where it cannot be looked at."""
    with source.connect(TIMEOUT) as connection:
        if folder is not None:
            return [_files(source, connection, *found) for found in _file_tables(folder)]
        names = sorted(connection.list_tables())
        found = [_looked(source, connection, name, Place(name)) for name in names if not name.startswith(("sqlite_", "pg_"))]
        return [_timed(source, connection, one, found) for one in found]


def _timed(source: Source, connection: SQLBackend, one: Proposal, others: Sequence[Proposal]) -> Proposal:
    """A table without a time, with that of the table that its rows belong to: if each has one there."""
    for parent in parents(one, others) if one.skipped == NO_TIME else ():
        found = _looked(source, connection, one.name, Place(query=parent.query))
        if not found.skipped and found.rows == one.rows:
            why = f"its rows have no time of their own: each has that of its {parent.name} row, by {parent.column}"
            return replace(found, query=parent.query, reasons=(*found.reasons, why))
    return one


def _files(source: Source, connection: SQLBackend, name: str, table: str, glob: str, days: Mapping[str, str]) -> Proposal:
    one = _looked(source, connection, name, Place(table), glob, len(days))
    every = max(len(days) // MOST_DAYS, 1)
    try:
        ends = [] if one.skipped else list(_ends(source, connection, one, dict(sorted(days.items())[::every])))
    except SourceError:
        return one
    zone = zones.of_days(ends)
    why = f"the rows of each file lie within its day in {zone}; another name of those clocks will do as well"
    return replace(one, timezone=zone, reasons=(*one.reasons, why)) if zone else one


def _ends(source: Source, connection: SQLBackend, one: Proposal, days: Mapping[str, str]) -> Iterator[zones.Day]:
    """The first and the last time of each day's file, where they say what moment they are."""
    for day, file in days.items():
        whole = source.relation(connection, Place(file))
        kind = whole.schema()[one.time_column] if one.time_column else None
        if one.time_column is None or kind is None or not kind.is_timestamp() or kind.timezone is None:
            return
        at = whole[one.time_column].epoch_seconds()
        [(first, last)] = source.rows(connection, whole.aggregate(first=at.min(), last=at.max()))
        if first is not None and _is_day(day):
            yield date.fromisoformat(day), datetime.fromtimestamp(int(first), UTC), datetime.fromtimestamp(int(last), UTC)


def _is_day(text: str) -> bool:
    """Eight digits in a name may be anything."""
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False


def _file_tables(folder: Path) -> Iterator[tuple[str, str, str, Mapping[str, str]]]:
    """Name, path (with the day as a field where it holds one), a glob of all its files, and each day's file."""
    found: dict[str, dict[str, str]] = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.suffix.lower() in {".parquet", ".csv", ".json", ".jsonl", ".ndjson"}:
            path = str(file)
            day = DAY_IN_NAME.search(path, len(str(folder)))
            form = "{start:%Y-%m-%d}" if day and day[1] else "{start:%Y%m%d}"
            found.setdefault(path[: day.start()] + form + path[day.end() :] if day else path, {})[day[0] if day else ""] = path
    for path, days in found.items():
        bare = re.sub(r"\{[^}]*\}", "", Path(path).stem).strip("-_. ")
        name = bare or Path(path).parent.name
        yield re.sub(r"\W+", "_", name), path, re.sub(r"\{[^}]*\}", "*", path), days if "{" in path else {}


def _looked(
    source: Source, connection: SQLBackend, name: str, place: Place, everything: str | None = None, days: int = 0
) -> Proposal:
    try:
        with source.speaking(place):
            whole = source.relation(connection, Place(everything) if everything else place)
            return _proposed(source, connection, whole, name, place.table or "", days)
    except SourceError as fault:
        return Proposal(name, place.table or "", skipped=f"it could not be read: {' '.join(str(fault).split())}")


def _proposed(source: Source, connection: SQLBackend, whole: ir.Table, name: str, table: str, days: int) -> Proposal:
    schema = {column: str(kind.copy(nullable=True)) for column, kind in whole.schema().items()}
    facts = _facts(source, connection, whole, schema)
    rows = facts["rows"]
    if not rows:
        return Proposal(name, table, skipped="it is empty")
    chosen = _time_column(schema, facts)
    if chosen is None and not days:
        return Proposal(name, table, skipped=NO_TIME, columns=tuple(schema), rows=rows)
    every, why = (
        ("1d", f"one file per day, {days} of them") if days else _every(rows, facts[f"first {chosen}"], facts[f"last {chosen}"])
    )
    reasons = [why]
    if chosen:
        reasons.append(f"{chosen}: {rows} rows from {_moment(facts[f'first {chosen}'])} to {_moment(facts[f'last {chosen}'])}")
    rules = _rules(source, connection, whole, schema, facts, chosen, name)
    keys = _keys(schema, facts, name)
    if not keys and rows >= ENOUGH:
        rules = [*_together(source, connection, whole, facts), *rules]
    return Proposal(name, table, chosen, every, reasons, rules, "", tuple(schema), rows, keys[0] if keys else None)


def _facts(source: Source, connection: SQLBackend, whole: ir.Table, schema: dict[str, str]) -> dict[str, Any]:
    """Rows; per column what is missing, how many values differ, least and greatest: one pass over the table."""
    asked: dict[str, Any] = {"rows": whole.count()}
    for column, kind in schema.items():
        asked[f"missing {column}"] = whole[column].isnull().sum()
        if column_kind(kind) in {"number", "text", "time"}:
            asked[f"distinct {column}"] = whole[column].nunique()
        if column_kind(kind) in {"number", "time"} or _says_time(column, kind):
            least, greatest = whole[column].min(), whole[column].max()
            # Not every driver can hand a time with a zone over as one.
            text = column_kind(kind) == "time"
            asked[f"first {column}"] = least.cast("string") if text else least
            asked[f"last {column}"] = greatest.cast("string") if text else greatest
    [values] = source.rows(connection, whole.aggregate(**{f"v{i}": value for i, value in enumerate(asked.values())}))
    return dict(zip(asked, values, strict=True))


def _says_time(column: str, kind: str) -> bool:
    return column_kind(kind) == "text" and (column.lower() in LIKELY or column.lower().endswith(("_at", "_time", "_date")))


def _time_column(schema: dict[str, str], facts: dict[str, Any]) -> str | None:
    """The likeliest name among the times that are (nearly) never missing and take more than one value."""

    def likely(column: str) -> tuple[int, int]:
        low = column.lower()
        place = next((i for i, name in enumerate(LIKELY) if low == name), len(LIKELY))
        return (place, 0 if low.endswith(("_at", "_time")) else 1)

    times = [c for c, kind in schema.items() if kind.startswith(("timestamp", "date")) or _says_time(c, kind)]
    sound = [c for c in times if not CHANGES.search(c) and (facts[f"missing {c}"] or 0) <= 0.01 * facts["rows"]]
    sound = [c for c in sound if facts.get(f"first {c}") != facts.get(f"last {c}") and _readable(facts.get(f"first {c}"))]
    # A time that is finer than a day orders better; among equals the one that differs most from row to row.
    return min(sound, key=lambda c: (*likely(c), -(facts.get(f"distinct {c}") or 0)), default=None)


def _readable(value: Any) -> bool:
    try:
        return value is not None and bool(_when(value))
    except ValueError:
        return False


def _when(value: Any) -> datetime:
    return datetime.fromisoformat(str(value)).replace(tzinfo=None)


def _every(rows: int, first: Any, last: Any) -> tuple[str, str]:
    """A window should hold some hundred rows at least, and none be shorter than an hour."""
    days = max((_when(last) - _when(first)) / timedelta(days=1), 1 / 24)
    per_day = rows / days
    if per_day >= 24 * 500 and len(str(first)) > len("2026-11-25"):
        return "1h", f"about {per_day / 24:.0f} rows an hour"
    return ("1d", f"about {per_day:.0f} rows a day") if per_day >= FEW else ("1w", f"about {7 * per_day:.0f} rows a week")


def _rules(
    source: Source,
    connection: SQLBackend,
    whole: ir.Table,
    schema: dict[str, str],
    facts: dict[str, Any],
    chosen: str | None,
    name: str,
) -> list[Rule]:
    rows = facts["rows"]
    if rows < ENOUGH:
        return []
    keys = _keys(schema, facts, name)
    rules = []
    for column in keys[:1]:
        rules.append(Rule(f'{{kind = "unique", columns = [{quoted(column)}]}}', f"unique({column})", f"{rows} rows, all different"))
    for column, kind in schema.items():
        if column in keys[:1] or (_is_id(column) and not facts[f"missing {column}"]):
            toml = f'{{kind = "missing", column = {quoted(column)}, at_most = 0}}'
            rules.append(Rule(toml, f"missing({column})", f"never missing in {rows} rows"))
        elif column_kind(kind) == "number" and not _is_id(column):
            rules += _floor(column, facts)
        elif column_kind(kind) == "text" and column != chosen and 1 < (facts[f"distinct {column}"] or 0) <= FEW:
            rules += _choices(source, connection, whole, column, rows)
    return rules


def _keys(schema: dict[str, str], facts: dict[str, Any], name: str) -> list[str]:
    whole = [c for c in schema if facts.get(f"distinct {c}") == facts["rows"] and not facts[f"missing {c}"]]
    return [c for c in whole if _names_key(c, name)]


def _together(source: Source, connection: SQLBackend, whole: ir.Table, facts: dict[str, Any]) -> list[Rule]:
    """An id and a number within it that no two rows share, such as an order's lines."""
    names = [column.removeprefix("missing ") for column in facts if column.startswith("missing ") and not facts[column]]
    pairs = [(a, b) for a in names if _is_id(a) for b in names if WITHIN.fullmatch(b.lower())]
    for pair in pairs[:3]:
        [(different,)] = source.rows(connection, whole.select(*pair).distinct().aggregate(n=lambda t: t.count()))
        if different == facts["rows"]:
            toml = f'{{kind = "unique", columns = [{", ".join(map(quoted, pair))}]}}'
            return [Rule(toml, f"unique({','.join(pair)})", f"{different} rows, no two with both alike")]
    return []


def _names_key(column: str, table: str) -> bool:
    low = column.lower()
    return (
        low in {"id", "uuid", "key"} or low in {f"{table}_id", f"{table.removesuffix('s')}_id"} or low.endswith(("_key", "_uuid"))
    )


def _is_id(column: str) -> bool:
    return column.lower() == "id" or column.lower().endswith(("_id", "_key", "_uuid"))


def _floor(column: str, facts: dict[str, Any]) -> list[Rule]:
    """Only of what its name calls an amount: that an hour, a flight's number or a code is not negative says nothing."""
    first, last = facts.get(f"first {column}"), facts.get(f"last {column}")
    words = set(re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column).lower()))
    if first is None or last is None or first < 0 or first == last or not any(map(AMOUNTS.fullmatch, words)):
        return []
    toml = f'{{kind = "value_range", column = {quoted(column)}, at_least = 0}}'
    return [Rule(toml, f"value_range({column})", f"an amount, never below zero: {float(first):g} to {float(last):g}")]


def _choices(source: Source, connection: SQLBackend, whole: ir.Table, column: str, rows: int) -> list[Rule]:
    counted = whole.group_by(value=whole[column]).aggregate(n=whole.count())
    found = {str(value): int(n) for value, n in source.rows(connection, counted) if value is not None}
    # A list with a value that was seen once or twice is most likely not the whole list.
    if min(found.values(), default=0) < max(5, rows // 1000):
        return []
    values = ", ".join(quoted(value) for value in sorted(found))
    toml = f'{{kind = "allowed_values", column = {quoted(column)}, values = [{values}]}}'
    return [Rule(toml, f"allowed_values({column})", f"only these {len(found)} in {rows} rows, each often")]


def quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are TOML's too."""
    import json

    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _moment(value: Any) -> str:
    return str(value)[:16]
