"""How a worker's work ended: with what it measured, or as a window without a verdict, with the reason in words."""

from __future__ import annotations

import signal
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from dataclasses import replace

from checks.result import Family, Result, Status
from monitor import fit, worker
from monitor.dataset import Dataset
from monitor.job import Measured


def outcome(future: Future[Measured], dataset: Dataset) -> Measured:
    """What a worker came to; a worker that was killed, or died, is an errored window."""
    try:
        measured = future.result()
        return replace(measured, results=[fit.result(result) for result in measured.results])
    except TooLate:
        reason = (
            f"it took longer than {dataset.timeout.total_seconds():g} s and was ended; raise timeout, or make the window smaller"
        )
    except Exception as fault:  # Out of memory, a crash in a driver: the window's fault, never the daemon's.
        reason = _death(fault)
    return errored(reason)


def judged_at_last(future: Future[list[Result]], dataset: Dataset, measured: Measured) -> Measured:
    """The window with the verdicts that took long; a worker that died has none, and the checks are errored."""
    try:
        late = [fit.result(result) for result in future.result()]
    except Exception as fault:
        reason = "there was no more time for it; raise the dataset's timeout" if isinstance(fault, TooLate) else _death(fault)
        checks = {check.name: check for check in dataset.checks if check.name in measured.awaited}
        late = [
            Result(name, check.kind, check.family, Status.ERRORED, f"{name} could not be judged: {reason}")
            for name, check in checks.items()
        ]
    return replace(measured, results=[*measured.results, *late], apart=None, awaited=())


def errored(reason: str) -> Measured:
    """A window without a verdict, and why."""
    return Measured("errored", [Result(worker.MEASURE, worker.MEASURE, Family.SOURCE, Status.ERRORED, reason)], error=reason)


def _death(fault: Exception) -> str:
    """How a worker process ended, in words: pebble tells the exit code, negative for a signal."""
    code = getattr(fault, "exitcode", None)
    if code == -signal.SIGKILL:
        return "the worker process was killed, most likely for want of memory; give it more, or make the window smaller"
    if isinstance(code, int):
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"the worker process died ({how}), most likely in the driver of the source; the window is tried again"
    return " ".join(f"the worker process failed ({type(fault).__name__}: {fault})".split())
