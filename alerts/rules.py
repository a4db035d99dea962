"""The numbers that decide when trouble is told: how often, how long, how fresh. Data for the pure machines beside it."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from alerts.durations import Duration, Span

REMEMBERED = 12
"""Verdicts that a problem remembers, and among which its turns are counted."""


def _some_of(text: str) -> str:
    found = re.fullmatch(r"(\d{1,2}) of (\d{1,2})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]) <= REMEMBERED:
        raise ValueError(f'{text!r} is not so many of so many; write "2 of 3", at most {REMEMBERED}')
    return text


SomeOf = Annotated[str, AfterValidator(_some_of)]
"""`2 of 3`: so many bad ones of the last so many."""


class Rules(BaseModel):
    """`[incidents]`: when trouble begins, ends, begins again, and is no news."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    open_after: SomeOf = Field("2 of 3", description="so many of the last windows, shorter than a day, must be weakly bad")
    close_after: int = Field(2, ge=1, le=REMEMBERED, description="so many windows in a row must pass before a problem is over")
    reopen_within: Duration = Field(
        timedelta(hours=2), description="what begins again so soon, or within two windows, opens its last incident again"
    )
    page_within: Span = Field(
        timedelta(hours=6), description="a window that ended longer ago than this, and is not the last, is only told in the digest"
    )
    flapping_at: int = Field(4, ge=2, le=REMEMBERED, description="a problem flaps from so many turns in its last 12 verdicts")
    steady_at: int = Field(1, ge=0, description="and flaps no more when only so many are left")
    reopens: int = Field(3, ge=1, description="it flaps, too, when its incident was opened again so often in a day")

    @model_validator(mode="after")
    def _two_thresholds(self) -> Rules:
        if self.steady_at >= self.flapping_at:
            raise ValueError(f"steady_at ({self.steady_at}) must be less than flapping_at ({self.flapping_at})")
        return self

    @cached_property
    def bad_of(self) -> tuple[int, int]:
        """K and N of `open_after`."""
        bad, _, last = self.open_after.partition(" of ")
        return int(bad), int(last)


RULES = Rules()
