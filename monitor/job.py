"""What goes into a worker process and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from checks.result import Result
from checks.window import Window
from monitor.dataset import Dataset
from monitor.sources.base import Source

State = Literal["done", "no_data", "errored"]
ROWS = "bad rows"
"""Where rows that a finding is about stand in its details, as text."""


@dataclass(frozen=True)
class Job:
    """All that is needed to measure and judge one window.

    `history`, `reference` and `labelled` (windows once they had their labels) are stored profiles with their times.
    `accepted` says from when on a column's level counts as normal ("": the whole table's), as of `reference_version`;
    `golden` is the profile of the golden table, once it is measured; `marks` are people's, by window start;
    `not_useful`: (check, segment) -> by what its learned limits are widened for what people said of its findings.
    """

    dataset: Dataset
    source: Source
    window: Window
    now: datetime
    history: Sequence[tuple[datetime, datetime, bytes]] = ()
    reference: Sequence[tuple[datetime, datetime, bytes]] | None = None
    accepted: Mapping[str, datetime] = field(default_factory=dict)
    reference_version: int | None = None
    golden: bytes | None = None
    marks: Mapping[datetime, str] = field(default_factory=dict)
    not_useful: Mapping[tuple[str, str], float] = field(default_factory=dict)
    labelled: Sequence[tuple[datetime, datetime, bytes]] = ()


@dataclass(frozen=True)
class Measured:
    """What measuring and judging a window came to, ready to be recorded. `profile` is None unless the window was read.

    `apart` is what `worker.judge_apart` needs for the checks named in `awaited`, whose verdicts come later: rows, so pickled, and
    never opened by the parent.
    `reference_version` is the version of the reference that it was judged by, None where nobody made one.
    """

    state: State
    results: Sequence[Result]
    rows: int | None = None
    seconds: float | None = None
    profile: bytes | None = None
    error: str | None = None
    apart: bytes | None = None
    awaited: tuple[str, ...] = ()
    reference_version: int | None = None
    golden: bytes | None = None
    """The golden table's profile, where this window was the first to need it."""
    golden_table: str | None = None
