"""Two daemons on one store make the same rounds at once: the digest and the storm are told once, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import select

from monitor import rounds
from monitor.store.store import Store
from monitor.store.tables import incidents, tellings
from tests.test_rounds import QUIET, World, at

DAEMONS = 4


@pytest.fixture
def others(store: Store, store_url: str) -> Iterator[list[Store]]:
    """Several stores on the same database, each with connections of its own."""
    made = [Store(store_url) for _ in range(DAEMONS)]
    yield made
    for each in made:
        each.close()


def at_once(world: World, others: list[Store], clock: str, day: int = 0) -> None:
    """All of them make their rounds, starting in the same moment; what goes wrong in one is raised."""
    start = Barrier(len(others))

    def make(store: Store) -> None:
        start.wait(60)
        rounds.due(world.config, store, at(clock, day))

    with ThreadPoolExecutor(len(others)) as pool:
        list(pool.map(make, others))


def keys(world: World) -> list[str]:
    return [row.key for row in world.rows()]


def test_a_digest_is_written_once(store: Store, others: list[Store]) -> None:
    world = World(store, QUIET, names=3)
    for n in range(3):
        world.see("02:00", "F", f"d{n}")
    at_once(world, others, "08:00")
    assert keys(world) == ["digest:team:2026-11-23"]
    [digest] = world.messages("message")
    assert len(digest.findings) == 3
    with store.reading() as connection:
        assert set(connection.execute(select(tellings.c.digest)).scalars()) == {"digest:team:2026-11-23"}


def test_a_storm_begins_once_and_counts_everybody(store: Store, others: list[Store]) -> None:
    world = World(store, names=9)
    for n in range(9):
        # Without the rounds that `see` makes at its end: the storm is left to those who come at once.
        world.see("12:00", "C", f"d{n}", rounded=False)
    at_once(world, others, "12:00")
    with store.reading() as connection:
        storms = select(incidents.c.id).where(incidents.c.subject == "storm:team")
        [storm] = connection.execute(storms).scalars()
        counted = list(connection.execute(select(tellings.c.incident).where(tellings.c.storm == storm)).scalars())
    assert sorted(counted) == list(range(1, 10))
    [root] = [row for row in world.rows() if row.form == "root"]
    assert root.incident == storm
    assert "9 incidents" in world.messages("root")[0].text


def test_a_storm_ends_once(store: Store, others: list[Store]) -> None:
    world = World(store, names=8)
    for n in range(8):
        world.see("12:00", "C", f"d{n}")
    world.sent("12:00")
    at_once(world, others, "12:30")
    assert [key for key in world.said() if "resolved" in key] == ["line resolved:1"]
    assert len(keys(world)) == len(set(keys(world)))


def test_a_reminder_is_written_once(store: Store, others: list[Store]) -> None:
    world = World(store)
    world.see("12:00", "C")
    world.sent("12:00")
    at_once(world, others, "12:15")
    assert world.said() == ["root open:1", "line remind:1"]
