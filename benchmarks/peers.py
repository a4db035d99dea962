"""The peers' programs and the environments they run in, made once in `.venv-bench-NAME` from `peers-NAME.txt`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.children import ROOT

PYTHONS = ("3.11", "3.12")
"""Those that the pinned versions of whylogs and NannyML have wheels for."""
QUIET = {"DO_NOT_TRACK": "1", "WHYLOGS_NO_ANALYTICS": "True", "NML_DISABLE_USAGE_LOGGING": "1"}


class NotHere(Exception):
    """The peer cannot run on this machine; the message says why."""


@dataclass(frozen=True)
class Peer:
    """`own`: it needs an environment of its own, because its versions do not go with ours."""

    name: str
    title: str
    own: bool = True

    def command(self, install: bool) -> list[str]:
        """What starts its program, without the two files it compares. Raises NotHere."""
        return [str(self._python(install)), "-m", f"benchmarks.peer_{self.name}"]

    def _python(self, install: bool) -> Path:
        if not self.own:
            return Path(sys.executable)
        environment = ROOT / f".venv-bench-{self.name}"
        pinned = ROOT / "benchmarks" / f"peers-{self.name}.txt"
        made, python = environment / "ready", environment / "bin" / "python"
        if made.exists() and made.read_text(encoding="utf-8") == pinned.read_text(encoding="utf-8"):
            return python
        if not install:
            raise NotHere("its environment is not there; `make bench` without --quick makes it")
        _make(environment, pinned)
        shutil.copy(pinned, made)
        return python


PEERS = (
    Peer("evidently", "Evidently", own=False),
    Peer("whylogs", "whylogs"),
    Peer("nannyml", "NannyML"),
)


def _make(environment: Path, pinned: Path) -> None:
    """The environment, anew, with a Python that fits. Raises NotHere with the end of what pip said."""
    interpreter = next(_interpreters(), None)
    if interpreter is None:
        raise NotHere(f"it needs Python {' or '.join(PYTHONS)}, and none was found")
    shutil.rmtree(environment, ignore_errors=True)
    sys.stderr.write(f"making {environment.name} with {interpreter} ...\n")
    for command in (
        [interpreter, "-m", "venv", str(environment)],
        [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--requirement", str(pinned)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - programs of ours
        if done.returncode:
            raise NotHere(f"its environment could not be made: {(done.stdout + done.stderr).strip()[-500:]}")


def _interpreters() -> Iterator[str]:
    """Pythons of the fitting versions: this one, those on the path, those that pyenv keeps."""
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in PYTHONS:
        on_path = [sys.executable, shutil.which(f"python{version}")]
        for candidate in (*on_path, *(str(found / "bin" / "python") for found in sorted(kept.glob(f"{version}*")))):
            if candidate and _is(candidate, version):
                yield candidate


def _is(python: str, version: str) -> bool:
    """It starts, and is of that version: a shim of pyenv may do neither."""
    asked = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 - an interpreter
    except OSError:
        return False
    return said.stdout.strip() == version
