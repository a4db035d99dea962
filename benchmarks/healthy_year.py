"""A year of daily windows of healthy tables through the real judge and the real incidents: whatever is told is a false alarm.

    python -m benchmarks.healthy_year OUT [--tables 5=30 50=15 500=5x365] [--seed 1] [--at-once 2] [--holidays]
                                          [--budget "1 per month"]

Simulated are the tables (benchmarks/healthy_tables.py); judged and told as a backtest judges and tells. Each table that is done is
kept in OUT, so that a run that was stopped goes on, and the figures are of those that are done. With `--holidays` each table's
dataset names the country whose holidays it keeps, with `--budget` it has that one.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

from alerts.routing import Route
from alerts.slack import Slack
from benchmarks.healthy_tables import BEGIN, DAY, Table, holiday, month_end
from benchmarks.tables import count, table
from checks.learned import SETTLED
from checks.result import Result, Severity, Status
from monitor import backtest
from monitor.backtest import Backtest
from monitor.config import Config
from monitor.replaying import Task, verdicts
from monitor.sources.files import Files

MONTH = 365 / 12


def year(made: Table, days: int) -> dict[str, Any]:
    """What one table came to: every finding, and how much people were told. Digests and reminders are no messages here."""
    config = Config(
        Path(),
        datasets={made.name: made.dataset},
        channels={"team": Slack.model_validate({"token": "xoxb-nobody", "channel": "#nobody"})},
        routes=(Route(to=("team",)),),
    )
    windows = [made.window(number) for number in range(days)]
    stored = {window.start: made.profile(number).to_bytes() for number, window in enumerate(windows)}
    judged = verdicts(Task(made.dataset, Files(), windows, stored, measures=False))
    found = Backtest(config, windows=[(made.dataset, at, measured) for at, measured in judged])
    found.telling = backtest.told(config, found.windows)
    messages = [m for m in backtest.messages(found) if m["kind"] not in {"info", "reminder"}]
    bad = {Status.FAILED, Status.ERRORED}
    return {
        "table": made.name,
        "width": made.width,
        "days": days,
        "findings": [_finding(at.start, r) for at, measured in judged for r in measured.results if r.status in bad],
        "incidents": [str(h.incident.family) for h in found.telling.incidents.values()],
        "messages": len(messages),
        "pages": sum(m["page"] for m in messages),
    }


def _finding(start: datetime, result: Result) -> dict[str, Any]:
    return {
        "day": start.date().isoformat(),
        "kind": result.kind,
        "status": str(result.status),
        "critical": result.severity is Severity.CRITICAL,
        "score": result.score,
        "message": result.message,
    }


def tables(wanted: Sequence[str], seed: int, calendar: bool = False, budget: str = "") -> Iterator[tuple[Table, int]]:
    """`500=2x90`: two tables of 500 columns, of which 90 days are judged; without the days 365. The widths take turns, the widest
    first, so that a run that is stopped has some of each."""
    asked = []
    for one in wanted:
        wide, _, rest = one.partition("=")
        many, _, long = rest.partition("x")
        asked.append((int(wide), int(many), int(long or 365)))
    for place in range(max((number for _, number, _ in asked), default=0)):
        for width, number, days in sorted(asked, reverse=True):
            if place < number:
                yield Table(f"w{width}_{place}", width, seed * 1000 + place, calendar=calendar, budget=budget), days


def kept(out: Path, made: Table, days: int) -> Path:
    """Where a table's year is kept; it is run if it is not there. In a process of its own."""
    keys = "-holidays" * made.calendar + "".join(f"-{word}" for word in made.budget.split())
    path = out / f"{made.name}-{made.seed}-{days}{keys}.json"
    if not path.exists():
        whole = path.with_suffix(".part")
        whole.write_text(json.dumps(year(made, days)))
        whole.replace(path)
    return path


HEAD = [
    "columns",
    "tables",
    "days of each",
    "days with a finding",
    "critical",
    "incidents",
    "messages",
    "pages",
    "worst: incidents",
]
HEAD += ["worst: pages"]


def report(years: Sequence[dict[str, Any]]) -> str:
    """Per table and month at each width; then the checks that found something."""
    widths = sorted({one["width"] for one in years})
    rows = [_width(width, [one for one in years if one["width"] == width]) for width in widths]
    return f"{table(HEAD, rows)}\n\n{table(['check', *KINDS_HEAD], list(_kinds(years)))}"


def _width(width: int, years: Sequence[dict[str, Any]]) -> list[str]:
    months = [one["days"] / MONTH for one in years]

    def monthly(counts: Sequence[int]) -> str:
        return f"{sum(counts) / sum(months):.2f}"

    def worst(counts: Sequence[int]) -> str:
        return f"{max(n / m for n, m in zip(counts, months, strict=True)):.2f}"

    any_, critical = ([len({f["day"] for f in one["findings"] if f["critical"] or not c}) for one in years] for c in (False, True))
    incidents = [len(one["incidents"]) for one in years]
    messages, pages = ([one[what] for one in years] for what in ("messages", "pages"))
    told = [monthly(counts) for counts in (any_, critical, incidents, messages, pages)]
    days = "-".join(map(str, sorted({one["days"] for one in years})))
    return [str(width), str(len(years)), days, *told, worst(incidents), worst(pages)]


KINDS_HEAD = ["findings", "critical", "while learning", "on month ends", "on holidays", "on other days, in 1,000 windows"]


def _kinds(years: Sequence[dict[str, Any]]) -> Iterator[list[str]]:
    """Most first. Of a window counts each kind once, however many columns it failed on."""
    found: dict[str, dict[tuple[str, str], bool]] = {}
    for one in years:
        for f in one["findings"]:
            where = found.setdefault(f["kind"] if f["status"] == "failed" else f"{f['kind']} (errored)", {})
            where[one["table"], f["day"]] = where.get((one["table"], f["day"]), False) or f["critical"]
    windows = Counter(sort(BEGIN + n * DAY) for one in years for n in range(one["days"]))
    for kind, where in sorted(found.items(), key=lambda item: -len(item[1])):
        days = Counter(sort(datetime.fromisoformat(day).replace(tzinfo=BEGIN.tzinfo)) for _, day in where)
        other = 1000 * days["other"] / max(windows["other"], 1)
        early = sum(day < (BEGIN + SETTLED * DAY).date().isoformat() for _, day in where)
        counts = [len(where), sum(where.values()), early, days["month end"], days["holiday"]]
        yield [kind, *map(count, counts), f"{other:.2f}"]


def sort(day: datetime) -> str:
    return "holiday" if holiday(day) else "month end" if month_end(day) else "other"


def main(arguments: list[str] | None = None) -> None:
    asked = argparse.ArgumentParser(prog="python -m benchmarks.healthy_year", description="a simulated year of healthy tables")
    asked.add_argument("out", type=Path)
    asked.add_argument("--tables", nargs="+", default=["5=30", "50=15", "500=5"], metavar="WIDTH=NUMBER[xDAYS]")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--at-once", type=int, default=2)
    asked.add_argument("--holidays", action="store_true", help="with the key `holidays` of each dataset")
    asked.add_argument("--budget", default="", help="with the key `budget` of each dataset")
    given = asked.parse_args(arguments)
    logging.disable(logging.WARNING)
    given.out.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(given.at_once) as pool:
        made = tables(given.tables, given.seed, given.holidays, given.budget)
        running = [pool.submit(kept, given.out, one, days) for one, days in made]
        done = [json.loads(future.result().read_text()) for future in running]
    sys.stdout.write(report(done) + "\n")


if __name__ == "__main__":
    main()
