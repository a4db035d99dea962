"""A mail server on loopback that keeps what it takes and refuses, drops or stalls as ordered."""

from __future__ import annotations

import asyncio
import email
import ssl
import tempfile
import threading
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from monitor.testing.certificate import self_signed

Tls = Literal["none", "starttls", "implicit"]


class SmtpSink:
    """`with SmtpSink() as sink: Mail(server=sink.server, ca_file=sink.ca_file, ...)`.

    `tls`: what it offers. `users`: who may log in, name to password; empty: nobody has to. Orders, which may be changed between
    mails: `greylist`, so many recipients are put off with 451 first; `refused`, reply by address (`*`: all); `sender_reply`;
    `data_replies`, the replies to the next mails' content; `after_data`, what happens to the connections of the next mails once
    their content was taken (`drop`: ended without a reply, `hang`: no reply). `mails` are those that were taken, parsed,
    `taken` who each went to, `secure` whether it came by TLS; also where the reply was lost.
    """

    def __init__(self, tls: Tls = "starttls", users: dict[str, str] | None = None) -> None:
        self.tls, self.users = tls, users or {}
        self.mails: list[EmailMessage] = []
        self.taken: list[list[str]] = []
        self.greylist = 0
        self.refused: dict[str, str] = {}
        self.sender_reply = ""
        self.data_replies: list[str] = []
        self.after_data: list[Literal["drop", "hang"]] = []
        self.secure: list[bool] = []
        self.port = 0

    @property
    def server(self) -> str:
        """The address, without a user."""
        return f"{'smtps' if self.tls == 'implicit' else 'smtp'}://localhost:{self.port}"

    def server_as(self, user: str) -> str:
        return self.server.replace("://", f"://{user}@")

    @property
    def ca_file(self) -> Path:
        """The certificate to trust."""
        return Path(self._folder.name) / "certificate.pem"

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory()
        context = _context(Path(self._folder.name)) if self.tls != "none" else None
        self._loop = asyncio.new_event_loop()
        self._listening = self._loop.run_until_complete(self._listen(context))
        self.port = self._listening.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._end())
        self._loop.close()
        self._folder.cleanup()

    async def _listen(self, context: ssl.SSLContext | None) -> asyncio.Server:
        from aiosmtpd.smtp import SMTP

        implicit = self.tls == "implicit"
        settings: dict[str, Any] = {"hostname": "localhost", "loop": self._loop, "enable_SMTPUTF8": True}
        if self.users:
            # It does not see that the connection is secure from the start, and would ask for STARTTLS on top.
            settings |= {"authenticator": self._known, "auth_require_tls": self.tls == "starttls"}
        if context and not implicit:
            settings |= {"tls_context": context}
        return await self._loop.create_server(
            lambda: SMTP(_Orders(self), **settings), "127.0.0.1", 0, ssl=context if implicit else None
        )

    async def _end(self) -> None:
        self._listening.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)

    def _known(self, server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> Any:
        from aiosmtpd.smtp import AuthResult

        name, password = given.login.decode(), given.password.decode()
        # handled=False: the server itself says 535.
        return AuthResult(success=self.users.get(name) == password, handled=False)


class _Orders:
    """What aiosmtpd asks at each step."""

    def __init__(self, sink: SmtpSink) -> None:
        self.sink = sink

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if self.sink.users and not session.authenticated:
            return "530 5.7.0 Authentication required"
        if self.sink.sender_reply:
            return self.sink.sender_reply
        envelope.mail_from = address
        return "250 2.1.0 sender ok"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if self.sink.greylist:
            self.sink.greylist -= 1
            return "451 4.7.1 greylisted, come back later"
        if refused := self.sink.refused.get(address) or self.sink.refused.get("*"):
            return refused
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 recipient ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        sink = self.sink
        if sink.data_replies and (reply := sink.data_replies.pop(0)) and not reply.startswith("2"):
            return reply
        parsed = email.message_from_bytes(envelope.content, _class=EmailMessage, policy=SMTP_POLICY)
        sink.mails.append(parsed)
        sink.taken.append(list(envelope.rcpt_tos))
        sink.secure.append(server.transport.get_extra_info("ssl_object") is not None)
        if sink.after_data:
            if sink.after_data.pop(0) == "hang":
                await asyncio.Event().wait()
            server.transport.abort()
        return "250 2.0.0 taken"


def _context(folder: Path) -> ssl.SSLContext:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    self_signed(certificate, key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
