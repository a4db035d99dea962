"""Who is told, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alerts.routing import About, Route, first
from checks.result import Severity

WARNING, CRITICAL = Severity.WARNING, Severity.CRITICAL
ORDERS = About(WARNING, "orders", "data-platform", ("shop", "money"))


def at(text: str, zone: str = "UTC", fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def route(**settings: Any) -> Route:
    return Route.model_validate({"to": ["team"], **settings})


def until(quiet: str, now: datetime, zone: str = "Europe/Berlin", severity: Severity = WARNING) -> datetime | None:
    return route(quiet=quiet, timezone=zone).not_before(now, severity)


@pytest.mark.parametrize(
    ("settings", "takes"),
    [
        ({}, True),
        ({"severity": "warning"}, True),
        ({"severity": "critical"}, False),
        ({"dataset": "orders"}, True),
        ({"dataset": ["refunds", "orders"]}, True),
        ({"dataset": "ord*"}, True),
        ({"dataset": "o?ders"}, True),
        ({"dataset": "order"}, False),
        ({"dataset": "Orders"}, False),
        ({"owner": "data-platform"}, True),
        ({"owner": "data-*"}, False),
        ({"owner": ["x", "y"]}, False),
        ({"tag": "money"}, True),
        ({"tag": ["x", "shop"]}, True),
        ({"tag": "x"}, False),
        ({"dataset": "orders", "owner": "x"}, False),
        ({"dataset": "orders", "owner": "data-platform", "tag": "shop", "severity": "warning"}, True),
        ({"dataset": []}, False),
    ],
)
def test_a_route_takes_what_meets_all_its_conditions(settings: dict[str, Any], takes: bool) -> None:
    assert route(**settings).takes(ORDERS) is takes


def test_a_whole_source_is_taken_only_by_a_route_that_names_no_dataset() -> None:
    source = About(CRITICAL, None)
    assert not route(dataset="*").takes(source)
    assert not route(owner="data-platform").takes(source)
    assert route(severity="critical").takes(source)


def test_the_first_match_wins() -> None:
    routes = [route(severity="critical", to="oncall"), route(dataset="orders", to="shop"), route(to="team"), route(to="nobody")]
    assert [(first(routes, about) or route()).to for about in (ORDERS, About(CRITICAL, "orders"), About(WARNING, "refunds"))] == [
        ("shop",),
        ("oncall",),
        ("team",),
    ]


def test_where_no_route_matches_nobody_is_told() -> None:
    assert first([route(severity="critical")], ORDERS) is None
    assert first([], ORDERS) is None


@pytest.mark.parametrize("condition", ["severity", "dataset", "owner", "tag"])
def test_a_route_with_a_condition_does_not_take_everything(condition: str) -> None:
    assert route().takes_all
    assert not route(**{condition: "critical"}).takes_all


def test_a_route_reads_as_people_say_it() -> None:
    assert route(to="oncall", severity="critical").words == "critical -> oncall"
    assert route(to=["a", "b"], tag=["x", "y"]).words == "tag x or y -> a, b"
    assert route(to=[]).words == "everything else -> nobody"


# Quiet hours.


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-11-23T21:59:59", None),
        ("2026-11-23T22:00", "2026-11-24T08:00"),
        ("2026-11-23T23:30", "2026-11-24T08:00"),
        ("2026-11-24T00:00", "2026-11-24T08:00"),
        ("2026-11-24T07:59:59", "2026-11-24T08:00"),
        ("2026-11-24T08:00", None),
        ("2026-11-24T12:00", None),
    ],
)
def test_quiet_hours_go_over_midnight(now: str, end: str | None) -> None:
    zone = "Europe/Berlin"
    assert until("22:00-08:00", at(now, zone), zone) == (at(end, zone) if end else None)


@pytest.mark.parametrize(("now", "quiet"), [("12:59", False), ("13:00", True), ("13:59", True), ("14:00", False)])
def test_quiet_hours_can_lie_within_a_day(now: str, quiet: bool) -> None:
    told = until("13:00-14:00", at(f"2026-11-23T{now}"), "UTC")
    assert told == (at("2026-11-23T14:00") if quiet else None)


@pytest.mark.parametrize(("evening", "hours"), [("2026-03-28T22:00", 9), ("2026-10-24T22:00", 11), ("2026-11-23T22:00", 10)])
def test_quiet_hours_end_by_the_wall_clock_when_the_clocks_change(evening: str, hours: int) -> None:
    now = at(evening, "Europe/Berlin")
    assert until("22:00-08:00", now) == now + timedelta(hours=hours)


def test_an_end_that_comes_twice_counts_once() -> None:
    # On 25 October 2026 at 03:00 it becomes 02:00 in Berlin.
    assert until("22:00-02:30", at("2026-10-25T02:15", "Europe/Berlin", fold=0)) == at("2026-10-25T02:30", "Europe/Berlin", fold=0)
    assert until("22:00-02:30", at("2026-10-25T02:15", "Europe/Berlin", fold=1)) is None


def test_an_end_that_is_left_out_is_over_after_the_change() -> None:
    # On 29 March 2026 at 02:00 it becomes 03:00 in Berlin.
    end = until("22:00-02:30", at("2026-03-29T01:00", "Europe/Berlin"))
    assert end is not None
    assert at("2026-03-29T03:00", "Europe/Berlin") <= end <= at("2026-03-29T03:30", "Europe/Berlin")


times = st.times().map(lambda t: t.strftime("%H:%M"))
instants = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(lambda d: d.replace(tzinfo=UTC))
zones = st.sampled_from(["UTC", "Europe/Berlin", "US/Pacific", "Australia/Lord_Howe", "America/Santiago", "Asia/Kolkata"])


@given(instants, times, times, zones)
def test_a_message_waits_for_a_time_that_comes_within_a_day(now: datetime, start: str, end: str, zone: str) -> None:
    if start == end:
        return
    wait = until(f"{start}-{end}", now, zone)
    assert wait is None or now < wait <= now + timedelta(hours=25)


@given(instants, times, times, zones)
def test_what_is_critical_never_waits(now: datetime, start: str, end: str, zone: str) -> None:
    if start != end:
        assert until(f"{start}-{end}", now, zone, CRITICAL) is None


def test_without_quiet_hours_nothing_waits() -> None:
    assert route().not_before(at("2026-11-23T03:00"), WARNING) is None


@pytest.mark.parametrize("wrong", ["22-8", "22:00", "25:00-08:00", "22:00-08:61", "08:00-08:00", 5, ["22:00-08:00"], ""])
def test_quiet_hours_that_mean_nothing_are_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError, match=r"22:00-08:00|at once"):
        route(quiet=wrong)


def test_a_zone_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError, match="is no time zone"):
        route(quiet="22:00-08:00", timezone="Mars/Olympus")
