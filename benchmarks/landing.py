"""A folder with a Parquet file per day and a config that watches it, its first days measured into the history."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from benchmarks.children import Failed, Ran, run

FIRST = date(2026, 9, 1)
DATAVIGIL = str(Path(sys.executable).parent / "datavigil")
DRIFT = 0.05
BYTES = 90
"""Of a row of 25 columns in Parquet, at most."""
PREFIX = "datavigil-bench-"
CONFIG = """
[datasets.table]
table = "landing/{{start:%Y-%m-%d}}.parquet"
every = "1d"
catchup = "365d"
timeout = "3h"

[channels.terminal]
kind = "console"

[daemon]
workers = 1

# The report of an incident is Evidently at work, after everybody has been told.
[reports]
enabled = false

[store]
url = "sqlite:///{store}.db"
"""
STORES = ("before", "warm", "once")


@dataclass(frozen=True)
class Landing:
    """`history` are the days, counted from 0, that are in the store; each later day's table has drifted a little."""

    folder: Path
    history: int

    def day(self, number: int) -> str:
        return (FIRST + timedelta(days=number)).isoformat()

    def file(self, number: int) -> Path:
        return self.folder / "landing" / f"{self.day(number)}.parquet"

    def config(self, store: str) -> Path:
        return self.folder / f"{store}.toml"

    def make(self, numbers: Sequence[int], rows: int, columns: int = 25, drift: float = 0.0, distinct: bool = False) -> None:
        """The tables of these days."""
        self.file(0).parent.mkdir(exist_ok=True)
        files = [str(self.file(number)) for number in numbers]
        sizes = ["--rows", str(rows), "--columns", str(columns), "--drift", str(drift), "--first-seed", str(numbers[0] + 1)]
        run([sys.executable, "-m", "benchmarks.frames", *files, *sizes, *(["--distinct"] if distinct else [])])

    def remember(self) -> None:
        """Configs, and the first days measured into their stores."""
        for store in STORES:
            self.config(store).write_text(CONFIG.format(store=store), encoding="utf-8")
        span = ["--from", self.day(0), "--to", self.day(self.history)]
        run([DATAVIGIL, "backfill", "table", *span, "--config", str(self.config("before"))])
        for store in STORES[1:]:
            self.restore(store)

    def restore(self, store: str) -> None:
        """The store as it was after the history."""
        for left in self.folder.glob(f"{store}.db*"):
            left.unlink()
        shutil.copy(self.folder / "before.db", self.folder / f"{store}.db")

    def once(self) -> Ran:
        """`datavigil once` in a new process, when the first day after the history has just ended. Raises Failed where it does not
        measure that day and nothing else.
        """
        self.restore("once")
        ended = f"{self.day(self.history + 1)}T00:00Z"
        call = [DATAVIGIL, "once", "--at", ended, "--json", "--config", str(self.config("once"))]
        ran = run(call, fine=(0, 1))
        window = facts(ran.printed)
        if window["state"] != "done":
            raise Failed(f"`datavigil once` says {window['state']}: {window['results'][0]['message']}")
        return ran


def facts(printed: str) -> dict[str, Any]:
    """The one window that `datavigil once --json` tells of. Raises Failed."""
    try:
        windows: list[dict[str, Any]] = json.loads(printed)["windows"]
    except ValueError:
        raise Failed(f"`datavigil once --json` printed something else: {printed[:1000]}") from None
    if len(windows) != 1:
        raise Failed(f"`datavigil once` measured {len(windows)} windows instead of one")
    return windows[0]


@contextmanager
def folder(within: Path) -> Iterator[Path]:
    """A folder for big files, gone at the end, also when interrupted. What a killed run has left there goes first."""
    for left in within.glob(f"{PREFIX}*"):
        pid = left.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", dir=within) as made:
        yield Path(made)


def too_big(within: Path, rows: int, columns: int = 25) -> str | None:
    """Why a table of that size should not be written there; None where there is room for it and as much again to spill."""
    needed = 2 * rows * columns * BYTES // 25
    free = shutil.disk_usage(within).free
    if needed <= free:
        return None
    return f"{rows:,} rows need {needed / 1e9:.0f} GB of disk with what may be spilled, and {within} has {free / 1e9:.0f} GB free"


def forget(file: Path) -> None:
    """Delete a big file as soon as it is not needed."""
    with suppress(FileNotFoundError):
        file.unlink()
