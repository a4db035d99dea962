"""What several checks of a column ask of the same answers, computed once: those that follow one another find it there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from checks.gathering import gathered
from checks.masses import by_value

Made = TypeVar("Made")
KEPT = 2
"""Results that are kept: a stack of ninety windows takes some megabytes, and there may be a thousand columns."""


class _Same:
    """Answers that are the very same objects. They are held, so that no other can take their place."""

    def __init__(self, answers: Sequence[Any]) -> None:
        self.answers = answers
        self.places = tuple(map(id, answers))

    def __hash__(self) -> int:
        return hash(self.places)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.places == other.places


def once(work: Callable[..., Made]) -> Callable[..., Made]:
    """Of the answers given first, and of what else is given: what `work` made of the same before, where it was lately."""

    @lru_cache(maxsize=KEPT)
    def made(same: _Same, *more: Any) -> Made:
        return work(same.answers, *more)

    return lambda answers, *more: made(_Same(answers), *more)


@lru_cache(maxsize=1 << 16)
def shared(text: str) -> str:
    """The text, the very same object for equal ones: a key that thousands of windows hold takes its place once."""
    return text


gathered_once = once(gathered)
by_value_once = once(by_value)
