"""The webhook against the double: what is posted, how it is signed, what each answer means."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from alerts.base import CannotLookUp, ChannelBroken, CredentialBroken, DeliveryError, Impossible, NotSent, RateLimited, Unknown
from alerts.message import Fact, Finding, Message, Outgoing
from alerts.webhook import Webhook
from checks.result import Severity
from monitor.testing import WebhookSink

AT = datetime(2026, 11, 23, 2, 4, tzinfo=UTC)
MESSAGE = Message(
    "open",
    "orders",
    "CRIT orders: größer als erlaubt \ud800",
    AT,
    Severity.CRITICAL,
    (Finding("missing(amount) is 38.2 %", "amount", Severity.CRITICAL),),
    (Fact("Since", AT), Fact("Rows", "12")),
)
OUTGOING = Outgoing("root", "inc:1:hook:open:1", MESSAGE)


@pytest.fixture
def sink() -> Iterator[WebhookSink]:
    with WebhookSink() as running:
        yield running


def hook(sink: WebhookSink, **more: Any) -> Webhook:
    return Webhook.model_validate({"url": sink.url, "timeout": 5, **more})


def test_the_whole_message_is_posted_and_can_be_read_back(sink: WebhookSink) -> None:
    hook(sink, headers={"Authorization": "Bearer 12"}).send(OUTGOING)
    (post,) = sink.posts
    assert post.path == "/hook"
    assert post.headers["idempotency-key"] == post.json["key"] == "inc:1:hook:open:1"
    assert post.headers["authorization"] == "Bearer 12"
    assert post.headers["content-type"] == "application/json"
    assert post.json["form"] == "root"
    assert Message.from_json(post.json["message"]) == MESSAGE


def test_the_signature_is_of_the_time_and_the_raw_body(sink: WebhookSink) -> None:
    hook(sink, secret="correct horse").send(OUTGOING)
    (post,) = sink.posts
    stamp = post.headers["x-datavigil-timestamp"]
    assert int(stamp) > 1_700_000_000
    expected = hmac.new(b"correct horse", stamp.encode() + b"." + post.body, hashlib.sha256).hexdigest()
    assert post.headers["x-datavigil-signature"] == f"sha256={expected}"
    hook(sink).send(OUTGOING)
    assert "x-datavigil-signature" not in sink.posts[1].headers


def test_the_receiver_that_the_docs_show_takes_ours_and_no_forgery_and_no_replay(sink: WebhookSink) -> None:
    page = (Path(__file__).parent.parent / "docs" / "channels.md").read_text()
    _, _, source = page.partition("def is_ours(")
    names: dict[str, Any] = {"hmac": hmac, "hashlib": hashlib, "time": time}
    exec(f"def is_ours({source.partition('```')[0]}", names)
    hook(sink, secret="correct horse").send(OUTGOING)
    (post,) = sink.posts
    headers = {"X-Datavigil-Timestamp": post.headers["x-datavigil-timestamp"]}
    headers["X-Datavigil-Signature"] = post.headers["x-datavigil-signature"]
    is_ours = names["is_ours"]

    assert is_ours(headers, post.body, b"correct horse")
    assert not is_ours(headers, post.body + b" ", b"correct horse")
    assert not is_ours(headers, post.body, b"wrong")
    stamp = str(int(headers["X-Datavigil-Timestamp"]) - 301)
    old = hmac.new(b"correct horse", stamp.encode() + b"." + post.body, hashlib.sha256).hexdigest()
    assert not is_ours({"X-Datavigil-Timestamp": stamp, "X-Datavigil-Signature": f"sha256={old}"}, post.body, b"correct horse")


def test_a_key_that_no_header_can_hold_is_encoded_there(sink: WebhookSink) -> None:
    hook(sink).send(Outgoing("message", "digest:größe\r\nX-Evil: 1", MESSAGE))
    (post,) = sink.posts
    assert post.headers["idempotency-key"] == "digest:gr%C3%B6%C3%9Fe%0D%0AX-Evil:%201"
    assert "x-evil" not in post.headers
    assert post.json["key"] == "digest:größe\r\nX-Evil: 1"


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_every_status_of_the_two_hundreds_means_it_arrived(sink: WebhookSink, status: int) -> None:
    sink.answers = [status]
    hook(sink).send(OUTGOING)
    assert len(sink.posts) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, ChannelBroken),
        (307, ChannelBroken),
        (400, ChannelBroken),
        (404, ChannelBroken),
        (410, ChannelBroken),
        (401, CredentialBroken),
        (403, CredentialBroken),
        (408, Unknown),
        (409, Unknown),
        (413, Impossible),
        (422, Impossible),
        (429, RateLimited),
        (500, Unknown),
        (503, Unknown),
    ],
)
def test_each_status_means_what_the_sender_can_do_about_it(sink: WebhookSink, status: int, kind: type[DeliveryError]) -> None:
    sink.answers = [status]
    with pytest.raises(kind, match=str(status)) as raised:
        hook(sink).send(OUTGOING)
    assert type(raised.value) is kind


def test_a_rate_limit_says_how_long_to_pause(sink: WebhookSink) -> None:
    sink.answers, sink.headers = [429], {"Retry-After": "7"}
    with pytest.raises(RateLimited) as raised:
        hook(sink).send(OUTGOING)
    assert raised.value.after == 7


def test_a_redirect_is_not_followed(sink: WebhookSink) -> None:
    sink.misbehave(["redirect"])
    with pytest.raises(ChannelBroken, match="redirect"):
        hook(sink).send(OUTGOING)
    assert sink.posts == []


@pytest.mark.parametrize("fault", [{"do": "drop", "accepted": True}, {"do": "drop"}, {"do": "hang", "seconds": 60}])
def test_a_connection_that_ends_without_an_answer_is_unknown(sink: WebhookSink, fault: dict[str, Any]) -> None:
    sink.misbehave([fault])
    with pytest.raises(Unknown):
        hook(sink, timeout=1.5).send(OUTGOING)
    assert len(sink.posts) == (1 if fault.get("accepted") else 0)


@pytest.mark.parametrize("fault", [{"do": "drip", "seconds": 5, "accepted": True}, {"do": "cut", "accepted": True}])
def test_once_the_status_is_there_the_rest_of_the_answer_does_not_matter(sink: WebhookSink, fault: dict[str, Any]) -> None:
    sink.misbehave([fault])
    hook(sink, timeout=1.5).send(OUTGOING)
    assert len(sink.posts) == 1


def test_a_refused_connection_is_surely_not_sent(sink: WebhookSink) -> None:
    nobody = hook(sink)
    sink.stop()
    with pytest.raises(NotSent):
        nobody.send(OUTGOING)


def test_a_certificate_that_is_not_trusted_is_never_sent_to() -> None:
    from monitor.testing import SmtpSink

    with SmtpSink(tls="implicit") as tls:
        url = tls.server.replace("smtps://", "https://")
        with pytest.raises(NotSent, match="SSLCertVerificationError"):
            Webhook.model_validate({"url": url}).send(OUTGOING)


def test_it_says_where_it_goes_without_the_secret_part() -> None:
    assert (
        Webhook.model_validate({"url": "https://hooks.example.com:8443/T0/s3cret?key=s3cret"}).where
        == "webhook on hooks.example.com"
    )


def test_it_cannot_be_asked_what_arrived() -> None:
    with pytest.raises(CannotLookUp):
        Webhook.model_validate({"url": "https://hooks.example.com"}).find(OUTGOING, AT)


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://example.com/"},
        {"url": "https://"},
        {"url": "hooks.example.com"},
        {"url": "https://user:s3cret@example.com/"},
        {"url": "https://example.com/", "headers": {"X-A\r\n": "b"}},
        {"url": "https://example.com/", "headers": {"X-A": "b\r\nX-Evil: s3cret"}},
    ],
)
def test_settings_that_cannot_work_are_refused_without_repeating_them(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"http|header") as raised:
        Webhook.model_validate(wrong)
    assert "s3cret" not in str(raised.value)
