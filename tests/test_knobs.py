"""What people can turn: sensitivity, marks on windows, findings that were not useful; on real files, through the store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from monitor import actions, printing_told
from monitor.config import ConfigError, load
from monitor.explaining import explain
from monitor.reference import Mark
from monitor.reference import mark as marked
from monitor.reload import reread
from monitor.runner import Runner
from monitor.store import looking, useless
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

    def days(self, number: int = 36) -> None:
        for n in range(number):
            self.day(USUAL + n % 3)

    def reload(self, more: str = "", own: str = "") -> None:
        self.write(more, own)
        self.runner.config, said = reread(self.runner.config, self.store, self.now)
        assert "the config was read again and is in force" in said

    def judged(self, result: looking.Record) -> Any:
        """The explanation that is kept with a result."""
        return explain(self.runner.config, self.store, str(result.id), self.now)["judged"]


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


# Marks: a day of many, marked or not, and then one more like it.


def mark(shop: Shop, days_ago: int, said: Mark) -> None:
    at = shop.now - (days_ago + 1) * DAY
    marked(shop.store, shop.runner.config, "orders", at, said, "ann", shop.now)


def test_what_was_as_far_off_on_an_expected_day_is_no_finding(shop: Shop) -> None:
    assert shop.day(100).status == "failed"
    mark(shop, 0, "expected")
    assert shop.day(100).status == "passed"
    assert shop.day(990).status == "failed"


def test_the_same_day_without_a_mark_is_found_again(shop: Shop) -> None:
    assert [shop.day(100).status, shop.day(100).status] == ["failed", "failed"]


def test_a_bad_day_is_no_example_of_normal(shop: Shop) -> None:
    shop.day(100)
    unmarked = shop.day(33)
    for ago in (0, 1):
        mark(shop, ago, "bad")
    now = shop.day(33)
    assert shop.judged(unmarked)["windows"] == 37
    assert shop.judged(now)["windows"] == 36


def test_a_new_level_that_is_bad_does_not_become_usual(shop: Shop) -> None:
    for _ in range(6):
        shop.day(100)
    # Five windows are enough for a new level, unless somebody says that it is none.
    assert shop.day(100).status == "passed"
    for ago in range(7):
        mark(shop, ago, "bad")
    assert shop.day(100).status == "failed"


def test_the_last_word_on_a_day_counts(shop: Shop) -> None:
    shop.day(100)
    mark(shop, 0, "expected")
    mark(shop, 0, "bad")
    assert shop.day(100).status == "failed"


def test_a_day_that_is_marked_before_it_is_judged_fails_no_learned_limit(shop: Shop) -> None:
    shop.passed += 1
    mark(shop, 0, "expected")
    shop.passed -= 1
    now = shop.day(100)
    assert now.status == "passed"
    assert now.score > 2
    assert now.message.endswith("; the window is marked as expected")


def test_a_bound_that_is_given_holds_on_an_expected_day_too(shop: Shop) -> None:
    shop.reload(own=", at_most = 0.05")
    shop.passed += 1
    mark(shop, 0, "expected")
    shop.passed -= 1
    assert shop.day(100).status == "failed"


@pytest.mark.parametrize("said", [True, False])
def test_what_was_called_not_useful_is_not_told_again_at_the_same_size(shop: Shop, said: bool) -> None:
    first = shop.day(54)
    shop.day(31)
    if said:
        actions.not_useful(shop.store, 1, "ann", shop.now)
    now = shop.day(54)
    assert (first.status, now.status) == ("failed", "passed" if said else "failed")
    widths = {"not useful": pytest.approx(useless.ROOM * first.score)} if said else None
    assert shop.judged(now).get("widths") == widths
    assert shop.day(990).status == "failed"


def test_a_finding_far_out_widens_twofold_at_most_and_is_forgotten_after_half_a_year(shop: Shop) -> None:
    shop.day(300)
    actions.not_useful(shop.store, 1, "ann", shop.now)
    found = useless.widths(shop.store, "orders", shop.now)
    assert found == {("missing(amount)", ""): 2.0}
    assert useless.widths(shop.store, "refunds", shop.now) == {}
    assert useless.widths(shop.store, "orders", shop.now + 181 * DAY) == {}


def test_a_given_bound_that_was_not_useful_widens_nothing(shop: Shop) -> None:
    shop.reload(own=", at_most = 0.05")
    shop.day(100)
    actions.not_useful(shop.store, 1, "ann", shop.now)
    assert useless.widths(shop.store, "orders", shop.now) == {}


def test_without_a_word_of_anybody_nothing_is_widened(store: Store) -> None:
    assert useless.widths(store, "orders", FIRST) == {}
