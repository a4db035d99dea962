"""Work in a process of its own, with a memory limit and a deadline: whatever it does, who asked for it goes on.

For what runs other people's code on rows. The process starts anew each time, so nothing that it imports stays anywhere. It dies
with the thread that waits for it; what it started is ended with it.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import IO, Any

POLL = 0.5
"""Seconds after which it is asked again whether to stop."""
OVER, FAULT, GREEDY, VALUE = "over", "fault", "greedy", "value"
CHILD = "import sys; sys.path[:] = {path!r}; from monitor.apart import child; child({pipe}, {parent}, {megabytes})"
MEGABYTE = 2**20
CONNECTING = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"}
"""What Python calls it when a connection is about to be opened."""


class Ended(Exception):
    """The work did not come to its end. The message is for people: how it ended, and what to do."""


@dataclass(frozen=True)
class Limits:
    """`seconds` from one value to the next, `until` (on the monotonic clock) for all of it; `megabytes` of memory.

    Who uses more is ended. Who only asks for more is refused it, unless `lenient`: engines reserve much that they never
    use. Then the work calls `refuse_memory` itself, when they are done.
    """

    seconds: float
    megabytes: int
    until: float | None = None
    lenient: bool = False

    def deadline(self) -> float:
        soonest = time.monotonic() + self.seconds
        return soonest if self.until is None else min(soonest, self.until)


def run(
    work: Callable[..., Any], args: Sequence[Any], limits: Limits, stopped: Callable[[], bool] = lambda: False
) -> Generator[Any, None, None]:
    """What `work(*args)` yields, as it yields it. Raises Ended.

    `work` is a function of a module; it, its arguments and its values travel by pickle. Close the generator to end the work.
    """
    try:
        task = pickle.dumps((work, args))
    except Exception as fault:
        raise Ended(f"it cannot be handed to a process of its own: {type(fault).__name__}") from fault
    with _started(task, 0 if limits.lenient else limits.megabytes) as (process, pipe):
        while True:
            deadline, began = limits.deadline(), time.monotonic()
            while not pipe.poll(min(POLL, max(deadline - time.monotonic(), 0.0))):
                if stopped():
                    raise Ended("it was stopped, as was the service")
                if _used(process.pid) > limits.megabytes * MEGABYTE:
                    raise Ended(_too_much(limits.megabytes))
                if time.monotonic() >= deadline:
                    if deadline == limits.until:
                        raise Ended("there was no more time for it; raise the dataset's timeout")
                    raise Ended(f"it took longer than {deadline - began:.0f} s and was ended")
            try:
                word, value = pipe.recv()
            except (EOFError, OSError):
                raise Ended(_death(process.wait(), limits.megabytes)) from None
            if word == OVER:
                return
            if word in {FAULT, GREEDY}:
                raise Ended(value or _too_much(limits.megabytes))
            yield value


def without_network() -> None:
    """From here on nothing written in Python opens a connection in this process; who tries is told that it is refused."""

    def refuse(event: str, _args: tuple[Any, ...]) -> None:
        if event in CONNECTING:
            raise ConnectionRefusedError("connections are not allowed here")

    sys.addaudithook(refuse)


def refuse_memory(megabytes: int) -> None:
    """From here on this process is refused memory beyond what makes these megabytes in all."""
    page = resource.getpagesize()
    asked_for = int(_statm("self")[5]) * page
    limit = asked_for + max(megabytes * MEGABYTE - _used("self"), 0)
    # Memory that can be written to, so without the code.
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def child(pipe: int, parent: int, megabytes: int) -> None:
    """The other end: reads the work from standard input, does it, sends what it yields."""
    _die_with(parent)
    if megabytes:
        refuse_memory(megabytes)
    with closing(Connection(pipe, readable=False)) as out:
        try:
            work, args = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own process
            values = work(*args)
            for value in values if isinstance(values, Iterator) else ():
                out.send((VALUE, value))
            out.send((OVER, None))
        except MemoryError:
            out.send((GREEDY, None))
        except Exception as fault:
            first = (str(fault).strip().splitlines() or [""])[0]
            out.send((FAULT, f"{type(fault).__name__}: {first[:300]}".removesuffix(": ")))
    # Whatever threads are left are not waited for.
    os._exit(0)


def _die_with(parent: int) -> None:
    # The terminal's Ctrl-C is the service's to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


@contextmanager
def _started(task: bytes, megabytes: int) -> Iterator[tuple[subprocess.Popen[bytes], Connection]]:
    here, there = Pipe(duplex=False)
    # One thread for numbers: it must not crowd out the windows.
    environment = {**os.environ, "DO_NOT_TRACK": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    code = CHILD.format(path=sys.path, pipe=there.fileno(), parent=os.getpid(), megabytes=megabytes)
    with closing(here), _unnamed(task) as stdin:
        try:
            process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-c", code],
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[there.fileno()],
                env=environment,
                start_new_session=True,
            )
        except OSError as fault:
            raise Ended(f"its process could not be started: {fault.strerror}") from None
        finally:
            there.close()
        try:
            yield process, here
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _unnamed(content: bytes) -> IO[bytes]:
    """An open file that holds it, in memory where there is such a thing: rows must not be left on a disk."""
    in_memory = getattr(os, "memfd_create", None)
    file: IO[bytes] = os.fdopen(in_memory("datavigil"), "w+b") if in_memory else tempfile.TemporaryFile()  # noqa: SIM115
    file.write(content)
    file.seek(0)
    return file


def _used(process: int | str) -> int:
    """Bytes of memory that a process really uses; 0 where that cannot be seen."""
    return int(_statm(process)[1]) * resource.getpagesize()


def _statm(process: int | str) -> list[str]:
    """Pages: of everything, in use, shared, code, (none), data, (none)."""
    try:
        return Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()
    except OSError:
        return ["0"] * 7


def _death(code: int, megabytes: int) -> str:
    if code in {-signal.SIGKILL, -signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS}:
        return f"its process was ended by signal {-code}, most likely for want of memory: {_too_much(megabytes)}"
    return f"its process died ({f'signal {-code}' if code < 0 else f'exit code {code}'})"


def _too_much(megabytes: int) -> str:
    return f"it needs more than the {megabytes} MB of memory that it may take (memory_mb); fewer rows need less"
