"""A Slack on loopback that answers as Slack does, keeps what it was told, and misbehaves on order."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from monitor.testing.fakesocket import FakeSocket
from monitor.testing.faults import Fault, Faults
from monitor.testing.rendering import as_html, as_text
from monitor.testing.serving import Reply, Request, Served
from monitor.testing.workspace import SCOPES, Workspace

TOKEN = "xoxb-test"  # noqa: S105 - the double's own, opens nothing
APP_TOKEN = "xapp-test"  # noqa: S105 - the same


class FakeSlack(Served):
    """A server: `with FakeSlack() as slack: Slack(token=slack.token, channel="#data-quality", api=slack.url)`.

    `state` is a JSON file in which everything lives on when the process ends. Over HTTP: `GET /` shows the messages as a page,
    `GET /_/state` as JSON, `GET /_/text` as text, `POST /_/misbehave` takes a list of faults, `POST /_/delete` a
    message's `ts`. A fault's `method` may be `upload`, too: the bytes of a file. History is consistent at once, which real Slack
    does not promise; neither is a file shown at once there.
    """

    def __init__(
        self,
        port: int = 0,
        state: Path | str | None = None,
        channels: Iterable[str] = ("data-quality", "oncall"),
        token: str = TOKEN,
        scopes: Iterable[str] = SCOPES,
        fault_rate: float = 0.0,
        seed: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(port)
        self.token, self.app_token = token, APP_TOKEN
        self.socket = FakeSocket()
        self.answers: list[dict[str, Any]] = []
        self.workspace = Workspace(channels, token, scopes, clock)
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._faults = Faults(fault_rate, seed)
        self._file = Path(state) if state else None
        self._lock = threading.RLock()
        if self._file and self._file.exists():
            self.workspace.restore(json.loads(self._file.read_text()))

    @property
    def url(self) -> str:
        """What to give a client as Slack's address."""
        return f"{self.address}/api/"

    def stop(self) -> None:
        self.socket.stop()
        super().stop()

    def press(self, ts: str, verb: str, user: str = "ann") -> str:
        """Somebody presses a button of a message; the id of the envelope that says so. Raises KeyError where there is none."""
        (message,) = [m for m in self.messages if m["ts"] == ts]
        elements = [e for b in message["blocks"] if b["type"] == "actions" for e in b["elements"]]
        button = {e["action_id"].rpartition(":")[2]: e for e in elements}[verb]
        return self.socket.interact(self.interaction(message["channel"], ts, button, user))

    def interaction(self, channel: str, ts: str, button: dict[str, Any], user: str) -> dict[str, Any]:
        """What Slack says of a pressed button."""
        return {
            "type": "block_actions",
            "user": {"id": f"U{user.upper()}", "username": user, "name": user, "team_id": "T1"},
            "container": {"type": "message", "message_ts": ts, "channel_id": channel},
            "channel": {"id": channel, "name": self.workspace.channels[channel]["name"]},
            "actions": [{"type": "button", "block_id": "b", "action_ts": ts, **button}],
            "response_url": f"{self.address}/actions/T1/1",
        }

    # What was said.

    @property
    def messages(self) -> list[dict[str, Any]]:
        """All messages, oldest first, as Slack stores them."""
        with self._lock:
            return json.loads(json.dumps(self.workspace.messages))  # type: ignore[no-any-return]

    def roots(self, channel: str | None = None) -> list[dict[str, Any]]:
        """Those that are in no thread, of all channels or of the one of this name or id."""
        made = None if channel is None else self.channel(channel)
        return [m for m in self.messages if "thread_ts" not in m and made in {None, m["channel"]}]

    def thread(self, ts: str) -> list[dict[str, Any]]:
        """The answers to a root."""
        return [m for m in self.messages if m.get("thread_ts") == ts]

    def keys(self) -> list[str]:
        """The keys in the metadata of all messages, oldest first: a key twice is a message told twice."""
        return [
            m["metadata"]["event_payload"]["key"] for m in self.messages if "key" in m.get("metadata", {}).get("event_payload", {})
        ]

    def channel(self, name: str) -> str:
        """The id of a channel. Raises KeyError for an unknown one."""
        if name in self.workspace.channels:
            return name
        return {c["name"]: made for made, c in self.workspace.channels.items()}[name.removeprefix("#")]

    def asked(self, method: str) -> list[dict[str, Any]]:
        """What this method was called with, in order; also where the call then went wrong."""
        with self._lock:
            return [body for called, body in self.calls if called == method]

    def picture(self, file: str) -> bytes:
        """The bytes of a file that was uploaded. Raises KeyError where there is none."""
        with self._lock:
            content = self.workspace.files[file]["content"]
        if content is None:
            raise KeyError(file)
        return base64.b64decode(content)

    # What is done to it.

    def misbehave(self, faults: Iterable[Fault | dict[str, Any] | str]) -> None:
        """The next requests go wrong, one fault each, in order."""
        with self._lock:
            self._faults.order(faults)

    def delete(self, ts: str) -> None:
        """Somebody removes a message."""
        with self._lock:
            self.workspace.messages = [m for m in self.workspace.messages if m["ts"] != ts]
            self._save()

    # The wire.

    def answer(self, request: Request) -> Reply:
        place = urlsplit(request.path).path
        with self._lock:
            if place.startswith("/api/"):
                return self._api(place.removeprefix("/api/"), request)
            if place.startswith("/upload/"):
                return self._upload(place.rpartition("/")[2], request)
            return self._own(place, request)

    def _upload(self, file: str, request: Request) -> Reply:
        self.calls.append(("upload", {"file": file, "length": len(request.body), "headers": dict(request.headers)}))
        fault = self._faults.next("upload")
        if _refuses(fault):
            return Reply(fault=fault)
        taken = self.workspace.take_file(file, request.body)
        self._save()
        return Reply(f"OK - {len(request.body)}" if taken else "no such upload", 200 if taken else 400, fault=fault)

    def _api(self, method: str, request: Request) -> Reply:
        asked = _asked(request)
        token = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        self.calls.append((method, asked))
        self.workspace.address = self.address
        fault = self._faults.next(method)
        if _refuses(fault):
            return Reply(fault=fault)
        answer = self._connections(token) if method == "apps.connections.open" else self.workspace.answer(method, token, asked)
        self._save()
        return Reply(answer, headers={"X-OAuth-Scopes": ",".join(sorted(self.workspace.scopes))}, fault=fault)

    def _connections(self, token: str) -> dict[str, Any]:
        if token != self.app_token:
            return {"ok": False, "error": "invalid_auth" if token.startswith("xapp") else "not_allowed_token_type"}
        return {"ok": True, "url": self.socket.address()}

    def _own(self, place: str, request: Request) -> Reply:
        if place == "/_/misbehave":
            self.misbehave(json.loads(request.body))
            return Reply({"waiting": [f.as_json() for f in self._faults.ordered]})
        if place.startswith("/actions/"):
            self.answers.append(json.loads(request.body))
            return Reply("ok")
        if place == "/_/delete":
            self.delete(json.loads(request.body)["ts"])
            return Reply({"ok": True})
        if place.startswith("/files/"):
            kept = self.workspace.files.get(place.removeprefix("/files/"))
            return Reply(base64.b64decode(kept["content"]) if kept and kept["content"] else "there is nothing here")
        if place == "/_/state":
            return Reply(self.workspace.as_json())
        if place == "/_/text":
            return Reply("\n\n".join(as_text(m) for m in self.messages), headers={"Content-Type": "text/plain; charset=utf-8"})
        return Reply(as_html(self.messages)) if place == "/" else Reply("there is nothing here", 404)

    def _save(self) -> None:
        if self._file:
            # Renamed into place: a kill in the middle leaves the old file whole.
            fresh = self._file.with_name(self._file.name + ".new")
            fresh.write_text(json.dumps(self.workspace.as_json()))
            fresh.replace(self._file)


def _refuses(fault: Fault | None) -> bool:
    """It goes wrong before anything is done; what breaks off in mid-answer has been done."""
    return fault is not None and not fault.accepted and fault.do not in {"cut", "drip"}


def _asked(request: Request) -> dict[str, Any]:
    """The arguments of a call, whether they came as JSON, as a form or in the address."""
    asked: dict[str, Any] = dict(parse_qsl(urlsplit(request.path).query))
    if "json" in request.headers.get("content-type", ""):
        return asked | dict(json.loads(request.body or b"{}"))
    asked |= dict(parse_qsl(request.body.decode()))
    for name in ("blocks", "metadata", "files"):
        if name in asked:
            asked[name] = json.loads(asked[name])
    return asked
