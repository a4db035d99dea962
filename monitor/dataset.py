"""A dataset: one table or query of a source that is watched, as the config says it."""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import cached_property
from typing import Annotated, Any, Literal, NoReturn

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SerializeAsAny,
    ValidationError,
    model_validator,
)

from alerts.routing import Names, Zone
from alerts.rules import REMEMBERED, Rules, SomeOf
from checks.base import Check
from checks.control import Budget, Sensitivity
from monitor import special_days
from monitor.durations import Duration, Span
from monitor.schedule import A_MONDAY, Calendar
from monitor.sources.base import Place


class Previous(BaseModel):
    """The windows before this one count as normal: all of the last `days`, or only those of the same weekday."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    days: int
    same_weekday: bool = False


class Fixed(BaseModel):
    """The windows from `from` up to, not including, `to` count as normal."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    start: date = Field(alias="from")
    end: date = Field(alias="to")

    @model_validator(mode="after")
    def _in_order(self) -> Fixed:
        if self.end <= self.start:
            raise ValueError(f"it ends ({self.end}) before it starts ({self.start})")
        return self


class Golden(BaseModel):
    """Another table of the same source counts as normal: measured once, whole."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    table: str = Field(min_length=1)


FORMS = '"previous 28d", "same weekday 8w", {from = 2026-09-01, to = 2026-10-01}, or {table = "orders_golden"}'
SNAPSHOT = timedelta(hours=22)
"""Windows of at least a day may hold a table's rows once more."""
LONGEST = 3660
"""Days of history that a reference may reach back."""


def _reference(value: Any) -> Any:
    if isinstance(value, dict):
        return _fixed(value)
    if not isinstance(value, str):
        return value if isinstance(value, Previous | Fixed | Golden) else _no_reference()
    found = re.fullmatch(r"(previous|same weekday) (\d+)([dw])", value)
    days = int(found[2]) * (7 if found[3] == "w" else 1) if found else 0
    if not found or not 0 < days <= LONGEST:
        return _no_reference(f"{value!r} is no reference; " if days <= LONGEST else f"{value!r} is more than ten years; ")
    return Previous(days=days, same_weekday=found[1] == "same weekday")


def _fixed(value: dict[str, Any]) -> Fixed | Golden:
    if "table" in value:
        return _golden(value)
    try:
        return Fixed.model_validate(value)
    except ValidationError as error:
        said = error.errors()[0]
        own = said["msg"].removeprefix("Value error, ")
        return _no_reference(f"{own}; " if said["type"] == "value_error" else "from and to must be days; ")


def _golden(value: dict[str, Any]) -> Golden:
    try:
        return Golden.model_validate(value)
    except ValidationError:
        return _no_reference("a golden table is named by its table and nothing else; ")


def _no_reference(why: str = "") -> NoReturn:
    raise ValueError(f"{why}write {FORMS}") from None


def _budget(value: Any) -> Budget | None:
    return Budget.read(value) if isinstance(value, str) else value if isinstance(value, Budget) else _no_budget()


def _holidays(written: tuple[str, ...]) -> tuple[str, ...]:
    found, faults = [], []
    for one in written:
        try:
            found.append(special_days.place(one))
        except ValueError as fault:
            faults.append(str(fault))
    if faults:
        raise ValueError("; ".join(faults))
    return tuple(found)


def _no_budget() -> NoReturn:
    raise ValueError('write such as "1 per month"')


class Dataset(BaseModel):
    """Settings of `[datasets.NAME]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    source: str = Field("files", description="the name of a source; files: Parquet, CSV and JSON by path")
    table: str | None = Field(None, description="a table, or a path or glob; {start:%Y-%m-%d} in it: one file per window")
    query: str | None = Field(None, description="SQL instead of a table")
    time_column: str | None = Field(None, description="when a row happened; cuts the windows")
    every: Duration = Field(timedelta(days=1), description="the length of a window: 15m, 1h, 1d, 1w")
    origin: date = Field(A_MONDAY, description="the day from which windows of several days are counted; default: a Monday")
    delay: Duration = Field(timedelta(0), description="wait this long after a window closes")
    late: Span | None = Field(None, description="so long after its end a window is looked at once more, for rows that came late")
    timezone: Zone = Field("UTC", description="windows begin at its midnight; times without a zone are in it")
    reference: Annotated[Previous | Fixed | Golden, BeforeValidator(_reference)] = Field(
        Previous(days=28),
        description='what counts as normal: "previous 28d", "same weekday 8w", {from = DAY, to = DAY}, {table = NAME}',
    )
    segments: Names = Field((), description="each check also per value of these columns")
    auto: bool = Field(True, description="the learned checks on every column; false: only what is listed")
    exclude: Names = Field((), description="columns that the learned checks leave alone")
    checks: tuple[SerializeAsAny[Check], ...] = Field((), description="checks of your own")
    sensitivity: Sensitivity = Field("normal", description="how narrow learned limits are: low, normal or high")
    budget: Annotated[Budget | None, BeforeValidator(_budget)] = Field(
        None, description='windows that may be false alarms: "1 per month"; none: one in ninety'
    )
    holidays: Annotated[Names, AfterValidator(_holidays)] = Field(
        (), description='whose public holidays are no ordinary days: "US", "US-CA", ["DE-BY", "AT"]'
    )
    empty: Literal["fail", "ok"] = Field("fail", description='"ok": a window without rows is no failure')
    timeout: Span = Field(timedelta(minutes=10), description="a window that takes longer is killed and tried again")
    catchup: Span = Field(timedelta(days=7), description="after downtime, windows older than this are left out")
    open_after: SomeOf | None = Field(None, description="as in [incidents], for this dataset")
    close_after: int | None = Field(None, ge=1, le=REMEMBERED, description="as in [incidents], for this dataset")
    owner: str | None = Field(None, description="who looks after it; routes can ask for it")
    tags: Names = Field((), description="words of your own; routes can ask for them")
    runbook: str | None = Field(None, description="where it says what to do; put into each message")
    downstream: Names = Field((), description="who uses it; put into each message")
    sample: int | None = Field(
        None, ge=1000, description="of a window with more rows, measure about so many, picked at random; its results say so"
    )
    mask: Names = Field((), description="columns whose values are never shown")
    rows: bool = Field(False, description="true: a message shows up to five of the bad rows, without the columns in `mask`")
    _labels: bool = PrivateAttr(False)

    @model_validator(mode="after")
    def _whole(self) -> Dataset:
        if (self.table is None) == (self.query is None):
            raise ValueError("give either a table (or path) or a query" + (", not both" if self.table else ""))
        if self.time_column is None and not self.per_file:
            raise ValueError(
                "time_column is missing: it cuts the table into windows (a path with {start:%Y-%m-%d} in it needs none)"
            )
        if self.late is not None and self.late <= self.delay:
            raise ValueError("late must be longer than delay, after which a window is looked at for the first time")
        _ = self.calendar
        return self

    @property
    def per_file(self) -> bool:
        """Its path holds the window: that file, whole, is the window."""
        return self.table is not None and ("{start" in self.table or "{end" in self.table)

    @property
    def lane(self) -> str:
        """Where its windows stand in the ledger: `labels` for those that waited for their labels, else `live`."""
        return "labels" if self._labels else "live"

    @property
    def key(self) -> str:
        """Of the dataset and its lane; no dataset's own name has a blank at its end."""
        return f"{self.name} labels " if self._labels else self.name

    @property
    def reach(self) -> timedelta:
        """How long after its end a window is still tried: what waits for its labels begins later."""
        return self.catchup + (self.delay if self._labels else timedelta(0))

    @cached_property
    def labelled(self) -> Dataset | None:
        """The same dataset with what its checks ask once the labels are there; None where none of them waits for labels."""
        waiting = [(check.label_wait, found) for check in self.checks if (found := check.for_labels()) is not None]
        if not waiting:
            return None
        delay = max(self.delay, *(wait for wait, _ in waiting))
        made = self.model_copy(update={"checks": tuple(check for _, check in waiting), "auto": False, "delay": delay})
        made._labels = True
        return made

    @cached_property
    def calendar(self) -> Calendar:
        return Calendar(self.every, self.timezone, self.origin)

    def rules(self, all_of: Rules) -> Rules:
        """The rules for its problems: those of all, with its own in their place."""
        own = {"open_after": self.open_after, "close_after": self.close_after}
        return all_of.model_copy(update={name: value for name, value in own.items() if value is not None})

    @property
    def row_key(self) -> tuple[str, ...]:
        """The columns that tell rows apart, as a `unique` check says, without the time column: the rest may be there again in the
        next window. Empty where none says so, or windows are so short that there is no more than a part of the table in each."""
        wide = self.every >= SNAPSHOT
        said = (c.watched for c in self.checks if wide and c.kind == "unique" and c.where is None and not c.at_most)
        return tuple(column for column in next(said, ()) if column != self.time_column)

    @property
    def place(self) -> Place:
        return Place(self.table, self.query, self.time_column, self.timezone, self.sample)
