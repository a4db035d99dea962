"""From results to incidents: what opens, joins, leaves, resolves; and what holds for any history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from alerts.deciding import news
from alerts.incident import Change, Happened, Incident, News, Standing
from alerts.problem import Problem, Sighting, State
from checks.result import Family, Result, Severity, Status

START = datetime(2026, 11, 23, tzinfo=UTC)
DAY = timedelta(days=1)
WARNING, CRITICAL = Severity.WARNING, Severity.CRITICAL


@dataclass
class World:
    """What a store would remember between windows."""

    problems: dict[str, Problem] = field(default_factory=dict)
    incidents: dict[int, Incident] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    day: int = 0

    def see(self, *said: str, asked: set[str] | None = None, day: int | None = None) -> list[Change]:
        """One more window with results such as `missing(a) F` (see `result`); the changes it makes."""
        number = self.day if day is None else day
        self.day = max(self.day, number + 1)
        start = START + number * DAY
        seen = [Sighting("orders", result(one), start, start + DAY) for one in said]
        return self.keep(self.news(seen, start + DAY, asked))

    def news(self, seen: Iterable[Sighting], now: datetime, asked: set[str] | None = None) -> News:
        standing = Standing(
            list(self.problems.values()),
            [i for i in self.incidents.values() if i.resolved_at is None],
            max(self.incidents, default=0) + 1,
        )
        return news(standing, seen, now, None if asked is None else {"orders": asked})

    def keep(self, found: News) -> list[Change]:
        self.problems.update((p.fingerprint, p) for p in found.problems)
        self.incidents.update((c.incident.id, c.incident) for c in found.changes)
        self.changes += found.changes
        return list(found.changes)

    @property
    def open(self) -> list[Incident]:
        return [i for i in self.incidents.values() if i.resolved_at is None]


def result(said: str) -> Result:
    """`check(column) LETTER`: F failed, C critical, O passed, S skipped, E errored; a check `drift...` is of the family drift."""
    name, letter = said.rsplit(" ", 1)
    check, _, column = name.partition("/")
    column = column or (check[check.index("(") + 1 : -1] if "(" in check else "")
    family = {"drift": Family.DRIFT, "columns": Family.LAYOUT}.get(check.partition("(")[0], Family.QUALITY)
    status = {"O": Status.PASSED, "S": Status.SKIPPED, "E": Status.ERRORED}.get(letter, Status.FAILED)
    severity = {"F": WARNING, "C": CRITICAL}.get(letter)
    return Result(check, check.partition("(")[0], family, status, f"{name} is {letter}", column or None, severity=severity)


def happened(changes: list[Change]) -> list[str]:
    return [f"{c.incident.name} {c.happened}" for c in changes]


def test_the_first_problem_opens_an_incident() -> None:
    [change] = World().see("missing(a) F", "missing(b) O")
    assert (change.happened, change.incident.revision, change.incident.severity) == (Happened.OPENED, 1, WARNING)
    assert change.incident.since == START
    assert [p.column for p in change.members] == ["a"]
    assert change.members[0].incident == change.incident.id


def test_problems_of_one_window_and_family_make_one_incident() -> None:
    [change] = World().see("missing(a) F", "missing(b) C", "unique(c) F")
    assert [p.column for p in change.members] == ["b", "a", "c"]
    assert change.incident.severity is CRITICAL


def test_each_family_has_an_incident_of_its_own() -> None:
    world = World()
    assert happened(world.see("missing(a) F", "drift(a) F")) == ["INC-1 opened", "INC-2 opened"]
    assert {i.family for i in world.open} == {Family.QUALITY, Family.DRIFT}


def test_a_later_problem_joins_the_open_incident() -> None:
    world = World()
    world.see("missing(a) F")
    [change] = world.see("missing(a) F", "missing(b) F")
    assert (change.happened, change.incident.id, change.incident.revision) == (Happened.JOINED, 1, 2)
    assert {p.column for p in change.members} == {"a", "b"}


def test_a_more_severe_problem_makes_the_incident_worse() -> None:
    world = World()
    world.see("missing(a) F")
    assert happened(world.see("missing(a) F", "missing(b) C")) == ["INC-1 worse"]
    other = World()
    other.see("missing(a) F")
    assert happened(other.see("missing(a) C")) == ["INC-1 worse"]


def test_a_problem_that_gets_as_bad_as_the_incident_is_no_news() -> None:
    world = World()
    world.see("missing(a) C", "missing(b) F")
    assert world.see("missing(a) C", "missing(b) C") == []


def test_the_same_again_and_the_milder_is_no_news() -> None:
    world = World()
    world.see("missing(a) C")
    assert world.see("missing(a) C") == []
    assert world.see("missing(a) F") == []
    assert world.open[0].severity is CRITICAL


def test_an_incident_resolves_with_its_last_problem() -> None:
    world = World()
    world.see("missing(a) F", "missing(b) F")
    world.see("missing(a) O", "missing(b) F")
    [left] = world.see("missing(a) O", "missing(b) O")
    assert (left.happened, [p.column for p in left.gone], [p.column for p in left.members]) == (Happened.LEFT, ["a"], ["b"])
    [resolved] = world.see("missing(a) O", "missing(b) O")
    assert (resolved.happened, [p.column for p in resolved.gone], resolved.members) == (Happened.RESOLVED, ["b"], ())
    assert resolved.incident.resolved_at == START + 4 * DAY
    assert world.open == []


def test_what_was_wrong_stays_readable_when_it_is_over() -> None:
    world = World()
    world.see("missing(a) C")
    world.see("missing(a) O")
    [resolved] = world.see("missing(a) O")
    assert resolved.gone[0].message == "missing(a) is C"
    assert resolved.incident.severity is CRITICAL


def test_trouble_after_the_end_is_a_new_incident() -> None:
    world = World()
    for letter in "FOOF":
        world.see(f"missing(a) {letter}")
    assert happened(world.changes) == ["INC-1 opened", "INC-1 resolved", "INC-2 opened"]


def test_an_incident_that_is_over_takes_no_more_problems() -> None:
    world = World()
    for letter in "FOO":
        world.see(f"missing(a) {letter}")
    standing = Standing(list(world.problems.values()), list(world.incidents.values()), 2)
    [change] = news(
        standing, [Sighting("orders", result("missing(b) F"), START + 3 * DAY, START + 4 * DAY)], START + 4 * DAY
    ).changes
    assert (change.incident.id, change.happened) == (2, Happened.OPENED)


def test_one_ends_while_another_begins_and_the_incident_goes_on() -> None:
    world = World()
    world.see("missing(a) F")
    world.see("missing(a) O")
    [change] = world.see("missing(a) O", "missing(b) F")
    assert (change.happened, [p.column for p in change.gone], [p.column for p in change.members]) == (Happened.JOINED, ["a"], ["b"])


def test_no_verdict_and_no_result_close_nothing() -> None:
    world = World()
    world.see("missing(a) F")
    for _ in range(5):
        assert world.see("missing(a) S", asked={"missing(a)"}) == []
        assert world.see("missing(a) E", asked={"missing(a)"}) == []
        assert world.see() == []
    assert len(world.open) == 1


def test_a_removed_check_closes_with_a_reason() -> None:
    world = World()
    world.see("missing(a) F", "missing(b) F")
    [left] = world.see("missing(b) F", asked={"missing(b)"})
    assert (left.happened, left.reason, [p.column for p in left.gone]) == (Happened.LEFT, "no longer checked", ["a"])
    [over] = world.see(asked=set())
    assert (over.happened, over.reason) == (Happened.RESOLVED, "no longer checked")
    assert world.open == []


def test_a_check_that_was_removed_and_comes_back_begins_anew() -> None:
    world = World()
    world.see("missing(a) F")
    world.see(asked=set())
    assert [p.outcomes for p in world.problems.values()] == [""]
    assert happened(world.see("missing(a) F", asked={"missing(a)"})) == ["INC-2 opened"]


def test_a_check_of_another_dataset_is_not_called_removed() -> None:
    world = World()
    world.see("missing(a) F")
    found = news(Standing(list(world.problems.values()), world.open, 2), [], START + 3 * DAY, {"refunds": set()})
    assert found == News()


def test_a_changed_column_is_over_when_the_check_passes_for_the_table() -> None:
    world = World()
    world.see("columns/amount C", "columns/price C")
    assert world.see("columns O") == []
    [over] = world.see("columns O")
    assert over.happened is Happened.RESOLVED
    assert {p.column for p in over.gone} == {"amount", "price"}


def test_a_changed_column_lasts_while_another_one_is_named() -> None:
    world = World()
    world.see("columns/amount C")
    for _ in range(3):
        world.see("columns/price C")
    assert {p.column for p in world.problems.values() if p.lasting} == {"amount", "price"}


def test_of_two_verdicts_on_the_same_thing_the_worse_counts_whatever_their_order() -> None:
    for said in (["missing(a) O", "missing(a) F", "missing(a) C"], ["missing(a) C", "missing(a) F", "missing(a) O"]):
        [change] = World().see(*said)
        assert (change.incident.severity, len(change.members)) == (CRITICAL, 1)


def test_an_older_window_moves_no_problem_that_is_known() -> None:
    world = World()
    world.see("missing(a) F", day=5)
    assert world.see("missing(a) O", day=3) == []
    assert world.see("missing(a) C", day=4) == []
    assert [p.outcomes for p in world.problems.values()] == ["F"]


def test_two_subjects_never_share_an_incident() -> None:
    failed = result("missing(a) F")
    seen = [Sighting(subject, failed, START, START + DAY) for subject in ("orders", "refunds")]
    found = news(Standing(), seen, START + DAY)
    assert [(c.incident.id, c.incident.subject) for c in found.changes] == [(1, "orders"), (2, "refunds")]


# Whatever happens.

CHECKS = ["missing(a)", "missing(b)", "drift(a)", "unique(c)"]
steps = st.lists(
    st.tuples(
        st.lists(st.sampled_from("FCOOSE-"), min_size=len(CHECKS), max_size=len(CHECKS)),
        st.sampled_from([0, 0, 0, -1, -3]),
        st.booleans(),
    ),
    max_size=25,
)


def lived(said: list[tuple[list[str], int, bool]]) -> World:
    """A world after these windows: each with a letter per check (`-`: no such check), some late, some with removed checks."""
    world = World()
    for letters, late, known in said:
        results = [f"{check} {letter}" for check, letter in zip(CHECKS, letters, strict=True) if letter != "-"]
        asked = {check for check, letter in zip(CHECKS, letters, strict=True) if letter != "-"} if known else None
        world.see(*results, asked=asked, day=max(world.day + late, 0))
    return world


@given(steps)
def test_at_most_one_incident_is_open_per_subject_and_family(said: list[tuple[list[str], int, bool]]) -> None:
    for end in range(len(said)):
        held = Counter((i.subject, i.family) for i in lived(said[: end + 1]).open)
        assert all(count == 1 for count in held.values())


@given(steps)
def test_an_opened_incident_is_resolved_exactly_once_or_open_still(said: list[tuple[list[str], int, bool]]) -> None:
    world = lived(said)
    for number, incident in world.incidents.items():
        story = [c.happened for c in world.changes if c.incident.id == number]
        assert story[0] is Happened.OPENED
        assert story.count(Happened.OPENED) == 1
        assert story.count(Happened.RESOLVED) == (0 if incident.resolved_at is None else 1)
        assert incident.resolved_at is None or story[-1] is Happened.RESOLVED


@given(steps)
def test_the_revision_rises_by_one_with_each_change(said: list[tuple[list[str], int, bool]]) -> None:
    world = lived(said)
    for number in world.incidents:
        revisions = [c.incident.revision for c in world.changes if c.incident.id == number]
        assert revisions == list(range(1, len(revisions) + 1))


@given(steps)
def test_an_incident_is_open_as_long_as_it_has_a_problem(said: list[tuple[list[str], int, bool]]) -> None:
    world = lived(said)
    held = {p.incident for p in world.problems.values() if p.lasting}
    assert held == {i.id for i in world.open}
    assert all(p.incident is None for p in world.problems.values() if p.state in {State.OK, State.PENDING})


@given(steps)
def test_nothing_is_over_without_two_passes_or_a_reason(said: list[tuple[list[str], int, bool]]) -> None:
    world = lived(said)
    for change in world.changes:
        for problem in change.gone:
            # As it was: one pass is behind it, the second ended it.
            assert problem.outcomes.endswith("FO") or change.reason == "no longer checked"


@given(steps)
def test_an_incident_never_gets_milder_and_begins_with_its_first_problem(said: list[tuple[list[str], int, bool]]) -> None:
    world = lived(said)
    for number in world.incidents:
        story = [c.incident for c in world.changes if c.incident.id == number]
        ranks = [i.severity.rank for i in story]
        assert ranks == sorted(ranks)
        for change in (c for c in world.changes if c.incident.id == number):
            assert all(p.since is not None and p.since >= change.incident.since for p in change.members)


@given(steps)
def test_the_same_windows_again_change_nothing(said: list[tuple[list[str], int, bool]]) -> None:
    world = lived(said)
    before = remembered(world)
    for number in range(world.day):
        known = {p.check for p in world.problems.values() if p.last_end and p.last_end >= START + (number + 1) * DAY}
        world.see(*[f"{check} {letter}" for check in sorted(known) for letter in "FCO"], day=number)
    assert remembered(world) == before


def remembered(world: World) -> tuple[dict[str, Problem], dict[int, Incident], int]:
    return dict(world.problems), dict(world.incidents), len(world.changes)


@given(steps, st.integers(0, 5))
def test_a_decision_can_be_made_again(said: list[tuple[list[str], int, bool]], extra: int) -> None:
    world = lived(said)
    start = START + (world.day + extra) * DAY
    seen = [Sighting("orders", result(f"{check} F"), start, start + DAY) for check in CHECKS]
    once = world.news(seen, start + DAY)
    assert world.news(seen, start + DAY) == once
    assert world.news(seen[::-1], start + DAY).changes != () or not once.changes
    assert {p.fingerprint for p in world.news(seen[::-1], start + DAY).problems} == {p.fingerprint for p in once.problems}
