"""Whose a window is that is being measured: machine and process, and how long."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from datetime import datetime
from functools import cache
from pathlib import Path


def owner() -> str:
    """Who we are in leases: machine and process. A dead process of the same machine is told from a living one by it."""
    return f"{_machine()}:{os.getpid()}"


def left(lease_owner: str | None, lease_until: datetime | None, clock: datetime) -> bool:
    """The lease has ended, or its process is dead: on our own host that can be seen at once."""
    if lease_until is None or lease_until <= clock:
        return True
    host, _, pid = (lease_owner or "").rpartition(":")
    if host != _machine() or not pid.isdigit() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


@cache
def _machine() -> str:
    """Where process numbers mean the same as here: two containers may share a hostname and not their numbers."""
    known = [socket.gethostname()]
    with suppress(OSError):
        known.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:13])
        known.append(str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]"))
    return "/".join(known)
