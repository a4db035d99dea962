"""The config is read again while the daemon runs: a good one takes effect, a broken one leaves the old in force."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from monitor.config import Config, load
from monitor.reload import reread
from monitor.store.store import Store
from monitor.store.tables import deliveries, incidents

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
GOOD = """[datasets.orders]
table = "orders/{start:%Y-%m-%d}.csv"
checks = [{kind = "missing", column = "amount", at_most = 0.1}]

[channels.team]
kind = "console"

[[routes]]
to = ["team"]
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "config.toml").write_text(GOOD, encoding="utf-8")
    return load(tmp_path / "config.toml")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path}/store.db")
    made.migrate()
    yield made
    made.close()


def told(store: Store) -> list[str]:
    with store.reading() as connection:
        rows = connection.execute(select(deliveries.c.payload).order_by(deliveries.c.id)).scalars()
        return [json.loads(row)["text"] for row in rows]


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('kind = "console"', "kind = ", "config.toml, line 6: it is not valid TOML"),
        ('to = ["team"]', 'to = ["taem"]', 'config.toml, line 9: route 1: unknown channel "taem"'),
        ('kind = "console"', 'kind = "console"\nfallbakc = "x"', 'config.toml, line 7: channel "team": unknown key'),
        ("[[routes]]\n", '[[routes]]\ndigest = "8"\n', "config.toml, line 9: route 1: digest:"),
        ("at_most = 0.1", 'at_most = "x"', 'config.toml, line 1: dataset "orders", check 1: at_most'),
    ],
    ids=["TOML", "channel", "key", "time", "check"],
)
def test_r1_a_broken_config_leaves_the_old_in_force_and_says_where_once(
    config: Config, store: Store, old: str, new: str, place: str
) -> None:
    config.path.write_text(GOOD.replace(old, new), encoding="utf-8")
    after, said = reread(config, store, NOON)
    assert after is config
    assert place in said[0]
    reread(config, store, NOON + timedelta(minutes=1))
    [text] = told(store)
    assert place in text


def test_r1_a_mended_config_takes_effect_and_ends_the_incident(config: Config, store: Store) -> None:
    config.path.write_text("[broken", encoding="utf-8")
    reread(config, store, NOON)
    config.path.write_text(GOOD.replace("0.1", "0.2"), encoding="utf-8")
    after, said = reread(config, store, NOON + timedelta(minutes=5))
    assert after.datasets["orders"].checks[0].at_most == 0.2
    assert said[0] == "the config was read again and is in force"
    assert told(store)[1] == "RESOLVED: config.toml is in order and in force"
    with store.reading() as connection:
        assert connection.execute(select(incidents.c.resolved_at)).scalars().all() == [NOON + timedelta(minutes=5)]


def test_another_mistake_is_told_again(config: Config, store: Store) -> None:
    for text in ("[broken", GOOD.replace("team", "taem", 1)):
        config.path.write_text(text, encoding="utf-8")
        reread(config, store, NOON)
    assert len(told(store)) == 2


def test_a_file_that_is_gone_is_a_broken_config(config: Config, store: Store) -> None:
    config.path.unlink()
    after, said = reread(config, store, NOON)
    assert after is config
    assert "there is no such file" in said[0]


def test_what_takes_effect_at_the_next_start_only_is_said(config: Config, store: Store) -> None:
    config.path.write_text(GOOD + "[daemon]\nworkers = 9\n", encoding="utf-8")
    after, said = reread(config, store, NOON)
    assert after.daemon.workers == 4
    assert "[daemon] has changed: that takes effect at the next start" in said
