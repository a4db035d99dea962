"""What people can turn: sensitivity, on real files and through the store, one window after another."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from monitor import printing_told
from monitor.config import ConfigError, load
from monitor.explaining import explain
from monitor.reload import reread
from monitor.runner import Runner
from monitor.store import looking
from monitor.store.store import Store
from monitor.testing.inline import InLine

FIRST = datetime(2026, 9, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ORDERS = """
[datasets.orders]
table = "landing/{{start:%Y-%m-%d}}.parquet"
auto = false
{more}
checks = [{{kind = "missing", column = "amount"{own}}}]
"""
USUAL = 30
"""Amounts of a thousand that are missing on a day like any other."""


class Shop:
    """A table whose days are files, watched by a daemon's own runner day by day."""

    def __init__(self, home: Path, more: str = "", own: str = "") -> None:
        self.home, self.store, self.passed = home, Store(f"sqlite:///{home}/store.db"), 0
        self.store.migrate()
        (home / "landing").mkdir()
        self.write(more, own)
        self.runner = Runner(load(home / "config.toml", {}), self.store, InLine())

    @property
    def now(self) -> datetime:
        return FIRST + self.passed * DAY + DAY / 2

    def write(self, more: str = "", own: str = "") -> None:
        (self.home / "config.toml").write_text(ORDERS.format(more=more, own=own), encoding="utf-8")

    def day(self, missing: int) -> looking.Record:
        """One more day's file, measured and judged; its result."""
        file = self.home / "landing" / f"{FIRST + self.passed * DAY:%Y-%m-%d}.parquet"
        amounts = f"select case when range >= {missing} then range * 1.5 end as amount from range(1000)"
        with duckdb.connect() as connection:
            connection.execute(f"copy ({amounts}) to '{file}' (format parquet)")
        self.passed += 1
        self.runner.tick(self.now)
        while self.runner.running:
            self.runner.collect(self.now)
        [last] = looking.found_results(self.store, dataset="orders", most=1)
        return last

    def days(self, number: int = 12) -> None:
        for n in range(number):
            self.day(USUAL + n % 3)

    def reload(self, more: str = "", own: str = "") -> None:
        self.write(more, own)
        self.runner.config, said = reread(self.runner.config, self.store, self.now)
        assert "the config was read again and is in force" in said


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    made.days()
    yield made
    made.store.close()


# Sensitivity.


@pytest.mark.parametrize(
    ("more", "own", "width", "status"),
    [
        ("", "", 1.0, "failed"),
        ('sensitivity = "low"', "", 1.5, "passed"),
        ('sensitivity = "high"', "", 0.75, "failed"),
        ('sensitivity = "low"', ', sensitivity = "high"', 0.75, "failed"),
        ('sensitivity = "high"', ', sensitivity = "low"', 1.5, "passed"),
    ],
)
def test_sensitivity_widens_what_is_learned_from_the_next_window_after_a_reload(
    shop: Shop, more: str, own: str, width: float, status: str
) -> None:
    shop.reload(more, own)
    now = shop.day(54)
    # Without a sensitivity it is at 1.46.
    assert (now.status, round(now.score * width, 2)) == (status, 1.46)
    facts = explain(shop.runner.config, shop.store, str(now.id), shop.now)
    assert facts["judged"].get("widths", {}) == ({"sensitivity": width} if width != 1 else {})
    said = "\n".join(printing_told.explained(facts))
    assert "expected 0.031" in said
    assert ("limits multiplied by" in said) == (width != 1)


@pytest.mark.parametrize("place", ["more", "own"])
def test_a_sensitivity_that_is_none_is_refused_with_its_place(tmp_path: Path, place: str) -> None:
    written = {"more": 'sensitivity = "hihg"', "own": ""} if place == "more" else {"more": "", "own": ', sensitivity = "hihg"'}
    (tmp_path / "config.toml").write_text(ORDERS.format(**written), encoding="utf-8")
    where = 'dataset "orders"' if place == "more" else 'dataset "orders", check 1'
    with pytest.raises(ConfigError, match=f'{where}: sensitivity: must be "low", "normal" or "high"'):
        load(tmp_path / "config.toml", {})


def test_a_bound_that_is_given_knows_no_sensitivity(shop: Shop) -> None:
    shop.reload('sensitivity = "low"', ", at_most = 0.05")
    assert (shop.day(54).status, shop.day(50).status) == ("failed", "passed")
