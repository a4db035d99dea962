"""Two simulated weeks through the real deciding, store, rounds and sending: nothing lost, nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest

from alerts.message import Message, Outgoing
from benchmarks.alert_faults import Plan
from benchmarks.alert_told import Sent, Year, report
from benchmarks.alert_year import Simulation, datasets, hasty
from checks.result import Severity
from checks.window import Window
from monitor.store.store import Store


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Year]:
    store = hasty(Store(f"sqlite:///{tmp_path_factory.mktemp('year')}/store.db"))
    store.migrate()
    yield Simulation(Plan(datasets(hourly=6, daily=4), days=14, seed=3), store).run()
    store.close()


def test_every_incident_is_told_or_explained_by_one_that_is(year: Year) -> None:
    assert len(year.opened) >= 10
    assert year.lost == set()


def test_no_message_comes_twice(year: Year) -> None:
    assert len(year.sent) >= 20
    assert year.twice == {}


def test_who_was_told_of_an_incident_hears_of_its_end(year: Year) -> None:
    assert len(year.ended & year.told) >= 10
    assert year.endless == set()


def test_in_quiet_hours_nothing_but_what_is_critical_is_shown(year: Year) -> None:
    shown = [s.outgoing.message for s in year.night(year.sent) if s.shown and s.channel == "team"]
    assert [m.text for m in shown if m.severity is not Severity.CRITICAL] == []


def page(key: str, channel: str = "oncall", hour: int = 3, form: Literal["root", "line"] = "root") -> Sent:
    """A message about something critical at an hour of a winter's day in UTC."""
    at = datetime(2026, 1, 5, hour, tzinfo=UTC)
    said = Message("open", "t", "t", at, Severity.CRITICAL)
    return Sent(at, channel, Outgoing(form, key, said, broadcast=True))


def test_each_page_at_night_counts_under_what_it_says(tmp_path: Path) -> None:
    sent = [
        page("inc:1-x:oncall:open:1"),
        page("inc:1-x:oncall:remind:1", form="line"),
        page("inc:1-x:oncall:remind:2", form="line"),
        page("inc:1-x:pager:open:1", "pager"),
        page("inc:1-x:oncall:line:4", form="line"),
        page("inc:2-x:oncall:open:1", hour=12),
    ]
    store = Store(f"sqlite:///{tmp_path}/none.db")
    found = Year(Plan(datasets()), sent, store)
    store.close()
    assert found.reasons() == {"begins": 1, "worse, or again": 1, "reminders": 2, "second target": 1}
    assert sum(found.reasons().values()) == len(found.pages())


def test_a_message_that_is_left_out_is_seen_as_lost(year: Year) -> None:
    number = min(year.told & year.opened.keys())
    name = f"INC-{number}"
    kept = [s for s in year.sent if s.outgoing.message.incident != name and name not in str(s.outgoing.message.findings)]
    assert number in Year(year.plan, kept, year.store).lost


def test_a_message_that_comes_again_is_seen_as_twice(year: Year) -> None:
    assert set(Year(year.plan, [*year.sent, year.sent[0]], year.store).twice.values()) == {2}


def test_the_tables_have_every_channel_and_the_whole_count(year: Year) -> None:
    text = report(year)
    assert "| **lost**" in text
    for channel in ("oncall", "team"):
        shown = sum(s.shown for s in year.sent if s.channel == channel)
        [row] = [line for line in text.splitlines() if line.startswith(f"| {channel} ")]
        assert row.rstrip(" |").endswith(str(shown))


def test_quiet_windows_that_are_only_noted_change_nothing_that_is_told(tmp_path: Path) -> None:
    class Whole(Plan):
        def quiet(self, dataset: object, window: Window) -> bool:
            return False

    told = []
    for kind in (Plan, Whole):
        store = hasty(Store(f"sqlite:///{tmp_path}/{kind.__name__}.db"))
        store.migrate()
        done = Simulation(kind(datasets(hourly=2, daily=1), days=2, noise=0.01, seed=5), store).run()
        told.append([(s.at, s.channel, s.outgoing.key, s.outgoing.message.text) for s in done.sent])
        store.close()
    assert told[0]
    assert told[0] == told[1]


def test_the_same_seed_makes_the_same_plan() -> None:
    plans = [Plan(datasets(), seed=seed) for seed in (1, 1, 2)]
    assert plans[0].faults == plans[1].faults
    assert plans[0].faults != plans[2].faults
    storms = [f for faults in plans[0].faults.values() for f in faults if f.what == "night storm"]
    assert len(storms) == 8
    assert all(f.end - f.start == timedelta(hours=3) for f in storms)
