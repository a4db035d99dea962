"""What a backtest prints: per dataset, check and week; bounds that would have been quieter; what another config would tell."""

from __future__ import annotations

import html
from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

from checks.result import Status
from monitor.backtest import Backtest, messages
from monitor.replay_months import per_month

MOST = 15
Key = tuple[str, str, str, str, str]
"""Dataset, window start, check, column, segment."""


def report(found: Backtest) -> list[str]:
    """For people, the most telling first."""
    return [*_stretches(found), *_incidents(found), *_per_check(found), *per_month(found), *_per_week(found), *_suggestions(found)]


def _stretches(found: Backtest) -> list[str]:
    flagged = Counter(d.name for d, _, m in found.windows if any(r.status is Status.FAILED for r in m.results))
    lost = Counter(d.name for d, _, m in found.windows if m.state == "errored")
    lines = []
    for s in found.stretches:
        name = s.dataset.name
        if not s.windows:
            lines.append(f"{name}: nothing replayed: {s.note}")
            continue
        where = f"{s.windows[0].local_start:%Y-%m-%d %H:%M} to {s.windows[-1].local_end:%Y-%m-%d %H:%M}"
        kept = f", {s.stored} of them from stored profiles" if s.stored else ""
        wrong = f", {lost[name]} could not be measured" if lost[name] else ""
        lines.append(f"{name}: {where}, {len(s.windows)} windows{kept}; {flagged[name]} with a finding{wrong}")
        if s.note:
            lines.append(f"  cut to what there is: {s.note}")
    return lines


def _incidents(found: Backtest) -> list[str]:
    told = [m for m in messages(found) if m["kind"] != "reminder"]
    pages = sum(m["page"] for m in told)
    happenings = list(found.telling.incidents.values())
    lines = ["", f"{len(happenings)} incidents, {len(told)} messages, {pages} of them pages"]
    for happening in happenings[:MOST]:
        incident = happening.incident
        over = f"to {_moment(incident.resolved_at)}" if incident.resolved_at else "still open at the end"
        first = next(iter(happening.problems.values()), None)
        more = f" (+{len(happening.problems) - 1} more)" if len(happening.problems) > 1 else ""
        lines.append(
            f"  {_moment(incident.opened_at)} {over}  {str(incident.severity).upper()}  {incident.subject}  {incident.family}"
        )
        lines += [f"      {first.message}{more}"] if first else []
    return lines + _rest(len(happenings))


def _per_check(found: Backtest) -> list[str]:
    counts: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for dataset, _, result in found.failed:
        counts[dataset.name, result.check, result.column or ""][str(result.severity)] += 1
    if not counts:
        return ["", "no check found anything"]
    lines = ["", "findings per check:"]
    for (name, check, column), n in sorted(counts.items(), key=lambda item: -item[1].total())[:MOST]:
        about = f" of {column}" if column and column not in check else ""
        critical = f", {n['critical']} critical" if n["critical"] else ""
        lines.append(f"  {n.total():4}  {name}  {check}{about}{critical}")
    return lines + _rest(len(counts))


def _per_week(found: Backtest) -> list[str]:
    weeks: dict[str, Counter[str]] = defaultdict(Counter)
    for dataset, window, result in found.failed:
        weeks[_week(window.local_start)][f"found {dataset.name} {window.start}"] += 1
        weeks[_week(window.local_start)]["findings"] += result is not None
    for happening in found.telling.incidents.values():
        weeks[_week(happening.incident.opened_at)]["incidents"] += 1
    for message in messages(found):
        weeks[_week(datetime.fromisoformat(message["at"]))]["messages"] += message["kind"] != "reminder"
    if not weeks:
        return []
    lines = ["", "week      findings  incidents  messages"]
    for week in sorted(weeks):
        n = weeks[week]
        lines.append(f"{week}  {n['findings']:8}  {n['incidents']:9}  {n['messages']:8}")
    return lines


def suggestions(found: Backtest) -> list[dict[str, Any]]:
    """For each check with findings the bounds under which none, and under which about one window in fifty, would have failed."""
    values: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    failed: Counter[tuple[str, str, str]] = Counter()
    for dataset, _, measured in found.windows:
        for r in measured.results:
            if r.segment is None and r.value is not None and r.status in {Status.PASSED, Status.FAILED}:
                key = (dataset.name, r.check, r.column or "")
                values[key].append(r.value)
                failed[key] += r.status is Status.FAILED
    out = []
    for key, n in failed.most_common():
        if n and len(values[key]) > 1:
            ordered = sorted(values[key])
            cut = max(len(ordered) // 100, 1)
            noisier = (ordered[cut], ordered[-1 - cut]) if len(ordered) > 2 * cut else (ordered[0], ordered[-1])
            out.append(
                {"dataset": key[0], "check": key[1], "failed": n, "quiet": [ordered[0], ordered[-1]], "noisier": list(noisier)}
            )
    return out


def _suggestions(found: Backtest) -> list[str]:
    made = suggestions(found)[:MOST]
    if not made:
        return []
    lines = ["", "bounds of your own instead (none would have failed; about one window in fifty would have failed):"]
    for s in made:
        (low, high), (tight_low, tight_high) = s["quiet"], s["noisier"]
        lines.append(
            f"  {s['dataset']}  {s['check']} failed {s['failed']} times: {low:.4g} to {high:.4g}; "
            f"{tight_low:.4g} to {tight_high:.4g}"
        )
    return lines


def difference(found: Backtest, changed: Backtest) -> dict[str, Any]:
    """What the changed config finds more and less, and the sums of both."""
    mine, theirs = _found(found), _found(changed)
    return {
        "more": [_named(key, theirs[key]) for key in sorted(theirs.keys() - mine.keys())],
        "less": [_named(key, mine[key]) for key in sorted(mine.keys() - theirs.keys())],
        "incidents": [len(found.telling.incidents), len(changed.telling.incidents)],
        "messages": [len(messages(found)), len(messages(changed))],
    }


def compared(found: Backtest, changed: Backtest, path: Path) -> list[str]:
    told = difference(found, changed)
    lines = ["", f"with {path}:"]
    for word in ("incidents", "messages"):
        lines.append(f"  {word}: {told[word][1]} instead of {told[word][0]}")
    for word in ("more", "less"):
        lines.append(f"  {len(told[word])} findings {word}")
        lines += [f"    {f['start'][:16]}  {f['dataset']}  {f['message']}" for f in told[word][:MOST]]
        lines += _rest(len(told[word]))
    return lines


def _found(found: Backtest) -> dict[Key, str]:
    return {(d.name, w.start.isoformat(), r.check, r.column or "", r.segment or ""): r.message for d, w, r in found.failed}


def _named(key: Key, message: str) -> dict[str, Any]:
    dataset, start, check, column, segment = key
    return {
        "dataset": dataset,
        "start": start,
        "check": check,
        "column": column or None,
        "segment": segment or None,
        "message": message,
    }


def page(found: Backtest) -> str:
    """A page of its own with a lane per check that found something: yellow a warning, red critical; each mark says what."""
    return (
        _HEAD
        + "".join(_picture(found, stretch.dataset.name) for stretch in found.stretches if stretch.windows)
        + "</body></html>\n"
    )


_HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>datavigil backtest</title>
<style>body{font:14px system-ui,sans-serif;margin:2em}text{font-size:11px}rect.warning{fill:#d99a00}rect.critical{fill:#c0262d}
rect.lane{fill:#f0f1f3}</style></head><body><h1>Backtest</h1>
"""
_LABELS, _WIDTH, _LANE = 260, 900, 16


def _picture(found: Backtest, name: str) -> str:
    windows = [w for d, w, _ in found.windows if d.name == name]
    here = [(w, r) for d, w, r in found.failed if d.name == name]
    lanes = [check for check, _ in Counter(r.check for _, r in here).most_common(40)]
    place = {w.start: i for i, w in enumerate(windows)}
    step = _WIDTH / max(len(windows), 1)
    parts = [
        f'<rect class="lane" x="{_LABELS}" y="{i * _LANE + 2}" width="{_WIDTH}" height="{_LANE - 3}"/>' for i in range(len(lanes))
    ]
    parts += [f'<text x="0" y="{i * _LANE + 12}">{html.escape(check[:42])}</text>' for i, check in enumerate(lanes)]
    for window, r in here:
        if r.check in lanes:
            x, y = _LABELS + place[window.start] * step, lanes.index(r.check) * _LANE + 2
            said = html.escape(f"{window}: {r.message}")
            box = f'x="{x:.1f}" y="{y}" width="{max(step, 2):.1f}" height="{_LANE - 3}"'
            parts.append(f'<rect class="{r.severity}" {box}><title>{said}</title></rect>')
    head = (
        f"<h2>{html.escape(name)}</h2><p>{windows[0]} to {windows[-1]}, {len(windows)} windows, {len(here)} findings</p>"
        if windows
        else ""
    )
    return f'{head}<svg width="{_LABELS + _WIDTH}" height="{max(len(lanes), 1) * _LANE}" role="img">{"".join(parts)}</svg>\n'


def _week(at: datetime) -> str:
    year, week, _ = at.isocalendar()
    return f"{year}-W{week:02}"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"


def _rest(count: int) -> list[str]:
    return [f"    ... and {count - MOST} more"] if count > MOST else []
