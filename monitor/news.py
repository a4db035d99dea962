"""From a measured window to what is told: the wiring between checks' results and alerts' pure decisions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from alerts.deciding import news
from alerts.incident import Change, Incident
from alerts.outcome import Outcome, Ruling, Telling, Times, channels_of, ruling
from alerts.problem import Problem, Quiet, Sighting
from alerts.routing import About, Route, first
from alerts.rules import REMEMBERED
from alerts.silencing import hushed
from alerts.telling import Delivery, Subject, deliveries, line, message
from checks.result import Bounds, Family, Result, Severity, Status
from checks.window import Window
from monitor.config import Config
from monitor.dataset import Dataset
from monitor.job import ROWS, Measured
from monitor.left_out import LEFT_OUT, left_out_of
from monitor.pasting import bad_rows
from monitor.sources.base import scheme_of
from monitor.store.decisions import Before, Decision
from monitor.store.telling import Stand
from monitor.worker import MEASURE, REACHABLE, ROW_COUNT

UNJUDGED = " could not be judged"


def subjects(dataset: Dataset) -> tuple[str, str]:
    """Whose problems a window of this dataset can move: its own, and its source's."""
    return dataset.name, f"source:{dataset.source}"


def deciding(config: Config, dataset: Dataset, window: Window, measured: Measured, now: datetime) -> Callable[[Before], Decision]:
    """The decision on a window's results as a function of what stood before; pure, so it may be made again."""
    seen = sightings(dataset, window, measured, now)
    rules = dataset.rules(config.incidents)
    own, _ = subjects(dataset)
    # What waited for labels asks little: that it did not ask for the others says nothing of them.
    asked = {dataset.name: checked(measured)} if measured.state == "done" and dataset.lane == "live" else None
    named = tuple(f"{check.name}: " for check in dataset.checks)

    def decide(before: Before) -> Decision:
        # A window that is measured late, after later ones, says nothing of what is asked today.
        told_of = timely(fresh(seen, before), dataset, window, before, now - rules.page_within)
        if before.unmeasured is not None and before.unmeasured >= now - dataset.reach:
            # Another window is still being tried: that this one could be measured does not end the trouble with that one.
            told_of = [s for s in told_of if s.result.check != _measuring(dataset) or s.result.status is Status.FAILED]
        if asked is not None:
            # A check that tells its parts apart is asked for all of them, also where it came to nothing this time.
            asked[dataset.name] |= {p.check for p in before.standing.problems if p.check.startswith(named)}
        vanished = {} if before.later or asked is None else gone(dataset, window, measured, before.standing.problems)
        found = news(before.standing, told_of, now, None if before.later else asked, rules, vanished)
        sent: list[Delivery] = []
        told: list[Telling] = []
        stand = before.stand
        for change in found.changes:
            incident = change.incident
            said = _subject(dataset, window, measured, incident.subject != own, before.reports.get(incident.id))
            said = _evident(config, dataset, window, measured, change, said, before)
            route = first(config.routes, about(dataset, incident))
            rows, tellings = telling(config, route, change, stand, said, now)
            stand = stand.after(tellings, now)
            sent, told = sent + rows, told + tellings
        return Decision(found, sent, told)

    return decide


def checked(measured: Measured) -> set[str]:
    """Every check that was asked, whatever came of it: one that was skipped or errored is not gone."""
    asked = {*(result.check for result in measured.results), *measured.awaited}
    return asked | {check + UNJUDGED for check in asked} | {MEASURE, ROW_COUNT, LEFT_OUT}


def fresh(seen: Sequence[Sighting], before: Before) -> list[Sighting]:
    """Less those that would begin a problem of which a later window has said already how it is."""
    known = {problem.fingerprint for problem in before.standing.problems}

    def overtaken(result: Result) -> bool:
        return (result.check.removesuffix(UNJUDGED), result.column, result.segment) in before.later

    return [s for s in seen if s.fingerprint in known or not overtaken(s.result)]


def timely(seen: Sequence[Sighting], dataset: Dataset, window: Window, before: Before, paged_since: datetime) -> list[Sighting]:
    """With why they are not told by themselves: measured late, or long after. That a source is dead now is never late."""
    following = dataset.calendar.next(window)
    # The last window there is says how things stand now, however long it is.
    away = window.end + dataset.delay < paged_since and following.end + dataset.delay < paged_since
    held = Quiet.LATE if before.later or before.again else Quiet.AWAY if away else None
    return [s if s.result.family is Family.SOURCE else replace(s, held=held, again=before.again) for s in seen]


def gone(dataset: Dataset, window: Window, measured: Measured, problems: Sequence[Problem]) -> dict[str, str]:
    """Problems of segments that no longer have rows, nor had in the last windows, and of columns of which a check of many has
    nothing more to say; each with that as its reason to be closed."""
    there = {(r.check, r.column, r.segment) for r in measured.results}
    heard = {r.check for r in measured.results if r.status is not Status.ERRORED}
    old = window.end - REMEMBERED * dataset.every
    return {
        p.fingerprint: f"{f'{p.segment} has had no rows' if p.segment else 'no verdict'} since {p.last_end:%Y-%m-%d %H:%M} UTC"
        for p in problems
        if p.subject == dataset.name and p.last_end is not None and p.last_end <= old
        if p.segment or (p.column and p.check in heard)
        if (p.check.removesuffix(UNJUDGED), p.column, p.segment) not in there
    }


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
    said = replace(result, check=check, kind="unjudged", status=Status.FAILED, severity=Severity.WARNING)
    return replace(said, bounds=weak, score=None)


def _access(check: str, failed: Result | None) -> Result:
    if failed is None:
        return Result(check, check, Family.SOURCE, Status.PASSED, "measured")
    return replace(failed, status=Status.FAILED, severity=Severity.CRITICAL)


def telling(
    config: Config, route: Route | None, change: Change, stand: Stand, about: Subject, now: datetime, again: str = ""
) -> tuple[list[Delivery], list[Telling]]:
    """What becomes of a change in each channel that its route, or what was told before, gives it; and what is sent for it.

    `again`: nothing changed, but what kept it quiet is over; the words say so.
    """
    incident, times = change.incident, Times(now, config.telling)
    # Whom no route takes now may have been told of it before, and hears of its end.
    route = route or Route(to=())
    since = now - config.telling.storm_within
    heard = {name: stand.heard(incident.id, name, channel.threads, since, now) for name, channel in config.channels.items()}
    hush = hushed(incident, change.members, stand.silences, config.maintenance, now)
    said, story = message(change, about, route, now), line(change, about)
    said = replace(said, note=again) if again else said
    out: list[Delivery] = []
    told: list[Telling] = []
    for channel in channels_of(route, heard):
        found = ruling(change, heard[channel], hush, route, times)
        told.append(_telling(change, channel, found, route, story, again))
        if found.outcome in {Outcome.TOLD, Outcome.COMBINED}:
            out += deliveries(change, said, channel, heard[channel], route, times)
    if not told:
        nobody = Ruling(Outcome.NOTHING, "no route takes it" if not route.to else "its route names no channel of the config")
        told.append(_telling(change, "", nobody, route, story, again))
    return out, told


def _telling(change: Change, channel: str, found: Ruling, route: Route, story: str, again: str) -> Telling:
    incident = change.incident
    words = ("released" if again else str(change.happened), found.outcome, found.reason, route.words, story)
    return Telling(incident.id, incident.revision, channel, *words)


def about(dataset: Dataset, incident: Incident) -> About:
    """What routes may match: a whole source has no dataset, but the owner and tags of the one that noticed."""
    whole_source = incident.subject.startswith("source:")
    return About(incident.severity, None if whole_source else dataset.name, dataset.owner, dataset.tags)


def subject(dataset: Dataset, whole_source: bool) -> Subject:
    """What messages say of a dataset, or of its source, whatever the window."""
    if whole_source:
        return Subject(f"source {dataset.source}", timezone=dataset.timezone)
    return Subject(dataset.name, dataset.owner, dataset.tags, dataset.runbook, dataset.downstream, dataset.timezone)


def _evident(
    config: Config, dataset: Dataset, window: Window, measured: Measured, change: Change, said: Subject, before: Before
) -> Subject:
    """What there is to see of the gravest finding: how unusual it is, how often it was bad, where, and the rows themselves."""
    lead = change.members[0] if change.members else None
    if lead is None or lead.subject != dataset.name:
        return said
    recent = lead.outcomes[-3:]
    often = f"{recent.count('F')} of the last {len(recent)} windows bad" if len(recent) > 1 else ""
    parts = sorted({p.segment for p in change.members if p.segment and p.check == lead.check and p.column == lead.column})
    source = config.sources.get(dataset.source)
    scheme = scheme_of(source.url.get_secret_value()) if source else ""
    return replace(
        said,
        lead=" · ".join(word for word in (before.unusual(lead), often) if word),
        where=", ".join(parts[:5]) + (f" and {len(parts) - 5} more" if len(parts) > 5 else ""),
        code="\n".join(filter(None, (bad_rows(dataset, scheme, window, lead), _rows(measured, change)))) or None,
    )


def _rows(measured: Measured, change: Change) -> str:
    """Rows of the gravest finding that has any, as comments below the query; there are none unless the dataset shows rows."""
    found = {(r.check, r.column, r.segment): (r.details or {}).get(ROWS) for r in measured.results}
    for problem in change.members:
        rows = found.get((problem.check, problem.column, problem.segment))
        if rows:
            return "\n".join((f"-- rows of {problem.check}:", *(f"-- {row}" for row in rows)))
    return ""


def _subject(dataset: Dataset, window: Window, measured: Measured, whole_source: bool, report: str | None) -> Subject:
    made = subject(dataset, whole_source)
    return made if whole_source else replace(made, window=str(window), rows=measured.rows, report=report)
