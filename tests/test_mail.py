"""Mail against a real SMTP server on loopback: what arrives, when it does not, and that nothing goes in clear text unasked."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from alerts.base import CannotLookUp, ChannelBroken, CredentialBroken, DeliveryError, Impossible, NotSent, Unknown
from alerts.mail import Mail, message_id
from alerts.message import Fact, Finding, Message, Outgoing
from alerts.page import as_html
from checks.result import Severity
from monitor.testing import SmtpSink

AT = datetime(2026, 11, 23, 2, 4, tzinfo=UTC)
MESSAGE = Message(
    state="open",
    title="orders · bad values in amount",
    text="CRIT orders: missing(amount) is 38.2 %, größer als 2 %",
    at=AT,
    severity=Severity.CRITICAL,
    findings=(
        Finding("missing(amount) is 38.2 %, at most 2 % allowed", "amount", Severity.CRITICAL),
        Finding("drift(discount) is 0.31", "discount", Severity.WARNING, resolved=True),
    ),
    facts=(Fact("Since", datetime(2026, 11, 23, 1, tzinfo=UTC)), Fact("Owner", "data-platform")),
    todo=("Runbook: https://wiki.example.com/orders",),
    code='select *\nfrom orders\nwhere "amount" is null',
    why="route critical",
    incident="INC-12",
)
OUTGOING = Outgoing("message", "inc:12:inbox:open:1", MESSAGE)


@pytest.fixture
def sink() -> Iterator[SmtpSink]:
    with SmtpSink() as running:
        yield running


def inbox(sink: SmtpSink, **more: Any) -> Mail:
    given = {"server": sink.server, "sender": "datavigil@example.com", "to": ["a@example.com"], "timeout": 10, **more}
    return Mail.model_validate({"ca_file": sink.ca_file, **given} if sink.tls != "none" else given)


def part(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def test_a_mail_reads_well_as_text_and_says_the_same_as_html(sink: SmtpSink) -> None:
    inbox(sink).send(OUTGOING)
    (mail,) = sink.mails
    assert mail["Subject"] == "CRIT orders: missing(amount) is 38.2 %, größer als 2 %"
    assert mail["From"] == "datavigil <datavigil@example.com>"
    assert mail["Date"] == "Mon, 23 Nov 2026 02:04:00 +0000"
    assert (mail["Auto-Submitted"], mail["List-Id"]) == ("auto-generated", "datavigil <datavigil.example.com>")
    assert mail.get_content_type() == "multipart/alternative"
    assert [p.get_content_type() for p in mail.iter_parts()] == ["text/plain", "text/html"]
    text, html = part(mail, "plain"), part(mail, "html")
    assert text.startswith(
        "CRITICAL · orders · bad values in amount\n\n  CRITICAL  missing(amount) is 38.2 %, at most 2 % allowed\n"
    )
    for said in (
        "CRITICAL",
        "missing(amount) is 38.2 %",
        "healed",
        "Mon 2026-11-23 01:00 UTC",
        "data-platform",
        "INC-12 · route critical",
    ):
        assert said in text
        assert said in html
    assert '<a href="https://wiki.example.com/orders"' in html
    assert "where &#34;amount&#34; is null" in html
    assert sink.secure == [True]


def test_the_same_key_is_the_same_message_id_so_that_a_repeat_folds(sink: SmtpSink) -> None:
    first = inbox(sink).send(OUTGOING)
    again = inbox(sink).send(replace(OUTGOING, message=MESSAGE.marked()))
    other = inbox(sink).send(replace(OUTGOING, key="inc:12:inbox:resolved:1"))
    assert first == again == sink.mails[0]["Message-ID"] == sink.mails[1]["Message-ID"] != other
    assert str(sink.mails[1]["Subject"]).endswith("(may repeat)")


def test_the_mails_of_an_incident_make_one_thread(sink: SmtpSink) -> None:
    root = inbox(sink).send(OUTGOING)
    inbox(sink).send(replace(OUTGOING, key="inc:12:inbox:resolved:1", root=root))
    inbox(sink).send(replace(OUTGOING, key="k", root="C0123456789:170000.0001"))
    assert sink.mails[1]["In-Reply-To"] == sink.mails[1]["References"] == root == sink.mails[0]["Message-ID"]
    assert sink.mails[2]["References"] is None


def test_data_cannot_add_a_header_or_markup(sink: SmtpSink) -> None:
    evil = "x\r\nBcc: evil@example.com\r\n\r\n<script>alert(1)</script>\x00\ud800\u202e <img src=x onerror=alert(1)> {{ 7 * 7 }}"
    finding = Finding(evil, evil, Severity.WARNING)
    message = Message("open", evil, evil, AT, Severity.WARNING, (finding,), (Fact(evil, evil),), (evil,), evil, evil, evil, evil)
    inbox(sink).send(Outgoing("message", evil.replace("\ud800", ""), message))
    (mail,) = sink.mails
    assert mail["Bcc"] is None
    assert sink.taken == [["a@example.com"]]
    html = part(mail, "html")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "{{ 7 * 7 }}" in html
    assert {"script", "img"}.isdisjoint(tags(html))
    assert not set("\x00\u202e\ud800") & set(html + part(mail, "plain"))


def tags(page: str) -> set[str]:
    found: set[str] = set()

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            found.add(tag)

    Reader().feed(page)
    return found


@pytest.mark.parametrize("letter", ["x", "<", "'", "é", "🔴", "\n"])
def test_a_page_of_any_size_stays_below_what_mail_programs_clip(sink: SmtpSink, letter: str) -> None:
    huge = letter * 20_000
    findings = tuple(Finding(f"{n} {huge}", "c", Severity.WARNING) for n in range(60))
    message = replace(
        MESSAGE, title=huge, text=huge, findings=findings, facts=(Fact(huge, huge),) * 40, todo=(huge,) * 40, code=huge
    )
    assert len(as_html(message).encode()) <= 90_000
    inbox(sink).send(Outgoing("message", "k", message))
    assert "more</td>" in part(sink.mails[0], "html")


def test_of_sixty_ordinary_findings_fifty_fit_on_a_page() -> None:
    findings = tuple(
        Finding(f"missing(column_{n}) is 38.2 %, at most 2 % allowed (usual: 0.1 %)", "c", Severity.WARNING) for n in range(60)
    )
    page = as_html(replace(MESSAGE, findings=findings))
    assert len(page.encode()) < 90_000
    assert "and 10 more" in page


def test_one_refused_recipient_is_named_and_the_others_have_it(sink: SmtpSink, caplog: pytest.LogCaptureFixture) -> None:
    sink.refused = {"b@example.com": "550 5.1.1 no such user"}
    inbox(sink, to=["a@example.com", "b@example.com", "c@example.com"]).send(OUTGOING)
    assert sink.taken == [["a@example.com", "c@example.com"]]
    (record,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert record.getMessage().endswith("refused for b@example.com (550)")


REFUSALS = [
    ({"refused": {"*": "550 5.1.1 no such user"}}, ChannelBroken),
    ({"refused": {"*": "451 4.7.1 come back later"}}, NotSent),
    ({"greylist": 1}, NotSent),
    ({"sender_reply": "553 5.7.1 sender rejected"}, ChannelBroken),
    ({"sender_reply": "452 4.3.1 out of memory"}, NotSent),
    ({"sender_reply": "530 5.7.0 log in first"}, CredentialBroken),
    ({"data_replies": ["452 4.3.1 disk full"]}, NotSent),
    ({"data_replies": ["421 4.3.2 shutting down"]}, NotSent),
    ({"data_replies": ["554 5.7.1 looks like spam"] * 2}, Impossible),
    ({"after_data": ["drop"]}, Unknown),
    ({"after_data": ["hang"]}, Unknown),
]


@pytest.mark.parametrize(("orders", "kind"), REFUSALS, ids=lambda v: str(v)[:50])
def test_each_refusal_means_what_the_sender_can_do_about_it(
    sink: SmtpSink, orders: dict[str, Any], kind: type[DeliveryError]
) -> None:
    for name, value in orders.items():
        setattr(sink, name, value if not isinstance(value, list) else list(value))
    with pytest.raises(kind) as raised:
        inbox(sink, timeout=2 if orders == {"after_data": ["hang"]} else 10).send(OUTGOING)
    assert isinstance(raised.value, kind)
    assert len(sink.mails) == (1 if kind is Unknown else 0)


def test_after_greylisting_the_next_try_arrives_once(sink: SmtpSink) -> None:
    sink.greylist = 2
    for _ in range(2):
        with pytest.raises(NotSent):
            inbox(sink).send(OUTGOING)
    inbox(sink).send(OUTGOING)
    assert len(sink.mails) == 1


def test_content_that_a_filter_refuses_is_tried_once_as_text_alone(sink: SmtpSink) -> None:
    sink.data_replies = ["554 5.7.1 no HTML here"]
    reference = inbox(sink).send(OUTGOING)
    (mail,) = sink.mails
    assert mail.get_content_type() == "text/plain"
    assert mail["Message-ID"] == reference


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_login_goes_over_tls(tls: Any) -> None:
    with SmtpSink(tls, users={"dv@corp": "s3cret"}) as sink:
        inbox(sink, server=sink.server_as("dv%40corp"), password="s3cret").send(OUTGOING)
        assert sink.secure == [True]
        with pytest.raises(CredentialBroken, match="535") as raised:
            inbox(sink, server=sink.server_as("dv%40corp"), password="wr0ng").send(OUTGOING)
        assert "wr0ng" not in str(raised.value)
        with pytest.raises(CredentialBroken, match="530"):
            inbox(sink).send(OUTGOING)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_e5_a_certificate_that_is_not_trusted_stops_everything(tls: Any) -> None:
    with SmtpSink(tls) as sink, pytest.raises(CredentialBroken, match="not trusted"):
        inbox(sink, ca_file=None).send(OUTGOING)
    assert sink.mails == []


def test_a_certificate_for_another_name_is_not_trusted(sink: SmtpSink, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo

    def here(host: Any, *rest: Any, **more: Any) -> Any:
        return resolve("127.0.0.1" if host == "mail.example.com" else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", here)
    with pytest.raises(CredentialBroken, match="shows a certificate"):
        inbox(sink, server=f"smtp://mail.example.com:{sink.port}").send(OUTGOING)


def test_e5_a_server_without_starttls_gets_nothing_unless_clear_text_was_asked_for() -> None:
    with SmtpSink("none") as sink:
        with pytest.raises(CredentialBroken, match="clear text"):
            inbox(sink).send(OUTGOING)
        assert sink.mails == []
        inbox(sink, tls=False).send(OUTGOING)
        assert sink.secure == [False]


def test_a_ca_file_that_is_not_there_is_told(sink: SmtpSink, tmp_path: Path) -> None:
    with pytest.raises(CredentialBroken, match="No such file"):
        inbox(sink, ca_file=tmp_path / "none.pem").send(OUTGOING)


def test_a_server_that_is_down_is_surely_not_sent(sink: SmtpSink) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(NotSent, match="ConnectionRefusedError"):
        inbox(sink, server=f"smtp://127.0.0.1:{port}").send(OUTGOING)


@pytest.mark.parametrize(
    "greeting", [b"", b"2", b"554 5.7.1 you are banned\r\n", b"421 4.3.2 too busy\r\n", b"not smtp at all\r\n"]
)
def test_a_server_that_never_comes_to_the_content_has_nothing(sink: SmtpSink, greeting: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = threading.Event()

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(greeting)
                ended.wait(30)

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        try:
            with pytest.raises(DeliveryError) as raised:
                inbox(sink, server=f"smtp://127.0.0.1:{server.getsockname()[1]}", timeout=0.4).send(OUTGOING)
        finally:
            ended.set()
            thread.join()
    assert isinstance(raised.value, ChannelBroken if greeting.startswith(b"554") else NotSent)


def test_it_cannot_be_asked_what_arrived(sink: SmtpSink) -> None:
    with pytest.raises(CannotLookUp):
        inbox(sink).find(OUTGOING, AT)


def test_a_message_id_keeps_the_key_to_itself() -> None:
    made = message_id("inc:12:größe\n", "datavigil@example.com")
    assert made.isascii()
    assert made.endswith("@example.com>")
    assert "inc" not in made


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"server": "mail.example.com:587"}, "smtp://user@host:587"),
        ({"server": "http://mail.example.com"}, "smtp://user@host:587"),
        ({"server": "smtp://u:s3cret@mail.example.com"}, "`password`"),
        ({"sender": "datavigil"}, "not one mail address"),
        ({"sender": "a@example.com\r\nBcc: b@example.com"}, "not one mail address"),
        ({"to": ["a@example.com, b@example.com"]}, "not one mail address"),
        ({"to": ["Ann <a@example.com>"]}, "not one mail address"),
        ({"to": []}, "at least 1"),
        ({"password": "s3cret", "server": "smtp://mail.example.com"}, "no user"),
        ({"password": "s3cret", "tls": False}, "clear text"),
    ],
)
def test_settings_that_cannot_work_are_refused_without_repeating_a_secret(wrong: dict[str, Any], said: str) -> None:
    good = {"server": "smtp://u@mail.example.com", "sender": "datavigil@example.com", "to": ["a@example.com"]}
    with pytest.raises(ValueError, match=said) as raised:
        Mail.model_validate({**good, **wrong})
    assert "s3cret" not in str(raised.value)
