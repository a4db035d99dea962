"""A pool without processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from monitor.job import Measured


class InLine:
    """A stand-in for the pool of worker processes: does the work at once, in this process."""

    def schedule(self, function: Callable[..., Measured], args: Sequence[Any], timeout: float) -> Future[Measured]:
        future: Future[Measured] = Future()
        try:
            future.set_result(function(*args))
        except Exception as fault:
            future.set_exception(fault)
        return future
