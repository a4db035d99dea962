"""A message as every channel can render it: facts and words, no markup. Stored as JSON with its delivery, before it is sent."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal

from checks.result import Severity

State = Literal["open", "resolved", "info"]


@dataclass(frozen=True)
class Finding:
    """One problem in the incident: its sentence (value and bound in it) and how it stands."""

    text: str
    column: str | None = None
    severity: Severity | None = None
    resolved: bool = False


@dataclass(frozen=True)
class Fact:
    """A labelled value; a time is kept as one, so that a channel can show it in the reader's own zone."""

    label: str
    value: str | datetime


@dataclass(frozen=True)
class Message:
    """What is said. `text` is the whole story in one line (push notification, mail subject); the rest is layout's choice.

    `todo` are first steps, `code` is ready to paste (SQL that shows the bad rows), `why` says why the reader gets this.
    `summary` are the weekly summary's numbers, for a channel that can show them all, and `channel` the one whose budget they
    are read for; `to` is the one address it goes to, where a channel has several ('': all of them).
    """

    state: State
    title: str
    text: str
    at: datetime
    severity: Severity | None = None
    findings: tuple[Finding, ...] = ()
    facts: tuple[Fact, ...] = ()
    todo: tuple[str, ...] = ()
    code: str | None = None
    why: str = ""
    incident: str = ""
    note: str = ""
    may_repeat: bool = False
    summary: dict[str, Any] | None = None
    channel: str = ""
    to: str = ""
    marks: tuple[str, ...] = ()
    """What people did about it, a sentence each: `acknowledged by ann`. The first verb of each decides which it replaces."""
    lead: str = ""
    """How unusual the gravest finding is: `highest in 90 days · 2 of the last 3 windows bad`."""
    mute: str = ""
    """The command that keeps it quiet."""
    calls: bool = False
    """Nobody has acknowledged it: whoever is mentioned when it opens is mentioned again."""

    def marked(self) -> Message:
        """The same message, saying that it may be a repeat."""
        return replace(self, may_repeat=True)

    def with_mark(self, mark: str) -> Message:
        """The same message with what somebody did; it takes the place of an earlier mark that begins with the same word."""
        word = mark.partition(" ")[0]
        return replace(self, marks=(*(m for m in self.marks if m.partition(" ")[0] != word), mark))

    def without_mark(self, word: str) -> Message:
        return replace(self, marks=tuple(m for m in self.marks if m.partition(" ")[0] != word))

    def as_json(self) -> dict[str, Any]:
        body = asdict(self)
        body["at"] = self.at.isoformat()
        body["facts"] = [
            {"label": f.label, "time" if isinstance(f.value, datetime) else "value": _text(f.value)} for f in self.facts
        ]
        return body

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Message:
        def severity(name: str | None) -> Severity | None:
            return Severity(name) if name else None

        findings = tuple(Finding(f["text"], f["column"], severity(f["severity"]), f["resolved"]) for f in body["findings"])
        facts = tuple(Fact(f["label"], datetime.fromisoformat(f["time"]) if "time" in f else f["value"]) for f in body["facts"])
        plain = {
            **{name: value for name, value in body.items() if name in cls.__dataclass_fields__},
            "at": datetime.fromisoformat(body["at"]),
            "severity": severity(body["severity"]),
            "findings": findings,
            "facts": facts,
            "todo": tuple(body["todo"]),
            "marks": tuple(body.get("marks", ())),
        }
        return cls(**plain)


def _text(value: str | datetime) -> str:
    return value.isoformat() if isinstance(value, datetime) else value


@dataclass(frozen=True)
class Chart:
    """A picture (PNG) for an incident's thread: its title, and in words what it shows."""

    png: bytes
    title: str
    text: str


@dataclass(frozen=True)
class Outgoing:
    """One delivery as a channel sees it.

    `form`: `root` starts an incident's thread, `edit` replaces the root, `line` answers in its thread
    (`broadcast`: shown in the channel too), `message` stands alone. `key` is derived from what is said and never from
    the run; `root` is the provider's reference of the thread's root, for `edit` and `line` (and for mail's References);
    `near` that of an earlier message of the same channel: where to look this one up.
    """

    form: Literal["root", "edit", "line", "message"]
    key: str
    message: Message
    root: str | None = None
    broadcast: bool = False
    near: str | None = None
