"""`datavigil demo`, as a stranger runs it: in an empty folder, on the real table."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-c", "from monitor.cli import main; main()", "demo", "--once", "--json"]


@pytest.fixture(scope="module")
def toured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("tour")
    return folder, subprocess.run(COMMAND, cwd=folder, capture_output=True, text=True, check=False, timeout=300)


def told(toured: tuple[Path, subprocess.CompletedProcess[str]]) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(toured[1].stdout)
    return facts


def test_each_planted_fault_is_an_incident_and_there_are_at_most_two_others(
    toured: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    assert toured[1].returncode == 0, toured[1].stderr
    failed = {
        (window["start"][:10], result["kind"], result["column"]): result
        for window in told(toured)["windows"]
        for result in window["results"]
        if result["status"] == "failed"
    }
    days = sorted(window["start"][:10] for window in told(toured)["windows"])
    missing = failed[days[0], "missing", "arr_delay"]
    kilometres = failed[days[1], "numbers", "distance"]
    half = failed[days[3], "times", "scheduled"]
    renamed = failed[days[4], "columns", "dest"]
    for found in (missing, kilometres, half):
        assert found["bounds"]["learned"]
        assert found["score"] > 1
    assert "gone" in renamed["message"]
    incidents = told(toured)["incidents"]
    stories = [(i["family"], " ".join(event["text"] for event in i["story"])) for i in incidents]
    for planted in (
        ("quality", missing["message"]),
        ("drift", kilometres["message"]),
        ("arrival", half["message"]),
        ("layout", renamed["message"]),
    ):
        assert any(family == planted[0] and planted[1] in story for family, story in stories)
    assert len(incidents) <= 6
    assert all(i["dataset"] == "departures" and i["since"] for i in incidents)


def test_days_without_a_fault_are_well(toured: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    windows = sorted(told(toured)["windows"], key=lambda w: str(w["start"]))
    for window in (windows[2], windows[5]):
        assert [r["message"] for r in window["results"] if r["status"] in {"failed", "errored"}] == []


def test_it_says_what_was_planted_and_what_to_try_next(toured: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    said = toured[1].stderr
    # Each day is told when it had closed, not when the demo is run: what is critical by itself, not as a digest's line.
    days = said.split("\n-- ")
    assert "CRITICAL · departures · data did not arrive" in days[4]
    assert "CRITICAL · departures · columns changed" in days[5]
    assert "arr_delay is missing for every flight of the three biggest airlines" in said
    assert "datavigil incidents" in said
    assert (toured[0] / "config.toml").exists()


def test_a_config_of_somebodys_own_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("# mine\n")
    ran = subprocess.run(COMMAND, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 3
    assert "run `datavigil demo` in an empty folder" in ran.stderr
    assert (tmp_path / "config.toml").read_text() == "# mine\n"
