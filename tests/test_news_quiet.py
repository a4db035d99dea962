"""What keeps quiet, through a real store: what stood before is read, and the flags are written, in the window's own transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from alerts.console import Console
from alerts.deciding import NOT_ASKED
from alerts.incident import Change
from alerts.problem import Problem
from alerts.routing import Route
from checks.result import Family, Result, Severity, Status
from checks.window import Window
from monitor.config import Config
from monitor.dataset import Dataset
from monitor.job import Measured
from monitor.news import deciding, subjects
from monitor.removed import NOT_WATCHED, close_removed
from monitor.settings import StoreSettings
from monitor.sources.files import Files
from monitor.store import decisions, ledger, pruning
from monitor.store.decisions import Claim, Decision
from monitor.store.store import Store
from monitor.store.tables import deliveries, events, incidents, problems, tellings, windows
from monitor.worker import MEASURE, REACHABLE

START = datetime(2026, 11, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
KINDS = {"row_count": Family.ARRIVAL, "columns": Family.LAYOUT, "drift": Family.DRIFT}


def result(said: str) -> Result:
    """`kind(column)[segment] LETTER`: F a warning, C critical, O passed, S skipped, E errored."""
    name, letter = said.rsplit(" ", 1)
    check, _, segment = name.partition("[")
    kind, _, column = check.rstrip(")").partition("(")
    status = {"O": Status.PASSED, "S": Status.SKIPPED, "E": Status.ERRORED}.get(letter, Status.FAILED)
    severity = {"F": Severity.WARNING, "C": Severity.CRITICAL}.get(letter)
    family = KINDS.get(kind, Family.QUALITY)
    return Result(check, kind, family, status, said, column or None, segment.rstrip("]") or None, severity=severity)


def done(*said: str, rows: str = "row_count O") -> Measured:
    return Measured("done", [result(rows), *map(result, said)], 100, 0.1)


def errored(check: str) -> Measured:
    return Measured("errored", [Result(check, check, Family.SOURCE, Status.ERRORED, "no answer")], error="no answer")


class World:
    """Hourly windows of a dataset in a real store."""

    def __init__(self, store: Store, **keys: Any) -> None:
        self.store = store
        self.dataset = Dataset.model_validate({"name": "orders", "table": "{start:%H}.csv", "every": "1h", **keys})
        route = Route(to=("terminal",))
        path: Any = None
        self.config = Config(path, datasets={"orders": self.dataset}, channels={"terminal": Console()}, routes=(route,))
        self.changes: list[Change] = []

    def see(self, hour: int, measured: Measured, now: datetime | None = None) -> list[str]:
        window = Window(START + hour * HOUR, START + (hour + 1) * HOUR)
        claim = ledger.claim(self.store, self.dataset.name, window, timedelta(minutes=1), again=True)
        assert claim is not None
        return self.record(claim, window, measured, now or window.end)

    def record(self, claim: Claim, window: Window, measured: Measured, now: datetime) -> list[str]:
        decide = deciding(self.config, self.dataset, window, measured, now)
        decision = ledger.record(self.store, claim, measured, now, subjects(self.dataset), decide)
        assert isinstance(decision, Decision)
        self.changes += decision.news.changes
        return [f"{c.incident.family}:{c.happened}" + (f"/{c.quiet}" if c.quiet else "") for c in decision.news.changes]

    def rows(self, table: Any) -> list[Any]:
        with self.store.reading() as connection:
            return list(connection.execute(select(table).order_by(*table.primary_key.columns)))

    def sent(self) -> int:
        return len(self.rows(deliveries))


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


def test_p3_half_the_rows_quiet_the_drift_and_it_speaks_after_one_fresh_window(world: World) -> None:
    assert world.see(0, done("drift(a) F", rows="row_count C")) == ["arrival:opened", "drift:opened/inhibited"]
    assert world.sent() == 1
    world.see(1, done("drift(a) F"))
    assert world.see(2, done("drift(a) F")) == ["arrival:resolved"]
    assert [row.inhibited_by for row in world.rows(problems) if row.kind == "drift"] == [1]
    assert world.see(3, done("drift(a) F")) == ["drift:released"]
    assert [row.inhibited_by for row in world.rows(problems) if row.kind == "drift"] == [None]
    assert [(row.happened, row.quiet) for row in world.rows(events) if row.incident == 2] == [
        ("opened", "inhibited"),
        ("released", None),
    ]


def test_p3_no_rows_move_no_other_check_and_close_nothing(world: World) -> None:
    world.see(0, done("unique(a) F"))
    for hour in range(1, 4):
        changes = world.see(hour, Measured("no_data", [result("row_count C")], 0))
        assert changes == (["arrival:opened"] if hour == 1 else [])
    assert {row.family for row in world.rows(incidents) if row.resolved_at is None} == {"quality", "arrival"}


def test_p1_a_dead_source_is_one_incident_that_closes_no_check_and_covers_all_its_datasets(store: Store) -> None:
    orders, refunds = World(store), World(store)
    refunds.dataset = refunds.dataset.model_copy(update={"name": "refunds"})
    orders.see(0, done("drift(a) F"))
    assert orders.see(1, errored(REACHABLE)) == ["source:opened", "drift:inhibited/inhibited"]
    assert refunds.see(1, errored(REACHABLE)) == []
    assert [row.subject for row in orders.rows(incidents) if row.family == "source"] == ["source:files"]
    assert orders.see(1, done("drift(a) F"), START + 4 * HOUR) == ["source:resolved"]
    assert orders.see(2, done("drift(a) F"), START + 4 * HOUR) == ["drift:released"]


def test_p5_a_check_that_always_raises_is_trouble_of_its_own_and_the_others_go_on(world: World) -> None:
    assert world.see(0, done("missing(a) E", "unique(b) F")) == ["quality:opened"]
    [first] = [c.members for c in world.changes]
    assert [p.check for p in first] == ["unique(b)"]
    assert world.see(1, done("missing(a) E", "unique(b) F")) == ["quality:joined"]
    for hour in range(2, 6):
        assert world.see(hour, done("missing(a) E", "unique(b) F")) == []


def test_p5_a_check_that_cannot_be_judged_explains_no_drift(world: World) -> None:
    for hour in range(2):
        world.see(hour, Measured("done", [result("row_count E"), result("drift(a) C")], 100, 0.1))
    assert [row.inhibited_by for row in world.rows(problems)] == [None, None]


def test_r2_a_check_that_left_the_config_closes_with_the_reason(world: World) -> None:
    world.see(0, done("unique(a) F", "missing(b) O"))
    assert world.see(1, done("missing(b) O")) == ["quality:resolved"]
    assert world.changes[-1].reason == NOT_ASKED
    assert [row.text for row in world.rows(events)][-1].endswith(f"({NOT_ASKED})")


def test_r2_a_dataset_that_left_the_config_closes_with_the_reason_and_who_was_told_hears_it(world: World) -> None:
    world.see(0, done("unique(a) F", "drift(a) F"))
    with world.store.begin() as connection:
        connection.execute(update(deliveries).values(state="sent"))
    assert close_removed(world.store, world.config, START + HOUR) == []
    left = replace(world.config, datasets={})
    assert close_removed(world.store, left, START + 2 * HOUR) == ["orders"]
    assert [(row.happened, row.text.endswith(f"({NOT_WATCHED})")) for row in world.rows(events)][2:] == [("resolved", True)] * 2
    assert [row.resolved_at for row in world.rows(incidents)] == [START + 2 * HOUR] * 2
    assert world.sent() == 4
    assert close_removed(world.store, left, START + 3 * HOUR) == []


def test_r2_a_source_that_left_the_config_is_over_and_one_that_is_there_is_not(world: World) -> None:
    world.see(0, errored(REACHABLE))
    there = replace(world.config, sources={"files": Files()})
    assert close_removed(world.store, there, START + HOUR) == []
    assert close_removed(world.store, world.config, START + HOUR) == ["source:files"]


def test_r3_a_changed_threshold_keeps_the_state_and_tells_nothing_again(world: World) -> None:
    world.see(0, done("missing(a) F"))
    for hour, at_most in enumerate((0.02, 0.01, 0.3), start=1):
        changed = replace(result("missing(a) F"), value=0.4, message=f"missing(a) is 40 %, at most {at_most}")
        assert world.see(hour, Measured("done", [result("row_count O"), changed], 100)) == []
    [problem] = world.rows(problems)
    assert (problem.state, problem.outcomes) == ("firing", "FFFF")
    assert world.sent() == 1


def test_r4_a_check_with_another_id_is_a_new_problem_and_the_old_one_is_over(world: World) -> None:
    world.see(0, done("missing(a) F"))
    assert world.see(1, done("missing(a where b) F")) == ["quality:joined"]
    assert [p.check for p in world.changes[-1].gone] == ["missing(a)"]
    assert world.changes[-1].reason == NOT_ASKED


def test_c3_after_three_days_asleep_only_what_is_bad_now_is_told(world: World) -> None:
    world.see(0, done("unique(a) O"))
    now = START + 73 * HOUR
    for hour in range(1, 73):
        bad = "unique(a) F" if 5 <= hour < 20 or hour >= 70 else "unique(a) O"
        world.see(hour, done(bad), now)
    told = [c for c in world.changes if c.quiet is None]
    assert [(str(c.happened), c.incident.id) for c in told] == [("opened", 2)]
    assert [(row.incident, row.happened, row.quiet) for row in world.rows(events)] == [
        (1, "opened", "away"),
        (1, "resolved", "away"),
        (2, "opened", None),
    ]
    assert {row.incident for row in world.rows(deliveries)} == {2}


def test_c3_what_lasts_from_then_until_now_is_told_once(world: World) -> None:
    now = START + 48 * HOUR
    for hour in range(48):
        world.see(hour, done("unique(a) F"), now)
    assert [(str(c.happened), c.quiet) for c in world.changes] == [("opened", "away"), ("released", None)]
    assert world.sent() == 1


def test_a_source_that_is_dead_now_is_told_also_with_an_old_window(world: World) -> None:
    assert world.see(0, errored(MEASURE), START + 40 * HOUR) == ["source:opened"]
    assert world.sent() == 1


@pytest.mark.parametrize(("hours", "changes"), [(14, ["quality:opened"]), (31, ["quality:opened/away"])])
def test_the_last_window_is_told_however_long_ago_it_ended(store: Store, hours: int, changes: list[str]) -> None:
    """After 31 hours the next day has ended more than six hours ago, too."""
    world = World(store, every="1d")
    claim = ledger.claim(store, "orders", (window := Window(START, START + 24 * HOUR)), timedelta(minutes=1))
    assert claim is not None
    assert world.record(claim, window, done("unique(a) F"), window.end + hours * HOUR) == changes


def test_a_late_window_pages_nobody(world: World) -> None:
    world.see(1, done("unique(a) S"))
    assert world.see(0, done("unique(a) F"), START + 3 * HOUR) == ["quality:opened/late"]
    assert world.sent() == 0
    assert world.see(2, done("unique(a) F")) == ["quality:released"]
    assert world.sent() == 1


def test_what_begins_again_goes_on_in_the_same_incident_and_says_so(world: World) -> None:
    for hour, letter in enumerate("FOOF"):
        world.see(hour, done(f"unique(a) {letter}"))
    [incident] = world.rows(incidents)
    assert (incident.id, incident.reopened, incident.resolved_at) == (1, 1, None)
    assert [row.happened for row in world.rows(events)] == ["opened", "resolved", "reopened"]
    assert [row.happened for row in world.rows(tellings)] == ["opened", "resolved", "reopened"]


def test_a_segment_without_rows_for_long_closes_with_that_reason(world: World) -> None:
    world.see(0, done("missing(a)[country=XX] F", "missing(a)[country=DE] O"))
    changes = [world.see(hour, done("missing(a)[country=DE] O")) for hour in range(1, 14)]
    assert [c for c in changes if c] == [["quality:resolved"]]
    assert world.changes[-1].reason == "country=XX has had no rows since 2026-11-20 01:00 UTC"


def of_many(status: Status, column: str | None) -> Result:
    """What a check of many columns says of one of them, or (skipped) of none."""
    severity = Severity.WARNING if status is Status.FAILED else None
    return Result("agreement", "agreement", Family.DRIFT, status, "said", column, severity=severity)


def test_a_column_of_which_a_check_of_many_says_nothing_more_closes_with_that_reason(world: World) -> None:
    world.see(0, Measured("done", [result("row_count O"), of_many(Status.FAILED, "a")], 100, 0.1))
    others = [of_many(Status.PASSED, "b")], [of_many(Status.SKIPPED, None)]
    changes = [world.see(hour, Measured("done", [result("row_count O"), *others[hour % 2]], 100, 0.1)) for hour in range(1, 14)]
    assert [c for c in changes if c] == [["drift:resolved"]]
    assert world.changes[-1].reason == "no verdict since 2026-11-20 01:00 UTC"


def test_a_column_of_which_nothing_could_be_said_is_not_gone(world: World) -> None:
    world.see(0, Measured("done", [result("row_count O"), of_many(Status.FAILED, "a")], 100, 0.1))
    silent = Measured("done", [result("row_count O"), of_many(Status.ERRORED, None)], 100, 0.1)
    changes = [change for hour in range(1, 20) for change in world.see(hour, silent)]
    assert "drift:resolved" not in changes


def test_a_segment_that_is_skipped_is_not_gone(world: World) -> None:
    world.see(0, done("missing(a)[country=XX] F"))
    assert [world.see(hour, done("missing(a)[country=XX] S")) for hour in range(1, 20)] == [[]] * 19


def test_l3_pruning_keeps_open_incidents_and_what_may_open_again(world: World) -> None:
    world.see(0, done("unique(a) F", "drift(a) F"))
    world.see(1, done("unique(a) O", "drift(a) F"))
    world.see(2, done("unique(a) O", "drift(a) F"))
    later = START + timedelta(days=500)
    assert pruning.prune(world.store, StoreSettings(), later) > 0
    assert [row.family for row in world.rows(incidents) if row.resolved_at is None] == ["drift"]
    assert [row.state for row in world.rows(problems) if row.kind == "drift"] == ["firing"]


letters = st.lists(st.text(alphabet="FCOOOSE", min_size=3, max_size=3), min_size=1, max_size=8)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(letters)
def test_i4_what_is_stored_is_what_was_decided(store: Store, said: list[str]) -> None:
    world = World(store)
    # Each example its own dataset, in one store.
    name = f"orders{len(world.rows(windows))}"
    world.dataset = world.dataset.model_copy(update={"name": name})
    for hour, verdicts in enumerate(said):
        world.see(
            hour,
            done(*[f"{check} {letter}" for check, letter in zip(("drift(a)", "missing(a)", "unique(b)"), verdicts, strict=True)]),
        )
    decided: dict[str, Problem] = {}
    with store.reading() as connection:
        stored = {
            row["fingerprint"]: decisions.problem_of(row)
            for row in connection.execute(select(problems).where(problems.c.subject == name)).mappings()
        }
    for change in world.changes:
        decided.update((p.fingerprint, p) for p in change.members)
        assert change.incident.id > 0
    lasting = {p.fingerprint for p in stored.values() if p.lasting}
    assert lasting <= decided.keys()
    assert {stored[f].incident for f in lasting} == {
        row.id for row in world.rows(incidents) if row.subject == name and row.resolved_at is None
    }
