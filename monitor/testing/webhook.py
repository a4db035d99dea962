"""A service that takes POSTs and answers as it was told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from monitor.testing.faults import Fault, Faults
from monitor.testing.serving import Reply, Request, Served


@dataclass(frozen=True)
class Post:
    """One POST: where, what (parsed and raw), and its headers, names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class WebhookSink(Served):
    """Keeps what is posted. `answers` are the statuses of the next answers, then 200; faults come before them."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.posts: list[Post] = []
        self.answers: list[int] = []
        self.headers: dict[str, str] = {}
        self._faults = Faults()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"{self.address}/hook"

    def misbehave(self, faults: Iterable[Fault | dict[str, Any] | str]) -> None:
        """The next requests go wrong, one fault each, in order; one that is not `accepted` is not kept."""
        with self._lock:
            self._faults.order(faults)

    def answer(self, request: Request) -> Reply:
        with self._lock:
            fault = self._faults.next(request.path)
            if fault is None or fault.accepted:
                self.posts.append(Post(request.path, dict(request.headers), request.body))
            status = self.answers.pop(0) if self.answers and fault is None else 200
            return Reply({"status": status}, status, self.headers, fault)
