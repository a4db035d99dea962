"""What is shipped, what is pinned, and that the three packages are ours."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from functools import partial
from importlib import metadata
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from monitor import guard

ROOT = Path(__file__).parent.parent
PACKAGES = ("monitor", "checks", "alerts")


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}


def shipped() -> set[str]:
    """Every file of the packages that the repository would hold."""
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*"))
    return {path.relative_to(ROOT).as_posix() for path in files if path.is_file() and "__pycache__" not in path.parts}


def a_tree(folder: Path, *packages: str) -> Path:
    for package in packages:
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").touch()
        (folder / package / guard.OURS[package]).touch()
    return folder


def looking_in(*folders: Path) -> Callable[[str], ModuleSpec | None]:
    return partial(PathFinder.find_spec, path=[str(folder) for folder in folders])


def test_the_wheel_holds_every_file_of_the_three_packages(tmp_path: Path) -> None:
    wheel = next(iter(WheelBuilder(str(ROOT)).build(directory=str(tmp_path))))
    with zipfile.ZipFile(wheel) as zipped:
        inside = {name for name in zipped.namelist() if not name.split("/")[0].endswith(".dist-info")}
        copy = zipped.read("monitor/demo.toml")
    assert inside == shipped() | {"monitor/demo.toml"}
    assert copy == (ROOT / "config.toml").read_bytes()


def test_the_source_archive_can_be_tested_and_built(tmp_path: Path) -> None:
    archive = next(iter(SdistBuilder(str(ROOT)).build(directory=str(tmp_path))))
    with tarfile.open(archive) as tar:
        inside = {name.partition("/")[2] for name in tar.getnames()}
    assert shipped() <= inside
    assert {"config.toml", "constraints.txt", "Makefile", "README.md", "LICENSE", "tests/test_packaging.py"} <= inside


def test_every_line_of_the_constraints_is_a_name_and_a_version() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line)] == []
    assert lines == sorted(set(lines), key=str.lower)


def test_every_requirement_is_pinned_and_the_pin_is_allowed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lists = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
        project["build-system"]["requires"],
    ]
    wanted = [Requirement(text) for texts in lists for text in texts]
    assert [str(r) for r in wanted if pins().get(canonicalize_name(r.name), "none") not in r.specifier] == []


def test_everything_installed_for_datavigil_is_pinned() -> None:
    todo, seen = ["datavigil"], set[str]()
    while todo:
        name = canonicalize_name(todo.pop())
        if name in seen:
            continue
        seen.add(name)
        needs = (Requirement(text) for text in metadata.requires(name) or ())
        todo += [need.name for need in needs if not need.marker or need.marker.evaluate({"extra": ""})]
    assert sorted(seen - {"datavigil"} - pins().keys()) == []


def test_the_installed_packages_are_ours() -> None:
    assert guard.fault() is None


def test_three_packages_in_one_folder_are_ours(tmp_path: Path) -> None:
    assert guard.fault(looking_in(a_tree(tmp_path, *PACKAGES))) is None


def test_a_package_elsewhere_is_refused_with_both_places(tmp_path: Path) -> None:
    theirs, ours = a_tree(tmp_path / "theirs", "checks"), a_tree(tmp_path / "ours", *PACKAGES)
    said = guard.fault(looking_in(theirs, ours))
    assert said is not None
    assert f"checks in {theirs}" in said
    assert f"monitor in {ours}" in said


def test_a_package_of_another_distribution_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    folder = a_tree(tmp_path, *PACKAGES)
    (folder / "alerts" / guard.OURS["alerts"]).unlink()
    assert "'alerts' is missing or another distribution's" in str(guard.fault(looking_in(folder)))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_that_is_not_there_is_refused(tmp_path: Path, package: str) -> None:
    folder = a_tree(tmp_path, *(name for name in PACKAGES if name != package))
    assert f"'{package}' is missing" in str(guard.fault(looking_in(folder)))


def test_the_guard_asks_for_modules_that_are_there() -> None:
    assert all((ROOT / package / module).is_file() for package, module in guard.OURS.items())


def test_the_guard_imports_no_package_it_judges() -> None:
    code = "import sys, monitor.guard as g; assert g.fault() is None; sys.exit('checks' in sys.modules or 'alerts' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_make_refuses_an_old_python_in_words(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\ncase "$*" in *version_info*) exit 1;; esac\necho "Python 3.9.2"\n')
    old.chmod(0o755)
    make = shutil.which("make")
    assert make is not None
    call = [make, "-C", str(ROOT), f"PYTHON={old}", f"VENV={tmp_path / 'venv'}", "demo"]
    ran = subprocess.run(call, check=False, capture_output=True, text=True)
    assert ran.returncode != 0
    assert "needs Python 3.11 or newer" in ran.stdout + ran.stderr
    assert "Python 3.9.2" in ran.stdout + ran.stderr
    assert not (tmp_path / "venv").exists()
