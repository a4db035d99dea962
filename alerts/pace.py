"""How often people are told: `[telling]` in the config."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from annotated_types import Le
from pydantic import BaseModel, ConfigDict, Field

from alerts.durations import Duration, Span

LONGEST_STORM = timedelta(hours=1)


class Pace(BaseModel):
    """`[telling]`: the defaults are what people bear; a channel that speaks more than 50 times a week is no longer read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    remind: Span = Field(timedelta(minutes=15), description="a critical incident that nobody acknowledged is mentioned again")
    reminders: int = Field(
        3, ge=0, le=20, description="at most so many in an incident's first night, none in later ones; 0: none, by day either"
    )
    edit_every: Duration = Field(timedelta(minutes=5), description="an incident's message is edited at most so often")
    short: Duration = Field(
        timedelta(minutes=15), description="over before it could be sent, a critical one is only told if it lasted longer"
    )
    storm: int = Field(5, ge=0, description="more new incidents than this within storm_within are one message; 0: no storms")
    storm_within: Annotated[Span, Le(LONGEST_STORM)] = Field(
        timedelta(minutes=10), description="and the storm is over when no other begins for so long"
    )
