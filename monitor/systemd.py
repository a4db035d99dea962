"""What systemd wants to hear (sd_notify), by a socket of the standard library; nothing where it did not start us."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def notify(state: str) -> bool:
    """`READY=1`, `WATCHDOG=1`, `STOPPING=1`; True where somebody listens. Never raises: the daemon does not depend on it."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place:
        return False
    # A name of the abstract namespace begins with @, in the kernel's own form with a zero byte.
    address = "\0" + place[1:] if place.startswith("@") else place
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.settimeout(1.0)
        one.sendto(state.encode(), address)
        return True
    return False
