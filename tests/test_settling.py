"""Incidents that begin again, flap, keep quiet beside their cause, or tell nobody by themselves; each over a made-up history."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.deciding import LATE_ROWS, NOT_ASKED, news
from alerts.flapping import turns
from alerts.incident import Change, Happened, Incident, Standing, acked
from alerts.problem import Problem, Quiet, Sighting, State
from alerts.rules import RULES, Rules
from checks.result import Bounds, Family, Result, Severity, Status

START = datetime(2026, 11, 23, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FAMILY = {"row_count": Family.ARRIVAL, "left_out": Family.ARRIVAL, "freshness": Family.ARRIVAL, "columns": Family.LAYOUT}
FAMILY |= {"drift": Family.DRIFT, "reachable": Family.SOURCE}


def result(said: str) -> Result:
    """`kind(column) LETTER`: F a warning, C critical, w a weak learned warning, O passed, S skipped, E errored."""
    name, letter = said.rsplit(" ", 1)
    kind, _, column = name.rstrip(")").partition("(")
    status = {"O": Status.PASSED, "S": Status.SKIPPED, "E": Status.ERRORED}.get(letter, Status.FAILED)
    severity = {"F": Severity.WARNING, "w": Severity.WARNING, "C": Severity.CRITICAL}.get(letter)
    family, bounds = FAMILY.get(kind, Family.QUALITY), Bounds(at_most=1.0, learned=letter == "w")
    check = kind if kind == "columns" else name
    return Result(check, kind, family, status, said, column or None, bounds=bounds, score=1.5, severity=severity)


@dataclass
class World:
    """What a store would remember between windows of `length`."""

    length: timedelta = HOUR
    rules: Rules = RULES
    problems: dict[str, Problem] = field(default_factory=dict)
    incidents: dict[int, Incident] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    times: dict[int, list[datetime]] = field(default_factory=dict)

    def see(self, number: int, *said: str, held: Quiet | None = None, again: bool = False, **more: object) -> list[Change]:
        """The window of this number with these results, judged at its end."""
        start = START + number * self.length
        seen = [self.sighting(one, start, held, again) for one in said]
        last = {(i.subject, i.family): i for i in sorted(self.incidents.values(), key=lambda i: i.id)}
        standing = Standing(list(self.problems.values()), list(last.values()), max(self.incidents, default=0) + 1, self.times)
        found = news(standing, seen, start + self.length, rules=self.rules, **more)  # type: ignore[arg-type]
        self.problems.update((p.fingerprint, p) for p in found.problems)
        self.incidents.update((c.incident.id, c.incident) for c in found.changes)
        self.changes += found.changes
        for change in found.changes:
            if change.happened is Happened.REOPENED:
                self.times.setdefault(change.incident.id, []).append(start + self.length)
        return list(found.changes)

    def sighting(self, said: str, start: datetime, held: Quiet | None, again: bool) -> Sighting:
        made = result(said)
        source = made.family is Family.SOURCE
        return Sighting("source:shop" if source else "orders", made, start, start + self.length, None if source else held, again)

    def live(self, letters: str, check: str = "unique(a)") -> list[str]:
        """One window per letter; what happened with each, `.` for nothing, of this check's incident."""
        return [" ".join(said(self.see(n, f"{check} {letter}"))) or "." for n, letter in enumerate(letters)]


def said(changes: list[Change]) -> list[str]:
    return [f"{c.incident.family}:{c.happened}" + (f"/{c.quiet}" if c.quiet else "") for c in changes]


def happened(world: World) -> list[str]:
    return [str(c.happened) for c in world.changes]


# Beginning again.


def test_what_begins_again_soon_opens_the_same_incident_again() -> None:
    world = World()
    world.live("FOOF")
    assert happened(world) == ["opened", "resolved", "reopened"]
    [incident] = world.incidents.values()
    assert (incident.id, incident.reopened, incident.resolved_at, incident.resolved_end, incident.revision) == (1, 1, None, None, 3)
    assert incident.since == START


@pytest.mark.parametrize(("gap", "same"), [(0, True), (1, True), (2, False), (30, False)])
def test_only_within_two_hours_or_two_windows(gap: int, same: bool) -> None:
    for length in (HOUR, DAY):
        world = World(length)
        world.live("FOO" + gap * "O" + "F")
        assert happened(world)[-1] == ("reopened" if same else "opened")
        assert len(world.incidents) == (1 if same else 2)


def test_in_quarters_of_an_hour_two_hours_are_the_longer() -> None:
    quarter = timedelta(minutes=15)
    for gap, same in ((7, True), (8, False)):
        world = World(quarter)
        world.live("FOO" + gap * "O" + "F")
        assert len(world.incidents) == (1 if same else 2)


def test_another_problem_begins_an_incident_of_its_own() -> None:
    world = World()
    for n, letter in enumerate("FOO"):
        world.see(n, f"unique(a) {letter}")
    assert said(world.see(3, "unique(b) F")) == ["quality:opened"]
    assert len(world.incidents) == 2


def test_begun_again_it_is_as_severe_as_what_is_bad_now_and_nobody_has_seen_it() -> None:
    world = World()
    world.see(0, "unique(a) C")
    seen = acked(world.incidents[1], "ada", START + HOUR)
    assert seen is not None
    world.incidents[1] = seen.incident
    world.see(1, "unique(a) O")
    world.see(2, "unique(a) O")
    [change] = world.see(3, "unique(a) F")
    assert (change.incident.severity, change.incident.acked_by, change.incident.acked_at) == (Severity.WARNING, None, None)


def test_an_incident_is_acknowledged_once_and_not_after_its_end() -> None:
    incident = Incident(1, "orders", Family.DRIFT, Severity.WARNING, START, START)
    first = acked(incident, "ada", START + HOUR)
    assert first is not None
    assert (first.happened, first.incident.acked_by, first.incident.revision) == (Happened.ACKED, "ada", 2)
    assert acked(first.incident, "bob", START + 2 * HOUR) is None
    assert acked(replace(incident, resolved_at=START), "bob", START) is None


def test_r2_a_removed_check_that_comes_back_begins_anew() -> None:
    world = World()
    world.see(0, "unique(a) F")
    [over] = world.see(1, asked={"orders": set()})
    assert (over.happened, over.reason) == (Happened.RESOLVED, NOT_ASKED)
    assert said(world.see(2, "unique(a) F")) == ["quality:opened"]
    assert len(world.incidents) == 2


def test_a_problem_that_is_gone_closes_with_its_reason() -> None:
    world = World()
    world.see(0, "unique(a) F", "unique(b) F")
    first = next(p for p in world.problems.values() if p.column == "a")
    [left] = world.see(1, gone={first.fingerprint: "country=XX has had no rows since then"})
    assert (left.happened, left.reason) == (Happened.LEFT, "country=XX has had no rows since then")


# Flapping.


@pytest.mark.parametrize(
    ("outcomes", "count"),
    [("F", 1), ("FO", 2), ("FOF", 3), ("FOFO", 4), ("FFOOFFO", 4), ("OOOOOOOOOOOO", 0), ("FOOOOOOOOOOO", 1), ("OFFFFFFFFFFF", 1)],
)
def test_turns_between_good_and_bad(outcomes: str, count: int) -> None:
    assert turns(outcomes) == count


@pytest.mark.parametrize("pattern", ["FO", "FOO", "FFOO", "FOOFO", "FFFOOO", "COO"])
def test_l2_a_check_that_flaps_for_a_day_makes_at_most_four_messages(pattern: str) -> None:
    world = World()
    world.live((pattern * 24)[:24])
    assert len(world.changes) <= 4
    assert "flapping" in happened(world)
    assert world.incidents[1].flapping_since is not None
    assert world.incidents[1].resolved_at is None


def test_flapping_is_said_once_and_over_when_it_stays_good() -> None:
    world = World()
    world.live("FOFO" + 12 * "O")
    assert happened(world) == ["opened", "flapping", "resolved"]
    assert [c.flapping for c in world.changes] == [None, True, False]
    [problem] = world.problems.values()
    assert (problem.state, problem.flapping_since) == (State.OK, None)


def test_what_flapped_and_stays_bad_is_steady() -> None:
    world = World()
    world.live("FOFO" + 12 * "F")
    assert happened(world) == ["opened", "flapping", "steady"]
    assert world.incidents[1].flapping_since is None
    assert world.changes[-1].flapping is False


def test_what_gets_worse_while_it_flaps_is_told() -> None:
    world = World()
    world.live("FOFOC")
    assert happened(world) == ["opened", "flapping", "worse"]


def test_three_reopenings_in_a_day_are_flapping() -> None:
    world = World(timedelta(minutes=15), Rules(flapping_at=12))
    world.live("FOO" * 4)
    assert happened(world) == ["opened", "resolved", "reopened", "resolved", "reopened", "resolved", "reopened"]
    assert [c.flapping for c in world.changes][-1] is True


def test_one_episode_is_no_flapping() -> None:
    world = World()
    world.live("OOwwwOOOOOOOO")
    assert happened(world) == ["opened", "resolved"]


def test_the_thresholds_are_settings() -> None:
    world = World(rules=Rules(close_after=3, open_after="1 of 1", flapping_at=12))
    assert world.live("wOOwOOO") == [
        "quality:opened",
        ".",
        ".",
        ".",
        ".",
        ".",
        "quality:resolved",
    ]


@pytest.mark.parametrize("wrong", ["4 of 3", "0 of 3", "2 of 13", "2/3", "two of three"])
def test_a_wrong_number_of_windows_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="so many of so many"):
        Rules(open_after=wrong)


def test_the_thresholds_must_differ() -> None:
    with pytest.raises(ValueError, match="must be less than flapping_at"):
        Rules(flapping_at=4, steady_at=4)


# Beside its cause.


def test_p3_data_that_did_not_arrive_quiets_the_drift_it_causes() -> None:
    world = World()
    assert said(world.see(0, "row_count C", "drift(a) F")) == ["arrival:opened", "drift:opened/inhibited"]
    assert world.incidents[2].inhibited_by == 1
    assert said(world.see(1, "row_count O", "drift(a) F")) == []
    assert said(world.see(2, "row_count O", "drift(a) F")) == ["arrival:resolved"]
    # What was judged together with the end of the cause may still be its consequence.
    assert world.incidents[2].inhibited_by == 1
    [told] = world.see(3, "row_count O", "drift(a) F")
    assert (told.happened, told.quiet, told.incident.inhibited_by) == (Happened.RELEASED, None, None)
    assert [p.column for p in told.fresh] == ["a"]
    assert world.see(4, "row_count O", "drift(a) F") == []


def test_p3_what_the_cause_explained_is_over_with_it_and_nobody_hears_of_it() -> None:
    world = World()
    world.see(0, "row_count C", "drift(a) F", "missing(b) F")
    world.see(1, "row_count O", "drift(a) O", "missing(b) O")
    changes = world.see(2, "row_count O", "drift(a) O", "missing(b) O")
    assert said(changes) == ["arrival:resolved", "drift:resolved/inhibited", "quality:resolved/inhibited"]


@pytest.mark.parametrize("check", ["unique(a) F", "value_range(a) F"])
def test_other_trouble_is_not_explained_by_rows_that_did_not_arrive(check: str) -> None:
    assert said(World().see(0, "row_count C", check)) == ["arrival:opened", "quality:opened"]


def test_a_warning_never_quiets_what_is_critical() -> None:
    world = World()
    assert said(world.see(0, "row_count F", "missing(a) C")) == ["arrival:opened", "quality:opened"]
    world.see(0, "drift(a) F")
    [worse] = world.see(1, "row_count F", "drift(a) C")
    assert (worse.happened, worse.quiet) == (Happened.WORSE, None)


def test_windows_that_were_left_out_explain_nothing() -> None:
    assert said(World().see(0, "left_out F", "drift(a) F")) == ["arrival:opened", "drift:opened"]


def test_a_changed_column_explains_only_itself() -> None:
    world = World()
    changes = world.see(0, "columns(a) C", "drift(a) F", "drift(b) F", "missing(a) F")
    assert said(changes) == ["layout:opened", "drift:opened", "quality:opened/inhibited"]
    assert {p.column: p.inhibited_by for p in world.problems.values() if p.family is Family.DRIFT} == {"a": 1, "b": None}


def test_p1_a_dead_source_quiets_what_was_open_and_one_fresh_window_lets_it_speak() -> None:
    world = World()
    world.see(0, "drift(a) F")
    changes = world.see(1, "reachable C")
    assert said(changes) == ["source:opened", "drift:inhibited/inhibited"]
    assert said(world.see(2, "reachable C")) == []
    assert said(world.see(3, "reachable O", "drift(a) F")) == ["source:resolved"]
    assert said(world.see(4, "reachable O", "drift(a) F")) == ["drift:released"]


def test_p1_a_dead_source_closes_nothing() -> None:
    world = World()
    world.see(0, "drift(a) F", "unique(a) F")
    for n in range(1, 6):
        assert Happened.RESOLVED not in [c.happened for c in world.see(n, "reachable C")]
    assert {i.family for i in world.incidents.values() if i.resolved_at is None} == {Family.SOURCE, Family.DRIFT, Family.QUALITY}


def test_what_joins_beside_its_cause_keeps_quiet_until_it_is_released() -> None:
    world = World()
    world.see(0, "drift(a) F")
    assert said(world.see(1, "columns(b) C", "drift(a) F", "drift(b) F")) == ["layout:opened", "drift:joined/inhibited"]
    world.see(2, "columns O", "drift(a) F", "drift(b) F")
    world.see(3, "columns O", "drift(a) F", "drift(b) F")
    [told] = world.see(4, "columns O", "drift(a) F", "drift(b) F")
    assert (told.happened, [p.column for p in told.fresh]) == (Happened.RELEASED, ["b"])


# Late, and after a downtime.


@pytest.mark.parametrize("held", [Quiet.LATE, Quiet.AWAY])
def test_c3_what_opened_while_nobody_is_paged_for_it_is_told_when_a_timely_window_is_bad(held: Quiet) -> None:
    world = World()
    assert said(world.see(0, "unique(a) F", held=held)) == [f"quality:opened/{held}"]
    assert world.see(1, "unique(a) F", held=held) == []
    [told] = world.see(2, "unique(a) F")
    assert (told.happened, told.quiet, told.incident.held) == (Happened.RELEASED, None, None)
    assert world.see(3, "unique(a) F") == []


def test_c3_what_came_and_went_meanwhile_tells_nobody() -> None:
    world = World()
    for n, letter in enumerate("FOO"):
        world.see(n, f"unique(a) {letter}", held=Quiet.AWAY)
    assert said(world.changes) == ["quality:opened/away", "quality:resolved/away"]
    assert world.see(3, "unique(a) O") == []


def test_c3_what_got_worse_meanwhile_is_told_when_it_still_is() -> None:
    world = World()
    world.see(0, "unique(a) F")
    assert said(world.see(1, "unique(a) C", held=Quiet.AWAY)) == ["quality:worse/away"]
    assert said(world.see(2, "unique(a) C")) == ["quality:released"]


def test_a_window_judged_again_closes_what_it_alone_had_opened() -> None:
    world = World()
    world.see(0, "unique(a) O")
    world.see(1, "unique(a) F")
    [over] = world.see(1, "unique(a) O", again=True, held=Quiet.LATE)
    assert (over.happened, over.reason) == (Happened.RESOLVED, LATE_ROWS)


def test_a_window_judged_again_does_not_close_what_lasts_longer() -> None:
    world = World()
    world.live("FF")
    assert world.see(1, "unique(a) O", again=True, held=Quiet.LATE) == []
    assert [p.state for p in world.problems.values()] == [State.RECOVERING]


def test_a_window_judged_again_opens_only_while_it_is_the_last_and_pages_nobody() -> None:
    world = World()
    world.live("FOOOOO")
    assert said(world.see(5, "unique(a) F", again=True, held=Quiet.LATE)) == ["quality:opened/late"]
    assert said(world.see(5, "unique(a) F", again=True, held=Quiet.LATE)) == []
    assert said(world.see(4, "unique(a) C", again=True, held=Quiet.LATE)) == []


# Whatever happens.

CHECKS = ("row_count", "columns(a)", "drift(a)", "missing(a)", "unique(b)")
letters = st.text(alphabet="FCwOOOSE", min_size=len(CHECKS), max_size=len(CHECKS))
step = st.tuples(letters, st.sampled_from([None, None, None, Quiet.LATE, Quiet.AWAY]), st.sampled_from(["O", "O", "C"]))
histories = st.lists(step, max_size=30)
History = list[tuple[str, Quiet | None, str]]


def lived(history: History, length: timedelta = HOUR, again: bool = False) -> World:
    world = World(length)
    for number, (verdicts, held, source) in enumerate(history):
        results = [f"{check} {letter}" for check, letter in zip(CHECKS, verdicts, strict=True)]
        for _ in range(2 if again else 1):
            world.see(number, *results, f"reachable {source}", held=held)
    return world


lengths = st.sampled_from([timedelta(minutes=15), HOUR, DAY])


@given(histories, lengths)
def test_i3_revisions_rise_by_one_and_never_skip(history: History, length: timedelta) -> None:
    world = lived(history, length)
    for number in world.incidents:
        story = [c for c in world.changes if c.incident.id == number]
        assert [c.incident.revision for c in story] == list(range(1, len(story) + 1))


@given(histories, lengths)
def test_i1_openings_and_ends_take_turns_and_the_last_says_how_it_stands(history: History, length: timedelta) -> None:
    world = lived(history, length)
    turning = {Happened.OPENED, Happened.REOPENED, Happened.RESOLVED}
    for number, incident in world.incidents.items():
        story = [c.happened for c in world.changes if c.incident.id == number]
        ends = [h for h in story if h in turning]
        assert ends[0] is Happened.OPENED
        assert all((one is Happened.RESOLVED) != (other is Happened.RESOLVED) for one, other in pairwise(ends))
        assert (incident.resolved_at is not None) == (ends[-1] is Happened.RESOLVED)
        assert incident.reopened == story.count(Happened.REOPENED)


@given(histories, lengths)
def test_i4_the_same_windows_again_change_nothing(history: History, length: timedelta) -> None:
    once, twice = lived(history, length), lived(history, length, again=True)
    assert (once.problems, once.incidents, once.changes) == (twice.problems, twice.incidents, twice.changes)


@given(histories, lengths)
def test_i5_nothing_ends_without_two_passes_or_a_reason(history: History, length: timedelta) -> None:
    world = lived(history, length)
    for change in world.changes:
        for problem in change.gone:
            # As it was: the pass that ended it is not in it yet. A source that answers answers.
            assert problem.outcomes.endswith("O") or change.reason or problem.family is Family.SOURCE


@given(histories, lengths)
def test_every_lasting_problem_hangs_on_an_open_incident(history: History, length: timedelta) -> None:
    world = lived(history, length)
    assert {p.incident for p in world.problems.values() if p.lasting} == {
        i.id for i in world.incidents.values() if i.resolved_at is None
    }


@given(histories, lengths)
def test_nothing_that_stays_bad_keeps_quiet_for_ever(history: History, length: timedelta) -> None:
    """Whatever was before: after its causes are over and two timely windows are bad, people have been told."""
    world = lived(history, length)
    calm = ["row_count O", "columns(a) O", "columns O", "drift(a) F", "missing(a) F", "unique(b) F", "reachable O"]
    for number in range(len(history), len(history) + 16):
        world.see(number, *calm)
    for incident in world.incidents.values():
        if incident.resolved_at is None:
            assert (incident.held, incident.inhibited_by) == (None, None)
            story = [c for c in world.changes if c.incident.id == incident.id]
            last = max(n for n, c in enumerate(story) if c.happened in {Happened.OPENED, Happened.REOPENED})
            assert any(c.quiet is None for c in story[last:])
