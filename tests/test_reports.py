"""Reports on incidents of drift: who gets one, what is in it, and that nothing else suffers for it."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from alerts.incident import Change, Happened, Incident, News
from alerts.message import Fact, Message
from alerts.problem import Problem, Sighting
from alerts.telling import Delivery
from checks.result import Bounds, Family, Result, Severity, Status
from checks.window import Window
from monitor import news
from monitor.config import Config, load
from monitor.dataset import Dataset
from monitor.job import Measured
from monitor.reports import making
from monitor.reports.reporter import MOST_WAITING, Reporter, folder, host, report, reported, tidied
from monitor.reports.wanted import NAME, Wanted, reach, references, wanted
from monitor.runner import Finished
from monitor.store import decisions, ledger, outbox, reports
from monitor.store.decisions import Decision
from monitor.store.store import Store
from tests.conftest import Server

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ORDERS = """
[datasets.orders]
table = "landing/{start:%Y-%m-%d}.parquet"
auto = false
mask = ["card"]
checks = [{kind = "drift", column = "amount", method = "psi", at_most = 0.2}]
"""
TEAM = '[channels.team]\nkind = "webhook"\nurl = "http://127.0.0.1:9/nobody"\n'


def november(day: int) -> Window:
    return Window(datetime(2026, 11, day, tzinfo=UTC), datetime(2026, 11, day + 1, tzinfo=UTC))


def land(home: Path, day: int, shift: float = 0.0, rows: int = 400) -> None:
    """A day's file: amounts, a flag with gaps, a country, a column of card numbers, names, an array, and one without a value."""
    columns = f"""
        range / 40.0 + {shift} as amount, case when range % 10 > 0 then range % 3 = 0 end as paid,
        case when range % 3 = 0 then 'Germany' else 'France' end as country, 'card-' || range % 7 as card,
        'person ' || range || ' of {day}' as customer, [range] as parts, null::double as empty,
        timestamp '2026-11-{day:02} 10:00' as at
    """
    with duckdb.connect() as connection:
        connection.execute(
            f"copy (select {columns} from range({rows})) to '{home}/landing/2026-11-{day:02}.parquet' (format parquet)"
        )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "landing").mkdir()
    return tmp_path


def config(home: Path, *parts: str) -> Config:
    (home / "config.toml").write_text("\n".join(parts or (ORDERS,)))
    return load(home / "config.toml", {})


def opened(happened: Happened = Happened.OPENED, family: Family = Family.DRIFT, subject: str = "orders") -> Change:
    incident = Incident(7, subject, family, Severity.WARNING, november(22).start, NOON)
    result = Result("drift(amount)", "drift", family, Status.FAILED, "drift(amount) is 2.4", "amount", bounds=Bounds(at_most=0.2))
    fingerprint = Sighting(subject, result, november(22).start, NOON).fingerprint
    problem = Problem(fingerprint, subject, "drift(amount)", "drift", family, "amount", message=result.message)
    return Change(incident, happened, (problem,))


def finished(dataset: Dataset, *changes: Change, state: Any = "done") -> Finished:
    return Finished(dataset, november(22), Measured(state, [], 400), Decision(News((), changes)))


def made(home: Path, store: Store, settings: Config | None = None, name: str = "orders") -> Path | None:
    """The report on the 22nd; the windows of the days before are known to the store."""
    settings = settings or config(home)
    for day in (19, 20, 21):
        remember(store, name, november(day))
    [one] = wanted([finished(settings.datasets[name], opened(subject=name))])
    return report(settings, store, one, NOON)


def remember(store: Store, dataset: str, window: Window) -> None:
    claim = ledger.claim(store, dataset, window, timedelta(minutes=1))
    if claim:
        ledger.record(store, claim, Measured("done", [], 1, 0.1, b"profile"), NOON, [], None)


# Who gets one.


@pytest.mark.parametrize(
    ("change", "count"),
    [
        (opened(), 1),
        (opened(Happened.WORSE), 1),
        (opened(Happened.JOINED), 0),
        (opened(Happened.LEFT), 0),
        (opened(Happened.RESOLVED), 0),
        (opened(family=Family.QUALITY), 0),
        (opened(family=Family.MODEL), 0),
        (opened(subject="source:files"), 0),
    ],
)
def test_an_incident_of_drift_that_opens_or_gets_worse_gets_a_report(change: Change, count: int) -> None:
    dataset = Dataset(name="orders", table="{start}.csv")
    assert len(wanted([finished(dataset, change)])) == count


def test_a_window_that_was_not_judged_or_is_somebody_else_s_gets_none() -> None:
    dataset = Dataset(name="orders", table="{start}.csv")
    assert wanted([finished(dataset, opened(), state="errored"), Finished(dataset, november(22), Measured("done", []), None)]) == []
    [one] = wanted([finished(dataset), finished(dataset, opened())])
    assert (one.incident, one.revision, one.columns, one.found) == (7, 1, ("amount",), ("drift(amount) is 2.4",))


@pytest.mark.parametrize("name", ["orders", "../../etc/passwd", "a/b", "..", "", "x" * 300, "sch\x00n\n<b>", "日本"])
def test_no_name_of_a_dataset_leads_out_of_the_folder(name: str, tmp_path: Path) -> None:
    file = Wanted(Dataset(name=name, table="{start}.csv"), november(22), 7, 2, NOON).file
    assert NAME.fullmatch(file)
    assert (tmp_path / file).resolve().parent == tmp_path.resolve()
    assert len(file) < 100
    assert file.endswith("-INC-7-20261123T120000Z-r2.html")


@pytest.mark.parametrize(
    ("reference", "days"),
    [
        ("previous 28d", [15, 16, 17, 18, 19, 20, 21]),
        ("previous 3d", [19, 20, 21]),
        ("same weekday 8w", [1, 8, 15]),
        ({"from": date(2026, 11, 2), "to": date(2026, 11, 5)}, [2, 3, 4]),
    ],
)
def test_samples_are_drawn_from_the_windows_that_count_as_normal(reference: Any, days: list[int]) -> None:
    dataset = Dataset(name="orders", table="{start}.csv", reference=reference)
    start, end = reach(dataset, november(22))
    known = [(w.start, w.end) for w in map(november, range(1, 25)) if start <= w.start < end]
    assert [w.start.day for w in references(dataset, november(22), known)] == days


@pytest.mark.parametrize(
    ("store", "given", "where"),
    [
        ("", "", "{home}/datavigil-reports"),
        ("sqlite:////data/kept/store.db", "", "/data/kept/datavigil-reports"),
        ("sqlite:///kept/store.db", "", "{home}/kept/datavigil-reports"),
        ("sqlite:///:memory:", "", "{home}/datavigil-reports"),
        ("postgresql+psycopg://me@db/kept", "", "{home}/datavigil-reports"),
        ("sqlite:////data/kept/store.db", "pages", "{home}/pages"),
        ("", "/var/pages", "/var/pages"),
    ],
)
def test_the_folder_is_beside_the_store_or_where_it_is_said(home: Path, store: str, given: str, where: str) -> None:
    parts = [ORDERS, f'[store]\nurl = "{store}"' if store else "", f'[reports]\nfolder = "{given}"' if given else ""]
    assert folder(config(home, *parts)) == Path(where.format(home=home))


# What is in it.


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Store]:
    home = tmp_path_factory.mktemp("reports")
    (home / "landing").mkdir()
    for day in (19, 20, 21, 22):
        land(home, day, shift=5.0 * (day == 22))
    store = Store(f"sqlite:///{home}/store/store.db")
    store.migrate()
    path = made(home, store, config(home, ORDERS, f'[store]\nurl = "sqlite:///{home}/store/store.db"'))
    assert path is not None
    return path, path.read_text(encoding="utf-8"), store


def test_a_report_lies_beside_the_store_for_our_eyes_only(example: tuple[Path, str, Store]) -> None:
    path, _, store = example
    assert path.parent.name == "datavigil-reports"
    assert path.parent.parent.name == "store"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    [row] = reports.found(store, 7)
    assert (row.path, row.host, row.bytes, row.at) == (str(path), host(), path.stat().st_size, NOON)


def test_it_says_what_it_is_about_and_shows_the_columns(example: tuple[Path, str, Store]) -> None:
    _, html, _ = example
    for said in ("INC-7 · orders · drift", "Found: drift(amount) is 2.4", "400 of 400 rows", "Reference: 1200 rows of 3 windows"):
        assert said in html
    assert html.index("amount") < html.index("country")
    for column in ("amount", "country", "paid"):
        assert f'"{column}"' in html or f"'{column}'" in html


def test_it_holds_no_masked_value_no_name_and_no_row(example: tuple[Path, str, Store]) -> None:
    _, html, _ = example
    assert "card-" not in html
    assert "person 1" not in html
    assert "Left out, most rows have a text of their own: customer" in html
    assert "parts" in html
    assert "Left out, the window has no value in it: empty" in html


def test_rows_cannot_be_put_together() -> None:
    import pandas as pd

    from checks.evidently_frames import shuffled

    frame = pd.DataFrame({"a": range(200), "b": range(200), "c": [str(n) for n in range(200)], "d": [None, 1.0] * 100})
    mixed = shuffled(frame)
    assert [sorted(map(str, mixed[c])) for c in frame] == [sorted(map(str, frame[c])) for c in frame]
    assert sum(mixed.a == mixed.b) < 20
    assert sum(mixed.a.astype(str) == mixed.c) < 20
    assert mixed.dtypes.to_dict() == frame.dtypes.to_dict()


def test_it_loads_nothing(example: tuple[Path, str, Store]) -> None:
    _, html, _ = example
    assert html.index("Content-Security-Policy") < html.index("<script")
    assert "default-src 'none'" in html
    head = html.partition("<script")[0]
    assert "src=" not in head.replace("default-src", "").replace("script-src", "").replace("style-src", "")


def test_a_table_of_a_database_gets_one_too(home: Path, store: Store, postgres: Server) -> None:
    postgres.run(
        "DROP TABLE IF EXISTS drifting",
        "CREATE TABLE drifting (at timestamptz, amount float8, card text)",
        "GRANT SELECT ON drifting TO reader",
        "INSERT INTO drifting SELECT timestamptz '2026-11-19T00:00Z' + n * interval '10 min', n % 9, 'card-' || n % 9"
        " FROM generate_series(0, 575) n",
    )
    table = (
        f'[sources.shop]\nurl = "{postgres.reader}"\n[datasets.orders]\nsource = "shop"\ntable = "drifting"\ntime_column = "at"\n'
    )
    path = made(home, store, config(home, table, 'mask = ["card"]'))
    assert path is not None
    html = path.read_text(encoding="utf-8")
    assert "144 of 144 rows" in html
    assert "Reference: 432 rows of 3 windows, 2026-11-19 to 2026-11-21" in html
    assert "card-" not in html


# What goes wrong.


def complaint(caplog: pytest.LogCaptureFixture) -> str:
    [said] = [r.getMessage() for r in caplog.records if r.name == "datavigil.report" and r.levelno == logging.WARNING]
    return said


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Not every kind of database: a report takes seconds, and its verbs are tested below on each."""
    kept = Store(f"sqlite:///{tmp_path}/store.db")
    kept.migrate()
    yield kept
    kept.close()


def changed(settings: Config, **more: Any) -> Config:
    from dataclasses import replace

    return replace(settings, reports=settings.reports.model_copy(update=more))


def test_one_that_runs_away_with_memory_is_ended(home: Path, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    for day in (19, 20, 21, 22):
        land(home, day)
    assert made(home, store, changed(config(home), memory_mb=200)) is None
    assert "report incident=INC-7 dataset=orders was not made: " in complaint(caplog)
    assert reports.found(store, 7) == []
    assert not list((home / "datavigil-reports").glob("*"))


def test_one_that_takes_too_long_is_ended(home: Path, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    land(home, 22)
    assert made(home, store, changed(config(home), timeout=timedelta(milliseconds=10))) is None
    assert "took longer than 0 s and was ended" in complaint(caplog)


def test_without_a_window_to_compare_with_there_is_none(home: Path, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    settings = config(home)
    [one] = wanted([finished(settings.datasets["orders"], opened())])
    assert report(settings, store, one, NOON) is None
    assert "there is no measured window to compare with" in complaint(caplog)


def test_files_that_are_gone_by_then_are_told(home: Path, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    assert made(home, store) is None
    assert "SourceError: there is no file" in complaint(caplog)


def test_a_folder_that_takes_no_file_is_told(home: Path, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    for day in (19, 20, 21, 22):
        land(home, day, rows=50)
    (home / "datavigil-reports").write_text("a file")
    assert made(home, store) is None
    assert "FileExistsError" in complaint(caplog)


def test_a_store_that_is_gone_is_told(home: Path, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    settings = config(home)
    [one] = wanted([finished(settings.datasets["orders"], opened())])
    gone = Store(f"sqlite:///{home}/landing")
    assert report(settings, gone, one, NOON) is None
    assert "the store" in complaint(caplog)
    tidied(settings, gone, NOON)


def test_a_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "orders-INC-1-20261123T120000Z-r1.html"
    path.parent.mkdir()
    # Left by one that was killed.
    making.part_of(path).write_text("half")

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            making.write(path, "<html>")
    assert not path.exists()
    assert making.write(path, "<html>ü") == 8
    assert path.read_text(encoding="utf-8") == "<html>ü"
    assert not making.part_of(path).exists()


# Throwing away.


def aged(path: Path, days: float) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("<html>")
    at = (NOON - days * DAY).timestamp()
    os.utime(path, (at, at))
    return path


def shelved(store: Store, incident: int, path: Path, days: float, at: str | None = None) -> None:
    reports.put(store, incident, 1, at or host(), path, 6, NOON - days * DAY)


def put_incident(store: Store, incident: int) -> None:
    with store.begin() as connection:
        change = opened()
        change = Change(Incident(incident, f"s{incident}", Family.DRIFT, Severity.WARNING, NOON, NOON), change.happened, ())
        decisions.write(connection, Decision(News((), (change,))), NOON)


def test_old_reports_go_and_nothing_else_does(home: Path, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    settings = config(home)
    shelf = folder(settings)

    def file(incident: int, tail: str = "") -> Path:
        return shelf / f"orders-INC-{incident}-20261123T120000Z-r1.html{tail}"

    for incident in (1, 2, 3, 4, 6, 7):
        put_incident(store, incident)
    old, young, orphan = aged(file(1), 31), aged(file(2), 29), aged(file(9), 31)
    half, fresh_half = aged(file(8, ".part"), 2), aged(file(10, ".part"), 0.5)
    others, foreign = aged(shelf / "notes.html", 400), aged(home / "important.html", 400)
    elsewhere = aged(home / "before" / file(6).name, 31)
    forgotten = aged(file(5), 1)
    stuck = file(7)
    stuck.mkdir()
    (stuck / "x").write_text("x")
    shelved(store, 1, old, 31)
    shelved(store, 2, young, 29)
    shelved(store, 3, file(3), 31)  # Its file is gone already.
    shelved(store, 4, foreign, 31)  # Somebody wrote into the store.
    shelved(store, 5, forgotten, 1)  # Its incident is forgotten.
    shelved(store, 6, elsewhere, 31)  # The folder was another one then.
    shelved(store, 7, stuck, 31)
    shelved(store, 8, file(11), 31, at="another-host")

    tidied(settings, store, NOON)

    assert [p.exists() for p in (old, orphan, half, elsewhere, forgotten)] == [False] * 5
    assert [p.exists() for p in (young, fresh_half, others, foreign, stuck)] == [True] * 5
    assert [n for n in range(1, 9) if reports.found(store, n)] == [2, 7, 8]
    assert f"{stuck} cannot be deleted" in complaint(caplog)


def test_a_folder_that_is_not_there_yet_is_fine(home: Path, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    tidied(config(home), store, NOON)
    assert not caplog.records


# The thread.


def test_more_than_some_are_left_out(home: Path, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    settings = config(home)
    reporter = Reporter(settings, store, lambda: NOON)
    reporter.want([finished(settings.datasets["orders"], opened())] * (MOST_WAITING + 1))
    assert complaint(caplog) == f"report incident=INC-7 is left out: {MOST_WAITING} wait already"


def test_the_thread_makes_tidies_and_ends(home: Path, store: Store) -> None:
    for day in (19, 20, 21, 22):
        land(home, day, rows=50)
        if day < 22:
            remember(store, "orders", november(day))
    settings = config(home)
    put_incident(store, 7)
    old = aged(folder(settings) / "x-INC-9-20261123T120000Z-r1.html", 31)
    reporter = Reporter(settings, store, lambda: NOON)
    reporter.tidy()
    reporter.want([finished(settings.datasets["orders"], opened())])
    reporter.want([Finished(settings.datasets["orders"], november(1), Measured("done", []), Decision(News((), (opened(),))))])
    reporter.thread.start()
    while reporter.thread.is_alive() and not reports.found(store, 7):
        reporter.thread.join(0.1)
    reporter.stop()
    reporter.thread.join(60)
    assert not reporter.thread.is_alive()
    assert not old.exists()
    assert len(reports.found(store, 7)) == 1


def test_switched_off_none_is_wanted(home: Path, store: Store) -> None:
    settings = config(home, ORDERS, "[reports]\nenabled = false\n")
    reporter = Reporter(settings, store, lambda: NOON)
    reporter.want([finished(settings.datasets["orders"], opened())])
    assert reporter._work.empty()


def test_who_has_no_thread_makes_some_too_and_tidies(home: Path, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    settings = config(home)
    old = aged(folder(settings) / "x-INC-9-20261123T120000Z-r1.html", 31)
    [one] = wanted([finished(settings.datasets["orders"], opened())])
    # None of them can be made: there is nothing to compare with.
    assert not reported(settings, store, [one] * 50, lambda: NOON)
    assert len(caplog.records) == MOST_WAITING
    assert not old.exists()
    assert not reported(changed(settings, enabled=False), store, [one], lambda: NOON)
    assert len(caplog.records) == MOST_WAITING


# Where it is, in messages.


class Told:
    """A store with an incident that a channel was told of."""

    def __init__(self, store: Store, state: str = "sent", form: str = "root", held: datetime | None = None) -> None:
        self.store = store
        put_incident(store, 1)
        said = Message("open", "orders", "it drifted", NOON, facts=(Fact("Since", NOON),), incident="INC-1")
        outbox.put(store, Delivery("k", 1, "team", form, said, 3, not_before=held), NOON)  # type: ignore[arg-type]
        if state == "sent":
            claimed = outbox.claim(store, "team", held or NOON, timedelta(minutes=1))
            assert claimed
            outbox.finish(store, claimed, state="sent", provider_ref="17.1")

    def next(self, at: datetime = NOON) -> outbox.Claimed | None:
        return outbox.claim(self.store, "team", at, timedelta(minutes=1))


@pytest.fixture
def any_store(store_url: str) -> Iterator[Store]:
    kept = Store(store_url)
    kept.migrate()
    yield kept
    kept.close()


PATH = Path("/var/reports/orders-INC-1-20261123T120000Z-r3.html")


def test_a_thread_is_edited_once_to_say_where_the_report_is(any_store: Store) -> None:
    told = Told(any_store)
    for _ in range(2):
        reports.put(any_store, 1, 3, "here", PATH, 10, NOON)
    edit = told.next()
    assert edit is not None
    assert (edit.form, edit.root, edit.broadcast) == ("edit", "17.1", False)
    assert edit.message.facts == (Fact("Since", NOON), Fact("Report", str(PATH)))
    outbox.finish(any_store, edit, state="sent")
    assert told.next() is None
    assert len(reports.found(any_store, 1)) == 1


@pytest.mark.parametrize(("state", "form"), [("pending", "root"), ("sent", "message")])
def test_what_is_no_thread_yet_is_not_told_anything_new(any_store: Store, state: str, form: str) -> None:
    told = Told(any_store, state, form)
    reports.put(any_store, 1, 3, "here", PATH, 10, NOON)
    first = told.next()
    assert first is None or first.key == "k"
    assert told.next() is None


def test_the_edit_waits_with_what_is_held_for_quiet_hours(any_store: Store) -> None:
    told = Told(any_store, held=NOON + DAY)
    reports.put(any_store, 1, 3, "here", PATH, 10, NOON)
    assert told.next(NOON) is None
    later = told.next(NOON + 25 * timedelta(hours=1))
    assert later is not None
    assert later.form == "edit"


def test_what_is_over_is_not_edited(any_store: Store) -> None:
    told = Told(any_store)
    with any_store.begin() as connection:
        over = Incident(1, "s1", Family.DRIFT, Severity.WARNING, NOON, NOON, resolved_at=NOON)
        decisions.write(connection, Decision(News((), (Change(over, Happened.RESOLVED, ()),))), NOON)
    reports.put(any_store, 1, 3, "here", PATH, 10, NOON)
    assert told.next() is None


def test_what_is_told_next_says_where_the_report_is(home: Path, any_store: Store) -> None:
    settings = config(home, ORDERS, TEAM)
    dataset = settings.datasets["orders"]

    def recorded(day: int, column: str) -> list[Delivery]:
        bad = Result(
            f"drift({column})",
            "drift",
            Family.DRIFT,
            Status.FAILED,
            "bad",
            column,
            bounds=Bounds(),
            score=3.0,
            severity=Severity.WARNING,
        )
        measured = Measured("done", [bad], 10)
        claim = ledger.claim(any_store, "orders", november(day), timedelta(minutes=1))
        assert claim
        now = november(day).end + timedelta(hours=1)
        decide = news.deciding(settings, dataset, november(day), measured, now)
        decision = ledger.record(any_store, claim, measured, now, news.subjects(dataset), decide)
        assert decision
        return list(decision.deliveries)

    [first] = recorded(21, "amount")
    assert first.incident is not None
    reports.put(any_store, first.incident, 1, "here", PATH, 10, NOON)
    [second] = recorded(22, "tax")
    assert "Report" not in {fact.label for fact in first.message.facts}
    assert Fact("Report", str(PATH)) in second.message.facts
