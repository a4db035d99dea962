"""The tables that are measured: made by DuckDB, straight into Parquet, from nothing but a seed. Run in a process of its own.

A value is a function of its row, column and seed, so a table is the same on every machine and with any number of threads.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path

CATEGORIES = (3, 12, 50, 200, 1000)
MISSING = "if({chance} < {share}, NULL, {value})"
U = "greatest(hash(i, {place}, {seed})::DOUBLE * 5.421010862427522e-20, 1e-12)"
V = "hash(i, {place}, {seed}, 7)::DOUBLE * 5.421010862427522e-20"
NORMAL = "sqrt(-2 * ln(u)) * cos(6.283185307179586 * v)"

# Shapes of numbers, as SQL of two uniform numbers u and v, a standard normal n, and `d`, by how much the window has drifted.
SHAPES = (
    "n + d",
    "round(1000 + 0.001 * n, 6)",
    "exp(2 * n)",
    "1 / u",
    "tan(3.141592653589793 * (u - 0.5))",
    "round(50 + 12 * n + 5 * d, 2)",
    "u",
    "pow(u, 1 / (0.6 + d))",
    "round(-ln(u) * 20, 3)",
    "if(u < 0.7, 0, round(exp(3 + n), 2))",
    "if(u < 0.02, -999, round(20 + 4 * n, 1))",
    "if(u < 0.5, -1, 1) * 1e4 + 0.01 * n",
    "round(1.7e9 + 86400 * u, 3)",
    "floor(-ln(u) * 3 * (1 + d))::INTEGER",
    "floor(u * 2)::INTEGER",
    "(i * 10 + floor(10 * v))::BIGINT",
    "floor(1e6 * pow(u, 3))::BIGINT",
    "if(u < 0.97, 1, floor(100 * v))::INTEGER",
    "floor(65 + 20 * n)::INTEGER",
    "floor(1.7e9 + 1e6 * v)::BIGINT",
)


def number(place: int, seed: int, drift: float) -> str:
    """SQL of numeric column `place`; there are as many shapes as there are, then they come again with other numbers."""
    u, v = U.format(place=place, seed=seed), V.format(place=place, seed=seed)
    names = {"u": u, "v": v, "n": f"({NORMAL})", "d": f"({drift!r})"}
    return _with(_with(SHAPES[place % len(SHAPES)], names), {"u": u, "v": v})


def category(place: int, seed: int, drift: float) -> str:
    """SQL of category column `place`: the lower its number the more frequent a value."""
    values = CATEGORIES[place % len(CATEGORIES)]
    u = U.format(place=10_000 + place, seed=seed)
    return f"'value ' || floor({values} * pow({u}, {1.5 + drift!r}))::INTEGER"


def columns(count: int, seed: int, drift: float) -> list[str]:
    """SQL of `count` columns: four in five are numbers; every third has missing values, from 0.1 % to 20 %."""
    parts = []
    for place in range(count):
        is_number = place % 5 < 4
        make: Callable[[int, int, float], str] = number if is_number else category
        own = place // 5 * 4 + place % 5 if is_number else place // 5
        value = make(own, seed, drift)
        if place % 3 == 2:
            chance, share = V.format(place=20_000 + place, seed=seed), (0.001, 0.02, 0.2)[place // 3 % 3]
            value = MISSING.format(chance=chance, share=share, value=value)
        parts.append(f"{value} AS {'n' if is_number else 'c'}{own:03d}")
    return parts


def write(file: Path, sql: str) -> None:
    """A Parquet file of what a select gives, written as it comes: no more than a few hundred MB are held."""
    import duckdb

    with duckdb.connect(config={"preserve_insertion_order": False, "temp_directory": str(file.parent)}) as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"COPY ({sql}) TO '{file}' (FORMAT parquet, COMPRESSION zstd)")


def table(rows: int, count: int = 25, seed: int = 1, drift: float = 0.0) -> str:
    """SQL of a table of `count` columns; a `drift` of 0.05 moves some shapes by a twentieth of their spread."""
    return f"SELECT {', '.join(columns(count, seed, drift))} FROM range({rows}) AS rows(i)"


def distinct(rows: int) -> str:
    """SQL of a text column in which every row has a value of its own, and a number beside it."""
    return f"SELECT md5(i::VARCHAR) AS code, i % 1000 AS number FROM range({rows}) AS rows(i)"


def _with(sql: str, names: dict[str, str]) -> str:
    """The names in `sql`, which are words of one letter, written out."""
    return re.sub(r"\b[uvnd]\b", lambda found: names.get(found[0], found[0]), sql)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("files", type=Path, nargs="+", help="each with a seed of its own")
    options.add_argument("--rows", type=int, required=True)
    options.add_argument("--columns", type=int, default=25)
    options.add_argument("--first-seed", type=int, default=1)
    options.add_argument("--drift", type=float, default=0.0)
    options.add_argument("--distinct", action="store_true", help="one column of distinct strings instead")
    given = options.parse_args()
    for seed, file in enumerate(given.files, given.first_seed):
        write(file, distinct(given.rows) if given.distinct else table(given.rows, given.columns, seed, given.drift))


if __name__ == "__main__":
    main()
