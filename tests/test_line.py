"""What checks make of earlier windows is kept for the windows that look back at the same ones, and is never that of others."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from checks.base import Past
from checks.line import Line, Stretch, each
from checks.mean import Mean
from checks.profile import Number, Profile
from checks.window import Window
from monitor.earlier import FORGOTTEN, Pasts, Stored

BEGIN, DAY = datetime(2026, 1, 5, tzinfo=UTC), timedelta(days=1)
CHECK = Mean(column="amount")
HISTORY = 10
Array = NDArray[np.float64]


def window(day: int) -> Window:
    return Window(BEGIN + day * DAY, BEGIN + (day + 1) * DAY)


def stored(day: int, rows: int | None = None, segment: str | None = None) -> Stored:
    """A window of `rows` rows, by default as many as it is days old; the rows are of the segment, if one is given."""
    number = day if rows is None else rows
    parts = {("", part): {"rows": Number(number, "add")} for part in ("", *((segment,) if segment else ()))}
    return Stored(window(day), Profile({"amount": "int64"}, number, parts))


def seen(pasts: Sequence[Past]) -> list[tuple[Window, int]]:
    return [(past.window, past.rows) for past in pasts]


class Asked:
    """Work that remembers what it was asked of."""

    def __init__(self) -> None:
        self.days: list[int] = []

    def __call__(self, past: Past) -> tuple[int, int] | None:
        self.days.append((past.window.start - BEGIN).days)
        return (past.rows, past.rows * 2) if past.rows % 3 else None


def expected(history: Sequence[Stored]) -> tuple[list[Window], list[tuple[int, int]]]:
    known = [one for one in history if one.profile.rows % 3]
    return [one.window for one in known], [(one.profile.rows, one.profile.rows * 2) for one in known]


def test_each_window_is_asked_once_however_many_look_back_at_it() -> None:
    pasts, work, every = Pasts(), Asked(), [stored(day) for day in range(40)]
    for day in range(HISTORY, 40):
        history = every[day - HISTORY : day]
        found = each(pasts.of(CHECK, history, None), "key", work)
        assert (list(found.windows), list(found.made)) == expected(history)
        assert [column.tolist() for column in found.columns(2)] == [list(map(float, of)) for of in zip(*found.made, strict=True)]
    assert work.days == list(range(39))


def test_another_key_is_other_work() -> None:
    history = Pasts().of(CHECK, [stored(day) for day in range(1, 3)], None)
    assert list(each(history, "rows", lambda past: past.rows).made) == [1, 2]
    assert list(each(history, "tens", lambda past: past.rows * 10).made) == [10, 20]
    assert list(each(history, "rows", lambda past: past.rows * 10).made) == [1, 2], "what was made under this key is kept"


def test_a_list_of_windows_is_looked_back_at_too() -> None:
    pasts = [Past(window(day), day, {}) for day in range(5)]
    found = each(pasts, "key", Asked())
    assert list(found.made) == [(1, 2), (2, 4), (4, 8)]
    assert found.pasts == [pasts[1], pasts[2], pasts[4]]


def test_of_no_windows_there_is_nothing() -> None:
    found = each([], "key", Asked())
    assert (len(found), found.windows, [len(column) for column in found.columns(3)]) == (0, (), [0, 0, 0])


def test_a_window_that_was_measured_once_more_is_asked_once_more() -> None:
    pasts, work, every = Pasts(), Asked(), [stored(day) for day in range(8)]
    each(pasts.of(CHECK, every[:5], None), "key", work)
    every[3] = stored(3, rows=100)
    found = each(pasts.of(CHECK, every[1:6], None), "key", work)
    assert (list(found.windows), list(found.made)) == expected(every[1:6])


@pytest.mark.parametrize("change", ["gone", "back", "another table"])
def test_windows_that_do_not_go_on_are_others(change: str) -> None:
    pasts, every = Pasts(), [stored(day) for day in range(20)]
    each(pasts.of(CHECK, every[5:15], None), "key", Asked())
    history = {
        "gone": every[6:10] + every[11:16],
        "back": every[2:9],
        "another table": [stored(day, rows=day + 50) for day in range(6, 16)],
    }[change]
    found = each(pasts.of(CHECK, history, None), "key", Asked())
    assert (list(found.windows), list(found.made)) == expected(history)


def test_windows_that_were_measured_alike_are_told_apart() -> None:
    """Of equal bytes there is one profile in a worker: of a table that never changes, of windows without rows."""
    alike = stored(1).profile
    pasts, every = Pasts(), [Stored(window(day), alike) for day in range(40)]
    for day in range(HISTORY, 40):
        stretch = pasts.of(CHECK, every[day - HISTORY : day], None)
        assert [past.window for past in stretch] == [one.window for one in every[day - HISTORY : day]]


def test_windows_of_the_same_hour_may_come_before_the_last_ones() -> None:
    alike, pasts = stored(1).profile, Pasts()
    every = [Stored(window(day), alike) if day % 5 else stored(day) for day in range(120)]
    for day in range(60, 120):
        history = [*every[day % 7 : day - HISTORY : 7], *every[day - HISTORY : day]]
        found = each(pasts.of(CHECK, history, None), "key", lambda past: past.window.start)
        assert list(found.made) == [one.window.start for one in history]


def test_what_raises_is_raised_for_as_long_as_its_window_is_looked_back_at() -> None:
    pasts, every = Pasts(), [stored(day) for day in range(4 * FORGOTTEN)]

    def work(past: Past) -> int:
        if past.rows == 30:
            raise OverflowError("the 30th")
        return past.rows

    raised = []
    for day in range(HISTORY, len(every)):
        stretch = pasts.of(CHECK, every[day - HISTORY : day], None)
        try:
            assert list(each(stretch, "key", work).made) == list(range(day - HISTORY, day))
        except OverflowError:
            raised.append(day)
    assert raised == list(range(31, 31 + HISTORY))


def test_a_segment_that_is_gone_takes_no_memory() -> None:
    pasts, every = Pasts(), [stored(day, segment=f"batch={day // 20}") for day in range(200)]
    for day in range(HISTORY, 200):
        history = every[day - HISTORY : day]
        for segment in (None, f"batch={day // 20}"):
            pasts.of(CHECK, history, segment)
        assert len(pasts.made) <= 3


def test_what_was_made_for_a_column_that_is_gone_is_forgotten() -> None:
    pasts, every = Pasts(), [stored(day) for day in range(5 * FORGOTTEN)]
    for day in range(HISTORY, len(every)):
        stretch = pasts.of(CHECK, every[day - HISTORY : day], None)
        each(stretch, f"column {day // 10}", lambda past: past.rows)
    assert len(stretch.line.kept) <= (HISTORY + FORGOTTEN) // 10 + 2


def test_what_lies_before_an_accepted_level_is_not_looked_at() -> None:
    pasts, every = Pasts(), [stored(day) for day in range(30)]
    for day in range(HISTORY, 30):
        history, since = every[day - HISTORY : day], BEGIN + 15 * DAY
        whole, newer = pasts.of(CHECK, history, None), pasts.of(CHECK, history, None, since)
        assert seen(newer) == [(one.window, one.profile.rows) for one in history if one.window.start >= since]
        assert list(each(newer, "key", Asked()).made) == expected([one for one in history if one.window.start >= since])[1]
        assert list(each(whole, "key", Asked()).made) == expected(history)[1]


def test_windows_without_the_segment_are_left_out() -> None:
    pasts, every = Pasts(), [stored(day, segment="country=DE" if day % 4 else None) for day in range(40)]
    for day in range(HISTORY, 40):
        history = every[day - HISTORY : day]
        there = [one for one in history if (one.window.start - BEGIN).days % 4]
        assert seen(pasts.of(CHECK, history, "country=DE")) == [(one.window, one.profile.rows) for one in there]
        assert seen(pasts.of(CHECK, history, None)) == [(one.window, one.profile.rows) for one in history]


def test_what_nobody_looks_back_at_is_forgotten() -> None:
    pasts, every = Pasts(), [stored(day) for day in range(5 * FORGOTTEN)]
    for day in range(HISTORY, len(every)):
        stretch = pasts.of(CHECK, every[day - HISTORY : day], None)
        each(stretch, "key", lambda past: past.rows or None)
        assert len(stretch.line.pasts) <= HISTORY + FORGOTTEN + 1
        assert len(stretch.line.kept["key"].made) <= HISTORY + FORGOTTEN + 1


def test_a_stretch_is_a_sequence() -> None:
    pasts = [Past(window(day), day, {}) for day in range(8)]
    stretch = Stretch(Line(pasts), 2, 7)
    those = pasts[2:7]
    assert list(stretch) == those
    assert [stretch[0], stretch[-1]] == [those[0], those[-1]]
    for part in (slice(-3, None), slice(1, 3), slice(None), slice(-90, None), slice(4, 2), slice(None, None, -1), slice(None, -1)):
        assert list(stretch[part]) == those[part]
    assert list(each(stretch[-2:], "key", lambda past: past.rows).made) == [5, 6]
    assert list(each(stretch, "key", lambda past: past.rows).made) == [2, 3, 4, 5, 6], "which begins earlier"
    with pytest.raises(IndexError):
        stretch[5]


def sums(pasts: Sequence[Past], made: Sequence[tuple[int, int]], first: int) -> Array:
    """Of each with the two before it."""
    assert [past.rows for past in pasts] == [rows for rows, _ in made]
    assert first >= 2, "as many lie before it as it looks at"
    return np.array([float(sum(rows for rows, _ in made[place - 2 : place + 1])) for place in range(first, len(made))])


def test_what_else_is_asked_of_what_was_made_is_asked_once() -> None:
    pasts, every = Pasts(), [stored(day) for day in range(4 * FORGOTTEN)]
    asked: list[int] = []

    def work(those: Sequence[Past], made: Sequence[tuple[int, int]], first: int) -> Array:
        asked.extend(rows for rows, _ in made[first:])
        return sums(those, made, first)

    for day in range(HISTORY, len(every)):
        found = each(pasts.of(CHECK, every[day - HISTORY : day], None), "key", Asked())
        expected = [sum(rows for rows, _ in found.made[at - 2 : at + 1]) for at in range(2, len(found))]
        assert found.also("sums", work, 2).tolist() == expected
        if day % 3:
            assert found.also(day // 50, sums, 2).tolist() == expected
        assert len(found.kept.others) <= 2 + (HISTORY + FORGOTTEN) // 50 + 1, "what is asked for no more is forgotten"
    assert asked == [day for day in range(4, len(every) - 1) if day % 3]


@pytest.mark.parametrize("back", range(3))
def test_what_comes_back_after_the_rest_was_forgotten_is_asked_of_nothing_before(back: int) -> None:
    """A column that is away for so long that all but the last of it, or all, is forgotten, and is there again just then."""
    first = HISTORY + FORGOTTEN
    for away in range(first - 15, first):
        every = [stored(day, rows=3 if away <= day < first + back else 3 * day + 1) for day in range(first + 40)]
        pasts = Pasts()
        for day in range(HISTORY, len(every)):
            found = each(pasts.of(CHECK, every[day - HISTORY : day], None), "key", Asked())
            if len(found) > 2:
                sums_of = [sum(rows for rows, _ in found.made[at - 2 : at + 1]) for at in range(2, len(found))]
                assert found.also("sums", sums, 2).tolist() == sums_of


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_it_is_as_if_made_anew(seed: int) -> None:
    """Windows come, are measured once more, are left out for a while; levels are accepted; checks skip windows."""
    chance = random.Random(seed)
    pasts, every = Pasts(), [stored(day, rows=chance.randrange(50)) for day in range(250)]
    since: datetime | None = None
    for day in range(1, 250):
        if chance.random() < 0.05:
            again = chance.randrange(max(day - 12, 0), day)
            every[again] = stored(again, rows=chance.randrange(50))
        if chance.random() < 0.02:
            since = BEGIN + chance.randrange(max(day - 15, 0), day + 2) * DAY
        history = every[max(day - HISTORY, 0) : day]
        if chance.random() < 0.05:
            history = history[:-1]
        newer = [one for one in history if since is None or one.window.start >= since]
        stretch = pasts.of(CHECK, history, None, since)
        assert seen(stretch) == [(one.window, one.profile.rows) for one in newer]
        for key in ("a", "b"):
            if chance.random() < 0.6:
                part = chance.choice([slice(None), slice(-5, None)])
                found = each(stretch[part], key, Asked())
                assert (list(found.windows), list(found.made)) == expected(newer[part])
                before = chance.randrange(2, 4)
                sums_of = [sum(rows for rows, _ in found.made[at - 2 : at + 1]) for at in range(before, len(found))]
                assert found.also("sums", sums, before).tolist() == sums_of
                first, second = found.columns(2)
                assert [first.tolist(), second.tolist()] == [[float(made[at]) for made in found.made] for at in (0, 1)]
