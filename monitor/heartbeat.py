"""The dead man's switch: an address that hears from us as long as all is well, so that somebody notices when we are gone.

The form is healthchecks.io's: `/start` at the start, the bare address while all is well, `/fail` with a reason where it is not.
"""

from __future__ import annotations

import logging
import re
import time
from datetime import datetime, timedelta

from sqlalchemy import func, select, update

from alerts.base import DeliveryError
from alerts.wire import post
from monitor.config import Config
from monitor.store import waiting
from monitor.store.outbox import OVER
from monitor.store.store import Store
from monitor.store.tables import channels, deliveries

log = logging.getLogger("datavigil.heartbeat")

UNSENT = timedelta(minutes=10)
"""A critical message that is not sent for so long is no state to call well."""
LATE = timedelta(minutes=30)


class Heartbeat:
    """Pings at most each `every`, and never takes longer than its timeout."""

    def __init__(self, config: Config, store: Store) -> None:
        self.config, self.store = config, store
        self.last = float("-inf")

    def start(self) -> None:
        self._ping("/start", "")

    def beat(self, now: datetime) -> None:
        """After a tick that went well. Raises what the store raises: a store that does not work is no state to call well."""
        settings = self.config.heartbeat
        if settings is None or time.monotonic() - self.last < settings.every.total_seconds():
            return
        self.last = time.monotonic()
        reason = ailing(self.config, self.store, now)
        self._ping("/fail" if reason else "", reason)

    def _ping(self, end: str, reason: str) -> None:
        settings = self.config.heartbeat
        if settings is None:
            return
        url = re.sub(r"/*(\?|$)", rf"{end}\1", settings.url.get_secret_value(), count=1)
        try:
            answer = post(url, reason.encode(), {"User-Agent": "datavigil"}, settings.timeout, "the heartbeat's address")
        except DeliveryError as fault:
            log.warning("%s", fault)
            return
        if not 200 <= answer.status < 300:
            log.warning("the heartbeat's address answered %d", answer.status)


def ailing(config: Config, store: Store, now: datetime) -> str:
    """Why all is not well, in words without a secret; empty where it is."""
    with store.begin() as connection:
        # A write, so that a disk that is full or a store that only reads is found out.
        connection.execute(update(channels).where(channels.c.name == "").values(reason=None))
        oldest = func.min(func.coalesce(deliveries.c.not_before, deliveries.c.created_at))
        critical = deliveries.c.payload.like('%"severity": "critical"%')
        since: datetime | None = connection.execute(select(oldest).where(deliveries.c.state.not_in(OVER), critical)).scalar()
    if since is not None and now - since > UNSENT:
        return f"a critical message waits since {since:%Y-%m-%d %H:%M} UTC"
    behind = late(config, store, now)
    return f"{len(behind)} datasets are late, such as {behind[0]}" if behind else ""


def late(config: Config, store: Store, now: datetime) -> list[str]:
    """The datasets that have a window due for half an hour of which the ledger knows nothing: nobody is measuring it."""
    known = waiting.last_ends(store)
    return [
        name
        for name, dataset in config.datasets.items()
        if name in known and next(iter(dataset.calendar.closed(known[name], now - dataset.delay - LATE)), None) is not None
    ]
