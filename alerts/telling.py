"""From a change of an incident to what is said and to whom: messages and deliveries, before any of them is sent. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from alerts.incident import Change, Happened, Incident
from alerts.message import Fact, Finding, Message
from alerts.outcome import Heard, Times
from alerts.problem import Problem
from alerts.routing import Route
from checks.result import Family, Severity
from checks.wording import duration

Form = Literal["root", "edit", "line", "message"]

WORD = {Severity.CRITICAL: "CRIT", Severity.WARNING: "WARN"}
EXPIRES = timedelta(hours=24)
LOUD = frozenset({Happened.WORSE, Happened.REOPENED, Happened.RELEASED})
"""Shown in the channel, too, not only in the thread."""
REPORT = "Report"
CONTENT = "takes the content"
"""The kind of a finding about a message that its channel refuses for good."""
NAMED = {
    Family.SOURCE: "cannot be measured",
    Family.ARRIVAL: "data did not arrive as usual",
    Family.LAYOUT: "columns changed",
    Family.QUALITY: "bad values",
    Family.DRIFT: "values drifted",
    Family.MODEL: "model got worse",
}


@dataclass(frozen=True)
class Delivery:
    """One message to one channel, to be written down before it is sent. `key` is derived from what it says."""

    key: str
    incident: int | None
    channel: str
    form: Form
    message: Message
    revision: int = 0
    broadcast: bool = False
    not_before: datetime | None = None
    expires_at: datetime | None = None

    @property
    def payload(self) -> dict[str, Any]:
        return self.message.as_json()


@dataclass(frozen=True)
class Subject:
    """What a message says of the dataset beside the findings."""

    name: str
    owner: str | None = None
    tags: tuple[str, ...] = ()
    runbook: str | None = None
    downstream: tuple[str, ...] = ()
    timezone: str = "UTC"
    window: str = ""
    rows: int | None = None
    report: str | None = None
    lead: str = ""
    code: str | None = None
    where: str = ""


def message(change: Change, subject: Subject, route: Route, now: datetime) -> Message:
    """The incident as it stands after the change, as a message of its own."""
    incident, over = change.incident, change.happened is Happened.RESOLVED
    told = change.gone if over else change.members
    lead = told[0] if told else None
    since = incident.since
    head = f"{WORD[incident.severity]} {subject.name}: {_first_words(lead)}"
    if over:
        lasted = duration((now - since).total_seconds())
        text = f"RESOLVED {subject.name}: {_named(incident, lead)}, over after {lasted} (was {WORD[incident.severity]})"
        if change.reason:
            text += f", {change.reason}"
    else:
        text = f"{head}, since {_moment(since)}" + (f" (+{len(told) - 1} more)" if len(told) > 1 else "")
    if change.happened is Happened.LEFT and change.gone:
        text = f"{subject.name}: over: {_sentence(change.gone[0])}; {len(told)} more still open"
    findings = [Finding(_sentence(p), p.column, p.severity, resolved=over) for p in told]
    if not over:
        findings += [Finding(_sentence(p), p.column, p.severity, resolved=True) for p in change.gone]
    return Message(
        state="resolved" if over else "open",
        title=f"{subject.name} · {_title(incident, lead)}",
        text=text,
        at=now,
        severity=incident.severity,
        findings=tuple(findings),
        facts=_facts(change, subject, now),
        todo=_todo(subject, over),
        why=f"route {route.words}",
        incident=incident.name,
        note=_note(change, told),
        marks=(f"acknowledged by {incident.acked_by}",) if incident.acked_by else (),
        lead="" if over else subject.lead,
        code=None if over else subject.code,
        mute="" if over else f"datavigil silence {incident.name} --for 4h",
    )


def line(change: Change, subject: Subject) -> str:
    """The change as a line of a digest; when it was stands beside it there."""
    told = change.gone if change.happened in {Happened.RESOLVED, Happened.LEFT} else change.fresh or change.members
    if not told:
        return f"{subject.name}: {_named(change.incident)}"
    return f"{subject.name}: {_sentence(told[0])}" + (f" (+{len(told) - 1} more)" if len(told) > 1 else "")


def deliveries(change: Change, said: Message, channel: str, heard: Heard, route: Route, times: Times) -> list[Delivery]:
    """What goes to a channel that is told now: a root or a message of its own, else an edit and a line in the thread."""
    incident, now = change.incident, times.now
    over = change.happened is Happened.RESOLVED
    # By the severity: what a warning has to say must not light up a phone at night.
    loud = change.happened in LOUD and route.not_before(now, incident.severity) is None

    def row(name: str, form: Form, not_before: datetime | None = None) -> Delivery:
        key = key_of(incident.id, incident.opened_at, channel, name)
        broadcast = loud and form == "line"
        return Delivery(key, incident.id, channel, form, said, incident.revision, broadcast, not_before, now + EXPIRES)

    if over and (heard.unsent or not heard.rooted):
        return [row(f"combined:{incident.revision}", "root" if heard.threads else "message")]
    if not heard.rooted:
        return [row("open:1", "root" if heard.threads else "message")]
    # A reopened incident ends again: each end has a key of its own.
    ended = f"resolved:{incident.reopened + 1}"
    if heard.threads:
        line = row(ended if over else f"line:{incident.revision}", "line")
        return _with_edit(line, row(f"rev:{incident.revision}", "edit"), heard, times, over or loud)
    if change.happened is Happened.LEFT:
        return []
    return [row(ended if over else f"rev:{incident.revision}", "message")]


def _with_edit(line: Delivery, edit: Delivery, heard: Heard, times: Times, at_once: bool) -> list[Delivery]:
    """Edits come at most each `edit_every`, except where it matters; one that waits comes after the line, not to hold it back."""
    free = (heard.edited_at + times.pace.edit_every) if heard.edited_at else times.now
    if at_once or free <= times.now:
        return [edit, line]
    return [line, replace(edit, not_before=free)]


def key_of(incident: int, opened_at: datetime, channel: str, name: str) -> str:
    """The key of what is said of an incident in a channel."""
    # Numbers begin at 1 in every store: with the time it opened, two that share a channel are not mistaken.
    return f"inc:{incident}-{opened_at:%Y%m%dT%H%M%S%f}:{channel}:{name}"


def harmless(name: str, now: datetime) -> Message:
    """What `test-channel` sends."""
    return Message(
        state="info",
        title="datavigil test message",
        text=f"datavigil can reach the channel {name}. Nothing is wrong.",
        at=now,
        why="somebody ran datavigil test-channel",
    )


def _title(incident: Incident, lead: Problem | None) -> str:
    """What is wrong, in words: `missing values in amount`, not an id."""
    return _named(incident, lead) + (f" in {lead.column}" if lead and lead.column else "")


def _named(incident: Incident, lead: Problem | None = None) -> str:
    if incident.subject.startswith("channel:"):
        return "refused a message" if lead and lead.kind == CONTENT else "takes no messages"
    return NAMED[incident.family]


def _first_words(lead: Problem | None) -> str:
    return _sentence(lead) if lead else ""


def _sentence(problem: Problem) -> str:
    where = f" [{problem.segment}]" if problem.segment else ""
    return f"{problem.message}{where}"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _facts(change: Change, subject: Subject, now: datetime) -> tuple[Fact, ...]:
    incident = change.incident
    facts = [Fact("Since", incident.since)]
    if incident.resolved_at:
        facts += [Fact("Until", incident.resolved_at), Fact("Lasted", duration((now - incident.since).total_seconds()))]
    if subject.window:
        facts.append(Fact("Window", subject.window))
    if subject.rows is not None:
        facts.append(Fact("Rows", f"{subject.rows:,}".replace(",", " ")))
    if subject.where:
        facts.append(Fact("Where", subject.where))
    if subject.owner:
        facts.append(Fact("Owner", subject.owner))
    if subject.downstream:
        facts.append(Fact("Feeds", ", ".join(subject.downstream)))
    if subject.report:
        facts.append(Fact(REPORT, subject.report))
    return tuple(facts)


def reported(said: Message, report: str) -> Message:
    """The same message, with where the incident's report is."""
    return replace(said, facts=(*(f for f in said.facts if f.label != REPORT), Fact(REPORT, report)))


def _todo(subject: Subject, over: bool) -> tuple[str, ...]:
    if over:
        return ()
    steps = [f"Runbook: {subject.runbook}"] if subject.runbook else []
    if subject.name.startswith("channel "):
        return (*steps, f"datavigil test-channel {subject.name.removeprefix('channel ')}")
    # A whole source has no dataset to name: its incident is looked at by number.
    name = "" if subject.name.startswith("source ") else f" --dataset {subject.name}"
    return (*steps, f"datavigil results{name} --failed")


def _note(change: Change, told: tuple[Problem, ...]) -> str:
    """The line in the thread: what changed now."""
    if change.happened is Happened.RESOLVED:
        return "resolved" + (f": {change.reason}" if change.reason else "")
    if change.happened is Happened.LEFT:
        return "over: " + "; ".join(_sentence(p) for p in change.gone)
    if change.happened is Happened.OPENED:
        return "opened"
    word = "worse" if change.happened is Happened.WORSE else "also"
    return f"{word}: " + "; ".join(_sentence(p) for p in (change.fresh or told)[:3])
