"""The words and tables of `growing`."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.growing import Grown
from benchmarks.tables import count, memory, met, seconds, table, times

FROM = 1_000_000
LIMIT = 2e9
HEAD = ("file", "warm", "per row and column", "against the first", "once, whole", "memory, warm", "memory, once")


def section(rows: Sequence[Grown], columns: Sequence[Grown], distinct: Sequence[Grown], left_out: Sequence[str]) -> str:
    """All of it, for the terminal and for the docs."""
    parts = []
    if rows:
        parts += ["More rows, 25 columns:", grid("rows", [count(g.rows) for g in rows], rows)]
    if columns:
        parts += [f"More columns, {count(columns[0].rows)} rows:", grid("columns", [count(g.columns) for g in columns], columns)]
    if distinct:
        words = [f"{count(g.rows)} distinct texts" for g in distinct]
        parts += ["A column in which every row has a text of its own, beside one of integers:", grid("", words, distinct)]
    limits = wanted(rows, columns, distinct)
    if limits:
        parts += ["What is wanted:", table(["", "measured", "wanted", "met"], limits)]
    parts += ["\n".join(f"- not measured: {why}" for why in left_out)] if left_out else []
    return "\n\n".join(parts)


def grid(word: str, names: Sequence[str], grown: Sequence[Grown]) -> str:
    lines = [
        [
            name,
            memory(g.file),
            seconds(g.warm),
            f"{g.per_cell * 1e9:.1f} ns",
            times(g.per_cell, grown[0].per_cell),
            seconds(g.once),
            memory(g.warm_peak),
            memory(g.once_peak),
        ]
        for name, g in zip(names, grown, strict=True)
    ]
    return table([word, *HEAD], lines)


def wanted(rows: Sequence[Grown], columns: Sequence[Grown], distinct: Sequence[Grown]) -> list[list[str]]:
    """The limits that we set ourselves, beside what was measured."""
    lines = []
    first = next((g for g in rows if g.rows == FROM), None)
    for g in rows:
        if first is not None and g.rows > FROM:
            share = g.per_cell / first.per_cell
            what = f"{count(g.rows)} rows, time per row against {count(FROM)}"
            lines.append([what, times(g.per_cell, first.per_cell), "at most 1.3 x", met(share, 1.3)])
    biggest = [*rows[-1:], *columns[-1:], *distinct]
    lines += [[f"{size(g)}, memory", memory(g.peak), "at most 2 GB", met(g.peak, LIMIT)] for g in biggest]
    return lines


def size(grown: Grown) -> str:
    return f"{count(grown.rows)} rows x {count(grown.columns)} columns"
