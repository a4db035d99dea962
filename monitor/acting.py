"""The commands that do something about an incident (`ack`, `silence`, `accept`, `not-useful`, `cause`) or about what counts as
normal (`reference`, `mark`). No logic: that is in `actions` and `reference`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from monitor.shell import DEFAULT, AsJson, ConfigPath, known, opened, refuse, time_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from monitor.actions import Done
    from monitor.config import Config
    from monitor.store.store import Store

Number = Annotated[str, typer.Argument(metavar="INCIDENT", help="INC-12 or 12")]
Author = Annotated[str | None, typer.Option("--as", help="who does it; default: who is logged in")]


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

    number, who = _number(incident), _author(author)
    end = until if until in {None, "morning"} else time_of(until)

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


def cause(
    incident: Number,
    text: Annotated[str, typer.Argument(help="what it came of, in a sentence")],
    author: Author = None,
    config: ConfigPath = DEFAULT,
    json: AsJson = False,
) -> None:
    """Note what an incident came of, also after its end; the weekly summary says it. The last one noted counts."""
    from monitor import actions

    number, who = _number(incident), _author(author)
    _do(config, json, lambda _, store, now: actions.note_cause(store, number, who, text, now))


def unsuspend(channel: str, address: str, config: ConfigPath = DEFAULT, json: AsJson = False) -> None:
    """Write again to a mail address that was suspended for being refused for three weeks. Exit 1 where it was not."""
    from monitor import actions

    def work(read: Config, store: Store, now: datetime) -> Done:
        to = read.channels[known(channel, read.channels, "channel")].recipients
        return actions.unsuspend(store, channel, known(address, dict.fromkeys(filter(None, to)), "address"), now)

    _do(config, json, work)


def reference(
    action: Annotated[Literal["list", "show", "compare", "accept", "rollback"], typer.Argument(help="what to do")],
    dataset: str,
    versions: Annotated[list[int] | None, typer.Argument(help="of show, compare (two) and rollback; default: the last")] = None,
    column: Annotated[str | None, typer.Option(help="accept: only this column")] = None,
    since: Annotated[str | None, typer.Option(help="accept: from when on; default: the first bad window")] = None,
    note: Annotated[str | None, typer.Option(help="accept: why")] = None,
    config: ConfigPath = DEFAULT,
    json: AsJson = False,
) -> None:
    """What counts as normal: versions listed, looked at, compared; a new level accepted; a version rolled back."""
    from monitor import daemon, printing, reference_command
    from monitor.reference import ReferenceFault

    with opened(config) as (read, store):
        zone = read.datasets[known(dataset, read.datasets)].timezone
        try:
            facts, lines = reference_command.run(
                read, store, action, dataset, versions or [], daemon.now(), column, time_of(since, zone), note
            )
        except ReferenceFault as fault:
            refuse(str(fault))
    print(printing.as_json(facts) if json else "\n".join(lines))


def mark(
    dataset: str,
    window: Annotated[str, typer.Argument(help="a time in the window, or its day")],
    said: Annotated[Literal["expected", "bad"], typer.Argument(help="expected: unusual and fine; bad: no example of normal")],
    note: Annotated[str | None, typer.Option(help="why")] = None,
    config: ConfigPath = DEFAULT,
) -> None:
    """Say what a past window was, so that the checks learn the right thing from it."""
    from monitor import daemon, reference_command
    from monitor.reference import ReferenceFault
    from monitor.reference import mark as marked

    with opened(config) as (read, store):
        at = time_of(window, read.datasets[known(dataset, read.datasets)].timezone) or daemon.now()
        try:
            found = marked(store, read, dataset, at, said, reference_command.author(), daemon.now(), note)
        except ReferenceFault as fault:
            refuse(str(fault))
    print(f"{dataset} {found} is marked {said}")


def _do(config: Path, json: bool, work: Callable[[Config, Store, datetime], Done]) -> None:
    """One action on an incident; exit 1 where it changed nothing."""
    from monitor import actions, daemon, printing
    from monitor.shell import FAILED, OK

    with opened(config) as (read, store):
        try:
            done = work(read, store, daemon.now())
        except (actions.NoSuchIncident, ValueError) as wrong:
            refuse(str(wrong))
    typer.echo(printing.as_json({"said": done.said, "changed": done.changed}) if json else done.said)
    raise typer.Exit(OK if done.changed else FAILED)


def _number(name: str) -> int:

    digits = name.upper().removeprefix("INC-")
    # No store counts further.
    if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        refuse(f"{name!r} is no incident; write INC-12 or 12")
    return int(digits)


def _author(given: str | None) -> str:
    import getpass

    try:
        return given or getpass.getuser()
    except (OSError, KeyError):
        refuse("who does it? There is no user name here; give one with --as")
