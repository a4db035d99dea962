"""Weeks of a shop's life in a store: made-up verdicts, but recorded, decided on and written down as the daemon does it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path

from checks.result import Bounds, Family, Result, Severity, Status
from checks.window import Window
from monitor import news
from monitor.config import Config, load
from monitor.job import Measured
from monitor.store import ledger
from monitor.store.store import Store

DAY = timedelta(days=1)
LEASE = timedelta(minutes=1)
Verdicts = Callable[[str, Window, int, random.Random], Measured]
"""What a dataset's window comes to: its name, the window, how many days lie between it and the end, and chance."""
SHOP = ("orders", "payments", "customers", "events", "invoices", "stock")


def config(folder: Path, names: Iterable[str], channels: str, to: str, zone: str = "Europe/Berlin") -> Config:
    """A config of daily datasets with these names, its store in `folder`. `channels` is TOML, `to` a list in TOML."""
    tables = "".join(f'[datasets.{quoted(n)}]\ntable = "t"\nsource = "shop"\ntime_column = "at"\nevery = "1d"\n' for n in names)
    shop = '[sources.shop]\nurl = "duckdb:///shop.duckdb"\n'
    path = folder / "config.toml"
    path.write_text(f'{shop}{tables}{channels}\n[summary]\ntimezone = "{zone}"\nto = {to}\n', encoding="utf-8")
    return load(path, {})


def quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def live(config: Config, store: Store, until: datetime, days: int, verdicts: Verdicts) -> None:
    """Every window of the last `days` days before `until`, in order of time, through the ledger and the decisions."""
    chance = random.Random(20261123)  # noqa: S311 - no secret in it
    closed = ((w, name) for name, d in config.datasets.items() for w in d.calendar.closed(until - days * DAY, until))
    for window, name in sorted(closed, key=lambda each: (each[0].end, each[1])):
        claim = ledger.claim(store, name, window, LEASE)
        if claim is None:
            raise ValueError(f"{name} {window} is taken: the store is not empty")
        dataset, at = config.datasets[name], window.end + timedelta(minutes=4)
        measured = verdicts(name, window, (until - window.end) // DAY, chance)
        decide = news.deciding(config, dataset, window, measured, at)
        ledger.record(store, claim, measured, at, news.subjects(dataset), decide)


def verdict(column: str, value: float, most: float, kind: str = "missing", family: Family = Family.QUALITY) -> Result:
    """Of a bound that a user wrote: failed above `most`, critical above twice that."""
    score, name = value / most, f"{kind}({column})"
    shown = (f"{value:.1%}", f"{most:.0%}") if kind == "missing" else (f"{value:.3g}", f"{most:.3g}")
    if score <= 1:
        return Result(name, kind, family, Status.PASSED, f"{name} is {shown[0]}", column, None, value, Bounds(None, most), score)
    said = f"{name} is {shown[0]}, at most {shown[1]} allowed"
    severity = Severity.CRITICAL if score > 2 else Severity.WARNING
    return Result(name, kind, family, Status.FAILED, said, column, None, value, Bounds(None, most), score, severity)


def measured(*results: Result) -> Measured:
    return Measured("done", list(results), 107_874, 1.2, None)


def quiet(name: str, window: Window, left: int, chance: random.Random) -> Measured:
    """Nothing is ever wrong."""
    return measured(verdict("amount", chance.uniform(0.001, 0.004), 0.02))


def shop(name: str, window: Window, left: int, chance: random.Random) -> Measured:
    """A fortnight with trouble, as `left` days are left of it: missing values that stay, a slow drift, a noisy check, a gap."""
    amount = verdict("amount", 0.382 if name == "orders" and left < 3 else chance.uniform(0.001, 0.004), 0.02)
    if name == "customers":
        rise = 0.17 - 0.0035 * left + chance.uniform(-0.004, 0.004)
        return measured(amount, verdict("age", rise, 0.2, "drift", Family.DRIFT))
    if name == "events":
        high = left < 8 and left % 2 == 1
        return measured(amount, verdict("country", 0.231 + 0.004 * left if high else 0.12, 0.22, "drift", Family.DRIFT))
    if name == "payments":
        return measured(verdict("card", 0.031 if left in {5, 4} else chance.uniform(0.004, 0.008), 0.02), amount)
    if name == "invoices" and left < 11:
        said = "connection refused: password of user reader is wrong"
        return Measured("errored", [Result("measure", "measure", Family.SOURCE, Status.ERRORED, said)], None, 0.3, None, said)
    return measured(amount)
