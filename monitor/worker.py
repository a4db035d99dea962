"""What happens in a worker process: one window measured and judged. The only place that connects to a source.

Everything comes in with the `Job` and goes out with `Measured`; a worker knows no store, no clock and no channel.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import logging
import os
import pickle
import signal
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from checks.base import Check, Past, Table, View, rows_in_all
from checks.control import WIDTHS
from checks.profile import Broken, Grid, Number, Profile
from checks.question import IN_ALL, Categories, Keys, Population, Question, Sample, Schema
from checks.recurring import recurs
from checks.result import Family, Result, Severity, Status
from checks.window import Window
from checks.wording import amount
from monitor import segments, special_days
from monitor.dataset import Dataset, Golden, Previous
from monitor.earlier import Pasts, Pools, Stored, accepted_since, earlier, normal_windows, parsed, readable
from monitor.ending import ROUGHLY
from monitor.job import Job, Measured, State
from monitor.judging import judged_apart, judged_together, packed
from monitor.kinds import check_kinds
from monitor.sources.base import NoData, Place, SourceDown, SourceError

if TYPE_CHECKING:
    from checks.special import Specials
    from monitor.measuring.measure import Reading

MEASURE = "measure"
REACHABLE = "reachable"
ROW_COUNT = "row_count"


def prepare() -> None:
    """Run once in a new worker: die with the parent, leave Ctrl-C to it, no telemetry by anybody."""
    os.environ["DO_NOT_TRACK"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The fork server hands down the daemon's handler, which only makes sense there.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Profiles are many objects that stay, and hold no cycles.
    gc.set_threshold(*ROUGHLY)
    logging.getLogger().setLevel(logging.WARNING)
    if sys.platform == "linux":
        die_with_parent = 1
        ctypes.CDLL(None).prctl(die_with_parent, signal.SIGKILL)


def measure_window(job: Job) -> Measured:
    """The window's profile and results. A fault of the source is an errored window; nothing is raised for it."""
    from monitor.measuring import evidence
    from monitor.measuring.measure import measure, reading

    began = time.monotonic()
    dataset = job.dataset
    try:
        with reading(job.source, dataset.place, job.window, dataset.timeout) as read:
            history = earlier(job)
            checks = chosen(dataset, read.schema, history)
            asked = questions(checks, dataset, read.schema)
            references = [past.window for past in normal_windows(job, history)]
            job, golden = _with_golden(job, read, asked, history)
            profile = measure(read, asked, grids(job, history), references[-7:])
    except NoData as nothing:
        if dataset.lane != "live":
            return Measured("no_data", _unlabelled(dataset, str(nothing)), 0, time.monotonic() - began)
        return Measured("no_data", [_no_data(dataset, job, str(nothing))], 0, time.monotonic() - began)
    except SourceDown as fault:
        return _errored(REACHABLE, str(fault), began)
    except SourceError as fault:
        return _errored(MEASURE, str(fault), began)
    except Exception as fault:  # An engine's fault that nobody foresaw is still the window's, not the worker's.
        return _errored(MEASURE, f"{type(fault).__name__}: {job.source.said(fault)}", began)
    found = concluded(job, checks, profile, history, began)
    if dataset.rows and dataset.lane == "live":
        found = evidence.shown(job, checks, found)
    table = dataset.reference.table if isinstance(dataset.reference, Golden) else None
    return replace(found, golden=golden, golden_table=table)


def concluded(
    job: Job,
    checks: Sequence[Check],
    profile: Profile,
    history: Sequence[Stored],
    began: float | None = None,
    body: bytes | None = None,
    pasts: Pasts | None = None,
) -> Measured:
    """What a profile comes to, measured just now or long ago (`began` None, `body` as it is stored)."""
    began = time.monotonic() if began is None else began
    results, apart = judge(job, checks, profile, history, pasts)
    waiting, refused = packed(apart)
    results += refused
    if not profile.rows and job.dataset.lane == "live" and all(r.kind != ROW_COUNT for r in results):
        # No check looks at the number of rows, and silence means healthy all the same.
        results.append(_no_data(job.dataset, job, "the window has no rows"))
    state: State = "done" if profile.rows else "no_data"
    rows = rows_in_all(profile.answers(), profile.rows)
    seconds, said = time.monotonic() - began, _said_of_a_sample(profile)
    return Measured(
        state,
        [_finished(result, said, job.dataset.mask) for result in results],
        rows,
        seconds,
        body or profile.to_bytes(),
        apart=pickle.dumps((waiting, said)) if waiting else None,
        awaited=tuple(check.name for check, _ in apart),
        reference_version=job.reference_version,
    )


def judge_apart(dataset: Dataset, pairs: bytes, seconds: float) -> list[Result]:
    """The verdicts that a measured window still waits for, within so many seconds; see `Measured.apart`."""
    waiting, said = pickle.loads(pairs)  # noqa: S301 - from a worker of ours
    return [_finished(result, said, dataset.mask) for result in judged_apart(waiting, seconds)]


def judge(
    job: Job, checks: Sequence[Check], profile: Profile, history: Sequence[Stored], pasts: Pasts | None = None
) -> tuple[list[Result], list[tuple[Check, View]]]:
    """Every check on the whole window and on each of its segments; those for a process of their own come back unjudged.

    `pasts` is what was made of earlier windows when those before this one were judged.
    """
    apart: list[tuple[Check, View]] = []
    here: list[tuple[Check, View]] = []
    kept = job.dataset.reference
    # The last windows need no pool of their own: they are the history, and each check knows how to look at it.
    rolling = job.reference is None and isinstance(kept, Previous) and not kept.same_weekday
    pools, pasts = Pools(job, history, rolling), pasts or Pasts()
    before, lately = history[-1].profile.schema if history else None, history[-segments.LATELY :]
    every = [past.profile for past in lately]
    days = special_days.of(job.dataset.holidays, _all_windows(job, history))
    results = list(segments.not_there(job.dataset, checks, profile.schema))
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
        since = accepted_since(job.accepted, check)
        recent = [past.profile for past in lately if past.window.start >= since] if since else every
        for segment in segments.of(check, job.dataset, profile, recent):
            earlier_ones = pasts.of(check, history, segment, since)
            view = _view(job, check, profile, earlier_ones, pools.since(since), segment, before, days)
            (apart if check.apart else here).append((check, view))
    share = job.dataset.budget.share(job.dataset.every) if job.dataset.budget else None
    return [*results, *judged_together(here, share)], apart


def _all_windows(job: Job, history: Sequence[Stored]) -> list[Window]:
    """The judged one and the earlier ones, with labels too."""
    labelled = [Window(start, end, job.dataset.timezone) for start, end, _ in job.labelled]
    return [job.window, *(past.window for past in history), *labelled]


def _finished(result: Result, sample: tuple[int, float] | None, mask: Sequence[str]) -> Result:
    """A verdict on a sample says so, except the number of rows, which is known; values of masked columns are not shown."""
    if sample is not None and result.kind != ROW_COUNT and result.status is not Status.ERRORED:
        of = f"on a sample of {amount(sample[0], 'rows')} of {amount(sample[1], 'rows')} rows"
        details = {**(result.details or {}), "sample": list(sample)}
        result = replace(result, message=f"{result.message}; {of}", details=details)
    return _unseen(result, mask)


def _said_of_a_sample(profile: Profile) -> tuple[int, float] | None:
    """The rows that were measured and the rows in all, where a part of the window was."""
    whole = profile.answers().get(IN_ALL)
    return (profile.rows, whole.value or 0) if isinstance(whole, Number) else None


def chosen(dataset: Dataset, schema: Schema, history: Sequence[Stored] = ()) -> list[Check]:
    """The user's checks, then the automatic ones that the user did not write himself.

    Those of a key are left out where the history shows that it does not recur.
    """
    own = {check.name for check in dataset.checks}
    if not dataset.auto:
        return list(dataset.checks)
    key = dataset.row_key if all(column in schema for column in dataset.row_key) else ()
    known = key and recurs([past.profile.answers().get(Keys(key, ()).key) for past in history])
    automatic = _automatic(tuple(schema.items()), dataset.time_column, frozenset(dataset.exclude), () if known is False else key)
    return [*dataset.checks, *(c for c in automatic if c.name not in own)]


@lru_cache(maxsize=16)
def _automatic(
    schema: tuple[tuple[str, str], ...], time_column: str | None, exclude: frozenset[str], key: tuple[str, ...]
) -> tuple[Check, ...]:
    """Those of every kind. The windows of a dataset mostly have the same."""
    table = Table(dict(schema), time_column, exclude, key)
    return tuple(check for kind in check_kinds().values() for check in kind.automatic(table))


def questions(checks: Iterable[Check], dataset: Dataset, schema: Schema) -> dict[Population, list[Question]]:
    """Everything the checks ask, each question once per population, whoever asks."""
    asked: dict[Population, dict[str, Question]] = {Population(): {}}
    for check in checks:
        if any(c not in schema for c in check.watched):
            continue
        for by in (None, *(by for by in segments.columns(check, dataset) if by in schema)):
            # Also where it asks nothing: the number of rows is part of every answer.
            here = asked.setdefault(Population(check.where, by), {})
            for question in check.questions(schema):
                known = here.setdefault(question.key, question)
                if isinstance(question, Categories) and isinstance(known, Categories) and question.cap > known.cap:
                    here[question.key] = question
    return {population: list(found.values()) for population, found in asked.items()}


def _with_golden(
    job: Job, read: Reading, asked: Mapping[Population, Sequence[Question]], history: Sequence[Stored]
) -> tuple[Job, bytes | None]:
    """The job with the profile of its golden table, and that profile where this window is the first to need it."""
    from monitor.measuring.measure import Reading, measure

    kept, dataset = job.dataset.reference, job.dataset
    if not isinstance(kept, Golden) or (job.golden and parsed(job.golden)):
        return job, None
    # Rows are not kept, so none are drawn.
    stored = {population: [q for q in questions if not isinstance(q, Sample)] for population, questions in asked.items()}
    place = Place(kept.table, None, None, dataset.timezone)
    whole = Reading(read.source, read.connection, place, job.window, read.source.relation(read.connection, place))
    golden = measure(whole, stored, grids(job, history)).to_bytes()
    return replace(job, golden=golden), golden


def grids(job: Job, history: Sequence[Stored]) -> Mapping[str, Grid]:
    """The grids that the past has pinned, by the question's key."""
    from monitor.measuring.measure import pinned

    # What is to be compared must lie on one grid.
    golden = parsed(job.golden) if job.golden else None
    return pinned([*([golden] if golden else ()), *(past.profile for past in history)])


def _view(
    job: Job,
    check: Check,
    profile: Profile,
    history: Sequence[Past],
    reference: Profile | None,
    segment: str | None,
    before: Schema | None,
    days: Specials,
) -> View:
    return View(
        window=job.window,
        now=job.now,
        rows=segments.rows(profile, check, segment) or 0,
        schema=profile.schema,
        answers=profile.answers(check.where, segment),
        segment=segment,
        whole=segments.rows(profile, check, None) or 0,
        before=before,
        history=history,
        reference=reference.answers(check.where, segment) if reference else None,
        labelled=Pasts().of(check, readable(job, job.labelled), segment) if check.learns_from_labels else (),
        time_column=job.dataset.time_column,
        empty_ok=job.dataset.empty == "ok",
        marks=job.marks,
        days=days,
        widths={
            "sensitivity": WIDTHS[check.sensitivity or job.dataset.sensitivity],
            "not useful": job.not_useful.get((check.name, segment or ""), 1.0),
        },
        accepted=job.accepted,
        masked=frozenset(job.dataset.mask),
    )


def _result(check: Check, status: Status, message: str) -> Result:
    column = check.watched[0] if len(check.watched) == 1 else None
    return Result(check.name, check.kind, check.family, status, message, column)


def _unlabelled(dataset: Dataset, reason: str) -> list[Result]:
    """That there were no rows was told when the window closed."""
    return [_result(check, Status.SKIPPED, f"{check.name}: no rows to judge: {reason}") for check in dataset.checks]


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
