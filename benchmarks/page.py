"""docs/benchmarks.md: each section stands between two marks, and a run writes those that it measured."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.children import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"


class NoPlace(Exception):
    """The page has no marks for a section; the message names them."""


def dated(versions: str) -> str:
    """When and on what: the first line of a section."""
    load = os.getloadavg()[0]
    # A machine at work makes every time too long: whoever reads the figures should know.
    busy = f"; {load:.1f} programs were running on it as it ended" if load > 2 * (os.cpu_count() or 1) else ""
    return f"Measured {datetime.now(UTC):%Y-%m-%d} on {machine()}{busy}; {versions}."


def machine() -> str:
    """`2 cores of Intel Xeon, 24 GB, Linux 6.1, Python 3.11.7`; no name of its owner."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    system = f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}"
    return f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GB, {system}, Python {platform.python_version()}"


def _processor() -> str:
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        told = ""
    found = re.search(r"^model name\s*:\s*(.+)$", told, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def written(text: str, name: str, section: str) -> str:
    """The page's text with a section put between its marks. Raises NoPlace."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise NoPlace(f"{PAGE.name} has no {begin} ... {end}")
    return f"{before}{begin}\n\n{section}\n\n{end}{after}"


def write(name: str, section: str) -> None:
    """Put a section into the page. Raises NoPlace."""
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), name, section), encoding="utf-8")
