"""Programs that are measured from outside: how long they take and how much memory they and all processes below them hold.

A `Child` is started once, says when it is ready, and does its work each time it is asked: so several take turns on the same
machine, and a slow moment hits all alike. This process itself imports nothing heavy: it would be in their figures.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

ROOT = Path(__file__).resolve().parent.parent
EVERY = 0.05
"""Seconds between two looks at the memory, at least; and no more than a twentieth of the time goes into looking."""
PATIENCE = 10.0


class Failed(Exception):
    """A program ended without doing its work; the message holds the end of what it said."""


class Tree:
    """Watches a process and all below it: `peak` is the most memory, in bytes, that they held together at one moment.

    Pages that they share are counted once (PSS). What one process held at its highest (VmHWM) counts too, so that a short peak
    between two looks is not missed. While it is `idle` nobody looks: that would take time from the others. `cpu` is the
    processor time, in seconds, that was seen of each process.
    """

    def __init__(self, pid: int) -> None:
        self.pid, self.peak, self.idle = pid, 0, False
        self.cpu: dict[int, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> int:
        """Stop looking; the peak."""
        self._ended.set()
        self._thread.join()
        return self.peak

    def look(self) -> None:
        held, highest = 0, 0
        for pid in below(self.pid):
            with suppress(OSError):
                held += in_proc(pid, "smaps_rollup", "Pss:")
                highest = max(highest, in_proc(pid, "status", "VmHWM:"))
                self.cpu[pid] = processor_time(pid)
        self.peak = max(self.peak, held, highest)

    def _watch(self) -> None:
        pause = EVERY
        while not self._ended.wait(pause):
            if not self.idle:
                begin = time.perf_counter()
                self.look()
                pause = max(EVERY, 20 * (time.perf_counter() - begin))


def in_proc(pid: int, file: str, name: str) -> int:
    """Bytes of a line in one of Linux' files about a process; 0 where it has no such line (a process that ends)."""
    for line in Path(f"/proc/{pid}/{file}").read_text(encoding="utf-8").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return 0


def processor_time(pid: int) -> float:
    """Seconds of user and system time of one process so far."""
    # Its name, in brackets, may hold anything.
    *_, user, system = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def below(pid: int) -> list[int]:
    """A process and those below it, all generations."""
    found, left = [], [pid]
    while left:
        found.append(left.pop())
        with suppress(OSError):
            for task in Path(f"/proc/{found[-1]}/task").glob("*/children"):
                left += [int(child) for child in task.read_text(encoding="utf-8").split()]
    return found


class Child:
    """A program that serves `benchmarks.answering`: `ready` is what it said of itself, `peak` is known when it has ended."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.command, self.peak = command, 0
        self._said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed in `end`
        self._process = subprocess.Popen(  # noqa: S603 - programs of ours
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            env={**surroundings(), "DO_NOT_TRACK": "1", **(environment or {})},
        )
        self._to, self._from = cast("IO[str]", self._process.stdin), cast("IO[str]", self._process.stdout)
        self._tree = Tree(self._process.pid)
        self.ready: dict[str, Any] = {}

    def ask(self, what: str = "") -> dict[str, Any]:
        """Its answer to one line. Raises Failed where it ends instead."""
        if not self.ready:
            self.ready = self._answer()
        with suppress(BrokenPipeError):
            self._to.write(what + "\n")
            self._to.flush()
        return self._answer()

    def end(self) -> int:
        """End it; the peak of its memory in bytes. Once ended, it stays so."""
        if self._said.closed:
            return self.peak
        if self._process.poll() is None:
            self._tree.look()
        self.peak = self._tree.end()
        self._process.kill()
        self._process.communicate()
        self._said.close()
        return self.peak

    def _answer(self) -> dict[str, Any]:
        self._tree.idle = False
        line = self._from.readline()
        self._tree.idle = True
        if not line:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE)
            self._said.seek(0)
            raise Failed(f"{' '.join(self.command)} ended with {self._process.poll()}: {self._said.read()[-2000:]}")
        found: dict[str, Any] = json.loads(line)
        return found


@contextmanager
def started(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[Child]:
    """A child, ended at the end, whatever happens."""
    child = Child(command, environment)
    try:
        yield child
    finally:
        child.end()


@dataclass(frozen=True)
class Ran:
    """A program from start to end: seconds, seconds of processor time (all processes), peak of memory in bytes, what it printed."""

    seconds: float
    cpu: float
    peak: int
    printed: str


def surroundings() -> dict[str, str]:
    """The environment variables of a program of ours. Its modules are compiled once, as those of an installed one are."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}


def run(command: Sequence[str], cwd: Path | None = None, fine: Sequence[int] = (0,)) -> Ran:
    """A program that is waited for. Raises Failed where its exit code is none of `fine`."""
    begin = time.perf_counter()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(  # noqa: S603 - programs of ours
            command, cwd=cwd, stdout=subprocess.PIPE, stderr=said, text=True, env=surroundings()
        )
        tree = Tree(process.pid)
        try:
            printed, _ = process.communicate()
        finally:
            process.kill()
            process.wait()
            peak = tree.end()
        took = time.perf_counter() - begin
        if process.returncode not in fine:
            said.seek(0)
            raise Failed(f"{' '.join(command)} ended with {process.returncode}: {(printed + said.read())[-2000:]}")
    return Ran(took, sum(tree.cpu.values()), peak, printed)
