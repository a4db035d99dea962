"""Earlier windows in a line, and what checks make of each: windows that follow one another look back at nearly the same ones."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, overload

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from checks.base import Past
    from checks.window import Window

    Array = NDArray[np.float64]

Made = TypeVar("Made")
Also: TypeAlias = "Callable[[Sequence[Past], Sequence[Made], int], Array]"
FEW = 8
"""Stretches whose windows are kept: of one window checks look back at two or three."""


class Found(Generic[Made]):
    """What was made of those windows that have it, and these windows, oldest first."""

    __slots__ = ("kept", "those", "windows")

    def __init__(self, kept: _Kept, those: slice, windows: tuple[Window, ...]) -> None:
        self.kept, self.those, self.windows = kept, those, windows

    @property
    def pasts(self) -> Sequence[Past]:
        return self.kept.pasts[self.those]

    @property
    def made(self) -> Sequence[Made]:
        return self.kept.made[self.those]

    def columns(self, number: int) -> Sequence[Array]:
        """Of the numbers that were made of each window, so many, the first of all windows, the second, ..."""
        # Side by side, and each by itself: what is looked at of an array holds all of it.
        return [column.copy() for column in self.table(number).T]

    def table(self, number: int) -> Array:
        """The same, windows x numbers, also where there are no windows. Not to be changed."""
        import numpy as np

        return self.kept.numbers()[self.those] if self.windows else np.empty((0, number))

    def also(self, key: Hashable, work: Also[Made], least: int = 0) -> Array:
        """A number of each from number `least` on, asked for once, under this key, as by `each`. `work` is given the windows, what
        was made of them, and from which on it is to give numbers; it may look at as many before that as `least` says."""
        return self.kept.also(key, self.those.start + least, self.those.stop, work)

    def __len__(self) -> int:
        return len(self.windows)


def each(history: Sequence[Past], key: Hashable, work: Callable[[Past], Made | None]) -> Found[Made]:
    """What `work` makes of each window, less those that it makes None of; raises what it raises.

    `key` names all that it depends on besides the window and its `where` and segment: of a `Stretch` each is asked once under it,
    in this process and replay. What takes long is also kept with the window (`Past.once`), for when it is read again. What is found
    is to be used before the next window is judged.
    """
    stretch = history if isinstance(history, Stretch) else Stretch(Line(list(history)), 0, len(history))
    return stretch.each(key, work)


@dataclass
class _Kept:
    """What was made of the windows from one place of the line up to another, for those `places` that have it."""

    begin: int
    end: int
    places: list[int] = field(default_factory=list)
    pasts: list[Past] = field(default_factory=list)
    made: list[Any] = field(default_factory=list)
    table: Array | None = None
    """Its first rows are the numbers of the first windows, the others are room for more."""
    filled: int = 0
    others: dict[Hashable, tuple[int, Array]] = field(default_factory=dict)
    """What is also asked of it: the numbers of what was made, from which on."""

    def extend(self, pasts: Sequence[Past], work: Callable[[Past], Any]) -> None:
        count = len(pasts)
        made = [work(past) for past in pasts]
        known = [n for n, one in enumerate(made) if one is not None]
        if len(known) < len(made):
            pasts, made = [pasts[n] for n in known], [made[n] for n in known]
        self.places += [self.end + n for n in known]
        self.pasts += pasts
        self.made += made
        self.end += count

    def forget(self, before: int) -> None:
        self.begin, gone = max(self.begin, before), bisect_left(self.places, before)
        for those in (self.places, self.pasts, self.made):
            del those[:gone]
        if self.table is not None:
            self.filled = max(self.filled - gone, 0)
            self.table = self.table[gone : gone + self.filled].copy()
        # As in the line: what was not asked for of the last ones is asked for no more.
        asked = {key: (max(first - gone, 0), found[max(gone - first, 0) :]) for key, (first, found) in self.others.items()}
        self.others = {key: (first, found) for key, (first, found) in asked.items() if first + len(found) >= len(self.made)}

    def between(self, begin: int, end: int) -> slice:
        """Where that of the windows from one place up to another lies."""
        if self.whole:
            return slice(begin - self.begin, end - self.begin)
        return slice(bisect_left(self.places, begin), bisect_left(self.places, end))

    @property
    def whole(self) -> bool:
        """Every window has it."""
        return len(self.places) == self.end - self.begin

    def numbers(self) -> Array:
        """What was made, windows x numbers, where it was as many numbers of each."""
        import numpy as np

        every, table = len(self.made), self.table
        if table is None or self.filled < every:
            new = np.array(self.made[self.filled :], dtype=np.float64)
            if table is None:
                table = new
            elif len(table) < every:
                table = np.concatenate([table[: self.filled], new, np.empty((every // 2, new.shape[1]))])
            else:
                table[self.filled : every] = new
            self.table, self.filled = table, every
        return table

    def also(self, key: Hashable, begin: int, end: int, work: Also[Any]) -> Array:
        """See `Found.also`."""
        import numpy as np

        first, found = self.others.get(key, (begin, np.empty(0)))
        if not first <= begin <= first + len(found):
            # Not from where it ends: what was forgotten since may be what `work` would look at before that.
            first, found = begin, np.empty(0)
        known = first + len(found)
        if known < end:
            found = np.concatenate([found, work(self.pasts[:end], self.made[:end], known)])
            self.others[key] = first, found
        numbers: Array = found[begin - first : end - first]
        return numbers


@dataclass(eq=False)
class Line:
    """Windows that follow one another. Places count from the first that ever was; what lies before `begin` is forgotten."""

    pasts: list[Past] = field(default_factory=list)
    begin: int = 0
    kept: dict[Hashable, _Kept] = field(default_factory=dict)
    looked_at: dict[tuple[int, int], tuple[Window, ...]] = field(default_factory=dict)
    """The windows from one place up to another, of the last stretches: most checks look at the very same."""

    @property
    def end(self) -> int:
        return self.begin + len(self.pasts)

    def forget(self, before: int) -> None:
        """Nobody looks back further than to this place."""
        del self.pasts[: before - self.begin]
        self.begin = before
        # What was not asked for since then may never be asked for again: it was of a grid or of columns that are no more.
        self.kept = {key: kept for key, kept in self.kept.items() if kept.end > before}
        for kept in self.kept.values():
            kept.forget(before)

    def each(self, key: Hashable, begin: int, end: int, work: Callable[[Past], Made | None]) -> Found[Made]:
        kept = self.kept.get(key)
        if kept is None or not kept.begin <= begin <= kept.end:
            # Not from where it ends: what lies between is not looked back at, and it may be there that `work` raises.
            kept = self.kept[key] = _Kept(begin, begin)
        if kept.end < end:
            kept.extend(self.pasts[kept.end - self.begin : end - self.begin], work)
        those = kept.between(begin, end)
        windows = self._windows(begin, end) if kept.whole else tuple(past.window for past in kept.pasts[those])
        return Found(kept, those, windows)

    def _windows(self, begin: int, end: int) -> tuple[Window, ...]:
        found = self.looked_at.get((begin, end))
        if found is None:
            if len(self.looked_at) >= FEW:
                self.looked_at.clear()
            found = self.looked_at[begin, end] = tuple(past.window for past in self.pasts[begin - self.begin : end - self.begin])
        return found


class Stretch(Sequence["Past"]):
    """The windows of a line from one place up to another."""

    __slots__ = ("begin", "end", "line")

    def __init__(self, line: Line, begin: int, end: int) -> None:
        self.line, self.begin, self.end = line, begin, end

    def each(self, key: Hashable, work: Callable[[Past], Made | None]) -> Found[Made]:
        """See `each`."""
        return self.line.each(key, self.begin, self.end, work)

    def __len__(self) -> int:
        return self.end - self.begin

    def __iter__(self) -> Iterator[Past]:
        return iter(self.line.pasts[self.begin - self.line.begin : self.end - self.line.begin])

    @overload
    def __getitem__(self, at: int) -> Past: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Past]: ...
    def __getitem__(self, at: int | slice) -> Past | Sequence[Past]:
        places = range(self.begin, self.end)[at]
        if isinstance(places, int):
            return self.line.pasts[places - self.line.begin]
        if places.step == 1:
            return Stretch(self.line, places.start, max(places.stop, places.start))
        return [self.line.pasts[place - self.line.begin] for place in places]
