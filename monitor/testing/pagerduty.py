"""PagerDuty's Events API v2 on loopback: checks an event as PagerDuty does, folds by dedup_key, and misbehaves on order."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from monitor.testing.faults import Fault, Faults
from monitor.testing.serving import Reply, Request, Served

KEY = "0123456789abcdef0123456789abcdef"
LARGEST = 512 * 1024
ACTIONS = frozenset({"trigger", "acknowledge", "resolve"})
SEVERITIES = frozenset({"critical", "error", "warning", "info"})


@dataclass
class Alert:
    """One alert: `triggered`, `acknowledged` or `resolved`; `pages` counts how often it woke somebody."""

    state: str = "triggered"
    pages: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)


class FakePagerDuty(Served):
    """`with FakePagerDuty() as pd: Pagerduty(routing_key=pd.key, api=pd.address)`.

    `alerts` is by dedup_key, `changes` are change events.
    """

    def __init__(self, port: int = 0, key: str = KEY) -> None:
        super().__init__(port)
        self.key = key
        self.alerts: dict[str, Alert] = {}
        self.changes: list[dict[str, Any]] = []
        self._faults = Faults()
        self._lock = threading.Lock()

    def misbehave(self, faults: Iterable[Fault | dict[str, Any] | str]) -> None:
        """The next requests go wrong, one fault each, in order."""
        with self._lock:
            self._faults.order(faults)

    def answer(self, request: Request) -> Reply:
        with self._lock:
            fault = self._faults.next(request.path)
            if fault is not None and not fault.accepted:
                return Reply(fault=fault)
            status, said = self._enqueued(request)
            return Reply(said, status, fault=fault)

    def _enqueued(self, request: Request) -> tuple[int, dict[str, Any]]:
        if len(request.body) > LARGEST:
            return 413, {"status": "payload too large"}
        try:
            body = json.loads(request.body)
        except ValueError:
            return 400, _invalid("could not be parsed as JSON")
        if len(str(body.get("routing_key"))) != len(KEY):
            return 400, _invalid("Length of 'routing_key' is incorrect (should be 32 characters)")
        if body["routing_key"] != self.key:
            return 400, _invalid("Invalid routing key")
        if request.path == "/v2/change/enqueue":
            self.changes.append(body)
            return 202, {"status": "success"}
        wrong = _wrong(body)
        if wrong:
            return 400, _invalid(wrong)
        self._fold(body)
        return 202, {"status": "success", "message": "Event processed", "dedup_key": body["dedup_key"]}

    def _fold(self, body: dict[str, Any]) -> None:
        alert = self.alerts.get(body["dedup_key"])
        if alert is None:
            if body["event_action"] != "trigger":
                return
            alert = self.alerts[body["dedup_key"]] = Alert("new")
        alert.events.append(body)
        if body["event_action"] == "trigger":
            if alert.state in {"new", "resolved"}:
                alert.state, alert.pages = "triggered", alert.pages + 1
        elif alert.state != "resolved":
            alert.state = {"acknowledge": "acknowledged", "resolve": "resolved"}[body["event_action"]]


def _wrong(body: dict[str, Any]) -> str:
    payload = body.get("payload") or {}
    if body.get("event_action") not in ACTIONS:
        return "'event_action' is invalid"
    if not 0 < len(str(body.get("dedup_key") or "")) <= 255:
        return "'dedup_key' is missing or too long"
    if body["event_action"] != "trigger":
        return ""
    if not 0 < len(str(payload.get("summary") or "")) <= 1024:
        return "'payload.summary' is missing or too long"
    if payload.get("severity") not in SEVERITIES:
        return "'payload.severity' is invalid"
    return "" if payload.get("source") else "'payload.source' is missing or blank"


def _invalid(why: str) -> dict[str, Any]:
    return {"status": "invalid event", "message": "Event object is invalid", "errors": [why]}
