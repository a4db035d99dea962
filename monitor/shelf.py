"""Profiles of files that several datasets of a replay share, as links or under one path: each is measured once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from monitor import worker
from monitor.earlier import earlier
from monitor.job import Job
from monitor.sources import paths
from monitor.sources.base import NoData, SourceError


@dataclass(frozen=True)
class Shelf:
    """A folder that the workers of one replay share; it goes with it."""

    folder: Path

    def place(self, job: Job) -> Path | None:
        """Where the profile of the job's window is or belongs: named by the files themselves, the window, what is asked of it
        and the grids of its past. None where the window is not a file of its own."""
        dataset = job.dataset
        if not dataset.per_file or dataset.sample or paths.remote(dataset.table or ""):
            return None
        try:
            files = [Path(name).resolve() for name in paths.of_window(dataset.table or "", job.window, dataset.timezone)]
            about = [(str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files]
        except (NoData, SourceError, OSError):
            return None
        asked = dataset.model_dump_json(include={"time_column", "timezone", "segments", "auto", "exclude", "checks"})
        grids = sorted((key, repr(grid)) for key, grid in worker.grids(job, earlier(job)).items())
        name = hashlib.sha256(repr((about, job.window, asked, grids)).encode()).hexdigest()
        return self.folder / name

    def found(self, place: Path | None) -> bytes | None:
        try:
            return place.read_bytes() if place else None
        except FileNotFoundError:
            return None

    def keep(self, place: Path | None, profile: bytes | None) -> None:
        if place is None or profile is None:
            return
        part = place.with_suffix(f".{id(profile)}")
        part.write_bytes(profile)
        part.replace(place)
