"""The weekly summary: when it is due, a week's numbers out of the store, and its deliveries. What is sent is stored first."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from alerts import periods, weekly
from alerts.plain import clean
from alerts.telling import NAMED, Delivery
from alerts.weekly import Budget, Decision, Event, Numbers, Summary, Trend
from checks.result import Family, Severity
from checks.wording import Unit, amount
from monitor import apart, deciding, fit, kinds, own_health
from monitor.actions import CAUSE
from monitor.config import Config
from monitor.dataset import Dataset
from monitor.store import weeks
from monitor.store.store import Store
from monitor.store.weeks import Key

log = logging.getLogger("datavigil")
DAY = timedelta(days=1)
LOOK_BACK = 28 * DAY
EXPIRES = 5 * DAY
MOST_CHARTS = 5
MOST_NOISY = 50
DRIFTING = (str(Family.DRIFT), str(Family.MODEL))
DRAWING = apart.Limits(seconds=60, megabytes=1024)


@dataclass(frozen=True)
class Week:
    """An ISO week in a zone: `name` is `2026-W47`, `start` and `end` its first instant and the one after its last."""

    name: str
    first: date
    zone: str

    @classmethod
    def named(cls, name: str, zone: str) -> Week:
        """Raises ValueError where there is no such week."""
        found = re.fullmatch(r"(\d{4})-W(\d{2})", name)
        if not found:
            raise ValueError(f"{name!r} is no week; write 2026-W47")
        try:
            return cls(name, date.fromisocalendar(int(found[1]), int(found[2]), 1), zone)
        except ValueError:
            raise ValueError(f"there is no week {name}; weeks go from W01 to W52, in some years to W53") from None

    @classmethod
    def before_day(cls, day: date, zone: str) -> Week:
        """The last whole week before a day."""
        monday = day - timedelta(days=day.weekday() + 7)
        year, number, _ = monday.isocalendar()
        return cls(f"{year}-W{number:02d}", monday, zone)

    @property
    def previous(self) -> Week:
        return Week.before_day(self.first, self.zone)

    @property
    def last(self) -> date:
        return self.first + timedelta(days=6)

    @property
    def start(self) -> datetime:
        return periods.instant(self.first, time(0), ZoneInfo(self.zone))

    @property
    def end(self) -> datetime:
        return periods.instant(self.first + timedelta(days=7), time(0), ZoneInfo(self.zone))


def send_due(config: Config, store: Store, now: datetime) -> Week | None:
    """Write down the summary that is due and its deliveries; the week it is of. Once per week, whoever asks and how often.

    Of several weeks that were missed only the last is told; none of a time before the first window was measured.
    """
    settings = config.summary
    if not settings.to:
        return None
    period = periods.due(settings.weekly, settings.timezone, weeks.last_due(store), now)
    if period is None or not weeks.at_work(store, period.at):
        return None
    week = Week.before_day(period.day, settings.timezone)
    if weeks.of_week(store, week.name) is not None:
        return None
    body = collected(config, store, week, now).model_dump_json()
    fresh = weeks.write(store, week.name, period.at, now, body, lambda kept: _deliveries(config, kept, now))
    if fresh:
        log.info("weekly summary %s is written down", week.name)
    return week if fresh else None


def wanted(config: Config, name: str | None, now: datetime) -> Week:
    """The week of that name, else the last whole one. Raises ValueError for none that there is, or one that has not begun."""
    zone = config.summary.timezone
    if name is None:
        return Week.before_day(now.astimezone(ZoneInfo(zone)).date(), zone)
    week = Week.named(name, zone)
    if week.start > now:
        raise ValueError(f"week {name} has not begun")
    return week


def of_week(config: Config, store: Store, week: Week, now: datetime) -> Summary:
    """As it was stored, else as it would be now (and not stored: the week may not be over)."""
    kept = weeks.of_week(store, week.name)
    return Summary.model_validate_json(kept) if kept else collected(config, store, week, now)


def _deliveries(config: Config, body: str, now: datetime) -> Sequence[Delivery]:
    """One per recipient; each key says what it tells and to whom."""
    summary = Summary.model_validate_json(body)
    out = []
    for name in config.summary.to:
        for recipient in config.channels[name].recipients:
            key = fit.name(":".join(("report", "weekly", name, *filter(None, [recipient]), summary.week)), 255)
            said = weekly.short(summary, name, recipient)
            out.append(Delivery(key, None, name, "message", said, expires_at=now + EXPIRES))
    return out


def collected(config: Config, store: Store, week: Week, now: datetime) -> Summary:
    """The week's numbers, sentences and charts as the store has them now."""
    due = _due(config, store, week, now)
    drifting = deciding.slow_drift(weeks.daily_scores(store, DRIFTING, week.end - LOOK_BACK, week.end), week.end)
    rows, own = _incidents(store, week)
    still = [row for row in rows if row.resolved_at is None or row.resolved_at >= week.end]
    odd = weeks.by_status(store, week.start, week.end)
    kept = weeks.of_week(store, week.previous.name)
    before = Summary.model_validate_json(kept).this if kept else _numbers(config, store, week.previous, now)
    events = _events(store, rows, week)
    drawn = [key for key, _ in drifting[:3]] + _failing(store, still, odd) + [key for key, _ in drifting[3:]]
    this = _numbers(config, store, week, now)
    return Summary(
        week=week.name,
        first=week.first,
        last=week.last,
        timezone=week.zone,
        made_at=now,
        this=this,
        before=before,
        decisions=(
            *_open(events, still, rows, week.zone),
            *(decision for _, decision in drifting),
            *_noisy(store, odd, week),
            *_idle(config, store, odd, week, due, {row.subject for row in still}),
        ),
        events=tuple(events),
        trends=_trends(store, list(dict.fromkeys(drawn))[:MOST_CHARTS], week),
        health=own_health.health(config, store, week, this, own, now),
        budgets=_budgets(store, config, week),
    )


def _numbers(config: Config, store: Store, week: Week, now: datetime) -> Numbers:
    due, done = _due(config, store, week, now), weeks.measured(store, week.start, week.end)
    rows, _ = _incidents(store, week)
    hours = sum((min(r.resolved_at or week.end, week.end) - max(r.opened_at, week.start)).total_seconds() for r in rows) / 3600
    ill = {row.subject for row in rows if row.resolved_at is None or row.resolved_at >= week.end}
    healthy = [n for n, d in config.datasets.items() if done.get(n) and not ill & {n, f"source:{d.source}"}]
    evaluated = sum(min(done.get(name, 0), number) for name, number in due.items())
    return Numbers(
        incidents=len(rows),
        hours_open=max(hours, 0.0),
        healthy=len(healthy),
        datasets=len(config.datasets),
        evaluated=evaluated,
        due=sum(due.values()),
    )


def _incidents(store: Store, week: Week) -> tuple[list[Any], list[Any]]:
    """Incidents that were open at some time of the week: those of data, and the monitor's own."""
    found = weeks.incidents_of(store, week.start, week.end)
    own = [row for row in found if row.subject.startswith(own_health.OWN)]
    return [row for row in found if row not in own], own


def _due(config: Config, store: Store, week: Week, now: datetime) -> dict[str, int]:
    """Dataset -> how many windows ended in the week and were due, from its first one in the ledger on."""
    first = weeks.first_starts(store)
    return {name: _closed(d, week, first[name], now) for name, d in config.datasets.items() if name in first}


def _closed(dataset: Dataset, week: Week, first: datetime, now: datetime) -> int:
    until = min(week.end, now - dataset.delay)
    begin = max(first, week.start - dataset.every - DAY)
    return sum(window.end > week.start for window in dataset.calendar.closed(begin, until))


def _events(store: Store, rows: Sequence[Any], week: Week) -> list[Event]:
    said = weeks.said_of(store, [row.id for row in rows])
    return [_event(row, said.get(row.id, []), week) for row in rows]


def _event(row: Any, said: Sequence[Any], week: Week) -> Event:
    over = row.resolved_at is not None and row.resolved_at < week.end
    causes = [f"{e.text} (noted by {e.actor})" for e in said if e.happened == CAUSE]
    told = next((e.text for e in said if e.happened == "opened" and e.text), row.title)
    return Event(
        about=f"{_subject(row.subject)}: {NAMED[Family(row.family)]}",
        text=told.split("; ")[0],
        began=row.opened_at,
        severity=Severity(row.severity),
        lasted=(row.resolved_at - row.opened_at).total_seconds() if over else None,
        cause=causes[-1] if causes else "",
    )


def _subject(subject: str) -> str:
    kind, colon, name = subject.partition(":")
    return f"{kind} {name}" if colon else subject


def _open(events: Sequence[Event], still: Sequence[Any], rows: Sequence[Any], zone: str) -> Iterator[Decision]:
    ids = {row.id for row in still}
    both = [(row, event) for row, event in zip(rows, events, strict=True) if row.id in ids]
    # The gravest first; within that the one that waits longest.
    for row, event in sorted(both, key=lambda each: -each[1].severity.rank):
        whose = f"{row.acked_by} has it." if row.acked_by else "Nobody has taken it on yet."
        advice = f"Open since {weekly.when(row.opened_at, zone)}. {whose}"
        yield Decision(kind="open", about=event.about, text=event.text, advice=advice)


def _noisy(store: Store, odd: Sequence[Any], week: Week) -> Iterator[Decision]:
    often = sorted((row for row in odd if row.failed >= deciding.OFTEN), key=lambda r: -r.failed)
    for row in often[:MOST_NOISY]:
        key = (row.dataset, row.check, row.column, row.segment)
        found = deciding.noisy(key, weeks.verdicts(store, key, week.start, week.end))
        if found:
            yield found


def _idle(config: Config, store: Store, odd: Sequence[Any], week: Week, due: Mapping[str, int], known: set[str]) -> list[Decision]:
    done = weeks.measured(store, week.start, week.end)
    why: dict[str, str] = {}
    for row in weeks.unmeasured(store, week.start, week.end):
        why.setdefault(row.dataset, row.error or "")
    # What an open incident says already is not said twice.
    told = {name for name, d in config.datasets.items() if known & {name, f"source:{d.source}"}}
    silent = {n: why.get(n) for n in config.datasets if not done.get(n) and due.get(n, 1) and n not in told}
    first = weeks.first_starts(store)
    young = frozenset(name for name, start in first.items() if start > week.end - 14 * DAY)
    idle = [row for row in odd if not row.judged and row.dataset in config.datasets and done.get(row.dataset)]
    return deciding.never_ran(silent, idle, young)


def _failing(store: Store, still: Sequence[Any], odd: Sequence[Any]) -> list[Key]:
    """What is worth a chart: the worst check of each open incident, then what failed most."""
    worst: dict[int, Key] = {}
    for row in weeks.firing(store, [row.id for row in still]):
        worst.setdefault(row.incident, (row.subject, row.check, row.column, row.segment))
    often = sorted((row for row in odd if row.failed), key=lambda r: -r.failed)
    return [*worst.values(), *((row.dataset, row.check, row.column, row.segment) for row in often)]


def _trends(store: Store, keys: Sequence[Key], week: Week) -> tuple[Trend, ...]:
    series = [(key, weeks.verdicts(store, key, week.end - LOOK_BACK, week.end)) for key in keys]
    wanted = [(key, [r for r in rows if r.value is not None]) for key, rows in series]
    wanted = [(key, rows) for key, rows in wanted if len(rows) > 1]
    pictures = _drawn([([(r.window_end, r.value) for r in rows], (rows[-1].at_least, rows[-1].at_most)) for _, rows in wanted])
    return tuple(
        Trend(about=deciding.named(key), text=_told(key, rows), png=base64.b64encode(png).decode())
        for (key, rows), png in zip(wanted, pictures, strict=True)
    )


def _told(key: Key, rows: Sequence[Any]) -> str:
    values, last = [row.value for row in rows], rows[-1]
    unit: Unit = getattr(kinds.check_kinds().get(last.kind), "unit", "number")
    limits = [f"{word} {amount(b, unit)}" for word, b in (("at least", last.at_least), ("at most", last.at_most)) if b is not None]
    allowed = f"; {' and '.join(limits)} allowed" if limits else ""
    now, low, high = (amount(float(f"{v:.3g}"), unit) for v in (values[-1], min(values), max(values)))
    return f"{clean(key[1], 80)} is {now} now and went from {low} to {high} within four weeks{allowed}"


def _drawn(series: Sequence[tuple[Any, Any]]) -> list[bytes]:
    """Pictures from a process of its own; without them the mail goes all the same, and says in words what they would show."""
    out: list[bytes] = []
    if series:
        try:
            out = list(apart.run(draw, [series], DRAWING))
        except apart.Ended as fault:
            log.warning("the weekly summary has no charts: %s", fault)
    return out + [b""] * (len(series) - len(out))


def draw(series: Sequence[tuple[Any, Any]]) -> Iterator[bytes]:
    """Runs in the process that imports matplotlib."""
    from alerts.sparkline import small

    for points, bounds in series:
        yield small(points, bounds)


def _budgets(store: Store, config: Config, week: Week) -> dict[str, Budget]:
    sent, noise = weeks.alerts(store, week.start, week.end), weeks.noise(store, week.start, week.end)
    names = {*config.channels, *sent}
    return {name: Budget(sent=sent.get(name, 0), noise=min(noise.get(name, 0), sent.get(name, 0))) for name in sorted(names)}
