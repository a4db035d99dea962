"""The weekly summary, from the windows of a simulated shop to the mail that arrives: the same numbers however often it is sent."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update
from typer.testing import CliRunner

from alerts import weekly, weekly_page, weekly_text
from alerts.message import Message
from alerts.telling import Delivery, harmless
from alerts.weekly import Decision, Event, Health, Numbers, Summary
from checks.result import Severity
from checks.window import Window
from monitor import actions, apart, cli, delivery, fit, summary
from monitor.config import Config
from monitor.job import Measured
from monitor.store import outbox, weeks
from monitor.store.store import Store
from monitor.store.tables import deliveries, events, incidents, results, summaries
from monitor.summary import Week
from monitor.testing import Clock, FakeSlack, Fault, SmtpSink
from monitor.testing.weeks import SHOP, config, live, measured, quiet, shop, verdict

END = datetime(2026, 11, 22, 23, tzinfo=UTC)
"""Midnight in Berlin after the last day of week 47."""
MONDAY = END + timedelta(hours=9)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
FIVE = ("a@example.com", "b@example.com", "c@example.com", "d@example.com", "e@example.com")
INBOX = """[channels.inbox]
kind = "mail"
server = "{server}"
tls = false
sender = "datavigil@example.com"
to = {to}
"""


@pytest.fixture
def sink() -> Iterator[SmtpSink]:
    with SmtpSink(tls="none") as running:
        yield running


@pytest.fixture
def made(tmp_path: Path, store: Store) -> Callable[..., Config]:
    """A config and weeks of its datasets' life in the store."""

    def make(
        verdicts: Any = shop, names: Any = SHOP, days: int = 21, server: str = "smtp://localhost:1", to: Any = FIVE[:1]
    ) -> Config:
        channels = INBOX.format(server=server, to=json.dumps(list(to)))
        found = config(tmp_path, names, channels + '[channels.log]\nkind = "console"\n[[routes]]\nto = ["log"]\n', '["inbox"]')
        live(found, store, END, days, verdicts)
        return found

    return make


def rows(store: Store) -> list[Any]:
    with store.reading() as connection:
        mine = deliveries.c.key.like("report:%")
        return list(connection.execute(select(deliveries).where(mine).order_by(deliveries.c.id)))


def sent(config: Config, store: Store, at: datetime) -> None:
    delivery.drain(config, store, "inbox", lambda: at)


def part(mail: EmailMessage, kind: str) -> str:
    return next(str(p.get_content()) for p in mail.walk() if p.get_content_type() == kind)


def told(store: Store) -> Summary:
    kept = weeks.of_week(store, "2026-W47")
    assert kept is not None
    return Summary.model_validate_json(kept)


def test_a_week_of_the_shop_says_what_happened_and_what_to_decide(
    made: Callable[..., Config], store: Store, sink: SmtpSink
) -> None:
    config = made(server=sink.server)

    week = summary.send_due(config, store, MONDAY)
    sent(config, store, MONDAY)

    assert week == Week("2026-W47", date(2026, 11, 16), "Europe/Berlin")
    (mail,) = sink.mails
    assert mail["Subject"] == (
        "Data quality week 47: 4 incidents, 3 open – invoices: cannot be measured (3 of 6 datasets need a look)"
    )
    found = told(store)
    assert (found.this.incidents, found.this.healthy, found.this.datasets) == (4, 3, 6)
    # invoices and events all week, payments three days, orders from Friday 01:04 on.
    assert found.this.hours_open == pytest.approx(168 + 168 + 72 + 70.93, abs=0.1)
    assert (found.this.evaluated, found.this.due, found.health.missed) == (35, 42, 7)
    assert [(d.kind, d.about) for d in found.decisions] == [
        ("open", "invoices: cannot be measured"),
        ("open", "orders: bad values"),
        ("open", "events: values drifted"),
        ("drift", "customers.age"),
        ("noisy", "events.country"),
    ]
    # 0.0035 a day from 0.17 on Sunday to 0.2: eight and a half days, give or take the noise.
    assert re.search(r"passes the limit about (30 Nov|1 Dec)\.$", found.decisions[3].text)
    assert found.decisions[4].advice == "With at_most = 0.25 only the worst window would have been told."
    text = part(mail, "text/plain")
    for word in (
        "3 of them still open",
        "83.3 %",
        "Tue 17 Nov 01:04, 3 d: payments: bad values",
        "7 windows of 42 due not checked",
    ):
        assert word in text.replace("\r\n", "\n").replace("\n   ", " ")
    assert max(map(len, text.splitlines())) <= 76


def test_the_mail_is_text_then_a_page_with_its_pictures(made: Callable[..., Config], store: Store, sink: SmtpSink) -> None:
    config = made(server=sink.server)
    summary.send_due(config, store, MONDAY)
    sent(config, store, MONDAY)

    (mail,) = sink.mails
    assert mail.get_content_type() == "multipart/alternative"
    plain, related = mail.iter_parts()
    assert (plain.get_content_type(), related.get_content_type()) == ("text/plain", "multipart/related")
    pictures = [p for p in mail.walk() if p.get_content_type() == "image/png"]
    assert 1 <= len(pictures) <= 5
    page = part(mail, "text/html")
    for picture in pictures:
        assert picture.get_content().startswith(b"\x89PNG")
        assert f'src="cid:{picture["Content-ID"].strip("<>")}"' in page
    assert len(re.findall(r"<img [^>]*alt=\"[^\"]+\"", page)) == len(pictures)
    assert "data:" not in page
    assert "<svg" not in page
    assert len(page.encode()) < 90_000
    assert 'style="' in page
    assert "prefers-color-scheme: dark" in page
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Id"] == "datavigil <datavigil.example.com>"
    assert mail["List-Unsubscribe"] == "<mailto:datavigil@example.com?subject=unsubscribe>"
    assert mail["Date"] == "Mon, 23 Nov 2026 08:00:00 +0000"
    assert mail["References"] != mail["Message-ID"]
    assert re.fullmatch(r"<[0-9a-f]{40}@example\.com>", mail["References"])


def test_e1_smtp_down_two_days_over_monday_sends_the_stored_numbers(
    made: Callable[..., Config], store: Store, tmp_path: Path, sink: SmtpSink
) -> None:
    down = made()
    summary.send_due(down, store, MONDAY)
    for hours in range(0, 48, 6):
        sent(down, store, MONDAY + hours * HOUR)
    (row,) = rows(store)
    assert row.state == "waiting"
    before = told(store)
    # What happens meanwhile is the next week's.
    with store.begin() as connection:
        connection.execute(update(incidents).values(resolved_at=MONDAY + DAY))
        connection.execute(results.delete())
    up = down.__class__(
        **{**vars(down), "channels": {**down.channels, "inbox": down.channels["inbox"].model_copy(update={"server": sink.server})}}
    )

    assert summary.send_due(up, store, MONDAY + 2 * DAY) is None
    sent(up, store, MONDAY + 2 * DAY)

    (mail,) = sink.mails
    assert told(store) == before
    assert mail["Subject"].startswith("Data quality week 47: 4 incidents, 3 open")
    assert "3 of them still open" in part(mail, "text/plain")
    assert rows(store)[0].provider_ref == mail["Message-ID"]
    assert [row.state for row in rows(store)] == ["sent"]


def test_e1_a_daemon_that_was_down_on_monday_sends_when_it_is_back(made: Callable[..., Config], store: Store) -> None:
    config = made(quiet, SHOP[:1], 5)

    assert summary.send_due(config, store, MONDAY - MINUTE) is None, "it did not watch yet when last week's was due"
    week = summary.send_due(config, store, MONDAY + 3 * DAY)

    assert week is not None
    assert week.name == "2026-W47"
    assert summary.send_due(config, store, MONDAY + 3 * DAY + MINUTE) is None
    assert len(rows(store)) == 1


def test_e3_one_of_five_recipients_refused_and_the_others_get_it_once(
    made: Callable[..., Config], store: Store, sink: SmtpSink
) -> None:
    config = made(quiet, SHOP[:1], server=sink.server, to=FIVE)
    sink.refused = {"c@example.com": "550 5.1.1 no such user"}

    summary.send_due(config, store, MONDAY)
    for minutes in range(3):
        sent(config, store, MONDAY + minutes * MINUTE)

    assert sorted(sink.taken) == [[who] for who in FIVE if who != "c@example.com"]
    assert all(mail["To"] in FIVE for mail in sink.mails)
    assert len({mail["Message-ID"] for mail in sink.mails}) == 4
    states = {Message.from_json(json.loads(row.payload)).to: (row.state, row.last_error) for row in rows(store)}
    assert [state for state, _ in states.values()].count("sent") == 4
    assert states["c@example.com"][0] == "dead"
    assert "550" in states["c@example.com"][1]
    assert outbox.held(store, MONDAY) == {}, "the channel itself is in order"


def test_e3_a_recipient_that_is_put_off_gets_it_later(made: Callable[..., Config], store: Store, sink: SmtpSink) -> None:
    config = made(quiet, SHOP[:1], server=sink.server, to=FIVE[:2])
    sink.greylist = 1

    summary.send_due(config, store, MONDAY)
    sent(config, store, MONDAY)
    sent(config, store, MONDAY + HOUR)

    assert sorted(sink.taken) == [[who] for who in FIVE[:2]]


def big(names: int, entries: int, text: str) -> Summary:
    """A summary of many datasets, each with an incident and a decision that say `text`."""
    at = datetime(2026, 11, 17, 2, 4, tzinfo=UTC)
    return Summary(
        week="2026-W47",
        first=date(2026, 11, 16),
        last=date(2026, 11, 22),
        timezone="Europe/Berlin",
        made_at=MONDAY,
        this=Numbers(
            incidents=entries, hours_open=12.5, healthy=names - entries, datasets=names, evaluated=names * 7 - 1, due=names * 7
        ),
        decisions=tuple(Decision(kind="open", about=f"{text} {n}", text=text, advice=text) for n in range(entries)),
        events=tuple(
            Event(
                about=f"{text} {n}", text=text, began=at, severity=Severity.CRITICAL, lasted=None if n % 2 else 3600.0, cause=text
            )
            for n in range(entries)
        ),
        health=Health(missed=1, reasons=(text,)),
    )


HOSTILE = "<script>alert(1)</script>\r\nBcc: x@evil.example\n" + "c" * 300 + " \u202e\x00 <!channel> {{ 7*7 }} \ud800"


@pytest.mark.parametrize(
    ("entries", "text"), [(30, "orders: bad values"), (500, "orders: bad values"), (500, HOSTILE), (500, "&" * 900)]
)
def test_e6_the_page_stays_below_90_kb_and_says_how_many_are_left_out(entries: int, text: str) -> None:
    found = big(500, entries, text.encode("utf-8", "replace").decode())
    page = weekly_page.as_html(found, "inbox")
    assert len(page.encode()) < 90_000
    shown = page.count("still open</b>") + page.count("lasted 1 h")
    assert shown
    if shown < entries:
        assert f"and {entries - shown} more" in page
    assert "<script" not in page
    plain = weekly_text.as_text(found, "inbox")
    assert max(map(len, plain.splitlines())) <= 76 or "c" * 77 in plain or "&" * 77 in plain
    assert "\x00" not in plain + page
    assert "\u202e" not in plain + page
    assert "\n" not in weekly.subject(found)
    assert len(weekly.subject(found)) < 200


def test_hostile_names_go_all_the_way_and_break_no_header(made: Callable[..., Config], store: Store, sink: SmtpSink) -> None:
    def wild(name: str, window: Window, left: int, chance: random.Random) -> Measured:
        # Half a surrogate pair never gets this far: results are made fit before.
        return measured(verdict(fit.text(HOSTILE), 0.4 if left < 2 else 0.001, 0.02))

    config = made(wild, ["<img src=x onerror=alert(1)>", "a & b"], 14, sink.server)
    summary.send_due(config, store, MONDAY)
    sent(config, store, MONDAY)

    (mail,) = sink.mails
    assert mail["Bcc"] is None
    page = part(mail, "text/html")
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page
    assert "a &amp; b" in page


def test_a_quiet_week_says_so_and_is_the_sign_of_life(made: Callable[..., Config], store: Store, sink: SmtpSink) -> None:
    config = made(quiet, SHOP, 16, sink.server)
    summary.send_due(config, store, MONDAY)
    sent(config, store, MONDAY)

    (mail,) = sink.mails
    assert mail["Subject"] == "Data quality week 47: quiet, all 6 datasets healthy"
    text = part(mail, "text/plain")
    assert "A quiet week: everything that was due was checked, and nothing was wrong." in text.replace("\r\n", " ").replace(
        "\n", " "
    )
    assert told(store).this == told(store).before


def test_a_second_daemon_and_a_crash_before_the_write_make_no_second_mail(made: Callable[..., Config], store: Store) -> None:
    config = made(quiet, SHOP[:1], 10)
    week = Week.named("2026-W47", "Europe/Berlin")
    body = summary.collected(config, store, week, MONDAY).model_dump_json()
    other = body.replace('"incidents":0', '"incidents":9')
    tell = lambda kept: summary._deliveries(config, kept, MONDAY)  # noqa: E731

    assert weeks.write(store, "2026-W47", MONDAY, MONDAY, body, tell)
    assert not weeks.write(store, "2026-W47", MONDAY, MONDAY, other, tell)

    assert weeks.of_week(store, "2026-W47") == body
    assert len(rows(store)) == 1


def test_nothing_is_sent_before_anything_was_watched_and_nothing_to_nobody(tmp_path: Path, store: Store) -> None:
    channels = INBOX.format(server="smtp://localhost:1", to='["a@example.com"]')
    some = config(tmp_path, ["orders"], channels, '["inbox"]')
    assert summary.send_due(some, store, MONDAY) is None
    nobody = config(tmp_path, ["orders"], channels, "[]")
    live(nobody, store, END, 7, quiet)
    assert summary.send_due(nobody, store, MONDAY) is None
    with store.reading() as connection:
        assert connection.execute(select(func.count()).select_from(summaries)).scalar() == 0


@pytest.mark.parametrize(
    ("zone", "clock", "change"),
    [
        ("Europe/Berlin", "sun 02:30", datetime(2026, 3, 29, tzinfo=UTC)),
        ("Europe/Berlin", "sun 02:30", datetime(2026, 10, 25, tzinfo=UTC)),
        ("America/New_York", "sun 01:30", datetime(2026, 11, 1, tzinfo=UTC)),
        ("Australia/Lord_Howe", "sun 01:45", datetime(2026, 4, 5, tzinfo=UTC)),
    ],
)
def test_one_summary_per_local_week_over_a_clock_change(
    tmp_path: Path, store: Store, zone: str, clock: str, change: datetime
) -> None:
    channels = INBOX.format(server="smtp://localhost:1", to='["a@example.com"]')
    made = config(tmp_path, ["orders"], channels, '["inbox"]', zone)
    made = made.__class__(**{**vars(made), "summary": made.summary.model_copy(update={"weekly": clock})})
    live(made, store, change - 9 * DAY, 3, quiet)

    at, told = change - 8 * DAY, []
    while at < change + 8 * DAY:
        told.append(summary.send_due(made, store, at))
        # Closely where the clock changes.
        at += 15 * MINUTE if abs(at - change) < DAY else HOUR

    names = [week.name for week in told if week]
    assert len(names) == len(set(names)) == len(rows(store))
    assert len(names) in {2, 3}


def test_weeks_begin_at_local_midnight_and_have_iso_names() -> None:
    week = Week.named("2026-W44", "Europe/Berlin")
    assert week.end - week.start == timedelta(days=7)
    assert Week.named("2026-W43", "Europe/Berlin").end - Week.named("2026-W43", "Europe/Berlin").start == timedelta(days=7, hours=1)
    assert Week.before_day(date(2027, 1, 4), "UTC").name == "2026-W53"
    assert Week.named("2027-W01", "UTC").previous.name == "2026-W53"
    for wrong in ("2026-47", "2025-W53", "2026-W00", "week"):
        with pytest.raises(ValueError, match=r"no week"):
            Week.named(wrong, "UTC")


def test_checks_that_never_ran_and_channels_out_of_order_are_told(
    made: Callable[..., Config], store: Store, tmp_path: Path
) -> None:
    config = made(quiet, SHOP[:1], 10)
    added = config.__class__(
        **{**vars(config), "datasets": {**config.datasets, "new": config.datasets["orders"].model_copy(update={"name": "new"})}}
    )
    outbox.block(store, "inbox", "credential", "535 login refused", MONDAY - DAY, MONDAY + DAY)

    found = summary.collected(added, store, Week.named("2026-W47", "Europe/Berlin"), MONDAY)

    assert [(d.kind, d.about) for d in found.decisions] == [("never ran", "new")]
    assert "not checked once this week" in found.decisions[0].text
    assert found.this.healthy == 1
    (line,) = [line for line in weekly.health_lines(found) if "inbox" in line]
    assert "out of order since Sun 22 Nov 09:00: 535 login refused" in line
    assert not found.quiet


def test_the_alert_budget_counts_what_was_loud_and_what_was_noise(made: Callable[..., Config], store: Store) -> None:
    config = made(shop, SHOP, 14)
    with store.begin() as connection:
        mine = deliveries.c.channel == "log"
        connection.execute(update(deliveries).where(mine).values(state="sent", sent_at=END - DAY))
        first = connection.execute(select(func.min(deliveries.c.incident)).where(mine)).scalar_one()
        connection.execute(
            insert(events).values(incident=first, revision=9, at=END - HOUR, happened="not useful", actor="anna", text="known")
        )
        loud = connection.execute(select(func.count()).where(mine, deliveries.c.form.in_(("root", "message")))).scalar_one()

    found = summary.collected(config, store, Week.named("2026-W47", "Europe/Berlin"), MONDAY)

    assert (found.budgets["log"].sent, found.budgets["log"].noise) == (loud, 1)
    assert weekly.budget_line(found, "log").startswith(f"{loud} of 30 alerts this week, {loud - 1} useful, 1 marked as noise")
    assert not any(event.cause for event in found.events), "that it was not useful is no cause"


def test_only_what_was_noted_as_a_cause_is_told_as_one(made: Callable[..., Config], store: Store, sink: SmtpSink) -> None:
    config = made(shop, SHOP, 14, sink.server)
    number = next(r.id for r in weeks.incidents_of(store, END - 7 * DAY, END) if r.subject == "orders")
    actions.note_cause(store, number, "ann", "a deploy of payments-api", END - 2 * HOUR)
    actions.note_cause(store, number, "ann", "payments-api v812 writes no amount", END - HOUR)
    actions.acknowledge(store, number, "bob", END - HOUR)
    actions.not_useful(store, number, "bob", END - HOUR, "known")

    summary.send_due(config, store, MONDAY)
    sent(config, store, MONDAY)

    causes = {event.about: event.cause for event in told(store).events if event.cause}
    assert causes == {"orders: bad values": "payments-api v812 writes no amount (noted by ann)"}
    (mail,) = sink.mails
    assert "Cause: payments-api v812 writes no amount (noted by ann)" in " ".join(part(mail, "text/plain").split())
    assert "payments-api v812 writes no amount (noted by ann)" in " ".join(part(mail, "text/html").split())


def own_troubles(store: Store, config: Config) -> None:
    """A storm, a config that was not taken, a channel that took nothing and one that still does not, in the week."""
    for number, subject, hours, lasted in (
        (900, "storm:log", 50, 1),
        (901, "config:config.toml", 40, 2),
        (902, "channel:log", 30, 3),
        (903, "channel:inbox", 20, None),
    ):
        at = END - hours * HOUR
        row = {"subject": subject, "family": "source", "severity": "critical", "since": at, "opened_at": at, "revision": 1}
        over = at + lasted * HOUR if lasted else None
        with store.begin() as connection:
            connection.execute(insert(incidents).values(id=number, resolved_at=over, **row))
            said = f"channel {subject[8:]} takes no messages: is_archived" if lasted != 2 else 'unknown key "evry"'
            connection.execute(insert(events).values(incident=number, revision=1, at=at, happened="opened", text=said))
    outbox.block(store, "inbox", "channel", "550", END - 20 * HOUR, MONDAY + DAY)


def test_the_monitors_own_troubles_are_no_incidents_of_the_data(made: Callable[..., Config], store: Store) -> None:
    config = made(quiet, SHOP, 16)
    calm = summary.collected(config, store, Week.named("2026-W47", "Europe/Berlin"), MONDAY)
    own_troubles(store, config)

    found = summary.collected(config, store, Week.named("2026-W47", "Europe/Berlin"), MONDAY)

    assert (calm.quiet, found.quiet) == (True, False)
    assert found.this == calm.this
    assert (found.events, found.decisions) == ((), ())
    assert weekly.subject(found) == "Data quality week 47: no incidents"
    lines = weekly.health_lines(found)
    assert [line for line in lines if "inbox" in line] == ["Channel inbox is out of order since Sun 22 Nov 04:00: 550"]
    assert lines[-3:] == [
        "Fri 20 Nov 22:00, lasted 1 h: so many incidents began at once that channel log was told of them in one message",
        'Sat 21 Nov 08:00, lasted 2 h: config.toml was changed and not taken: unknown key "evry"',
        "Sat 21 Nov 18:00, lasted 3 h: channel log takes no messages: is_archived",
    ]


def test_many_own_troubles_are_counted(made: Callable[..., Config], store: Store) -> None:
    config = made(quiet, SHOP[:1], 16)
    row = {"subject": "storm:log", "family": "source", "severity": "critical", "revision": 1}
    with store.begin() as connection:
        for number in range(12):
            at = END - (number + 2) * HOUR
            connection.execute(insert(incidents).values(id=900 + number, since=at, opened_at=at, resolved_at=at + HOUR, **row))

    found = summary.collected(config, store, Week.named("2026-W47", "Europe/Berlin"), MONDAY)

    assert len(found.health.own) == 11
    assert found.health.own[-1] == "and 2 more troubles of its own"


def test_what_a_look_up_found_already_there_is_counted_as_a_repeat_that_nobody_saw(
    tmp_path: Path, store: Store, sink: SmtpSink
) -> None:
    clock = Clock(END - DAY)
    with FakeSlack(clock=lambda: clock.now().timestamp()) as slack:
        team = f'[channels.team]\nkind = "slack"\ntoken = "{slack.token}"\nchannel = "#data-quality"\napi = "{slack.url}"\n'
        made = config(tmp_path, ["orders"], INBOX.format(server=sink.server, to='["a@example.com"]') + team, '["inbox"]')
        live(made, store, END, 10, quiet)
        slack.misbehave([Fault("drop", accepted=taken, method="chat.postMessage") for taken in (True, False, True)])
        for key in ("a", "b", "c"):
            outbox.put(store, Delivery(key, None, "team", "message", harmless("team", clock.now())), clock.now())
        for _ in range(4):
            delivery.drain(made, store, "team", clock.now)
            clock.advance(5 * MINUTE)
    assert sorted(slack.keys()) == ["a", "b", "c"]

    summary.send_due(made, store, MONDAY)
    sent(made, store, MONDAY)

    assert told(store).health.prevented == 2
    said = "2 messages not told twice: looked up after an unclear answer, and found there"
    (mail,) = sink.mails
    assert said in " ".join(part(mail, "text/plain").split())
    assert said in " ".join(part(mail, "text/html").split())
    assert summary.collected(made, store, Week.named("2026-W48", "Europe/Berlin"), MONDAY).health.prevented == 0


def test_a_summary_without_pictures_goes_all_the_same(
    made: Callable[..., Config], store: Store, monkeypatch: pytest.MonkeyPatch, sink: SmtpSink
) -> None:
    config = made(server=sink.server)
    # A drawing process that may use next to no memory is killed.
    monkeypatch.setattr(summary, "DRAWING", apart.Limits(seconds=60, megabytes=1))
    summary.send_due(config, store, MONDAY)
    sent(config, store, MONDAY)
    (mail,) = sink.mails
    assert [p for p in mail.walk() if p.get_content_type() == "image/png"] == []
    assert "TRENDS" in part(mail, "text/plain")


def test_slack_and_its_like_get_ten_lines(made: Callable[..., Config], store: Store) -> None:
    config = made()
    found = summary.collected(config, store, Week.named("2026-W47", "Europe/Berlin"), MONDAY)
    said = weekly.short(found, "log")
    assert Message.from_json(json.loads(json.dumps(said.as_json()))) == said
    assert len(said.findings) + len(said.facts) <= 10
    assert said.text == weekly.subject(found)


def test_the_command_shows_what_was_sent_and_previews_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    channels = INBOX.format(server="smtp://localhost:1", to='["a@example.com"]')
    made = config(tmp_path, ["orders"], channels, '["inbox"]')
    store = Store(made.store.url.get_secret_value())
    store.migrate()
    live(made, store, END, 10, quiet)
    summary.send_due(made, store, MONDAY)
    store.close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BROWSER", "")
    monkeypatch.setattr("webbrowser._tryorder", [])
    run = CliRunner().invoke
    call = ["summary", "--week", "2026-W47", "--config", str(tmp_path / "config.toml")]

    text = run(cli.app, call)
    assert text.exit_code == 0
    assert text.stdout.startswith("Data quality week 47: quiet, all healthy\n")
    facts = json.loads(run(cli.app, [*call, "--json"]).stdout)
    assert (facts["week"], facts["this"]["due"]) == ("2026-W47", 7)
    preview = run(cli.app, [*call, "--preview"])
    assert "no browser to open it in was found" in preview.stdout
    assert "A quiet week" in (tmp_path / "datavigil-2026-W47.html").read_text(encoding="utf-8")
    wrong = run(cli.app, ["summary", "--week", "2026-W99", "--config", str(tmp_path / "config.toml")])
    assert (wrong.exit_code, "there is no week 2026-W99" in wrong.output) == (3, True)
    future = run(cli.app, ["summary", "--week", "2199-W10", "--config", str(tmp_path / "config.toml")])
    assert (future.exit_code, "has not begun" in future.output) == (3, True)
