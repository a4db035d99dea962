"""The pool of worker processes: a well-kept one (pebble), which kills what passes its deadline and replaces what died."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager

from pebble import ProcessPool

from monitor import worker

TASKS_EACH = 500
"""Windows after which a worker is replaced, so that no driver's leak grows for ever."""


@contextmanager
def workers(count: int) -> Iterator[ProcessPool]:
    """`count` worker processes, started when first needed. Make it before any thread is started.

    They come from a fork server that has Ibis and pandas imported already, so a new one is there at once and the parent never
    holds either. At the end what still runs is killed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["monitor.warm"])
    pool = ProcessPool(max_workers=count, max_tasks=TASKS_EACH, initializer=worker.prepare, context=context)
    try:
        yield pool
    finally:
        pool.stop()
        pool.join()
