"""The commands as a user meets them: real processes, exit codes, what is on which stream."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from monitor.testing import FakeSlack

COMMAND = [sys.executable, "-c", "from monitor.cli import main; main()"]
AT = "2026-11-23T12:00Z"
CONFIG = """
[datasets.orders]
table = "landing/orders-{start:%Y-%m-%d}.parquet"
auto = false
checks = [
  {kind = "missing", column = "amount", at_most = 0.1, severity = "critical"},
  {kind = "row_count", at_least = 1},
]
"""
REFUNDS = CONFIG.replace("orders", "refunds")
SCREEN = '[channels.screen]\nkind = "console"\n'


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Shell:
    """A folder with a config.toml and the commands run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ}
        (folder / "landing").mkdir(parents=True)

    def config(self, *parts: str) -> None:
        (self.folder / "config.toml").write_text("\n".join(parts))

    def land(self, day: int, name: str = "orders", missing: int = 0, rows: int = 20) -> None:
        file = self.folder / "landing" / f"{name}-2026-11-{day:02}.parquet"
        amounts = f"select case when range >= {missing} then range * 1.5 end as amount from range({rows})"
        with duckdb.connect() as connection:
            connection.execute(f"copy ({amounts}) to '{file}' (format parquet)")

    def __call__(self, *words: str) -> Outcome:
        done = subprocess.run(
            [*COMMAND, *words], cwd=self.folder, env=self.environment, capture_output=True, check=False, timeout=120
        )
        outcome = Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in outcome.err, outcome.err
        return outcome


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


# once.


def test_once_json_is_exactly_what_is_promised(shell: Shell) -> None:
    shell.config(CONFIG, SCREEN)
    shell.land(22, missing=10)

    told = shell("once", "--at", AT, "--json")

    assert told.code == 1
    [window] = told.json["windows"]
    assert set(told.json) == {"windows"}
    assert list(window) == ["dataset", "start", "end", "state", "rows", "seconds", "results"]
    assert (window["dataset"], window["state"], window["rows"]) == ("orders", "done", 20)
    assert (window["start"], window["end"]) == ("2026-11-22T00:00:00+00:00", "2026-11-23T00:00:00+00:00")
    assert window["seconds"] >= 0
    failed, passed = window["results"]
    assert list(failed) == [
        "check", "kind", "column", "segment", "status", "value", "bounds", "score", "severity", "message",
    ]  # fmt: skip
    assert failed == {
        "check": "missing(amount)",
        "kind": "missing",
        "column": "amount",
        "segment": None,
        "status": "failed",
        "value": 0.5,
        "bounds": {"at_least": None, "at_most": 0.1, "learned": False},
        "score": 5.0,
        "severity": "critical",
        "message": failed["message"],
    }
    assert "50" in failed["message"]
    assert "10" in failed["message"]
    assert (passed["status"], passed["severity"]) == ("passed", None)
    assert "CRITICAL" in told.err, "the console channel does not get between the facts"


def test_once_json_with_nothing_due_is_an_empty_list(shell: Shell) -> None:
    shell.config(CONFIG)
    shell.land(22)
    first, second = shell("once", "--at", AT, "--json"), shell("once", "--at", AT, "--json")

    assert (first.code, len(first.json["windows"])) == (0, 1)
    assert (second.code, second.json) == (0, {"windows": []})
    assert shell("once", "--at", AT).out == "nothing is due: every closed window has been measured\n"


@pytest.mark.parametrize(("state", "code"), [("well", 0), ("failed", 1), ("no data", 1), ("errored", 2), ("failed and errored", 2)])
def test_the_exit_code_says_what_happened(shell: Shell, state: str, code: int) -> None:
    shell.config(CONFIG, REFUNDS)
    for day in (20, 22):
        shell.land(day, "refunds")
    shell.land(20)
    if state != "no data":
        shell.land(22, missing=20 if "failed" in state else 0)
    if "errored" in state:
        (shell.folder / "landing/refunds-2026-11-22.parquet").write_text("not Parquet")

    told = shell("once", "--at", AT, "--json")

    assert told.code == code
    states = {window["dataset"]: window["state"] for window in told.json["windows"]}
    assert states["orders"] == ("no_data" if state == "no data" else "done")
    assert states["refunds"] == ("errored" if "errored" in state else "done")


def test_a_dataset_that_may_be_empty_ends_well(shell: Shell) -> None:
    shell.config(CONFIG.replace("auto", 'empty = "ok"\nauto').replace('{kind = "row_count", at_least = 1},', ""))
    shell.land(20)

    told = shell("once", "--at", AT, "--json")

    assert told.json["windows"][0]["state"] == "no_data"
    assert told.code == 0


def test_a_time_in_the_datasets_zone_is_written_with_its_zone(shell: Shell) -> None:
    shell.config(CONFIG.replace("auto", 'timezone = "Europe/Berlin"\nauto'))
    shell.land(22)

    [window] = shell("once", "--at", AT, "--json").json["windows"]

    assert (window["start"], window["end"]) == ("2026-11-22T00:00:00+01:00", "2026-11-23T00:00:00+01:00")


def test_once_for_people_says_what_is_wrong_and_what_was_counted(shell: Shell) -> None:
    shell.config(CONFIG, REFUNDS)
    shell.land(22, missing=10)
    shell.land(22, "refunds")

    told = shell("once", "--at", AT)

    lines = told.out.splitlines()
    assert "orders 2026-11-22: done, 20 rows, 1 passed, 1 failed" in lines
    assert "refunds 2026-11-22: done, 20 rows, 2 passed" in lines
    [found] = [line for line in lines if line.startswith("  FAILED critical: missing(amount) is 50")]
    assert "at most 10" in found
    assert told.err == ""


def test_once_shows_what_passed_when_asked_to(shell: Shell) -> None:
    shell.config(CONFIG)
    shell.land(22)

    lines = shell("once", "--at", AT, "--verbose").out.splitlines()

    assert lines[0] == "orders 2026-11-22: done, 20 rows, 2 passed"
    assert [line[:6] for line in lines[1:]] == ["  ok: ", "  ok: "]


def test_once_measures_only_the_named_datasets(shell: Shell) -> None:
    shell.config(CONFIG, REFUNDS)
    shell.land(22)
    shell.land(22, "refunds")

    told = shell("once", "refunds", "--at", AT, "--json")

    assert [window["dataset"] for window in told.json["windows"]] == ["refunds"]


# What the user gets wrong.


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["once", "order"], 'there is no dataset "order"; did you mean "orders"?'),
        (["once", "xyz"], 'there is no dataset "xyz"; there are: orders'),
        (["once", "--at", "yesterday"], "'yesterday' is no time; write 2026-11-23 or 2026-11-23T08:00Z"),
        (["once", "--at", "0001-01-01"], "'0001-01-01' is out of reach; write a time between 1900 and 2200"),
        (["once", "--at", "9999-12-31T23:59Z"], "'9999-12-31T23:59Z' is out of reach; write a time between 1900 and 2200"),
        (["backfill", "ordres", "--from", "2026-11-20"], 'there is no dataset "ordres"; did you mean "orders"?'),
        (["backfill", "orders", "--from", "2026-13-01"], "'2026-13-01' is no time; write 2026-11-23 or 2026-11-23T08:00Z"),
        (["backfill", "orders", "--from", "2026-11-20", "--to", "2026-11-20"], "--from 2026-11-20 is not before --to 2026-11-20"),
        (["results", "--dataset", "Orders"], 'there is no dataset "Orders"; did you mean "orders"?'),
        (["results", "--since", "soon"], "'soon' is no time; write 2026-11-23 or 2026-11-23T08:00Z"),
        (["test-channel", "team"], 'there is no channel "team"; there is none'),
    ],
)
def test_a_mistake_on_the_command_line_is_one_sentence_and_exit_code_3(shell: Shell, words: list[str], sentence: str) -> None:
    shell.config(CONFIG)

    told = shell(*words)

    assert (told.code, told.out, told.err) == (3, "", sentence + "\n")


@pytest.mark.parametrize("words", [["once"], ["status"], ["results"], ["incidents"], ["check-config"], ["test-channel", "x"]])
def test_a_wrong_config_is_exit_code_3_with_every_mistake(shell: Shell, words: list[str]) -> None:
    shell.config(CONFIG.replace("auto", "atuo").replace("missing", "mising"))

    told = shell(*words)

    assert (told.code, told.out) == (3, "")
    assert "2 mistakes" in told.err
    assert 'did you mean "auto"?' in told.err
    assert 'did you mean "missing"?' in told.err


def test_a_config_that_is_not_there_is_exit_code_3(shell: Shell) -> None:
    told = shell("once", "--config", "elsewhere.toml", "--json")

    assert (told.code, told.out) == (3, "")
    assert "elsewhere.toml" in told.err
    assert "there is no such file" in told.err


def test_a_store_that_cannot_be_opened_is_one_sentence_and_exit_code_2(shell: Shell) -> None:
    shell.config('[store]\nurl = "sqlite:///landing"', CONFIG)

    told = shell("status")

    assert (told.code, told.out) == (2, "")
    said = f"the store sqlite:///{shell.folder}/landing does not work: unable to open database file"
    assert told.err == f"{said} (is its folder there, and may we write to it?)\n"


# backfill and what is asked afterwards.


def test_a_backfill_measures_the_past_and_tells_nobody(shell: Shell) -> None:
    shell.config(CONFIG, SCREEN)
    for day in (19, 20, 21):
        shell.land(day, missing=20)
    (shell.folder / "landing/orders-2026-11-20.parquet").write_text("not Parquet")

    told = shell("backfill", "orders", "--from", "2026-11-19", "--to", "2026-11-22", "--json")

    assert told.code == 2
    assert [(w["start"][:10], w["state"]) for w in told.json["windows"]] == [
        ("2026-11-19", "done"),
        ("2026-11-20", "errored"),
        ("2026-11-21", "done"),
    ]
    assert told.err == "measuring: 3 of 3\n"

    again = shell("backfill", "orders", "--from", "2026-11-19", "--to", "2026-11-22")
    assert again.code == 2
    assert again.out.startswith("0 of 3 windows measured, 2 were there already, 1 errored\n  the first of them, 2026-11-20: ")

    shell.land(20)
    mended = shell("backfill", "orders", "--from", "2026-11-19", "--to", "2026-11-22")
    assert (mended.code, mended.out) == (0, "1 of 3 windows measured, 2 were there already\n")
    assert shell("incidents", "--all", "--json").json == {"incidents": []}
    assert len(shell("results", "--failed", "--json").json["results"]) == 2


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Three days have been measured: a good one, one with missing amounts, one that cannot be read (and one dataset never)."""
    shell = Shell(tmp_path_factory.mktemp("week") / "home")
    shell.config(CONFIG, REFUNDS, SCREEN)
    shell.land(20)
    shell.land(21, missing=10)
    (shell.folder / "landing/orders-2026-11-22.parquet").write_text("not Parquet")
    for day in (21, 22, 23):
        shell("once", "orders", "--at", f"2026-11-{day}T12:00Z")
    return shell


def test_status_says_how_each_dataset_stands(week: Shell) -> None:
    told = week("status", "--json")

    assert told.code == 0
    assert set(told.json) == {"at", "store", "datasets", "open_incidents", "channels"}
    orders, refunds = told.json["datasets"]
    assert orders["last_window"]["state"] == "errored"
    assert orders["incidents"] == ["INC-2", "INC-1"]
    assert "orders-2026-11-22.parquet" in orders["error"]
    assert (refunds["dataset"], refunds["last_window"], refunds["late"]) == ("refunds", None, True)
    assert told.json["open_incidents"] == 2
    assert told.json["channels"] == {"screen": {"unsent": 0}}
    assert datetime.fromisoformat(told.json["at"]).tzinfo is not None

    people = week("status").out
    assert "orders: INC-2, INC-1" in people
    assert "refunds: never measured" in people
    assert "2 open incidents" in people


def test_results_are_the_newest_first_and_can_be_narrowed(week: Shell) -> None:
    told = week("results", "--json").json["results"]

    assert [(r["start"][:10], r["check"], r["status"]) for r in told if r["check"] != "row_count"] == [
        ("2026-11-22", "measure", "errored"),
        ("2026-11-21", "missing(amount)", "failed"),
        ("2026-11-20", "missing(amount)", "passed"),
    ]
    assert told[1]["bounds"] == {"at_least": None, "at_most": 0.1, "learned": False}
    assert {r["status"] for r in week("results", "--failed", "--json").json["results"]} == {"failed", "errored"}
    assert len(week("results", "--limit", "1", "--json").json["results"]) == 1
    assert {r["start"][:10] for r in week("results", "--since", "2026-11-22", "--json").json["results"]} == {"2026-11-22"}
    assert week("results", "--dataset", "refunds").out == "no results\n"
    assert "2026-11-21 00:00 UTC  orders  FAILED critical  missing(amount) is 50" in week("results").out


def test_incidents_tell_their_problems_and_story(week: Shell) -> None:
    broken, missing = week("incidents", "--json").json["incidents"]

    assert (broken["family"], missing["family"]) == ("source", "quality")
    assert (missing["incident"], missing["dataset"], missing["severity"], missing["state"]) == (
        "INC-1",
        "orders",
        "critical",
        "open",
    )
    assert missing["since"] == "2026-11-21T00:00:00+00:00"
    [problem] = missing["problems"]
    assert (problem["check"], problem["column"], problem["value"], problem["at_most"]) == ("missing(amount)", "amount", 0.5, 0.1)
    # The dead source explains what else is wrong there.
    assert [event["happened"] for event in missing["story"]] == ["opened", "inhibited"]
    people = week("incidents").out
    assert "INC-1  CRITICAL  orders  quality  since 2026-11-21 00:00 UTC" in people
    assert "missing(amount) is 50" in people


# check-config and test-channel.


def test_a_config_in_order_is_said_to_be(shell: Shell) -> None:
    shell.config(CONFIG, SCREEN)

    told, facts = shell("check-config"), shell("check-config", "--json")

    assert (told.code, told.err) == (0, "")
    assert told.out.startswith(f"{shell.folder / 'config.toml'}: in order\n")
    assert facts.json["faults"] == []
    assert facts.json["datasets"] == ["orders"]


def test_the_mistakes_of_a_config_can_be_read_by_a_program(shell: Shell) -> None:
    shell.config(CONFIG.replace("auto", "atuo"))

    told = shell("check-config", "--json")

    assert told.code == 3
    assert told.err == ""
    [fault] = told.json["faults"]
    assert 'dataset "orders"' in fault


def test_a_test_message_on_the_console_is_shown(shell: Shell) -> None:
    shell.config(CONFIG, SCREEN)

    told = shell("test-channel", "screen")

    assert told.code == 0
    assert "Nothing is wrong" in told.out
    assert told.out.endswith("sent to screen (standard output)\n")


def test_facts_about_a_test_message_stand_alone_on_standard_output(shell: Shell) -> None:
    shell.config(CONFIG, SCREEN)

    told = shell("test-channel", "screen", "--json")

    assert told.json == {"channel": "screen", "sent": True, "reference": None, "lacks": []}
    assert "Nothing is wrong" in told.err


@pytest.fixture
def slack(shell: Shell) -> Iterator[FakeSlack]:
    with FakeSlack() as server:
        shell.environment["SLACK_BOT_TOKEN"] = server.token
        team = f'[channels.team]\nkind = "slack"\ntoken = "${{SLACK_BOT_TOKEN}}"\nchannel = "#data-quality"\napi = "{server.url}"'
        shell.config(CONFIG, team)
        yield server


def test_a_test_message_arrives_in_slack(shell: Shell, slack: FakeSlack) -> None:
    told = shell("test-channel", "team", "--json")

    assert (told.code, told.json["sent"]) == (0, True)
    assert told.json["reference"].endswith(slack.messages[0]["ts"])
    assert shell("test-channel", "team").out == "sent to team (Slack #data-quality)\n"


def test_a_test_message_that_is_refused_says_so_without_the_token(shell: Shell, slack: FakeSlack) -> None:
    shell.environment["SLACK_BOT_TOKEN"] = "xoxb-s3cr3t"

    told, facts = shell("test-channel", "team"), shell("test-channel", "team", "--json")

    assert (told.code, told.out) == (1, "")
    assert "invalid_auth" in told.err
    assert (facts.code, facts.json["sent"]) == (1, False)
    assert "invalid_auth" in facts.json["error"]
    for text in (told.err, facts.out, facts.err):
        assert "s3cr3t" not in text


def test_what_once_found_is_told_in_slack_once(shell: Shell, slack: FakeSlack) -> None:
    shell.land(22, missing=10)

    for _ in range(2):
        shell("once", "--at", AT)

    [root] = slack.messages
    assert "missing(amount) is 50" in root["text"]
    assert shell("status", "--json").json["channels"] == {"team": {"unsent": 0}}


def test_what_could_not_be_told_is_told_by_the_next_run(shell: Shell, slack: FakeSlack) -> None:
    shell.land(22, missing=10)
    token = shell.environment["SLACK_BOT_TOKEN"]
    shell.environment["SLACK_BOT_TOKEN"] = "xoxb-s3cr3t"
    assert shell("once", "--at", AT).code == 1
    told = shell("status", "--json")
    assert told.json["channels"]["team"]["unsent"] == 1
    assert "invalid_auth" in told.json["channels"]["team"]["error"]
    assert "out of order since" in shell("status").out

    shell.environment["SLACK_BOT_TOKEN"] = token
    shell("once", "--at", AT)

    assert ["missing(amount) is 50" in message["text"] for message in slack.messages] == [True]
    assert shell("status", "--json").json["channels"] == {"team": {"unsent": 0}}


def test_a_channel_out_of_order_hands_over_to_its_fallback_in_the_same_run(shell: Shell, slack: FakeSlack) -> None:
    text = (shell.folder / "config.toml").read_text()
    broken = 'channel = "#no-such"\nfallback = "screen"\n'
    shell.config(SCREEN, text.replace('channel = "#data-quality"', broken), '[[routes]]\nto = ["team"]')
    shell.land(22, missing=10)

    told = shell("once", "--at", AT)

    assert slack.messages == []
    assert "team is out of order" in told.out
    assert shell("status", "--json").json["channels"]["screen"] == {"unsent": 0}


def test_what_is_done_about_an_incident_is_part_of_its_story(shell: Shell) -> None:
    # A week of its own: the others only look.
    shell.config(
        "[datasets.orders]",
        'table = "landing/orders-{start:%Y-%m-%d}.parquet"',
        'every = "1d"',
        "auto = false",
        'checks = [{kind = "missing", column = "amount", at_most = 0.1, severity = "critical"}]',
    )
    shell.land(21, missing=10)
    shell("once", "--at", "2026-11-22T01:00Z")
    assert shell("ack", "INC-1", "--as", "ann").out == "INC-1 is acknowledged: no more reminders\n"
    late = shell("ack", "1", "--as", "bob", "--json")
    assert (late.code, late.json) == (1, {"said": "ann has acknowledged INC-1 already", "changed": False})
    said = (
        ["silence", "1", "--for", "2h"],
        ["silence", "1", "--lift"],
        ["not-useful", "1"],
        ["cause", "1", "why"],
        ["accept", "1"],
    )
    for words in said:
        done = shell(*words, "--as", "ann")
        assert done.code == 0, done.err
    found = next(i for i in shell("incidents", "--json").json["incidents"] if i["incident"] == "INC-1")
    story = [event["happened"] for event in found["story"]]
    assert story == ["opened", "acked", "acked", "silenced", "lifted", "not useful", "cause", "accepted"]
    wrong = shell("ack", "INC-99")
    assert (wrong.code, wrong.err) == (3, "there is no incident INC-99; datavigil incidents lists those that are open\n")
