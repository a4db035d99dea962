"""What goes into a worker process and what comes out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from checks.result import Result
from checks.window import Window
from monitor.dataset import Dataset
from monitor.sources.base import Source

State = Literal["done", "no_data", "errored"]


@dataclass(frozen=True)
class Job:
    """All that is needed to measure and judge one window.

    `history`, `reference` and `labelled` (windows once they had their labels) are stored profiles with their times.
    """

    dataset: Dataset
    source: Source
    window: Window
    now: datetime
    history: Sequence[tuple[datetime, datetime, bytes]] = ()
    reference: Sequence[tuple[datetime, datetime, bytes]] | None = None
    labelled: Sequence[tuple[datetime, datetime, bytes]] = ()


@dataclass(frozen=True)
class Measured:
    """What measuring and judging a window came to, ready to be recorded. `profile` is None unless the window was read."""

    state: State
    results: Sequence[Result]
    rows: int | None = None
    seconds: float | None = None
    profile: bytes | None = None
    error: str | None = None
