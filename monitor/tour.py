"""`datavigil demo`: the five-minute tour. A real table, eight quiet weeks as history, a week of trouble, the daemon on it."""

from __future__ import annotations

import sys
import threading
from contextlib import nullcontext, redirect_stdout
from datetime import datetime, timedelta
from functools import partial
from operator import add
from pathlib import Path
from typing import TextIO

from monitor import daemon, demo, printing
from monitor.config import Config, ConfigError, load
from monitor.pool import workers
from monitor.runner import Finished
from monitor.store import looking
from monitor.store.store import Store

FOLDER = "demo-data"
DATASET = "departures"
TROUBLE = 6
"""Days before today that are measured as if live; what lies before them is history."""
ARRIVALS = 60.0


def tour(folder: Path, only_once: bool, json: bool) -> int:
    """Run the demo in `folder`; the exit code. What is there of an earlier demo is made anew, nothing else is touched."""
    say = _Say(json)
    try:
        config = _config(folder)
        # Always made anew: the week of trouble is counted from today.
        (folder / FOLDER / "story.json").unlink(missing_ok=True)
        with workers(1) as pool:
            say(f"writing a year of real departures from New York to {FOLDER}/ ...")
            story = pool.schedule(demo.prepare, args=[folder / FOLDER, daemon.now()]).result()
    except (ConfigError, demo.NoTable) as fault:
        print(fault, file=sys.stderr)
        return 3
    for stale in (folder / FOLDER).glob("datavigil.db*"):
        stale.unlink()
    store = Store(config.store.url.get_secret_value())
    store.migrate()
    facts = sys.stdout
    try:
        # The console channel prints too: with --json it must not get between the facts.
        with redirect_stdout(sys.stderr) if json else nullcontext():
            _tell(config, store, story, say, facts if json else None)
            if not only_once:
                _watch(config, store, folder / FOLDER, say)
    finally:
        store.close()
    return 0


def _tell(config: Config, store: Store, story: demo.Story, say: _Say, facts: TextIO | None) -> None:
    """History, the week of trouble, the sum; what was found goes to `facts` as JSON."""
    say(f"{story.rows:,} rows; {TROUBLE} days ago something began to go wrong. First, what is usual:".replace(",", " ", 1))
    found = _catch_up(config, store, story, say)
    _sum_up(store, story, found, say)
    if facts is not None:
        incidents = [printing.incident_facts(store, row) for row in looking.found_incidents(store, everything=True)]
        print(printing.as_json({"windows": [f.as_json() for f in found], "incidents": incidents}), file=facts, flush=True)


class _Say:
    """Prints for people; with --json to standard error, so that standard output holds facts only."""

    def __init__(self, json: bool) -> None:
        self.stream = sys.stderr if json else sys.stdout

    def __call__(self, line: str = "") -> None:
        print(line, file=self.stream, flush=True)


def _config(folder: Path) -> Config:
    """The demo's config: that of the folder if it is the demo's, else written there. Never over somebody's own."""
    path, shipped = folder / "config.toml", _shipped().read_text(encoding="utf-8")
    if not path.exists():
        path.write_text(shipped, encoding="utf-8")
    elif path.read_text(encoding="utf-8") != shipped:
        raise ConfigError(path, ["this is not the demo's config; run `datavigil demo` in an empty folder"])
    return load(path)


def _shipped() -> Path:
    """In a checkout the root's config.toml, in a wheel its copy."""
    packed = Path(__file__).parent / "demo.toml"
    return packed if packed.exists() else Path(__file__).parent.parent / "config.toml"


def _catch_up(config: Config, store: Store, story: demo.Story, say: _Say) -> list[Finished]:
    """History first, told to nobody; then the last days one after the other, told as they would have been."""
    zone = config.datasets[DATASET].timezone
    start = _midnight(story.today - timedelta(days=demo.HISTORY), zone)
    end = _midnight(story.today - timedelta(days=TROUBLE), zone)
    bar = printing.Bar("measuring eight weeks of history", sys.stderr)
    daemon.backfill(config, store, DATASET, start, end, False, bar.counting(lambda _: None))
    bar.end()
    say()
    say("now the last week, day by day, as the daemon would have told it at the time:")
    found: list[Finished] = []

    def seen(finished: Finished) -> None:
        found.append(finished)
        failed = sum(r.status == "failed" for r in finished.measured.results)
        say(
            f"\n-- {finished.window}: {finished.measured.rows} rows, "
            + (f"{failed} finding{'s' * (failed > 1)}" if failed else "all well")
        )

    dataset = config.datasets[DATASET]
    with daemon.due_at(config, store, [DATASET], seen) as run:
        for window in dataset.calendar.closed(end, daemon.now() - dataset.delay):
            run(window.end + dataset.delay, partial(add, window.end, dataset.delay))
    return found


def _sum_up(store: Store, story: demo.Story, found: list[Finished], say: _Say) -> None:
    incidents = looking.found_incidents(store, everything=True)
    say()
    say(f"{len(found)} days watched, {len(incidents)} incidents. What was planted:")
    for fault in story.faults:
        say(f"  {fault.day}  {fault.column or 'rows':12} {fault.what}")
    say()
    # As it was called: in a virtual environment it may not be on the path.
    called = Path(sys.argv[0]).absolute()
    local = called.name == "datavigil" and called.is_relative_to(Path.cwd())
    name = str(called.relative_to(Path.cwd())) if local else "datavigil"
    say(f"try next:   {name} incidents --all      {name} results --failed      {name} status")
    say("your own:   change config.toml, then the same with check-config, once, run")


def _watch(config: Config, store: Store, folder: Path, say: _Say) -> None:
    """The daemon on the demo's table, whose next day arrives at New York's midnight; until Ctrl-C."""
    ended = threading.Event()

    def arrivals() -> None:
        with workers(1) as pool:
            while not ended.wait(ARRIVALS):
                if demo.waiting(folder, daemon.now()):
                    pool.schedule(demo.arrive, args=[folder, daemon.now()]).result()

    dataset = config.datasets[DATASET]
    closes = dataset.calendar.holding(daemon.now()).end
    say()
    say(f"watching on: the next day arrives at {printing.moment(closes)}; stop with Ctrl-C")
    feeder = threading.Thread(target=arrivals, name="demo-arrivals", daemon=True)
    feeder.start()
    daemon.run(config, store)
    ended.set()
    feeder.join(5)


def _midnight(day: object, zone: str) -> datetime:
    from zoneinfo import ZoneInfo

    return datetime.fromisoformat(str(day)).replace(tzinfo=ZoneInfo(zone))
