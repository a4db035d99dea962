"""What Evidently can take of a sample: sound columns, plain types, whole rows. Frames in, frames out; workers only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from checks.question import Schema, column_kind
from checks.result import Status

if TYPE_CHECKING:
    import pandas as pd

Apart = dict[str, tuple[Status, str]]
"""Columns to leave out, with what to say of each."""


def unsound(current: pd.DataFrame, reference: pd.DataFrame | None, schema: Schema) -> Apart:
    """Columns that would make Evidently raise or be left out without a word, and why."""
    found: Apart = {}
    every = list(current.columns) if reference is None else [*reference.columns, *current.columns]
    for column in dict.fromkeys(every):
        if column not in current.columns:
            found[column] = Status.ERRORED, "it is gone from the window"
        elif column_kind(schema.get(column, "string")) == "other":
            found[column] = Status.SKIPPED, f"Evidently knows no values of type {schema[column]}"
        elif current[column].isna().all():
            found[column] = Status.SKIPPED, "the window has no value in it"
        elif reference is not None:
            found |= _unlike(column, current, reference, schema)
    return found


def _unlike(column: str, current: pd.DataFrame, reference: pd.DataFrame, schema: Schema) -> Apart:
    if column not in reference.columns:
        return {column: (Status.SKIPPED, "it is new and has no reference")}
    if reference[column].isna().all():
        return {column: (Status.SKIPPED, "the reference has no value in it")}
    now, before = (_kind(_numeric(f[column], schema)) for f in (current, reference))
    if now != before:
        return {column: (Status.ERRORED, f"it was {before} and is now {now}")}
    return {}


def _kind(values: pd.Series[Any]) -> str:
    from pandas.api import types

    # A column of booleans with a missing one among them is one of objects.
    if types.is_bool_dtype(values) or types.infer_dtype(values, skipna=True) == "boolean":
        return "boolean"
    if types.is_numeric_dtype(values):
        return "number"
    return "time" if types.is_datetime64_any_dtype(values) else "text"


def plain(frame: pd.DataFrame, schema: Schema, roles: Sequence[str] = ()) -> pd.DataFrame:
    """The frame in types that Evidently takes for what they are.

    Booleans become the categories `true` and `false`: as objects it leaves them out without a word. Those that play a
    role in a model become 1 and 0, which is what its classification looks for.
    """
    return frame.assign(**{c: _plain(frame[c], schema, c in roles) for c in frame.columns})


def _plain(values: pd.Series[Any], schema: Schema, role: bool) -> pd.Series[Any]:
    values = _numeric(values, schema)
    if _kind(values) != "boolean":
        return values
    known = values.dropna()
    told = known.astype(int) if role else known.map(lambda v: "true" if v else "false").astype(object)
    return told if len(known) == len(values) else told.reindex(values.index)


def _numeric(values: pd.Series[Any], schema: Schema) -> pd.Series[Any]:
    """Decimals come as Python objects, which Evidently takes for text."""
    decimal = schema.get(str(values.name), "").lstrip("!").startswith("decimal")
    if not decimal or values.dtype != object:
        return values
    return values.map(lambda v: math.nan if v is None else float(v)).astype(float)


def whole(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The rows that have a value in each of the columns: Evidently's models raise, or drop some, where one is missing."""
    return frame.dropna(subset=[c for c in columns if c in frame.columns]).reset_index(drop=True)


def shuffled(frame: pd.DataFrame) -> pd.DataFrame:
    """Each column in an order of its own, known to nobody: whoever sees the values cannot put rows together."""
    import numpy as np

    rng = np.random.default_rng()
    return frame.assign(**{c: frame[c].iloc[rng.permutation(len(frame))].set_axis(frame.index) for c in frame.columns})


def labelled(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The classes in the columns as whole numbers where they are: an integer column that had a missing value is one of floats,
    and its classes would be called `0.0` on one day and `0` on the next."""
    from pandas.api import types

    floats = [c for c in columns if c in frame.columns and types.is_float_dtype(frame[c])]
    return frame.assign(**{c: frame[c].astype("int64") for c in floats if (frame[c] % 1 == 0).all()})


def evened(current: pd.DataFrame, reference: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both cut to the number of rows of the shorter, at random: counts and extremes of more rows are larger by themselves."""
    most = min(len(current), len(reference))
    return _some(current, most), _some(reference, most)


def _some(frame: pd.DataFrame, most: int) -> pd.DataFrame:
    return frame if len(frame) <= most else frame.sample(most, random_state=0).sort_index().reset_index(drop=True)


def in_both(current: pd.DataFrame, reference: pd.DataFrame, column: str) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """The rows whose value of `column` both frames have, and the values that only one has: for those nothing can be compared."""
    now, before = set(current[column].unique()), set(reference[column].unique())
    both = now & before
    kept = [frame[frame[column].isin(both)].reset_index(drop=True) for frame in (current, reference)]
    return kept[0], kept[1], sorted(str(value) for value in now ^ before)


def spread(frame: pd.DataFrame, arrays: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The frame with each column of arrays, which come as text such as `[0.1, 0.2]`, as columns of numbers of these names."""
    import pandas as pd

    for column, names in ((c, n) for c, n in arrays.items() if c in frame.columns):
        numbers = [_array(value, len(names)) for value in frame[column]]
        more = pd.DataFrame(numbers, columns=list(names), index=frame.index, dtype=float)
        frame = pd.concat([frame.drop(columns=column), more], axis=1)
    return frame


def width(frame: pd.DataFrame, column: str) -> int:
    """How many numbers most arrays of the column have; 0 where there is none."""
    lengths = frame[column].dropna().map(lambda text: str(text).count(",") + 1)
    return int(lengths.mode().iloc[0]) if len(lengths) else 0


def _array(value: Any, length: int) -> list[float]:
    """The numbers of an array; all missing where it has another length, or something else in it."""
    try:
        numbers = [float(part) for part in str(value).strip("[]{}() ").split(",")]
    except ValueError:
        numbers = []
    return numbers if len(numbers) == length else [math.nan] * length
