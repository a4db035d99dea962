"""From a measured window to what problems get to see of it: no verdict is never a pass, and never means "no longer checked"."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from alerts.console import Console
from alerts.deciding import LATE_ROWS
from alerts.incident import Happened
from alerts.routing import Route
from checks.result import Family, Result, Severity, Status
from checks.window import Window
from monitor.config import Config
from monitor.dataset import Dataset
from monitor.job import Job, Measured
from monitor.news import deciding, subjects
from monitor.sources.files import Files
from monitor.store import ledger
from monitor.store.decisions import Decision
from monitor.store.store import Store
from monitor.store.tables import deliveries, incidents
from monitor.worker import MEASURE, REACHABLE, measure_window

START = datetime(2026, 11, 20, tzinfo=UTC)
DAY = timedelta(days=1)
DATASET = Dataset(name="orders", table="orders/{start:%Y-%m-%d}.csv")


def result(check: str, letter: str, column: str | None = None) -> Result:
    """F failed, C critical, O passed, S skipped, E errored."""
    status = {"O": Status.PASSED, "S": Status.SKIPPED, "E": Status.ERRORED}.get(letter, Status.FAILED)
    severity = {"F": Severity.WARNING, "C": Severity.CRITICAL}.get(letter)
    family = Family.ARRIVAL if check == "row_count" else Family.QUALITY
    return Result(check, check.partition("(")[0], family, status, f"{check} {letter}", column, severity=severity)


def done(*said: str) -> Measured:
    """A window that was read, with results such as `missing(a) F`."""
    parts = [one.rsplit(" ", 1) for one in said]
    return Measured("done", [result("row_count", "O"), *(result(check, letter) for check, letter in parts)], 100, 0.1)


def errored(check: str) -> Measured:
    return Measured(
        "errored", [Result(check, check, Family.SOURCE, Status.ERRORED, "it does not answer")], error="it does not answer"
    )


def no_data() -> Measured:
    return Measured("no_data", [result("row_count", "C")], 0)


class World:
    """A real store that is told of windows, a dataset, and one route."""

    def __init__(self, folder: Path, dataset: Dataset = DATASET, **route: Any) -> None:
        self.store = Store(f"sqlite:///{folder}/store.db")
        self.store.migrate()
        settings = Route.model_validate({"to": ["terminal"], **route})
        self.config = Config(folder, datasets={"orders": dataset}, channels={"terminal": Console()}, routes=(settings,))
        self.dataset = dataset

    def see(self, day: int, measured: Measured, now: datetime | None = None) -> list[tuple[str, Happened]]:
        """The window of a day is recorded; (family, what happened) of each change."""
        window = Window(START + day * DAY, START + (day + 1) * DAY)
        claim = ledger.claim(self.store, "orders", window, timedelta(minutes=1), again=True)
        assert claim is not None
        now = now or window.end
        decide = deciding(self.config, self.dataset, window, measured, now)
        decision = ledger.record(self.store, claim, measured, now, subjects(self.dataset), decide)
        assert isinstance(decision, Decision)
        self.last = decision.news.changes
        return [(str(c.incident.family), c.happened) for c in decision.news.changes]

    def open(self) -> list[str]:
        with self.store.reading() as connection:
            rows = connection.execute(select(incidents.c.family).where(incidents.c.resolved_at.is_(None))).scalars()
            return sorted(rows)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_trouble_opens_and_two_passes_resolve(world: World) -> None:
    assert world.see(0, done("missing(a) F")) == [("quality", Happened.OPENED)]
    assert world.see(1, done("missing(a) O")) == []
    assert world.see(2, done("missing(a) O")) == [("quality", Happened.RESOLVED)]
    assert world.open() == []


@pytest.mark.parametrize("letter", ["S", "E"])
def test_a_check_without_a_verdict_keeps_its_incident_open(world: World, letter: str) -> None:
    world.see(0, done("missing(a) F"))
    for day in range(1, 5):
        changes = world.see(day, done(f"missing(a) {letter}"))
        assert Happened.RESOLVED not in [happened for _, happened in changes]
    assert "quality" in world.open()


def test_a_check_that_is_not_asked_any_more_closes(world: World) -> None:
    world.see(0, done("missing(a) F"))
    assert world.see(1, done("missing(b) O")) == [("quality", Happened.RESOLVED)]


@pytest.mark.parametrize("measured", [errored(MEASURE), errored(REACHABLE), no_data()], ids=["unmeasured", "down", "no data"])
def test_a_window_without_a_verdict_resolves_nothing(world: World, measured: Measured) -> None:
    world.see(0, done("missing(a) F"))
    for day in range(1, 4):
        world.see(day, measured)
    assert "quality" in world.open()


def test_a_source_that_is_down_is_one_incident_and_over_when_it_answers(world: World) -> None:
    assert world.see(0, errored(REACHABLE)) == [("source", Happened.OPENED)]
    assert world.see(1, errored(REACHABLE)) == []
    assert world.see(0, done(), START + 3 * DAY) == [("source", Happened.RESOLVED)]


def test_an_empty_window_is_told_and_over_when_rows_come(world: World) -> None:
    assert world.see(0, no_data()) == [("arrival", Happened.OPENED)]
    assert world.see(1, done()) == []
    assert world.see(2, done()) == [("arrival", Happened.RESOLVED)]


def test_an_empty_window_is_over_also_where_no_check_counts_rows(world: World) -> None:
    world.see(0, no_data())
    without = Measured("done", [result("missing(a)", "O")], 10)
    assert world.see(1, without) == []
    assert world.see(2, without) == [("arrival", Happened.RESOLVED)]


def test_an_empty_window_is_no_data_even_where_no_check_counts_rows(tmp_path: Path) -> None:
    (tmp_path / "2026-11-20.csv").write_text("amount\n", encoding="utf-8")
    table = f"{tmp_path}/{{start:%Y-%m-%d}}.csv"
    for empty, status in (("fail", Status.FAILED), ("ok", Status.PASSED)):
        dataset = Dataset.model_validate({"name": "orders", "table": table, "auto": False, "empty": empty})
        job = Job(dataset, Files(), Window(START, START + DAY), START + DAY)
        measured = measure_window(job)
        assert (measured.state, [(r.check, r.status) for r in measured.results]) == ("no_data", [("row_count", status)])


def test_a_late_window_does_not_bring_back_what_a_later_one_found_well(world: World) -> None:
    world.see(1, done("missing(a) O"))
    assert world.see(0, done("missing(a) F"), START + 3 * DAY) == []
    assert world.open() == []


def test_a_late_window_tells_what_no_later_one_could_judge(world: World) -> None:
    world.see(1, done("missing(a) S"))
    assert world.see(0, done("missing(a) F"), START + 3 * DAY) == [("quality", Happened.OPENED)]


def test_a_late_window_closes_no_check_that_it_does_not_know(world: World) -> None:
    world.see(1, done("missing(new) F"))
    assert world.see(0, done("missing(a) O"), START + 3 * DAY) == []
    assert world.open() == ["quality"]


def test_a_check_that_cannot_be_judged_is_trouble_of_its_own(world: World) -> None:
    assert world.see(0, done("missing(a) E")) == [("quality", Happened.OPENED)]
    assert world.see(1, done("missing(a) O")) == []
    assert world.see(2, done("missing(a) O")) == [("quality", Happened.RESOLVED)]


def test_the_same_window_recorded_again_tells_nothing_new(world: World) -> None:
    world.see(0, done("missing(a) F"))
    assert world.see(0, done("missing(a) F")) == []
    assert world.see(0, done("missing(a) F")) == []


def test_a_window_measured_again_with_the_rows_that_came_late_closes_what_it_had_opened(world: World) -> None:
    world.see(0, done("missing(a) F"))
    assert world.see(0, done("missing(a) O")) == [("quality", Happened.RESOLVED)]
    assert world.last[0].reason == LATE_ROWS
    assert world.see(0, done("missing(a) O")) == []
    assert world.see(1, done("missing(a) O")) == []


def test_a_warning_in_quiet_hours_waits_and_goes_at_once_when_it_turns_critical(tmp_path: Path) -> None:
    world = World(tmp_path, quiet="00:00-08:00")
    world.see(0, done("missing(a) F"))
    assert waiting(world, START + DAY) == []
    night = START + DAY + timedelta(hours=2)
    world.see(1, done("missing(a) C"), night)
    assert waiting(world, night) == [("message", True)]


def waiting(world: World, now: datetime) -> list[tuple[str, bool]]:
    """(form, may it go now) of every delivery written down."""
    with world.store.reading() as connection:
        rows = connection.execute(select(deliveries).order_by(deliveries.c.id)).all()
    return [(row.form, row.not_before is None or row.not_before <= now) for row in rows]


def test_a_window_that_cannot_be_measured_keeps_its_incident_open_while_others_are_measured(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.see(0, done())
    assert world.see(1, errored(MEASURE)) == [("source", Happened.OPENED)]
    for day in (2, 3, 4):
        assert world.see(day, done()) == []
    assert world.see(1, errored(MEASURE), START + 5.5 * DAY) == []
    assert world.open() == ["source"]
    assert world.see(1, done(), START + 6 * DAY) == [("source", Happened.RESOLVED)]


def test_a_window_that_is_too_old_to_be_tried_again_keeps_nothing_open(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.see(0, errored(MEASURE))
    changes = [world.see(day, done()) for day in range(1, 12)]
    assert [("source", Happened.RESOLVED)] in changes
    assert world.open() == []
