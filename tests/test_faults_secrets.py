"""I6: secrets are planted wherever one can be written, everything is made to go wrong, and everything that is left is searched."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from monitor import delivery
from monitor.config import ConfigError, load
from monitor.heartbeat import Heartbeat
from monitor.last_resort import LastResort
from monitor.printing import as_json
from monitor.store import looking
from monitor.store.store import Store
from monitor.store.tables import metadata
from monitor.testing import Clock, FakePagerDuty, FakeSlack, FakeTeams, WebhookSink
from tests.test_delivery import Desk

SECRETS = {
    "SLACK": "xoxb-sl4ck-s3cr3t",
    "SMTP": "sm7p-s3cr3t",
    "HOOK": "h00k-s3cr3t",
    "HEADER": "h34d3r-s3cr3t",
    "SIGN": "s1gn-s3cr3t",
    "PAGER": "p4g3r-s3cr3t-p4g3r-s3cr3t-p4g3r0",
    "TEAMS": "t34ms-s3cr3t",
    "NTFY": "n7fy-s3cr3t",
    "BEAT": "b34t-s3cr3t",
    "DATABASE": "d474b4s3-s3cr3t",
}
CONFIG = """
[sources.shop]
url = "postgres://reader:${{DATABASE}}@127.0.0.1:9/shop"
[datasets.orders]
source = "shop"
table = "orders"
time_column = "at"
[heartbeat]
url = "{hook}/${{BEAT}}"
[channels.slack]
kind = "slack"
token = "${{SLACK}}"
channel = "#data-quality"
api = "{slack}"
[channels.mail]
kind = "mail"
server = "smtp://vigil@127.0.0.1:9"
password_file = "smtp"
sender = "vigil@example.com"
to = ["team@example.com"]
[channels.hook]
kind = "webhook"
url = "{hook}/${{HOOK}}"
secret = "${{SIGN}}"
headers = {{Authorization = "Bearer ${{HEADER}}"}}
[channels.pager]
kind = "pagerduty"
routing_key = "${{PAGER}}"
api = "{pager}"
[channels.teams]
kind = "teams"
url = "{teams}/workflows/1?sig=${{TEAMS}}"
[channels.phone]
kind = "apprise_urls"
url = "json://user:${{NTFY}}@127.0.0.1:9/x"
"""
FAULTS = [{"do": "server_error", "status": status} for status in (400, 401, 404, 413, 429, 500)]
FAULTS += [{"do": "drop"}, {"do": "not_json"}, {"do": "redirect"}]


def found(where: str, text: str) -> list[str]:
    return [f"{name} in {where}" for name, secret in SECRETS.items() if secret in text]


def test_i6_no_secret_is_in_any_column_line_message_error_or_json(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "smtp").write_text(SECRETS["SMTP"])
    clock, told = Clock(), []
    with FakeSlack(token=SECRETS["SLACK"]) as slack, WebhookSink() as hook, FakePagerDuty() as pager, FakeTeams() as teams:
        places = {"slack": slack.url, "hook": hook.address, "pager": pager.address, "teams": teams.address}
        (tmp_path / "config.toml").write_text(CONFIG.format(**places))
        config = load(tmp_path / "config.toml", SECRETS)
        store = Store(f"sqlite:///{tmp_path}/store.db")
        store.migrate()
        desk = Desk(store, clock, dict(config.channels))
        desk.config = config
        for channel in config.channels:
            for number in range(3):
                desk.put(f"{channel} {number}", channel=channel)
        for fault in FAULTS:
            for double in (slack, hook, pager, teams):
                double.misbehave([fault] * 2)
            for channel in config.channels:
                desk.later(timedelta(minutes=7), channel)
                told += _tested(config.channels[channel], channel, clock)
        beat = Heartbeat(config, store)
        beat.start()
        beat.beat(clock.now())
        last = LastResort(config, timedelta(0))
        last.failed("tick", "disk full", clock.now())
        last.close()
        said = [str(message) for message in slack.messages] + [str(card) for card in teams.cards]
        said += [post.body.decode(errors="replace") for post in hook.posts]
    leaks = found("a log line", caplog.text) + found("an error", "".join(told)) + found("a message", "".join(said))
    leaks += found("the output", "".join(capsys.readouterr())) + found("--json", as_json(looking.channel_states(store)))
    leaks += found("repr of the config", repr(config)) + _stored(store)
    assert leaks == []
    assert len(caplog.records) > 50, "things did go wrong"
    assert told


def _tested(channel: object, name: str, clock: Clock) -> list[str]:
    """What `test-channel` would show, traceback and all."""
    try:
        delivery.send_test(channel, name, clock.now(), timedelta(seconds=5))  # type: ignore[arg-type]
    except Exception as fault:
        return [*traceback.format_exception(fault), repr(fault)]
    return []


def _stored(store: Store) -> list[str]:
    leaks = []
    with store.reading() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(select(table)).mappings():
                leaks += [leak for column, value in row.items() for leak in found(f"{table.name}.{column}", str(value))]
    return leaks


@pytest.mark.parametrize("name", ["SLACK", "HOOK", "PAGER", "TEAMS", "NTFY", "DATABASE", "BEAT"])
def test_i6_a_config_that_is_refused_repeats_no_secret(tmp_path: Path, name: str) -> None:
    """The secret stands where it is not allowed, so that the fault is about it."""
    (tmp_path / "smtp").write_text(SECRETS["SMTP"])
    places = dict.fromkeys(("slack", "hook", "pager", "teams"), "http://127.0.0.1:9")
    text = CONFIG.format(**places).replace("http://127.0.0.1:9", "nowhere") + f'\n[telling]\nstorm = "${{{name}}}"\n'
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(tmp_path / "config.toml", SECRETS)
    assert found("the error", str(raised.value) + json.dumps(raised.value.faults)) == []
    assert len(raised.value.faults) > 3
