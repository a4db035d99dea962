"""The weekly summary: a week's stored numbers, and what they say in a line, in ten lines and in the subject. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict

from alerts.message import Fact, Finding, Message
from alerts.plain import clean
from checks.result import Severity
from checks.wording import amount, duration

ALLOWED = 30
"""Alerts per week and channel, about which people stop reading."""
Kind = Literal["open", "drift", "noisy", "never ran"]
TODO: dict[Kind, str] = {"open": "decide", "drift": "look", "noisy": "tune", "never ran": "fix"}


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True)


class Numbers(_Kept):
    """One week's four numbers. `hours_open` is summed over incidents; `evaluated` and `due` count windows."""

    incidents: int = 0
    hours_open: float = 0.0
    healthy: int = 0
    datasets: int = 0
    evaluated: int = 0
    due: int = 0

    @property
    def coverage(self) -> str:
        if not self.due:
            return "–"
        # Never rounded up to 100: one missed window is one too many to call it all.
        return f"{100 * self.evaluated / self.due:.1f} %" if self.evaluated >= self.due else f"{_floor(self.evaluated, self.due)} %"


class Decision(_Kept):
    """Something that waits for somebody: what it is about, what is the matter, what could be done."""

    kind: Kind
    about: str
    text: str
    advice: str = ""


class Event(_Kept):
    """One incident of the week: `lasted` in seconds (None: open at the week's end), `cause` as somebody noted it."""

    about: str
    text: str
    began: datetime
    severity: Severity
    lasted: float | None = None
    cause: str = ""


class Trend(_Kept):
    """A small chart: `png` in base64, empty where none could be drawn; `text` says in words what it shows."""

    about: str
    text: str
    png: str = ""


class Health(_Kept):
    """How the monitor itself did; `missed` windows with the `reasons` why, deliveries by how they ended, `prevented` repeats,
    channels out of order, and its `own` other troubles."""

    missed: int = 0
    reasons: tuple[str, ...] = ()
    unsent: int = 0
    unknown: int = 0
    given_up: int = 0
    prevented: int = 0
    channels: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    budgets: tuple[str, ...] = ()
    """Per dataset that has one: its budget of false alarms beside what happened."""


class Budget(_Kept):
    """A channel's alerts of the week, and how many of them somebody called not useful."""

    sent: int = 0
    noise: int = 0


class Summary(_Kept):
    """A week (`2026-W47`, its first and last day in `timezone`) as it was when it was written down at `made_at`."""

    week: str
    first: date
    last: date
    timezone: str
    made_at: datetime
    this: Numbers
    before: Numbers | None = None
    decisions: tuple[Decision, ...] = ()
    events: tuple[Event, ...] = ()
    trends: tuple[Trend, ...] = ()
    health: Health = Health()
    budgets: dict[str, Budget] = {}

    @property
    def open(self) -> int:
        return sum(event.lasted is None for event in self.events)

    @property
    def quiet(self) -> bool:
        health = self.health
        return not self.events and not self.decisions and not health.missed and not health.channels and not health.own


def _floor(part: int, whole: int) -> str:
    return f"{part * 1000 // whole / 10:.1f}"


def count(number: int, one: str, more: str = "") -> str:
    """`1 incident`, `2 incidents`, `no incidents`."""
    return f"{number or 'no'} {one if number == 1 else more or one + 's'}"


def subject(summary: Summary) -> str:
    """`Data quality week 47: 2 incidents, 1 open - orders: bad values (3 of 41 datasets need a look)`."""
    number, this = int(summary.week[-2:]), summary.this
    head = f"Data quality week {number}: "
    if not this.due:
        return f"{head}nothing was due"
    if summary.quiet:
        return f"{head}quiet, all {this.datasets} datasets healthy" if this.datasets > 1 else f"{head}quiet, all healthy"
    said = count(len(summary.events), "incident") + (f", {summary.open} open" if summary.open else "")
    worst = _worst(summary)
    need = this.datasets - this.healthy
    look = f" ({need} of {this.datasets} datasets {'needs' if need == 1 else 'need'} a look)" if need else ""
    return head + said + (f" – {clean(worst.about, 60)}" if worst else "") + look


def _worst(summary: Summary) -> Event | None:
    """The gravest that is still open, else the gravest."""
    return max(summary.events, key=lambda e: (e.lasted is None, e.severity.rank), default=None)


def verdict(summary: Summary) -> str:
    """The week in one or two sentences for a reader who is no engineer."""
    this, parts = summary.this, []
    if not this.due:
        return "Nothing was due this week: no data was checked, so nothing can be said about it."
    if summary.quiet:
        parts.append("A quiet week: everything that was due was checked, and nothing was wrong.")
    else:
        still = f", {summary.open} of them still open" if summary.open and len(summary.events) > 1 else ", still open"
        said = count(len(summary.events), "incident")
        parts.append(
            f"{said[0].upper()}{said[1:]}{still if summary.open else ', all over' if len(summary.events) > 1 else ', over'}."
            if summary.events
            else "No incidents."
        )
        waits = sum(d.kind != "open" for d in summary.decisions)
        if waits:
            parts.append(
                f"{count(waits, 'more thing' if summary.open else 'thing')} {'needs' if waits == 1 else 'need'} a decision."
            )
    if summary.health.missed:
        parts.append(
            f"{count(summary.health.missed, 'check run was', 'check runs were')} missed, so about that data nothing is known."
        )
    return " ".join(parts)


def numbers(summary: Summary) -> list[tuple[str, str, str]]:
    """(label, this week, last week) of the four numbers."""
    this, before = summary.this, summary.before

    def four(n: Numbers | None) -> tuple[str, str, str, str]:
        if n is None or not n.due:
            return ("–",) * 4
        return (
            str(n.incidents),
            f"{n.hours_open:.1f}" if n.hours_open < 100 else amount(n.hours_open, "rows"),
            f"{n.healthy} of {n.datasets}",
            n.coverage,
        )

    labels = ("Incidents", "Hours open", "Datasets healthy", "Coverage")
    return list(zip(labels, four(this), four(before), strict=True))


def when(at: datetime, zone: str) -> str:
    """`Mon 16 Nov 02:04` in the summary's zone."""
    local = at.astimezone(ZoneInfo(zone))
    return f"{local:%a} {local.day} {local:%b %H:%M}"


def period(summary: Summary) -> str:
    """`16–22 Nov 2026`, with both months where there are two."""
    first, last = summary.first, summary.last
    begin = f"{first.day}" if first.month == last.month else f"{first.day} {first:%b}"
    return f"{begin}–{last.day} {last:%b %Y}"


def lasted(event: Event) -> str:
    return "still open" if event.lasted is None else duration(event.lasted)


def health_lines(summary: Summary) -> list[str]:
    """How the monitor itself did, in sentences; one of them where all was well."""
    health, said = summary.health, []
    if health.missed:
        said.append(
            f"{count(health.missed, 'window')} of {summary.this.due} due not checked"
            + (": " + "; ".join(health.reasons) if health.reasons else "")
        )
    if health.unsent:
        said.append(f"{count(health.unsent, 'message')} not sent yet; still being tried")
    if health.unknown:
        said.append(f"{count(health.unknown, 'message')} of which it is not known whether it arrived; being looked up")
    if health.given_up:
        said.append(f"{count(health.given_up, 'message')} given up")
    said += [*(f"Channel {name}" for name in health.channels), *health.own]
    said = said or ["All windows were checked, all messages were sent, every channel works."]
    if health.prevented:
        said.append(f"{count(health.prevented, 'message')} not told twice: looked up after an unclear answer, and found there")
    return [*said, *health.budgets]


def budget_line(summary: Summary, channel: str) -> str:
    """`#data-quality: 12 of 30 alerts, 9 useful, 3 noise`, of the channel named, else of all of them together."""
    mine = summary.budgets.get(channel)
    if mine is None or not mine.sent:
        return f"{mine.sent if mine else 0} of {ALLOWED} alerts this week"
    over = ": more than people read; tune what is noisy" if mine.sent > ALLOWED else ""
    return f"{mine.sent} of {ALLOWED} alerts this week, {max(mine.sent - mine.noise, 0)} useful, {mine.noise} marked as noise{over}"


def short(summary: Summary, channel: str, to: str = "") -> Message:
    """The summary in about ten lines, as every channel can render it; the whole of it goes along for mail."""
    told = [Finding(f"{clean(d.about, 80)}: {clean(d.text, 200)}") for d in summary.decisions[:4]]
    more = len(summary.decisions) - len(told)
    facts = tuple(Fact(label, f"{this} (last week {before})") for label, this, before in numbers(summary))
    return Message(
        state="info",
        title=f"Week {int(summary.week[-2:])} · {period(summary)}",
        text=subject(summary),
        at=summary.made_at.astimezone(UTC),
        findings=tuple(told),
        facts=(*facts, Fact("Alerts here", budget_line(summary, channel))),
        note=verdict(summary) + (f" And {count(more, 'more thing')} to decide on." if more > 0 else ""),
        why=f"weekly summary, days in {summary.timezone}; the whole of it: datavigil summary --week {summary.week}",
        summary=summary.model_dump(mode="json"),
        channel=channel,
        to=to,
    )
