"""What people hear and when: windows, rounds and a simulated clock over a real store; only the sending is left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr
from sqlalchemy import insert, select, update

from alerts.console import Console
from alerts.message import Message
from alerts.pace import Pace
from alerts.periods import instant
from alerts.plain import as_text
from alerts.routing import Route
from alerts.silencing import Maintenance
from alerts.slack import Slack
from checks.result import Family, Result, Severity, Status
from checks.window import Window
from monitor import printing, printing_told, rounds
from monitor.config import Config
from monitor.dataset import Dataset
from monitor.explaining import Unknown, explain, who_is_told
from monitor.job import Measured
from monitor.news import deciding, subjects
from monitor.store import ledger
from monitor.store.store import Store
from monitor.store.tables import deliveries, incidents, silences, tellings

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
TEAM = Slack(token=SecretStr("xoxb-0"), channel="#team")


def at(clock: str, day: int = 0) -> datetime:
    """A time on a Monday in November, or `day` days later, UTC."""
    hours, minutes = clock.split(":")
    return MONDAY + timedelta(days=day, hours=int(hours), minutes=int(minutes))


class World:
    """Hourly datasets, a threading channel `team`, others that are not; routes and plans as given."""

    def __init__(self, store: Store, *routes: dict[str, Any], names: int = 1, **more: Any) -> None:
        self.store = store
        self.datasets = {f"d{n}": Dataset(name=f"d{n}", table="d/{start}.csv", every=HOUR) for n in range(names)}
        written = [Route.model_validate(route) for route in routes or ({"to": ["team"]},)]
        channels = {"team": TEAM, "pager": TEAM, "inbox": Console()}
        self.config = Config(Path(), datasets=self.datasets, channels=channels, routes=tuple(written), **more)
        rounds.due(self.config, store, at("00:00", -500))

    def see(self, clock: str, letter: str, name: str = "d0", day: int = 0, rounded: bool = True) -> None:
        """The hour that ends at that time: F failed, C critical, O passed; then (`rounded`) what is due."""
        now = at(clock, day)
        if rounded:
            rounds.due(self.config, self.store, now)
        status = Status.PASSED if letter == "O" else Status.FAILED
        severity = {"F": Severity.WARNING, "C": Severity.CRITICAL}.get(letter)
        words = "missing(a) is 38 %, at most 2 % allowed"
        found = Result("missing(a)", "missing", Family.QUALITY, status, words, "a", severity=severity)
        measured = Measured("done", [found], 100, 0.1)
        window = Window(now - HOUR, now)
        claim = ledger.claim(self.store, name, window, MINUTE, again=True)
        assert claim is not None
        dataset = self.datasets[name]
        decide = deciding(self.config, dataset, window, measured, now)
        ledger.record(self.store, claim, measured, now, subjects(dataset), decide)
        if rounded:
            rounds.due(self.config, self.store, now)

    def heal(self, first: str, second: str, name: str = "d0", day: int = 0) -> None:
        self.see(first, "O", name, day)
        self.see(second, "O", name, day)

    def wait(self, clock: str, day: int = 0) -> None:
        rounds.due(self.config, self.store, at(clock, day))

    def sent(self, clock: str, day: int = 0) -> None:
        """All that waits is sent at that time."""
        now = at(clock, day)
        with self.store.begin() as connection:
            ready = (deliveries.c.state == "pending", deliveries.c.not_before.is_(None) | (deliveries.c.not_before <= now))
            connection.execute(update(deliveries).where(*ready).values(state="sent", sent_at=now, attempts=1))

    def rows(self) -> list[Any]:
        with self.store.reading() as connection:
            return list(connection.execute(select(deliveries).where(deliveries.c.state != "superseded").order_by(deliveries.c.id)))

    def said(self, channel: str = "team") -> list[str]:
        """`form key's end` of all that was written for a channel."""
        ends = [(row.form, row.key) for row in self.rows() if row.channel == channel]
        return [f"{form} {key.partition(f':{channel}:')[2]}" for form, key in ends]

    def messages(self, form: str) -> list[Message]:
        return [Message.from_json(json.loads(row.payload)) for row in self.rows() if row.form == form]

    def outcomes(self) -> list[tuple[str, str]]:
        with self.store.reading() as connection:
            return [(r.happened, r.outcome) for r in connection.execute(select(tellings).order_by(tellings.c.id))]

    def silence(self, start: str, end: str, **what: Any) -> None:
        body = {"author": "ann", "reason": "known", "starts_at": at(start), "ends_at": at(end), **what}
        with self.store.begin() as connection:
            connection.execute(insert(silences).values(**body))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path}/store.db")
    made.migrate()
    yield made
    made.close()


QUIET = {"to": ["team"], "quiet": "22:00-08:00"}

# Quiet hours and the digest.


def test_a_night_of_warnings_is_one_digest_that_also_names_what_healed_by_itself(store: Store) -> None:
    world = World(store, QUIET, names=2)
    world.see("02:00", "F")
    world.heal("03:00", "04:00")
    world.see("05:00", "F", "d1")
    assert world.said() == []
    world.wait("08:00")
    world.wait("08:01")
    assert world.said() == ["message 2026-11-23"]
    [digest] = world.messages("message")
    assert [f.text for f in digest.findings] == [
        "d1: missing(a) is 38 %, at most 2 % allowed · fired 05:00 (INC-2)",
        "d0: missing(a) is 38 %, at most 2 % allowed · fired 02:00, healed 04:00 (INC-1)",
    ]
    assert [f.resolved for f in digest.findings] == [False, True]
    assert digest.title == "Digest · 1 new, 1 over"
    assert "fired 02:00, healed 04:00" in as_text(digest)


def test_what_is_critical_passes_the_quiet_hours(store: Store) -> None:
    world = World(store, QUIET)
    world.see("02:00", "C")
    assert world.said() == ["root open:1"]


def test_a_warning_of_the_night_that_turns_critical_is_told_at_once(store: Store) -> None:
    world = World(store, QUIET)
    world.see("02:00", "F")
    world.see("03:00", "C")
    assert world.said() == ["root open:1"]
    world.wait("08:00")
    assert [f.text for f in world.messages("message")[0].findings] == [
        "d0: missing(a) is 38 %, at most 2 % allowed · open since 01:00, not acknowledged (INC-1)"
    ]


def test_a_warning_that_is_still_open_is_one_line_a_day(store: Store) -> None:
    world = World(store)
    world.see("12:00", "F")
    world.sent("12:00")
    for day in (1, 2, 3):
        world.wait("08:00", day)
        world.wait("20:00", day)
    assert world.said() == ["root open:1", *(f"message 2026-11-{day}" for day in (24, 25, 26))]
    assert [m.findings[0].text for m in world.messages("message")][:2] == [
        "d0: missing(a) is 38 %, at most 2 % allowed · open since 11:00 (INC-1)".replace("11:00", "Mon 11:00"),
        "d0: missing(a) is 38 %, at most 2 % allowed · open since Mon 11:00 (INC-1)",
    ]


def test_the_end_of_what_a_digest_told_is_a_line_of_the_next(store: Store) -> None:
    world = World(store, QUIET)
    world.see("02:00", "F")
    world.wait("08:00")
    world.heal("10:00", "11:00")
    world.wait("08:00", 1)
    assert world.said() == ["message 2026-11-23", "message 2026-11-24"]
    assert "healed Mon 11:00" in world.messages("message")[1].findings[0].text


def test_a_morning_without_news_has_no_digest(store: Store) -> None:
    world = World(store, QUIET)
    for day in range(5):
        world.wait("08:00", day)
    assert world.said() == []


def test_c3_a_host_that_slept_three_days_sends_one_digest_and_not_at_night(store: Store) -> None:
    world = World(store, QUIET)
    world.see("02:00", "F")
    world.wait("23:00", 3)
    assert world.said() == []
    world.wait("08:00", 4)
    assert world.said() == ["message 2026-11-27"]


def test_c1_a_clock_that_is_set_back_repeats_no_digest(store: Store) -> None:
    world = World(store, QUIET)
    world.see("02:00", "F")
    for clock in ("08:00", "06:00", "08:00", "10:00"):
        world.wait(clock)
    assert world.said() == ["message 2026-11-23"]


@pytest.mark.parametrize(
    ("zone", "change"),
    [
        ("Europe/Berlin", "2026-03-29"),
        ("Europe/Berlin", "2026-10-25"),
        ("America/New_York", "2026-03-08"),
        ("America/New_York", "2026-11-01"),
        ("Australia/Lord_Howe", "2026-10-04"),
        ("Australia/Lord_Howe", "2026-04-05"),
    ],
)
def test_c2_each_local_day_has_one_digest_at_the_end_of_its_quiet_hours(store: Store, zone: str, change: str) -> None:
    world = World(store, {"to": ["team"], "quiet": "22:00-08:00", "timezone": zone})
    world.see("12:00", "C", day=-400)
    days = [date.fromisoformat(change) + timedelta(days=n) for n in (-1, 0, 1)]
    now = instant(days[0], time(0), ZoneInfo(zone))
    rounds.due(world.config, store, now)
    before = len(world.messages("message"))
    while now < instant(days[-1], time(23), ZoneInfo(zone)):
        rounds.due(world.config, store, now)
        now += HOUR / 2
    told = [row for row in world.rows() if row.form == "message"][before:]
    assert [row.key.rpartition(":")[2] for row in told] == [str(day) for day in days]
    assert {row.created_at.astimezone(ZoneInfo(zone)).strftime("%H:%M") for row in told} == {"08:00"}


# What heals before it is sent.


def test_healed_before_it_could_be_sent_is_a_line_and_no_message(store: Store) -> None:
    world = World(store)
    world.see("12:00", "F")
    world.heal("13:00", "14:00")
    assert world.said() == []
    world.wait("08:00", 1)
    [digest] = world.messages("message")
    assert "fired Mon 12:00, healed Mon 14:00" in digest.findings[0].text


def test_a_critical_one_that_lasted_is_one_combined_message(store: Store) -> None:
    world = World(store)
    world.see("12:00", "C")
    world.heal("13:00", "14:00")
    assert [row.form for row in world.rows()] == ["root"]
    [said] = world.messages("root")
    assert said.state == "resolved"
    assert said.text == "RESOLVED d0: bad values, over after 3 h (was CRIT)"


# Reminders and escalation.


def test_what_nobody_acknowledges_is_mentioned_again_then_told_to_another_then_ever_less_often(store: Store) -> None:
    world = World(store, {**QUIET, "escalate": {"after": "45m", "to": ["pager"]}})
    world.see("22:00", "C")
    world.sent("22:00")
    for minutes in range(0, 16 * 60, 5):
        moment = at("22:00") + minutes * MINUTE
        rounds.due(world.config, store, moment)
    assert [s for s in world.said() if s.startswith("line")] == [f"line remind:{n}" for n in (1, 2, 3)]
    assert world.said("pager") == ["root open:1"]
    said = world.messages("line")[0]
    assert said.text.startswith("Not acknowledged for 15 min: CRIT d0: ")
    assert all(message.calls for message in world.messages("line"))
    with store.begin() as connection:
        connection.execute(update(incidents).values(acked_by="ann", acked_at=at("14:00", 1)))
    before = len(world.rows())
    world.wait("23:00", 1)
    assert [s for s in world.said() if "remind" in s] == [f"line remind:{n}" for n in (1, 2, 3)]
    assert len(world.rows()) <= before + 1


def test_c1_a_clock_that_jumps_repeats_no_reminder(store: Store) -> None:
    world = World(store)
    world.see("12:00", "C")
    world.sent("12:00")
    for clock in ("12:16", "14:16", "12:16", "12:20", "15:00"):
        world.wait(clock)
    assert [s for s in world.said() if "remind" in s] == ["line remind:1"]


def test_what_was_never_sent_has_no_reminder(store: Store) -> None:
    world = World(store)
    world.see("12:00", "C")
    world.wait("13:00")
    assert world.said() == ["root open:1"]


# Silences and maintenance.


def test_a_silence_keeps_quiet_and_what_still_stands_is_told_once_when_it_is_over(store: Store) -> None:
    world = World(store)
    world.silence("10:00", "14:00", subject="d0")
    world.see("12:00", "C")
    world.see("13:00", "C")
    assert world.said() == []
    assert world.outcomes() == [("opened", "silence")]
    world.wait("14:00")
    world.wait("14:01")
    assert world.said() == ["root open:1"]
    assert world.messages("root")[0].note == "no longer kept quiet, and still open"


def test_what_heals_under_a_silence_is_told_to_nobody(store: Store) -> None:
    world = World(store)
    world.silence("10:00", "16:00", subject="d*")
    world.see("12:00", "C")
    world.heal("13:00", "14:00")
    world.wait("16:00")
    world.wait("08:00", 1)
    assert world.said() == []


@pytest.mark.parametrize(
    ("what", "quiet"),
    [
        ({"family": "quality"}, True),
        ({"family": "drift"}, False),
        ({"check": "missing(a)"}, True),
        ({"check": "missing(b)"}, False),
        ({"incident": 1}, True),
        ({"incident": 2}, False),
        ({"subject": "d1"}, False),
        ({}, True),
    ],
)
def test_a_silence_holds_for_what_it_names(store: Store, what: dict[str, Any], quiet: bool) -> None:
    world = World(store)
    world.silence("10:00", "14:00", **what)
    world.see("12:00", "C")
    assert (world.said() == []) == quiet


def test_maintenance_keeps_its_datasets_quiet(store: Store) -> None:
    plan = Maintenance.model_validate({"datasets": "d0", "from": at("10:00"), "to": at("14:00"), "reason": "migration"})
    world = World(store, names=2, maintenance=(plan,))
    world.see("12:00", "C")
    world.see("12:00", "C", "d1")
    assert len(world.said()) == 1
    world.wait("14:00")
    assert world.said() == ["root open:1"] * 2


# Storms.


def test_s3_l1_many_incidents_at_once_are_one_message(store: Store) -> None:
    world = World(store, names=40)
    for n in range(40):
        world.see("02:00", "C" if n % 2 else "F", f"d{n}")
    assert world.said() == ["root open:1"]
    world.wait("02:06")
    [root] = world.messages("root")
    [edit] = world.messages("edit")
    assert root.state == "open"
    assert edit.text.startswith("STORM: 40 incidents in 40 datasets, 20 critical, since 2026-11-23 02:00 UTC; worst: ")
    assert len(edit.findings) == 10
    world.wait("02:20")
    ended = world.messages("line")[-1]
    assert ended.state == "resolved"
    assert "40 incidents" in ended.text
    assert "40 still open" in ended.text
    assert "(2026-11-23 02:00 to 2026-11-23 02:" in ended.text
    assert "; worst: " in ended.text


def test_those_that_were_sent_before_the_storm_keep_their_messages(store: Store) -> None:
    world = World(store, names=8)
    for n in range(5):
        world.see("02:00", "F", f"d{n}")
        world.sent("02:00")
    for n in range(5, 8):
        world.see("02:00", "F", f"d{n}")
    assert world.said() == ["root open:1"] * 6


def test_five_incidents_are_no_storm(store: Store) -> None:
    world = World(store, names=5)
    for n in range(5):
        world.see("02:00", "C", f"d{n}")
    assert world.said() == ["root open:1"] * 5


def test_storms_can_be_turned_off(store: Store) -> None:
    world = World(store, names=8, telling=Pace(storm=0))
    for n in range(8):
        world.see("02:00", "C", f"d{n}")
    assert world.said() == ["root open:1"] * 8


def test_rounds_that_are_made_twice_say_nothing_twice(store: Store) -> None:
    world = World(store, QUIET, names=10)
    for n in range(10):
        world.see("02:00", "C", f"d{n}")
    world.sent("02:00")
    for clock in ("02:15", "02:30", "08:00"):
        for _ in range(3):
            world.wait(clock)
    keys = [row.key for row in world.rows()]
    assert len(keys) == len(set(keys))


# Why.


def test_explain_says_who_was_told_by_which_rule_and_what_is_still_to_come(store: Store) -> None:
    world = World(store, {"to": ["inbox"], "severity": "critical"}, QUIET)
    world.see("02:00", "F")
    world.see("03:00", "C")
    facts = explain(world.config, store, "INC-1", at("04:00"))
    assert json.loads(printing.as_json(facts))["route"] == "critical -> inbox"
    assert [(c["happened"], c["channel"], c["outcome"]) for c in facts["changes"]] == [
        ("opened", "team", "held"),
        ("worse", "inbox", "told"),
        ("worse", "team", "told"),
    ]
    text = "\n".join(printing_told.explained(facts))
    assert "route 1 (critical -> inbox): takes it" in text
    assert "held (told since), quiet hours 22:00-08:00: a warning waits for the digest at 2026-11-23 08:00 UTC" in text
    assert "inbox  message  pending, 0 tries" in text


def test_explain_names_the_digest_and_the_storm_that_told_it(store: Store) -> None:
    world = World(store, QUIET, names=8)
    world.see("02:00", "F")
    world.wait("08:00")
    assert "(digest:team:2026-11-23)" in "\n".join(printing_told.explained(explain(world.config, store, "INC-1", at("09:00"))))
    for n in range(1, 8):
        world.see("12:00", "C", f"d{n}")
    facts = explain(world.config, store, "INC-5", at("13:00"))
    assert facts["changes"][0]["outcome"] == "storm"
    assert facts["changes"][0]["storm"] is not None


def test_explain_of_a_result_leads_to_its_incident(store: Store) -> None:
    world = World(store)
    world.see("12:00", "C")
    world.see("13:00", "O")
    assert explain(world.config, store, "1", at("14:00"))["incident"] == "INC-1"
    assert "nothing to tell" in explain(world.config, store, "2", at("14:00"))["why"]


@pytest.mark.parametrize(("what", "said"), [("INC-9", "no incident INC-9"), ("9", "no result 9"), ("orders", "neither")])
def test_explain_of_what_is_not_there_says_so(store: Store, what: str, said: str) -> None:
    with pytest.raises(Unknown, match=said):
        explain(World(store).config, store, what, at("12:00"))


def test_routes_test_says_who_would_be_told_and_why_not_the_others(store: Store) -> None:
    world = World(store, {"to": ["pager"], "severity": "critical", "dataset": "pay*"}, QUIET)
    facts = who_is_told(world.config, {"severity": "critical", "dataset": "d0"}, at("03:00"))
    assert printing_told.tested(facts) == [
        "route 1 (critical, dataset pay* -> pager): not, dataset d0 is not pay*",
        "route 2 (everything else -> team): takes it",
        "told: team",
    ]
    waits = who_is_told(world.config, {"severity": "warning"}, at("03:00"))
    assert waits["waits_until"] == at("08:00")


@pytest.mark.parametrize(
    ("given", "said"), [({"sevrity": "x"}, "nothing that a route"), ({"severity": "bad"}, "critical or warning")]
)
def test_routes_test_refuses_what_no_route_can_ask(store: Store, given: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        who_is_told(World(store).config, given, at("12:00"))
