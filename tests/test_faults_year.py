"""L3: a year of history makes no turn of the daemon longer. Counted in steps of SQLite's machine, on any computer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event, insert

from alerts.console import Console
from alerts.routing import Route
from alerts.telling import harmless
from monitor.config import Config
from monitor.dataset import Dataset
from monitor.rounds import releases
from monitor.runner import Runner
from monitor.store import outbox
from monitor.store.store import Store
from monitor.store.tables import deliveries, events, incidents, tellings, windows
from monitor.testing.inline import InLine

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
NAMES = [f"d{n}" for n in range(4)]
CONFIG = Config(
    Path("config.toml"),
    datasets={name: Dataset(name=name, table="d/{start}.csv", every=HOUR) for name in NAMES},
    channels={"team": Console()},
    routes=(Route(to=("team",)),),
)


def lived(store: Store, days: int) -> None:
    """Hourly windows that all went well up to now, and ten incidents a day that were told and are over."""
    last = NOW.replace(minute=0)
    ends = [last - n * HOUR for n in range(days * 24)]
    done = [
        {"dataset": name, "start": end - HOUR, "end": end, "state": "done", "rows": 9, "attempts": 1, "finished_at": end}
        for name in NAMES
        for end in ends
    ]
    payload = json.dumps(harmless("team", NOW).as_json())
    with store.begin() as connection:
        connection.execute(insert(windows), done)
        for n in range(1, 10 * days + 1):
            at = last - n * DAY / 10
            about = {"subject": NAMES[n % 4], "family": "quality", "severity": "warning", "since": at, "opened_at": at}
            connection.execute(insert(incidents).values(id=n, revision=2, resolved_at=at + HOUR, **about))
            for happened, revision in (("opened", 1), ("resolved", 2)):
                said = {"incident": n, "revision": revision, "at": at, "happened": happened}
                connection.execute(insert(events).values(text="it", **said))
                told = {"channel": "team", "outcome": "told", "reason": "", "route": "everything", "line": "it"}
                connection.execute(insert(tellings).values(**said, **told))
                sent = {"state": "sent", "sent_at": at, "payload": payload, "created_at": at, "revision": revision}
                key = f"inc:{n}:team:{happened}"
                connection.execute(insert(deliveries).values(key=key, incident=n, channel="team", form="message", **sent))


@contextmanager
def steps(store: Store) -> Iterator[Callable[[], int]]:
    """How many thousands of steps SQLite made while this lasts."""
    counted = 0

    def more() -> int:
        nonlocal counted
        counted += 1
        return 0

    def listen(connection: Any, _record: Any) -> None:
        connection.set_progress_handler(more, 1000)

    event.listen(store.engine, "connect", listen)
    try:
        yield lambda: counted
    finally:
        event.remove(store.engine, "connect", listen)


def turn(store: Store, days: int) -> int:
    """The steps of a turn of the daemon after so many days."""
    store.migrate()
    lived(store, days)
    runner = Runner(CONFIG, store, InLine())
    with steps(store) as counted:
        runner.tick(NOW)
        with store.reading() as connection:
            assert releases.due(connection, CONFIG, NOW) == []
        outbox.waiting_channels(store, NOW)
        outbox.claim(store, "team", NOW, HOUR)
    assert runner.running == {}, "nothing was due"
    return counted()


def test_l3_after_a_year_a_turn_has_hardly_more_to_do_than_after_a_week(tmp_path: Path) -> None:
    found = []
    for days in (7, 365):
        store = Store(f"sqlite:///{tmp_path}/{days}.db")
        found.append(turn(store, days))
        store.close()
    week, year = found
    assert year <= 3 * week + 5, f"{week} thousand steps after a week, {year} after a year"
