"""C2: the nights in which the clocks change, lived through: real rounds, real summaries, a store, and a mail server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, select

from alerts.mail import Mail
from alerts.pace import Pace
from alerts.periods import instant
from alerts.routing import Route
from checks.result import Family, Result, Severity, Status
from checks.window import Window
from monitor import delivery, rounds, summary
from monitor.config import Config
from monitor.dataset import Dataset
from monitor.job import Measured
from monitor.news import deciding, subjects
from monitor.settings import SummarySettings
from monitor.store import ledger
from monitor.store.store import Store
from monitor.store.tables import deliveries, tellings
from monitor.store.tables import rounds as turns
from monitor.testing import SmtpSink

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
QUARTER, HALF = 15 * MINUTE, 30 * MINUTE


@dataclass(frozen=True)
class Change:
    """A Sunday on which a zone's clocks change, a time it does not have or has twice, and the instant (UTC) that stands for it."""

    zone: str
    day: date
    odd: str
    instant: str
    night: float
    """Hours from 22:00 to 08:00."""

    def __str__(self) -> str:
        return f"{self.zone}-{self.day}"

    def at(self, clock: str, days: int = 0) -> datetime:
        return instant(self.day + days * DAY, time.fromisoformat(clock), ZoneInfo(self.zone))

    @property
    def odd_instant(self) -> datetime:
        return datetime.fromisoformat(self.instant).replace(tzinfo=UTC)


CHANGES = [
    Change("Europe/Berlin", date(2026, 3, 29), "02:30", "2026-03-29T01:00", 9),
    Change("Europe/Berlin", date(2026, 10, 25), "02:30", "2026-10-25T00:30", 11),
    Change("America/New_York", date(2026, 3, 8), "02:30", "2026-03-08T07:00", 9),
    Change("America/New_York", date(2026, 11, 1), "01:30", "2026-11-01T05:30", 11),
    Change("Australia/Lord_Howe", date(2026, 10, 4), "02:15", "2026-10-03T15:30", 9.5),
    Change("Australia/Lord_Howe", date(2026, 4, 5), "01:45", "2026-04-04T14:45", 10.5),
]
each_change = pytest.mark.parametrize("change", CHANGES, ids=str)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path}/store.db")
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Iterator[SmtpSink]:
    # A mail every so often is a courtesy that takes real time.
    monkeypatch.setattr(Mail, "pace", 0.0)
    with SmtpSink(tls="none") as running:
        yield running


class House:
    """Hourly datasets, one route to one inbox that has the weekly mail, too; nothing of it knows what day it is."""

    def __init__(self, store: Store, sink: SmtpSink, zone: str, names: int = 1, weekly: str = "mon 09:00", **route: Any) -> None:
        self.store = store
        inbox = Mail.model_validate(
            {"server": sink.server, "tls": False, "sender": "vigil@example.com", "to": ["a@example.com"], "timeout": 30}
        )
        self.config = Config(
            Path("config.toml"),
            datasets={f"d{n}": Dataset(name=f"d{n}", table="d/{start}.csv", every=HOUR) for n in range(names)},
            channels={"inbox": inbox},
            routes=(Route.model_validate({"to": ["inbox"], "timezone": zone, **route}),),
            summary=SummarySettings(weekly=weekly, timezone=zone, to=("inbox",)),
            telling=Pace(storm=0),
        )

    def bad(self, now: datetime, name: str, severity: Severity = Severity.WARNING) -> None:
        """A window that has ended just now, with a finding that stays."""
        words = "missing(a) is 38 %, at most 2 % allowed"
        found = Result("missing(a)", "missing", Family.QUALITY, Status.FAILED, words, "a", severity=severity)
        measured, window, dataset = Measured("done", [found], 100, 0.1), Window(now - HOUR, now), self.config.datasets[name]
        claim = ledger.claim(self.store, name, window, MINUTE)
        assert claim is not None
        decide = deciding(self.config, dataset, window, measured, now)
        ledger.record(self.store, claim, measured, now, subjects(dataset), decide)

    def turn(self, now: datetime) -> None:
        """What the daemon does: its rounds and summaries, by two daemons at once, and what waits is sent."""
        for _ in range(2):
            rounds.due(self.config, self.store, now)
            summary.send_due(self.config, self.store, now)
        delivery.drain(self.config, self.store, "inbox", lambda: now)

    def live(self, start: datetime, end: datetime, step: timedelta) -> None:
        while start < end:
            self.turn(start)
            start += step

    def sent(self, begins: str) -> list[tuple[str, datetime]]:
        """(the end of its key, when it was written down) of the messages whose key begins so."""
        with self.store.reading() as connection:
            query = select(deliveries).where(deliveries.c.key.startswith(begins)).order_by(deliveries.c.id)
            rows = connection.execute(query).all()
        assert {row.state for row in rows} <= {"sent"}
        return [(row.key.rpartition(":")[2], row.created_at) for row in rows]


def lived(house: House, change: Change) -> None:
    """From two days before the change to eight after; a close look where something is due on the two days, else twice a day."""
    first, last = change.at("12:00", -2), change.at("12:00", 8)
    with house.store.begin() as connection:
        done = {"name": f"digest:inbox:{house.config.routes[0].digests[0]}", "last_at": first}
        connection.execute(insert(turns).values(**done))
    house.bad(first, "d0", Severity.CRITICAL)
    for start, end, step in (
        (first, change.at("00:00"), 12 * HOUR),
        (change.at("00:00"), change.at("03:30"), QUARTER),
        (change.at("07:45"), change.at("08:30"), QUARTER),
        (change.at("07:45", 1), change.at("09:30", 1), QUARTER),
        (change.at("12:00", 1), last + HOUR, 12 * HOUR),
    ):
        house.live(start, end, step)


def weeks_to(change: Change, first: int) -> list[str]:
    """Two weeks, the first of which ends so many days from the change."""
    ends = (change.day + (first + n) * DAY for n in (0, 7))
    return [f"{year}-W{week:02d}" for year, week, _ in (day.isocalendar() for day in ends)]


@each_change
def test_c2_every_local_day_has_one_digest_and_every_local_week_one_mail(store: Store, sink: SmtpSink, change: Change) -> None:
    house = House(store, sink, change.zone, digest="08:00")
    lived(house, change)

    digests, weekly = house.sent("digest:"), house.sent("report:weekly:")
    assert [day for day, _ in digests] == [str(change.day + n * DAY) for n in range(-1, 9)]
    assert [at for _, at in digests[1:3]] == [change.at("08:00", n) for n in (0, 1)]
    assert [week for week, _ in weekly] == weeks_to(change, 0)
    assert weekly[0][1] == change.at("09:00", 1)
    subjects_ = [str(mail["Subject"]) for mail in sink.mails]
    assert (sum("Digest" in s for s in subjects_), sum(s.startswith("Data quality week") for s in subjects_)) == (10, 2)
    assert len({mail["Message-ID"] for mail in sink.mails}) == len(sink.mails)


@each_change
def test_c2_a_time_that_is_not_there_or_comes_twice_has_one_digest_and_one_mail(
    store: Store, sink: SmtpSink, change: Change
) -> None:
    house = House(store, sink, change.zone, weekly=f"sun {change.odd}", digest=change.odd)
    lived(house, change)

    digests, weekly = dict(house.sent("digest:")), dict(house.sent("report:weekly:"))
    assert list(digests) == [str(change.day + n * DAY) for n in range(-1, 9)]
    assert digests[str(change.day)] == weekly[weeks_to(change, -7)[0]] == change.odd_instant
    assert list(weekly) == weeks_to(change, -7)
    assert (len(house.sent("digest:")), len(house.sent("report:weekly:"))) == (10, 2)


@each_change
def test_c2_the_night_is_as_long_as_it_is_and_its_warnings_are_one_digest(store: Store, sink: SmtpSink, change: Change) -> None:
    moments = [change.at("20:00", -1) + n * HALF for n in range(2 * 15)]
    house = House(store, sink, change.zone, len(moments), quiet="22:00-08:00")
    house.turn(change.at("19:00", -1))
    for number, now in enumerate(moments):
        house.bad(now, f"d{number}")
        house.turn(now)

    with store.reading() as connection:
        held = [row.at for row in connection.execute(select(tellings).order_by(tellings.c.at)) if row.outcome == "held"]
    assert held == [now for now in moments if change.at("22:00", -1) <= now < change.at("08:00")]
    assert len(held) == change.night * 2
    [(day, at)] = house.sent("digest:")
    assert (day, at) == (str(change.day), change.at("08:00"))
    [digest] = [mail for mail in sink.mails if "Digest" in mail["Subject"]]
    assert f"{len(held)} new" in digest["Subject"]


@each_change
@pytest.mark.parametrize("ends", [True, False], ids=["end", "begin"])
def test_c2_quiet_hours_that_begin_or_end_at_an_odd_time_do_so_once(
    store: Store, sink: SmtpSink, change: Change, ends: bool
) -> None:
    moments = [change.odd_instant + n * QUARTER for n in range(-8, 9)]
    quiet = f"22:00-{change.odd}" if ends else f"{change.odd}-08:00"
    house = House(store, sink, change.zone, len(moments), quiet=quiet)
    house.turn(moments[0] - HOUR)
    for number, now in enumerate(moments):
        house.bad(now, f"d{number}")

    with store.reading() as connection:
        told = [row.outcome for row in connection.execute(select(tellings).order_by(tellings.c.at))]
    assert told == ["held"] * 8 + ["told"] * 9 if ends else told == ["told"] * 8 + ["held"] * 9
