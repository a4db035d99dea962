"""How long `datavigil --help` takes and how much memory the idle daemon holds: the part `start-up` of `make bench`.

Times are told beside those of a bare Python and of the libraries underneath, run alternately on the same machine, because a
number of milliseconds alone says more about the machine than about us.
"""

from __future__ import annotations

import argparse
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.tables import memory, met, ratio, table
from benchmarks.tables import seconds as seconds_of

TRIES = 7
READY_WITHIN = 60.0
SETTLE = 5.0
BIN = Path(sys.executable).parent
DATAVIGIL = str(BIN / "datavigil")
HELP = "datavigil --help"

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import typer'": [sys.executable, "-c", "import typer"],
    "python -c 'import typer, pydantic'": [sys.executable, "-c", "import typer, pydantic"],
    HELP: [DATAVIGIL, "--help"],
}

CONFIG = """
[datasets.nothing]
table = "landing/{start:%Y-%m-%d}.csv"
every = "1d"

[channels.terminal]
kind = "console"

[store]
url = "sqlite:///idle.db"
"""


def seconds(command: list[str]) -> float:
    """How long a command takes, start to end. Raises CalledProcessError where it fails."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - a command of ours
    return time.perf_counter() - begin


def times() -> dict[str, float]:
    """Seconds per command: the median of runs that take turns, so that a slow moment hits all alike."""
    runs: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for attempt in range(TRIES + 1):
        for name, command in COMMANDS.items():
            took = seconds(command)
            if attempt:  # The first run of each fills the caches.
                runs[name].append(took)
    return {name: median(took) for name, took in runs.items()}


def resident(pid: int) -> int:
    """Bytes of memory the process holds, from Linux' /proc."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def children(pid: int) -> list[int]:
    """The processes below `pid`, all generations."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    below = [int(child) for task in tasks for child in task.read_text(encoding="utf-8").split()]
    return below + [grandchild for child in below for grandchild in children(child)]


@contextmanager
def daemon(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """An idle `datavigil run` in `folder`; ended at the end."""
    (folder / "landing").mkdir()
    (folder / "config.toml").write_text(CONFIG, encoding="utf-8")
    call = [DATAVIGIL, "run", "--config", str(folder / "config.toml")]
    process = subprocess.Popen(  # noqa: S603 - a command of ours
        call, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def lines_of(process: subprocess.Popen[str]) -> queue.Queue[str | None]:
    """What the process prints, line by line, then None."""
    said: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in process.stdout or ():
            said.put(line)
        said.put(None)

    threading.Thread(target=read, daemon=True).start()
    return said


def wait_until_ready(process: subprocess.Popen[str]) -> None:
    """Returns when the log says `ready`; ends this program with the log where it does not come."""
    said, heard, deadline = lines_of(process), [], time.monotonic() + READY_WITHIN
    while (left := deadline - time.monotonic()) > 0:
        try:
            line = said.get(timeout=left)
        except queue.Empty:
            break
        if line is None:
            break
        heard.append(line)
        if "ready" in line.lower():
            return
    sys.exit("the daemon never said it was ready; it said:\n" + "".join(heard))


def idle_memory() -> tuple[int, list[int]]:
    """Bytes held by the daemon's own process, and by each process below it, some seconds after it is ready."""
    with tempfile.TemporaryDirectory() as folder, daemon(Path(folder)) as process:
        wait_until_ready(process)
        time.sleep(SETTLE)
        return resident(process.pid), [resident(pid) for pid in children(process.pid)]


def section(with_daemon: bool = True) -> str:
    """Both tables, for the terminal and for the docs."""
    measured = times()
    bare = measured["python -c pass"]
    parts = [
        f"Seconds from start to end, median of {TRIES}:",
        table(
            ["", "took", "against bare Python"], [[f"`{n}`", seconds_of(took), ratio(took, bare)] for n, took in measured.items()]
        ),
    ]
    limits = [["`datavigil --help`", seconds_of(measured[HELP]), "at most 0.3 s", met(measured[HELP], 0.3)]]
    if with_daemon:
        own, below = idle_memory()
        parts += ["Memory of the idle daemon, resident (pages that processes share are counted in each):"]
        held = [["`datavigil run`", memory(own)], [f"{len(below)} processes below it", memory(sum(below))]]
        parts.append(table(["", "holds"], held))
        limits.append(["`datavigil run`, its own process", memory(own), "at most 120 MB", met(own, 120e6)])
    return "\n\n".join([*parts, "What is wanted:", table(["", "measured", "wanted", "met"], limits)])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--no-daemon", action="store_true", help="measure only the start of the command line")
    sys.stdout.write(section(with_daemon=not options.parse_args().no_daemon) + "\n")


if __name__ == "__main__":
    main()
