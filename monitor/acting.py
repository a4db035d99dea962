"""The commands that do something about an incident: `ack`, `silence`, `accept`, `not-useful`. No logic: that is in `actions`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from monitor.actions import Done
    from monitor.config import Config
    from monitor.store.store import Store

Number = Annotated[str, typer.Argument(metavar="INCIDENT", help="INC-12 or 12")]
Author = Annotated[str | None, typer.Option("--as", help="who does it; default: who is logged in")]
ConfigPath = Annotated[Path, typer.Option("--config", help="the config file")]
AsJson = Annotated[bool, typer.Option("--json", help="print facts as JSON")]
DEFAULT = Path("config.toml")


def ack(incident: Number, author: Author = None, config: ConfigPath = DEFAULT, json: AsJson = False) -> None:
    """Say that somebody has it: no more reminders of that incident. Exit 1 where somebody was faster."""
    from monitor import actions

    number, who = _number(incident), _author(author)
    _do(config, json, lambda _, store, now: actions.acknowledge(store, number, who, now))


def silence(
    incident: Number,
    length: Annotated[str | None, typer.Option("--for", help="so long: 30m, 4h, 2d; default: 4h")] = None,
    until: Annotated[str | None, typer.Option(help="until then: a time, or morning (08:00)")] = None,
    reason: Annotated[str, typer.Option(help="why; people see it")] = "no reason given",
    lift: Annotated[bool, typer.Option("--lift", help="take the silence back")] = False,
    author: Author = None,
    config: ConfigPath = DEFAULT,
    json: AsJson = False,
) -> None:
    """Tell nothing more of an incident for a while; it is measured and kept as ever."""
    from monitor import actions
    from monitor.cli import _time

    number, who = _number(incident), _author(author)
    end = until if until in {None, "morning"} else _time(until)

    def work(read: Config, store: Store, now: datetime) -> Done:
        if lift:
            return actions.lift(store, number, who, now)
        return actions.silence(
            store, number, who, actions.ends(now, length, end, actions.zone_of(read, store, number)), reason, now
        )

    _do(config, json, work)


def accept(
    incident: Number,
    note: Annotated[str | None, typer.Option(help="why")] = None,
    author: Author = None,
    config: ConfigPath = DEFAULT,
    json: AsJson = False,
) -> None:
    """From its first bad window on, what the incident shows counts as normal; it can be rolled back."""
    from monitor import actions

    number, who = _number(incident), _author(author)
    _do(config, json, lambda read, store, now: actions.accept(store, read, number, who, now, note))


def not_useful(
    incident: Number,
    note: Annotated[str | None, typer.Option(help="what was wrong with it")] = None,
    author: Author = None,
    config: ConfigPath = DEFAULT,
    json: AsJson = False,
) -> None:
    """Say that nobody needed this alert; the weekly summary counts it."""
    from monitor import actions

    number, who = _number(incident), _author(author)
    _do(config, json, lambda _, store, now: actions.not_useful(store, number, who, now, note))


def _do(config: Path, json: bool, work: Callable[[Config, Store, datetime], Done]) -> None:
    """One action on an incident; exit 1 where it changed nothing."""
    from monitor import actions, daemon, printing
    from monitor.cli import FAILED, OK, _opened, _refuse

    with _opened(config) as (read, store):
        try:
            done = work(read, store, daemon.now())
        except (actions.NoSuchIncident, ValueError) as wrong:
            _refuse(str(wrong))
    typer.echo(printing.as_json({"said": done.said, "changed": done.changed}) if json else done.said)
    raise typer.Exit(OK if done.changed else FAILED)


def _number(name: str) -> int:
    from monitor.cli import _refuse

    digits = name.upper().removeprefix("INC-")
    # No store counts further.
    if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        _refuse(f"{name!r} is no incident; write INC-12 or 12")
    return int(digits)


def _author(given: str | None) -> str:
    import getpass

    from monitor.cli import _refuse

    try:
        return given or getpass.getuser()
    except (OSError, KeyError):
        _refuse("who does it? There is no user name here; give one with --as")
