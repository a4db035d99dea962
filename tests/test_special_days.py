"""Which days are holidays, bridge to a weekend or come after a holiday; and what is said of a country that is none."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from checks.window import Window
from monitor import special_days
from monitor.config import ConfigError, load
from monitor.dataset import Dataset
from monitor.replaying import Past
from monitor.runner import same_time

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
ORDERS = """
[datasets.orders]
table = "landing/{{start:%Y-%m-%d}}.parquet"
holidays = {written}
"""


def days(first: str, number: int, zone: str = "UTC") -> list[Window]:
    local = [datetime.combine(date.fromisoformat(first) + n * DAY, datetime.min.time(), ZoneInfo(zone)) for n in range(number + 1)]
    return [Window(one, two, zone) for one, two in pairwise(local)]


def said(places: tuple[str, ...], windows: list[Window]) -> dict[str, str]:
    found = special_days.of(places, windows)
    return {f"{one.local_start:%m-%d}": str(found[one.start]) for one in windows if one.start in found}


def test_thanksgiving_its_friday_and_the_day_after_christmas() -> None:
    assert said(("US",), days("2026-11-20", 42)) == {
        "11-26": "holiday: Thanksgiving Day",
        "11-27": "bridging day: Thanksgiving Day",
        "12-25": "holiday: Christmas Day",
        "12-26": "day after: Christmas Day",
    }


def test_a_holiday_moved_to_a_friday_is_one_on_both_days() -> None:
    assert said(("US",), days("2026-07-01", 7)) == {
        "07-03": "holiday: Independence Day (observed)",
        "07-04": "holiday: Independence Day",
        "07-05": "day after: Independence Day",
    }


def test_a_region_has_holidays_of_its_own() -> None:
    epiphany = days("2026-01-05", 3)
    assert said(("DE",), epiphany) == {}
    assert said(("DE-BY",), epiphany) == {
        "01-05": "bridging day: Epiphany",
        "01-06": "holiday: Epiphany",
        "01-07": "day after: Epiphany",
    }


def test_of_several_countries_a_holiday_of_any_counts_and_each_name_is_told_once() -> None:
    assert said(("DE", "AT", "US"), days("2026-10-26", 1)) == {"10-26": "holiday: National Day"}
    assert said(("DE", "AT"), days("2026-12-26", 1)) == {"12-26": "holiday: Second Day of Christmas, Saint Stephen's Day"}
    assert said(("DE", "AT"), days("2026-05-01", 1)) == {"05-01": "holiday: Labor Day"}


def test_the_day_of_rest_is_the_country_s() -> None:
    [american] = special_days.of(("US",), days("2026-12-25", 1)).values()
    [saudi] = special_days.of(("SA",), days("2026-09-23", 1)).values()
    assert (american.rest, saudi.rest) == (6, 5)


def test_days_are_those_of_the_table_s_zone() -> None:
    assert said(("JP",), days("2026-11-02", 3, "Asia/Tokyo")).keys() == {"11-02", "11-03", "11-04"}
    christmas = datetime(2026, 12, 25, tzinfo=ZoneInfo("America/New_York"))
    hours = [Window(christmas + n * HOUR, christmas + (n + 1) * HOUR, "America/New_York") for n in range(-30, 60)]
    found = special_days.of(("US",), hours)
    assert [one.local_start.day for one in hours if one.start in found and found[one.start].kind == "holiday"] == [25] * 24


def test_a_window_of_more_than_a_day_is_no_special_one() -> None:
    christmas = datetime(2026, 12, 25, tzinfo=UTC)
    assert special_days.of(("US",), [Window(christmas - DAY, christmas + 6 * DAY), Window(christmas, christmas + 2 * DAY)]) == {}


def test_last_year_s_holiday_is_the_one_of_the_same_name_wherever_it_moved() -> None:
    def found(day: str, **more: str) -> list[str]:
        dataset = Dataset(name="orders", table="{start:%Y-%m-%d}.csv", **{"timezone": "America/New_York", "holidays": "US", **more})
        starts = same_time(dataset, days(day, 1, dataset.timezone)[0])
        assert all(dataset.calendar.holding(start).start == start for start in starts)
        return [f"{start.astimezone(ZoneInfo(dataset.timezone)):%Y-%m-%d %H}" for start in starts]

    assert found("2026-11-26") == ["2025-11-27 00"]
    assert found("2026-11-27") == ["2025-11-28 00"], "its Friday"
    assert found("2026-07-04") == ["2025-07-04 00", "2026-07-03 00"], "observed the day before"
    assert found("2026-11-24") == []
    assert found("2026-11-26", holidays="DE") == []


def test_on_a_holiday_the_history_reaches_back_to_the_year_before(tmp_path: Path) -> None:
    dataset = Dataset(name="orders", table="{start:%Y-%m-%d}.csv", holidays="US")
    past, windows = Past(dataset), days("2025-11-01", 420)
    for one in windows:
        past.add(one, b"")
    thanksgiving = next(n for n, one in enumerate(windows) if f"{one.start:%Y-%m-%d}" == "2026-11-26")
    for place, older in ((thanksgiving, ["2025-11-27"]), (thanksgiving - 1, [])):
        past.windows = [(one.start, one.end, b"") for one in windows[:place]]
        history = past.history(windows[place])
        assert [f"{start:%Y-%m-%d}" for start, _, _ in history[:-90]] == older
        assert history[-1][0] == windows[place - 1].start


def dataset_with(written: str, home: Path) -> tuple[str, ...]:
    (home / "config.toml").write_text(ORDERS.format(written=written), encoding="utf-8")
    return load(home / "config.toml", {}).datasets["orders"].holidays


def test_a_country_a_region_or_several_are_read(tmp_path: Path) -> None:
    assert dataset_with('"US"', tmp_path) == ("US",)
    assert dataset_with('"us-ca"', tmp_path) == ("US-CA",)
    assert dataset_with('["DE-BY", "AT"]', tmp_path) == ("DE-BY", "AT")
    assert dataset_with("[]", tmp_path) == ()


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ('"USA"', 'there is no country "USA"; did you mean "US"?'),
        ('"Germany"', 'there is no country "Germany"; did you mean "DE"?'),
        ('"UK"', 'there is no country "UK"; did you mean "GB"?'),
        ('"Q9"', 'there is no country "Q9"; write its code of two letters, such as "US"'),
        ('""', 'there is no country ""; write its code of two letters, such as "US"'),
        ('"US-Californa"', 'US has no region "Californa"; did you mean "US-CA"?'),
        ('"AT-XY"', 'AT has no region "XY"; known: AT-1, AT-2, AT-3, AT-4, AT-5, AT-6, AT-7, AT-8, AT-9'),
        ('"MC-1"', 'MC has no region "1"; none is known: write "MC"'),
        ('["USA", "DE", "AT-XY"]', 'there is no country "USA"; did you mean "US"?; AT has no region "XY"; known: AT-1'),
        ("true", "must be a list"),
    ],
)
def test_a_place_that_is_none_is_refused_with_those_that_are_near(written: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        dataset_with(written, tmp_path)
    [fault] = refused.value.faults
    assert fault.startswith(f'dataset "orders": holidays: {told}')


def test_a_config_without_the_key_does_not_read_all_countries_days() -> None:
    code = "import sys, monitor.cli, monitor.worker, monitor.config; print('holidays' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"
