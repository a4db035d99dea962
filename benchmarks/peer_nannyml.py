"""NannyML: Wasserstein of every number and Jensen-Shannon of every category, one chunk, from frames in memory. Its own process."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Any

from benchmarks.answering import frames, serve, timed


def main() -> None:
    import nannyml

    reference, current = frames((sys.argv[1], sys.argv[2]))

    def drift() -> Any:
        calculator = nannyml.UnivariateDriftCalculator(
            column_names=list(reference.columns),
            continuous_methods=["wasserstein"],
            categorical_methods=["jensen_shannon"],
            chunk_number=1,
        )
        return calculator.fit(reference).calculate(current)

    def work(_: str) -> dict[str, Any]:
        seconds, _result = timed(drift)
        return {"seconds": seconds}

    serve({"versions": {"nannyml": version("nannyml")}}, work)


if __name__ == "__main__":
    main()
