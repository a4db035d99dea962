"""The console: what an on-call engineer reads, and that data cannot reach into the terminal."""

from __future__ import annotations

import errno
import io
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from alerts.base import NotSent
from alerts.console import Console
from alerts.message import Fact, Finding, Message, Outgoing
from alerts.plain import as_text, clean
from checks.result import Severity

AT = datetime(2026, 11, 23, 2, 4, tzinfo=UTC)
MESSAGE = Message(
    state="open",
    title="orders · bad values in amount",
    text="CRIT orders: missing(amount) is 38.2 %",
    at=AT,
    severity=Severity.CRITICAL,
    findings=(
        Finding("drift(discount) is 0.31, at most 0.1 allowed", "discount", Severity.WARNING, resolved=True),
        Finding("missing(amount) is 38.2 %, at most 2 % allowed", "amount", Severity.CRITICAL),
    ),
    facts=(Fact("Since", datetime(2026, 11, 23, 1, tzinfo=UTC)), Fact("Rows", "107 874")),
    todo=("datavigil results --dataset orders --failed",),
    code="select *\nfrom orders",
    why="route critical",
    incident="INC-12",
    note="worse: missing(amount) is 38.2 %",
)

EXPECTED = """\
CRITICAL · orders · bad values in amount
worse: missing(amount) is 38.2 %

  CRITICAL  missing(amount) is 38.2 %, at most 2 % allowed
  healed    drift(discount) is 0.31, at most 0.1 allowed

  Since  Mon 2026-11-23 01:00 UTC
  Rows   107 874

First do:
  1. datavigil results --dataset orders --failed

To look closer:
    select *
    from orders

INC-12 · route critical · Mon 2026-11-23 02:04 UTC

"""


def test_it_prints_what_an_engineer_needs_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    Console.model_validate({}).send(Outgoing("message", "k", MESSAGE))
    assert capsys.readouterr().out == EXPECTED


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def printed(monkeypatch: pytest.MonkeyPatch, message: Message, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", Terminal(raw, encoding=encoding, newline=""))
    Console.model_validate({}).send(Outgoing("message", "k", message))
    return raw.getvalue().decode(encoding)


def test_colour_is_for_a_terminal_alone_and_only_in_the_first_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    head, rest = printed(monkeypatch, MESSAGE).split("\n", 1)
    assert head == "\x1b[31m\x1b[1mCRITICAL · orders · bad values in amount\x1b[0m"
    assert rest == EXPECTED.split("\n", 1)[1]
    assert printed(monkeypatch, replace(MESSAGE, state="resolved")).startswith("\x1b[32m\x1b[1mRESOLVED, was CRITICAL")
    monkeypatch.setenv("NO_COLOR", "1")
    assert printed(monkeypatch, MESSAGE) == EXPECTED


def test_a_terminal_that_knows_only_ascii_gets_question_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert printed(monkeypatch, MESSAGE, "ascii").startswith("CRITICAL ? orders ? bad values in amount\n")


def test_data_sends_nothing_to_the_terminal_but_text() -> None:
    evil = "a\x1b[2Jb\x07c\x9bd\u202ee\rf\x00g\ud800h"
    message = replace(
        MESSAGE, title=evil, text=evil, note=evil, findings=(Finding(evil),), facts=(Fact(evil, evil),), todo=(evil,), code=evil
    )
    text = as_text(message)
    assert not {c for c in text if c < " " and c != "\n"} | set("\x9b\u202e\ud800") & set(text)
    assert "a[2Jbcde fgh" in text


def test_lines_are_as_wide_as_asked_and_code_is_left_alone() -> None:
    message = replace(MESSAGE, findings=(Finding("word " * 200),), code="x" * 300)
    lines = as_text(message, width=76).splitlines()
    assert [line for line in lines if len(line) > 76] == ["    " + "x" * 300]


def test_a_flood_of_findings_is_cut_and_counted() -> None:
    message = replace(MESSAGE, findings=tuple(Finding(f"finding {n}") for n in range(60)))
    assert "  and 10 more" in as_text(message).splitlines()


def test_a_message_without_findings_still_tells_its_story() -> None:
    bare = Message("info", "datavigil test message", "datavigil can reach the channel team. Nothing is wrong.", AT)
    assert as_text(bare).splitlines()[:3] == [
        "INFO · datavigil test message",
        "",
        "datavigil can reach the channel team. Nothing is wrong.",
    ]


def test_a_cut_is_marked() -> None:
    assert clean("x" * 5000, 10) == "xxxxxxxxx…"
    assert clean("x" * 10, 10) == "x" * 10
    assert clean("\x00" * 50 + "x" * 5, 10).endswith("…")


def test_a_closed_output_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(sys, "stdout", Gone())
    with pytest.raises(NotSent, match="Broken pipe"):
        Console.model_validate({}).send(Outgoing("message", "k", MESSAGE))
