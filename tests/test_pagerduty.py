"""PagerDuty: an incident is one alert that pages once, whatever was sent again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from alerts.base import CannotLookUp, ChannelBroken, CredentialBroken, DeliveryError, Impossible, NotSent, RateLimited, Unknown
from alerts.message import Fact, Finding, Message, Outgoing
from alerts.pagerduty import Pagerduty, dedup_key
from checks.result import Severity
from monitor.testing import FakePagerDuty, Fault

AT = datetime(2026, 11, 23, 2, 4, tzinfo=UTC)
FINDING = Finding("missing(amount) is 38.2 %, at most 2 % allowed", "amount", Severity.CRITICAL)
OPEN = Message(
    "open", "orders · bad values", "CRIT orders: 38.2 % missing", AT, Severity.CRITICAL, (FINDING,), (Fact("Since", AT),)
)
KEY = "inc:12-20261123T020400000000:oncall"


@pytest.fixture
def pagerduty() -> Iterator[FakePagerDuty]:
    with FakePagerDuty() as running:
        yield running


def channel(server: FakePagerDuty, **more: Any) -> Pagerduty:
    return Pagerduty.model_validate({"routing_key": server.key, "api": server.address, "timeout": 2, **more})


def said(name: str, **changes: Any) -> Outgoing:
    return Outgoing("message", f"{KEY}:{name}", replace(OPEN, **changes))


def test_an_incident_is_one_alert_from_its_trigger_to_its_end(pagerduty: FakePagerDuty) -> None:
    one = channel(pagerduty)
    assert one.send(said("open:1")) == KEY
    one.send(said("rev:2", note="worse: more is missing"))
    one.send(said("ack:3", note="acknowledged by ada"))
    assert pagerduty.alerts[KEY].state == "acknowledged"
    one.send(said("resolved:1", state="resolved"))

    [(key, alert)] = pagerduty.alerts.items()
    assert (key, alert.state, alert.pages) == (KEY, "resolved", 1)
    assert [event["event_action"] for event in alert.events] == ["trigger", "trigger", "acknowledge", "resolve"]


def test_an_event_says_what_is_wrong_and_how_bad(pagerduty: FakePagerDuty) -> None:
    channel(pagerduty).send(said("open:1"))
    payload = pagerduty.alerts[KEY].events[0]["payload"]
    assert payload["summary"] == "CRIT orders: 38.2 % missing"
    assert payload["severity"] == "critical"
    assert payload["custom_details"]["finding 1"] == FINDING.text
    assert payload["custom_details"]["Since"] == "Mon 2026-11-23 02:04 UTC"


def test_what_is_sent_again_pages_nobody_again(pagerduty: FakePagerDuty) -> None:
    pagerduty.misbehave([Fault("drop", accepted=True)])
    with pytest.raises(Unknown):
        channel(pagerduty).send(said("open:1"))
    channel(pagerduty).send(said("open:1"))
    assert pagerduty.alerts[KEY].pages == 1


def test_what_is_no_incident_is_a_change_event_and_pages_nobody(pagerduty: FakePagerDuty) -> None:
    channel(pagerduty).send(Outgoing("message", "digest:oncall:2026-11-23", replace(OPEN, state="info", severity=None)))
    assert pagerduty.alerts == {}
    assert pagerduty.changes[0]["payload"]["summary"] == "CRIT orders: 38.2 % missing"


def test_what_comes_by_a_fallback_resolves_what_came_by_it() -> None:
    assert dedup_key("inc:1-2026:team:open:1:via:pager") == dedup_key("inc:1-2026:team:resolved:1:via:pager") == "inc:1-2026:team"
    assert len(dedup_key("digest:" + "x" * 400)) == 255


STATUSES = [
    (400, Impossible),
    (401, CredentialBroken),
    (403, CredentialBroken),
    (413, Impossible),
    (429, RateLimited),
    (500, Unknown),
    (503, Unknown),
    (405, ChannelBroken),
]


@pytest.mark.parametrize(("status", "kind"), STATUSES)
def test_each_status_means_what_the_sender_can_do_about_it(status: int, kind: type[DeliveryError]) -> None:
    from monitor.testing import WebhookSink

    with WebhookSink() as sink:
        sink.answers = [status]
        with pytest.raises(kind) as raised:
            Pagerduty.model_validate({"routing_key": "r" * 32, "api": sink.address}).send(said("open:1"))
    assert type(raised.value) is kind
    assert "r" * 32 not in str(raised.value)


@pytest.mark.parametrize("key", ["short", "x" * 32])
def test_a_key_that_pagerduty_does_not_know_is_a_broken_credential(pagerduty: FakePagerDuty, key: str) -> None:
    with pytest.raises(CredentialBroken, match="routing_key") as raised:
        channel(pagerduty, routing_key=key).send(said("open:1"))
    assert key not in str(raised.value)


def test_a_server_that_is_not_there_is_surely_not_sent() -> None:
    with pytest.raises(NotSent):
        Pagerduty.model_validate({"routing_key": "r" * 32, "api": "http://127.0.0.1:9"}).send(said("open:1"))


def test_content_of_any_size_and_kind_is_an_event_that_it_takes(pagerduty: FakePagerDuty) -> None:
    findings = (replace(FINDING, text="x" * 20_000 + "<!channel>\x00"),) * 500
    channel(pagerduty).send(said("open:1", text="y" * 20_000, findings=findings))
    channel(pagerduty).send(Outgoing("message", "inc:2:oncall:open:1", replace(OPEN, text="", title="")))
    assert len(pagerduty.alerts) == 2


def test_it_cannot_be_asked_and_needs_not_to_be(pagerduty: FakePagerDuty) -> None:
    with pytest.raises(CannotLookUp):
        channel(pagerduty).find(said("open:1"), AT)
    assert Pagerduty.folds
