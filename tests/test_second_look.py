"""`late` of a dataset: each window is looked at once more, changes what came late, and pages nobody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from monitor.config import ConfigError
from monitor.runner import Runner
from monitor.store.store import Store
from monitor.store.tables import incidents, results, tellings
from tests.test_runner import TEAM, InLine, config, days, home, land, rows, store, work, written

__all__ = ["home", "store"]
CLOSED = datetime(2026, 11, 23, 0, 30, tzinfo=UTC)
"""Half an hour after the window of the 22nd closed."""
HOUR = timedelta(hours=1)
LATE = """
[datasets.orders]
table = "landing/orders-{start:%Y-%m-%d}.parquet"
auto = false
late = "6h"
checks = [{kind = "missing", column = "amount", at_most = 0.1, severity = "critical"}]
"""


@pytest.fixture
def runner(home: Path, store: Store) -> Runner:
    return Runner(config(home, LATE, TEAM), store, InLine())


def values(store: Store) -> list[float]:
    with store.reading() as connection:
        return list(connection.execute(select(results.c.value).where(results.c.kind == "missing")).scalars())


def kept(store: Store, table: Any) -> list[Any]:
    with store.reading() as connection:
        return list(connection.execute(select(table)))


def test_a_window_is_looked_at_once_more_and_no_more_than_that(home: Path, runner: Runner, store: Store) -> None:
    land(home, 22)
    assert days(work(runner, CLOSED)) == [22]
    assert work(runner, CLOSED + 5 * HOUR) == [], "its late rows have time until six hours after its end"
    land(home, 22, missing=1, rows=30)

    assert days(work(runner, CLOSED + 6 * HOUR)) == [22]

    assert rows(store)[0].rows == 30
    assert values(store) == [pytest.approx(1 / 30)]
    assert work(runner, CLOSED + 7 * HOUR) == []


def test_where_nothing_came_what_was_recorded_stands(home: Path, runner: Runner, store: Store) -> None:
    land(home, 22)
    work(runner, CLOSED)
    before = kept(store, results)
    # As many rows, so nothing came late: it is not judged by what was learned since.
    land(home, 22, missing=15)

    work(runner, CLOSED + 6 * HOUR)

    assert kept(store, results) == before
    assert (rows(store)[0].state, rows(store)[0].rows, rows(store)[0].finished_at) == ("done", 20, CLOSED + 6 * HOUR)
    assert written(store) == []


def test_what_a_second_look_finds_pages_nobody(home: Path, runner: Runner, store: Store) -> None:
    land(home, 22)
    work(runner, CLOSED)
    land(home, 22, missing=20, rows=40)

    work(runner, CLOSED + 6 * HOUR)

    assert values(store) == [0.5]
    assert written(store) == []
    assert {telling.outcome for telling in kept(store, tellings)} == {"digest"}


def test_an_empty_window_whose_rows_came_late_is_over(home: Path, runner: Runner, store: Store) -> None:
    # Without any file that the path ever matched it would be a wrong path.
    land(home, 21)
    work(runner, CLOSED)
    [opened] = kept(store, incidents)
    assert (opened.family, opened.resolved_at) == ("arrival", None)
    land(home, 22)

    work(runner, CLOSED + 6 * HOUR)

    assert (rows(store)[0].state, rows(store)[0].rows) == ("done", 20)
    assert [i.resolved_at is not None for i in kept(store, incidents)] == [True]


def test_what_cannot_be_read_again_stands_as_it_was(home: Path, runner: Runner, store: Store) -> None:
    land(home, 22)
    work(runner, CLOSED)
    before = kept(store, results)
    (home / "landing" / "orders-2026-11-22.parquet").write_bytes(b"PAR1 and no more")

    work(runner, CLOSED + 6 * HOUR)

    assert kept(store, results) == before
    assert rows(store)[0].state == "done"
    assert kept(store, incidents) == []


def test_a_new_window_comes_before_a_second_look(home: Path, runner: Runner) -> None:
    for day in (22, 23):
        land(home, day)
    work(runner, CLOSED)
    land(home, 22, rows=30)

    assert days(work(runner, CLOSED + 24 * HOUR)) == [23, 22]


def test_a_window_first_measured_when_its_late_rows_were_there_has_no_second_look(home: Path, runner: Runner) -> None:
    land(home, 22)
    assert days(work(runner, CLOSED + 8 * HOUR)) == [22]
    assert work(runner, CLOSED + 9 * HOUR) == []


def test_without_late_no_window_is_looked_at_again(home: Path, store: Store) -> None:
    runner = Runner(config(home, LATE.replace('late = "6h"', ""), TEAM), store, InLine())
    land(home, 22)
    work(runner, CLOSED)
    land(home, 22, rows=30)
    assert work(runner, CLOSED + 8 * HOUR) == []
    assert rows(store)[0].rows == 20


def test_late_must_be_longer_than_delay(home: Path) -> None:
    with pytest.raises(ConfigError, match="late must be longer than delay"):
        config(home, LATE.replace('late = "6h"', 'late = "1h"\ndelay = "2h"'))
