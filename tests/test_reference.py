"""What people accept as normal, mark and roll back: the verbs on both stores, and the judge on real files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import select

from checks.result import Result, Status
from monitor import reference
from monitor.config import Config, load
from monitor.dataset import Golden
from monitor.runner import Finished, Runner
from monitor.store import references
from monitor.store.store import Store
from monitor.store.tables import results
from tests.test_runner import InLine

DAY = timedelta(days=1)
FIRST = datetime(2026, 10, 1, tzinfo=UTC)
ORDERS = """
[datasets.orders]
table = "landing/{start:%Y-%m-%d}.parquet"
"""


def written(home: Path, day: int, level: float, price: float = 5.0) -> None:
    (home / "landing").mkdir(exist_ok=True)
    path = home / "landing" / f"{FIRST + day * DAY:%Y-%m-%d}.parquet"
    shift = 0.01 * (day % 7)
    numbers = f"{level} + {shift} + (i % 50) * 0.1, {price} + {shift} + (i % 40) * 0.1"
    rows = f"select amount::double as amount, price::double as price from (select {numbers} from range(500) t(i)) u(amount, price)"
    duckdb.sql(f"copy ({rows}) to '{path}' (format parquet)")


def measured(config: Config, store: Store, day: int) -> Finished:
    runner = Runner(config, store, InLine())
    dataset = config.datasets["orders"]
    window = dataset.calendar.holding(FIRST + day * DAY)
    assert runner.start(dataset, window, window.end, tells=True, again=True)
    [finished] = runner.collect(window.end)
    return finished


def failed(found: Sequence[Result], column: str) -> list[str]:
    return [r.message for r in found if r.status is Status.FAILED and r.column == column]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "config.toml"
    path.write_text(ORDERS)
    return load(path, {})


@pytest.fixture
def shifted(config: Config, store: Store, tmp_path: Path) -> Config:
    """Twenty even days, then one on which both columns lie elsewhere."""
    for day in range(20):
        written(tmp_path, day, 10.0)
        measured(config, store, day)
    written(tmp_path, 20, 90.0, 70.0)
    found = measured(config, store, 20).measured.results
    assert failed(found, "amount")
    assert failed(found, "price")
    return config


def test_an_accepted_level_is_normal_from_its_first_bad_window_on(shifted: Config, store: Store, tmp_path: Path) -> None:
    version = reference.accept(store, shifted, "orders", "ada", FIRST + 21 * DAY, "new supplier")
    for day in range(21, 30):
        written(tmp_path, day, 90.0, 70.0)
        found = measured(shifted, store, day)
        assert not failed(found.measured.results, "amount"), day
        assert not failed(found.measured.results, "price"), day
        assert found.measured.reference_version == version == 1
    [row] = references.versions(store, "orders")
    assert (row.author, row.note, row.start) == ("ada", "new supplier", FIRST + 20 * DAY)
    written(tmp_path, 30, 10.0)
    assert failed(measured(shifted, store, 30).measured.results, "amount"), "the old level is the odd one now"


def test_accepting_one_column_leaves_the_others_as_they_were(shifted: Config, store: Store, tmp_path: Path) -> None:
    reference.accept(store, shifted, "orders", "ada", FIRST + 21 * DAY, column="amount")
    written(tmp_path, 21, 90.0, 70.0)
    found = measured(shifted, store, 21).measured.results
    assert not failed(found, "amount")
    assert failed(found, "price")


def test_a_rollback_makes_the_old_level_normal_again_and_rewrites_nothing(shifted: Config, store: Store, tmp_path: Path) -> None:
    reference.accept(store, shifted, "orders", "ada", FIRST + 21 * DAY)
    written(tmp_path, 21, 90.0, 70.0)
    measured(shifted, store, 21)
    with store.reading() as connection:
        judged = connection.execute(select(results).where(results.c.window_start == FIRST + 21 * DAY)).all()
    assert reference.rollback(store, shifted, "orders", "bob", FIRST + 22 * DAY) == 1
    written(tmp_path, 22, 90.0, 70.0)
    found = measured(shifted, store, 22)
    [rows] = [r for r in found.measured.results if r.check == "row_count"]
    assert (rows.details or {})["windows"] == 22, "all of the past counts again"
    assert found.measured.reference_version is None
    with store.reading() as connection:
        assert connection.execute(select(results).where(results.c.window_start == FIRST + 21 * DAY)).all() == judged
    assert {row.reference_version for row in judged} == {1}
    [row] = references.versions(store, "orders")
    assert (row.rolled_back_by, row.rolled_back_at) == ("bob", FIRST + 22 * DAY)


def test_a_version_holds_only_for_windows_from_its_start_on(shifted: Config, store: Store) -> None:
    reference.accept(store, shifted, "orders", "ada", FIRST + 21 * DAY)
    assert references.in_force(store, "orders", FIRST + 19 * DAY).version is None
    assert references.in_force(store, "orders", FIRST + 20 * DAY).accepted == {"": FIRST + 20 * DAY}


def test_versions_are_numbered_per_dataset_and_never_twice(config: Config, store: Store) -> None:
    for expected in (1, 2):
        assert reference.accept(store, config, "orders", "ada", FIRST, start=FIRST) == expected
    assert reference.rollback(store, config, "orders", "ada", FIRST) == 2
    assert reference.accept(store, config, "orders", "ada", FIRST, start=FIRST) == 3
    assert reference.rollback(store, config, "orders", "ada", FIRST, 1) == 1
    assert [v.version for v in references.versions(store, "orders")] == [3, 2, 1]


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda s, c: reference.accept(s, c, "order", "ada", FIRST), "there is no dataset order (there are: orders)"),
        (lambda s, c: reference.accept(s, c, "orders", "ada", FIRST), "nothing of dataset orders has been measured yet"),
        (lambda s, c: reference.rollback(s, c, "orders", "ada", FIRST), "dataset orders has no version in force"),
        (lambda s, c: reference.mark(s, c, "orders", FIRST + DAY, "bad", "ada", FIRST), "has not begun yet"),
    ],
)
def test_what_cannot_be_done_says_why(config: Config, store: Store, act: Callable[[Store, Config], object], said: str) -> None:
    with pytest.raises(reference.ReferenceFault) as fault:
        act(store, config)
    assert said in str(fault.value)


def test_a_version_that_is_not_in_force_is_named_with_those_that_are(config: Config, store: Store) -> None:
    reference.accept(store, config, "orders", "ada", FIRST, start=FIRST)
    with pytest.raises(reference.ReferenceFault, match=r"version 7 of dataset orders is not in force \(there are: 1\)"):
        reference.rollback(store, config, "orders", "ada", FIRST, 7)


def test_the_last_mark_on_a_window_counts(config: Config, store: Store) -> None:
    reference.mark(store, config, "orders", FIRST + timedelta(hours=9), "bad", "ada", FIRST + DAY)
    reference.mark(store, config, "orders", FIRST, "expected", "bob", FIRST + DAY, "black friday")
    assert references.marked(store, "orders") == {FIRST: "expected"}
    assert Runner(config, store, InLine()).people(config.datasets["orders"], config.datasets["orders"].calendar.holding(FIRST))[
        "marks"
    ] == {FIRST: "expected"}


GOLD = (
    ORDERS + 'reference = {table = "gold.parquet"}\nchecks = [{kind = "drift", column = "amount", method = "psi", at_most = 0.2}]'
)


def test_a_golden_table_is_measured_once_and_is_what_counts(store: Store, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(GOLD)
    config = load(tmp_path / "config.toml", {})
    assert config.datasets["orders"].reference == Golden(table=str(tmp_path / "gold.parquet"))
    gold = "select (10 + (i % 50) * 0.1)::double as amount, (5 + (i % 40) * 0.1)::double as price from range(1000) t(i)"
    duckdb.sql(f"copy ({gold}) to '{tmp_path}/gold.parquet' (format parquet)")
    written(tmp_path, 0, 10.0)
    written(tmp_path, 1, 90.0)

    def drifts(day: int) -> list[Status]:
        return [r.status for r in measured(config, store, day).measured.results if r.check == "drift(amount)"]

    assert drifts(0) == [Status.PASSED], "judged at once: the golden table needs no history"
    (tmp_path / "gold.parquet").unlink()
    assert drifts(1) == [Status.FAILED]
    [version] = references.versions(store, "orders")
    assert (version.kind, version.version, version.note) == ("golden", 1, str(tmp_path / "gold.parquet"))
    assert measured(config, store, 1).measured.reference_version == 1


def test_a_golden_table_that_is_not_there_is_an_errored_window_that_names_it(store: Store, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(GOLD)
    written(tmp_path, 0, 10.0)
    found = measured(load(tmp_path / "config.toml", {}), store, 0).measured
    assert found.state == "errored"
    assert "gold.parquet" in str(found.error)
