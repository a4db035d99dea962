"""What happens in a worker process: one window measured and judged. The only place that connects to a source.

Everything comes in with the `Job` and goes out with `Measured`; a worker knows no store, no clock and no channel.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import signal
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from checks.base import Check, Past, Table, View, rows_in_all
from checks.profile import Broken, Grid, Number, Outdated, Profile, merge
from checks.question import IN_ALL, Categories, Population, Question, Schema
from checks.result import Family, Result, Severity, Status
from checks.window import Window
from checks.wording import amount
from monitor.dataset import Dataset, Previous
from monitor.job import Job, Measured, State
from monitor.judging import judged_apart, judged_together
from monitor.kinds import check_kinds
from monitor.sources.base import NoData, SourceDown, SourceError

HISTORY = 90
"""Windows of history that a check may look at."""
MEASURE = "measure"
REACHABLE = "reachable"
ROW_COUNT = "row_count"


def prepare() -> None:
    """Run once in a new worker: die with the parent, leave Ctrl-C to it, no telemetry by anybody."""
    os.environ["DO_NOT_TRACK"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The fork server hands down the daemon's handler, which only makes sense there.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    logging.getLogger().setLevel(logging.WARNING)
    if sys.platform == "linux":
        die_with_parent = 1
        ctypes.CDLL(None).prctl(die_with_parent, signal.SIGKILL)


def measure_window(job: Job) -> Measured:
    """The window's profile and results. A fault of the source is an errored window; nothing is raised for it."""
    from monitor.measuring.measure import measure, reading

    began = time.monotonic()
    dataset = job.dataset
    try:
        with reading(job.source, dataset.place, job.window, dataset.timeout) as read:
            history = _history(job)
            checks = chosen(dataset, read.schema)
            asked = questions(checks, dataset, read.schema)
            references = [past.window for past in _reference(job, history)]
            profile = measure(read, asked, _grids(history), references[-7:])
    except NoData as nothing:
        return Measured("no_data", [_no_data(dataset, job, str(nothing))], 0, time.monotonic() - began)
    except SourceDown as fault:
        return _errored(REACHABLE, str(fault), began)
    except SourceError as fault:
        return _errored(MEASURE, str(fault), began)
    except Exception as fault:  # An engine's fault that nobody foresaw is still the window's, not the worker's.
        return _errored(MEASURE, f"{type(fault).__name__}: {job.source.said(fault)}", began)
    results = judge(job, checks, profile, history, began)
    if not profile.rows and all(r.kind != ROW_COUNT for r in results):
        # No check looks at the number of rows, and silence means healthy all the same.
        results.append(_no_data(dataset, job, "the window has no rows"))
    results = [_unseen(result, dataset.mask) for result in results]
    state: State = "done" if profile.rows else "no_data"
    rows = rows_in_all(profile.answers(), profile.rows)
    return Measured(state, results, rows, time.monotonic() - began, profile.to_bytes())


def judge(
    job: Job, checks: Sequence[Check], profile: Profile, history: Sequence[Stored], began: float | None = None
) -> list[Result]:
    """Every check on the whole window and on each of its segments. `began` is when the worker did, on the monotonic clock."""
    apart: list[tuple[Check, View]] = []
    here: list[tuple[Check, View]] = []
    kept = job.dataset.reference
    # The last windows need no pool of their own: they are the history, and each check knows how to look at it.
    rolling = job.reference is None and isinstance(kept, Previous) and not kept.same_weekday
    reference = None if rolling else merge(past.profile for past in _reference(job, history))
    results = list(_without_segments(job.dataset, checks, profile.schema))
    for check in checks:
        gone = [c for c in check.watched if c not in profile.schema]
        if gone:
            known = ", ".join(profile.schema)
            results.append(_result(check, Status.ERRORED, f"{check.name}: there is no column {gone[0]} (there are: {known})"))
            continue
        unread = profile.answers(check.where).get("rows")
        if isinstance(unread, Broken):
            results.append(_result(check, Status.ERRORED, f"{check.name}: {unread.reason}"))
            continue
        for segment in _segments(check, job.dataset, profile):
            view = _view(job, check, profile, history, reference, segment)
            (apart if check.apart else here).append((check, view))
    results += judged_together(here)
    results += judged_apart(job.dataset, apart, time.monotonic() if began is None else began)
    return [_of_a_sample(result, profile) for result in results]


def _of_a_sample(result: Result, profile: Profile) -> Result:
    """A verdict on a sample says so, except the number of rows, which is known."""
    whole = profile.answers().get(IN_ALL)
    if not isinstance(whole, Number) or result.kind == ROW_COUNT or result.status is Status.ERRORED:
        return result
    said = f"{result.message}; on a sample of {amount(profile.rows, 'rows')} of {amount(whole.value or 0, 'rows')} rows"
    return replace(result, message=said, details={**(result.details or {}), "sample": [profile.rows, whole.value]})


def _without_segments(dataset: Dataset, checks: Iterable[Check], schema: Schema) -> Iterable[Result]:
    """A column to segment by that is not there: else its checks would fall silent."""
    for by in dict.fromkeys(by for check in checks for by in _by(check, dataset)):
        if by not in schema:
            said = f"segments: there is no column {by} (there are: {', '.join(schema)})"
            yield Result("segments", "segments", Family.LAYOUT, Status.ERRORED, said, by)


def chosen(dataset: Dataset, schema: Schema) -> list[Check]:
    """The user's checks, then the automatic ones that the user did not write himself."""
    own = {check.name for check in dataset.checks}
    if not dataset.auto:
        return list(dataset.checks)
    table = Table(schema, dataset.time_column, frozenset(dataset.exclude))
    automatic = [c for kind in check_kinds().values() for c in kind.automatic(table)]
    return [*dataset.checks, *(c for c in automatic if c.name not in own)]


def questions(checks: Iterable[Check], dataset: Dataset, schema: Schema) -> dict[Population, list[Question]]:
    """Everything the checks ask, each question once per population, whoever asks."""
    asked: dict[Population, dict[str, Question]] = {Population(): {}}
    for check in checks:
        if any(c not in schema for c in check.watched):
            continue
        for by in (None, *(by for by in _by(check, dataset) if by in schema)):
            # Also where it asks nothing: the number of rows is part of every answer.
            here = asked.setdefault(Population(check.where, by), {})
            for question in check.questions(schema):
                known = here.setdefault(question.key, question)
                if isinstance(question, Categories) and isinstance(known, Categories) and question.cap > known.cap:
                    here[question.key] = question
    return {population: list(found.values()) for population, found in asked.items()}


@dataclass(frozen=True)
class Stored:
    window: Window
    profile: Profile


def _history(job: Job) -> list[Stored]:
    return _readable(job, job.history)


def _readable(job: Job, stored: Sequence[tuple[datetime, datetime, bytes]]) -> list[Stored]:
    """Stored profiles, less those of a form from before this version."""
    zone = job.dataset.timezone
    found = [(start, end, _profile(body)) for start, end, body in stored]
    return [Stored(Window(start, end, zone), profile) for start, end, profile in found if profile is not None]


@lru_cache(maxsize=128)
def _profile(body: bytes) -> Profile | None:
    """A worker sees the same history again with the next window of the dataset. Read, one is a megabyte or more."""
    try:
        return Profile.from_bytes(body)
    except Outdated:
        return None


def _reference(job: Job, history: Sequence[Stored]) -> list[Stored]:
    """The windows that count as normal for this one."""
    kept = job.dataset.reference
    if job.reference is not None or not isinstance(kept, Previous):
        return _readable(job, job.reference or ())
    since = job.window.start - timedelta(days=kept.days)
    near = [past for past in history if past.window.start >= since]
    if not kept.same_weekday:
        return near
    weekday = job.window.local_start.weekday()
    return [past for past in near if past.window.local_start.weekday() == weekday]


def _grids(history: Sequence[Stored]) -> Mapping[str, Grid]:
    from monitor.measuring.measure import pinned

    return pinned([past.profile for past in history])


def _by(check: Check, dataset: Dataset) -> tuple[str, ...]:
    if not check.takes_segments:
        return ()
    return dataset.segments if check.segments is None else check.segments


def _segments(check: Check, dataset: Dataset, profile: Profile) -> list[str | None]:
    found = [s for by in _by(check, dataset) for s in profile.segments(check.where, by)]
    return [None, *found]


def _view(
    job: Job, check: Check, profile: Profile, history: Sequence[Stored], reference: Profile | None, segment: str | None
) -> View:
    past = [
        Past(p.window, rows, p.profile.answers(check.where, segment), p.profile.schema)
        for p in history
        if (rows := _rows(p.profile, check.where, segment)) is not None
    ]
    return View(
        window=job.window,
        now=job.now,
        rows=_rows(profile, check.where, segment) or 0,
        schema=profile.schema,
        answers=profile.answers(check.where, segment),
        segment=segment,
        before=history[-1].profile.schema if history else None,
        history=past,
        reference=reference.answers(check.where, segment) if reference else None,
        time_column=job.dataset.time_column,
        empty_ok=job.dataset.empty == "ok",
        masked=frozenset(job.dataset.mask),
    )


def _rows(profile: Profile, where: str | None, segment: str | None) -> int | None:
    """Rows of that part of the window; None where it was not measured then (a check added since)."""
    answer = profile.answers(where, segment).get("rows")
    return int(answer.value or 0) if isinstance(answer, Number) else None


def _result(check: Check, status: Status, message: str) -> Result:
    column = check.watched[0] if len(check.watched) == 1 else None
    return Result(check.name, check.kind, check.family, status, message, column)


def _no_data(dataset: Dataset, job: Job, reason: str) -> Result:
    """An absent file fails the row count like an empty table: silence is a finding, unless the user said that it is fine."""
    if dataset.empty == "ok":
        return Result(ROW_COUNT, ROW_COUNT, Family.ARRIVAL, Status.PASSED, f"no rows: {reason}", value=0.0)
    message = f"no data for {job.window}: {reason}"
    return Result(ROW_COUNT, ROW_COUNT, Family.ARRIVAL, Status.FAILED, message, value=0.0, score=1e6, severity=Severity.CRITICAL)


def _unseen(result: Result, mask: Sequence[str]) -> Result:
    """Without values of masked columns: an engine may quote one in its complaint, and a segment is one."""
    if result.status is Status.ERRORED and result.column in mask:
        said = f"{result.check} could not be judged; the reason is not shown, it may hold values of a masked column"
        result = replace(result, message=said)
    by, is_segment, value = (result.segment or "").partition("=")
    if is_segment and by in mask:
        return replace(result, segment=f"{by}=#{hashlib.sha256(value.encode('utf-8', 'replace')).hexdigest()[:8]}")
    return result


def _errored(check: str, reason: str, began: float) -> Measured:
    reason = " ".join(reason.split())
    result = Result(check, check, Family.SOURCE, Status.ERRORED, reason)
    return Measured("errored", [result], None, time.monotonic() - began, error=reason)
