"""Throwing old reports away: files, and the rows that say where they are."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from monitor.reports.making import PART
from monitor.reports.wanted import NAME
from monitor.store import reports
from monitor.store.store import Store

log = logging.getLogger("datavigil.report")
UNFINISHED = timedelta(days=1)
"""After which a file that never got its name was left by a process that died."""


def tidy(store: Store, folder: Path, host: str, keep: timedelta, now: datetime) -> int:
    """Delete reports older than `keep`; how many files. A file that is gone already is fine, one that will not go is said."""
    old = reports.older(store, host, now - keep)
    paths = {path for row in old if NAME.fullmatch((path := Path(row.path)).name)} | set(_aged(folder, keep, now))
    kept = {path for path in paths if not _deleted(path)}
    reports.forget(store, [row.id for row in old if Path(row.path) not in kept])
    return len(paths) - len(kept)


def _aged(folder: Path, keep: timedelta, now: datetime) -> Iterator[Path]:
    """Files of ours that are too old, also those that no row knows of: their process died before it wrote one."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        limit = keep if NAME.fullmatch(path.name) else UNFINISHED if NAME.fullmatch(path.name.removesuffix(PART)) else None
        if limit is not None and path.lstat().st_mtime < (now - limit).timestamp():
            yield path


def _deleted(path: Path) -> bool:
    try:
        path.unlink(missing_ok=True)
    except OSError as fault:
        log.warning("the old report %s cannot be deleted: %s", path, fault.strerror)
        return False
    return True
