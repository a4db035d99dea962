"""What people would be told of real tables in which nothing was planted: new incidents, messages and pages per table and month.

    python -m benchmarks.healthy DATA OUT [TABLE...]

DATA and OUT are those of benchmarks/detection.py; the profiles that lie in OUT are used. The tables are as they were published, the
automatic checks watch them alone, and all goes to one Slack channel. Telling is `backtest`'s own.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from alerts.routing import Route
from alerts.slack import Slack
from benchmarks.detection import Profiles, read, window
from benchmarks.tables import table
from monitor import backtest, replay_months
from monitor.backtest import Backtest
from monitor.config import Config
from monitor.pool import workers
from monitor.replaying import Task, verdicts
from monitor.sources.files import Files

LEARNING = 35
"""Windows in which a table is new: learned findings warn and never page."""
HEAD = [
    "table",
    "months",
    "incidents",
    "while learning",
    "after",
    "months with more than one",
    "most",
    "messages",
    "digests",
    "pages",
]


def main(data: Path, out: Path, wanted: set[str]) -> None:
    profiles = Profiles(data, out / "profiles", {row["dataset"]: row for row in read(data / "windows.csv")})
    tasks = [task(profiles, data, name) for name in profiles.about if not wanted or name in wanted]
    with workers(2) as pool:
        running = [(one, pool.schedule(verdicts, [one], 24 * 3600)) for one in tasks]
        found = [told(one, future.result()) for one, future in running]
    sys.stdout.write(table(HEAD, [summed(one) for one in found]) + "\n\n" + "\n".join(map(listed, found)) + "\n")


def task(profiles: Profiles, data: Path, name: str) -> Task:
    """A table as it was published, with its windows' profiles."""
    rows = [row for row in read(data / "windows.csv") if row["dataset"] == name]
    dataset = profiles.dataset(name, rows[0]["start"])
    windows = [window(dataset, row["start"]) for row in rows]
    stored = {at.start: profiles.of(name, row).to_bytes() for at, row in zip(windows, rows, strict=True)}
    return Task(dataset, Files(), windows, stored, measures=False)


def told(one: Task, judged: Iterable[Any]) -> Backtest:
    config = Config(
        Path(),
        sources={"files": one.source},
        datasets={one.dataset.name: one.dataset},
        channels={"team": Slack.model_validate({"token": "xoxb-nobody", "channel": "#nobody"})},
        routes=(Route(to=("team",)),),
    )
    found = Backtest(config, windows=[(one.dataset, at, measured) for at, measured in judged])
    found.telling = backtest.told(config, found.windows)
    return found


def summed(found: Backtest) -> list[str]:
    """A row of the table."""
    dataset, first, _ = found.windows[0]
    months = [row for row in replay_months.months(found) if row["windows"]]
    sums = sum((Counter({kind: row[kind] for kind in replay_months.KINDS}) for row in months), Counter[str]())
    digests = sum(message["kind"] == "info" for message in backtest.messages(found))
    known = first.start + LEARNING * dataset.every
    early = sum(h.incident.opened_at < known + dataset.every for h in found.telling.incidents.values())
    counts = [len(months), sums["incidents"], early, sums["incidents"] - early]
    worst = [sum(row["incidents"] > 1 for row in months), max(row["incidents"] for row in months)]
    return [dataset.name, *map(str, [*counts, *worst, sums["messages"], digests, sums["pages"]])]


def listed(found: Backtest) -> str:
    """Every incident with its first problem, to be looked at."""
    lines = [f"{found.windows[0][0].name}:"]
    for happening in found.telling.incidents.values():
        incident, first = happening.incident, next(iter(happening.problems.values()))
        lines.append(f"  {incident.opened_at:%Y-%m-%d} {incident.severity} {incident.family}: {first.message}")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("tables", nargs="*")
    given = parser.parse_args()
    main(given.data, given.out, set(given.tables))
