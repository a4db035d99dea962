"""`datavigil reference` and `datavigil mark`, on what a store holds after a level has shifted."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor import reference_command
from monitor.config import Config
from monitor.reference import ReferenceFault
from monitor.store.store import Store
from tests.test_commands import Shell
from tests.test_reference import DAY, FIRST, config, measured, shifted, written

__all__ = ["config", "shifted"]
NOW = FIRST + 30 * DAY


def run(config: Config, store: Store, action: str, *versions: int, note: str | None = None) -> tuple[dict[str, object], list[str]]:
    return reference_command.run(config, store, action, "orders", versions, NOW, None, None, note)


def test_versions_are_accepted_listed_shown_compared_and_rolled_back(shifted: Config, store: Store, tmp_path: Path) -> None:
    assert run(shifted, store, "list")[1] == ["0  config: previous 28d"]
    written(tmp_path, 21, 90.0, 70.0)
    measured(shifted, store, 21)
    facts, lines = run(shifted, store, "accept", note="new supplier")
    assert facts == {"version": 1, "from": FIRST + 20 * DAY}
    assert lines == ["version 1: orders is normal from 2026-10-21 00:00 UTC on"]
    assert ": new supplier" in run(shifted, store, "list")[1][1]

    before, after = (run(shifted, store, "show", version)[0] for version in (0, 1))
    assert (before["windows"], after["windows"]) == (20, 2)
    told = run(shifted, store, "compare")[1]
    assert told[0] == "version 0 (20 windows) and version 1 (2 windows):"
    assert any(line.startswith("  mean of distribution(amount): 12.4") and "-> 92.48" in line for line in told), told

    assert run(shifted, store, "rollback")[0] == {"rolled_back": 1}
    assert "rolled back 2026-10-31 00:00 UTC by" in run(shifted, store, "list")[1][1]


def test_a_version_that_there_is_not_is_refused_with_those_there_are(shifted: Config, store: Store) -> None:
    with pytest.raises(ReferenceFault, match=r"no version 4 \(there are: 0\)"):
        run(shifted, store, "show", 4)


def test_the_commands_say_what_they_did(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.config('[datasets.orders]\ntable = "landing/orders-{start:%Y-%m-%d}.parquet"\n')
    shell.land(22)
    assert shell("once", "--at", "2026-11-23T08:00Z").code == 0
    told = shell("mark", "orders", "2026-11-22", "expected", "--note", "sale")
    assert (told.code, told.out) == (0, "orders 2026-11-22 is marked expected\n")
    accepted = shell("reference", "accept", "orders", "--json")
    assert accepted.json == {"version": 1, "from": "2026-11-22T00:00:00+00:00"}
    assert shell("reference", "list", "orders").out.count("\n") == 2
    wrong = shell("reference", "rollback", "orders", "9")
    assert (wrong.code, wrong.err) == (3, "version 9 of dataset orders is not in force (there are: 1)\n")
