"""What commands print: for people as lines, with --json as facts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from monitor import budgets, compiling
from monitor.config import Config
from monitor.durations import words
from monitor.runner import Finished
from monitor.store import looking, reports, waiting
from monitor.store.decisions import LABELS
from monitor.store.store import Store

if TYPE_CHECKING:
    from alerts.weekly import Summary

MARK = {"passed": "ok", "failed": "FAILED", "skipped": "skipped", "errored": "ERRORED"}


class Bar:
    """How far a long piece of work is: a line that moves on a terminal, one line at the end elsewhere."""

    WIDTH = 30

    def __init__(self, label: str, stream: TextIO) -> None:
        self.label, self.stream, self.done, self.total = label, stream, 0, 0
        self.moves = stream.isatty()

    def counting(self, seen: Callable[[Finished], object]) -> Callable[[Finished | None, int], None]:
        """A callback for each window (None: it was there already) that counts, and hands the window on."""

        def count(finished: Finished | None, total: int) -> None:
            self.done, self.total = self.done + 1, total
            if finished is not None:
                seen(finished)
            if self.moves:
                full = self.WIDTH * self.done // max(total, 1)
                bar = "#" * full + "." * (self.WIDTH - full)
                self.stream.write(f"\r{self.label} [{bar}] {self.done}/{total}")
                self.stream.flush()

        return count

    def end(self) -> None:
        if self.moves and self.total:
            self.stream.write("\n")
        elif self.total:
            self.stream.write(f"{self.label}: {self.done} of {self.total}\n")


def as_json(facts: Any) -> str:
    return json.dumps(facts, ensure_ascii=False, indent=2, allow_nan=False, default=_plain)


def as_lines(facts: Mapping[str, Any]) -> str:
    """The same, each part of a list on a line of its own: a year of windows would be half a million lines, which take a second."""

    def line(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)

    def body(value: Any) -> str:
        return "[\n" + ",\n".join(map(line, value)) + "\n]" if isinstance(value, list) and value else line(value)

    return "{\n" + ",\n".join(f"{line(key)}: {body(value)}" for key, value in facts.items()) + "\n}"


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def moment(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at else "-"


def started(config: Config, store: Store) -> list[str]:
    """What is watched, where results go, who is told."""
    lines = [f"watching {len(config.datasets)} dataset{'s' * (len(config.datasets) != 1)}:"]
    for name, dataset in list(config.datasets.items())[:20]:
        what = dataset.table or "a query"
        lines.append(f"  {name}: {what} of source {dataset.source}, every {words(dataset.every)} ({dataset.timezone})")
    if len(config.datasets) > 20:
        lines.append(f"  ... and {len(config.datasets) - 20} more")
    lines.append(f"results are kept in {store.place} for {words(config.store.keep_results)}")
    lines += [f"told: {route.words}" for route in config.routes] or ["told: nobody"]
    lines += [f"channel {name}: {channel.where}" for name, channel in config.channels.items()]
    return lines + [f"note: {note}" for note in config.notes]


def checked(config: Config) -> list[str]:
    """What `check-config` says of a config that is in order."""
    lines = [f"{config.path}: in order"]
    for name, dataset in config.datasets.items():
        own = f"{len(dataset.checks)} check{'s' * (len(dataset.checks) != 1)} of your own"
        lines.append(
            f"dataset {name}: every {words(dataset.every)}, {own}" + (", learned checks on all columns" if dataset.auto else "")
        )
        if dataset.time_column and not dataset.per_file:
            lines.append(f"  times in {dataset.time_column} without a zone are taken as {dataset.timezone}")
        lines += [f"  {said}" for said in compiling.gaps(config.sources[dataset.source], dataset)]
    for name, source in config.sources.items():
        if not source.was_run:
            lines.append(f"source {name}: {source.kind} is compiled, never run: no test of ours has talked to such a database")
    lines += [f"route {route.words}" for route in config.routes]
    return lines + [f"note: {note}" for note in config.notes]


def window(finished: Finished, everything: bool = False) -> list[str]:
    """A measured window: a headline, then what is not well (`everything`: each result)."""
    measured = finished.measured
    count = {status: sum(r.status == status for r in measured.results) for status in MARK}
    told = ", ".join(f"{n} {status}" for status, n in count.items() if n) or "nothing to judge"
    rows = "" if measured.rows is None else f"{measured.rows:,}".replace(",", " ") + " rows, "
    lines = [f"{finished.dataset.name} {finished.window}: {measured.state.replace('_', ' ')}, {rows}{told}"]
    for result in measured.results:
        if everything or result.status in {"failed", "errored"}:
            where = f" [{result.segment}]" if result.segment else ""
            level = f" {result.severity}" if result.severity else ""
            lines.append(f"  {MARK[result.status]}{level}: {result.message}{where}")
    return lines


def backfilled(finished: Sequence[Finished], count: int) -> list[str]:
    """What a backfill came to, with the reason of the first window that could not be measured."""
    wrong = [f for f in finished if f.measured.state == "errored"]
    lines = [f"{len(finished) - len(wrong)} of {count} windows measured, {count - len(finished)} were there already"]
    if wrong:
        lines[0] += f", {len(wrong)} errored"
        lines.append(f"  the first of them, {wrong[0].window}: {wrong[0].measured.error}")
    return lines


def results(rows: Sequence[looking.Record]) -> list[str]:
    if not rows:
        return ["no results"]
    return [
        f"{moment(r.window_start)}  {r.dataset}  {MARK[r.status]}{f' {r.severity}' if r.severity else ''}  {r.message}"
        + (f" [{r.segment}]" if r.segment else "")
        for r in rows
    ]


def result_facts(row: looking.Record) -> dict[str, Any]:
    bounds = {"at_least": row.at_least, "at_most": row.at_most, "learned": row.learned}
    kept = ("id", "dataset", "check", "kind", "status", "value", "score", "severity", "message")
    facts = {name: getattr(row, name) for name in kept}
    return {
        **facts,
        "column": row.column or None,
        "segment": row.segment or None,
        "bounds": bounds,
        "start": row.window_start,
        "end": row.window_end,
    }


def incident_facts(store: Store, row: looking.Record) -> dict[str, Any]:
    return {
        "incident": f"INC-{row.id}",
        "dataset": row.subject,
        "family": row.family,
        "severity": row.severity,
        "state": "resolved" if row.resolved_at else "open",
        "since": row.since,
        "opened": row.opened_at,
        "resolved": row.resolved_at,
        "problems": [
            {
                "check": p.check,
                "column": p.column or None,
                "segment": p.segment or None,
                "value": p.value,
                "at_least": p.at_least,
                "at_most": p.at_most,
                "since": p.since,
                "message": p.message,
            }
            for p in looking.members(store, row.id)
        ],
        "story": [{"at": e.at, "happened": e.happened, "text": e.text} for e in looking.story(store, row.id)],
        "reports": [{"at": r.at, "host": r.host, "path": r.path} for r in reports.found(store, row.id)],
    }


def incidents(facts: Iterable[Mapping[str, Any]]) -> list[str]:
    lines: list[str] = []
    for f in facts:
        over = f", resolved {moment(f['resolved'])}" if f["resolved"] else ""
        lines.append(f"{f['incident']}  {f['severity'].upper()}  {f['dataset']}  {f['family']}  since {moment(f['since'])}{over}")
        told = [p["message"] + (f" [{p['segment']}]" if p["segment"] else "") for p in f["problems"]]
        lines += [f"    {line}" for line in (told or [f"{e['happened']}: {e['text']}" for e in f["story"]])]
        lines += [f"    report: {r['path']}" for r in f["reports"][-1:]]
    return lines or ["no open incident"]


def status_facts(config: Config, store: Store, now: datetime) -> dict[str, Any]:
    """How each dataset stands (its last window, whether it is late), open incidents, channels."""
    last, labelled = looking.last_windows(store), waiting.last_ends(store, LABELS)
    open_ = looking.found_incidents(store, most=1000)
    told = looking.channel_states(store)
    datasets = []
    for name, dataset in config.datasets.items():
        row = last.get(name)
        due = dataset.calendar.holding(now - dataset.delay).start
        datasets.append(
            {
                "dataset": name,
                "last_window": {"start": row.start, "end": row.end, "state": row.state, "rows": row.rows} if row else None,
                "late": row is None or row.end < due - dataset.every,
                "incidents": [f"INC-{i.id}" for i in open_ if i.subject in {name, f"source:{dataset.source}"}],
                "error": row.error if row else None,
                "labels_until": labelled.get(name) if dataset.labelled else None,
                "budget": budgets.spent(store, dataset, now),
            }
        )
    return {
        "at": now,
        "store": store.place,
        "datasets": datasets,
        "open_incidents": len(open_),
        "channels": {name: told.get(name, {"unsent": 0}) for name in {**config.channels, **told}},
    }


def status(facts: Mapping[str, Any]) -> list[str]:
    lines = []
    for d in facts["datasets"]:
        window = d["last_window"]
        if window is None:
            lines.append(f"{d['dataset']}: never measured")
            continue
        state = ", ".join(d["incidents"]) or ("healthy" if window["state"] == "done" else window["state"].replace("_", " "))
        late = ", LATE" if d["late"] else ""
        rows = "" if window["rows"] is None else f", {window['rows']} rows"
        error = f": {d['error']}" if d["error"] else ""
        labels = f"; judged with labels until {moment(d['labels_until'])}" if d["labels_until"] else ""
        lines.append(f"{d['dataset']}: {state}{late}; last window ended {moment(window['end'])}{rows}{labels}{error}")
        lines += [f"  {budgets.words(d['budget'])}"] if d["budget"] else []
    for name, c in facts["channels"].items():
        broken = f", out of order since {moment(c['broken_since'])}: {c['error']}" if c.get("broken_since") else ""
        lines.append(f"channel {name}: {c['unsent']} unsent{broken}")
    lines.append(f"{facts['open_incidents']} open incident{'s' * (facts['open_incidents'] != 1)}")
    return lines


def summary(found: Summary, config: Config) -> str:
    """The weekly summary as the text half of the mail."""
    from alerts import weekly, weekly_text

    return f"{weekly.subject(found)}\n\n{weekly_text.as_text(found, _told_in(config))}"


def _told_in(config: Config) -> str:
    """The channel whose alerts are counted where nobody says which: the summary's first, else the first there is."""
    return next(iter((*config.summary.to, *config.channels)), "")


def previewed(found: Summary, config: Config, folder: Path) -> list[str]:
    """Write the mail as a page and open it in a browser; what was done, in words."""
    import webbrowser

    from alerts import weekly_page

    path = folder / f"datavigil-{found.week}.html"
    path.write_text(weekly_page.alone(found, _told_in(config)), encoding="utf-8")
    try:
        opened = webbrowser.get().open(path.as_uri())
    except webbrowser.Error:
        opened = False
    return [f"{path}" + (" is open in the browser" if opened else ": no browser to open it in was found")]
