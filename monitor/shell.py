"""What the commands share: options, the config and the store opened, faults as one sentence and an exit code, times as written."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from monitor.config import Config
    from monitor.store.store import Store

OK, FAILED, ERRORED, WRONG_CONFIG = 0, 1, 2, 3
ConfigPath = Annotated[Path, typer.Option("--config", help="the config file")]
AsJson = Annotated[bool, typer.Option("--json", help="print facts as JSON")]
DEFAULT = Path("config.toml")


def read_config(path: Path) -> Config:
    from monitor.config import ConfigError, load

    try:
        return load(path)
    except ConfigError as wrong:
        print(wrong, file=sys.stderr)
        raise typer.Exit(WRONG_CONFIG) from None


@contextmanager
def opened(path: Path, patient: bool = False) -> Iterator[tuple[Config, Store]]:
    """The config and the store, brought to this version; whatever is wrong with either is one sentence and an exit code."""
    from sqlalchemy.exc import SQLAlchemyError

    from monitor.store.store import Store, StoreError

    read = read_config(path)
    try:
        store = Store(read.store.url.get_secret_value())
        store.migrate_patiently() if patient else store.migrate()
    except StoreError as fault:
        print(fault, file=sys.stderr)
        raise typer.Exit(ERRORED) from None
    try:
        yield read, store
    except SQLAlchemyError as fault:
        print(store.said(fault), file=sys.stderr)
        raise typer.Exit(ERRORED) from None
    finally:
        store.close()


def known(name: str, known: Mapping[str, Any], word: str = "dataset") -> str:
    if name in known:
        return name
    import difflib

    near = difflib.get_close_matches(name, known, 1)
    said = f'there is no {word} "{name}"'
    refuse(f'{said}; did you mean "{near[0]}"?' if near else f"{said}; there {'are: ' + ', '.join(known) if known else 'is none'}")


def refuse(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise typer.Exit(WRONG_CONFIG)


def time_of(text: str | None, zone: str = "UTC") -> datetime | None:
    """An ISO 8601 day or time; one without a zone is in `zone`."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        refuse(f"{text!r} is no time; write 2026-11-23 or 2026-11-23T08:00Z")
    # Far from there the calendar ends, and arithmetic with it.
    if not 1900 <= at.year <= 2200:
        refuse(f"{text!r} is out of reach; write a time between 1900 and 2200")
    return at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))


def end_of(text: str | None) -> datetime | None:
    """The end of a day, or a time as it is."""
    from datetime import timedelta

    at = time_of(text)
    return at + timedelta(days=1) if at and text and len(text) == len("2026-11-23") else at


def exit_code(finished: Sequence[Any]) -> int:
    statuses = {result.status for window in finished for result in window.measured.results}
    # An empty window that its dataset calls fine has passed.
    states = {w.measured.state for w in finished if w.measured.state != "no_data" or w.dataset.empty == "fail"}
    if "errored" in statuses | states:
        return ERRORED
    return FAILED if "failed" in statuses or "no_data" in states else OK


def log_to_stderr(quiet: bool = False) -> None:
    """One line per event on standard error; in commands that print for people only what went wrong."""
    import logging
    import time

    form = logging.Formatter("%(asctime)sZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    form.converter = time.gmtime
    to = logging.StreamHandler()
    to.setFormatter(form)
    logging.basicConfig(level=logging.WARNING, handlers=[to])
    logging.getLogger("datavigil").setLevel(logging.ERROR if quiet else logging.INFO)


def leave(code: int) -> NoReturn:
    raise typer.Exit(code)
