"""Apprise's addresses, held against a real HTTP server: what arrives, and that no address is ever told."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr, ValidationError

from alerts.apprise_urls import AppriseUrls
from alerts.base import Unknown
from alerts.message import Message, Outgoing
from checks.result import Severity
from monitor.testing import WebhookSink

OPEN = Message("open", "orders", "CRIT orders: 38.2 % missing", datetime(2026, 11, 23, tzinfo=UTC), Severity.CRITICAL)
SAID = Outgoing("message", "inc:1:ntfy:open:1", OPEN)


def address(sink: WebhookSink) -> AppriseUrls:
    return AppriseUrls(url=SecretStr(f"json://user:s3cr3t@127.0.0.1:{sink.port}/hook"))


def test_a_message_arrives_as_text() -> None:
    with WebhookSink() as sink:
        address(sink).send(SAID)
        (post,) = sink.posts
    assert post.json["title"] == "CRIT orders: 38.2 % missing"
    assert post.json["type"] == "failure"
    assert "CRITICAL · orders" in post.json["message"]


def test_whatever_goes_wrong_is_unknown_and_tells_no_address(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with WebhookSink() as sink:
        sink.answers = [500]
        with pytest.raises(Unknown) as raised:
            address(sink).send(SAID)
    assert str(raised.value) == "Apprise (json) did not confirm it"
    assert "s3cr3t" not in caplog.text


def test_an_address_that_apprise_does_not_know_is_refused_without_repeating_it() -> None:
    with pytest.raises(ValidationError, match="no address that Apprise knows") as raised:
        AppriseUrls(url=SecretStr("nosuch://s3cr3t@host"))
    assert "s3cr3t" not in str(raised.value)


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alerts.apprise_urls.find_spec", lambda _: None)
    with pytest.raises(ValidationError, match=r"pip install 'datavigil\[apprise\]'"):
        AppriseUrls(url=SecretStr("json://localhost"))
