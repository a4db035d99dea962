"""What is still to be done, and that finding it never reads the whole ledger."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, select, text

from checks.window import Window
from monitor.store import days, ledger, looking, pruning, waiting
from monitor.store.decisions import Claim
from monitor.store.store import Store
from monitor.store.tables import profiles, windows

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
AGES_AGO = NOON - 100 * DAY


def row(dataset: str, hour: int, state: str = "done", **more: Any) -> dict[str, Any]:
    start = NOON + hour * HOUR
    given = {"next_attempt_at": None, "lease_until": None, "lease_owner": None, **more}
    return {"dataset": dataset, "lane": "live", "start": start, "end": start + HOUR, "state": state, **given}


def errored(dataset: str, hour: int, again: datetime = NOON) -> dict[str, Any]:
    return row(dataset, hour, "errored", next_attempt_at=again)


def put(store: Store, *rows: dict[str, Any]) -> None:
    with store.begin() as connection:
        connection.execute(insert(windows), list(rows))


def found(store: Store, now: datetime = NOON, since: datetime = AGES_AGO) -> list[tuple[str, int]]:
    """(dataset, hours after noon) of each dataset's oldest window to try again."""
    return [(name, (start - NOON) // HOUR) for name, start, _ in waiting.oldest_unfinished(store, now, since)]


# The latest of each dataset.


def test_each_dataset_is_found_once_with_its_latest_end(store: Store) -> None:
    put(store, *(row(name, hour) for name in ("b", "a", "ä", "", "B", "a b") for hour in range(-3, 0)), row("late", -9))

    assert waiting.last_ends(store) == dict.fromkeys(("b", "a", "ä", "", "B", "a b"), NOON) | {"late": NOON - 8 * HOUR}
    assert {name: r.end for name, r in looking.last_windows(store).items()} == waiting.last_ends(store)


def test_an_empty_ledger_knows_no_dataset(store: Store) -> None:
    assert waiting.last_ends(store) == {}
    assert looking.last_windows(store) == {}
    assert found(store) == []


def test_the_end_is_the_latest_also_where_a_window_that_began_earlier_ends_later(store: Store) -> None:
    long = {**row("a", -24), "end": NOON + 5 * HOUR}
    put(store, long, row("a", -2))

    assert waiting.last_ends(store) == {"a": NOON + 5 * HOUR}


# To try again.


def test_of_each_dataset_the_oldest_that_is_due_is_tried_again(store: Store) -> None:
    put(store, errored("a", 3), errored("a", 1), errored("a", 2), row("a", 0), errored("b", 5), row("c", 0))

    assert found(store) == [("a", 1), ("b", 5)]


def test_one_that_is_not_due_yet_does_not_hide_those_behind_it(store: Store) -> None:
    put(store, errored("a", 1, NOON + HOUR), errored("a", 2))

    assert found(store) == [("a", 2)]
    assert found(store, NOON + HOUR) == [("a", 1)]


def test_one_that_is_too_old_does_not_hide_those_behind_it(store: Store) -> None:
    put(store, errored("a", -48), errored("a", -2))

    assert found(store, since=NOON - DAY) == [("a", -2)]


def test_a_dataset_that_somebody_is_at_waits_and_one_that_was_left_is_taken_over(store: Store) -> None:
    ahead = datetime.now(UTC) + HOUR
    put(
        store,
        row("at", 1, "running", lease_owner="elsewhere:1", lease_until=ahead),
        errored("at", 2),
        row("left", 1, "running", lease_owner="elsewhere:1", lease_until=NOON),
    )

    assert found(store) == [("left", 1)]


# None of it reads the whole ledger.

QUESTIONS: dict[str, Callable[[Store], object]] = {
    "last_ends": waiting.last_ends,
    "unfinished": lambda store: waiting.unfinished(store, NOON),
    "oldest_unfinished": lambda store: waiting.oldest_unfinished(store, NOON, NOON - DAY),
    "last_windows": looking.last_windows,
    "unmerged": lambda store: days.unmerged(store, ["dataset-1", "dataset-2"], NOON),
    "renew": lambda store: ledger.renew(store, [claim()], HOUR),
    "prune": lambda store: pruning.prune(store, _settings(), NOON - 900 * DAY),
}


def claim() -> Claim:
    return Claim(1, "dataset-1", Window(NOON, NOON + HOUR), "token", 1)


def _settings() -> Any:
    from monitor.settings import StoreSettings

    return StoreSettings()


@pytest.fixture
def full(store: Store) -> Store:
    """A store of many done windows."""
    for name in range(40):
        put(store, *(row(f"dataset-{name}", hour) for hour in range(-100, 0)))
    return store


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_question_of_a_tick_reads_all_windows_or_profiles(full: Store, question: str) -> None:
    asked: list[tuple[str, Any]] = []
    event.listen(full.engine, "before_cursor_execute", lambda _c, _cu, statement, given, *_: asked.append((statement, given)))
    QUESTIONS[question](full)

    for statement, given in list(asked):
        for line in plan(full, statement, given):
            assert not reads_all(line), f"{statement}\n{line}"
    assert any("windows" in statement or "profiles" in statement for statement, _ in asked)


def test_a_question_that_reads_all_windows_is_seen(full: Store) -> None:
    query = str(select(windows.c.id).where(windows.c.seconds > 5).compile(full.engine, compile_kwargs={"literal_binds": True}))

    assert any(reads_all(line) for line in plan(full, query, ()))


def plan(store: Store, statement: str, given: Any) -> list[str]:
    if not statement.lstrip().upper().startswith(("SELECT", "WITH", "UPDATE", "DELETE")):
        return []
    with store.begin() as connection:
        if not store.sqlite:
            # So few rows are quickest read as they lie: it does so only where no index fits.
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        how = "EXPLAIN QUERY PLAN" if store.sqlite else "EXPLAIN"
        return [str(row[-1]) for row in connection.exec_driver_sql(f"{how} {statement}", given)]


def reads_all(line: str) -> bool:
    """SQLite scans a table, or an index that is not one of the partial ones; PostgreSQL scans in sequence."""
    if "Seq Scan on windows" in line or "Seq Scan on profiles" in line:
        return True
    scanned = line.startswith(("SCAN windows", "SCAN profiles"))
    return scanned and "ix_windows_un" not in line


# Stores of the first version.


def test_a_store_of_the_first_version_is_brought_up_to_date(store_url: str, tmp_path: Path) -> None:
    from alembic import command
    from alembic.config import Config

    import monitor.store

    store = Store(store_url)
    config = Config()
    config.set_main_option("script_location", str(Path(monitor.store.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    with store.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    old = [row("hourly", -2), row("hourly", -1), {**row("daily", -48), "end": NOON - DAY}, row("empty", -1, "no_data")]
    columns = ("dataset", "lane", "start", "end", "state")
    with store.begin() as connection:
        for one in old:
            connection.execute(insert(windows).values({name: one[name] for name in columns}))
        for one in (old[1], old[2]):
            kept = {name: one[name] for name in columns[:4]}
            connection.execute(insert(profiles).values(**kept, rows=1, body=b"profile"))

    store.migrate()

    with store.reading() as connection:
        marked = connection.execute(select(windows.c.dataset, windows.c.merged).order_by(windows.c.id)).all()
        assert [tuple(found) for found in marked] == [("hourly", None), ("hourly", False), ("daily", None), ("empty", None)]
        assert connection.execute(select(profiles.c.body)).scalars().all() == [b"profile"] * 2
    store.close()
