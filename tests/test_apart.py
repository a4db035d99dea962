"""Work in a process of its own: its values come out, and whatever it does its caller goes on."""

from __future__ import annotations

import mmap
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from monitor import apart
from monitor.apart import Ended, Limits

PLENTY = Limits(60, 1024)


def counted(most: int) -> Iterator[int]:
    yield from range(most)


def nothing() -> None:
    return None


def greedy(megabytes: int) -> Iterator[int]:
    yield 1
    held = [bytearray(2**20) for _ in range(megabytes)]
    yield len(held)


def reserving(megabytes: int) -> Iterator[str]:
    """Asks for memory and uses none of it."""
    held = mmap.mmap(-1, megabytes * 2**20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    yield "asked"
    apart.refuse_memory(512)
    with suppress(OSError):
        mmap.mmap(-1, 512 * 2**20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        yield "asked again"
    held.close()
    yield "refused"


def endless() -> Iterator[str]:
    yield "once"
    # Not even asked politely.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        signal.pause()


def dying(how: int) -> Iterator[str]:
    yield "once"
    os.kill(os.getpid(), how)


def leaving(code: int) -> Iterator[None]:
    os._exit(code)
    yield None


def raising(fault: Exception) -> Iterator[None]:
    raise fault
    yield None


def surrounded() -> Iterator[Any]:
    yield {name: os.environ.get(name) for name in ("DO_NOT_TRACK", "OMP_NUM_THREADS")}
    yield os.getpid()


def with_offspring() -> Iterator[int]:
    yield subprocess.Popen(["/bin/sleep", "1000"]).pid
    yield from endless()  # type: ignore[misc]


def connecting(port: int) -> Iterator[str]:
    apart.without_network()
    for attempt in (
        lambda: socket.create_connection(("127.0.0.1", port)),
        lambda: socket.getaddrinfo("localhost", port),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port)),
    ):
        try:
            attempt()
        except OSError as fault:
            yield str(fault)
        else:
            yield "connected"


def noisy() -> Iterator[int]:
    for stream in (sys.stdout, sys.stderr):
        stream.write("x" * 10**6)
        stream.flush()
    yield 1


def died(pid: int) -> bool:
    """Within a minute: a signal is not answered at once."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], 60)[0])
    finally:
        os.close(process)


def test_values_come_out_in_order() -> None:
    assert list(apart.run(counted, [5], PLENTY)) == [0, 1, 2, 3, 4]
    assert list(apart.run(nothing, [], PLENTY)) == []
    assert list(apart.run(noisy, [], PLENTY)) == [1]


def test_it_is_another_process_without_telemetry_and_with_one_thread() -> None:
    environment, pid = apart.run(surrounded, [], PLENTY)
    assert environment == {"DO_NOT_TRACK": "1", "OMP_NUM_THREADS": "1"}
    assert pid != os.getpid()
    assert died(pid)


def test_what_takes_too_much_memory_is_ended_and_says_so() -> None:
    values = apart.run(greedy, [2000], Limits(60, 512))
    assert next(values) == 1
    with pytest.raises(Ended, match=r"more than the 512 MB of memory that it may take \(memory_mb\)"):
        next(values)
    assert list(apart.run(greedy, [100], Limits(60, 512))) == [1, 100]


def test_a_lenient_limit_is_on_what_is_used() -> None:
    assert list(apart.run(reserving, [3000], Limits(60, 512, lenient=True))) == ["asked", "refused"]
    with pytest.raises(Ended, match="OSError"):
        list(apart.run(reserving, [3000], Limits(60, 512)))
    values = apart.run(greedy, [100_000], Limits(60, 512, lenient=True))
    assert next(values) == 1
    with pytest.raises(Ended, match="more than the 512 MB of memory"):
        next(values)


def test_what_takes_too_long_is_ended_whatever_it_does_about_signals() -> None:
    values = apart.run(endless, [], Limits(1, 512))
    assert next(values) == "once"
    with pytest.raises(Ended, match="it took longer than 1 s and was ended"):
        next(values)


def test_all_of_it_has_a_deadline_too() -> None:
    values = apart.run(endless, [], Limits(1000, 512, until=time.monotonic() - 1))
    with pytest.raises(Ended, match="there was no more time for it"):
        next(values)


def test_it_ends_where_the_service_stops() -> None:
    with pytest.raises(Ended, match="stopped"):
        list(apart.run(endless, [], PLENTY, stopped=lambda: True))


@pytest.mark.parametrize(
    ("work", "args", "said"),
    [
        (dying, [signal.SIGKILL], "ended by signal 9, most likely for want of memory"),
        (dying, [signal.SIGTERM], r"died \(signal 15\)"),
        (leaving, [3], r"died \(exit code 3\)"),
        (raising, [ValueError("no\nmore")], "^ValueError: no$"),
        (raising, [ValueError()], "^ValueError$"),
        (counted, ["x"], "TypeError"),
    ],
)
def test_how_it_ended_is_told(work: Any, args: list[Any], said: str) -> None:
    with pytest.raises(Ended, match=said):
        list(apart.run(work, args, PLENTY))


def test_what_it_started_ends_with_it() -> None:
    values = apart.run(with_offspring, [], Limits(1000, 512))
    pid = next(values)
    values.close()
    assert died(pid)


def test_it_dies_with_its_parent() -> None:
    code = f"""
import sys
sys.path[:] = {[*sys.path, str(Path(__file__).parent)]!r}
import test_apart
from monitor import apart
for pid in apart.run(test_apart.with_offspring, [], apart.Limits(1000, 512)):
    print(pid, flush=True)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    offspring = int(parent.stdout.readline())
    [child] = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text(encoding="ascii").split()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert died(int(child))
    os.kill(offspring, signal.SIGKILL)


def test_no_connection_is_opened_once_it_is_forbidden() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        assert set(apart.run(connecting, [server.getsockname()[1]], PLENTY)) == {"connections are not allowed here"}
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_machine_that_starts_no_more_processes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(Ended, match="could not be started: No such file"):
        list(apart.run(counted, [1], PLENTY))
