"""Ours beside the peers, on the same rows, in turns."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Protocol

from benchmarks.children import Child, Failed
from benchmarks.landing import DRIFT, Landing
from benchmarks.peers import PEERS, QUIET, NotHere
from benchmarks.tables import count

FEWEST, TURNS = 3, 5
SLOW, ENOUGH = 60.0, 20.0
"""Seconds: who takes longer than the first goes once; who has taken the second in three turns goes no more."""
WARM, ONCE = "datavigil, warm", "datavigil once"
BARE = {"parquet": "DuckDB by hand, from the file", "table": "DuckDB by hand, from a copy"}


@dataclass
class Measure:
    """One program at one size: seconds and processor seconds of each turn, peak memory in bytes, seconds of start-up."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak: int = 0
    startup: float | None = None
    said: dict[str, Any] = field(default_factory=dict)

    @property
    def typical(self) -> float:
        return median(self.seconds)

    @property
    def work(self) -> float:
        """Seconds of processor time, which a busy machine does not lengthen by much."""
        return median(self.cpu)


@dataclass
class Compared:
    """All programs at one number of rows, and the peers that were left out, with the reason."""

    rows: int
    found: dict[str, Measure]
    left_out: dict[str, str] = field(default_factory=dict)


def again(took: Sequence[float]) -> bool:
    """Whether a program that took these seconds in its turns is to go once more."""
    if len(took) >= TURNS or took[-1] > SLOW:
        return False
    return len(took) < FEWEST or sum(took) < ENOUGH


class Contestant(Protocol):
    """Somebody who takes turns: `go` does the work of turn `number` and gives seconds and facts."""

    def go(self, number: int) -> dict[str, Any]: ...
    def end(self) -> int: ...


class Serving:
    """A child that is told what to do, by turn; it has done it once before the first turn where that is said."""

    def __init__(self, command: list[str], what: Callable[[int], str], first: str | None = None) -> None:
        self.child, self.what = Child(command, QUIET), what
        if first is not None:
            self._or_end(first)

    def go(self, number: int) -> dict[str, Any]:
        answer = self._or_end(self.what(number))
        return {**answer, "startup": self.child.ready["startup"], "versions": self.child.ready["versions"]}

    def end(self) -> int:
        return self.child.end()

    def _or_end(self, what: str) -> dict[str, Any]:
        try:
            return self.child.ask(what)
        except BaseException:
            self.child.end()
            raise


class Once:
    """The whole of `datavigil once`, a new process each time."""

    def __init__(self, landing: Landing) -> None:
        self.landing, self.peaks = landing, [0]

    def go(self, number: int) -> dict[str, Any]:
        ran = self.landing.once()
        self.peaks.append(ran.peak)
        return {"seconds": ran.seconds, "cpu": ran.cpu}

    def end(self) -> int:
        return max(self.peaks)


def compared(folder: Path, rows: int, peers: bool, install: bool, history: int) -> Compared:
    """Every program on `rows` rows of 25 columns. Raises Failed where ours or DuckDB does not do its work."""
    landing = Landing(folder, history)
    say(f"{rows:,} rows: making {history + TURNS} days")
    landing.make(range(history), rows)
    landing.make(range(history, history + TURNS), rows, drift=DRIFT)
    say(f"{rows:,} rows: measuring the first {history} days into the history")
    landing.remember()
    result = Compared(rows, {})
    take_turns(result, ours(landing))
    if peers:
        take_turns(result, theirs(landing, install, result.left_out))
    return result


Entry = tuple[str, Callable[[], Contestant]]


def ours(landing: Landing) -> Iterator[Entry]:
    """Ours, warm and anew, and DuckDB by hand: a new day's file each turn for all but `once`, whose store is put back."""
    now = landing.history
    python = [sys.executable, "-m"]

    def by_hand(plan: str) -> Serving:
        command = [*python, "benchmarks.bare", str(landing.file(now))]
        return Serving(command, lambda turn: f"{plan} {landing.file(now + turn)}", f"{plan} {landing.file(now - 1)}")

    def warm() -> Serving:
        command = [*python, "benchmarks.warm", str(landing.config("warm"))]
        return Serving(command, lambda turn: landing.day(now + turn), landing.day(now - 1))

    yield WARM, warm
    for plan, name in BARE.items():
        yield name, partial(by_hand, plan)
    yield ONCE, partial(Once, landing)


def theirs(landing: Landing, install: bool, left_out: dict[str, str]) -> Iterator[Entry]:
    """The peers on the last day of the history and the first after it."""
    files = [str(landing.file(landing.history - 1)), str(landing.file(landing.history))]
    for peer in PEERS:
        try:
            command = [*peer.command(install), *files]
        except NotHere as why:
            left_out[peer.title] = str(why)
        else:
            yield peer.title, partial(Serving, command, lambda _: "")


def take_turns(result: Compared, entries: Iterable[Entry]) -> None:
    """A B C, A B C, ...; who is slow goes once and is ended then, so that its memory is free again."""
    with ExitStack() as stack:
        there: dict[str, Contestant] = {}
        for name, start in entries:
            with leaving_out(result, there, name):
                there[name] = start()
                stack.callback(there[name].end)
                go(result, there, name, 0)
        for turn in range(1, TURNS):
            for name in list(there):
                with leaving_out(result, there, name):
                    go(result, there, name, turn)


def go(result: Compared, there: dict[str, Contestant], name: str, turn: int) -> None:
    """One turn of one of them. Raises Failed."""
    said = there[name].go(turn)
    measure = result.found.setdefault(name, Measure())
    measure.seconds.append(said.pop("seconds"))
    measure.cpu.append(said.pop("cpu"))
    measure.startup = said.pop("startup", None)
    measure.said = said
    say(f"{result.rows:,} rows: {name}, turn {turn + 1}: {measure.seconds[-1]:.3f} s")
    if not again(measure.seconds):
        measure.peak = there.pop(name).end()


@contextmanager
def leaving_out(result: Compared, there: dict[str, Contestant], name: str) -> Iterator[None]:
    """A peer that cannot do it is told of, and the others go on; ours and DuckDB must."""
    try:
        yield
    except Failed as why:
        if name in (WARM, ONCE, *BARE.values()):
            raise
        there.pop(name, None)
        result.found.pop(name, None)
        result.left_out[name] = f"{count(result.rows)} rows: {str(why).strip().splitlines()[-1]}"
        say(f"{result.rows:,} rows: {name} is left out: {why}")


def say(text: str) -> None:
    """Progress, apart from the tables."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
