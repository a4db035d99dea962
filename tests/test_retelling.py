"""What a replay tells by time: digests, reminders, second targets, storms, the ends of maintenance; each at its moment."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alerts import escalation
from alerts.pace import Pace
from alerts.routing import Route
from checks.result import Family, Result, Severity, Status
from checks.window import Window
from monitor import backtest, news, replay_drawing
from monitor.backtest import Backtest, Stretch
from monitor.config import Config, load
from monitor.dataset import Dataset
from monitor.job import Measured
from monitor.retelling import Telling
from monitor.store.decisions import Decision

FIRST = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
WATCHED = """
[datasets.orders]
table = "orders/{start:%Y-%m-%d-%H}.csv"
every = "1h"
"""
TEAM = """
[channels.team]
kind = "webhook"
url = "http://127.0.0.1:9/nobody"
"""


def config(folder: Path, more: str, watched: str = WATCHED) -> Config:
    (folder / "config.toml").write_text(watched + TEAM + more)
    return load(folder / "config.toml", {})


def verdict(bad: bool, severity: Severity, check: str = "missing(amount)") -> Result:
    found = Status.FAILED if bad else Status.PASSED
    said = f"{check} is {'50' if bad else '0'} %"
    return Result(check, "missing", Family.QUALITY, found, said, "amount", value=0.5 * bad, severity=severity if bad else None)


def told(read: Config, bad: Sequence[int], severity: Severity, hours: int = 72) -> Backtest:
    """Hourly windows of all datasets, of which those in `bad` fail; and what is told of them."""
    found = Backtest(read)
    for dataset in read.datasets.values():
        for n in range(hours):
            measured = Measured("done", [verdict(n in bad, severity)], 100, 0.1)
            found.windows.append((dataset, dataset.calendar.holding(FIRST + n * HOUR), measured))
    found.telling = backtest.told(read, found.windows)
    return found


def story(found: Backtest) -> list[tuple[str, str, str]]:
    return sorted((m["at"][:16], m["channel"], m["kind"]) for m in backtest.messages(found))


def test_what_never_fails_is_never_told(tmp_path: Path) -> None:
    assert story(told(config(tmp_path, ""), [], Severity.WARNING)) == []


def test_a_warning_of_the_night_is_told_by_the_morning_and_once(tmp_path: Path) -> None:
    read = config(tmp_path, '[[routes]]\nto = ["team"]\nquiet = "22:00-08:00"\n')
    found = told(read, [1], Severity.WARNING)
    assert story(found) == [("2026-03-02T08:00", "team", "info")]
    [digest] = backtest.messages(found)
    assert (digest["dataset"], digest["page"]) == (None, False)
    assert [h.incident.resolved_at for h in found.telling.incidents.values()] == [FIRST + 4 * HOUR]


@pytest.mark.parametrize("seed", range(6))
def test_healthy_windows_that_are_recorded_late_change_nothing(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = random.Random(seed)
    watched = "".join(WATCHED.replace("datasets.orders", f"datasets.t{n}") for n in range(3))
    read = config(tmp_path, "", watched)
    windows = []
    for n in range(72):
        down = n > 20 and drawn.random() < 0.03
        for dataset in read.datasets.values():
            severity = drawn.choice(list(Severity))
            results = [verdict(n > 12 and drawn.random() < 0.04, severity), verdict(False, severity, "mean(amount)")]
            measured = Measured("done", results, 100, 0.1)
            if down:
                gone = Result("reachable", "reachable", Family.SOURCE, Status.ERRORED, "nobody answers")
                measured = Measured("errored", [gone], None, 0.1, error="nobody answers")
            windows.append((dataset, dataset.calendar.holding(FIRST + n * HOUR), measured))
    late = backtest.told(read, list(windows))
    real = Telling.window

    def at_once(telling: Telling, dataset: Dataset, window: Window, measured: Measured) -> Decision:
        telling.troubled.update(news.subjects(dataset))
        return real(telling, dataset, window, measured)

    monkeypatch.setattr(Telling, "window", at_once)
    assert backtest.told(read, list(windows)) == late
    assert len(late.sent) > 3


def test_a_finding_after_healthy_windows_is_told_with_how_unusual_it_is(tmp_path: Path) -> None:
    opened, *_ = told(config(tmp_path, ""), [60], Severity.CRITICAL, hours=62).telling.sent
    assert opened.outgoing.message.lead == "highest in 2 days"


def test_what_waits_for_a_morning_after_the_last_window_is_told(tmp_path: Path) -> None:
    read = config(tmp_path, '[[routes]]\nto = ["team"]\nquiet = "22:00-08:00"\n')
    assert story(told(read, [47], Severity.WARNING, hours=48)) == [("2026-03-04T08:00", "team", "info")]


def test_each_morning_says_what_is_still_open(tmp_path: Path) -> None:
    found = told(config(tmp_path, ""), range(10, 60), Severity.WARNING)
    kinds = [(at, kind) for at, _, kind in story(found)]
    assert kinds == [
        ("2026-03-02T11:00", "open"),
        ("2026-03-03T08:00", "info"),
        ("2026-03-04T08:00", "info"),
        ("2026-03-04T14:00", "resolved"),
    ]


def test_a_critical_incident_is_mentioned_again_and_reaches_the_second_target_within_the_hour(tmp_path: Path) -> None:
    more = '[[routes]]\nto = ["team"]\nescalate = {after = "45m", to = ["boss"]}\n[channels.boss]\nkind = "console"\n'
    found = told(config(tmp_path, more), range(30, 40), Severity.CRITICAL)
    assert [one for one in story(found) if one[2] != "info"] == [
        ("2026-03-03T07:00", "team", "open"),
        ("2026-03-03T07:15", "team", "reminder"),
        ("2026-03-03T07:45", "boss", "open"),
        ("2026-03-03T18:00", "boss", "resolved"),
        ("2026-03-03T18:00", "team", "resolved"),
    ]
    assert [m["at"][11:16] for m in backtest.messages(found) if m["page"]] == ["07:00", "07:45"]


def test_many_at_once_are_one_message(tmp_path: Path) -> None:
    watched = "".join(WATCHED.replace("datasets.orders", f"datasets.t{n}") for n in range(12))
    found = told(config(tmp_path, "", watched), range(20, 22), Severity.WARNING, hours=30)
    opened = [m["text"] for m in backtest.messages(found) if m["kind"] == "open"]
    assert len(found.telling.incidents) == 12
    assert len(opened) == 1
    assert "STORM: 12 incidents in 12 datasets" in opened[0]


def test_what_maintenance_kept_quiet_is_told_when_it_ends(tmp_path: Path) -> None:
    more = '[[maintenance]]\ndatasets = ["orders"]\nfrom = 2026-03-02T00:00:00\nto = 2026-03-02T15:00:00\nreason = "moving"\n'
    found = told(config(tmp_path, more), range(10, 30), Severity.WARNING)
    assert story(found)[0] == ("2026-03-02T15:00", "team", "open")


@pytest.mark.parametrize("bad", [range(10, 30), ()], ids=["with incidents", "without any finding"])
def test_a_replay_is_drawn(tmp_path: Path, bad: Sequence[int]) -> None:
    from PIL import Image

    found = told(config(tmp_path, ""), bad, Severity.CRITICAL)
    [dataset] = found.config.datasets.values()
    found.stretches = [Stretch(dataset, [window for _, window, _ in found.windows])]
    replay_drawing.draw(found, tmp_path / "plot.png")
    picture = Image.open(tmp_path / "plot.png").convert("RGB")
    red = tuple(int(replay_drawing.COLOURS["critical"][n : n + 2], 16) for n in (1, 3, 5))
    assert picture.width == replay_drawing.WIDE * replay_drawing.DPI
    colours = {colour for _, colour in picture.getcolors(picture.width * picture.height) or ()}
    assert (red in colours) == bool(bad)


AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("reminded", "now", "wanted"),
    [
        ([], AT, AT + timedelta(minutes=15)),
        ([AT + timedelta(minutes=15)], AT + timedelta(minutes=15), AT + timedelta(hours=4, minutes=15)),
        ([], AT + HOUR, AT + HOUR + timedelta(minutes=1)),
        ([AT + 10 * HOUR, AT + 10.5 * HOUR], AT + 11 * HOUR, datetime(2026, 3, 3, 8, tzinfo=UTC)),
    ],
    ids=["the first", "the next", "overdue: at once", "after a night that had enough"],
)
def test_when_to_look_again(reminded: list[datetime], now: datetime, wanted: datetime) -> None:
    route, pace = Route(to=("team",)), Pace(reminders=2)
    found = escalation.following(AT, reminded, False, route, pace, now)
    assert found == wanted
    assert escalation.due(AT, reminded, False, route, pace, wanted) is not None
    assert escalation.following(AT, reminded, False, route, Pace(reminders=0), now) is None
