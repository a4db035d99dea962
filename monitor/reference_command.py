"""`datavigil reference`: what counts as normal for a dataset, listed, looked at, compared, accepted, rolled back."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from checks.profile import Histogram, Number, Outdated, Profile, merge
from monitor import reference
from monitor.config import Config
from monitor.dataset import Dataset, Fixed, Golden
from monitor.printing import moment
from monitor.store import past, references
from monitor.store.store import Store

MOST = 28
"""Windows of a version that are put together to look at it."""


def author() -> str:
    """Who is at the keyboard."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "somebody"


def listed(store: Store, dataset: Dataset) -> list[dict[str, Any]]:
    """Version 0 is the config's; then all that people, or a golden table, made, the newest last."""
    first = {"version": 0, "kind": "config", "reference": worded(dataset), "in_force": True}
    return [first, *(_facts(row) for row in reversed(references.versions(store, dataset.name)))]


def _facts(row: Any) -> dict[str, Any]:
    return {
        "version": row.version,
        "kind": row.kind,
        "column": row.column or None,
        "from": row.start,
        "author": row.author,
        "note": row.note,
        "made": row.created_at,
        "in_force": row.rolled_back_at is None,
        "rolled_back": row.rolled_back_at,
        "rolled_back_by": row.rolled_back_by,
    }


def worded(dataset: Dataset) -> str:
    """The config's reference as people write it."""
    kept = dataset.reference
    if isinstance(kept, Golden):
        return f"table {kept.table}"
    if isinstance(kept, Fixed):
        return f"{kept.start} to {kept.end}"
    return f"same weekday {kept.days // 7}w" if kept.same_weekday else f"previous {kept.days}d"


def lines(facts: Sequence[dict[str, Any]]) -> list[str]:
    out = [f"0  config: {facts[0]['reference']}"]
    for f in facts[1:]:
        about = f"column {f['column']}" if f["column"] else "whole dataset"
        since = f"{about}, normal from {moment(f['from'])}" if f["kind"] == references.ACCEPTED else f"table {f['note']}"
        note = f": {f['note']}" if f["note"] and f["kind"] == references.ACCEPTED else ""
        over = "" if f["in_force"] else f"; rolled back {moment(f['rolled_back'])} by {f['rolled_back_by']}"
        out.append(f"{f['version']}  {f['kind']} {moment(f['made'])} by {f['author']}, {since}{note}{over}")
    return out


def shown(store: Store, dataset: Dataset, version: int, now: datetime) -> dict[str, Any]:
    """A version with the numbers of what counts as normal under it. Raises ReferenceFault where there is no such version."""
    found = {f["version"]: f for f in listed(store, dataset)}
    if version not in found:
        there = ", ".join(map(str, found))
        raise reference.ReferenceFault(f"dataset {dataset.name} has no version {version} (there are: {there})")
    profiles = _profiles(store, dataset, version, now)
    return {**found[version], "windows": len(profiles), "numbers": _numbers(profiles)}


def _profiles(store: Store, dataset: Dataset, version: int, now: datetime) -> list[Profile]:
    """Golden: the table. Accepted: its first windows. The config's (0): the last windows before anything was accepted."""
    rows = references.versions(store, dataset.name)
    row = next((r for r in rows if r.version == version), None)
    if row is not None and row.kind == references.GOLDEN:
        return _read([row.body])
    starts = [r.start for r in rows if r.kind == references.ACCEPTED and r.rolled_back_at is None]
    if row is None:
        stored = past.windows_between(store, dataset.name, None, min([now, *starts]))[-MOST:]
    else:
        stored = past.windows_between(store, dataset.name, row.start, now)[:MOST]
    return _read([body for *_, body in stored])


def _read(bodies: Sequence[bytes]) -> list[Profile]:
    found = []
    for body in bodies:
        try:
            found.append(Profile.from_bytes(body))
        except Outdated:
            continue
    return found


def _numbers(profiles: Sequence[Profile]) -> dict[str, float]:
    """Rows per window, then each question's answer: sums per row, least and greatest, means of distributions."""
    whole = merge(profiles)
    if whole is None:
        return {}
    out = {"rows per window": whole.rows / len(profiles)}
    for key, answer in whole.answers().items():
        if isinstance(answer, Number) and answer.value is not None and key != "rows":
            out[key] = answer.value / max(whole.rows, 1) if answer.merge == "add" else float(answer.value)
        elif isinstance(answer, Histogram) and (mean := answer.mean()) is not None:
            out[f"mean of {key}"] = mean
    return out


def compared(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The numbers of two versions side by side, those that differ most first."""
    mine, theirs = one["numbers"], other["numbers"]

    def apart(key: str) -> float:
        scale = max(abs(mine[key]), abs(theirs[key]))
        return abs(mine[key] - theirs[key]) / scale if scale else 0.0

    both = sorted((key for key in mine if key in theirs), key=apart, reverse=True)
    head = f"version {one['version']} ({one['windows']} windows) and version {other['version']} ({other['windows']} windows):"
    return [head, *(f"  {key}: {mine[key]:.6g} -> {theirs[key]:.6g}" for key in both if apart(key) > 0)]


def run(
    config: Config,
    store: Store,
    action: str,
    dataset: str,
    versions: Sequence[int],
    now: datetime,
    column: str | None,
    since: datetime | None,
    note: str | None,
) -> tuple[Any, list[str]]:
    """Do what is asked: the facts, and lines for people. Raises ReferenceFault where it cannot be done."""
    kept = config.datasets[dataset]
    if action == "list":
        facts = listed(store, kept)
        return {"versions": facts}, lines(facts)
    if action == "show":
        fact = shown(store, kept, versions[0] if versions else listed(store, kept)[-1]["version"], now)
        every = listed(store, kept)
        line = lines(every)[[f["version"] for f in every].index(fact["version"])]
        return fact, [line, *(f"  {key}: {value:.6g}" for key, value in fact["numbers"].items())]
    if action == "compare":
        one, other = (versions[0], versions[1]) if len(versions) > 1 else (0, *(versions or [listed(store, kept)[-1]["version"]]))
        pair = shown(store, kept, one, now), shown(store, kept, other, now)
        return {"versions": pair}, compared(*pair)
    if action == "accept":
        number = reference.accept(store, config, dataset, author(), now, note, column, since)
        [row] = [r for r in references.versions(store, dataset) if r.version == number]
        about = f"{dataset}.{column}" if column else dataset
        return {"version": number, "from": row.start}, [f"version {number}: {about} is normal from {moment(row.start)} on"]
    number = reference.rollback(store, config, dataset, author(), now, versions[0] if versions else None)
    return {"rolled_back": number}, [f"version {number} of {dataset} is rolled back; what it judged stays as it was"]
