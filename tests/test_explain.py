"""`explain` and `routes test` as a user meets them: who is told and by which rule; as text, as JSON, and of what is not there."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from checks.result import Family
from checks.window import Window
from monitor import actions, cli, delivery
from monitor.config import load
from monitor.job import Measured
from monitor.store.store import Store
from monitor.store.tables import results
from monitor.testing.weeks import config, live, measured, verdict

END = datetime(2026, 11, 22, 23, tzinfo=UTC)
CHANNELS = """
[channels.oncall]
kind = "console"
[channels.team]
kind = "console"
[channels.boss]
kind = "console"
[[routes]]
severity = "critical"
to = ["oncall"]
escalate = {after = "45m", to = ["boss"]}
[[routes]]
dataset = "orders"
to = ["team"]
quiet = "22:00-08:00"
[[maintenance]]
datasets = ["orders"]
from = "2026-12-24 00:00"
to = "2026-12-27 00:00"
reason = "the shop moves"
"""


def trouble(name: str, window: Window, left: int, chance: random.Random) -> Measured:
    """On the last day half of the amounts are missing, and a few more ages than may be."""
    bad = left == 0
    age = verdict("age", 0.03 if bad else 0.001, 0.02, "drift", Family.DRIFT)
    return measured(verdict("amount", 0.5 if bad else 0.001, 0.02), age)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A config whose store holds INC-1 (a warning that the quiet hours hold) and INC-2 (critical, told and taken on)."""
    made = config(tmp_path, ["orders", "stock"], CHANNELS, "[]")
    store = Store(made.store.url.get_secret_value())
    store.migrate()
    live(made, store, END, 3, lambda name, *rest: trouble(name, *rest) if name == "orders" else measured(verdict("n", 0, 1)))
    delivery.drain(made, store, "oncall", lambda: END)
    actions.acknowledge(store, 2, "ann", END)
    store.close()
    return made.path


def called(path: Path, *words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(cli.app, [*words, "--config", str(path)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


def facts(path: Path, *words: str) -> Any:
    code, out, err = called(path, *words, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def number(path: Path, check: str, status: str) -> str:
    store = Store(load(path, {}).store.url.get_secret_value())
    with store.reading() as connection:
        row = results.c
        query = select(row.id).where(row.check == check, row.status == status).order_by(row.id.desc())
        found = connection.execute(query.limit(1)).scalar_one()
    store.close()
    return str(found)


def test_explain_says_who_was_told_of_an_incident_and_by_which_rule(path: Path) -> None:
    code, text, _ = called(path, "explain", "INC-2")
    assert code == 0
    assert text.startswith("INC-2  CRITICAL  orders  quality  since ")
    assert "still open" in text
    assert "acknowledged by ann" in text
    assert "  route 1 (critical -> oncall): takes it\n" in text
    assert "opened in oncall: told, " in text
    assert "oncall  message  sent " in text

    found = facts(path, "explain", "inc-2")
    assert (found["incident"], found["dataset"], found["severity"]) == ("INC-2", "orders", "critical")
    assert found["acknowledged"]["by"] == "ann"
    assert [r["takes"] for r in found["routes"]] == [True]
    assert [(c["channel"], c["outcome"]) for c in found["changes"]] == [("oncall", "told")]
    assert [(d["channel"], d["state"]) for d in found["deliveries"]] == [("oncall", "sent")]


def test_explain_says_why_nobody_was_told_yet(path: Path) -> None:
    code, text, _ = called(path, "explain", "INC-1")
    assert code == 0
    assert "route 1 (" in text
    assert "not, " in text
    assert "opened in team: held, quiet hours 22:00-08:00: a warning waits for the digest at 2026-11-22 07:00 UTC" in text
    assert text.rstrip().endswith("deliveries:\n  none")
    found = facts(path, "explain", "INC-1")
    assert [r["takes"] for r in found["routes"]] == [False, True]
    assert found["deliveries"] == []


def test_explain_of_a_result_leads_to_its_incident_or_says_that_there_is_none(path: Path) -> None:
    bad, good = number(path, "missing(amount)", "failed"), number(path, "missing(amount)", "passed")
    code, text, _ = called(path, "explain", bad)
    assert code == 0
    assert text.startswith(f"result {bad}: orders, ")
    assert "missing(amount) is 50.0%, at most 2% allowed\n  it belongs to INC-2\nINC-2  CRITICAL" in text
    assert facts(path, "explain", bad)["why"] == "it belongs to INC-2"
    found = facts(path, "explain", good)
    assert found["why"] == "it passed: there is nothing to tell of it"
    assert "incident" not in found


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("INC-99", "there is no incident INC-99"),
        ("99999", "there is no result 99999"),
        ("orders", "'orders' is neither an incident (INC-12) nor the number of a result (see results --json)"),
        ("INC-", "'INC-' is neither an incident"),
        ("INC-99999999999999999999", "is neither an incident"),
        ("99999999999999999999", "is neither an incident"),
    ],
)
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_what_cannot_be_explained_is_one_sentence(path: Path, what: str, said: str, form: tuple[str, ...]) -> None:
    code, out, err = called(path, "explain", what, *form)
    assert (code, out) == (3, "")
    assert said in err
    assert err.count("\n") == 1


def test_routes_test_says_who_would_be_told(path: Path) -> None:
    code, text, _ = called(path, "routes", "test", "severity=critical", "dataset=orders")
    assert code == 0
    assert "takes it\ntold: oncall\n" in text
    assert text.endswith("not acknowledged, then also: boss\n")
    found = facts(path, "routes", "test", "severity=critical", "dataset=orders")
    assert (found["to"], found["escalates_to"], found["known_dataset"]) == (["oncall"], ["boss"], True)


def test_routes_test_knows_the_quiet_hours_and_the_maintenance_of_a_time(path: Path) -> None:
    ask = ("routes", "test", "severity=warning", "dataset=orders")
    _, text, _ = called(path, *ask, "at=2026-11-23T02:00Z")
    assert "told: team\nat 2026-11-23 02:00 UTC it is quiet there: it waits for the digest at 2026-11-23 07:00 UTC\n" in text
    assert facts(path, *ask, "at=2026-11-23T12:00Z")["waits_until"] is None
    _, text, _ = called(path, *ask, "at=2026-12-25T12:00Z")
    assert text.endswith("but maintenance keeps it quiet then: the shop moves\n")


def test_routes_test_says_where_nobody_is_told(path: Path) -> None:
    code, text, _ = called(path, "routes", "test", "severity=warning", "dataset=oders")
    assert code == 0
    assert text.startswith("note: no dataset is called oders\n")
    assert text.endswith("no route takes it: nobody is told\ntold: nobody\n")
    found = facts(path, "routes", "test", "severity=warning", "dataset=stock")
    assert (found["to"], [r["takes"] for r in found["routes"]]) == ([], [False, False])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("colour=red", "'colour' is nothing that a route can ask for; there are: severity, dataset, owner, tag, at"),
        ("severity=loud", "severity 'loud' is none; write critical or warning"),
        ("at=tomorrow", "'tomorrow' is no time"),
        ("orders", "'orders' is nothing that a route can ask for"),
    ],
)
def test_a_wrong_question_is_answered_with_what_may_be_asked(path: Path, asked: str, said: str) -> None:
    code, out, err = called(path, "routes", "test", asked, "--json")
    assert (code, out) == (3, "")
    assert said in err
