"""Evidently's drift report as one HTML page, for people who look into an incident; workers only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from checks import evidently_frames as frames
from checks.evidently_making import quiet, reason
from checks.pending import NothingToJudge
from checks.question import Schema, column_kind

if TYPE_CHECKING:
    import pandas as pd

MOST_COLUMNS = 50
MOST_VALUES = 1000
"""Different values of a text column beyond which it is names or free text, with nothing to draw."""
ALONE = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'unsafe-inline'; font-src data:; img-src data: blob:\">"
)
"""Whoever opens the page: it asks nobody for anything."""
STYLE = "font:14px/21px sans-serif;color:#1d2733;background:#f5f7fa;padding:14px 24px;border-bottom:1px solid #d5dbe3"


@dataclass(frozen=True)
class Page:
    """`left_out` says of each column that is not in the report why."""

    html: str
    left_out: Mapping[str, str]


def page(
    current: pd.DataFrame, reference: pd.DataFrame, schema: Schema, first: Sequence[str], title: str, facts: Sequence[str]
) -> Page:
    """The report on two samples; the columns in `first` come first. Raises NothingToJudge where no column can be compared.

    It shows distributions and the values of categories, never a row: each column is shuffled, and columns whose values are
    names or free text are left out, as are those that Evidently cannot take.
    """
    left_out = {c: why for c, (_, why) in frames.unsound(current, reference, schema).items()}
    sound = [c for c in current.columns if c not in left_out]
    current, reference = (frames.plain(f[sound], schema) for f in (current, reference))
    sorts = {c: _sort(c, current, reference, schema) for c in sound}
    left_out |= {c: sort for c, sort in sorts.items() if sort not in {"number", "category"}}
    ordered = sorted((c for c in sound if c not in left_out), key=lambda c: (c not in first, sound.index(c)))
    left_out |= dict.fromkeys(ordered[MOST_COLUMNS:], f"only {MOST_COLUMNS} columns are drawn")
    chosen = {c: sorts[c] for c in ordered[:MOST_COLUMNS]}
    # Evidently draws means along the order of the rows: of few rows, that would be the rows.
    html, choking = _drawn(frames.shuffled(current[[*chosen]]), frames.shuffled(reference[[*chosen]]), chosen)
    left_out |= choking
    return Page(_dressed(html, title, [*facts, *_said(left_out)]), left_out)


def _sort(column: str, current: pd.DataFrame, reference: pd.DataFrame, schema: Schema) -> str:
    """`number`, `category`, or why it is neither."""
    sort = column_kind(schema.get(column, "string"))
    if sort in {"number", "boolean"}:
        return "number" if sort == "number" else "category"
    if sort != "text":
        return "times have no distribution to draw"
    for values in (current[column].dropna(), reference[column].dropna()):
        if values.nunique() > min(MOST_VALUES, 0.5 * len(values)):
            return "most rows have a text of their own"
    return "category"


def _drawn(current: pd.DataFrame, reference: pd.DataFrame, sorts: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The page, and the columns that Evidently could not draw: one of them would take the whole report with it."""
    try:
        return _report(current, reference, sorts), {}
    except Exception as fault:
        if len(sorts) < 2:
            raise NothingToJudge("no column can be compared" if not sorts else reason(fault)) from fault
    choking: dict[str, str] = {}
    for column, sort in sorts.items():
        try:
            _report(current, reference, {column: sort})
        except Exception as fault:
            choking[column] = type(fault).__name__
    rest = {c: sort for c, sort in sorts.items() if c not in choking}
    if not rest or not choking:
        raise NothingToJudge("Evidently could draw none of the columns")
    return _report(current, reference, rest), choking


def _report(current: pd.DataFrame, reference: pd.DataFrame, sorts: Mapping[str, str]) -> str:
    if not sorts:
        raise NothingToJudge("no column can be compared")
    columns = list(sorts)
    with quiet():
        from evidently import DataDefinition, Dataset, Report
        from evidently.presets import DataDriftPreset

        definition = DataDefinition(
            numerical_columns=[c for c in columns if sorts[c] == "number"],
            categorical_columns=[c for c in columns if sorts[c] == "category"],
        )
        both: list[Any] = [Dataset.from_pandas(frame[columns], definition) for frame in (current, reference)]
        html: str = Report([DataDriftPreset(columns=columns)]).run(*both).get_html_str(as_iframe=False)
    return html


def _dressed(html: str, title: str, facts: Sequence[str]) -> str:
    """With what it is about on top, and forbidden to load anything."""
    lines = "".join(f"<div>{escape(fact)}</div>" for fact in facts)
    head = f'<div style="{STYLE}"><b style="font-size:17px">{escape(title)}</b>{lines}</div>'
    html = html.replace("<head>", f"<head>{ALONE}<title>{escape(title)}</title>", 1)
    return html.replace("<body>", f"<body>{head}", 1)


def _said(left_out: Mapping[str, str]) -> list[str]:
    whys: dict[str, list[str]] = {}
    for column, why in left_out.items():
        whys.setdefault(why, []).append(column)
    return [f"Left out, {why}: {', '.join(columns)}" for why, columns in whys.items()]
