"""How a process of ours ends: at once. Taking a heap of half a million objects apart takes longer than a short command's work."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

ROUGHLY = (10_000, 20, 20)
"""When to look for garbage: an import of our size makes a hundred thousand objects, none of which is any."""
BROKEN = 120
"""Python's own code for an output that could not be written to the end."""


@contextmanager
def at_once() -> Iterator[None]:
    """Run a command in it; at the process's end everything that asked to be called is called, then nothing more is done."""
    gc.set_threshold(*ROUGHLY)
    code = 1

    def leave() -> None:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except (OSError, ValueError):
            os._exit(code or BROKEN)
        os._exit(code)

    # The first to be registered is the last to be called.
    atexit.register(leave)
    try:
        yield
        code = 0
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            code = ended.code or 0
        raise
