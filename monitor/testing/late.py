"""A fake Slack that also answers badly and takes the message late, as a service behind a queue does."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

from monitor.testing.fakeslack import FakeSlack, _asked
from monitor.testing.faults import Fault
from monitor.testing.serving import Reply, Request


class LateSlack(FakeSlack):
    """`late_rate` of all posts hear nothing back and are carried out up to `lateness` seconds afterwards.

    Whoever looks for such a message at once does not find it, and posts it again: the settle time is there for that.
    Each message keeps in `posted` the text it came with, whatever it is edited to. `pause` is the time in seconds that each
    call takes, so that a caller can be killed inside of it.
    """

    def __init__(self, late_rate: float = 0.0, lateness: float = 0.3, pause: float = 0.0, seed: int = 0, **settings: Any) -> None:
        super().__init__(seed=seed, **settings)
        self.late_rate, self.lateness, self.pause = late_rate, lateness, pause
        self._chance = random.Random(seed)  # noqa: S311 - repeatable trouble, not a secret

    def _api(self, method: str, request: Request) -> Reply:
        if method != "chat.postMessage" or self._chance.random() >= self.late_rate:
            return super()._api(method, request)
        asked, token = _asked(request), request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        self.calls.append((method, asked))
        threading.Timer(self._chance.uniform(0, self.lateness), self._take, (method, token, asked)).start()
        return Reply(fault=Fault("drop"))

    def answer(self, request: Request) -> Reply:
        if self.pause and request.path.startswith("/api/"):
            time.sleep(self.pause)
        return super().answer(request)

    def _save(self) -> None:
        for message in self.workspace.messages:
            message.setdefault("posted", message["text"])
        super()._save()

    def _take(self, method: str, token: str, asked: dict[str, Any]) -> None:
        with self._lock:
            self.workspace.answer(method, token, asked)
            self._save()
