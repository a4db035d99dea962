"""Charts into the threads of incidents that just opened: after their message is out, in a thread that nobody waits for.

A courtesy: each is tried once. Whatever goes wrong costs the chart and nothing else, and `explain` says what it was.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from alerts.base import ChannelBroken, CredentialBroken, DeliveryError
from alerts.message import Chart, Message
from monitor import apart, delivery
from monitor.charting.making import draw
from monitor.charting.picking import Order, order
from monitor.config import Config
from monitor.sources.faults import plain
from monitor.store import charts, outbox
from monitor.store.charts import Root
from monitor.store.store import Store

log = logging.getLogger("datavigil.chart")

FRESH = timedelta(minutes=10)
"""After which a thread that has no chart stays without."""
LIMITS = apart.Limits(seconds=60, megabytes=1024)


class Drawer:
    """The thread that draws. Nothing here raises, and nothing waits for it."""

    def __init__(self, config: Config, store: Store, clock: Callable[[], datetime]) -> None:
        self.config, self.store, self.clock = config, store, clock
        self.refused = Refused()
        self.ending = threading.Event()
        self._wakes: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._run, name="datavigil-charts", daemon=True)

    def wake(self) -> None:
        """Something was sent."""
        if self._wakes.empty():
            self._wakes.put(True)

    def take(self, config: Config) -> None:
        """Another config: maybe what a channel lacked is granted now."""
        self.config = config
        self.refused.channels.clear()
        self.wake()

    def stop(self) -> None:
        """End, and with it what it is at."""
        self.ending.set()
        self._wakes.put(False)

    def _run(self) -> None:
        warn(self.config, self.refused)
        while self._wakes.get() and not self.ending.is_set():
            charted(self.config, self.store, self.clock, self.refused, self.ending.is_set)


class Refused:
    """Channels that take no charts for want of a permission, and what was said of that: each sentence is said once."""

    def __init__(self) -> None:
        self.channels: set[str] = set()
        self._said: set[tuple[str, str]] = set()

    def say(self, name: str, sentence: str) -> None:
        if (name, sentence) not in self._said:
            self._said.add((name, sentence))
            log.warning("channel %s: %s", name, sentence)


def warn(config: Config, refused: Refused) -> None:
    """Say of each channel what it may not do, and what that will cost."""
    for name, channel in config.channels.items():
        for sentence in delivery.lacking(channel, config.daemon.send_timeout):
            refused.say(name, sentence)


Drawing = Callable[[Order, Callable[[], bool]], list[Chart]]


def drawn_apart(wanted: Order, stopped: Callable[[], bool]) -> list[Chart]:
    """From a process of its own. Raises apart.Ended."""
    return list(apart.run(draw, [wanted], LIMITS, stopped))


def charted(
    config: Config,
    store: Store,
    clock: Callable[[], datetime],
    refused: Refused | None = None,
    stopped: Callable[[], bool] = lambda: False,
    drawn: Drawing = drawn_apart,
) -> int:
    """Draw what just opened and put it there; how many. A channel that is paused or out of order is left alone. Never raises."""
    refused = refused or Refused()
    done = 0
    try:
        names = {name for name, channel in config.channels.items() if channel.draws} - refused.channels
        for root in charts.undrawn(store, names, clock() - FRESH) if names else ():
            if stopped():
                break
            if root.channel not in refused.channels and root.channel not in outbox.held(store, clock()):
                done += _charted(config, store, root, clock(), refused, lambda wanted: drawn(wanted, stopped))
    except Exception as fault:  # The store is away; who needs it for an alert will say so.
        log.warning("no chart was drawn: %s", store.said(fault) if isinstance(fault, SQLAlchemyError) else plain(fault))
    return done


def _charted(
    config: Config, store: Store, root: Root, now: datetime, refused: Refused, drawn: Callable[[Order], list[Chart]]
) -> bool:
    wanted = order(config, store, root.incident)
    said = Message("info", wanted.title if wanted else "no chart", wanted.text if wanted else "no chart", now)
    if not charts.begin(store, root, said, now):
        return False
    if wanted is None:
        charts.dropped(store, root, "none of its checks has values to draw")
        return False
    try:
        reference = config.channels[root.channel].attach(root.reference, drawn(wanted))
    except (DeliveryError, apart.Ended) as fault:
        _dropped(store, root, fault, refused)
        return False
    charts.sent(store, root, reference, now)
    log.info("chart incident=INC-%s channel=%s sent", root.incident, root.channel)
    return True


def _dropped(store: Store, root: Root, fault: Exception, refused: Refused) -> None:
    charts.dropped(store, root, str(fault))
    if isinstance(fault, ChannelBroken | CredentialBroken):
        refused.channels.add(root.channel)
        refused.say(root.channel, str(fault))
    else:
        log.info("chart incident=INC-%s channel=%s left out: %s", root.incident, root.channel, fault)
