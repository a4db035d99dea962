"""The other end of `children.Child`: a program that loads what it needs, says that it is ready, and works when it is asked.

Runs in the peers' own environments too, so it needs nothing but Python.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

BEGAN = time.perf_counter()


def serve(ready: dict[str, Any], work: Callable[[str], dict[str, Any]]) -> None:
    """One answer of JSON per line of standard input. `ready` is said first, `work` answers a line; `cpu` is added, its seconds of
    processor time in all threads. Whatever a library prints goes to standard error.
    """
    said = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(answer: dict[str, Any]) -> None:
        said.write(json.dumps(answer) + "\n")
        said.flush()

    say({"startup": time.perf_counter() - BEGAN, **ready})
    for line in sys.stdin:
        before = time.process_time()
        answer = work(line.strip())
        say({**answer, "cpu": time.process_time() - before})


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that it took, and what it gave."""
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


def frames(files: tuple[str, str]) -> Iterator[Any]:
    """The reference's and the current file as pandas frames."""
    import pandas as pd

    for file in files:
        yield pd.read_parquet(file)
