"""How long the judgement of one window takes: the part `judgement` of `make bench`.

    python -m benchmarks.judging [--profile]      the latter prints where the time goes, by cProfile

All automatic checks on a table of 25 columns with 90 windows of history, on profiles that DuckDB measured. Beside it, in the
same run: reading that history's profiles, measuring the window, and NumPy sorting a million numbers, as a yardstick.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import pstats
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.tables import met, ratio, seconds, table
from checks.base import Check
from checks.profile import Profile
from checks.window import Window
from monitor import worker
from monitor.dataset import Dataset
from monitor.earlier import earlier
from monitor.ending import ROUGHLY
from monitor.job import Job
from monitor.sources.files import Files

HISTORY, ROWS, TRIES = 90, 5000, 7
DAY, FIRST = timedelta(days=1), datetime(2026, 8, 1, tzinfo=UTC)
COLUMNS = {
    **{f"amount_{n}": f"round({n + 1} * 10 + {n + 1} * sqrt(-2 * ln(1 - random())) * cos(6.2832 * random()), 2)" for n in range(8)},
    **{f"count_{n}": f"cast(floor(random() * random() * {10**n}) as integer)" for n in range(1, 6)},
    **{f"group_{n}": f"'g' || cast(floor(random() * random() * {4 * n}) as varchar)" for n in range(1, 7)},
    "word": "case when random() < 0.03 then null else 'w' || cast(floor(random() * 3000) as varchar) end",
    "note": "repeat('x', cast(random() * 80 as integer))",
    "flag": "random() < 0.2",
    "id": "range",
    "sent": "timestamp '{day}' + to_seconds(random() * 86400)",
    "at": "timestamp '{day}' + to_seconds(random() * 86400)",
}
DATASET = Dataset(name="orders", table="{start:%Y-%m-%d}.parquet", time_column="at")


def written(folder: Path, windows: int = HISTORY + 1, rows: int = ROWS) -> Dataset:
    """A Parquet file per day."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("select setseed(0.5)")
        for n in range(windows):
            day = f"{FIRST + n * DAY:%Y-%m-%d}"
            chosen = ", ".join(f"{sql.format(day=day)} as {name}" for name, sql in COLUMNS.items())
            connection.execute(f"copy (select {chosen} from range({rows})) to '{folder}/{day}.parquet' (format parquet)")
    return DATASET.model_copy(update={"table": f"{folder}/{{start:%Y-%m-%d}}.parquet"})


def measured(dataset: Dataset, windows: int = HISTORY + 1) -> Job:
    """The last window as a job, with the profiles of those before it, all on the grids of the first."""
    stored: list[tuple[datetime, datetime, bytes]] = []
    for n in range(windows - 1):
        window = Window(FIRST + n * DAY, FIRST + (n + 1) * DAY)
        profile = worker.measure_window(Job(dataset, Files(), window, window.end, stored[:1])).profile
        if profile is None:
            sys.exit(f"window {window} could not be measured")
        stored.append((window.start, window.end, profile))
    last = Window(FIRST + (windows - 1) * DAY, FIRST + windows * DAY)
    return Job(dataset, Files(), last, last.end, stored)


def judgement(job: Job) -> tuple[Callable[[], Any], list[Check]]:
    """The judgement of the job's window, ready to be called, and its checks."""
    body = worker.measure_window(replace(job, history=job.history[:1])).profile
    profile = Profile.from_bytes(body or b"")
    checks, history = worker.chosen(job.dataset, profile.schema), earlier(job)
    return partial(worker.judge, job, checks, profile, history), checks


def took(work: Callable[[], Any], tries: int = TRIES) -> float:
    """Seconds, the median of some tries after one that fills the caches."""
    times = []
    for _ in range(tries + 1):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return median(times[1:])


def section() -> str:
    import numpy as np

    # As a worker has it.
    gc.set_threshold(*ROUGHLY)
    with tempfile.TemporaryDirectory() as folder:
        job = measured(written(Path(folder)))
        judge, checks = judgement(job)
        on_holidays, _ = judgement(replace(job, dataset=job.dataset.model_copy(update={"holidays": ("US",)})))
        numbers = np.random.default_rng(1).random(1_000_000)
        rows = {
            "NumPy sorts a million numbers": took(lambda: np.sort(numbers)),
            "the window is judged": took(judge),
            "the same where holidays are known": took(on_holidays),
            "the 90 profiles are read": took(lambda: [Profile.from_bytes(body) for *_, body in job.history], 3),
            "the window is measured and judged on one": took(
                lambda: worker.measure_window(replace(job, history=job.history[:1])), 3
            ),
        }
    yardstick, judged = rows["NumPy sorts a million numbers"], rows["the window is judged"]
    head = f"{len(checks)} checks on {len(COLUMNS)} columns of {ROWS} rows, {HISTORY} windows of history; median of {TRIES}:"
    body = table(["", "took", "against the sorting"], [[name, seconds(t), ratio(t, yardstick)] for name, t in rows.items()])
    wanted = table(
        ["", "measured", "wanted", "met"], [["one window's judgement", seconds(judged), "at most 0.1 s", met(judged, 0.1)]]
    )
    return f"{head}\n\n{body}\n\nWhat is wanted:\n\n{wanted}"


def profiled() -> None:
    with tempfile.TemporaryDirectory() as folder:
        judge, _ = judgement(measured(written(Path(folder))))
    judge()
    with cProfile.Profile() as watched:
        judge()
    pstats.Stats(watched).sort_stats("tottime").print_stats(25)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--profile", action="store_true", help="where the time goes")
    if options.parse_args().profile:
        profiled()
    else:
        sys.stdout.write(section() + "\n")


if __name__ == "__main__":
    main()
