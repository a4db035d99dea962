"""A budget of false alarms: read, held with few columns and with many, and compared with what happened."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from alerts.weekly import Health, Numbers, Summary, health_lines
from checks import control, learned
from checks.control import Budget
from checks.learned import Learned, Point, Trace
from checks.window import Window
from monitor import budgets, printing
from monitor.config import ConfigError, load
from monitor.dataset import Dataset
from monitor.job import Measured
from monitor.store import ledger
from monitor.store.store import Store
from monitor.store.tables import feedback, incidents, results

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
HISTORY, JUDGED = 90, 40
WINDOWS = [Window(MONDAY + n * DAY, MONDAY + (n + 1) * DAY) for n in range(HISTORY + JUDGED)]


# As written.


@pytest.mark.parametrize(
    ("written", "every", "share"),
    [
        ("1 per month", DAY, 12 / 365),
        ("2 per week", DAY, 2 / 7),
        ("1  per quarter", DAY / 24, 4 / 365 / 24),
        ("9 per day", DAY, 1.0),
        ("1 per year", 7 * DAY, 7 / 365),
    ],
)
def test_a_budget_is_a_share_of_windows(written: str, every: timedelta, share: float) -> None:
    assert Budget.read(written).share(every) == pytest.approx(share)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('"1 per fortnight"', "is no budget; write such as"),
        ('"one per month"', "is no budget"),
        ('"-1 per month"', "is no budget"),
        ('"0 per month"', "would never tell anything"),
        ("1", 'write such as "1 per month"'),
    ],
)
def test_what_is_no_budget_is_refused_with_its_place(tmp_path: Path, written: str, said: str) -> None:
    (tmp_path / "config.toml").write_text(f'[datasets.orders]\ntable = "{{start:%Y}}.csv"\nbudget = {written}\n')
    with pytest.raises(ConfigError, match=f'dataset "orders": budget: .*{said}'):
        load(tmp_path / "config.toml", {})


# Held.


def restless(numbers: int) -> list[list[float]]:
    """So many numbers in each window, healthy and heavy in the tails: now and then one jumps by itself."""
    chance = random.Random(7)
    return [[100 + chance.gauss(0, 10) / max(chance.gammavariate(2, 0.5), 1e-3) ** 0.5 for _ in range(numbers)] for _ in WINDOWS]


@pytest.mark.parametrize("numbers", [10, 500])
def test_one_a_month_holds_with_few_numbers_and_with_many(numbers: int) -> None:
    values, share = restless(numbers), Budget.read("1 per month").share(DAY)
    points = [[Point(w, v, 2000) for w, v in zip(WINDOWS, column, strict=True)] for column in zip(*values, strict=True)]
    unheld = alarms = 0
    for now in range(HISTORY, HISTORY + JUDGED):
        traces = [Trace(column[now].value, column[now - HISTORY : now], 2000) for column in points]
        found = [one for one in learned.judge_all(traces, WINDOWS[now]) if isinstance(one, Learned)]
        assert len(found) == numbers
        furthest = max(one.score for one in found)
        unheld += furthest > 1
        alarms += furthest > control.for_budget([one.record for one in found], share)
    # One in thirty is allowed; more than four of forty would come by chance once in forty times at most.
    assert alarms <= 4
    assert numbers < 500 or unheld > 20


def record(outs: list[float]) -> list[tuple[datetime, float]]:
    return [(MONDAY + n * DAY, out) for n, out in enumerate(outs)]


def test_a_smaller_budget_widens_more_and_a_calm_table_keeps_its_limits() -> None:
    noisy = record([0.1 * n for n in range(20)])
    widths = [control.for_budget([noisy], Budget.read(f"1 per {period}").share(DAY)) for period in ("week", "month", "year")]
    assert 1 < widths[0] < widths[1] < widths[2] < control.WIDEST_BUDGET
    assert control.for_budget([record([0.1] * 90)], 0.001) == 1.0
    assert control.for_budget([record([50.0] * 90)], 0.001) == control.WIDEST_BUDGET
    assert control.for_budget([record([9.0] * 7)], 0.001) == 1.0
    assert control.for_budget([], 0.5) == 1.0


def test_a_generous_budget_takes_the_record_as_it_is() -> None:
    outs = [1 + n / 10 for n in range(11)]
    assert control.for_budget([record(outs)], 0.5) == pytest.approx(1.5 * control.OWN)
    assert control.for_budget([record(outs)], 1.0) == control.OWN


# Compared with what happened.


ORDERS = Dataset(name="orders", table="orders/{start:%Y-%m-%d}.csv", budget="1 per month")
NOW = MONDAY + 60 * DAY


def opened(
    store: Store, number: int, ago: int, learned_: bool = True, useless: bool = False, subject: str = "orders", segment: str = ""
) -> None:
    """An incident that opened so many days ago on one result."""
    at = NOW - ago * DAY
    incident = {"id": number, "subject": subject, "family": "quality", "severity": "warning", "revision": 1, "reopened": 0}
    with store.begin() as connection:
        connection.execute(insert(incidents).values(**incident, since=at - DAY, opened_at=at, resolved_at=at + DAY / 2))
        row = {
            "dataset": subject,
            "check": "missing(a)",
            "kind": "missing",
            "family": "quality",
            "status": "failed",
            "segment": segment,
        }
        when = {"window_start": at - DAY, "window_end": at, "at": at}
        connection.execute(insert(results).values(**row, **when, learned=learned_, message=""))
        if useless:
            said = {"incident": number, "subject": subject, "check": "missing(a)", "author": "ann", "said": "not_useful", "at": at}
            connection.execute(insert(feedback).values(**said))


def test_what_happened_is_counted_over_the_budgets_own_period(store: Store) -> None:
    opened(store, 1, ago=40)
    opened(store, 2, ago=20, useless=True)
    opened(store, 3, ago=10)
    opened(store, 4, ago=5, learned_=False)
    opened(store, 5, ago=3, subject="refunds", useless=True)
    found = budgets.spent(store, ORDERS, NOW)
    assert found is not None
    assert (found["incidents"], found["not_useful"], found["over"]) == (2, 1, False)
    assert budgets.words(found) == (
        "budget 1 per month: 2 incidents on learned limits in the last month, 1 of them called not useful"
        " (more than the budget, if none was real)"
    )
    opened(store, 6, ago=1, useless=True)
    over = budgets.spent(store, ORDERS, NOW)
    assert over is not None
    assert over["over"]
    assert ": over the budget; sensitivity" in budgets.words(over)


def test_what_was_found_in_a_segment_counts_too(store: Store) -> None:
    opened(store, 1, ago=2, segment="country=DE")
    found = budgets.spent(store, ORDERS, NOW)
    assert found is not None
    assert found["incidents"] == 1


def test_status_has_a_line_for_the_budget(store: Store, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[datasets.orders]\ntable = "{start:%Y}.csv"\nbudget = "2 per week"\n')
    opened(store, 1, ago=1)
    claim = ledger.claim(store, "orders", Window(NOW - DAY, NOW), DAY)
    assert claim is not None
    ledger.record(store, claim, Measured("done", [], 1, 0.1), NOW, ["orders"], None)
    facts = printing.status_facts(load(tmp_path / "config.toml", {}), store, NOW)
    assert facts["datasets"][0]["budget"]["incidents"] == 1
    said = "  budget 2 per week: 1 incident on learned limits in the last week, 0 of them called not useful"
    assert said in printing.status(facts)


def test_nothing_happened_and_no_budget(store: Store) -> None:
    found = budgets.spent(store, ORDERS, NOW)
    assert found is not None
    assert budgets.words(found) == "budget 1 per month: no incidents on learned limits in the last month"
    assert budgets.spent(store, Dataset(name="orders", table="{start}.csv"), NOW) is None


def test_the_weekly_mail_has_the_budgets_under_the_monitor_itself() -> None:
    week = Summary(
        week="2026-W10",
        first=NOW.date(),
        last=NOW.date(),
        timezone="UTC",
        made_at=NOW,
        this=Numbers.model_construct(),
        health=Health(budgets=("orders: budget 1 per month: no incidents on learned limits in the last month",)),
    )
    assert health_lines(week)[-1].startswith("orders: budget 1 per month")
