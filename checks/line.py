"""Earlier windows in a line, and what checks make of each: windows that follow one another look back at nearly the same ones."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from checks.base import Past
    from checks.window import Window

    Array = NDArray[np.float64]

Made = TypeVar("Made")


@dataclass(frozen=True)
class Found(Generic[Made]):
    """What was made of those windows that have it, and these windows, oldest first."""

    pasts: Sequence[Past]
    made: Sequence[Made]
    windows: tuple[Window, ...]
    kept: _Kept = field(repr=False)
    those: slice

    def columns(self, number: int) -> Sequence[Array]:
        """Of the numbers that were made of each window, so many, the first of all windows, the second, ..."""
        # Side by side, and each by itself: what is looked at of an array holds all of it.
        return [column.copy() for column in self.table(number).T]

    def table(self, number: int) -> Array:
        """The same, windows x numbers, also where there are no windows. Not to be changed."""
        import numpy as np

        return self.kept.numbers()[self.those] if self.made else np.empty((0, number))

    def __len__(self) -> int:
        return len(self.pasts)


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
    windows: list[Window] = field(default_factory=list)
    made: list[Any] = field(default_factory=list)
    table: Array | None = None

    def extend(self, pasts: Sequence[Past], work: Callable[[Past], Any]) -> None:
        count = len(pasts)
        made = [work(past) for past in pasts]
        known = [n for n, one in enumerate(made) if one is not None]
        if len(known) < len(made):
            pasts, made = [pasts[n] for n in known], [made[n] for n in known]
        self.places += [self.end + n for n in known]
        self.pasts += pasts
        self.windows += [past.window for past in pasts]
        self.made += made
        self.end += count

    def forget(self, before: int) -> None:
        self.begin, gone = max(self.begin, before), bisect_left(self.places, before)
        for those in (self.places, self.pasts, self.windows, self.made):
            del those[:gone]
        self.table = None if self.table is None else self.table[gone:]

    def between(self, begin: int, end: int) -> Found[Any]:
        those = slice(bisect_left(self.places, begin), bisect_left(self.places, end))
        return Found(self.pasts[those], self.made[those], tuple(self.windows[those]), self, those)

    def numbers(self) -> Array:
        """What was made, windows x numbers, where it was as many numbers of each."""
        import numpy as np

        if self.table is None:
            self.table = np.array(self.made, dtype=np.float64)
        elif len(self.table) < len(self.made):
            self.table = np.concatenate([self.table, np.array(self.made[len(self.table) :], dtype=np.float64)])
        return self.table


@dataclass(eq=False)
class Line:
    """Windows that follow one another. Places count from the first that ever was; what lies before `begin` is forgotten."""

    pasts: list[Past] = field(default_factory=list)
    begin: int = 0
    kept: dict[Hashable, _Kept] = field(default_factory=dict)

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
        return kept.between(begin, end)


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
