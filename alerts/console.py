"""Standard output: for `once` in a terminal, a cron mail or a container's log."""

from __future__ import annotations

import os
import sys

from alerts.base import Channel, NotSent
from alerts.message import Message, Outgoing
from alerts.plain import as_text

RED, YELLOW, GREEN, BOLD, OFF = "\x1b[31m", "\x1b[33m", "\x1b[32m", "\x1b[1m", "\x1b[0m"


class Console(Channel):
    """Prints to standard output; coloured only on a terminal (and not where NO_COLOR is set)."""

    @property
    def where(self) -> str:
        return "standard output"

    def send(self, outgoing: Outgoing) -> None:
        text = as_text(outgoing.message)
        if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
            head, _, rest = text.partition("\n")
            text = f"{_colour(outgoing.message)}{BOLD}{head}{OFF}\n{rest}"
        try:
            sys.stdout.write(_writable(text) + "\n")
            sys.stdout.flush()
        except OSError as fault:
            raise NotSent(f"standard output takes nothing ({fault.strerror})") from None


def _colour(message: Message) -> str:
    if message.state != "open":
        return GREEN if message.state == "resolved" else ""
    return RED if message.severity == "critical" else YELLOW


def _writable(text: str) -> str:
    """What the terminal's encoding cannot say becomes a question mark instead of an error."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)
