"""The replay: the same verdicts and messages as the daemon's own, from files and from stored profiles; what it prints."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from checks.mean import Mean
from checks.window import Window
from monitor import extent, replay_command, replaying, worker
from monitor.config import Config, load
from monitor.job import Job, Measured
from monitor.replaying import Task
from monitor.retelling import telling_anew
from monitor.runner import Runner
from monitor.shelf import Shelf
from monitor.store import looking, past
from monitor.store.store import Store
from tests.test_runner import InLine

DAY = timedelta(days=1)
FIRST = datetime(2026, 3, 1, tzinfo=UTC)
BAD = 20
ORDERS = """
[store]
url = "sqlite:///{name}.db"
[datasets.orders]
table = "landing/{{start:%Y-%m-%d}}.parquet"
checks = [{{kind = "missing", column = "amount", at_most = {most}, severity = "critical"}}]
[channels.team]
kind = "webhook"
url = "http://127.0.0.1:9/nobody"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """25 days of one file each; on two of them a third of the amounts is missing, one file never came."""
    (tmp_path / "landing").mkdir()
    for day in (*range(23), 24):
        lost = "i % 3 = 0" if day in {BAD, BAD + 1} else "false"
        amount = f"case when {lost} then null else {day % 5} * 0.01 + (i % 50) * 0.1 end::double as amount"
        file = tmp_path / "landing" / f"{FIRST + day * DAY:%Y-%m-%d}.parquet"
        duckdb.sql(f"copy (select {amount}, (i % 7)::int as kind from range({400 + day}) t(i)) to '{file}' (format parquet)")
    return tmp_path


def config(home: Path, name: str = "config", most: float = 0.1) -> Config:
    (home / f"{name}.toml").write_text(ORDERS.format(name=name, most=most))
    return load(home / f"{name}.toml", {})


def lived(read: Config, days: int = 25) -> Store:
    """A store after as many days of the daemon."""
    store = Store(read.store.url.get_secret_value())
    store.migrate()
    runner, dataset = Runner(read, store, InLine()), read.datasets["orders"]
    for day in range(days):
        window = dataset.calendar.holding(FIRST + day * DAY)
        assert runner.start(dataset, window, window.end)
        runner.collect(window.end)
    return store


def task(read: Config, **more: Any) -> Task:
    dataset = read.datasets["orders"]
    windows = list(dataset.calendar.closed(FIRST, FIRST + 25 * DAY))
    return Task(dataset, read.sources["files"], windows, **more)


def said(found: list[tuple[Window, Measured]]) -> list[tuple[Window, object]]:
    return [(window, (m.state, m.rows, list(m.results))) for window, m in found]


def test_a_replay_says_and_tells_what_the_daemon_did(home: Path) -> None:
    read = config(home)
    store = lived(read)
    found = replaying.verdicts(task(read))
    with telling_anew(read) as telling:
        for window, measured in found:
            telling.window(read.datasets["orders"], window, measured)

    rows = looking.found_results(store, "orders", False, None, 10_000)
    stored = {(r.window_start, r.check, r.column or None): (r.status, r.score, r.message) for r in rows}
    replayed = {(w.start, r.check, r.column): (str(r.status), r.score, r.message) for w, m in found for r in m.results}
    assert {k: v for k, v in stored.items() if k[1] != "left_out"} == replayed
    kept = looking.found_incidents(store, everything=True)
    assert {(i.family, i.severity, i.opened_at, i.resolved_at) for i in kept} == {
        (str(h.incident.family), str(h.incident.severity), h.incident.opened_at, h.incident.resolved_at)
        for h in telling.told.incidents.values()
    }
    sent = [one.outgoing for one in telling.told.sent]
    assert any(one.form == "message" and one.message.severity == "critical" for one in sent)
    store.close()


def test_stored_profiles_give_the_same_verdicts_without_the_source(home: Path) -> None:
    read = config(home)
    store = lived(read)
    stored = {at: body for at, _, body in past.windows_between(store, "orders", FIRST, FIRST + 25 * DAY)}
    from_source = replaying.verdicts(task(read))
    for file in (home / "landing").iterdir():
        file.unlink()
    from_store = replaying.verdicts(task(read, stored=stored, measures=False))
    gone = FIRST + 23 * DAY
    assert said(from_store) == [one for one in said(from_source) if one[0].start != gone]
    store.close()


def test_pieces_that_are_replayed_at_once_give_the_same_verdicts(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = config(home)
    store = lived(read)
    stored = {at: body for at, _, body in past.windows_between(store, "orders", FIRST, FIRST + 25 * DAY)}
    whole = task(read, stored=stored)
    assert replaying.parted(whole, 10) == [whole], "one window is not stored"
    without = replace(whole, windows=[w for w in whole.windows if w.start in stored])
    pieces = replaying.parted(without, 10)
    assert [(len(piece.windows), piece.history) for piece in pieces] == [(10, 0), (18, 10), (24, 18)]
    assert [one for piece in pieces for one in said(replaying.verdicts(piece))] == said(replaying.verdicts(without))
    assert replaying.parted(without, 24) == [without]
    # Each is sent only what it looks back at.
    monkeypatch.setattr(replaying, "HISTORY", 6)
    short = replaying.parted(without, 10)
    assert [(len(piece.windows), piece.history, len(piece.stored)) for piece in short] == [(10, 0, 10), (13, 6, 13), (13, 6, 13)]
    assert [one for piece in short for one in said(replaying.verdicts(piece))] == said(replaying.verdicts(without))
    mean = Mean(column="amount", where="kind > 3")
    asking = replace(without, dataset=without.dataset.model_copy(update={"checks": (*without.dataset.checks, mean)}))
    assert replaying.parted(asking, 10) == [asking], "its windows must be measured once more, in order"
    store.close()


def test_a_stored_profile_without_an_answer_is_measured_again(home: Path) -> None:
    read = config(home)
    store = lived(read)
    stored = {at: body for at, _, body in past.windows_between(store, "orders", FIRST, FIRST + 25 * DAY)}
    text = (
        (home / "config.toml")
        .read_text()
        .replace("checks = [", 'checks = [{kind = "mean", column = "amount", where = "kind > 3"},')
    )
    (home / "config.toml").write_text(text)
    found = replaying.verdicts(task(load(home / "config.toml", {}), stored=stored))
    asked = [r for _, m in found for r in m.results if r.check == "mean(amount) where kind > 3"]
    assert len(asked) == 24
    assert not [r for r in asked if r.status == "errored"]
    store.close()


def test_a_file_that_two_datasets_share_is_measured_once(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = config(home)
    (tmp_path / "shelf").mkdir()
    shelf = Shelf(tmp_path / "shelf")
    first = replaying.verdicts(task(read, shelf=shelf))
    counted: list[object] = []
    real = worker.measure_window

    def counting(job: Job) -> Measured:
        counted.append(job)
        return real(job)

    monkeypatch.setattr(worker, "measure_window", counting)
    again = replaying.verdicts(task(read, shelf=shelf))
    assert len(counted) == 1, "only the window whose file is not there"
    assert said(again) == said(first)


def replay(home: Path, capsys: pytest.CaptureFixture[str], json_: bool = False, **more: Any) -> tuple[int, str, str]:
    given: dict[str, Any] = {"other": None, "names": None, "start": None, "end": FIRST + 25 * DAY, "plot": None, **more}
    code = replay_command.run(config(home), json=json_, **given)
    out, err = capsys.readouterr()
    return code, out, err


def test_the_json_is_what_is_promised_and_no_store_is_made(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = replay(home, capsys, json_=True, start=FIRST - 30 * DAY)
    found = json.loads(out)
    assert code == 0
    assert list(found) == ["datasets", "windows", "incidents", "messages", "months"]
    [stretch] = found["datasets"]
    assert (stretch["from"][:10], stretch["to"][:10], stretch["windows"]) == ("2026-03-01", "2026-03-26", 25)
    assert stretch["note"], "that the range was cut is said"
    assert len(found["windows"]) == 25
    assert list(found["windows"][0]) == ["dataset", "start", "end", "state", "rows", "seconds", "results"]
    assert found["windows"][23]["state"] == "no_data"
    quality = [i for i in found["incidents"] if i["family"] == "quality"]
    assert quality[0]["dataset"] == "orders"
    assert any(p["check"] == "missing(amount)" for p in quality[0]["problems"])
    assert {"at", "channel", "kind", "text"} <= set(found["messages"][0])
    assert not (home / "config.db").exists()


def test_each_month_says_what_was_told_in_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(replay(home, capsys, json_=True)[1])
    [_, march] = sorted(found["months"], key=lambda month: month["dataset"] == "orders")
    told = [m for m in found["messages"] if m["dataset"] == "orders"]
    assert len(told) < len(found["messages"]), "a digest is of no one dataset"
    assert (march["dataset"], march["month"], march["windows"]) == ("orders", "2026-03", 25)
    assert march["incidents"] == len(found["incidents"]) > 1
    assert march["messages"] == sum(m["kind"] != "reminder" for m in told)
    assert march["reminders"] == len(told) - march["messages"] > 0
    assert march["pages"] == sum(m["page"] for m in told) > 0
    assert {m["severity"] for m in told if m["page"]} == {"critical"}


def test_months_in_which_nothing_is_told_are_counted(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = replay(home, capsys, end=FIRST + 8 * DAY)
    assert code == 0
    assert "1 month of 1 dataset: nothing was told in any of them" in out
    assert "1 month of 1 dataset; 1 of them with more than one new incident" in replay(home, capsys)[1]


def test_people_read_what_was_replayed_found_and_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = replay(home, capsys, plot=home / "plot.html")
    assert code == 0
    assert "orders: 2026-03-01 00:00 to 2026-03-26 00:00, 25 windows" in out
    assert "missing(amount)" in out
    assert "2026-W12" in out
    assert "bounds of your own instead" in out
    drawn = (home / "plot.html").read_text()
    assert 'class="critical"' in drawn
    assert "missing(amount) is 33" in drawn


def test_against_another_config_says_what_is_more_and_less(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = replay(home, capsys, json_=True, other=config(home, "other", most=0.9))
    told = json.loads(out)["against"]
    assert code == 0
    assert {f["check"] for f in told["less"]} == {"missing(amount)"}
    assert [f["start"][:10] for f in told["less"]] == ["2026-03-21", "2026-03-22"]
    assert told["more"] == []


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"start": FIRST + 90 * DAY}, "is not before --to"),
        ({"start": FIRST - 90 * DAY, "end": FIRST - 60 * DAY}, "there is nothing to replay: orders: no file of"),
        ({"plot": Path("plot.doc")}, "give it a name that ends in .png or .html"),
        ({"plot": Path("no/such/plot.png")}, "there is no folder no/such"),
    ],
)
def test_what_cannot_be_replayed_is_refused_in_words(
    home: Path, capsys: pytest.CaptureFixture[str], more: dict[str, Any], sentence: str
) -> None:
    code, out, err = replay(home, capsys, **more)
    assert (code, out) == (3, "")
    assert sentence in err


@pytest.mark.parametrize("kind", ["timestamp", "timestamptz", "date", "varchar"])
def test_the_range_of_a_table_is_read_off_its_times(tmp_path: Path, kind: str) -> None:
    at = f"('2026-03-05 00:00:00+00'::timestamptz + i * interval '1 day')::{kind} as at"
    duckdb.sql("set timezone = 'UTC'")
    duckdb.sql(f"copy (select {at}, i from range(10) t(i)) to '{tmp_path}/all.parquet' (format parquet)")
    (tmp_path / "config.toml").write_text(f'[datasets.all]\ntable = "{tmp_path}/all.parquet"\ntime_column = "at"\n')
    read = load(tmp_path / "config.toml", {})
    first, last, note = extent.held(read.datasets["all"], read.sources["files"], None, FIRST + 90 * DAY)
    assert (first, note) == (FIRST + 4 * DAY, "")
    assert last == FIRST + 13 * DAY + timedelta(microseconds=1)
