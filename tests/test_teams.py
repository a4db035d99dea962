"""Microsoft Teams: cards that Teams takes, data that stays data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr, ValidationError

from alerts.base import ChannelBroken, CredentialBroken, DeliveryError, Impossible, RateLimited, Unknown
from alerts.message import Fact, Finding, Message, Outgoing
from alerts.teams import Teams
from checks.result import Severity
from monitor.testing import FakeTeams, Fault

AT = datetime(2026, 11, 23, 2, 4, tzinfo=UTC)
FINDING = Finding("missing(amount) is 38.2 %, at most 2 % allowed", "amount", Severity.CRITICAL)
OPEN = Message(
    "open",
    "orders · bad values in amount",
    "CRIT orders: 38.2 % missing",
    AT,
    Severity.CRITICAL,
    (FINDING,),
    (Fact("Since", AT), Fact("Owner", "data-platform")),
    ("datavigil results --dataset orders --failed",),
    "select *\nfrom orders",
    "route critical",
    "INC-12",
)


@pytest.fixture
def teams() -> Iterator[FakeTeams]:
    with FakeTeams() as running:
        yield running


def send(server: FakeTeams, message: Message) -> None:
    Teams(url=SecretStr(server.url), timeout=2).send(Outgoing("message", "inc:12:teams:open:1", message))


def test_a_card_says_what_broke_how_bad_since_when_and_what_to_do(teams: FakeTeams) -> None:
    send(teams, OPEN)
    [text] = teams.texts()
    assert text.splitlines() == [
        "CRITICAL · orders · bad values in amount",
        "CRIT orders: 38.2 % missing",
        "CRITICAL: missing(amount) is 38.2 %, at most 2 % allowed",
        "Since: Mon 2026-11-23 02:04 UTC",
        "Owner: data-platform",
        "First do: datavigil results --dataset orders --failed",
        "select *",
        "from orders",
        "INC-12 · route critical · Mon 2026-11-23 02:04 UTC",
    ]
    assert teams.cards[0]["body"][0]["inlines"][0]["color"] == "attention"


def test_the_end_is_green(teams: FakeTeams) -> None:
    send(teams, replace(OPEN, state="resolved"))
    assert teams.cards[0]["body"][0]["inlines"][0]["color"] == "good"
    assert teams.texts()[0].startswith("RESOLVED, was CRITICAL")


def test_a_repeat_says_so(teams: FakeTeams) -> None:
    send(teams, OPEN.marked())
    assert "(may repeat)" in teams.texts()[0]


def test_data_is_shown_as_it_is_and_never_read_as_markup(teams: FakeTeams) -> None:
    send(teams, replace(OPEN, findings=(replace(FINDING, text="[click](http://evil) **x** <at>all</at>"),)))
    assert {block["type"] for block in teams.cards[0]["body"]} == {"RichTextBlock"}
    assert "[click](http://evil) **x** <at>all</at>" in teams.texts()[0]


@pytest.mark.parametrize("letter", ["x", "ä", "😀"])
def test_a_card_of_any_size_is_one_that_teams_takes(teams: FakeTeams, letter: str) -> None:
    many = (replace(FINDING, text=letter * 3000),) * 300
    send(teams, replace(OPEN, findings=many, code=letter * 9000, facts=(Fact(letter * 99, letter * 9000),) * 50))
    assert len(teams.cards) == 1


def test_a_card_that_is_refused_is_said_once_as_plain_text(teams: FakeTeams) -> None:
    teams.answers = [400, 200]
    send(teams, OPEN)
    first, second = teams.texts()
    assert "CRIT orders" in first
    assert second.startswith("CRITICAL · orders")
    assert len(teams.cards[1]["body"]) == 1
    teams.answers = [400, 400]
    with pytest.raises(Impossible):
        send(teams, OPEN)


STATUSES = [
    (401, CredentialBroken),
    (403, CredentialBroken),
    (404, ChannelBroken),
    (410, ChannelBroken),
    (429, RateLimited),
    (502, Unknown),
    (302, ChannelBroken),
]


@pytest.mark.parametrize(("status", "kind"), STATUSES)
def test_each_status_means_what_the_sender_can_do_about_it(teams: FakeTeams, status: int, kind: type[DeliveryError]) -> None:
    teams.answers = [status]
    with pytest.raises(kind) as raised:
        send(teams, OPEN)
    assert type(raised.value) is kind
    assert "s1gn4tur3" not in str(raised.value)


def test_a_lost_answer_is_unknown(teams: FakeTeams) -> None:
    teams.misbehave([Fault("drop", accepted=True)])
    with pytest.raises(Unknown):
        send(teams, OPEN)


def test_an_address_that_is_none_is_refused_without_repeating_it() -> None:
    with pytest.raises(ValidationError) as raised:
        Teams(url=SecretStr("ftp://s3cr3t"))
    assert "s3cr3t" not in str(raised.value)
