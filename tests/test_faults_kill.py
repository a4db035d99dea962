"""K1 and T1, in short: `make torture` with few kills. docs/torture.md has the figures of the long form."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

KILLS = os.environ.get("DATAVIGIL_KILLS", "12")
ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_k1_t1_kill_at_every_step_with_one_and_two_daemons_loses_nothing_and_tells_nothing_twice(store: str) -> None:
    """In a process of its own, which forks what it kills: pytest's has threads."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.torture", "--kills", KILLS, "--stops", "1", "--datasets", "8"]
    ended = subprocess.run([*command, "--store", store], cwd=ROOT, capture_output=True, text=True, check=False, timeout=540)

    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    lines = re.findall(r"^\| (\d, .+?) \| \d+ × 24 \| (\d+) \| (\d+) \| 0 \| 0 \| \d+ \| yes \|", ended.stdout, re.MULTILINE)
    killed = {name: int(kills) for name, kills, _ in lines}
    assert len(killed) == (4 if store == "sqlite" else 3)
    assert sum(killed.values()) > 2 * int(KILLS)
