"""Rates: 10/m is one every six seconds, whatever asks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.rates import Rate, parse

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.mark.parametrize(
    ("written", "count", "per"),
    [
        ("10/m", 10, MINUTE),
        ("1/s", 1, SECOND),
        ("2/30s", 2, 30 * SECOND),
        (" 100 / h ", 100, 60 * MINUTE),
        ("5/2d", 5, timedelta(days=2)),
        ("1/w", 1, timedelta(weeks=1)),
    ],
)
def test_a_rate_is_a_number_and_a_time(written: str, count: int, per: timedelta) -> None:
    assert parse(written) == Rate(count, per)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("ten a minute", r"'ten a minute' is not a rate; .* such as 10/m or 2/30s"),
        ("10 / fortnight", "is not a rate"),
        ("10", "is not a rate"),
        ("-1/m", "is not a rate"),
        ("1.5/m", "is not a rate"),
        ("", "is not a rate"),
        (5, "5 is not a rate; .* such as 5/m"),
        (True, "True is not a rate; .* such as 10/m"),
        (None, "is not a rate"),
        (["10/m"], "is not a rate"),
        ("0/m", "would start nothing; write at least 1, such as 1/m"),
        ("1/0s", "would start nothing"),
        ("1001/s", "more than 1000 a second, which limits nothing; leave rate out"),
        ("1/999999999w", "longer than anything we can wait for"),
    ],
)
def test_what_is_no_rate_is_refused_with_the_form_that_is_wanted(written: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(written)


def test_the_first_start_is_free_and_the_next_waits_its_turn() -> None:
    rate = parse("10/m")

    assert rate.wait(None, NOON) == timedelta(0)
    free_at = rate.after(None, NOON)
    assert rate.wait(free_at, NOON) == 6 * SECOND
    assert rate.wait(free_at, NOON + 5 * SECOND) == SECOND
    assert rate.wait(free_at, NOON + 6 * SECOND) == timedelta(0)


def test_what_was_not_used_is_not_saved_up() -> None:
    rate = parse("10/m")
    free_at = rate.after(rate.after(None, NOON), NOON + 10 * MINUTE)

    assert rate.wait(free_at, NOON + 10 * MINUTE) == 6 * SECOND


def test_a_clock_that_was_set_back_or_a_slower_rate_before_holds_nothing_up() -> None:
    ahead = parse("1/d").after(None, NOON)
    rate = parse("10/m")

    assert rate.wait(ahead, NOON) == timedelta(0)
    assert rate.after(ahead, NOON) == NOON + 6 * SECOND


def starts(rate: Rate, looks: list[datetime]) -> list[datetime]:
    """When something is started, where there is always something to start and it is looked at these instants."""
    free_at, out = None, []
    for now in looks:
        while not rate.wait(free_at, now):
            free_at = rate.after(free_at, now)
            out.append(now)
    return out


rates = st.builds(Rate, st.integers(1, 500), st.sampled_from([SECOND, 7 * SECOND, MINUTE, 60 * MINUTE]))
steps = st.lists(st.integers(1, 20_000).map(lambda ms: timedelta(milliseconds=ms)), min_size=1, max_size=60)


@given(rates, steps)
def test_no_stretch_of_time_ever_holds_more_than_is_allowed(rate: Rate, waits: list[timedelta]) -> None:
    looks = [NOON]
    for wait in waits:
        looks.append(looks[-1] + wait)
    begun = starts(rate, looks)
    allowed = rate.count + (SECOND // rate.spacing if rate.spacing < SECOND else 0)
    for n, first in enumerate(begun):
        within = sum(first <= start < first + rate.per for start in begun[n:])
        assert within <= allowed


@pytest.mark.parametrize(("written", "looked_every"), [("10/m", 0.5), ("2/s", 0.5), ("100/m", 0.5), ("50/s", 0.5), ("1/h", 10)])
def test_a_backlog_uses_all_of_the_rate(written: str, looked_every: float) -> None:
    rate = parse(written)
    count = max(int(20 * rate.per.total_seconds() / looked_every), 400)
    looks = [NOON + n * timedelta(seconds=looked_every) for n in range(count)]
    begun = starts(rate, looks)

    assert len(begun) == pytest.approx((looks[-1] - NOON) / rate.spacing, rel=0.05)
