"""A process of ours ends at once, but not before everything that asked to be called was, and all output is out."""

from __future__ import annotations

import subprocess
import sys

import pytest

LINES = 20_000
PROGRAM = """
import atexit, sys
from monitor import ending
with ending.at_once():
    atexit.register(print, "called")
    print("line\\n" * {lines}, end="")
    {end}
"""


def ran(end: str, lines: int = LINES) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(end=end, lines=lines)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("end", "code"),
    [("pass", 0), ("sys.exit()", 0), ("sys.exit(0)", 0), ("sys.exit(3)", 3), ("sys.exit('wrong')", 1), ("1 / 0", 1)],
)
def test_the_exit_code_is_python_s_own_and_nothing_is_left_unsaid(end: str, code: int) -> None:
    ended = ran(end)
    assert ended.returncode == code
    assert ended.stdout.splitlines() == ["line"] * LINES + ["called"]
    assert ("ZeroDivisionError" in ended.stderr) == (end == "1 / 0")
    assert ("wrong" in ended.stderr) == ("wrong" in end)


def test_an_output_that_nobody_reads_to_the_end_is_no_success() -> None:
    program = PROGRAM.format(end="pass", lines=LINES)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.close()
        assert process.wait(60) != 0
