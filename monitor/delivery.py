"""Sends what is written down; looks up, retries, gives up. The only place that talks to a channel.

`deliver` does one unit of work and says whether to go again at once. Nothing is held across a send but the row's lease.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from alerts.base import (
    AddressBroken,
    CannotLookUp,
    Channel,
    ChannelBroken,
    CredentialBroken,
    DeliveryError,
    Impossible,
    NotSent,
    Postponed,
    RateLimited,
    RootGone,
    Unknown,
    Unreachable,
)
from alerts.message import Outgoing
from alerts.telling import harmless
from alerts.wire import BEGIN_BY
from monitor import out_of_order
from monitor.config import Config
from monitor.pacing import Bucket
from monitor.store import addresses, outbox
from monitor.store.outbox import Claimed
from monitor.store.store import Store

log = logging.getLogger("datavigil.delivery")
T = TypeVar("T")

LONGEST_BACKOFF = 60.0
UNSURE_ALOUD = timedelta(hours=2)
"""Between tries that may all have arrived, at most, on a channel that cannot be asked: each may be a repeat."""


def drain(
    config: Config,
    store: Store,
    name: str,
    clock: Callable[[], datetime],
    most: int = 50,
    ended: Callable[[], bool] = lambda: False,
) -> int:
    """Send what a channel has waiting, oldest first; how many were sent or settled. A held channel sends nothing.

    Stops after the current send once `ended` says so. What waits for a channel that is no longer in the config goes to
    the channel that takes what nobody else does.
    """
    heir = config.routes[-1].to[:1] if config.routes else ()
    if name not in config.channels and heir and heir[0] in config.channels:
        outbox.reroute(store, name, heir[0], clock())
    done = 0
    channel = config.channels.get(name)
    bucket = Bucket.of(name, channel.pace if channel else 0.0)
    if channel is not None and channel.recipients != ("",):
        addresses.split(store, name, channel.recipients)
    if out_of_order.probed(config, store, name, clock(), _within):
        return 0
    while done < most and not ended() and not _held(config, store, name, clock()) and bucket.taken(ended):
        if not deliver(config, store, name, clock):
            bucket.give_back()
            break
        done += 1
    return done


def _held(config: Config, store: Store, name: str, now: datetime) -> bool:
    """The channel is paused, or out of order: then what waits for it goes to its fallback at once."""
    row = outbox.held(store, now).get(name)
    channel = config.channels.get(name)
    if row is not None and row.blocked_since and channel is not None and channel.fallback not in {None, name}:
        outbox.reroute(store, name, str(channel.fallback), now)
    return row is not None


def deliver(config: Config, store: Store, name: str, clock: Callable[[], datetime]) -> bool:
    """Claim and send the next delivery of a channel; False where there is none."""
    settings, began, now = config.daemon, time.monotonic(), clock()
    claimed = outbox.claim(store, name, now, settings.lease)
    if claimed is None:
        return False
    channel = config.channels.get(name)
    if channel is None:
        # Not lost: it waits until the channel is back in the config.
        reason = "there is no such channel in the config"
        outbox.finish(store, claimed, state="waiting", next_attempt_at=now + out_of_order.PROBE_CHANNEL, last_error=reason)
        log.error("delivery key=%s waits: there is no channel %s in the config", claimed.key, name)
        return True
    outgoing = _outgoing(claimed)
    try:
        reference, outgoing, found = _send_once(channel, claimed, outgoing, settings.send_timeout, settings.lease, began)
    except DeliveryError as fault:
        _failed(config, store, claimed, fault, clock())
        return True
    sent = {"form": outgoing.form, "provider_ref": reference, "sent_at": clock(), "unknown_since": None, "found": found}
    outbox.finish(store, claimed, state="sent", **sent)
    out_of_order.works(config, store, name, clock(), claimed.recipient)
    log.info("delivery key=%s channel=%s state=sent attempts=%d", claimed.key, name, claimed.attempts)
    return True


def send_test(channel: Channel, name: str, now: datetime, timeout: timedelta) -> str | None:
    """Send a harmless message at once, past the store; the channel's reference of it. Raises DeliveryError."""
    outgoing = Outgoing("message", f"test:{name}:{now.isoformat()}", harmless(name, now))
    return _within(timeout, lambda: channel.send(outgoing))


def lacking(channel: Channel, timeout: timedelta) -> list[str]:
    """What a channel says it may not do, a sentence each; nothing where it cannot be asked."""
    try:
        return _within(timeout, channel.lacks)
    except DeliveryError:
        return []


def _send_once(
    channel: Channel, claimed: Claimed, outgoing: Outgoing, timeout: timedelta, lease: timedelta, began: float
) -> tuple[str | None, Outgoing, bool]:
    """The reference of the message, what was sent, and whether it was there already: looked up first where an earlier try may
    have arrived."""
    if claimed.unsure and outgoing.form != "edit" and not channel.folds:
        try:
            found = _within(timeout, lambda: channel.find(outgoing, claimed.first_attempt_at))
        except CannotLookUp:
            outgoing = replace(outgoing, message=outgoing.message.marked())
        else:
            if found is not None:
                log.info("delivery key=%s channel=%s found by look-up, not sent again", claimed.key, claimed.channel)
                return found, outgoing, True
    # A send must end well within the lease, or somebody else may be sending the same.
    begin_by = began + (lease - timeout).total_seconds()
    if time.monotonic() > begin_by:
        raise NotSent("the lease is nearly over; left for the next try")

    def send() -> str | None:
        BEGIN_BY.set(begin_by)
        return channel.send(outgoing)

    return _within(timeout, send), outgoing, False


def _outgoing(claimed: Claimed) -> Outgoing:
    """A thread whose root never came, or is gone, starts anew with whatever comes next."""
    form = "root" if claimed.form in {"edit", "line"} and claimed.root is None else claimed.form
    return Outgoing(form, claimed.key, claimed.message, claimed.root, claimed.broadcast, claimed.near)


def _within(timeout: timedelta, work: Callable[[], T]) -> T:
    """`work` under a total deadline: a library's own timeout does not bound an answer that drips in byte by byte.

    Raises Unknown at the deadline; the thread is left behind and ends with its connection.
    """
    box: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            box.put((work(), None))
        except BaseException as fault:  # Whatever it is, it belongs to the caller.
            box.put((None, fault))

    threading.Thread(target=run, name="datavigil-send", daemon=True).start()
    try:
        value, fault = box.get(timeout=timeout.total_seconds())
    except queue.Empty:
        raise Unknown(f"no answer within {timeout.total_seconds():g} s") from None
    if isinstance(fault, DeliveryError):
        raise fault
    if fault is not None:
        # A channel promises DeliveryErrors only; its own fault must not stop the others' messages.
        raise Unknown(f"{type(fault).__name__} in the channel") from fault
    return value  # type: ignore[return-value]


def _failed(config: Config, store: Store, claimed: Claimed, fault: DeliveryError, now: datetime) -> None:
    """Write down how a try failed and when the next one is."""
    reason = str(fault)
    values: dict[str, Any] = {"last_error": reason}
    if claimed.attempts == 1:
        values["first_error"] = reason
    # What was unsure stays so: this try did not arrive, an earlier one still may have.
    later = "unknown" if claimed.unsure else "waiting"
    if isinstance(fault, RateLimited):
        until = now + timedelta(seconds=fault.after)
        outbox.pause(store, claimed.channel, until)
        values |= {"state": later, "next_attempt_at": until, "attempts": claimed.attempts - 1}
    elif isinstance(fault, Unknown):
        values |= {"state": "unknown", "unknown_since": now, "next_attempt_at": now + _patience(config, claimed)}
    elif isinstance(fault, AddressBroken) and claimed.recipient:
        values |= {"state": "dead"}
    elif isinstance(fault, ChannelBroken | CredentialBroken):
        # When it is tried again is the channel's matter, not the row's.
        values |= {"state": later, "next_attempt_at": None}
    elif isinstance(fault, RootGone) and claimed.incident is not None:
        outbox.forget_root(store, claimed.incident, claimed.channel)
        values |= {"state": "waiting", "next_attempt_at": now}
    elif isinstance(fault, Impossible):
        values |= {"state": "dead"}
    else:
        wait = _greylisted(claimed.attempts) if isinstance(fault, Postponed) else timedelta(seconds=_backoff(claimed.attempts))
        values |= {"state": later, "next_attempt_at": now + wait}
    outbox.finish(store, claimed, **values)
    # Only now: whatever follows from it for the channel, the row is written down.
    if isinstance(fault, ChannelBroken | CredentialBroken | Unreachable | Impossible):
        out_of_order.failed(config, store, claimed, fault, now)
    level = logging.ERROR if values["state"] == "dead" else logging.WARNING
    log.log(level, "delivery key=%s channel=%s state=%s: %s", claimed.key, claimed.channel, values["state"], reason)


def _patience(config: Config, claimed: Claimed) -> timedelta:
    """Time for a late arrival to show up in the look-up; longer the more often it stayed unclear."""
    channel = config.channels.get(claimed.channel)
    longest = timedelta(minutes=10) if channel is not None and (channel.looks_up or channel.folds) else UNSURE_ALOUD
    doubled: int = 2 ** min(claimed.attempts - 1, 16)
    return min(config.daemon.settle * doubled, longest)


def _backoff(attempts: int) -> float:
    """1, 2, 4 ... 60 s, less a random part so that many do not come at once."""
    return random.uniform(0.5, 1.0) * min(2.0 ** (attempts - 1), LONGEST_BACKOFF)  # noqa: S311 - no secret in it


def _greylisted(attempts: int) -> timedelta:
    """5, 10, 20 ... minutes, 4 hours at most: a server that greylists counts from the first try."""
    doubled: int = 2 ** min(attempts - 1, 10)
    return min(timedelta(minutes=5) * doubled, timedelta(hours=4))
