"""How long the command `datavigil backtest` takes over a year of daily windows whose profiles are in the store.

    python -m benchmarks.replay [--days 365] [--columns 20] [--tries 3]

The windows are files of 2,000 rows that `datavigil backfill` measures and judges first, which takes some minutes and is told too.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.children import Ran, run
from benchmarks.tables import table

FIRST = datetime(2025, 1, 6, tzinfo=UTC)
DAY = timedelta(days=1)
WANTED = 10.0
"""Seconds, for a year of 20 columns."""
DATAVIGIL = str(Path(sys.executable).parent / "datavigil")
CONFIG = """
[datasets.orders]
table = "landing/{start:%Y-%m-%d}.parquet"
time_column = "at"

[store]
url = "sqlite:///orders.db"

[channels.team]
kind = "webhook"
url = "http://127.0.0.1:9/nobody"
"""


def main(days: int, columns: int, tries: int) -> str:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written(folder, days, columns)
        until = f"{FIRST + days * DAY:%Y-%m-%d}"
        filled = command(folder, "backfill", "orders", "--from", f"{FIRST:%Y-%m-%d}", "--to", until)
        took = [command(folder, "backtest", "--to", until, "--json") for _ in range(tries)]
    replayed = json.loads(took[0].printed)
    [stretch] = replayed["datasets"]
    if not days == stretch["windows"] == stretch["stored"]:
        raise SystemExit(f"of {days} windows {stretch['windows']} were replayed and {stretch['stored']} were stored")
    took.sort(key=lambda one: one.seconds)
    rows = [
        [said, f"{one.seconds:.1f}", f"{one.cpu:.1f}", f"{one.cpu / days * 1000:.0f}"]
        for said, one in (("backfill", filled), ("backtest, fastest", took[0]), ("backtest, slowest", took[-1]))
    ]
    head = ["", "seconds", "of processor", "ms of processor per window"]
    middle = f"{took[len(took) // 2].seconds:.1f} s in the middle, {WANTED:g} s wanted for a year of 20"
    found = f"{days} windows, {columns} columns, {tries} tries: {middle}; {len(replayed['incidents'])} incidents"
    return f"{table(head, rows)}\n\n{found}"


def command(folder: Path, *asked: str) -> Ran:
    return run([DATAVIGIL, *asked], folder, fine=(0, 1))


def written(folder: Path, days: int, columns: int) -> None:
    """The config, and a file per day."""
    import duckdb

    (folder / "landing").mkdir()
    (folder / "config.toml").write_text(CONFIG)
    for number in range(days):
        file = folder / "landing" / f"{FIRST + number * DAY:%Y-%m-%d}.parquet"
        duckdb.sql(f"copy (select {', '.join(_columns(number, columns))} from {_range(number)}) to '{file}' (format parquet)")


def _range(day: int) -> str:
    return f"range({2000 - 600 * ((FIRST + day * DAY).weekday() > 4) + day % 7}) t(i)"


def _columns(day: int, columns: int) -> Iterator[str]:
    """Half of the columns numbers, a quarter texts of few values, the rest whole numbers and a time; the weekend is smaller."""
    yield f"timestamp '{FIRST + day * DAY:%Y-%m-%d}' + i * interval '40 seconds' as at"
    for n in range(1, columns):
        draw = f"(hash(i, {day}, {n}) % 1000003) / 1000003.0"
        kind = n % 4
        value = (
            f"sqrt(-2 * ln({draw} + 1e-9)) * {n}"
            if kind < 2
            else f"'v' || ({draw} * 8)::int"
            if kind == 2
            else f"({draw} * 50)::int"
        )
        yield f"{value} as c{n}"


if __name__ == "__main__":
    asked = argparse.ArgumentParser(prog="python -m benchmarks.replay", description=(__doc__ or "").partition("\n")[0])
    asked.add_argument("--days", type=int, default=365)
    asked.add_argument("--columns", type=int, default=20)
    asked.add_argument("--tries", type=int, default=3)
    given = asked.parse_args()
    sys.stdout.write(main(given.days, given.columns, given.tries) + "\n")
