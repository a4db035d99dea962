"""Slack's Socket Mode on loopback: hello, interactive envelopes, acknowledgements, disconnects."""

from __future__ import annotations

import json
import threading
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from websockets.sync.server import Server, ServerConnection


class FakeSocket:
    """A WebSocket server of its own. Starts with the first address that is asked for."""

    def __init__(self) -> None:
        self.connected: list[ServerConnection] = []
        self.tickets: set[str] = set()
        self.acknowledged: list[str] = []
        self._server: Server | None = None
        self._changed = threading.Condition()

    def address(self) -> str:
        """A fresh address, good for one connection, as apps.connections.open gives."""
        if self._server is None:
            from websockets.sync.server import serve

            self._server = serve(self._serve, "127.0.0.1", 0)
            threading.Thread(target=self._server.serve_forever, daemon=True).start()
        ticket = uuid.uuid4().hex
        self.tickets.add(ticket)
        return f"ws://127.0.0.1:{self.port}/link/?ticket={ticket}&app_id=A1"

    @property
    def port(self) -> int:
        """Raises RuntimeError before anybody asked for an address."""
        if self._server is None:
            raise RuntimeError("nobody asked for an address yet")
        return int(self._server.socket.getsockname()[1])

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def send(self, envelope: dict[str, Any]) -> None:
        """To the newest connection, as Slack does to one of several. Raises RuntimeError where nobody listens."""
        with self._changed:
            if not self.connected:
                raise RuntimeError("nobody listens to buttons")
            connection = self.connected[-1]
        connection.send(json.dumps(envelope))

    def interact(self, payload: dict[str, Any]) -> str:
        """Sends an interaction; the id of its envelope."""
        made = str(uuid.uuid4())
        self.send({"type": "interactive", "envelope_id": made, "accepts_response_payload": True, "payload": payload})
        return made

    def wait(self, envelope: str, seconds: float = 3.0) -> bool:
        """Whether the envelope was acknowledged within that time."""
        with self._changed:
            return self._changed.wait_for(lambda: envelope in self.acknowledged, seconds)

    def wait_for_listeners(self, count: int = 1, seconds: float = 30.0) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: len(self.connected) >= count, seconds)

    def refresh(self) -> None:
        """Slack wants the client to come back by a new connection; this one gets nothing any more."""
        self.send({"type": "disconnect", "reason": "refresh_requested", "debug_info": {"host": "double"}})
        with self._changed:
            self.connected.pop()

    def drop(self) -> None:
        """Every connection breaks without a word."""
        import socket

        with self._changed:
            connections, self.connected = self.connected, []
        for connection in connections:
            connection.socket.shutdown(socket.SHUT_RDWR)

    def _serve(self, connection: ServerConnection) -> None:
        from websockets.exceptions import ConnectionClosed

        ticket = (connection.request.path if connection.request else "").partition("ticket=")[2].partition("&")[0]
        if ticket not in self.tickets:
            connection.close(1008, "invalid ticket")
            return
        self.tickets.discard(ticket)
        connection.send(json.dumps({"type": "hello", "num_connections": 1, "connection_info": {"app_id": "A1"}}))
        with self._changed:
            self.connected.append(connection)
            self._changed.notify_all()
        try:
            for message in connection:
                self._heard(json.loads(message))
        except (ConnectionClosed, ValueError):
            pass
        finally:
            with self._changed:
                if connection in self.connected:
                    self.connected.remove(connection)
                self._changed.notify_all()

    def _heard(self, said: dict[str, Any]) -> None:
        with self._changed:
            self.acknowledged.append(str(said.get("envelope_id")))
            self._changed.notify_all()
