"""whylogs: the profile of one side, from a frame that is in memory already. Its own process, in its own environment."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Any

from benchmarks.answering import frames, serve, timed


def main() -> None:
    import whylogs

    _reference, current = frames((sys.argv[1], sys.argv[2]))

    def work(_: str) -> dict[str, Any]:
        seconds, _result = timed(lambda: whylogs.log(current).view())
        return {"seconds": seconds}

    serve({"versions": {"whylogs": version("whylogs")}}, work)


if __name__ == "__main__":
    main()
