"""Mail by SMTP: readable as plain text, laid out as HTML, the same Message-ID whenever the same thing is sent again."""

from __future__ import annotations

import hashlib
import logging
import re
import smtplib
import socket
import ssl
import time
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from alerts import weekly_page, weekly_text
from alerts.base import (
    AddressBroken,
    Channel,
    ChannelBroken,
    CredentialBroken,
    DeliveryError,
    Impossible,
    NotSent,
    Postponed,
    Unknown,
    Unreachable,
)
from alerts.message import Message, Outgoing
from alerts.page import as_html
from alerts.plain import as_text, clean, subject
from alerts.weekly import Summary
from alerts.wire import cut_off, remaining

log = logging.getLogger(__name__)

SCHEMES = {"smtp": 587, "smtps": 465}


class Mail(Channel):
    """Mail through an SMTP server, to everybody in `to`.

    `smtp://` uses STARTTLS and `smtps://` TLS from the start; the certificate is verified, and clear text is used only where
    `tls = false` says so. With mails of one incident the later ones refer to the first, so that they make one thread.
    """

    server: str = Field(
        description="smtp://user@host:587 (STARTTLS) or smtps://user@host:465 (TLS)",
        examples=["smtp://datavigil@mail.example.com:587"],
    )
    password: SecretStr | None = Field(None, description="of the user in `server`", examples=["a password"])
    sender: str = Field(description="the address it comes from", examples=["datavigil@example.com"])
    to: tuple[str, ...] = Field(description="the addresses it goes to", min_length=1, examples=[["data@example.com"]])
    tls: bool = Field(True, description="false: clear text, for a server on this machine or in a closed network")
    ca_file: Path | None = Field(None, description="certificates to trust (PEM) instead of the system's")
    timeout: float = Field(10, gt=0, le=300, description="seconds that one delivery may take in all")

    @field_validator("server")
    @classmethod
    def _is_server(cls, server: str) -> str:
        parts = urlsplit(server)
        if parts.scheme not in SCHEMES or not parts.hostname or parts.path not in {"", "/"}:
            raise ValueError("must be smtp://user@host:587 or smtps://user@host:465")
        if parts.password is not None:
            raise ValueError("the password goes into `password`, not into the address of the server")
        return server

    @field_validator("sender", "to")
    @classmethod
    def _are_addresses(cls, given: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for address in (given,) if isinstance(given, str) else given:
            try:
                found = Address(addr_spec=address)
            except Exception:  # The standard library's parser raises whatever it stumbles over.
                found = Address()
            if not found.username or not found.domain or re.search(r"[\s<>,;]", address):
                raise ValueError(f"{address!r} is not one mail address such as data@example.com")
        return given

    @model_validator(mode="after")
    def _user_with_password(self) -> Mail:
        if self.password and not urlsplit(self.server).username:
            raise ValueError("there is a password but no user: write smtp://user@host:587")
        if self.password and not self.tls and urlsplit(self.server).scheme == "smtp":
            raise ValueError("a password is not sent in clear text: leave out `tls = false` or the password")
        return self

    @property
    def where(self) -> str:
        first, *others = self.to
        return f"mail to {first}" + (f" and {len(others)} more" if others else "")

    @property
    def account(self) -> str:
        return f"mail {self.server}"

    @property
    def recipients(self) -> tuple[str, ...]:
        return self.to

    def send(self, outgoing: Outgoing) -> str:
        """One mail to all; the reference is its Message-ID. It is sent when one recipient was taken; the others are logged."""
        until = time.monotonic() + self.timeout
        try:
            self._deliver(self.written(outgoing), self._recipients(outgoing.message), until)
        except Impossible:
            # Some filters refuse HTML: what they refuse is tried once as text alone.
            self._deliver(self.written(outgoing, html=False), self._recipients(outgoing.message), until)
        return message_id(outgoing.key, self.sender)

    def written(self, outgoing: Outgoing, html: bool = True) -> EmailMessage:
        """The mail itself; text first, HTML as the alternative."""
        message, domain = outgoing.message, self.sender.rpartition("@")[2]
        mail = EmailMessage(policy=SMTP)
        mail["From"] = f"datavigil <{self.sender}>"
        mail["To"] = ", ".join(self._recipients(message))
        mail["Subject"] = subject(message)
        mail["Date"] = format_datetime(message.at)
        mail["Message-ID"] = message_id(outgoing.key, self.sender)
        if message.summary:
            # A thread of its own each year: a root that was never sent, the same for every mail that refers to it.
            mail["References"] = message_id(f"report:weekly:{message.summary['week'][:4]}", self.sender)
        elif outgoing.root and re.fullmatch(r"<[^<>\s]+@[^<>\s]+>", outgoing.root):
            mail["In-Reply-To"] = mail["References"] = outgoing.root
        mail["Auto-Submitted"] = "auto-generated"
        mail["List-Id"] = f"datavigil <datavigil.{domain}>"
        mail["List-Unsubscribe"] = f"<mailto:{self.sender}?subject=unsubscribe>"
        if message.severity and message.state == "open":
            mail["Importance"] = "high" if message.severity == "critical" else "normal"
        if message.summary:
            _put_summary(mail, message, html)
            return mail
        mail.set_content(as_text(message, width=76), cte="quoted-printable")
        if html:
            mail.add_alternative(as_html(message), subtype="html", cte="quoted-printable")
        return mail

    def _recipients(self, message: Message) -> tuple[str, ...]:
        return (message.to,) if message.to else self.to

    def _deliver(self, mail: EmailMessage, to: tuple[str, ...], until: float) -> None:
        session = self._session(remaining(until))
        try:
            with cut_off(lambda: session.sock, remaining(until)):
                self._log_in(session)
                refused = session.send_message(mail, self.sender, list(to))
                _farewell(session)
        except (OSError, ValueError) as fault:
            raise _meaning(fault, session.began, self._host) from None
        finally:
            session.close()
        if refused:
            who = ", ".join(f"{clean(a, 80)} ({code})" for a, (code, _) in refused.items())
            log.warning("mail %s was taken for some, but refused for %s", mail["Message-ID"], who)

    def _session(self, timeout: float) -> _Session:
        # The standard library asks the DNS for our own name, which may hang.
        name = socket.gethostname()
        settings: dict[str, Any] = {"timeout": timeout, "local_hostname": name if "." in name else "[127.0.0.1]"}
        if urlsplit(self.server).scheme == "smtps":
            session: _Session = _SecureSession(context=self._context(), **settings)
        else:
            session = _Session(**settings)
        # The name that the certificate must bear; smtplib takes it only from a constructor that connects at once.
        session._host = self._host
        return session

    def _log_in(self, session: _Session) -> None:
        parts = urlsplit(self.server)
        code, words = session.connect(self._host, parts.port or SCHEMES[parts.scheme])
        if code != 220:
            raise smtplib.SMTPConnectError(code, words)
        if parts.scheme == "smtp" and self.tls:
            session.starttls(context=self._context())
        if parts.username and self.password:
            session.login(unquote(parts.username), self.password.get_secret_value())

    def _context(self) -> ssl.SSLContext:
        """Verifies name and certificate, which smtplib's own default does not."""
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except OSError as fault:
            raise CredentialBroken(f"ca_file {self.ca_file} cannot be read ({fault.strerror or type(fault).__name__})") from None

    @property
    def _host(self) -> str:
        return urlsplit(self.server).hostname or ""


def message_id(key: str, sender: str) -> str:
    """The same for the same key, so that a mail sent twice is one to whoever folds by it."""
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:40]}@{sender.rpartition('@')[2]}>"


def _put_summary(mail: EmailMessage, message: Message, html: bool) -> None:
    """The weekly summary: text, and as the alternative a page with its pictures beside it."""
    summary = Summary.model_validate(message.summary)
    mail.set_content(weekly_text.as_text(summary, message.channel), cte="quoted-printable")
    if not html:
        return
    mail.add_alternative(weekly_page.as_html(summary, message.channel), subtype="html", cte="quoted-printable")
    page = mail.get_payload()[1]  # type: ignore[index]
    for chart in weekly_page.charts(summary):
        page.add_related(chart.png, "image", "png", cid=f"<{chart.cid}>", disposition="inline")  # type: ignore[union-attr]


class _Session(smtplib.SMTP):
    """Knows whether the server had the chance to accept a mail."""

    began = False
    _host: str

    def data(self, msg: Any) -> tuple[int, bytes]:
        self.began = True
        return super().data(msg)


class _SecureSession(_Session, smtplib.SMTP_SSL):
    """The same over TLS from the start."""


def _farewell(session: smtplib.SMTP) -> None:
    """After the mail was accepted nothing that happens may look like a failure."""
    try:
        session.quit()
    except (OSError, ValueError):
        log.debug("the mail server hung up instead of saying goodbye")


def _meaning(fault: Exception, began: bool, host: str) -> DeliveryError:
    """What a fault of smtplib means. `began`: the content was being sent, so without an answer the server may have it."""
    if isinstance(fault, smtplib.SMTPRecipientsRefused):
        return _all_refused([code for code, _ in fault.recipients.values()], host)
    if isinstance(fault, smtplib.SMTPAuthenticationError):
        # The server's words are left out: some repeat what they were sent.
        said = f"mail server {host} refused the login ({fault.smtp_code})"
        return NotSent(said) if fault.smtp_code < 500 else CredentialBroken(said)
    if isinstance(fault, smtplib.SMTPResponseException):
        return _refused(fault, began, host)
    if isinstance(fault, smtplib.SMTPNotSupportedError):
        return CredentialBroken(
            f"mail server {host} does not offer what is needed: {clean(str(fault), 100)} Nothing goes in clear text"
        )
    if isinstance(fault, ssl.SSLCertVerificationError):
        return CredentialBroken(f"mail server {host} shows a certificate that is not trusted: {fault.verify_message}")
    what = f"mail server {host} {'took the mail but did not confirm it' if began else 'cannot be reached'} ({type(fault).__name__})"
    return Unknown(what) if began else Unreachable(what)


def _all_refused(codes: list[int], host: str) -> DeliveryError:
    said = f"mail server {host} refused every recipient ({', '.join(str(c) for c in sorted(set(codes)))})"
    return Postponed(said) if any(code < 500 for code in codes) else AddressBroken(said)


def _refused(fault: smtplib.SMTPResponseException, began: bool, host: str) -> DeliveryError:
    words = fault.smtp_error.decode(errors="replace") if isinstance(fault.smtp_error, bytes) else str(fault.smtp_error)
    said = f"mail server {host} refused: {fault.smtp_code} {clean(words, 150)}"
    if fault.smtp_code in {530, 534, 535, 538}:
        return CredentialBroken(said)
    if fault.smtp_code == -1:
        return Unknown(said) if began else NotSent(said)
    if fault.smtp_code < 500:
        return NotSent(said)
    if type(fault) is smtplib.SMTPResponseException:
        # Only STARTTLS raises the bare class; what it refuses must not go on in clear text.
        return CredentialBroken(said)
    return Impossible(said) if isinstance(fault, smtplib.SMTPDataError) else ChannelBroken(said)
