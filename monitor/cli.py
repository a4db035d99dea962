"""The commands. No logic: each reads the config, calls one function, prints."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

# Set before Typer is imported: help without Rich starts in half the time.
os.environ.setdefault("TYPER_USE_RICH", "0")

import typer

from monitor import acting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from monitor.config import Config
    from monitor.store.store import Store

OK, FAILED, ERRORED, WRONG_CONFIG = 0, 1, 2, 3

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
ConfigPath = Annotated[Path, typer.Option("--config", help="the config file")]
AsJson = Annotated[bool, typer.Option("--json", help="print facts as JSON")]
DEFAULT = Path("config.toml")


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

    _log()
    with _opened(config, patient=True) as (read, store):
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

    _log(quiet=True)
    with _opened(config) as (read, store):
        for name in datasets or ():
            _known(name, read.datasets)
        moment = _time(at) or daemon.now()
        if moment > daemon.now():
            _refuse(f"--at {at} is in the future: its windows have not closed yet")
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
    raise typer.Exit(_exit_code(finished))


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

    _log(quiet=True)
    with _opened(config) as (read, store):
        zone = read.datasets[_known(dataset, read.datasets)].timezone
        first, last = _time(start, zone), _time(end, zone) or daemon.now()
        if first is None or first >= last:
            _refuse(f"--from {start} is not before --to {end or 'now'}")
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
    plot: Annotated[Path | None, typer.Option(help="draw it into this HTML file")] = None,
    config: ConfigPath = DEFAULT,
    json: AsJson = False,
) -> None:
    """Replay past windows: what would have been told, when, why. Writes to no store, tells nobody."""
    from monitor import replay_command

    _log(quiet=True)
    read = _config(config)
    other = _config(against) if against else None
    for name in datasets or ():
        _known(name, read.datasets)
    _end(replay_command.run(read, other, datasets or None, _time(start), _last(end), plot, json))


@app.command()
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

    with _opened(config) as (read, store):
        zone = read.datasets[_known(dataset, read.datasets)].timezone
        try:
            facts, lines = reference_command.run(
                read, store, action, dataset, versions or [], daemon.now(), column, _time(since, zone), note
            )
        except ReferenceFault as fault:
            _refuse(str(fault))
    print(printing.as_json(facts) if json else "\n".join(lines))


@app.command()
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

    with _opened(config) as (read, store):
        at = _time(window, read.datasets[_known(dataset, read.datasets)].timezone) or daemon.now()
        try:
            found = marked(store, read, dataset, at, said, reference_command.author(), daemon.now(), note)
        except ReferenceFault as fault:
            _refuse(str(fault))
    print(f"{dataset} {found} is marked {said}")


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

    read = _config(config)
    channel = read.channels[_known(name, read.channels, "channel")]
    try:
        # A channel that prints must not get between the facts.
        with redirect_stdout(sys.stderr) if json else nullcontext():
            reference = delivery.send_test(channel, name, daemon.now(), read.daemon.send_timeout)
    except DeliveryError as fault:
        if json:
            print(printing.as_json({"channel": name, "sent": False, "error": str(fault)}))
        else:
            print(f"{name} ({channel.where}): {fault}", file=sys.stderr)
        raise typer.Exit(FAILED) from None
    if json:
        print(printing.as_json({"channel": name, "sent": True, "reference": reference}))
    else:
        print(f"sent to {name} ({channel.where})")


@app.command()
def status(config: ConfigPath = DEFAULT, json: AsJson = False) -> None:
    """How each dataset and channel stands."""
    from monitor import daemon, printing

    with _opened(config) as (read, store):
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

    with _opened(config) as (read, store):
        if dataset is not None:
            _known(dataset, read.datasets)
        rows = looking.found_results(store, dataset, failed, _time(since), limit)
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

    with _opened(config) as (_, store):
        facts = [printing.incident_facts(store, row) for row in looking.found_incidents(store, everything, limit)]
    print(printing.as_json({"incidents": facts}) if json else "\n".join(printing.incidents(facts)))


app.command()(acting.ack)
app.command()(acting.silence)
app.command()(acting.accept)
app.command("not-useful")(acting.not_useful)


@app.command()
def explain(what: str, config: ConfigPath = DEFAULT, json: AsJson = False) -> None:
    """Why an incident (INC-12) or a result (its number) was told or not, to whom, by which rule."""
    from monitor import daemon, explaining, printing, printing_told

    with _opened(config) as (read, store):
        try:
            facts = explaining.explain(read, store, what, daemon.now())
        except explaining.Unknown as unknown:
            _refuse(str(unknown))
    print(printing.as_json(facts) if json else "\n".join(printing_told.explained(facts)))


@routes.command("test")
def routes_test(
    given: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...", help="severity= dataset= owner= tag= at=")],
    config: ConfigPath = DEFAULT,
    json: AsJson = False,
) -> None:
    """Who would be told: routes test severity=critical dataset=orders."""
    from monitor import daemon, explaining, printing, printing_told

    read = _config(config)
    asked = {key: value for key, _, value in (part.partition("=") for part in given)}
    try:
        facts = explaining.who_is_told(read, asked, _time(asked.get("at")) or daemon.now())
    except ValueError as fault:
        _refuse(str(fault))
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

    with _opened(config) as (read, store):
        moment = daemon.now()
        try:
            wanted = weekly.wanted(read, week, moment)
        except ValueError as fault:
            _refuse(str(fault))
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

    _log(quiet=True)
    asks = (lambda question: typer.confirm(question, default=True)) if sys.stdin.isatty() else None
    _end(init_command.run(url, output, yes, asks))


@app.command()
def demo(
    only_once: Annotated[bool, typer.Option("--once", help="end after the catch-up instead of watching on")] = False,
    json: AsJson = False,
) -> None:
    """Real departures from New York with a week of trouble in them, and the daemon on it: the five-minute tour."""
    from monitor import tour

    _log(quiet=True)
    _end(tour.tour(Path.cwd(), only_once, json))


def main() -> None:
    """The console script."""
    from monitor import guard

    fault = guard.fault()
    if fault:
        print(fault, file=sys.stderr)
        sys.exit(WRONG_CONFIG)
    app()


def _config(path: Path) -> Config:
    from monitor.config import ConfigError, load

    try:
        return load(path)
    except ConfigError as wrong:
        print(wrong, file=sys.stderr)
        raise typer.Exit(WRONG_CONFIG) from None


@contextmanager
def _opened(path: Path, patient: bool = False) -> Iterator[tuple[Config, Store]]:
    """The config and the store, brought to this version; whatever is wrong with either is one sentence and an exit code."""
    from sqlalchemy.exc import SQLAlchemyError

    from monitor.store.store import Store, StoreError

    read = _config(path)
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


def _known(name: str, known: Mapping[str, Any], word: str = "dataset") -> str:
    if name in known:
        return name
    import difflib

    near = difflib.get_close_matches(name, known, 1)
    said = f'there is no {word} "{name}"'
    _refuse(f'{said}; did you mean "{near[0]}"?' if near else f"{said}; there {'are: ' + ', '.join(known) if known else 'is none'}")


def _refuse(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise typer.Exit(WRONG_CONFIG)


def _time(text: str | None, zone: str = "UTC") -> datetime | None:
    """An ISO 8601 day or time; one without a zone is in `zone`."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        _refuse(f"{text!r} is no time; write 2026-11-23 or 2026-11-23T08:00Z")
    # Far from there the calendar ends, and arithmetic with it.
    if not 1900 <= at.year <= 2200:
        _refuse(f"{text!r} is out of reach; write a time between 1900 and 2200")
    return at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))


def _last(text: str | None) -> datetime | None:
    """The end of a day, or a time as it is."""
    from datetime import timedelta

    at = _time(text)
    return at + timedelta(days=1) if at and text and len(text) == len("2026-11-23") else at


def _exit_code(finished: Sequence[Any]) -> int:
    statuses = {result.status for window in finished for result in window.measured.results}
    # An empty window that its dataset calls fine has passed.
    states = {w.measured.state for w in finished if w.measured.state != "no_data" or w.dataset.empty == "fail"}
    if "errored" in statuses | states:
        return ERRORED
    return FAILED if "failed" in statuses or "no_data" in states else OK


def _log(quiet: bool = False) -> None:
    """One line per event on standard error; in commands that print for people only what went wrong."""
    import logging
    import time

    form = logging.Formatter("%(asctime)sZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    form.converter = time.gmtime
    to = logging.StreamHandler()
    to.setFormatter(form)
    logging.basicConfig(level=logging.WARNING, handlers=[to])
    logging.getLogger("datavigil").setLevel(logging.ERROR if quiet else logging.INFO)


def _end(code: int) -> NoReturn:
    raise typer.Exit(code)
