"""Every fault of the list has a test under its name, so that nobody takes one out unseen."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

FAULTS = {"s": 13, "e": 6, "d": 6, "p": 5, "c": 3, "k": 3, "t": 2, "r": 4, "a": 2, "l": 3}
"""Slack, mail, the store, the source, the clock, kills, two daemons, reloads, buttons, load: how many of each."""


def functions() -> list[str]:
    """The names of all test functions, read and not imported."""
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in Path(__file__).parent.glob("test_*.py")]
    return [node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def named(test: str) -> set[str]:
    """The faults at the head of a test's name: `test_k1_t1_kill_...` is of two."""
    head = re.match(r"test((?:_[a-z]\d+)+)_", test)
    return set(head[1].strip("_").split("_")) if head else set()


NAMED = {fault for test in functions() for fault in named(test)}


@pytest.mark.parametrize("fault", [f"{letter}{n}" for letter, most in FAULTS.items() for n in range(1, most + 1)])
def test_each_fault_has_a_test_under_its_name(fault: str) -> None:
    assert fault in NAMED, f"no test is called test_{fault}_..."


def test_a_name_of_two_faults_counts_for_both() -> None:
    assert named("test_s3_l1_many_incidents") == {"s3", "l1"}
    assert named("test_slack") == set()
