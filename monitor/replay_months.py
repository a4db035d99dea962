"""What a replay tells per dataset and month: new incidents, messages, pages; the measure of what people bear."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from monitor.backtest import Backtest, messages

MOST = 24
KINDS = ("windows", "incidents", "messages", "pages", "reminders")
Month = tuple[str, str]
"""Dataset and month."""


def months(found: Backtest) -> list[dict[str, Any]]:
    """A row per dataset and month that has a window or a message, also where nothing was told.

    An incident counts where it opened, also once more where it reopened is no new one; a message of no single dataset (a
    digest, a storm) counts under the channel's name. A page is a critical incident that begins or gets worse; reminders are counted
    apart, and only there: they come as long as nobody acknowledges, and in a replay nobody does.
    """
    counts: dict[Month, Counter[str]] = {}
    for dataset, window, _ in found.windows:
        _at(counts, dataset.name, window.local_start)["windows"] += 1
    for happening in found.telling.incidents.values():
        _at(counts, happening.incident.subject, happening.incident.opened_at)["incidents"] += 1
    for message in messages(found):
        here = _at(counts, message["dataset"] or f"digests of {message['channel']}", datetime.fromisoformat(message["at"]))
        here["reminders" if message["kind"] == "reminder" else "messages"] += 1
        here["pages"] += message["page"]
    return [{"dataset": name, "month": month} | {kind: n[kind] for kind in KINDS} for (name, month), n in sorted(counts.items())]


def _at(counts: dict[Month, Counter[str]], name: str, at: datetime) -> Counter[str]:
    return counts.setdefault((name, f"{at:%Y-%m}"), Counter())


def per_month(found: Backtest) -> list[str]:
    """The months in which something was told, and how many were quiet."""
    rows = months(found)
    loud = [row for row in rows if row["incidents"] or row["messages"]]
    watched = [row for row in rows if row["windows"]]
    if not loud:
        return ["", f"{_count(watched)}: nothing was told in any of them"]
    most = max((row["incidents"] for row in watched), default=0)
    over = sum(row["incidents"] > 1 for row in watched)
    lines = ["", f"{_count(watched)}; {over} of them with more than one new incident, {most} at most", *_table(loud[:MOST])]
    return lines + ([f"    ... and {len(loud) - MOST} more"] if len(loud) > MOST else [])


def _count(rows: Sequence[Mapping[str, Any]]) -> str:
    datasets = len({row["dataset"] for row in rows})
    return f"{len(rows)} month{'s' * (len(rows) != 1)} of {datasets} dataset{'s' * (datasets != 1)}"


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    width = max(len("dataset"), *(len(row["dataset"]) for row in rows))
    told = KINDS[1:]
    lines = [f"  {'dataset':{width}}  month    " + "  ".join(told)]
    return lines + [
        f"  {row['dataset']:{width}}  {row['month']}  " + "  ".join(f"{row[kind]:{len(kind)}}" for kind in told) for row in rows
    ]
