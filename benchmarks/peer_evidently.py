"""Evidently: its drift and its summary preset on two frames that are in memory already. Its own process."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Any

from benchmarks.answering import frames, serve, timed


def main() -> None:
    from evidently import Report
    from evidently.presets import DataDriftPreset, DataSummaryPreset

    reference, current = frames((sys.argv[1], sys.argv[2]))

    def work(_: str) -> dict[str, Any]:
        drift, _result = timed(lambda: Report([DataDriftPreset()]).run(current, reference))
        summary, _result = timed(lambda: Report([DataSummaryPreset()]).run(current, reference))
        return {"seconds": drift + summary, "drift": drift, "summary": summary}

    serve({"versions": {"evidently": version("evidently")}}, work)


if __name__ == "__main__":
    main()
