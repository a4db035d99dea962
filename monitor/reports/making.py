"""Making one report, in a process of its own: samples from the source, Evidently's page, a whole file or none."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from checks.evidently_page import page
from checks.profile import Answer, Broken, Rows
from checks.question import Population, Sample
from checks.window import Window
from checks.wording import of_rows
from monitor import apart
from monitor.reports.wanted import Wanted
from monitor.sources.base import Source

if TYPE_CHECKING:
    import pandas as pd

PART = ".part"
"""At the end of the name of a file that is not whole yet."""


@dataclass(frozen=True)
class Order:
    """All that is needed to make one report. `rows` of the window and of the reference are drawn, within `timeout`."""

    wanted: Wanted
    source: Source
    references: tuple[Window, ...]
    path: Path
    rows: int
    timeout: timedelta
    memory_mb: int


def make(order: Order) -> Iterator[int]:
    """Writes the report to its path and yields its length in bytes. Raises whatever goes wrong; then there is no such file."""
    from monitor.measuring.measure import measure, reading

    os.nice(10)
    wanted, dataset = order.wanted, order.wanted.dataset
    samples = [Sample("window", order.rows), Sample("reference", order.rows)]
    with reading(order.source, dataset.place, wanted.window, order.timeout) as read:
        profile = measure(read, {Population(): samples}, {}, order.references)
    apart.without_network()
    apart.refuse_memory(order.memory_mb)
    answers = profile.answers(None)
    current, reference = (_frame(answers, sample, dataset.mask) for sample in samples)
    drawn = page(current, reference, profile.schema, wanted.columns, wanted.title, _facts(order, profile.rows, current, reference))
    yield write(order.path, drawn.html)


def write(path: Path, text: str) -> int:
    """The text as a file that only we may read: whole under its name, or not there. Its length in bytes."""
    body = text.encode("utf-8", "replace")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = part_of(path)
    with suppress(FileNotFoundError):
        part.unlink()
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    return len(body)


def part_of(path: Path) -> Path:
    return path.with_name(path.name + PART)


def _frame(answers: Mapping[str, Answer], sample: Sample, mask: tuple[str, ...]) -> pd.DataFrame:
    """The sample without masked columns. Raises ValueError where there is none."""
    answer = answers[sample.key]
    if not isinstance(answer, Rows):
        raise ValueError(answer.reason if isinstance(answer, Broken) else f"there is no sample of the {sample.of}")
    return answer.frame.drop(columns=[c for c in mask if c in answer.frame.columns])


def _facts(order: Order, rows: int, current: pd.DataFrame, reference: pd.DataFrame) -> list[str]:
    windows = order.references
    return [
        f"Current: {order.wanted.window}, {of_rows(len(current), rows)}",
        f"Reference: {len(reference)} rows of {len(windows)} windows, {windows[0]} to {windows[-1]}",
        *(f"Found: {said}" for said in order.wanted.found),
        "The verdicts below are Evidently's own, by its default thresholds; they need not be those that opened the incident.",
    ]
