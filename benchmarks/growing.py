"""How time and memory of ours grow with rows, with columns, and with distinct values."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.children import started
from benchmarks.comparing import again, say
from benchmarks.landing import DRIFT, Landing, forget, too_big

HISTORY = 16
SMALL = 10_000
"""Rows of each day of the history: enough to pin grids and to learn bounds, whatever the day has that is measured."""
WIDE_ROWS = 100_000


@dataclass(frozen=True)
class Grown:
    """One window: seconds in a warm process (median) and as the whole of `once`, and the highest memory of each, in bytes."""

    rows: int
    columns: int
    file: int
    warm: float
    warm_peak: int
    once: float
    once_peak: int

    @property
    def per_cell(self) -> float:
        """Seconds per row and column, warm."""
        return self.warm / self.rows / self.columns

    @property
    def peak(self) -> int:
        return max(self.warm_peak, self.once_peak)


def by_rows(folder: Path, sizes: Sequence[int], left_out: list[str]) -> list[Grown]:
    """25 columns, more and more rows; sizes for which there is no room on the disk go to `left_out`, with the reason."""
    with remembering(folder / "rows", 25) as landing:
        found = []
        for rows in sizes:
            why = too_big(folder, rows)
            if why is None:
                found.append(window(landing, rows, 25))
            else:
                left_out.append(why)
        return found


def by_columns(folder: Path, counts: Sequence[int], rows: int = WIDE_ROWS) -> list[Grown]:
    """The same rows, more and more columns."""
    found = []
    for columns in counts:
        with remembering(folder / f"columns-{columns}", columns) as landing:
            found.append(window(landing, rows, columns))
    return found


def of_distinct(folder: Path, rows: int, left_out: list[str]) -> list[Grown]:
    """A column in which every row has a text of its own, and one of integers; none where the disk has no room."""
    why = too_big(folder, rows, columns=10)
    if why is not None:
        left_out.append(why)
        return []
    with remembering(folder / "distinct", 2, distinct=True) as landing:
        return [window(landing, rows, 2, distinct=True)]


@contextmanager
def remembering(folder: Path, columns: int, distinct: bool = False) -> Iterator[Landing]:
    """A landing folder of its own with a history of small days; its big files are gone at the end."""
    folder.mkdir()
    landing = Landing(folder, HISTORY)
    say(f"{columns} columns: making and measuring {HISTORY} days of {SMALL:,} rows")
    landing.make(range(HISTORY), SMALL, columns, distinct=distinct)
    landing.remember()
    try:
        yield landing
    finally:
        for file in landing.file(0).parent.iterdir():
            forget(file)


def window(landing: Landing, rows: int, columns: int, distinct: bool = False) -> Grown:
    """The first day after the history with that many rows, measured."""
    first = landing.history
    file = landing.file(first)
    say(f"{rows:,} rows x {columns} columns: writing them")
    landing.make([first], rows, columns, DRIFT, distinct)
    warm, warm_peak = in_a_warm_process(landing)
    once = landing.once()
    grown = Grown(rows, columns, file.stat().st_size, warm, warm_peak, once.seconds, once.peak)
    say(f"{rows:,} rows x {columns} columns: warm {warm:.2f} s, once {once.seconds:.2f} s, at most {grown.peak / 1e6:.0f} MB")
    forget(file)
    return grown


def in_a_warm_process(landing: Landing) -> tuple[float, int]:
    """Seconds (median of up to five) and the highest memory in bytes."""
    landing.restore("warm")
    with started([sys.executable, "-m", "benchmarks.warm", str(landing.config("warm"))]) as child:
        child.ask(landing.day(landing.history - 1))
        took: list[float] = []
        while not took or again(took):
            took.append(child.ask(landing.day(landing.history))["seconds"])
        return median(took), child.end()
