"""datavigil in a warm process: windows measured, judged and recorded one after the other, as a worker and the daemon do it.

    python -m benchmarks.warm CONFIG      then one day (2026-11-17) per line of standard input

The time is that of claiming the window, reading its history from the store, measuring it in DuckDB, judging every check and
recording profile, results, problems and messages in one transaction. Start-up and the imports are before it.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.answering import serve, timed
from monitor.config import load
from monitor.job import Measured
from monitor.runner import Finished, Runner
from monitor.store.store import Store

VERSIONS = ("datavigil", "duckdb", "ibis-framework", "numpy", "pandas", "SQLAlchemy")


class HereAndNow:
    """Workers that do their task in this process, at once: what is timed is the work, not a queue."""

    def schedule(self, function: Callable[..., Measured], args: Sequence[Any], timeout: float) -> Future[Measured]:
        done: Future[Measured] = Future()
        done.set_result(function(*args))
        return done


class Warm:
    """A config with one dataset, and its store."""

    def __init__(self, path: Path) -> None:
        self.config = load(path)
        store = Store(self.config.store.url.get_secret_value())
        store.migrate()
        self.runner = Runner(self.config, store, HereAndNow())
        [self.dataset] = self.config.datasets.values()

    def window(self, day: str) -> Finished:
        """That day's window, from its claim to its record; a day may be asked again."""
        noon = datetime.combine(datetime.fromisoformat(day), time(12), UTC)
        window = self.dataset.calendar.holding(noon)
        self.runner.start(self.dataset, window, window.end, again=True)
        [finished] = self.runner.collect(window.end)
        return finished

    def timed(self, day: str) -> dict[str, Any]:
        """Seconds, rows and how many results of each status."""
        seconds, finished = timed(lambda: self.window(day))
        found = Counter(str(result.status) for result in finished.measured.results)
        return {"seconds": seconds, "rows": finished.measured.rows, "state": finished.measured.state, "results": dict(found)}


def main() -> None:
    import monitor.warm  # noqa: F401 - what the fork server hands down to every worker

    serve({"versions": {name: version(name) for name in VERSIONS}}, Warm(Path(sys.argv[1])).timed)


if __name__ == "__main__":
    main()
