"""How well the automatic checks judge real tables with faults mixed in: false alarms, recall, right column.

    python -m benchmarks.detection DATA OUT [--persist] [STREAM...]

DATA is a folder of windows with `windows.csv`, `streams.csv` and `truth.csv`. Each distinct window is measured once, by the
product's own measuring, and kept in OUT/profiles; then each stream is judged in order with the history that a daemon
would have had. OUT/verdicts.json has the form of `backtest --json`, OUT/cost.txt the time a judgement takes; what it comes to
is told by `benchmarks.detected`.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from checks.profile import Profile
from checks.window import Window
from monitor import worker
from monitor.dataset import Dataset
from monitor.earlier import HISTORY
from monitor.measuring.measure import measure, pinned, reading
from monitor.replaying import Task, verdicts
from monitor.sources.files import Files

HISTORY_OF_PERSISTING = 120
STAY = 7
"""Windows for which a persisting fault stays."""
Row = dict[str, str]


def main(data: Path, out: Path, persist: bool, wanted: set[str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    about = {row["dataset"]: row for row in read(data / "windows.csv")}
    streams = persisting(data) if persist else mixed(data)
    streams = {name: rows for name, rows in streams.items() if not wanted or name in wanted}
    profiles = Profiles(data, out / "profiles", about)
    judged, seconds = [], []
    for name, rows in streams.items():
        # Of faults that stay, the windows before them are history; so is the warm-up, of which nothing is counted.
        begin = len(rows) - STAY if persist else sum(row["phase"] == "warmup" for row in rows)
        dataset = profiles.dataset(name.rsplit("-", 1)[0], rows[0]["start"]).model_copy(update={"name": name})
        stored = {window(dataset, row["start"]): profiles.of(name.rsplit("-", 1)[0], row).to_bytes() for row in rows}
        bodies = {at.start: body for at, body in stored.items()}
        task = Task(dataset, profiles.source, list(stored), bodies, measures=False, history=begin)
        began = time.perf_counter()
        judged += [written(name, at, found.results) for at, found in verdicts(task)]
        seconds.append((time.perf_counter() - began) / (len(rows) - begin))
        sys.stderr.write(f"{name}: {len(rows) - begin} windows, {seconds[-1] * 1000:.0f} ms each" + "\n")
        # After each stream, so that a run that is stopped has told what it knew.
        (out / "verdicts.json").write_text(json.dumps({"windows": judged}))
    (out / "cost.txt").write_text(f"{sum(seconds) / len(seconds) * 1000:.1f} ms per window\n")


def written(stream: str, at: Window, results: Any) -> dict[str, Any]:
    return {
        "dataset": stream,
        "start": at.start.isoformat(),
        "end": at.end.isoformat(),
        "state": "done",
        "results": [{**r.as_json(), "details": r.details} for r in results if r.status != "skipped"],
    }


def window(dataset: Dataset, start: str) -> Window:
    begins = datetime.combine(date.fromisoformat(start), datetime.min.time(), UTC)
    return Window(begins, begins + dataset.every)


class Profiles:
    """The measured windows, on disk. A faulty window is on the grids of the healthy ones before it, as in production."""

    def __init__(self, data: Path, folder: Path, about: dict[str, Row]) -> None:
        self.data, self.folder, self.about = data, folder, about
        self.source = Files()
        self.kept: dict[str, Profile] = {}
        self.healthy: dict[str, list[tuple[str, Profile]]] = defaultdict(list)
        for row in read(data / "windows.csv"):
            self.healthy[row["dataset"]].append((row["start"], self.of(row["dataset"], row)))

    def dataset(self, table: str, origin: str) -> Dataset:
        about = self.about[table]
        return Dataset(
            name=table,
            table=str(self.folder / "links" / "{start:%Y-%m-%d}.parquet"),
            time_column=about["time_column"],
            every=timedelta(days=int(about["period_days"])),
            origin=date.fromisoformat(origin),
        )

    def of(self, table: str, row: Row) -> Profile:
        path = row["path"]
        if path not in self.kept:
            stored = self.folder / f"{path}.profile"
            if not stored.exists():
                stored.parent.mkdir(parents=True, exist_ok=True)
                stored.write_bytes(self.measured(table, row).to_bytes())
            self.kept[path] = Profile.from_bytes(stored.read_bytes())
        return self.kept[path]

    def measured(self, table: str, row: Row) -> Profile:
        link = self.folder / "links" / f"{row['start']}.parquet"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to((self.data / row["path"]).resolve())
        dataset = self.dataset(table, row["start"])
        before = [profile for start, profile in self.healthy[table] if start < row["start"]][-HISTORY:]
        with reading(self.source, dataset.place, window(dataset, row["start"]), timedelta(minutes=1)) as asked:
            checks = worker.chosen(dataset, asked.schema)
            return measure(asked, worker.questions(checks, dataset, asked.schema), pinned(before))


def mixed(data: Path) -> dict[str, list[Row]]:
    streams: dict[str, list[Row]] = defaultdict(list)
    for row in read(data / "streams.csv"):
        streams[row["stream"]].append(row)
    return streams


def persisting(data: Path) -> dict[str, list[Row]]:
    """Windows as published, then seven faulty ones."""
    published: dict[str, list[Row]] = defaultdict(list)
    for row in read(data / "windows.csv"):
        published[row["dataset"]].append(row)
    streams: dict[str, list[Row]] = {}
    for row in read(data / "truth.csv"):
        if row["persist"] == "True":
            windows, at = published[row["dataset"]], int(row["seq"])
            stream = streams.setdefault(row["episode"], windows[:at][-HISTORY_OF_PERSISTING:])
            stream.append({"start": windows[at]["start"], "path": row["path"]})
    return streams


def read(path: Path) -> list[Row]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("streams", nargs="*")
    parser.add_argument("--persist", action="store_true", help="the faults that stay for seven windows")
    given = parser.parse_args()
    main(given.data, given.out, given.persist, set(given.streams))
