"""Charts in the threads of incidents: after the message, once, and without any harm where they do not come about."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy import insert, update

from alerts.base import DeliveryError
from alerts.message import Chart, Outgoing
from alerts.telling import harmless
from checks.grid import Grid
from checks.histogram import Histogram
from checks.profile import Counts, Profile
from monitor import apart
from monitor.charting import drawer, picking
from monitor.charting.drawer import Refused, charted, warn
from monitor.charting.making import draw
from monitor.dataset import Dataset
from monitor.store import charts, outbox, weeks
from monitor.store.store import Store
from monitor.store.tables import deliveries, problems, profiles, references, results
from monitor.testing import Clock, FakeSlack
from monitor.testing.faults import Fault
from monitor.testing.workspace import METHODS
from tests.test_daemon import service, until
from tests.test_delivery import Desk, to_slack

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
LAST = datetime(2026, 11, 22, tzinfo=UTC)
PNG = b"\x89PNG"
CHART = Chart(PNG, "the last 3 windows", "a chart")


@pytest.fixture
def clock() -> Clock:
    return Clock(LAST + DAY)


@pytest.fixture
def slack(clock: Clock) -> Iterator[FakeSlack]:
    with FakeSlack(clock=lambda: clock.now().timestamp()) as server:
        yield server


class Board(Desk):
    """A desk with two datasets, `dataset_1` and `dataset_2`, each with an incident of a check that failed in its last window."""

    def __init__(self, store: Store, clock: Clock, slack: FakeSlack, **more: Any) -> None:
        # A picture is larger than a message: half a second would do, were this machine not busy.
        super().__init__(store, clock, {"team": to_slack(slack, timeout=10, **more)})
        self.slack, self.refused = slack, Refused()
        self.watch()
        for number in (1, 2):
            self.problem(number)

    def watch(self, **settings: Any) -> None:
        given = {"table": "orders.parquet", "time_column": "at", **settings}
        datasets = {name: Dataset(name=name, **given) for name in ("dataset_1", "dataset_2")}
        self.config = replace(self.config, datasets=datasets)

    def problem(self, number: int, values: tuple[float | None, ...] = (0.01, 0.02, 0.38), **more: Any) -> None:
        about: dict[str, Any] = {"check": "missing(amount)", "kind": "missing", "family": "quality", "column": "amount", **more}
        segment = about.pop("segment", "")
        severity, score = about.pop("severity", "warning"), about.pop("score", 3.0)
        limits = {"at_most": 0.02, "score": score, "severity": severity, "message": f"{about['check']} is bad"}
        name, ends = f"dataset_{number}", [LAST - (len(values) - 1 - n) * DAY for n in range(len(values))]
        with self.store.begin() as connection:
            key = {"fingerprint": f"{number} {about['check']}", "subject": name, "incident": number, "segment": segment}
            state = {"state": "firing", "last_end": LAST + DAY, "value": values[-1]}
            connection.execute(insert(problems).values(**key, **state, **about, **limits))
            for start, value in zip(ends, values, strict=True):
                judged = "skipped" if value is None else "failed" if value > 0.02 else "passed"
                row = {"dataset": name, "segment": segment, "window_start": start, "window_end": start + DAY, "at": start + DAY}
                connection.execute(insert(results).values(**row, **about, **limits, value=value, status=judged))

    def profile(self, number: int, ago: int, answers: dict[str, Any]) -> None:
        body = Profile({"amount": "float64"}, 100, {("", ""): answers}).to_bytes()
        start = LAST - ago * DAY
        with self.store.begin() as connection:
            row = {"dataset": f"dataset_{number}", "start": start, "end": start + DAY, "rows": 100, "body": body}
            connection.execute(insert(profiles).values(**row))

    def drift(self, **answers: dict[str, Any]) -> None:
        """The first incident is of drift; `now` and `before` are the answers of its window, and of three before it."""
        with self.store.begin() as connection:
            connection.execute(problems.delete().where(problems.c.incident == 1))
            connection.execute(results.delete().where(results.c.dataset == "dataset_1"))
        self.problem(1, check="drift(amount)", kind="drift", family="drift")
        self.profile(1, 0, answers["now"])
        for ago in (1, 2, 3):
            self.profile(1, ago, answers["before"])

    def opens(self, number: int = 1) -> str:
        """The incident is told; the time stamp of its root."""
        self.put(f"{number} open", "root", number, revision=1)
        self.as_open(f"{number} open")
        self.send()
        return str(self.row(f"{number} open").provider_ref).partition(":")[2]

    def as_open(self, key: str) -> None:
        """The desk writes harmless messages; an incident's says that it is open."""
        said = {**json.loads(self.row(key).payload), "state": "open"}
        with self.store.begin() as connection:
            connection.execute(update(deliveries).where(deliveries.c.key == key).values(payload=json.dumps(said)))

    def draw(self) -> int:
        """In this process: the real drawing, and one import of what draws for all tests."""
        return charted(self.config, self.store, self.clock.now, self.refused, drawn=lambda order, _: list(draw(order)))

    def reason(self, key: str = "1 open:chart") -> str:
        row = self.row(key)
        assert (row.state, row.form, row.sent_at) == ("superseded", "chart", None)
        return str(row.last_error)


@pytest.fixture
def board(store: Store, clock: Clock, slack: FakeSlack) -> Board:
    return Board(store, clock, slack)


def shown(slack: FakeSlack) -> list[list[str]]:
    """The titles of the pictures of each message that has some."""
    return [[file["title"] for file in m["files"]] for m in slack.messages if "files" in m]


def numbers(shift: float) -> dict[str, Any]:
    buckets: dict[int, tuple[int, float]] = {}
    grid = Grid(50.0, 10.0)
    for value in range(100):
        rows, total = buckets.get(grid.bucket(value + shift), (0, 0.0))
        buckets[grid.bucket(value + shift)] = (rows + 1, total + value + shift)
    return {"distribution(amount)": Histogram.of(grid, buckets)}


def words(**counts: int) -> dict[str, Any]:
    return {"categories(amount)": Counts(counts)}


def test_a_chart_follows_its_message_into_the_thread_once(board: Board, slack: FakeSlack) -> None:
    root = board.opens()
    assert shown(slack) == [], "the text does not wait for it"
    assert board.draw() == 1
    [line] = slack.thread(root)
    [file] = line["files"]
    assert slack.picture(file["id"]).startswith(PNG)
    assert file["title"] == "the last 3 windows"
    assert file["alt_txt"] == (
        "Chart of dataset_1 · missing(amount): 38 % in the last window, 1 % to 38 % over 3, 1 of them bad; at most 2 % allowed"
    )
    assert board.draw() == 0
    assert len(slack.messages) == 2
    assert board.states() == {"1 open": "sent", "1 open:chart": "sent"}


def test_each_incident_has_its_own_and_what_goes_on_gets_no_more(board: Board, slack: FakeSlack) -> None:
    first, second = board.opens(1), board.opens(2)
    assert board.draw() == 2
    board.put("1 line", "line", 1, revision=2)
    board.put("1 rev", "edit", 1, revision=2)
    board.send()
    assert board.draw() == 0
    assert ["files" in m for m in slack.thread(first)] == [True, False]
    assert ["files" in m for m in slack.thread(second)] == [True]


def test_the_bytes_go_where_slack_says_without_our_token(board: Board, slack: FakeSlack) -> None:
    board.opens()
    board.draw()
    [call] = slack.asked("upload")
    assert call["length"] == len(slack.picture(call["file"]))
    assert "authorization" not in call["headers"]
    assert slack.token not in json.dumps(call)


def test_values_that_drifted_are_shown_on_top_of_their_reference(board: Board, slack: FakeSlack) -> None:
    board.drift(now=numbers(500), before=numbers(0))
    board.opens()
    board.draw()
    assert shown(slack) == [["the last 3 windows", "the last window on top of its reference"]]
    first, second = (file["id"] for m in slack.messages for file in m.get("files", []))
    assert slack.picture(second).startswith(PNG)
    assert slack.picture(first) != slack.picture(second)


@pytest.mark.parametrize(
    ("now", "before"),
    [(words(card=10), numbers(0)), (words(), words(card=1)), ({}, numbers(0)), (numbers(1), {})],
    ids=["another type", "empty", "not measured now", "not measured then"],
)
def test_what_cannot_be_laid_on_its_reference_is_drawn_over_time_all_the_same(
    board: Board, slack: FakeSlack, now: dict[str, Any], before: dict[str, Any]
) -> None:
    board.drift(now=now, before=before)
    board.opens()
    assert board.draw() == 1
    assert shown(slack) == [["the last 3 windows"]]


def test_values_of_a_masked_column_are_not_drawn(board: Board, slack: FakeSlack) -> None:
    board.watch(mask=("amount",))
    board.drift(now=words(secret=10), before=words(open=10))
    board.opens()
    board.draw()
    assert shown(slack) == [["the last 3 windows"]]
    assert "secret" not in json.dumps(slack.messages)


@pytest.mark.parametrize(
    ("settings", "rows"),
    [
        ({}, 300),
        ({"reference": "previous 2d"}, 200),
        ({"reference": "same weekday 8w"}, 0),
        ({"reference": {"from": date(2026, 11, 20), "to": date(2026, 11, 21)}}, 100),
        ({"reference": {"table": "golden"}}, 50),
    ],
    ids=["usual", "two days", "weekday", "fixed", "golden"],
)
def test_the_reference_is_the_one_that_the_window_was_compared_with(
    board: Board, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], rows: int
) -> None:
    board.watch(**settings)
    board.drift(now=numbers(500), before=numbers(0))
    golden = Profile({"amount": "float64"}, 50, {("", ""): numbers(1)})
    with board.store.begin() as connection:
        kept = {"dataset": "dataset_1", "version": 1, "kind": "golden", "note": "golden", "body": golden.to_bytes()}
        connection.execute(insert(references).values(**kept, rows=50, created_at=LAST - 9 * DAY))
    wanted = picking.order(board.config, board.store, 1)
    assert wanted is not None
    found = [Profile.from_bytes(body).rows for body in wanted.shapes.normal] if wanted.shapes else []
    assert sum(found) == rows


def test_from_an_accepted_level_on_only_that_is_the_reference(board: Board) -> None:
    board.watch(reference={"from": date(2026, 11, 19), "to": date(2026, 11, 21)})
    board.drift(now=numbers(500), before=numbers(0))
    with board.store.begin() as connection:
        kept = {"dataset": "dataset_1", "version": 1, "kind": "accepted", "column": "amount", "start": LAST - DAY, "rows": 0}
        connection.execute(insert(references).values(**kept, body=b"", created_at=LAST))
    wanted = picking.order(board.config, board.store, 1)
    assert wanted is not None
    assert wanted.shapes is not None
    assert len(wanted.shapes.normal) == 1


def test_the_gravest_check_that_has_numbers_is_drawn(board: Board) -> None:
    board.problem(1, check="columns", kind="columns", column="", values=(None, None, None), severity="critical", score=9.0)
    board.problem(1, check="missing(other)", column="other", severity="critical", score=2.0)
    board.problem(1, check="missing(third)", column="third", severity="warning", score=8.0)
    wanted = picking.order(board.config, board.store, 1)
    assert wanted is not None
    assert wanted.title == "dataset_1 · missing(other)"


def test_a_window_without_a_verdict_is_a_gap_and_no_bad_one(board: Board) -> None:
    board.problem(2, values=(None, None, 0.01, None, 0.5), check="missing(x)", column="x", score=9.0)
    wanted = picking.order(board.config, board.store, 2)
    assert wanted is not None
    assert [(p.value, p.bad) for p in wanted.points] == [(0.01, False), (None, False), (0.5, True)]


def test_where_there_is_nothing_to_draw_the_record_says_so_and_slack_is_not_asked(board: Board, slack: FakeSlack) -> None:
    with board.store.begin() as connection:
        connection.execute(update(results).values(value=None))
    board.opens()
    assert board.draw() == 0
    assert board.reason() == "none of its checks has values to draw"
    assert slack.asked("files.getUploadURLExternal") == []


def test_without_the_scope_the_text_goes_out_and_it_is_said_once(
    store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    granted = ["chat:write", "channels:history"]
    with FakeSlack(scopes=granted, clock=lambda: clock.now().timestamp()) as slack, caplog.at_level(logging.WARNING):
        board = Board(store, clock, slack)
        warn(board.config, board.refused)
        for number in (1, 2):
            board.opens(number)
            board.draw()
        assert len(slack.roots()) == 2
        assert shown(slack) == []
        assert len(slack.asked("files.getUploadURLExternal")) == 1, "not asked again for each incident"
        [said] = [r.getMessage() for r in caplog.records if r.name == "datavigil.chart"]
    assert said == (
        "channel team: without the scope files:write there are no charts in its threads; grant it to the bot, or set charts = false"
    )
    assert "files:write" in board.reason()


def test_s12_at_the_start_it_warns_that_messages_may_repeat_where_nobody_may_look(
    store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with FakeSlack(scopes=["chat:write", "files:write"]) as slack, caplog.at_level(logging.WARNING):
        board = Board(store, clock, slack)
        for _ in range(2):
            warn(board.config, board.refused)
        [said] = [r.getMessage() for r in caplog.records if r.name == "datavigil.chart"]
    assert "channel team: without the scope channels:history" in said
    assert "may come twice, marked (may repeat)" in said


@pytest.mark.parametrize("scopes", [["channels:history"], ["groups:history", "chat:write"]])
def test_one_of_the_scopes_to_look_with_is_enough(store: Store, clock: Clock, scopes: list[str]) -> None:
    with FakeSlack(scopes=[*scopes, "files:write"]) as slack:
        assert to_slack(slack).lacks() == []


def test_a_test_message_says_what_is_missing_too(tmp_path: Path) -> None:
    with FakeSlack(scopes=["chat:write", "channels:history"]) as slack, service(tmp_path, slack) as made:
        (tmp_path / "config.toml").write_text(CONFIG.format(slack=slack.url))
        said = made.command("test-channel", "team").stdout.decode().splitlines()
        assert said[0] == "sent to team (Slack #data-quality)"
        assert said[1].startswith("without the scope files:write there are no charts")
        assert json.loads(made.command("test-channel", "team", "--json").stdout)["lacks"] == said[1:]


def test_a_channel_that_cannot_be_asked_what_it_may_do_costs_nothing(board: Board, slack: FakeSlack) -> None:
    slack.misbehave(["drop", {"do": "error", "error": "invalid_auth"}])
    warn(board.config, board.refused)
    warn(board.config, board.refused)
    assert len(slack.asked("auth.test")) == 2
    board.opens()
    assert board.draw() == 1


STEPS = ("files.getUploadURLExternal", "upload", "files.completeUploadExternal")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("do", ["rate_limit", "server_error", "drop", "cut", "not_json", "redirect", "error"])
@pytest.mark.parametrize("accepted", [False, True])
def test_whatever_goes_wrong_is_a_fault_of_delivery_and_asked_once(slack: FakeSlack, step: str, do: Any, accepted: bool) -> None:
    team = to_slack(slack, timeout=10)
    root = team.send(Outgoing("root", "k", harmless("team", LAST)))
    slack.misbehave([Fault(do, accepted=accepted, method=step)])
    # Bytes that are taken with a 200 are taken, whatever words come with it.
    taken = step == "upload" and (do == "cut" or (do in {"not_json", "error"} and accepted))
    if taken:
        team.attach(root, [CHART])
    else:
        with pytest.raises(DeliveryError):
            team.attach(root, [CHART])
    assert len(slack.asked(step)) == 1
    arrived = taken or (step == "files.completeUploadExternal" and (accepted or do == "cut"))
    assert len(shown(slack)) == arrived


@pytest.mark.parametrize("step", STEPS)
def test_a_fault_costs_one_chart_and_holds_up_neither_the_thread_nor_the_next_one(
    board: Board, slack: FakeSlack, step: str
) -> None:
    root = board.opens()
    slack.misbehave([Fault("rate_limit", retry_after="600", method=step)])
    assert board.draw() == board.draw() == 0
    assert board.reason()
    board.put("1 line", "line", 1, revision=2)
    board.send()
    assert len(slack.thread(root)) == 1, "the channel is not paused for it"
    board.opens(2)
    assert board.draw() == 1
    assert len(shown(slack)) == 1


def test_a_picture_that_is_refused_its_place_leaves_no_message(board: Board, slack: FakeSlack) -> None:
    board.opens()
    slack.misbehave([Fault("server_error", method="upload")])
    assert board.draw() == 0
    assert board.reason() == "Slack #data-quality answered 500 to a file"
    assert slack.asked("files.completeUploadExternal") == []


def test_an_address_that_is_not_secure_gets_no_picture(board: Board, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch) -> None:
    board.opens()
    place = type(slack.workspace).place_for_file
    elsewhere = "http://files.example.com/upload"
    moved = ("files:write", lambda workspace, asked: {**place(workspace, asked), "upload_url": elsewhere})
    monkeypatch.setitem(METHODS, "files.getUploadURLExternal", moved)
    assert board.draw() == 0
    assert "did not say where a file is to go" in board.reason()


def test_a_root_that_somebody_deleted_gets_no_chart(board: Board, slack: FakeSlack) -> None:
    slack.delete(board.opens())
    assert board.draw() == 0
    assert "thread_not_found" in board.reason()
    assert slack.messages == []


def test_a_process_that_dies_over_it_costs_the_chart(board: Board, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch) -> None:
    board.opens()
    monkeypatch.setattr(drawer, "LIMITS", apart.Limits(seconds=0.0, megabytes=1024))
    assert charted(board.config, board.store, board.clock.now) == 0
    assert "it took longer" in board.reason()
    assert shown(slack) == []


def test_a_daemon_that_was_killed_over_it_does_not_begin_again(board: Board, slack: FakeSlack) -> None:
    board.opens()
    [root] = charts.undrawn(board.store, {"team"}, LAST)
    assert charts.begin(board.store, root, note(board), board.clock.now())
    assert board.draw() == 0
    assert board.reason() == "it was not finished"
    assert not charts.begin(board.store, root, note(board), board.clock.now()), "two daemons: one draws"
    board.leases_end()
    assert board.send() == 0, "no sender takes it for a message"


def note(board: Board) -> Any:
    return harmless("chart", board.clock.now())


def test_a_channel_that_is_paused_gets_its_chart_afterwards_and_an_old_thread_none(board: Board, slack: FakeSlack) -> None:
    board.opens()
    outbox.pause(board.store, "team", board.clock.now() + 5 * MINUTE)
    assert board.draw() == 0
    board.clock.advance(6 * MINUTE)
    assert board.draw() == 1
    board.opens(2)
    board.clock.advance(11 * MINUTE)
    assert board.draw() == 0
    assert len(shown(slack)) == 1


def test_a_channel_that_wants_none_gets_none(store: Store, clock: Clock, slack: FakeSlack) -> None:
    board = Board(store, clock, slack, charts=False)
    assert to_slack(slack, charts=False).lacks() == []
    board.opens()
    assert board.draw() == 0
    assert board.states() == {"1 open": "sent"}


def test_what_is_over_is_not_drawn(board: Board, slack: FakeSlack) -> None:
    board.put("1 combined", "root", 1, revision=2)
    board.send()
    assert board.draw() == 0
    assert board.states() == {"1 combined": "sent"}


def test_a_chart_counts_neither_as_a_message_nor_as_one_given_up(board: Board, slack: FakeSlack) -> None:
    board.opens(1)
    board.opens(2)
    slack.misbehave([Fault("error", method="upload", status=500)])
    board.draw()
    since, until = board.clock.now() - DAY, board.clock.now() + DAY
    assert weeks.alerts(board.store, since, until) == {"team": 2}
    assert weeks.messages(board.store, since, until, until) == {}
    assert outbox.unsent(board.store) == {}


def test_a_store_that_is_away_is_said_and_not_raised(
    board: Board, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    board.opens()
    with board.store.begin() as connection:
        connection.exec_driver_sql("alter table deliveries rename to gone")
    try:
        with caplog.at_level(logging.WARNING):
            assert board.draw() == 0
        assert "no chart was drawn" in caplog.text
    finally:
        with board.store.begin() as connection:
            connection.exec_driver_sql("alter table gone rename to deliveries")


def test_the_daemons_process_never_loads_what_draws() -> None:
    code = "import sys, monitor.daemon; sys.exit(any(m in sys.modules for m in ('matplotlib', 'numpy', 'pandas', 'ibis')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


CONFIG = """
[datasets.orders]
table = "landing/{{start:%Y-%m-%d}}.parquet"
auto = false
checks = [{{kind = "missing", column = "amount", at_most = 0.02, severity = "critical"}}]

[reports]
enabled = false

[channels.team]
kind = "slack"
token = "${{SLACK_BOT_TOKEN}}"
channel = "#data-quality"
api = "{slack}"

[daemon]
tick = "1s"
lease = "4s"
settle = "1s"
send_timeout = "2s"
workers = 1
"""


@pytest.mark.parametrize("how", ["once", "run"])
def test_a_real_service_tells_and_then_draws(tmp_path: Path, how: str) -> None:
    today = datetime.now(UTC).date()
    (tmp_path / "landing").mkdir()
    with duckdb.connect() as connection:
        for ago in range(4, 0, -1):
            missing = f"select nullif(range % 10, {3 if ago == 1 else 99}) as amount from range(400)"
            connection.execute(f"copy ({missing}) to '{tmp_path}/landing/{today - ago * DAY}.parquet' (format parquet)")
    with FakeSlack() as slack, service(tmp_path, slack) as made:
        (tmp_path / "config.toml").write_text(CONFIG.format(slack=slack.url))
        made.command("backfill", "orders", "--from", str(today - 4 * DAY), "--to", str(today - DAY))
        if how == "once":
            assert made.command("once").returncode == 1
        else:
            made.start()
            until(lambda: shown(slack))
            assert made.end(signal.SIGTERM) == 0
        [root, chart] = slack.messages
        assert chart["thread_ts"] == root["ts"]
        assert slack.picture(chart["files"][0]["id"]).startswith(PNG)
        [said] = [line for line in made.command("explain", "INC-1").stdout.decode().splitlines() if " chart " in line]
        assert said.startswith("  team  chart  sent ")
