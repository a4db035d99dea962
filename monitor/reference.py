"""What counts as normal for a dataset: accepting a new level, undoing that, marking windows. Each verb is one transaction.

A version never changes what was said before: a result keeps the number of the version that it was judged by.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import Connection

from checks.window import Window
from monitor.config import Config
from monitor.store import references
from monitor.store.store import Store

Mark = Literal["expected", "bad"]


class ReferenceFault(Exception):
    """It cannot be done; the message says why and what there is instead."""


def accept(
    store: Store,
    config: Config,
    dataset: str,
    author: str,
    now: datetime,
    note: str | None = None,
    column: str | None = None,
    start: datetime | None = None,
) -> int:
    """From `start` on the level of a column (None: of the whole dataset) is normal; gives the number of the version.

    Without a `start` that is the first bad window of what is wrong now, else the last measured one. What was measured
    before it no longer counts as history. Raises ReferenceFault where there is no such dataset, or nothing was measured.
    """
    _known(config, dataset)

    def work(connection: Connection) -> int:
        since = start or references.new_level_since(connection, dataset, column)
        if since is None:
            raise ReferenceFault(f"nothing of dataset {dataset} has been measured yet, so there is no level to accept")
        row = {"author": author, "note": note, "start": since, "column": column or ""}
        return references.add(connection, dataset, references.ACCEPTED, now, **row)

    return store.attempt(work)


def rollback(store: Store, config: Config, dataset: str, author: str, now: datetime, version: int | None = None) -> int:
    """Undo a version (None: the last one in force); gives its number. It stays listed, what it judged stays judged.

    A golden table is measured anew by the next window after that. Raises ReferenceFault where there is none in force.
    """
    _known(config, dataset)
    standing = [row.version for row in references.versions(store, dataset) if row.rolled_back_at is None]
    if not standing:
        raise ReferenceFault(f"dataset {dataset} has no version in force: its reference is the config's")
    chosen = standing[0] if version is None else version
    with store.begin() as connection:
        if not references.roll_back(connection, dataset, chosen, author, now):
            there = ", ".join(str(v) for v in sorted(standing))
            raise ReferenceFault(f"version {chosen} of dataset {dataset} is not in force (there are: {there})")
    return chosen


def mark(
    store: Store, config: Config, dataset: str, at: datetime, said: Mark, author: str, now: datetime, note: str | None = None
) -> Window:
    """Say of the window that holds `at` that it is `expected` (unusual and fine) or `bad` (no example of normal).

    Raises ReferenceFault where there is no such dataset, or that window has not begun.
    """
    _known(config, dataset)
    window = config.datasets[dataset].calendar.holding(at)
    if window.start > now:
        raise ReferenceFault(f"the window {window} of dataset {dataset} has not begun yet")
    store.attempt(lambda c: references.mark(c, dataset, window.start, said, author, now, note))
    return window


def _known(config: Config, dataset: str) -> None:
    if dataset not in config.datasets:
        raise ReferenceFault(f"there is no dataset {dataset} (there are: {', '.join(config.datasets)})")
