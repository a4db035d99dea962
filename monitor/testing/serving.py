"""The HTTP server under the doubles: threads, loopback, and answers that go wrong as ordered."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from monitor.testing.faults import Fault

HTML = "<html><body><h1>Something went wrong</h1></body></html>"


@dataclass(frozen=True)
class Request:
    """One request as it came; header names in lower case."""

    verb: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """An answer; `body` is text, bytes of a PNG, or goes out as JSON. A `fault` spoils it on the way."""

    body: Any = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: Fault | None = None

    @property
    def encoded(self) -> tuple[str, bytes]:
        if isinstance(self.body, str):
            return "text/html; charset=utf-8", self.body.encode()
        if isinstance(self.body, bytes):
            return "image/png", self.body
        return "application/json; charset=utf-8", json.dumps(self.body).encode()


class Served:
    """A server on 127.0.0.1 in threads of its own: `with` starts and stops it. Subclasses say `answer`."""

    def __init__(self, port: int = 0) -> None:
        self._wanted = port
        self._server: ThreadingHTTPServer | None = None
        self._stopped = threading.Event()

    def answer(self, request: Request) -> Reply:
        raise NotImplementedError

    @property
    def port(self) -> int:
        if self._server is None:
            raise RuntimeError("the server is not running")
        return self._server.server_port

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        self._stopped.clear()
        self._server = _Server(("127.0.0.1", self._wanted), _handler(self.answer, self._stopped))
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def stop(self) -> None:
        self._stopped.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A client killed in mid-request must not print a traceback here.
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone is none of the server's business."""


def _handler(answer: Callable[[Request], Reply], stopped: threading.Event) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = answer(Request(self.command, self.path, headers, body))
            if reply.fault is None:
                self._say(reply)
            else:
                self._spoil(reply, reply.fault)

        do_GET = do_POST

        def _say(self, reply: Reply, whole: bool = True) -> None:
            kind, body = reply.encoded
            self.send_response(reply.status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body if whole else body[: len(body) // 2])

        def _spoil(self, reply: Reply, fault: Fault) -> None:
            if fault.do == "rate_limit":
                headers = {"Retry-After": fault.retry_after} if fault.retry_after is not None else {}
                self._say(Reply({"ok": False, "error": "ratelimited"}, 429, headers))
            elif fault.do in {"server_error", "not_json"}:
                self._say(Reply(HTML, fault.status if fault.do == "server_error" else 200))
            elif fault.do == "redirect":
                self._say(Reply(HTML, 302, {"Location": "/elsewhere"}))
            elif fault.do == "error":
                self._say(Reply({"ok": False, "error": fault.error}))
            else:
                self._break(reply, fault)

        def _break(self, reply: Reply, fault: Fault) -> None:
            if fault.do == "cut":
                self._say(reply, whole=False)
            elif fault.do == "hang":
                stopped.wait(fault.seconds)
            elif fault.do == "drip":
                self._drip(reply, fault.seconds)
            self._hang_up(reset=fault.do == "drop")

        def _drip(self, reply: Reply, seconds: float) -> None:
            kind, body = reply.encoded
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            for at in range(len(body)):
                self.wfile.write(body[at : at + 1])
                if stopped.wait(seconds):
                    return

        def _hang_up(self, reset: bool) -> None:
            self.close_connection = True
            if reset:
                # Linger of zero: the client sees a reset instead of a polite end.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
            """Tests read what was asked from the double, not from standard error."""

    return Handler
