"""The fork server of the worker processes, started ahead: its imports go on while this process reads its config and store."""

from __future__ import annotations

import multiprocessing
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext


def workers() -> ForkServerContext:
    """The context that worker processes come from; its server is running. Call it before any thread is started."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["monitor.warm"])
    forkserver.ensure_running()
    return context
