"""Checks that are judged in a process of their own: one's end takes no other verdict with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pandas as pd
import pytest

from checks.base import Check, View
from checks.evidently import Evidently
from checks.profile import Answer, Broken, Rows
from checks.question import Question, Sample, Schema
from checks.result import Bounds, Family, Result, Status
from checks.window import Window
from monitor import judging
from monitor.config import Config
from monitor.dataset import Dataset

START = datetime(2026, 11, 22, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(days=1))
ORDERS = Dataset(name="orders", table="{start}.csv")


class Trouble(Check):
    """Does what its `how` says, and tells what of the view reached it."""

    family = Family.DRIFT
    apart = True
    how: Literal["well", "endless", "greedy", "dying", "raising"] = "well"
    timeout: float = 20.0
    memory_mb: int = 512

    def questions(self, schema: Schema) -> Iterable[Question]:
        return [Sample()]

    def judge(self, view: View) -> Iterable[Result]:
        if self.how == "endless":
            while True:
                pass
        if self.how == "greedy":
            held = [bytearray(2**20) for _ in range(4096)]
            assert held
        if self.how == "dying":
            os.abort()
        if self.how == "raising":
            raise ValueError("no")
        said = f"{sorted(view.answers)} {len(view.history)} {view.reference} {os.getpid()}"
        yield self.result(Status.PASSED, said, view, bounds=Bounds(), score=0.0)

    def trial(self) -> Iterable[str]:
        if self.how == "dying":
            os.abort()
        return [] if self.how == "well" else [f"{self.how} is not well", "twice"]


def view(**answers: Answer) -> View:
    return View(WINDOW, WINDOW.end, 10, {"a": "float64"}, {"sample(window,5000)": Broken("none"), "rows": Broken("x"), **answers})


def judged(*checks: Check, seconds: float = 600.0) -> dict[str, Result]:
    pairs, refused = judging.packed([(c, view()) for c in checks])
    assert not refused
    return {r.check: r for r in judging.judged_apart(pairs, seconds)}


def test_they_are_judged_elsewhere_on_what_they_asked_for_alone() -> None:
    one, two = judged(Trouble(id="one"), Trouble(id="two")).values()
    assert one.message.startswith("['sample(window,5000)'] 0 None ")
    assert one.message == two.message
    assert str(os.getpid()) not in one.message.split()
    assert judged() == {}


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("endless", "bad could not be judged: it took longer than 2 s and was ended"),
        ("greedy", "bad could not be judged: MemoryError"),
        ("dying", "bad could not be judged: its process was ended by signal 6"),
        ("raising", "bad could not be judged: ValueError: no"),
    ],
)
def test_the_end_of_one_is_its_own(how: Literal["endless"], said: str) -> None:
    found = judged(Trouble(id="before", timeout=2), Trouble(id="bad", how=how, timeout=2), Trouble(id="after", timeout=2))
    assert {name: r.status for name, r in found.items()} == {
        "before": Status.PASSED,
        "bad": Status.ERRORED,
        "after": Status.PASSED,
    }
    assert found["bad"].message.startswith(said)


def test_what_is_left_of_the_dataset_s_time_is_all_they_have() -> None:
    found = judged(Trouble(id="bad", how="endless", timeout=1000), Trouble(id="after"), seconds=6.0)
    assert found["bad"].status is Status.ERRORED
    assert found["after"].status is Status.ERRORED
    assert all("there was no more time for it" in r.message for r in found.values())


def test_a_check_that_cannot_travel_is_errored() -> None:
    pairs, found = judging.packed([(Trouble(id="bad"), view(**{"sample(window,5000)": lambda: 0}))])  # type: ignore[arg-type]
    assert not pairs
    assert [(r.status, "cannot be handed to a process of its own" in r.message) for r in found] == [(Status.ERRORED, True)]


def test_a_descriptor_that_wants_data_from_the_network_is_an_error_that_says_what_to_do() -> None:
    mood = {"descriptor": "Sentiment", "column": "review", "alias": "mood"}
    check = Evidently(metric="MeanValue", column="mood", descriptors=(mood,), at_most=1)
    frame = Rows(pd.DataFrame({"review": ["good", "bad"] * 20}))
    seen = View(WINDOW, WINDOW.end, 40, {"review": "string"}, {"sample(window,5000)": frame})
    [found] = judging.judged_apart(judging.packed([(check, seen)])[0], 600.0)
    assert found.status is Status.ERRORED
    assert found.message.endswith(
        "it needs NLTK's vader_lexicon, which is not on this machine and is not downloaded by us; "
        "fetch it once with: python -m nltk.downloader vader_lexicon"
    )


def test_a_language_model_as_a_judge_is_told_before_the_night(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nothing")
    judge = {"descriptor": "DeclineLLMEval", "column": "review", "alias": "declined"}
    config = configured(Evidently(metric="UniqueValueCount", column="declined", descriptors=(judge,), at_most=1))
    [fault] = judging.faults(config)
    assert fault.startswith('dataset "orders", check 1: the descriptors do not work here: ')


# check-config.


def configured(*checks: Check) -> Config:
    return Config(Path("config.toml"), datasets={"orders": ORDERS.model_copy(update={"checks": checks})})


def test_trials_name_the_place_and_tell_everything() -> None:
    from checks.row_count import RowCount

    found = judging.faults(configured(RowCount(at_least=1), Trouble(id="a"), Trouble(id="b", how="raising")))
    assert found == ['dataset "orders", check 3: raising is not well', 'dataset "orders", check 3: twice']


def test_without_such_checks_no_process_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    from checks.row_count import RowCount

    monkeypatch.setattr("sys.executable", "/nowhere/python")
    assert judging.faults(configured(RowCount(at_least=1))) == []
    [fault] = judging.faults(configured(Trouble()))
    assert fault.startswith('dataset "orders", check 1: checks of kind test_judging could not be tried: its process could not be')


def test_trials_that_end_are_told() -> None:
    [before, ended] = judging.faults(configured(Trouble(id="a", how="raising"), Trouble(id="b", how="dying")))[1:]
    assert before == 'dataset "orders", check 1: twice'
    assert "could not be tried: its process was ended by signal 6" in ended


def test_check_config_tells_what_evidently_has_against_a_check(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        '[datasets.orders]\ntable = "{start}.csv"\n'
        'checks = [{kind = "row_count"}, {kind = "evidently", metric = "ValueDrfit", column = "a"}]\n'
    )
    command = [sys.executable, "-c", "from monitor.cli import main; main()", "check-config", "--json"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 3
    assert json.loads(ran.stdout)["faults"] == [
        'dataset "orders", check 2: Evidently has no metric or preset ValueDrfit; did you mean ValueDrift?'
    ]
