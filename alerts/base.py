"""A channel: where a message can go. A new kind is one new file in this package with a subclass of `Channel` in it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from alerts.message import Chart, Outgoing


class DeliveryError(Exception):
    """A message did not (surely) arrive. The text is for logs and people and holds no secret."""


class NotSent(DeliveryError):
    """Surely not sent, and trying again helps: refused connection, DNS failure, greylisting."""


class Unreachable(NotSent):
    """Surely not sent: there is no way to it. A channel that stays so is out of order, whatever it would say."""


class Postponed(NotSent):
    """Surely not sent, and asking again soon does not help: a mail server that greylists wants minutes."""


class RateLimited(DeliveryError):
    """The channel asks for a pause of `after` seconds; not an attempt."""

    def __init__(self, reason: str, after: float) -> None:
        super().__init__(reason)
        self.after = after


class Unknown(DeliveryError):
    """It may have arrived: a timeout, a dropped connection, a 5xx. Look it up before sending again."""


class ChannelBroken(DeliveryError):
    """This channel takes nothing until somebody mends it: archived, not a member, address refused."""


class AddressBroken(ChannelBroken):
    """This one recipient is refused for good; the channel's others may well be taken."""


class CredentialBroken(DeliveryError):
    """The account or token is refused; nothing on this transport goes through until it is changed."""


class Impossible(DeliveryError):
    """The content is refused for good, even as plain text."""


class RootGone(DeliveryError):
    """The thread's root no longer exists: post a new one."""


class CannotLookUp(DeliveryError):
    """The channel cannot be asked whether a message arrived."""


class Channel(BaseModel):
    """Settings and abilities that every channel has.

    `send` and `find` are called from one thread at a time per channel; they block for at most the channel's own timeout.
    """

    # A mistyped key or a wrong value may be a secret: pydantic must not repeat it in its error.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    kind: ClassVar[str]
    threads: ClassVar[bool] = False
    """It can edit a message and answer in its thread: an incident is one root, edited in place."""
    looks_up: ClassVar[bool] = False
    """It can be asked whether a message with our key arrived."""

    folds: ClassVar[bool] = False
    """It folds what it is told twice into one by our key, so a repeat is not seen."""

    pace: ClassVar[float] = 0.0
    """Messages a second that it takes for long, after a small burst; 0: as many as there are."""

    fallback: str | None = Field(None, description="the channel that gets what this one cannot take")
    mention: str | None = Field(None, description="who is mentioned when a critical incident opens, and with each reminder")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.kind = cls.__module__.rpartition(".")[2]

    @property
    def where(self) -> str:
        """Where it goes, for people: `Slack #oncall`. Holds no secret."""
        raise NotImplementedError

    @property
    def recipients(self) -> tuple[str, ...]:
        """The addresses behind the channel, each of which gets a message of its own; ('',) where there is but one place."""
        return ("",)

    def send(self, outgoing: Outgoing) -> str | None:
        """Send once; the provider's reference of the message, if it has one. Raises DeliveryError's subclasses only."""
        raise NotImplementedError

    def find(self, outgoing: Outgoing, since: datetime) -> str | None:
        """The reference of a message with our key that arrived after `since`, None if it did not. Raises CannotLookUp,
        and DeliveryError's other subclasses where the asking itself fails."""
        raise CannotLookUp(f"{self.kind} cannot be asked")

    @property
    def draws(self) -> bool:
        """It takes charts into the thread of an incident."""
        return False

    def attach(self, root: str, charts: Sequence[Chart]) -> str:
        """Put charts into the thread of the message with this reference; the reference of what it made of them. Raises
        DeliveryError's subclasses. A courtesy: whatever comes of it, it is not tried again."""
        raise Impossible(f"{self.kind} takes no charts")

    def lacks(self) -> list[str]:
        """What it may not do and what that costs, a sentence each with what to do about it; asks the service.
        Raises DeliveryError's subclasses."""
        return []

    @property
    def account(self) -> str:
        """Channels with the same one break and heal together where the credential does. Never shown: it may hold a secret."""
        return ""

    def probe(self) -> bool:
        """Asks, without telling anybody anything, whether the credential is taken: True if so, False where this cannot be asked.
        Raises DeliveryError's subclasses."""
        return False
