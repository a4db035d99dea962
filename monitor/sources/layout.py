"""Files that are read as one table: their columns and types must agree, or the reading says where they do not.

DuckDB's own `union_by_name` turns a column that changed its type into text without a word, so each file is asked first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from monitor.sources.base import SourceError

READERS = {
    ".parquet": "read_parquet",
    ".pq": "read_parquet",
    ".csv": "read_csv",
    ".tsv": "read_csv",
    ".txt": "read_csv",
    ".json": "read_json",
    ".jsonl": "read_json",
    ".ndjson": "read_json",
}
PACKED = {".gz", ".zst"}
INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
SNIFFED = {"read_csv", "read_json"}
"""Formats without types of their own: DuckDB looks at all the rows to guess them."""

Run = Callable[[str], list[tuple[Any, ...]]]
Columns = Mapping[str, str]


def select(files: Sequence[str], run: Run, named: str | None = None) -> str:
    """The SQL that reads the files as one table; `named` is SQL that stands for the list of them.

    Raises SourceError for unknown formats, unreadable and differing files.
    """
    readers = {_reader(file) for file in files}
    if len(readers) > 1:
        raise SourceError(f"{files[0]} and {files[-1]} are of different formats; a dataset needs one")
    [reader] = readers
    layouts = {file: columns(file, run) for file in files}
    types = _agreed(reader, layouts, run) if len(files) > 1 else None
    return f"SELECT * FROM {call(reader, named or listed(files), types)}"


def columns(file: str, run: Run) -> Columns:
    """Names and DuckDB types of one file. Raises SourceError where it cannot be read."""
    try:
        return {name: kind for name, kind, *_ in run(f"DESCRIBE SELECT * FROM {call(_reader(file), listed([file]))}")}
    except Exception as error:  # DuckDB raises a dozen kinds for a file that is not what its name says.
        raise SourceError(f"{file} cannot be read: {str(error).splitlines()[0]}") from None


def listed(files: Sequence[str]) -> str:
    """`['a.csv', 'b.csv']`."""
    return f"[{', '.join(_text(file) for file in files)}]"


def call(reader: str, files: str, types: Columns | None = None) -> str:
    """`read_csv(['a.csv', 'b.csv'], union_by_name = true, ...)`."""
    parts = [files, "union_by_name = true"]
    if reader in SNIFFED:
        parts.append("sample_size = -1")
    if types and reader in SNIFFED:
        listed = ", ".join(f"{_text(name)}: {_text(kind)}" for name, kind in types.items())
        parts.append(f"{'types' if reader == 'read_csv' else 'columns'} = {{{listed}}}")
    return f"{reader}({', '.join(parts)})"


def _agreed(reader: str, layouts: Mapping[str, Columns], run: Run) -> Columns | None:
    """The types all files can be read with; None: as they are."""
    kinds: dict[str, dict[str, str]] = {}
    for file, layout in layouts.items():
        for column, kind in layout.items():
            kinds.setdefault(column, {}).setdefault(kind, file)
    if all(len(found) == 1 for found in kinds.values()):
        return None
    sniffed = reader in SNIFFED
    chosen = {column: _one_kind(column, found, layouts, sniffed, run) for column, found in kinds.items()}
    return chosen if sniffed else None


def _one_kind(column: str, found: Mapping[str, str], layouts: Mapping[str, Columns], sniffed: bool, run: Run) -> str:
    """The type of a column over all files; `found` maps each type to a file that has it."""
    known = {kind: file for kind, file in found.items() if kind != '"NULL"'}
    if len(known) > 1 and sniffed:
        # A column without a value in a file has no type there, whatever was guessed.
        holding = {kind: file for kind in known for file in layouts if _holds(file, column, kind, layouts, run)}
        known = holding or dict(list(known.items())[:1])
    kinds = list(known)
    if len(kinds) <= 1:
        return kinds[0] if kinds else "VARCHAR"
    if sniffed and all(kind in INTEGERS or kind.startswith(("DOUBLE", "DECIMAL")) for kind in kinds):
        return "DOUBLE"
    if sniffed and set(kinds) == {"DATE", "TIMESTAMP"}:
        return "TIMESTAMP"
    one, two = kinds[:2]
    raise SourceError(f"column {column} is {one} in {known[one]} and {two} in {known[two]}; files read as one must agree")


def _holds(file: str, column: str, kind: str, layouts: Mapping[str, Columns], run: Run) -> bool:
    if layouts[file].get(column) != kind:
        return False
    quoted = '"' + column.replace('"', '""') + '"'
    [[values]] = run(f"SELECT count({quoted}) FROM {call(_reader(file), listed([file]))}")
    return bool(values)


def is_parquet(path: str) -> bool:
    """A path or glob, by its ending."""
    return Path(path).suffix.lower() in {".parquet", ".pq"}


def _reader(file: str) -> str:
    suffixes = [s.lower() for s in Path(file).suffixes]
    last = suffixes[-2] if len(suffixes) > 1 and suffixes[-1] in PACKED else (suffixes or [""])[-1]
    if last not in READERS:
        raise SourceError(f"{file} has no ending that says its format; known are {', '.join(READERS)}, also with .gz or .zst")
    return READERS[last]


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
