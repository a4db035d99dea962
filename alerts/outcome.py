"""What becomes of a change in each channel: told now, held for the digest, or kept quiet, and why. Pure; the reason is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from alerts.incident import Change, Happened
from alerts.pace import Pace
from alerts.problem import Quiet
from alerts.routing import Route
from alerts.silencing import Hush
from checks.result import Severity


class Outcome(StrEnum):
    """What became of a change in a channel. Those of `WAITS` come as a line of the next digest."""

    TOLD = "told"
    HELD = "held"
    DIGEST = "digest"
    SILENCED = "silence"
    MAINTENANCE = "maintenance"
    INHIBITED = "inhibited"
    FLAPPING = "flapping"
    STORM = "storm"
    NOTHING = "nothing"
    COMBINED = "combined"


WAITS = frozenset({Outcome.HELD, Outcome.DIGEST})
QUIET = {
    Quiet.INHIBITED: "another incident causes it: told if it still stands when that one is over",
    Quiet.LATE: "it came of rows that arrived late, of which nobody is paged",
    Quiet.AWAY: "its window ended longer ago than anybody is paged for",
}
KEPT_QUIET = frozenset({Outcome.SILENCED, Outcome.MAINTENANCE})
"""Told once when what kept them quiet is over and they still stand."""
UNTOLD = frozenset({Happened.INHIBITED, Happened.STEADY, Happened.ACKED})
"""Of no interest where the incident itself was not told."""


@dataclass(frozen=True)
class Telling:
    """What became of a change in one channel, to be written down with it; '' is nobody's channel.

    `line` is its sentence for a digest; `route` the words of the rule that chose the channel.
    """

    incident: int
    revision: int
    channel: str
    happened: str
    outcome: Outcome
    reason: str
    route: str
    line: str


@dataclass(frozen=True)
class Heard:
    """What one channel has heard of an incident so far.

    `rooted`: a message went there or waits to; `unsent`: it still waits, nothing of it was ever tried. `earlier` are the outcomes
    of earlier changes; `edited_at` when the last edit may go or went; `begun` how many other incidents began there within the
    storm's time; `storm` that one goes on there.
    """

    threads: bool
    rooted: bool = False
    unsent: bool = False
    earlier: frozenset[Outcome] = frozenset()
    edited_at: datetime | None = None
    begun: int = 0
    storm: bool = False

    @property
    def knows(self) -> bool:
        """Somebody read of it, or will."""
        return self.rooted or bool(self.earlier & (WAITS | {Outcome.STORM}))


@dataclass(frozen=True)
class Ruling:
    outcome: Outcome
    reason: str


@dataclass(frozen=True)
class Times:
    """When: `now`, and the pace of telling."""

    now: datetime
    pace: Pace = field(default_factory=Pace)


def ruling(change: Change, heard: Heard, hush: Hush | None, route: Route, times: Times) -> Ruling:
    """What becomes of the change in a channel, the first rule that holds; with its reason, in words for `explain`."""
    if change.happened is Happened.RESOLVED:
        return _resolved(change, heard, route, times)
    if not heard.rooted and change.happened is Happened.LEFT:
        return Ruling(Outcome.NOTHING, "a part of it is over; this channel was not told of it by a message of its own")
    if hush is not None:
        return Ruling(Outcome.SILENCED if hush.by == "silence" else Outcome.MAINTENANCE, hush.reason)
    if change.quiet is not None:
        return Ruling(Outcome.INHIBITED if change.quiet is Quiet.INHIBITED else Outcome.DIGEST, QUIET[change.quiet])
    if not heard.rooted and change.happened in UNTOLD:
        return Ruling(Outcome.NOTHING, "nothing new for a channel that was not told of it")
    # Only for who knows of it: that it does so may have been kept quiet, or told elsewhere.
    if heard.knows and change.incident.flapping_since is not None and change.flapping is None and not _beside_flapping(change):
        return Ruling(Outcome.FLAPPING, "it goes to and fro: single turns are not told, only that it does and that it stopped")
    if not heard.rooted and _storms(heard, times.pace):
        words = f"more than {times.pace.storm} incidents began within {_minutes(times.pace.storm_within)}"
        return Ruling(Outcome.STORM, f"{words}: it is counted in the storm's message")
    until = route.not_before(times.now, change.incident.severity)
    if until is not None and not (heard.rooted and heard.threads):
        return Ruling(Outcome.HELD, f"quiet hours {route.quiet}: a warning waits for the digest at {until:%Y-%m-%d %H:%M} UTC")
    if until is not None:
        return Ruling(Outcome.TOLD, "quiet hours: only in the thread, without a mention")
    return Ruling(Outcome.TOLD, "a critical incident never waits" if route.quiet and critical(change) else "it is told at once")


def _resolved(change: Change, heard: Heard, route: Route, times: Times) -> Ruling:
    lasted = times.now - change.incident.opened_at
    if heard.rooted and not heard.unsent:
        if heard.threads or route.not_before(times.now, change.incident.severity) is None:
            return Ruling(Outcome.TOLD, "who was told of it hears of its end")
        return Ruling(Outcome.DIGEST, "quiet hours: its end is a line of the digest")
    if heard.unsent and critical(change) and lasted > times.pace.short:
        return Ruling(
            Outcome.COMBINED, f"it was over before it could be sent, but lasted {_minutes(lasted)}: one message tells both"
        )
    if heard.knows:
        return Ruling(Outcome.DIGEST, "it was over before a message of its own was sent")
    return Ruling(Outcome.NOTHING, "this channel was never told of it")


def _beside_flapping(change: Change) -> bool:
    """It got more severe, or what begins does not flap itself: that must not be lost in the noise."""
    return change.happened is Happened.WORSE or any(p.flapping_since is None for p in change.fresh)


def _storms(heard: Heard, pace: Pace) -> bool:
    return bool(pace.storm) and (heard.storm or heard.begun >= pace.storm)


def critical(change: Change) -> bool:
    return change.incident.severity is Severity.CRITICAL


def _minutes(length: timedelta) -> str:
    return f"{length.total_seconds() / 60:.0f} min"


def channels_of(route: Route, heard: Mapping[str, Heard]) -> list[str]:
    """The route's channels, then those that know of the incident already: they hear of its end whatever the route says by then."""
    others = sorted(name for name, h in heard.items() if h.knows and name not in route.to)
    return [name for name in (*route.to, *others) if name in heard]
