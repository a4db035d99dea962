"""Which windows lie in a country's holiday, on a day that bridges it to a weekend, or on the day after; by `holidays` of PyPI."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from checks.special import Kind, Special

if TYPE_CHECKING:
    from holidays import HolidayBase

    from checks.window import Window

DAY = timedelta(days=1)
LONGEST = timedelta(hours=26)
"""Windows that are longer are of no single day."""
REACH = 400
"""Days in which a holiday comes again, wherever it may move."""
SORTS: tuple[Kind, ...] = ("holiday", "bridging day", "day after")
"""What a day of several countries is first."""


def place(written: str) -> str:
    """A country's code (ISO 3166: `US`), or one and its region's (`US-CA`), as the library writes it. Raises ValueError."""
    from holidays import list_supported_countries

    code, dash, region = written.strip().partition("-")
    known = list_supported_countries(include_aliases=False)
    country = code.strip().upper()
    if country not in known:
        said = _meant(code, _names()) or 'write its code of two letters, such as "US"'
        raise ValueError(f'there is no country "{code.strip()}"; {said}')
    if not dash:
        return country
    return f"{country}-{_region(country, region.strip(), known[country])}"


def _region(country: str, written: str, known: Iterable[str]) -> str:
    regions = {one.casefold(): one for one in known}
    if written.casefold() in regions:
        return regions[written.casefold()]
    named = {**{one: one for one in known}, **_calendar(country).subdivisions_aliases}
    listed = f"known: {', '.join(f'{country}-{one}' for one in sorted(known))}" if regions else f'none is known: write "{country}"'
    raise ValueError(f'{country} has no region "{written}"; {_meant(written, named, f"{country}-") or listed}')


def _meant(written: str, named: dict[str, str], before: str = "") -> str:
    """`did you mean "US"?` where a name or a code is near; else nothing."""
    by_name = {name.casefold(): code for name, code in named.items()}
    near = get_close_matches(written.casefold(), by_name, 1, 0.6)
    return f'did you mean "{before}{by_name[near[0]]}"?' if near else ""


def _names() -> dict[str, str]:
    """Name or other code of a country -> its code of two letters."""
    from holidays.registry import COUNTRIES

    found: dict[str, str] = {}
    for module, (_, code, *others) in COUNTRIES.items():
        found |= dict.fromkeys([code, module.replace("_", " "), *others], code)
    return found


def of(places: tuple[str, ...], windows: Iterable[Window]) -> dict[datetime, Special]:
    """By their start, those of the windows (of a day or shorter) that lie in a special day of any of these places."""
    found = {}
    for window in windows if places else ():
        if window.length <= LONGEST:
            # A day's own middle, as windows may begin a little before it in another zone.
            middle = window.start + window.length / 2
            day = _special(places, middle.astimezone(ZoneInfo(window.timezone)).date())
            if day:
                found[window.start] = day
    return found


def noons(places: tuple[str, ...], window: Window) -> list[datetime]:
    """Noon of the days of the last 400 that were what the window's day is, of the same holiday; none for an ordinary day."""
    this = of(places, [window]).get(window.start)
    if this is None:
        return []
    noon = window.local_start.replace(hour=12, minute=0)
    days = (noon - number * DAY for number in range(REACH, 0, -1))
    return [day for day in days if (found := _special(places, day.date())) and _holiday(found) == _holiday(this)]


def _holiday(day: Special) -> tuple[Kind, str]:
    """Moved to another day of the week it is the same holiday."""
    return day.kind, day.name.replace(" (observed)", "")


@lru_cache(maxsize=8192)
def _special(places: tuple[str, ...], day: date) -> Special | None:
    each = [found for one in places if (found := _in(one, day))]
    if not each:
        return None
    first = min(each, key=lambda found: SORTS.index(found.kind))
    names = dict.fromkeys(found.name for found in each if found.kind == first.kind)
    return Special(first.kind, ", ".join(names), first.rest)


def _in(place: str, day: date) -> Special | None:
    calendar = _calendar(place)
    rest = max(calendar.weekend, default=6)
    today, before, after = (calendar.get(one) for one in (day, day - DAY, day + DAY))
    if today:
        return Special("holiday", _said(today), rest)
    free = not (calendar.is_working_day(day - DAY) or calendar.is_working_day(day + DAY))
    if free and calendar.is_working_day(day) and (before or after):
        return Special("bridging day", _said(before or after or ""), rest)
    return Special("day after", _said(before), rest) if before else None


def _said(names: str) -> str:
    """The library parts the names of one day by `; `, which is where our sentences end."""
    return names.replace("; ", ", ")


@lru_cache(maxsize=64)
def _calendar(place: str) -> HolidayBase:
    """A place's holidays, which are worked out for a year when it is first asked for. In English where the library can."""
    from holidays import country_holidays

    country, _, region = place.partition("-")
    calendar = country_holidays(country, subdiv=region or None)
    english = next((one for one in ("en_US", "en_GB") if one in calendar.supported_languages), None)
    return country_holidays(country, subdiv=region or None, language=english) if english else calendar
