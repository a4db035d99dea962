"""From a measured window to what is told: the wiring between checks' results and alerts' pure decisions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from alerts.incident import Change, news
from alerts.problem import Sighting
from alerts.routing import About, Route, first
from alerts.telling import Delivery, Subject, deliveries
from checks.result import Bounds, Family, Result, Severity, Status
from checks.window import Window
from monitor.config import Config
from monitor.dataset import Dataset
from monitor.job import Measured
from monitor.left_out import LEFT_OUT, left_out_of
from monitor.store.decisions import Before, Decision
from monitor.worker import MEASURE, REACHABLE, ROW_COUNT

UNJUDGED = " could not be judged"


def subjects(dataset: Dataset) -> tuple[str, str]:
    """Whose problems a window of this dataset can move: its own, and its source's."""
    return dataset.name, f"source:{dataset.source}"


def deciding(config: Config, dataset: Dataset, window: Window, measured: Measured, now: datetime) -> Callable[[Before], Decision]:
    """The decision on a window's results as a function of what stood before; pure, so it may be made again."""
    seen = sightings(dataset, window, measured, now)
    # What waited for labels asks little: that it did not ask for the others says nothing of them.
    asked = {dataset.name: checked(measured)} if measured.state == "done" and dataset.lane == "live" else None
    named = tuple(f"{check.name}: " for check in dataset.checks)

    def decide(before: Before) -> Decision:
        # A window that is measured late, after later ones, says nothing of what is asked today.
        told_of = fresh(seen, before)
        if before.unmeasured is not None and before.unmeasured >= now - dataset.reach:
            # Another window is still being tried: that this one could be measured does not end the trouble with that one.
            told_of = [s for s in told_of if s.result.check != _measuring(dataset) or s.result.status is Status.FAILED]
        if asked is not None:
            # A check that tells its parts apart is asked for all of them, also where it came to nothing this time.
            asked[dataset.name] |= {p.check for p in before.standing.problems if p.check.startswith(named)}
        found = news(before.standing, told_of, now, None if before.later else asked)
        told: list[Delivery] = []
        for change in found.changes:
            told += _deliveries(config, dataset, window, measured, change, before, now)
        return Decision(found, told)

    return decide


def checked(measured: Measured) -> set[str]:
    """Every check that was asked, whatever came of it: one that was skipped or errored is not gone."""
    asked = {result.check for result in measured.results}
    return asked | {check + UNJUDGED for check in asked} | {MEASURE, ROW_COUNT, LEFT_OUT}


def fresh(seen: Sequence[Sighting], before: Before) -> list[Sighting]:
    """Less those that would begin a problem of which a later window has said already how it is."""
    known = {problem.fingerprint for problem in before.standing.problems}

    def overtaken(result: Result) -> bool:
        return (result.check.removesuffix(UNJUDGED), result.column, result.segment) in before.later

    return [s for s in seen if s.fingerprint in known or not overtaken(s.result)]


def sightings(dataset: Dataset, window: Window, measured: Measured, now: datetime) -> list[Sighting]:
    """What the problems get to see of a window.

    An errored result moves only a problem of its own ("could not be judged"); a window that could not be measured moves
    only the source's or the dataset's: no verdict is never a pass.
    """
    own, source = subjects(dataset)
    out = [Sighting(own, r, window.start, window.end) for r in measured.results if r.status in {Status.PASSED, Status.FAILED}]
    if measured.state != "errored":
        out += [Sighting(own, _unjudged(r), window.start, window.end) for r in measured.results if r.status is not Status.SKIPPED]
    if dataset.lane != "live":
        return out + _of_labels(dataset, window, measured)
    if measured.state == "done" and all(r.check != ROW_COUNT for r in measured.results):
        # Without a check of that name too: an empty window was told under it, and is over.
        arrived = Result(ROW_COUNT, ROW_COUNT, Family.ARRIVAL, Status.PASSED, "rows arrived")
        out.append(Sighting(own, arrived, window.start, window.end))
    if all(r.check != LEFT_OUT for r in measured.results):
        whole = Result(LEFT_OUT, LEFT_OUT, Family.ARRIVAL, Status.PASSED, "no window before this one was left out")
        out.append(Sighting(own, whole, window.start, window.end))
    failed = measured.results[0] if measured.state == "errored" else None
    for subject, check in ((own, MEASURE), (source, REACHABLE)):
        if failed is None or failed.check == check:
            out.append(Sighting(subject, _access(check, failed), window.start if subject == own else now, now))
    return out


def _of_labels(dataset: Dataset, window: Window, measured: Measured) -> list[Sighting]:
    """Whether a window that waited for labels could be measured; of its rows, and of the source, the live one spoke long ago."""
    checks = [left_out_of(dataset), _measuring(dataset)]
    failed = measured.results[0] if measured.state == "errored" else None
    well = [Result(checks[0], LEFT_OUT, Family.ARRIVAL, Status.PASSED, "no window before this one was left out")]
    well = [r for r in well if all(r.check != found.check for found in measured.results)]
    access = _access(checks[1], failed and replace(failed, check=checks[1], message=f"{checks[1]}: {failed.message}"))
    return [Sighting(dataset.name, result, window.start, window.end) for result in (*well, access)]


def _measuring(dataset: Dataset) -> str:
    """The id of a window that could not be measured; each lane has its own."""
    return MEASURE if dataset.lane == "live" else f"{MEASURE}({dataset.lane})"


def _unjudged(result: Result) -> Result:
    """An errored result as a failed one of its own check; any verdict as its opposite."""
    check = result.check + UNJUDGED
    if result.status is not Status.ERRORED:
        return replace(result, check=check, status=Status.PASSED, severity=None)
    # As weak as a learned finding: in short windows one hiccup is no news.
    weak = Bounds(learned=True)
    return replace(result, check=check, status=Status.FAILED, severity=Severity.WARNING, bounds=weak, score=None)


def _access(check: str, failed: Result | None) -> Result:
    if failed is None:
        return Result(check, check, Family.SOURCE, Status.PASSED, "measured")
    return replace(failed, status=Status.FAILED, severity=Severity.CRITICAL)


def _deliveries(
    config: Config, dataset: Dataset, window: Window, measured: Measured, change: Change, before: Before, now: datetime
) -> list[Delivery]:
    incident = change.incident
    whole_source = incident.subject.startswith("source:")
    about = About(incident.severity, None if whole_source else dataset.name, dataset.owner, dataset.tags)
    # Whom no route takes now may have been told of it before, and hears of its end.
    route = first(config.routes, about) or Route(to=())
    threads = {name: channel.threads for name, channel in config.channels.items()}
    subject = _subject(dataset, window, measured, whole_source, before.reports.get(incident.id))
    return deliveries(change, subject, route, threads, before.told.get(incident.id, frozenset()), now)


def _subject(dataset: Dataset, window: Window, measured: Measured, whole_source: bool, report: str | None) -> Subject:
    if whole_source:
        return Subject(f"source {dataset.source}", timezone=dataset.timezone)
    return Subject(
        dataset.name,
        dataset.owner,
        dataset.tags,
        dataset.runbook,
        dataset.downstream,
        dataset.timezone,
        str(window),
        measured.rows,
        report,
    )
