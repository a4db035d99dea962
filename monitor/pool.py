"""The pool of worker processes: a well-kept one (pebble), which kills what passes its deadline and replaces what died."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pebble import ProcessPool

from monitor import ahead, worker

log = logging.getLogger("datavigil")
TASKS_EACH = 500
"""Windows after which a worker is replaced, so that no driver's leak grows for ever."""


class Pool:
    """Worker processes that are there again whatever ended them; see `workers`.

    Pebble replaces a worker that dies at its task. One that dies idle (the kernel ran out of memory), or a dead fork server,
    ends its whole pool for good: then a new one is made.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._context = ahead.workers()
        self._pool = self._made()

    def schedule(self, function: Any, args: Sequence[Any] = (), timeout: float | None = None) -> Any:
        """A future of `function(*args)`, run in a worker that is killed after `timeout` seconds."""
        if not self._pool.active:
            log.error("the worker processes ended unexpectedly; new ones are started")
            self.stop()
            self._pool = self._made()
        return self._pool.schedule(function, args=args, timeout=timeout)

    def stop(self) -> None:
        """Kill what still runs."""
        self._pool.stop()
        self._pool.join()

    def _made(self) -> ProcessPool:
        return ProcessPool(max_workers=self._count, max_tasks=TASKS_EACH, initializer=worker.prepare, context=self._context)


@contextmanager
def workers(count: int) -> Iterator[Pool]:
    """`count` worker processes, started when first needed. Make it before any thread is started.

    They come from a fork server that has Ibis imported already, so a new one is there at once and the parent never
    holds it. At the end what still runs is killed.
    """
    pool = Pool(count)
    try:
        yield pool
    finally:
        pool.stop()
