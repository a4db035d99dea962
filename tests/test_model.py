"""Model checks on the straight line: predictions at once, performance when the labels are there; over both kinds of store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy import select

from monitor import daemon
from monitor.config import Config, ConfigError, load
from monitor.runner import Finished, Runner
from monitor.store import looking
from monitor.store.store import Store
from monitor.store.tables import problems, profiles, results, windows
from monitor.testing.inline import InLine

DAY = timedelta(days=1)
FIRST = datetime(2026, 9, 1, tzinfo=UTC)
CHURN = """
[sources.warehouse]
url = "duckdb:///{home}/model.duckdb"

[datasets.churn]
source = "warehouse"
table = "predictions"
time_column = "made_at"
auto = false
{dataset}
checks = [{{kind = "classification", prediction = "said", target = "was", probability = "p", label_delay = "7d"{settings}}}]
"""


class Model:
    """A table of predictions, 400 a day, and whose labels are there."""

    def __init__(self, home: Path) -> None:
        self.file = home / "model.duckdb"
        self.run("CREATE TABLE predictions (made_at TIMESTAMP, country VARCHAR, said BIGINT, was BIGINT, p DOUBLE)")

    def run(self, *statements: str) -> None:
        with duckdb.connect(str(self.file)) as connection:
            for statement in statements:
                connection.execute(statement)

    def day(self, day: int, wrong: float = 0.1, labelled: bool = True, rows: int = 400) -> None:
        """So many predictions, of which a share is wrong; calibrated where that is a tenth."""
        start = FIRST + day * DAY
        was = f"CASE WHEN (i // 2) % 100 < {wrong * 100} THEN 1 - said ELSE said END" if labelled else "NULL"
        self.run(
            f"INSERT INTO predictions SELECT TIMESTAMP '{start:%Y-%m-%d %H:%M}' + to_minutes((i % 1440)::INT), "
            f"CASE WHEN i % 3 = 0 THEN 'DE' ELSE 'FR' END, said, {was}, 0.1 + 0.8 * said "
            f"FROM (SELECT range AS i, (range % 2)::BIGINT AS said FROM range({rows}))"
        )

    def label(self, day: int, wrong: float = 0.1) -> None:
        """The labels of a day arrive."""
        start = FIRST + day * DAY
        self.run(
            f"UPDATE predictions SET was = CASE WHEN epoch(made_at)::BIGINT // 120 % 720 % 100 < {wrong * 100} THEN 1 - said "
            f"ELSE said END WHERE made_at >= '{start:%Y-%m-%d}' AND made_at < '{start + DAY:%Y-%m-%d}'"
        )


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return Model(tmp_path)


def config(home: Path, settings: str = "", dataset: str = "", text: str = CHURN) -> Config:
    (home / "config.toml").write_text(text.format(home=home, settings=settings, dataset=dataset))
    return load(home / "config.toml", {})


def work(runner: Runner, now: datetime) -> list[Finished]:
    """Tick and collect until nothing is due."""
    out: list[Finished] = []
    while True:
        runner.tick(now)
        if not runner.running:
            return out
        out += runner.collect(now)


def lane(finished: Sequence[Finished], name: str = "labels") -> list[Finished]:
    return [f for f in finished if f.dataset.lane == name]


def told(finished: Finished) -> dict[str, tuple[str, float | None]]:
    return {r.check.partition(": ")[2]: (str(r.status), r.value) for r in finished.measured.results}


def stored(store: Store, table: Any, **where: Any) -> list[Any]:
    with store.reading() as connection:
        wanted = [table.c[name] == value for name, value in where.items()]
        return list(connection.execute(select(table).where(*wanted).order_by(*table.primary_key.columns)))


BOUNDED = (
    ', metrics = ["accuracy", "f1", "roc_auc", "log_loss"], bounds = {accuracy = {at_least = 0.85}, log_loss = {at_most = 0.5}}'
)


def test_predictions_are_judged_at_once_and_the_figures_when_the_labels_had_their_time(
    store: Store, model: Model, tmp_path: Path
) -> None:
    for day in range(9):
        model.day(day)
    runner = Runner(config(tmp_path, BOUNDED), store, InLine())

    early = work(runner, FIRST + 1 * DAY)
    assert sorted(f.dataset.lane for f in early) == ["labels", "live"]  # The last window whose labels had their time: a week ago.
    late = lane(work(runner, FIRST + 8 * DAY))

    assert [f.window.start for f in late] == [FIRST - 6 * DAY + n * DAY for n in range(7)]
    found = told(late[-1])
    assert found["labels"] == ("passed", 1.0)
    assert found["accuracy"] == ("passed", 0.9)
    assert found["log_loss"][1] == pytest.approx(0.325083, abs=1e-6)
    assert found["f1"][0] == "skipped"
    assert len(stored(store, profiles, lane="labels")) == 8


def test_a_worse_model_is_told_as_a_problem_of_the_model_and_ends_when_it_is_well_again(
    store: Store, model: Model, tmp_path: Path
) -> None:
    for day in range(4):
        model.day(day, wrong=0.3 if day == 1 else 0.1)
    runner = Runner(config(tmp_path, BOUNDED), store, InLine())
    work(runner, FIRST + 8 * DAY)
    work(runner, FIRST + 9 * DAY)

    [row] = [row for row in looking.found_incidents(store) if row.family == "model"]
    told_of = {p.check for p in stored(store, problems, incident=row.id)}
    assert told_of == {"classification(said,was): accuracy", "classification(said,was): log_loss"}

    work(runner, FIRST + 13 * DAY)
    assert {p.state for p in stored(store, problems) if p.check.endswith("accuracy")} != {"failing"}


def test_a_live_window_does_not_end_what_the_labels_told(store: Store, model: Model, tmp_path: Path) -> None:
    for day in range(9):
        model.day(day, wrong=0.3)
    runner = Runner(config(tmp_path, BOUNDED), store, InLine())
    work(runner, FIRST + 8 * DAY)
    before = {p.check: p.state for p in stored(store, problems) if ": " in p.check and p.state != "healthy"}
    assert before

    live = lane(work(runner, FIRST + 8 * DAY + DAY), "live")

    assert live
    after = {p.check: p.incident for p in stored(store, problems)}
    assert all(after[check] is not None for check in before)


def test_labels_that_never_arrive_are_a_finding_and_the_figures_are_skipped_with_their_reason(
    store: Store, model: Model, tmp_path: Path
) -> None:
    model.day(0, labelled=False)
    runner = Runner(config(tmp_path, BOUNDED), store, InLine())

    [finished] = lane(work(runner, FIRST + 8 * DAY))

    by = {r.check.partition(": ")[2]: r for r in finished.measured.results}
    assert (str(by["labels"].status), by["labels"].value) == ("failed", 0.0)
    assert "0 of 400 rows have their label" in by["labels"].message
    assert {str(by[name].status) for name in ("accuracy", "f1", "log_loss")} == {"skipped"}
    assert "0 of 400 rows have their label, 200 needed" in by["accuracy"].message


def test_labels_that_come_after_their_time_do_not_change_what_was_said_unless_it_is_asked_anew(
    store: Store, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first evaluation counts; backfill --again is how to ask once more."""
    model.day(0, labelled=False)
    read = config(tmp_path, BOUNDED)
    runner = Runner(read, store, InLine())
    work(runner, FIRST + 8 * DAY)
    model.label(0)

    assert work(runner, FIRST + 8 * DAY) == []
    assert [r.status for r in stored(store, results, check="classification(said,was): accuracy")] == ["skipped"]

    monkeypatch.setattr(daemon, "now", lambda: FIRST + 9 * DAY)
    daemon.backfill(read, store, "churn", FIRST, FIRST + DAY, True, lambda *_: None)
    [result] = stored(store, results, check="classification(said,was): accuracy")
    assert (result.status, result.lane) == ("passed", "labels")


def test_a_window_that_is_judged_twice_has_each_result_once(store: Store, model: Model, tmp_path: Path) -> None:
    model.day(0)
    runner = Runner(config(tmp_path, BOUNDED), store, InLine())
    work(runner, FIRST + 8 * DAY)
    live = stored(store, results, lane="live")
    first = stored(store, results, lane="labels", window_start=FIRST)
    labelled = runner.config.datasets["churn"].labelled
    assert labelled is not None
    assert runner.start(labelled, lane_window(labelled), FIRST + 8 * DAY, again=True)
    runner.collect(FIRST + 8 * DAY)

    again = stored(store, results, lane="labels", window_start=FIRST)
    assert [(r.check, r.status, r.value) for r in again] == [(r.check, r.status, r.value) for r in first]
    assert [r.id for r in stored(store, results, lane="live")] == [r.id for r in live]


def lane_window(dataset: Any) -> Any:
    return dataset.calendar.holding(FIRST)


def test_after_downtime_both_lanes_catch_up_and_what_is_older_than_that_is_said(store: Store, model: Model, tmp_path: Path) -> None:
    for day in range(30):
        model.day(day)
    runner = Runner(config(tmp_path, BOUNDED, 'catchup = "3d"'), store, InLine())
    work(runner, FIRST + 8 * DAY)

    finished = work(runner, FIRST + 20 * DAY)

    assert [f.window.start for f in lane(finished, "live")] == [FIRST + n * DAY for n in (17, 18, 19)]
    assert [f.window.start for f in lane(finished)] == [FIRST + n * DAY for n in (10, 11, 12)]
    said = [r for f in lane(finished) for r in f.measured.results if r.kind == "left_out"]
    assert [r.check for r in said] == ["left_out(labels)"]
    assert "9 windows" in said[0].message


def test_two_daemons_share_the_windows_that_wait_for_labels(store: Store, model: Model, tmp_path: Path) -> None:
    model.day(0)
    read = config(tmp_path, BOUNDED)
    one, other = Runner(read, store, InLine()), Runner(read, store, InLine())
    one.tick(FIRST + 8 * DAY)
    other.tick(FIRST + 8 * DAY)

    assert (len(one.running), len(other.running)) == (2, 0)
    one.collect(FIRST + 8 * DAY)
    assert work(other, FIRST + 8 * DAY) == []
    assert {(w.lane, w.state) for w in stored(store, windows)} == {("live", "no_data"), ("labels", "done")}


def test_a_source_that_is_down_is_tried_again_for_the_labels_too(store: Store, model: Model, tmp_path: Path) -> None:
    model.day(0)
    runner = Runner(config(tmp_path, BOUNDED), store, InLine())
    away = model.file.rename(tmp_path / "away")
    work(runner, FIRST + 8 * DAY)
    assert [w.state for w in stored(store, windows, lane="labels")] == ["errored"]
    away.rename(model.file)

    [finished] = lane(work(runner, FIRST + 8 * DAY + timedelta(hours=1)))

    assert finished.measured.state == "done"


def test_a_dataset_without_rows_in_a_window_of_labels_tells_nobody(store: Store, model: Model, tmp_path: Path) -> None:
    model.day(7)
    runner = Runner(config(tmp_path, BOUNDED), store, InLine())

    [finished] = lane(work(runner, FIRST + 8 * DAY))

    assert finished.measured.state == "no_data"
    assert {str(r.status) for r in finished.measured.results} == {"skipped"}


def test_segments_and_where_hold_for_the_figures(store: Store, model: Model, tmp_path: Path) -> None:
    model.day(0)
    read = config(tmp_path, BOUNDED + ", where = \"country <> 'XX'\"", 'segments = ["country"]')
    [finished] = lane(work(Runner(read, store, InLine()), FIRST + 8 * DAY))

    found = {(r.check.partition(": ")[2], r.segment): r.value for r in finished.measured.results}
    assert found["accuracy", None] == 0.9
    assert found["labels", "country=DE"] == 1.0
    assert found["accuracy", "country=DE"] == pytest.approx(0.9, abs=0.05)


BASELINE = ', metrics = ["accuracy"], baseline = {accuracy = 0.9}'


@pytest.mark.parametrize(("wrong", "status"), [(0.1, "passed"), (0.13, "passed"), (0.2, "failed")])
def test_a_baseline_is_held_give_or_take_what_is_chance(
    store: Store, model: Model, tmp_path: Path, wrong: float, status: str
) -> None:
    model.day(0, wrong)
    [finished] = lane(work(Runner(config(tmp_path, BASELINE), store, InLine()), FIRST + 8 * DAY))

    assert told(finished)["accuracy"][0] == status


def test_another_models_predictions_are_a_baseline(store: Store, model: Model, tmp_path: Path) -> None:
    model.day(0, wrong=0.3)
    model.run("ALTER TABLE predictions ADD COLUMN old BIGINT", "UPDATE predictions SET old = was")
    settings = ', metrics = ["accuracy"], baseline = "old"'
    [finished] = lane(work(Runner(config(tmp_path, settings), store, InLine()), FIRST + 8 * DAY))

    [result] = [r for r in finished.measured.results if r.check.endswith("accuracy")]
    assert (str(result.status), result.value) == ("failed", 0.7)
    assert "(baseline: 1, and 3 standard errors)" in result.message


def test_a_model_that_becomes_worse_than_it_was_is_told_without_any_bound(store: Store, model: Model, tmp_path: Path) -> None:
    for day in range(12):
        model.day(day, wrong=0.1 + 0.002 * (day % 3))
    model.day(12, wrong=0.4)
    read = config(tmp_path, ', metrics = ["accuracy", "roc_auc", "log_loss"]', 'catchup = "30d"')
    runner = Runner(read, store, InLine())
    work(runner, FIRST + 8 * DAY)
    *before, last = lane(work(runner, FIRST + 20 * DAY))

    assert {told(f)["accuracy"][0] for f in before} == {"skipped", "passed"}
    assert {told(last)[name][0] for name in ("accuracy", "roc_auc", "log_loss")} == {"failed"}


ESTIMATE = ', metrics = ["accuracy", "roc_auc"], bounds = {accuracy = {at_least = 0.85}}, estimate = true'


def test_without_labels_the_figures_are_estimated(store: Store, model: Model, tmp_path: Path) -> None:
    model.day(0, labelled=False)
    [finished] = lane(work(Runner(config(tmp_path, ESTIMATE), store, InLine()), FIRST + DAY), "live")

    status, value = told(finished)["estimated accuracy"]
    assert status == "passed"
    assert value == pytest.approx(0.9, abs=0.001)


def test_probabilities_that_are_too_sure_are_made_to_fit_the_labels_of_the_past(store: Store, model: Model, tmp_path: Path) -> None:
    """Said with 0.9, right in three of four: the estimate learns it from the labelled windows."""
    for day in range(10):
        model.day(day, wrong=0.25)
    runner = Runner(config(tmp_path, ESTIMATE + ", calibrate = true", 'catchup = "30d"'), store, InLine())
    work(runner, FIRST + 8 * DAY)
    work(runner, FIRST + 9 * DAY)
    last = lane(work(runner, FIRST + 10 * DAY), "live")[-1]

    status, value = told(last)["estimated accuracy"]
    assert status == "failed"
    assert value == pytest.approx(0.75, abs=0.001)


REFUSED = {
    ', metrics = ["f2"]': "there is no metric f2; there are accuracy",
    ', metrics = ["f1", "accuracy"], at_least = 0.5': "are for a single metric",
    ', label_delay = "soon"': "is not a duration",
    ", bounds = {brier = {at_most = 1}}": "brier is not among the metrics",
    ", bounds = {f1 = {}}": "give at_least, at_most or both",
    ", labels_least = 0": "labels_least: must be above 0",
    ', estimate = true, calibrate = true, probability = {a = "p", b = "p"}': "calibrate is for two classes",
    ", calibrate = true": "set estimate = true too",
}


@pytest.mark.parametrize("settings", REFUSED)
def test_settings_that_mean_nothing_are_refused_with_their_place(settings: str, tmp_path: Path) -> None:
    text = CHURN.replace(', label_delay = "7d"', "") if "label_delay" in settings else CHURN
    text = text.replace(', probability = "p"', "") if "probability" in settings else text
    with pytest.raises(ConfigError) as refused:
        config(tmp_path, settings, text=text)

    assert 'dataset "churn", check 1' in str(refused.value)
    assert REFUSED[settings] in str(refused.value)
