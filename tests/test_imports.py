"""What a process never loads: the daemon's parent and the commands stay small and quick, and checks touch nothing outside."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = ("evidently", "ibis", "pandas", "numpy", "duckdb", "pyarrow", "scipy", "sklearn", "matplotlib")
REPORT = f"import sys; print(*[m for m in {HEAVY!r} if m in sys.modules])"

PARENT = f"""
from pathlib import Path
import monitor.daemon, monitor.runner, monitor.worker, monitor.kinds
from monitor.config import load
from monitor.store.store import Store
monitor.kinds.check_kinds(), monitor.kinds.channel_kinds(), monitor.kinds.source_kinds()
config = load(Path({str(ROOT / "config.toml")!r}))
monitor.runner.Runner(config, Store("sqlite://"), None)
"""
HELP = """
from contextlib import suppress
from monitor import cli
with suppress(SystemExit):
    cli.app(["--help"])
"""


def loaded(code: str) -> list[str]:
    """Which of the heavy packages a fresh process has loaded after `code`."""
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\n{REPORT}"], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    return ran.stdout.splitlines()[-1].split()


@pytest.mark.parametrize(
    "code", ["import monitor.cli", HELP, PARENT], ids=["the command line", "datavigil --help", "the daemon's parent"]
)
def test_nothing_heavy_is_loaded_by(code: str) -> None:
    assert loaded(code) == []


def test_the_look_into_a_process_sees_what_is_loaded() -> None:
    assert loaded("import numpy") == ["numpy"]


def test_the_commands_know_the_config_only_when_they_run() -> None:
    code = "import sys, monitor.cli; print(*[m for m in ('pydantic', 'sqlalchemy', 'slack_sdk', 'rich') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60)
    assert ran.stdout.split() == []


WORLD = {
    "asyncio",
    "duckdb",
    "http",
    "io",
    "logging",
    "multiprocessing",
    "os",
    "pathlib",
    "psycopg",
    "random",
    "requests",
    "shutil",
    "smtplib",
    "socket",
    "sqlalchemy",
    "sqlite3",
    "ssl",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "time",
    "urllib",
}
"""What reaches connections, clocks, files or the network. `os` is for DO_NOT_TRACK alone, in the checks that run Evidently."""
ALLOWED = {("evidently_making.py", "os")}


def imported(path: Path) -> set[str]:
    """The top-level packages that a file imports anywhere, but for those that only type checkers see."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(inside)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inside in ast.walk(node)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def test_checks_reach_no_connection_clock_file_or_network() -> None:
    files = sorted((ROOT / "checks").glob("*.py"))
    assert files
    found = {(path.name, name) for path in files for name in imported(path) & WORLD}
    assert found - ALLOWED == set()


def test_checks_ask_no_clock() -> None:
    clocks = ("now", "utcnow", "today")
    called = [
        f"{path.name}:{node.lineno}"
        for path in sorted((ROOT / "checks").glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in clocks
    ]
    assert called == []


def test_the_pure_parts_of_alerts_reach_nothing_outside_either() -> None:
    for name in ("problem", "incident", "routing", "telling", "message"):
        assert imported(ROOT / "alerts" / f"{name}.py") & WORLD == set(), name


def test_evidently_is_imported_by_nothing_but_its_check() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for room in ("checks", "alerts", "monitor")
        for path in (ROOT / room).rglob("*.py")
        if "evidently" in imported(path)
    }
    assert all(place.startswith("checks/evidently") for place in found)
    assert found


def test_imports_run_one_way() -> None:
    # In a process of its own: it sets up logging anew and silences the loggers of this one.
    linted = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert linted.returncode == 0, linted.stdout
