"""`make bench`: ours beside the peers, how it grows, how exact it is, how fast it starts. Tables to standard output, progress to
standard error. Nothing is asserted: times say more about a machine than about us, so ratios are told beside those wanted.
"""

from __future__ import annotations

import argparse
import importlib.util
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from benchmarks import comparing, comparison, growing, growth, judging, landing, page, startup
from benchmarks.children import ROOT, Failed, run

SIZES = (10_000, 100_000, 1_000_000)
ROWS = (1_000_000, 10_000_000, 100_000_000)
COLUMNS = (10, 100, 1_000)
DISTINCT = 50_000_000
VERSIONS = ("datavigil", "duckdb", "ibis-framework", "pandas")


def main(arguments: list[str] | None = None) -> None:
    given = options().parse_args(arguments)
    # So that folders of gigabytes go also when it is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ExitStack() as stack:
        folder = stack.enter_context(landing.folder(given.folder))
        for name, measure in SECTIONS.items():
            if given.only and name not in given.only:
                continue
            text = measure(folder, given)
            if text is None:
                continue
            sys.stdout.write(f"\n## {name}\n\n{text}\n")
            sys.stdout.flush()
            if given.write:
                page.write(name, text)


def options() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="make bench", description="benchmarks; ARGS='...' takes these")
    found.add_argument("--quick", action="store_true", help="small sizes, about two minutes; only peers that are installed")
    found.add_argument("--write", action="store_true", help="write what was measured into docs/benchmarks.md")
    found.add_argument("--only", action="append", choices=list(SECTIONS), help="only this section; may be given again")
    found.add_argument("--rows", type=int, default=ROWS[1], help="the most rows of `growth`, up to 100000000 (20 GB of disk)")
    found.add_argument("--no-peers", action="store_true", help="without Evidently, whylogs and NannyML")
    found.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where big files are written and deleted")
    return found


def compare(folder: Path, given: argparse.Namespace) -> str:
    found = []
    for rows in SIZES[:2] if given.quick else SIZES:
        own = folder / f"compare-{rows}"
        own.mkdir()
        found.append(comparing.compared(own, rows, not given.no_peers, not given.quick, growing.HISTORY))
        for file in (own / "landing").iterdir():
            landing.forget(file)
    return f"{page.dated(comparison.versions(found))}\n\n{comparison.section(found)}"


def grow(folder: Path, given: argparse.Namespace) -> str:
    left_out: list[str] = []
    if given.quick:
        rows = growing.by_rows(folder, (100_000, 1_000_000), left_out)
        columns = growing.by_columns(folder, COLUMNS[:2], 10_000)
        distinct = growing.of_distinct(folder, 1_000_000, left_out)
    else:
        rows = growing.by_rows(folder, [size for size in ROWS if size <= given.rows], left_out)
        columns = growing.by_columns(folder, COLUMNS)
        distinct = growing.of_distinct(folder, DISTINCT, left_out)
        left_out += [f"{size:,} rows are measured with --rows {size}" for size in ROWS if size > given.rows]
    return f"{page.dated(ours())}\n\n{growth.section(rows, columns, distinct, left_out)}"


def exact(_folder: Path, given: argparse.Namespace) -> str | None:
    """The table that `benchmarks/accuracy.py` prints; it takes some minutes."""
    return None if given.quick else printed_by("accuracy", [], "{}")


def start(_folder: Path, given: argparse.Namespace) -> str:
    return f"{page.dated(ours())}\n\n{startup.section(with_daemon=not given.quick)}"


def many(_folder: Path, given: argparse.Namespace) -> str | None:
    """What `benchmarks/many.py` prints, as it stands; it takes some minutes."""
    parts = [] if given.quick else [printed_by("many", [what], "```\n{}\n```") for what in ("ticks", "year")]
    return "\n\n".join(part for part in parts if part) or None


def replay(_folder: Path, given: argparse.Namespace) -> str | None:
    """A backtest from stored profiles; a year takes some minutes to measure first."""
    return printed_by("replay", ["--days", "30", "--tries", "1"] if given.quick else [], "{}")


def printed_by(program: str, arguments: list[str], form: str) -> str | None:
    """What another program of this folder prints, dated; None where there is no such program."""
    if importlib.util.find_spec(f"benchmarks.{program}") is None:
        return None
    comparing.say(" ".join([program, *arguments]))
    printed = run([sys.executable, "-m", f"benchmarks.{program}", *arguments], cwd=ROOT).printed
    return f"{page.dated(ours())}\n\n{form.format(printed.strip())}"


def ours() -> str:
    return ", ".join(f"{name} {version(name)}" for name in VERSIONS)


def judged(_folder: Path, _given: argparse.Namespace) -> str:
    return f"{page.dated(ours())}\n\n{judging.section()}"


SECTIONS: dict[str, Callable[[Path, argparse.Namespace], str | None]] = {
    "comparison": compare,
    "growth": grow,
    "accuracy": exact,
    "start-up": start,
    "many": many,
    "judgement": judged,
    "replay": replay,
}


if __name__ == "__main__":
    try:
        main()
    except Failed as why:
        sys.exit(str(why))
