"""When a channel is out of order, what follows, and how it is found out that it works again."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable
from datetime import datetime, timedelta

from alerts.base import AddressBroken, ChannelBroken, CredentialBroken, DeliveryError, Impossible, Unreachable
from alerts.message import Message
from alerts.telling import Delivery
from monitor import trouble
from monitor.config import Config
from monitor.store import addresses, healing, outbox
from monitor.store.outbox import VIA, Claimed
from monitor.store.store import Store

log = logging.getLogger("datavigil.delivery")

PROBE_CHANNEL = timedelta(hours=1)
PROBE_CREDENTIAL = timedelta(minutes=5)
PROBE_UNREACHABLE = timedelta(minutes=1)
AWAY = timedelta(minutes=10)
"""A channel that cannot be reached at all for so long is out of order."""
PROBES = {"channel": PROBE_CHANNEL, "credential": PROBE_CREDENTIAL, "unreachable": PROBE_UNREACHABLE}


def failed(config: Config, store: Store, claimed: Claimed, fault: DeliveryError, now: datetime) -> None:
    """What a failed try means for the channel, or for one recipient of it."""
    name = claimed.channel
    if isinstance(fault, AddressBroken) and claimed.recipient:
        _refused(config, store, name, claimed.recipient, str(fault), now)
    elif isinstance(fault, CredentialBroken):
        for same in _same_account(config, name):
            _blocked(config, store, same, "credential", str(fault), now)
    elif isinstance(fault, ChannelBroken):
        _blocked(config, store, name, "channel", str(fault), now)
    elif isinstance(fault, Unreachable):
        if now - healing.failing(store, name, now) >= AWAY:
            _blocked(config, store, name, "unreachable", str(fault), now)
    elif isinstance(fault, Impossible):
        log.error("channel %s: a message is given up, its content is refused even as plain text: key=%s", name, claimed.key)
        trouble.refused(config, store, claimed, str(fault), now)


def works(config: Config, store: Store, name: str, now: datetime, recipient: str | None = None) -> None:
    """A message was taken, or the credential is."""
    if recipient and addresses.taken(store, name, recipient):
        trouble.ends(config, store, name, now, recipient)
    trouble.rested(config, store, name, now)
    row = outbox.blocked(store, name)
    if not outbox.unblock(store, name):
        return
    log.info("channel %s takes messages again", name)
    trouble.ends(config, store, name, now)
    if row is not None and row.blocked_kind == "credential":
        for same in _same_account(config, name):
            if same != name and _is(store, same, "credential"):
                healing.collapse(store, same)
                works(config, store, same, now)


def probed(config: Config, store: Store, name: str, now: datetime, within: Callable[[timedelta, Callable[[], bool]], bool]) -> bool:
    """Where the channel is out of order and its time has come: True if it still is, so that nothing is to be sent now.

    Where it cannot be asked without telling anybody, the next message is the probe.
    """
    row, channel = outbox.blocked(store, name), config.channels.get(name)
    if row is None or channel is None or (row.probe_at and row.probe_at > now):
        return False
    if row.blocked_kind in {"credential", "unreachable"}:
        # What it missed is not told: how things stand is.
        healing.collapse(store, name)
    outbox.probe_later(store, name, now + PROBES.get(row.blocked_kind, PROBE_CHANNEL))
    if row.blocked_kind == "credential":
        try:
            if within(config.daemon.send_timeout, channel.probe):
                works(config, store, name, now)
                return False
        except DeliveryError as fault:
            log.warning("channel %s is still out of order: %s", name, fault)
            return True
    # Due again at once for the one message that is the probe.
    outbox.probe_later(store, name, now)
    if not outbox.anything_due(store, name, now):
        outbox.probe_later(store, name, now + PROBES.get(row.blocked_kind, PROBE_CHANNEL))
        return True
    return False


def _same_account(config: Config, name: str) -> list[str]:
    """The channels that break and heal with this one."""
    channel = config.channels.get(name)
    if channel is None or not channel.account:
        return [name]
    return [other for other, settings in config.channels.items() if settings.account == channel.account]


def _is(store: Store, name: str, kind: str) -> bool:
    row = outbox.blocked(store, name)
    return row is not None and row.blocked_kind == kind


def _blocked(config: Config, store: Store, name: str, kind: str, reason: str, now: datetime) -> None:
    if not outbox.block(store, name, kind, reason, now, now + PROBES[kind]):
        return
    log.error("channel %s takes nothing until it is mended: %s", name, reason)
    if kind == "channel":
        outbox.put(store, _back(config, name, reason, now), now)
    trouble.begins(config, store, name, reason, now)


def _back(config: Config, name: str, reason: str, now: datetime) -> Delivery:
    """The probe of a channel that can only be asked by writing to it: it arrives when the channel works again, and says so."""
    fallback = config.channels[name].fallback if name in config.channels else None
    went = f"what was meant for it went to {fallback}" if fallback else "what was meant for it waited"
    text = f"datavigil reaches this channel again. It was out of order since {now:%Y-%m-%d %H:%M} UTC ({reason}); {went}."
    said = Message("info", "this channel works again", text, now, why="the channel was out of order")
    return Delivery(f"channel:{name}:back:{now:%Y%m%dT%H%M%S}{VIA}{name}", None, name, "message", said)


def _refused(config: Config, store: Store, name: str, recipient: str, reason: str, now: datetime) -> None:
    suspended = addresses.refused(store, name, recipient, reason, now)
    trouble.begins(config, store, name, reason, now, recipient)
    if suspended:
        log.error("channel %s: %s is refused for three weeks and gets no more mail", name, recipient)
        _tell_suspended(config, store, name, recipient, reason, now)


def _tell_suspended(config: Config, store: Store, name: str, recipient: str, reason: str, now: datetime) -> None:
    text = f"{recipient} gets no more mail from channel {name}: it was refused for three weeks ({reason})."
    free = f"datavigil unsuspend {shlex.quote(name)} {shlex.quote(recipient)}"
    out = f"or take {recipient} out of the addresses of channel {name}, then restart or reload"
    todo = (f"when it takes mail again: {free}", out)
    said = Message("info", f"{recipient} is suspended", text, now, todo=todo, why="three weeks of refusals")
    for other in trouble.told_by(config, store, name):
        key = f"suspended:{name}:{recipient}:{now:%Y%m%d}:{other}"
        outbox.put(store, Delivery(key, None, other, "message", said), now)
