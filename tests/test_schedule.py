"""Which windows are due, across clock changes. Arithmetic only."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from checks.window import Window
from monitor.durations import parse
from monitor.schedule import Agenda, Calendar, due, in_turn

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "US/Pacific",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Beirut",
    "America/Havana",
    "Asia/Kolkata",
]
"""Changes of an hour and of half an hour, midnights that are left out (Santiago, Beirut) and that come twice (Havana)."""
LENGTHS = ["1m", "15m", "1h", "6h", "12h", "1d", "7d", "1w", "2w", "30d"]


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def day(zone: str, text: str, every: str = "1d") -> list[Window]:
    """The windows that lie in a local day."""
    calendar = Calendar(parse(every), zone)
    window = calendar.holding(at(f"{text}T12:00", zone))
    while window.local_start.date() == date.fromisoformat(text):
        window = calendar.previous(window)
    out = []
    while (window := calendar.next(window)).local_start.date() == date.fromisoformat(text):
        out.append(window)
    return out


@pytest.mark.parametrize(
    ("zone", "text", "hours"),
    [
        ("Europe/Berlin", "2026-03-28", 24),
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("US/Pacific", "2026-03-08", 23),
        ("US/Pacific", "2026-11-01", 25),
        ("Australia/Lord_Howe", "2026-10-04", 23.5),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("America/Santiago", "2026-09-06", 23),
        ("Asia/Beirut", "2026-03-29", 23),
        ("America/Havana", "2026-11-01", 25),
    ],
)
def test_a_day_lasts_as_long_as_it_does_there(zone: str, text: str, hours: float) -> None:
    [window] = day(zone, text)
    assert window.length == timedelta(hours=hours)
    assert sum((w.length for w in day(zone, text, "1h")), timedelta()) == timedelta(hours=hours)


def test_a_day_without_a_midnight_begins_at_its_first_instant() -> None:
    [window] = day("America/Santiago", "2026-09-06")
    assert window.local_start.isoformat() == "2026-09-06T01:00:00-03:00"
    assert window.local_end.isoformat() == "2026-09-07T00:00:00-03:00"


def test_a_day_with_two_midnights_begins_at_the_first() -> None:
    [window] = day("America/Havana", "2026-11-01")
    assert window.local_start.isoformat() == "2026-11-01T00:00:00-04:00"


def test_a_day_that_a_country_left_out_has_no_window() -> None:
    calendar = Calendar(DAY, "Pacific/Apia")
    thursday = calendar.holding(at("2011-12-29T12:00", "Pacific/Apia"))
    assert calendar.next(thursday).local_start.date() == date(2011, 12, 31)
    assert calendar.next(thursday).start == thursday.end


@pytest.mark.parametrize(("text", "count"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)])
def test_every_hour_of_a_day_is_a_window_also_when_the_clocks_change(text: str, count: int) -> None:
    windows = day("Europe/Berlin", text, "1h")
    assert len(windows) == count
    assert {w.length for w in windows} == {HOUR}


def test_a_clock_change_makes_one_window_of_several_hours_longer_or_shorter_and_adds_none() -> None:
    assert [w.length for w in day("Europe/Berlin", "2026-10-25", "6h")] == [7 * HOUR] + [6 * HOUR] * 3
    assert [w.length for w in day("Europe/Berlin", "2026-03-29", "6h")] == [5 * HOUR] + [6 * HOUR] * 3
    assert [w.local_start.hour for w in day("Europe/Berlin", "2026-03-29", "2h")] == [0, 3, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22]


def test_the_last_window_of_a_longer_day_ends_with_the_day() -> None:
    assert day("Australia/Lord_Howe", "2026-04-05", "1h")[-1].length == HOUR / 2


def test_a_quarter_of_an_hour_comes_once_each_over_a_clock_change() -> None:
    calendar = Calendar(parse("15m"), "Europe/Berlin")
    start, end = at("2026-10-25T00:00", "Europe/Berlin"), at("2026-10-26T00:00", "Europe/Berlin")
    assert len(list(calendar.closed(start, end))) == 100


def test_a_week_begins_on_monday_and_survives_a_clock_change() -> None:
    window = Calendar(parse("1w"), "Europe/Berlin").holding(at("2026-03-25T12:00"))
    assert window.local_start.isoformat() == "2026-03-23T00:00:00+01:00"
    assert window.local_end.isoformat() == "2026-03-30T00:00:00+02:00"
    assert window.length == 7 * DAY - HOUR


def test_seven_days_are_a_week() -> None:
    instant = at("2026-11-26T10:00")
    assert Calendar(parse("7d")).holding(instant) == Calendar(parse("1w")).holding(instant)


@pytest.mark.parametrize("origin", [date(2013, 1, 1), date(2030, 1, 1)])
def test_windows_of_several_days_are_counted_from_the_origin(origin: date) -> None:
    window = Calendar(10 * DAY, "UTC", origin).holding(at("2026-11-26T10:00"))
    assert (window.start.date() - origin).days % 10 == 0
    assert window.start <= at("2026-11-26T10:00") < window.end


@pytest.mark.parametrize("every", ["7h", "5h", "7m", "36h", "25h", "0s"])
def test_a_length_that_fits_nothing_is_refused(every: str) -> None:
    with pytest.raises(ValueError, match="windows must"):
        Calendar(parse(every))


@pytest.mark.parametrize("every", ["1s", *LENGTHS])
def test_a_length_that_fits_is_taken(every: str) -> None:
    assert Calendar(parse(every)).holding(at("2026-11-26T10:00")).length == parse(every)


instants = st.datetimes(datetime(2000, 1, 1), datetime(2037, 12, 31)).map(lambda d: d.replace(tzinfo=UTC))


@settings(max_examples=200)
@given(instants, st.sampled_from(ZONES), st.sampled_from(LENGTHS))
@example(at("2026-09-06T03:59:59"), "America/Santiago", "1d")
@example(at("2026-09-06T04:00:00"), "America/Santiago", "1h")
@example(at("2026-10-24T21:30:00"), "Asia/Beirut", "1h")
@example(at("2026-11-01T04:30:00"), "America/Havana", "1h")
def test_windows_tile_time_without_gap_or_overlap(instant: datetime, zone: str, every: str) -> None:
    calendar = Calendar(parse(every), zone)
    window = calendar.holding(instant)
    assert window.start <= instant < window.end
    assert calendar.holding(window.start) == window
    assert calendar.holding(window.end - timedelta(microseconds=1)) == window
    assert calendar.next(window).start == window.end
    assert calendar.previous(window).end == window.start
    assert calendar.previous(calendar.next(window)) == window


@given(instants, st.sampled_from(ZONES))
def test_windows_of_whole_days_begin_with_a_local_day(instant: datetime, zone: str) -> None:
    start = Calendar(DAY, zone).holding(instant).local_start
    before = (start.astimezone(UTC) - timedelta(microseconds=1)).astimezone(ZoneInfo(zone))
    assert before.date() < start.date()


# Due.

DAILY = Calendar(DAY)


def test_a_new_dataset_begins_with_its_last_closed_window() -> None:
    assert [str(w) for w in due(DAILY, None, at("2026-11-26T10:00"), timedelta(0), 7 * DAY, 5)] == ["2026-11-25"]


def test_a_window_is_due_the_moment_it_closes() -> None:
    assert [str(w) for w in due(DAILY, None, at("2026-11-26T00:00"), timedelta(0), 7 * DAY, 5)] == ["2026-11-25"]
    last = at("2026-11-25T00:00")
    assert due(DAILY, last, at("2026-11-25T23:59:59"), timedelta(0), 7 * DAY, 5) == []
    assert len(due(DAILY, last, at("2026-11-26T00:00"), timedelta(0), 7 * DAY, 5)) == 1


def test_a_window_is_due_only_after_its_delay() -> None:
    last, delay = at("2026-11-25T00:00"), timedelta(minutes=20)
    assert due(DAILY, last, at("2026-11-26T00:19"), delay, 7 * DAY, 5) == []
    assert len(due(DAILY, last, at("2026-11-26T00:20"), delay, 7 * DAY, 5)) == 1
    assert str(due(DAILY, None, at("2026-11-26T00:19"), delay, 7 * DAY, 5)[0]) == "2026-11-24"


def test_nothing_is_due_twice() -> None:
    now = at("2026-11-26T10:00")
    [window] = due(DAILY, None, now, timedelta(0), 7 * DAY, 5)
    assert due(DAILY, window.end, now, timedelta(0), 7 * DAY, 5) == []


def test_after_downtime_missed_windows_come_oldest_first_and_a_few_at_once() -> None:
    found = due(DAILY, at("2026-11-20T00:00"), at("2026-11-26T10:00"), timedelta(0), 30 * DAY, 4)
    assert [str(w) for w in found] == ["2026-11-20", "2026-11-21", "2026-11-22", "2026-11-23"]


def test_after_downtime_windows_older_than_catchup_are_left_out() -> None:
    found = due(DAILY, at("2026-09-01T00:00"), at("2026-11-26T10:00"), timedelta(0), 3 * DAY, 50)
    assert [str(w) for w in found] == ["2026-11-24", "2026-11-25"]
    assert all(w.start >= at("2026-11-26T10:00") - 3 * DAY for w in found)


def test_a_clock_that_went_back_makes_nothing_due() -> None:
    assert due(DAILY, at("2026-11-26T00:00"), at("2026-11-20T10:00"), timedelta(0), 7 * DAY, 5) == []


def test_a_changed_length_goes_on_with_the_next_whole_window() -> None:
    found = due(Calendar(6 * HOUR), at("2026-11-25T05:00"), at("2026-11-25T19:00"), timedelta(0), 7 * DAY, 5)
    assert [w.start for w in found] == [at("2026-11-25T06:00"), at("2026-11-25T12:00")]


@given(instants, st.sampled_from(ZONES), st.sampled_from(["1h", "6h", "1d", "1w"]), st.integers(1, 5), st.integers(0, 100))
def test_catching_up_in_steps_gives_every_window_once_and_in_order(
    now: datetime, zone: str, every: str, most: int, behind: int
) -> None:
    calendar, catchup = Calendar(parse(every), zone), parse(every) * 200
    last = calendar.holding(now - parse(every) * behind).end
    seen: list[Window] = []
    while found := due(calendar, seen[-1].end if seen else last, now, timedelta(0), catchup, most):
        assert len(found) <= most
        seen += found
    assert seen == list(calendar.closed(last, now))
    assert all(a.end == b.start for a, b in pairwise(seen))
    assert not seen or seen[0].start == last


@given(instants, st.sampled_from(ZONES), st.sampled_from(["15m", "1h", "6h", "1d", "1w"]), st.integers(0, 30), st.integers(0, 50))
def test_what_is_remembered_of_a_dataset_changes_nothing(now: datetime, zone: str, every: str, late: int, behind: int) -> None:
    calendar, agenda = Calendar(parse(every), zone), Agenda()
    delay, catchup = timedelta(minutes=late), parse(every) * 20
    last: datetime | None = calendar.holding(now - parse(every) * behind).end
    for step in range(12):
        # Time goes on, sometimes far; the last window moves as it is measured, stays where nobody measures it, or is forgotten.
        now += parse(every) * (step % 5) / 3
        [*first] = due(calendar, last, now, delay, catchup, 1)
        assert agenda.first("orders", calendar, last, now, delay, catchup) == (first[0] if first else None)
        last = (first[0].end if first else last) if step % 3 else last
        last = None if step == 8 else last


def test_datasets_are_remembered_apart() -> None:
    agenda, now = Agenda(), at("2026-11-26T10:00")
    for name, last in (("a", "2026-11-24T00:00"), ("b", "2026-11-25T00:00"), ("a", "2026-11-24T00:00")):
        found = agenda.first(name, DAILY, at(last), now, timedelta(0), 7 * DAY)
        assert str(found) == last[:10]


# Who comes first.


def test_one_sources_backlog_takes_its_turn_like_the_others() -> None:
    backlog = [("slow", f"slow-{n}") for n in range(5)]

    assert in_turn([*backlog, ("quick", "quick-0"), ("other", "other-0")], {}) == [
        "slow-0",
        "quick-0",
        "other-0",
        *(f"slow-{n}" for n in range(1, 5)),
    ]


def test_a_source_that_is_busy_comes_after_those_that_wait() -> None:
    waiting = [("slow", "slow-0"), ("slow", "slow-1"), ("quick", "quick-0"), ("quick", "quick-1")]

    assert in_turn(waiting, {"slow": 1}) == ["quick-0", "slow-0", "quick-1", "slow-1"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers())), st.dictionaries(st.sampled_from("abc"), st.integers(0, 3)))
def test_nothing_is_left_out_and_a_sources_own_order_stays(waiting: list[tuple[str, int]], busy: dict[str, int]) -> None:
    things = [(source, n, i) for i, (source, n) in enumerate(waiting)]
    ordered = in_turn([(thing[0], thing) for thing in things], busy)

    for source in "abc":
        assert [t for t in ordered if t[0] == source] == [t for t in things if t[0] == source]
    assert len(ordered) == len(things)


def test_naive_times_and_windows_without_length_are_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        Window(datetime(2026, 1, 1), datetime(2026, 1, 2))
    with pytest.raises(ValueError, match="end after"):
        Window(at("2026-01-02T00:00"), at("2026-01-02T00:00"))
