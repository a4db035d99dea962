"""When the store cannot be written: one message an hour to Slack and mail, past the outbox, since nothing can be written down.

It may come twice where two daemons share the store, and after a restart: that is better than silence.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from alerts.base import Channel, DeliveryError
from alerts.message import Message, Outgoing
from checks.result import Severity
from monitor.config import Config

log = logging.getLogger("datavigil.last_resort")

EVERY = timedelta(hours=1)
PATIENCE = timedelta(seconds=30)
"""A store that is busy, or fails over, for so long is no news yet."""
KINDS = ("slack", "mail")


class LastResort:
    """Told of each fault of the store and of each job that works again; the first fault that lasts is told, then one an hour.

    By job: on a full disk what is small still fits, so a tick may work while no result is recorded.
    """

    def __init__(self, config: Config, patience: timedelta = PATIENCE) -> None:
        self.config, self.patience = config, patience
        self.failing: dict[str, float] = {}
        self.told = float("-inf")
        self.senders = ThreadPoolExecutor(max_workers=4, thread_name_prefix="datavigil-last-resort")

    @property
    def troubled(self) -> bool:
        return bool(self.failing)

    def works(self, job: str) -> None:
        self.failing.pop(job, None)

    def failed(self, job: str, reason: str, now: datetime) -> bool:
        """The store took nothing from this job, and why; True where somebody is told of it. Does not wait for the sending."""
        clock = time.monotonic()
        since = self.failing.setdefault(job, clock)
        lasting = clock - since >= self.patience.total_seconds()
        if not lasting or clock - self.told < EVERY.total_seconds():
            return False
        self.told = clock
        for name, channel in self.config.channels.items():
            if channel.kind in KINDS:
                self.senders.submit(_send, name, channel, notice(reason, now))
        return True

    def close(self) -> None:
        self.senders.shutdown(wait=True, cancel_futures=True)


def notice(reason: str, now: datetime) -> Message:
    text = f"CRIT datavigil cannot store results: {reason}"
    why = "sent without the store: it may come twice, and nothing else is told until the store works again"
    steps = ("see that the store is there and its disk has room; what was not recorded is done again by itself",)
    return Message("open", "datavigil cannot store results", text, now, Severity.CRITICAL, todo=steps, why=why)


def _send(name: str, channel: Channel, said: Message) -> None:
    try:
        channel.send(Outgoing("message", f"last-resort:{name}:{said.at:%Y-%m-%dT%H}", said))
    except DeliveryError as fault:
        log.error("channel %s: the last resort failed, too: %s", name, fault)
    except Exception as fault:  # Nobody is left to be told.
        log.error("channel %s: the last resort failed, too: %s", name, type(fault).__name__)
    else:
        log.warning("channel %s was told that the store cannot be written", name)
