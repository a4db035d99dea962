"""The commands. No logic: each reads the config, calls one function, prints."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

# Set before Typer is imported: help without Rich starts in half the time.
os.environ.setdefault("TYPER_USE_RICH", "0")

import typer

from monitor import acting
from monitor.shell import (
    DEFAULT,
    ERRORED,
    FAILED,
    OK,
    WRONG_CONFIG,
    AsJson,
    ConfigPath,
    end_of,
    exit_code,
    known,
    leave,
    log_to_stderr,
    opened,
    read_config,
    refuse,
    time_of,
)

if TYPE_CHECKING:
    pass

app = typer.Typer(
    name="datavigil",
    help="A data-quality monitoring daemon: watches tables window by window and tells the right person.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
routes = typer.Typer(help="What the routes do.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(routes, name="routes")


@app.callback(invoke_without_command=True)
def version(version: Annotated[bool, typer.Option("--version", help="print the version", is_eager=True)] = False) -> None:
    if version:
        from monitor import __version__

        print(f"datavigil {__version__}")
        raise typer.Exit(OK)


@app.command()
def run(config: ConfigPath = DEFAULT) -> None:
    """The daemon: measures windows when they close, tells people, until it is stopped."""
    from monitor import ahead

    ahead.workers()
    from monitor import daemon, printing

    log_to_stderr()
    with opened(config, patient=True) as (read, store):
        for line in printing.started(read, store):
            print(line, file=sys.stderr)
        daemon.run(read, store)


@app.command()
def once(
    datasets: Annotated[list[str] | None, typer.Argument(help="only these; default: all")] = None,
    at: Annotated[str | None, typer.Option(help="as if it were this time: 2026-11-23T08:00Z (no zone: UTC)")] = None,
    config: ConfigPath = DEFAULT,
    json: AsJson = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="print what passed, too")] = False,
) -> None:
    """Every window that is due, then exit: 0 all passed or skipped, 1 something failed or no data, 2 errored, 3 config wrong."""
    from monitor import ahead

    ahead.workers()
    from monitor import daemon, printing

    log_to_stderr(quiet=True)
    with opened(config) as (read, store):
        for name in datasets or ():
            known(name, read.datasets)
        moment = time_of(at) or daemon.now()
        if moment > daemon.now():
            refuse(f"--at {at} is in the future: its windows have not closed yet")
        finished: list[Any] = []

        def seen(window: Any) -> None:
            finished.append(window)
            if not json:
                print("\n".join(printing.window(window, verbose)))

        # A channel that prints must not get between the facts.
        with redirect_stdout(sys.stderr) if json else nullcontext():
            daemon.run_due(read, store, moment, datasets or None, seen)
    if json:
        print(printing.as_json({"windows": [window.as_json() for window in finished]}))
    elif not finished:
        print("nothing is due: every closed window has been measured")
    raise typer.Exit(exit_code(finished))


@app.command()
def backfill(
    dataset: str,
    start: Annotated[str, typer.Option("--from", help="the first day, or a time")],
    end: Annotated[str | None, typer.Option("--to", help="up to, not including; default: now")] = None,
    again: Annotated[bool, typer.Option(help="measure windows anew that were measured before")] = False,
    config: ConfigPath = DEFAULT,
    json: AsJson = False,
) -> None:
    """Measure past windows into a dataset's history; tells nobody."""
    from monitor import ahead

    ahead.workers()
    from monitor import daemon, printing

    log_to_stderr(quiet=True)
    with opened(config) as (read, store):
        zone = read.datasets[known(dataset, read.datasets)].timezone
        first, last = time_of(start, zone), time_of(end, zone) or daemon.now()
        if first is None or first >= last:
            refuse(f"--from {start} is not before --to {end or 'now'}")
        finished: list[Any] = []
        bar = printing.Bar("measuring", sys.stderr)
        count = daemon.backfill(read, store, dataset, first, last, again, bar.counting(finished.append))
        bar.end()
    if json:
        print(printing.as_json({"windows": [window.as_json() for window in finished]}))
    else:
        print("\n".join(printing.backfilled(finished, count)))
    raise typer.Exit(ERRORED if any(f.measured.state == "errored" for f in finished) else OK)


@app.command()
def backtest(
    datasets: Annotated[list[str] | None, typer.Argument(help="only these; default: all")] = None,
    start: Annotated[str | None, typer.Option("--from", help="the first day, or a time; default: all there is")] = None,
    end: Annotated[str | None, typer.Option("--to", help="the last day, or up to a time; default: now")] = None,
    against: Annotated[Path | None, typer.Option(help="another config: what it would have told more and less")] = None,
    plot: Annotated[Path | None, typer.Option(help="draw it into this file, .png or .html")] = None,
    config: ConfigPath = DEFAULT,
    json: AsJson = False,
) -> None:
    """Replay past windows: what would have been told, when, why. Writes to no store, tells nobody."""
    from monitor import ahead

    ahead.workers()
    from monitor import replay_command

    log_to_stderr(quiet=True)
    read = read_config(config)
    other = read_config(against) if against else None
    for name in datasets or ():
        known(name, read.datasets)
    leave(replay_command.run(read, other, datasets or None, time_of(start), end_of(end), plot, json))


@app.command("check-config")
def check_config(config: ConfigPath = DEFAULT, json: AsJson = False) -> None:
    """Read the config and say what it means; all mistakes at once, exit 3 if there is one."""
    from monitor import judging, printing
    from monitor.config import ConfigError, load

    try:
        read = load(config)
        tried = judging.faults(read)
        if tried:
            raise ConfigError(read.path, tried)
    except ConfigError as wrong:
        if json:
            print(printing.as_json({"config": wrong.path, "faults": wrong.faults}))
        else:
            print(wrong, file=sys.stderr)
        raise typer.Exit(WRONG_CONFIG) from None
    if json:
        print(printing.as_json({"config": read.path, "faults": [], "notes": read.notes, "datasets": list(read.datasets)}))
    else:
        print("\n".join(printing.checked(read)))


@app.command("test-channel")
def test_channel(name: str, config: ConfigPath = DEFAULT, json: AsJson = False) -> None:
    """Send a harmless message to a channel; says whether it arrived."""
    from alerts.base import DeliveryError
    from monitor import daemon, delivery, printing

    read = read_config(config)
    channel = read.channels[known(name, read.channels, "channel")]
    try:
        # A channel that prints must not get between the facts.
        with redirect_stdout(sys.stderr) if json else nullcontext():
            reference = delivery.send_test(channel, name, daemon.now(), read.daemon.send_timeout)
            lacks = delivery.lacking(channel, read.daemon.send_timeout)
    except DeliveryError as fault:
        if json:
            print(printing.as_json({"channel": name, "sent": False, "error": str(fault)}))
        else:
            print(f"{name} ({channel.where}): {fault}", file=sys.stderr)
        raise typer.Exit(FAILED) from None
    if json:
        print(printing.as_json({"channel": name, "sent": True, "reference": reference, "lacks": lacks}))
    else:
        print("\n".join([f"sent to {name} ({channel.where})", *lacks]))


@app.command()
def status(config: ConfigPath = DEFAULT, json: AsJson = False) -> None:
    """How each dataset and channel stands."""
    from monitor import daemon, printing

    with opened(config) as (read, store):
        facts = printing.status_facts(read, store, daemon.now())
    print(printing.as_json(facts) if json else "\n".join(printing.status(facts)))


@app.command()
def results(
    dataset: Annotated[str | None, typer.Option(help="only of this dataset")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="only what failed or errored")] = False,
    since: Annotated[str | None, typer.Option(help="only windows from this day or time on")] = None,
    limit: Annotated[int, typer.Option(min=1, help="at most this many")] = 50,
    config: ConfigPath = DEFAULT,
    json: AsJson = False,
) -> None:
    """Stored results, the newest first."""
    from monitor import printing
    from monitor.store import looking

    with opened(config) as (read, store):
        if dataset is not None:
            known(dataset, read.datasets)
        rows = looking.found_results(store, dataset, failed, time_of(since), limit)
    if json:
        print(printing.as_json({"results": [printing.result_facts(row) for row in rows]}))
    else:
        print("\n".join(printing.results(rows)))


@app.command()
def incidents(
    everything: Annotated[bool, typer.Option("--all", help="resolved ones too")] = False,
    limit: Annotated[int, typer.Option(min=1, help="at most this many")] = 50,
    config: ConfigPath = DEFAULT,
    json: AsJson = False,
) -> None:
    """Open incidents with their problems."""
    from monitor import printing
    from monitor.store import looking

    with opened(config) as (_, store):
        facts = [printing.incident_facts(store, row) for row in looking.found_incidents(store, everything, limit)]
    print(printing.as_json({"incidents": facts}) if json else "\n".join(printing.incidents(facts)))


app.command()(acting.ack)
app.command()(acting.silence)
app.command()(acting.accept)
app.command("not-useful")(acting.not_useful)
app.command()(acting.cause)
app.command()(acting.unsuspend)
app.command()(acting.reference)
app.command()(acting.mark)


@app.command()
def explain(what: str, config: ConfigPath = DEFAULT, json: AsJson = False) -> None:
    """Why an incident (INC-12) or a result (its number) was told or not, to whom, by which rule."""
    from monitor import daemon, explaining, printing, printing_told

    with opened(config) as (read, store):
        try:
            facts = explaining.explain(read, store, what, daemon.now())
        except explaining.Unknown as unknown:
            refuse(str(unknown))
    print(printing.as_json(facts) if json else "\n".join(printing_told.explained(facts)))


@routes.command("test")
def routes_test(
    given: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...", help="severity= dataset= owner= tag= at=")],
    config: ConfigPath = DEFAULT,
    json: AsJson = False,
) -> None:
    """Who would be told: routes test severity=critical dataset=orders."""
    from monitor import daemon, explaining, printing, printing_told

    read = read_config(config)
    asked = {key: value for key, _, value in (part.partition("=") for part in given)}
    try:
        facts = explaining.who_is_told(read, asked, time_of(asked.get("at")) or daemon.now())
    except ValueError as fault:
        refuse(str(fault))
    print(printing.as_json(facts) if json else "\n".join(printing_told.tested(facts)))


@app.command()
def summary(
    week: Annotated[str | None, typer.Option(help="2026-W47; default: the last whole week")] = None,
    preview: Annotated[bool, typer.Option("--preview", help="the mail in a browser, or as a file where there is none")] = False,
    config: ConfigPath = DEFAULT,
    json: AsJson = False,
) -> None:
    """The weekly summary: as it was sent, else as it would be now. Sends nothing."""
    from monitor import daemon, printing
    from monitor import summary as weekly

    with opened(config) as (read, store):
        moment = daemon.now()
        try:
            wanted = weekly.wanted(read, week, moment)
        except ValueError as fault:
            refuse(str(fault))
        found = weekly.of_week(read, store, wanted, moment)
    if preview:
        for line in printing.previewed(found, read, Path.cwd()):
            print(line, file=sys.stderr if json else sys.stdout)
    if json:
        print(printing.as_json(found.model_dump(mode="json")))
    elif not preview:
        print(printing.summary(found, read), end="")


@app.command()
def init(
    url: Annotated[str, typer.Argument(help="postgres://user:password@host/database, duckdb:///file, ..., or a folder of files")],
    output: Annotated[Path, typer.Option(help="where the config is written")] = DEFAULT,
    yes: Annotated[bool, typer.Option("--yes", help="ask nothing; overwrite a file that is there")] = False,
) -> None:
    """Look at a source and write a commented config: what to watch there, and why."""
    from monitor import init_command

    log_to_stderr(quiet=True)
    asks = (lambda question: typer.confirm(question, default=True)) if sys.stdin.isatty() else None
    leave(init_command.run(url, output, yes, asks))


@app.command()
def demo(
    only_once: Annotated[bool, typer.Option("--once", help="end after the catch-up instead of watching on")] = False,
    json: AsJson = False,
) -> None:
    """Real departures from New York with a week of trouble in them, and the daemon on it: the five-minute tour."""
    from monitor import tour

    log_to_stderr(quiet=True)
    leave(tour.tour(Path.cwd(), only_once, json))


def main() -> None:
    """The console script."""
    from monitor import ending, guard

    with ending.at_once():
        fault = guard.fault()
        if fault:
            print(fault, file=sys.stderr)
            sys.exit(WRONG_CONFIG)
        app()
