"""How long `backtest` takes over a year of daily windows whose profiles are stored: judging, then telling, in one process each.

    python -m benchmarks.replay [--days 365] [--columns 20]

The windows are files of 2,000 rows that are measured first, by the product's own measuring; that time is not counted.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from alerts.routing import Route
from alerts.slack import Slack
from benchmarks.tables import table
from checks.profile import Profile
from checks.window import Window
from monitor import backtest, worker
from monitor.config import Config
from monitor.dataset import Dataset
from monitor.measuring.measure import measure, pinned, reading
from monitor.replaying import Task, verdicts
from monitor.sources.files import Files

FIRST = datetime(2025, 1, 6, tzinfo=UTC)
WANTED = 10.0
"""Seconds, for a year of 20 columns."""


def main(days: int, columns: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        task = measured(Path(folder), days, columns)
    began, busy = time.perf_counter(), time.process_time()
    judged = verdicts(task)
    judging, judging_busy = time.perf_counter() - began, time.process_time() - busy
    config = Config(
        Path(),
        sources={"files": task.source},
        datasets={task.dataset.name: task.dataset},
        channels={"team": Slack.model_validate({"token": "xoxb-nobody", "channel": "#nobody"})},
        routes=(Route(to=("team",)),),
    )
    began, busy = time.perf_counter(), time.process_time()
    told = backtest.told(config, [(task.dataset, at, found) for at, found in judged])
    telling, telling_busy = time.perf_counter() - began, time.process_time() - busy
    rows = [
        ["judging", f"{judging:.1f}", f"{judging_busy:.1f}", f"{judging_busy / days * 1000:.0f}"],
        ["telling", f"{telling:.1f}", f"{telling_busy:.1f}", f"{telling_busy / days * 1000:.0f}"],
    ]
    whole = judging + telling
    head = ["", "seconds", "of processor", "ms of processor per window"]
    said = f"{days} windows, {columns} columns: {whole:.1f} s, {whole / WANTED:.1f} times the {WANTED:g} s wanted for a year of 20"
    return f"{table(head, rows)}\n\n{said}; {len(told.incidents)} incidents"


def measured(folder: Path, days: int, columns: int) -> Task:
    """A dataset with the profiles of its windows, and without its files."""
    dataset = Dataset(name="orders", table=f"{folder}/{{start:%Y-%m-%d}}.parquet", time_column="at")
    windows = [dataset.calendar.holding(FIRST + n * timedelta(days=1)) for n in range(days)]
    stored = {window.start: profile.to_bytes() for window, profile in _profiles(dataset, folder, windows, columns)}
    return Task(dataset, Files(), windows, stored, measures=False)


def _profiles(dataset: Dataset, folder: Path, windows: list[Window], columns: int) -> Iterator[tuple[Window, Profile]]:
    import duckdb

    before: list[Profile] = []
    for n, window in enumerate(windows):
        duckdb.sql(f"copy ({_rows(n, window, columns)}) to '{folder}/{window.start:%Y-%m-%d}.parquet' (format parquet)")
        with reading(Files(), dataset.place, window, timedelta(minutes=1)) as asked:
            checks = worker.chosen(dataset, asked.schema)
            profile = measure(asked, worker.questions(checks, dataset, asked.schema), pinned(before[-worker.HISTORY :]))
        before.append(profile)
        yield window, profile


def _rows(day: int, window: Window, columns: int) -> str:
    """Half of the columns numbers, a quarter texts of few values, the rest whole numbers and a time; the weekend is smaller."""
    made = [f"timestamp '{window.start:%Y-%m-%d}' + i * interval '40 seconds' as at"]
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
        made.append(f"{value} as c{n}")
    rows = 2000 - 600 * (window.local_start.weekday() > 4) + day % 7
    return f"select {', '.join(made)} from range({rows}) t(i)"


if __name__ == "__main__":
    asked = argparse.ArgumentParser(prog="python -m benchmarks.replay", description=(__doc__ or "").partition("\n")[0])
    asked.add_argument("--days", type=int, default=365)
    asked.add_argument("--columns", type=int, default=20)
    given = asked.parse_args()
    sys.stdout.write(main(given.days, given.columns) + "\n")
