"""How a channel goes over the network: one deadline for the whole exchange, no redirects, no proxy on the way to this machine.

`urlopen` alone is not enough: its timeout holds for one read, so an answer that drips never ends; it follows a redirect
and takes the Authorization header along; and its proxies come from the environment even for loopback.
"""

from __future__ import annotations

import email.message
import http.client
import ipaddress
import math
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from alerts.base import NotSent, Unknown, Unreachable

LONGEST_ANSWER = 1_000_000
"""Bytes of an answer that are read; no service we talk to says more."""
PAUSE, LONGEST_PAUSE = 30.0, 600.0
"""Seconds to wait when asked for a pause without a length, and at most."""


BEGIN_BY: ContextVar[float | None] = ContextVar("begin_by", default=None)
"""When, on the monotonic clock, it is too late to begin: somebody else may be sending the same by then. Looked at once more
when the connection stands, so that a process that was stopped on its way there does not send as it wakes up."""


@dataclass(frozen=True)
class Answer:
    """What came back: HTTP status, headers (names in lower case), body (possibly cut short: only its form can tell)."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def pause(self) -> float:
        """Seconds of its Retry-After header (a number or a date), 30 without one, 600 at most."""
        asked = self.headers.get("retry-after") or ""
        try:
            seconds = float(asked)
        except ValueError:
            seconds = _until(asked, self.headers.get("date"))
        return min(max(seconds, 1.0), LONGEST_PAUSE) if math.isfinite(seconds) else PAUSE


def _until(date: str, now: str | None) -> float:
    """Seconds from the service's own `now` (its clock may be off, but is off in both) to `date`; NaN where it is none."""
    try:
        there = now and parsedate_to_datetime(now)
        return ((_aware(parsedate_to_datetime(date))) - (_aware(there) if there else datetime.now(UTC))) / timedelta(seconds=1)
    except ValueError:
        return math.nan


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def post(url: str, body: bytes, headers: Mapping[str, str], timeout: float, what: str) -> Answer:
    """POST `body`; the answer, whatever its status. `timeout` is seconds for the whole exchange, `what` names the service.

    Raises Unreachable where nothing can have arrived (no connection), NotSent where it came too late to begin, Unknown where
    it may have arrived. None tells the url.
    """
    trip = _Trip()
    request = urllib.request.Request(url, data=body, headers=dict(headers), method="POST")  # noqa: S310 - the caller's url is http
    opener = urllib.request.build_opener(_proxies(url), _Plain(trip), _Secure(trip), _Stay())
    try:
        with cut_off(lambda: trip.sock, timeout):
            return _open(opener, request, timeout)
    except (OSError, ValueError, http.client.HTTPException) as fault:
        if trip.connected:
            raise Unknown(f"{what} took the connection but gave no whole answer ({_name(fault)})") from None
        raise Unreachable(f"{what} cannot be reached ({_name(fault)})") from None


def _open(opener: urllib.request.OpenerDirector, request: urllib.request.Request, timeout: float) -> Answer:
    try:
        with opener.open(request, timeout=timeout) as response:
            return Answer(response.status, _headers(response.headers), _body(response))
    except urllib.error.HTTPError as refused:
        with refused:
            return Answer(refused.code, _headers(refused.headers), _body(refused))


def _body(response: http.client.HTTPResponse | urllib.error.HTTPError) -> bytes:
    """Empty where it does not arrive: the status has, and only who asked knows whether that is enough."""
    try:
        return response.read(LONGEST_ANSWER)
    except (OSError, ValueError, http.client.HTTPException):
        return b""


def _headers(received: email.message.Message) -> dict[str, str]:
    return {name.lower(): value for name, value in received.items()}


def _name(fault: BaseException) -> str:
    """What went wrong, without the address: that may be a secret."""
    inner = fault.reason if isinstance(fault, urllib.error.URLError) and isinstance(fault.reason, BaseException) else fault
    words = inner.strerror if isinstance(inner, OSError) and inner.strerror else ""
    return f"{type(inner).__name__}: {words}" if words else type(inner).__name__


@contextmanager
def cut_off(sock: Callable[[], socket.socket | None], seconds: float) -> Iterator[None]:
    """Shuts the socket down when the time is up, so that a peer that drips or hangs ends the call with a lost connection."""
    timer = threading.Timer(max(seconds, 0.0), lambda: _shut(sock()))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _shut(sock: socket.socket | None) -> None:
    with suppress(OSError):
        if sock is not None:
            # Not SSLSocket.shutdown: it drops the TLS layer under the thread that reads.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)


def remaining(until: float) -> float:
    """Seconds left until `until` of the monotonic clock. Raises NotSent where there are none: nothing was tried yet."""
    left = until - time.monotonic()
    if left <= 0:
        raise NotSent("no time was left to send")
    return left


def on_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _proxies(url: str) -> urllib.request.ProxyHandler:
    return urllib.request.ProxyHandler({} if on_this_machine(url) else None)


@dataclass
class _Trip:
    """How far the exchange came."""

    sock: socket.socket | None = None
    connected: bool = False

    def watch(self, connection: http.client.HTTPConnection) -> http.client.HTTPConnection:
        connect = connection.connect

        def connect_and_tell() -> None:
            connect()
            begin_by = BEGIN_BY.get()
            if begin_by is not None and time.monotonic() > begin_by:
                connection.close()
                raise NotSent("it took too long to get there; left for the next try")
            self.sock, self.connected = connection.sock, True

        connection.connect = connect_and_tell  # type: ignore[method-assign]
        return connection


class _Plain(urllib.request.HTTPHandler):
    def __init__(self, trip: _Trip) -> None:
        super().__init__()
        self.trip = trip

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection, req)

    def _connection(self, host: str, **settings: Any) -> http.client.HTTPConnection:
        return self.trip.watch(http.client.HTTPConnection(host, **settings))


class _Secure(urllib.request.HTTPSHandler):
    def __init__(self, trip: _Trip) -> None:
        super().__init__()
        self.trip = trip

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection, req)

    def _connection(self, host: str, **settings: Any) -> http.client.HTTPConnection:
        return self.trip.watch(http.client.HTTPSConnection(host, **settings))


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer to be judged, not a place to take our secrets to."""

    def redirect_request(self, *args: Any) -> None:
        return None
