"""Measured windows judged again in order, each with the history a daemon would have had; no store, no source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from checks.profile import Profile
from checks.result import Result
from checks.window import Window
from monitor import worker
from monitor.dataset import Dataset
from monitor.job import Job
from monitor.sources.files import Files


@dataclass(frozen=True)
class Measured:
    """A window and what was measured in it."""

    window: Window
    profile: Profile


def replayed(dataset: Dataset, windows: Sequence[Measured], begin: int = 0) -> Iterator[tuple[Window, list[Result]]]:
    """Each window from the place `begin` on, oldest first, with its results: judged on at most the last 90 before it."""
    past = [worker.Stored(measured.window, measured.profile) for measured in windows[:begin]]
    for measured in windows[begin:]:
        checks = [check for check in worker.chosen(dataset, measured.profile.schema) if not check.apart]
        job = Job(dataset, Files(), measured.window, measured.window.end)
        yield measured.window, worker.judge(job, checks, measured.profile, past[-worker.HISTORY :])[0]
        past.append(worker.Stored(measured.window, measured.profile))
