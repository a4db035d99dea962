"""What happens in a worker process: one window measured and judged. The only place that connects to a source.

Everything comes in with the `Job` and goes out with `Measured`; a worker knows no store, no clock and no channel.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import pickle
import signal
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from checks.base import Check, Past, Table, View, rows_in_all
from checks.control import WIDTHS
from checks.profile import Broken, Grid, Number, Outdated, Profile, merge
from checks.question import IN_ALL, Categories, Keys, Population, Question, Sample, Schema
from checks.recurring import recurs
from checks.result import Family, Result, Severity, Status
from checks.window import Window
from checks.wording import amount
from monitor import segments, special_days
from monitor.dataset import Dataset, Golden, Previous
from monitor.job import Job, Measured, State
from monitor.judging import judged_apart, judged_together, packed
from monitor.kinds import check_kinds
from monitor.sources.base import NoData, Place, SourceDown, SourceError

if TYPE_CHECKING:
    from monitor.measuring.measure import Reading

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
    from monitor.measuring import evidence
    from monitor.measuring.measure import measure, reading

    began = time.monotonic()
    dataset = job.dataset
    try:
        with reading(job.source, dataset.place, job.window, dataset.timeout) as read:
            history = earlier(job)
            checks = chosen(dataset, read.schema, history)
            asked = questions(checks, dataset, read.schema)
            references = [past.window for past in _reference(job, history)]
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
) -> Measured:
    """What a profile comes to, measured just now or long ago (`began` None, `body` as it is stored)."""
    began = time.monotonic() if began is None else began
    results, apart = judge(job, checks, profile, history)
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
    job: Job, checks: Sequence[Check], profile: Profile, history: Sequence[Stored]
) -> tuple[list[Result], list[tuple[Check, View]]]:
    """Every check on the whole window and on each of its segments; those for a process of their own come back unjudged."""
    apart: list[tuple[Check, View]] = []
    here: list[tuple[Check, View]] = []
    kept = job.dataset.reference
    # The last windows need no pool of their own: they are the history, and each check knows how to look at it.
    rolling = job.reference is None and isinstance(kept, Previous) and not kept.same_weekday
    pools, pasts = _Pools(job, history, rolling), _Pasts()
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
        recent = [past for past in history if since is None or past.window.start >= since]
        for segment in segments.of(check, job.dataset, profile, [past.profile for past in recent[-segments.LATELY :]]):
            view = _view(job, check, profile, recent, pools.since(since), segment, pasts)
            view = replace(view, before=history[-1].profile.schema if history else None, days=days)
            (apart if check.apart else here).append((check, view))
    share = job.dataset.budget.share(job.dataset.every) if job.dataset.budget else None
    return [*results, *judged_together(here, share)], apart


def _all_windows(job: Job, history: Sequence[Stored]) -> list[Window]:
    """The judged one and the earlier ones, with labels too."""
    labelled = [Window(start, end, job.dataset.timezone) for start, end, _ in job.labelled]
    return [job.window, *(past.window for past in history), *labelled]


def accepted_since(accepted: Mapping[str, datetime], check: Check) -> datetime | None:
    """When the level that a check looks at was last accepted as normal, for the table or one of its columns; None: never."""
    return max((accepted[about] for about in ("", *check.watched) if about in accepted), default=None)


@dataclass
class _Pools:
    """What counts as normal, pooled, from an accepted moment on; each made once, whichever checks ask for it."""

    job: Job
    history: Sequence[Stored]
    rolling: bool
    made: dict[datetime | None, Profile | None] = field(default_factory=dict)

    def since(self, moment: datetime | None) -> Profile | None:
        if self.rolling:
            return None
        if moment not in self.made:
            self.made[moment] = merge(self._from(moment))
        return self.made[moment]

    def _from(self, moment: datetime | None) -> list[Profile]:
        if moment is None:
            golden = parsed(self.job.golden) if self.job.golden else None
            return [golden] if golden else [past.profile for past in _reference(self.job, self.history)]
        stored = _reference(self.job, self.history)
        newer = [past for past in stored if past.window.start >= moment]
        # A stretch or a table of before the new level is no longer normal: what came since is.
        return [past.profile for past in newer or [past for past in self.history if past.window.start >= moment]]


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
    table = Table(schema, dataset.time_column, frozenset(dataset.exclude), () if known is False else key)
    automatic = [c for kind in check_kinds().values() for c in kind.automatic(table)]
    return [*dataset.checks, *(c for c in automatic if c.name not in own)]


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


@dataclass(frozen=True)
class Stored:
    """An earlier window's profile, as read from the store."""

    window: Window
    profile: Profile


def earlier(job: Job) -> list[Stored]:
    """The history that the job brings, oldest first."""
    return _readable(job, job.history)


def _readable(job: Job, stored: Sequence[tuple[datetime, datetime, bytes]]) -> list[Stored]:
    """Stored profiles, less those of a form from before this version and what people called no example of normal."""
    zone = job.dataset.timezone
    bad = [start for start, mark in job.marks.items() if mark == "bad"]
    found = [(s, e, parsed(body)) for s, e, body in stored if not any(s <= one < e for one in bad)]
    return [Stored(Window(start, end, zone), profile) for start, end, profile in found if profile is not None]


@lru_cache(maxsize=128)
def parsed(body: bytes) -> Profile | None:
    """A stored profile; None where its form is no longer read.

    A worker sees the same history again with the next window of the dataset. Read, one is a megabyte or more."""
    try:
        return Profile.from_bytes(body)
    except Outdated:
        return None


def _reference(job: Job, history: Sequence[Stored]) -> list[Stored]:
    """The windows that count as normal for this one."""
    kept = job.dataset.reference
    if isinstance(kept, Golden):
        return list(history)
    if job.reference is not None or not isinstance(kept, Previous):
        return _readable(job, job.reference or ())
    since = job.window.start - timedelta(days=kept.days)
    near = [past for past in history if past.window.start >= since]
    if not kept.same_weekday:
        return near
    weekday = job.window.local_start.weekday()
    return [past for past in near if past.window.local_start.weekday() == weekday]


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
    history: Sequence[Stored],
    reference: Profile | None,
    segment: str | None,
    pasts: _Pasts,
) -> View:
    return View(
        window=job.window,
        now=job.now,
        rows=segments.rows(profile, check, segment) or 0,
        schema=profile.schema,
        answers=profile.answers(check.where, segment),
        segment=segment,
        whole=segments.rows(profile, check, None) or 0,
        history=pasts.of(check, history, segment),
        reference=reference.answers(check.where, segment) if reference else None,
        labelled=_Pasts().of(check, _readable(job, job.labelled), segment) if check.learns_from_labels else (),
        time_column=job.dataset.time_column,
        empty_ok=job.dataset.empty == "ok",
        marks=job.marks,
        widths={
            "sensitivity": WIDTHS[check.sensitivity or job.dataset.sensitivity],
            "not useful": job.not_useful.get((check.name, segment or ""), 1.0),
        },
        accepted=job.accepted,
        masked=frozenset(job.dataset.mask),
    )


@dataclass
class _Pasts:
    """The earlier windows as checks see them: made once for all that look at the same rows of the same windows."""

    made: dict[tuple[str | None, str | None, bool, datetime | None, int], list[Past]] = field(default_factory=dict)

    def of(self, check: Check, history: Sequence[Stored], segment: str | None) -> list[Past]:
        key = (check.where, segment, check.takes_absent, history[0].window.start if history else None, len(history))
        part = check.where, segment
        if key not in self.made:
            self.made[key] = [
                Past(
                    p.window,
                    rows,
                    p.profile.answers(*part),
                    p.profile.schema,
                    p.profile.kept(*part),
                    segments.rows(p.profile, check, None) or 0,
                )
                for p in history
                if (rows := segments.rows(p.profile, check, segment)) is not None
            ]
        return self.made[key]


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
