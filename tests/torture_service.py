"""The service that `make torture` kills: a script of windows, the daemon's own recording and sending, and where to die.

Everything between the measuring and Slack is the product's: claims, news, the one transaction, senders, look-ups. Only the
measuring is a script, so that a start takes milliseconds and 500 kills take minutes.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import func, select

import alerts.slack_calls
from alerts.routing import Route
from alerts.slack import Slack
from checks.result import Bounds, Family, Result, Severity, Status
from checks.window import Window
from monitor import news
from monitor.config import Config
from monitor.daemon import Sender
from monitor.dataset import Dataset
from monitor.job import Measured
from monitor.settings import DaemonSettings
from monitor.store import decisions, ledger, outbox
from monitor.store.store import Store
from monitor.store.tables import deliveries, incidents, windows

SCRIPT = "WCOO"
"""What each dataset's windows come to: a warning, a critical one, two good ones: an incident opens, gets worse, ends."""
HOUR = timedelta(hours=1)
DAEMON = DaemonSettings(
    tick=timedelta(seconds=0.2), lease=timedelta(seconds=2), settle=timedelta(seconds=0.6), send_timeout=timedelta(seconds=1)
)
STEPS = (
    "before the state transaction commits",
    "after the commit, before the claim",
    "after the claim, before the call",
    "during the call",
    "after the answer, before the finish",
    "while editing the root",
    "while looking up",
    "after the finish",
)


@dataclass(frozen=True)
class Trial:
    """One run to be killed: where its store and its Slack are, when its story begins, how many datasets it has."""

    store: str
    slack: str
    token: str
    base: datetime
    datasets: int

    def config(self) -> Config:
        settings = {"token": SecretStr(self.token), "api": self.slack, "timeout": 0.8}
        slack = Slack.model_validate({"channel": "#data-quality", **settings})
        names = [f"table_{number:02d}" for number in range(self.datasets)]
        found = {name: Dataset(name=name, table=f"{name}/{{start:%Y}}.csv", every=HOUR) for name in names}
        return Config(Path("config.toml"), daemon=DAEMON, datasets=found, channels={"team": slack}, routes=(Route(to=("team",)),))

    def steps(self, name: str) -> Iterator[tuple[Window, Measured, datetime]]:
        """A dataset's windows, what each comes to, and when it is told: spread over a day, so that it is no storm."""
        first = self.base + int(name.removeprefix("table_")) * timedelta(minutes=17)
        for number, letter in enumerate(SCRIPT):
            start = (first + number * HOUR).replace(minute=0, second=0, microsecond=0)
            yield Window(start, start + HOUR), _measured(letter), first + (number + 1) * HOUR


def _measured(letter: str) -> Measured:
    severity = {"W": Severity.WARNING, "C": Severity.CRITICAL}.get(letter)
    value = {"W": 0.03, "C": 0.4}.get(letter, 0.001)
    status = Status.FAILED if severity else Status.PASSED
    text = f"missing(amount) is {value:.1%}, at most 2 % allowed"
    bounds = Bounds(at_most=0.02)
    result = Result(
        "missing(amount)", "missing", Family.QUALITY, status, text, "amount", None, value, bounds, value / 0.02, severity
    )
    return Measured("done", [result], 100, 0.1)


def serve(trial: Trial, doom: str | None, seed: int) -> None:
    """Record and send until all is told. `doom`: the step at which this process kills itself, at a random occurrence."""
    logging.getLogger("datavigil").setLevel(logging.CRITICAL)
    # One message a second is a courtesy that would only make it long.
    Slack.pace = 0.0
    if doom:
        _doom(doom, random.Random(seed))
    config, store = trial.config(), Store(trial.store)
    sender = Sender(config, store, "team")
    sender.thread.start()
    while not finished(store, trial):
        _record(config, store, trial)
        sender.wake()
        time.sleep(0.01)


def finished(store: Store, trial: Trial) -> bool:
    """Every window is recorded and every delivery over."""
    with store.reading() as connection:
        done = connection.execute(select(func.count()).where(windows.c.state == "done")).scalar()
    return done == trial.datasets * len(SCRIPT) and not outbox.unsent(store)


def _record(config: Config, store: Store, trial: Trial) -> None:
    """The next window of each dataset whose last news is told: the daemon has hours between the two."""
    with store.reading() as connection:
        counted = select(windows.c.dataset, func.count()).where(windows.c.state == "done").group_by(windows.c.dataset)
        done: dict[str, int] = dict(connection.execute(counted).tuples().all())
        busy = select(incidents.c.subject).join(deliveries, deliveries.c.incident == incidents.c.id)
        waiting = set(connection.execute(busy.where(deliveries.c.state.not_in(outbox.OVER))).scalars())
    for name, dataset in config.datasets.items():
        if name in waiting or done.get(name, 0) == len(SCRIPT):
            continue
        window, measured, at = list(trial.steps(name))[done.get(name, 0)]
        claim = ledger.claim(store, name, window, DAEMON.lease)
        if claim is not None:
            decide = news.deciding(config, dataset, window, measured, at)
            ledger.record(store, claim, measured, at, news.subjects(dataset), decide)
            _here("after the commit, before the claim")


_wanted = ""
_left = 0


def _here(step: str) -> None:
    """The end, if this is the step and its turn has come."""
    global _left
    if step == _wanted:
        _left -= 1
        if _left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _doom(step: str, chance: random.Random) -> None:
    global _wanted, _left
    _wanted, _left = step, chance.randint(1, 3)
    module: Any
    for module, name, before, after in (
        (decisions, "write", "", "before the state transaction commits"),
        (outbox, "claim", "", "after the claim, before the call"),
        (outbox, "finish", "after the answer, before the finish", "after the finish"),
    ):
        setattr(module, name, _between(getattr(module, name), before, after))
    alerts.slack_calls.post = _dying(alerts.slack_calls.post, chance)  # type: ignore[attr-defined]


def _between(work: Callable[..., Any], before: str, after: str) -> Callable[..., Any]:
    def around(*given: Any, **named: Any) -> Any:
        _here(before)
        result = work(*given, **named)
        # A claim that found nothing, a finish that came too late: nothing was done.
        if result or after == STEPS[0]:
            _here(after)
        return result

    return around


CALLS = {"chat.postMessage": "during the call", "chat.update": "while editing the root", "conversations.": "while looking up"}


def _dying(post: Callable[..., Any], chance: random.Random) -> Callable[..., Any]:
    """Dies some milliseconds into a call: the server may have taken it or not."""

    def call(url: str, *given: Any) -> Any:
        step = next((step for name, step in CALLS.items() if name in url), "")
        timer = threading.Timer(chance.uniform(0, 0.02), _here, (step,))
        timer.start()
        return post(url, *given)

    return call
