"""The ledger: who may measure a window, and the one transaction that records what it came to."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from alerts.deciding import news
from alerts.incident import News
from alerts.problem import Sighting, State
from alerts.telling import Delivery, harmless
from checks.result import Bounds, Family, Result, Severity, Status
from checks.window import Window
from monitor import fit
from monitor.job import Measured
from monitor.store import decisions, leases, ledger, looking, past, waiting
from monitor.store.decisions import Before, Claim, Decision
from monitor.store.store import Store
from monitor.store.tables import deliveries, events, incidents, problems, profiles, results, windows

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
LEASE = timedelta(minutes=1)


def window(hours: int = 0) -> Window:
    return Window(NOON + hours * HOUR, NOON + (hours + 1) * HOUR)


def failed(column: str | None = "amount", message: str = "missing(amount) is 38 %, at most 2 %", **more: Any) -> Result:
    given: dict[str, Any] = {"severity": Severity.CRITICAL, "value": 0.38, "bounds": Bounds(at_most=0.02), "score": 19.0}
    return Result(f"missing({column})", "missing", Family.QUALITY, Status.FAILED, message, column, **{**given, **more})


def passed(column: str | None = "amount") -> Result:
    return Result(f"missing({column})", "missing", Family.QUALITY, Status.PASSED, "all there", column, value=0.0)


def measured(*given: Result, body: bytes = b"profile") -> Measured:
    return Measured("done", list(given), 100, 0.5, body)


def claimed(store: Store, at: Window | None = None, dataset: str = "orders", again: bool = False) -> Claim:
    claim = ledger.claim(store, dataset, at or window(), LEASE, again)
    assert claim is not None
    return claim


def telling(at: Window, *given: Result, subject: str = "orders", now: datetime = NOON) -> Callable[[Before], Decision]:
    """A decision as the runner's: the news of these results, one delivery per change."""

    def decide(before: Before) -> Decision:
        found = news(before.standing, [Sighting(subject, r, at.start, at.end) for r in given], now)
        said = [
            Delivery(f"inc:{c.incident.id}:{c.incident.revision}", c.incident.id, "team", "root", harmless("team", now))
            for c in found.changes
        ]
        return Decision(found, said)

    return decide


def recorded(store: Store, at: Window, *given: Result, again: bool = False) -> Decision | None:
    claim = claimed(store, at, again=again)
    return ledger.record(store, claim, measured(*given), NOON, ["orders"], telling(at, *given))


def count(store: Store, table: Any) -> int:
    with store.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def row_of(store: Store) -> Any:
    with store.reading() as connection:
        return connection.execute(select(windows)).one()


# Claims.


def test_a_window_is_claimed_once(store: Store) -> None:
    assert ledger.claim(store, "orders", window(), LEASE) is not None
    assert ledger.claim(store, "orders", window(), LEASE) is None


def test_other_windows_and_other_datasets_are_free(store: Store) -> None:
    claimed(store)

    assert ledger.claim(store, "orders", window(1), LEASE) is not None
    assert ledger.claim(store, "refunds", window(), LEASE) is not None


def test_of_many_threads_one_gets_the_window(store: Store) -> None:
    gate = threading.Barrier(6)

    def race(_: int) -> Claim | None:
        gate.wait(30)
        return ledger.claim(store, "orders", window(), LEASE)

    with ThreadPoolExecutor(6) as pool:
        won = [claim for claim in pool.map(race, range(6)) if claim is not None]

    assert len(won) == 1
    assert count(store, windows) == 1


def _race(url: str, gate: Any, told: Any) -> None:
    store = Store(url)
    gate.wait(30)
    claims = [ledger.claim(store, "orders", window(n), LEASE) for n in range(10)]
    told.put([n for n, claim in enumerate(claims) if claim is not None])
    gate.wait(30)
    store.close()


def test_two_daemons_share_the_windows_and_none_is_taken_twice(store: Store, store_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    gate, told = context.Barrier(2), context.Queue()
    both = [context.Process(target=_race, args=(store_url, gate, told)) for _ in range(2)]
    for process in both:
        process.start()
    taken = told.get(timeout=60) + told.get(timeout=60)
    for process in both:
        process.join(60)

    assert sorted(taken) == list(range(10))


def test_a_lease_that_ran_out_frees_the_window_and_the_old_token_is_worth_nothing(store: Store) -> None:
    old = ledger.claim(store, "orders", window(), timedelta(0))
    assert old is not None

    new = claimed(store)

    assert new.token != old.token
    assert new.attempts == 2
    assert ledger.record(store, old, measured(failed()), NOON, ["orders"], telling(window(), failed())) is None
    assert (count(store, results), count(store, profiles), count(store, incidents)) == (0, 0, 0)
    assert row_of(store).state == "running"


def test_a_renewed_lease_lasts(store: Store) -> None:
    claim = ledger.claim(store, "orders", window(), timedelta(0))
    assert claim is not None

    ledger.renew(store, [claim], LEASE)

    assert ledger.claim(store, "orders", window(), LEASE) is None
    ledger.renew(store, [], LEASE)


def test_a_lease_that_passed_to_somebody_else_cannot_be_renewed(store: Store) -> None:
    old = ledger.claim(store, "orders", window(), timedelta(0))
    assert old is not None
    new = claimed(store)
    until = row_of(store).lease_until

    ledger.renew(store, [old], timedelta(days=1))
    ledger.give_back(store, [old])

    assert row_of(store).lease_until == until
    assert row_of(store).lease_token == new.token


def test_the_window_of_a_dead_process_of_our_host_is_taken_over_at_once(store: Store) -> None:
    claimed(store)
    dead = _dead_process()
    with store.begin() as connection:
        connection.execute(update(windows).values(lease_owner=leases.owner().replace(str(os.getpid()), str(dead))))

    assert waiting.unfinished(store, NOON) == [("orders", window().start, window().end)]
    assert claimed(store).attempts == 2


@pytest.mark.parametrize("owner", ["elsewhere:1", "", "nonsense", f"elsewhere:{2**22 + 1}"])
def test_the_window_of_a_process_elsewhere_is_left_until_its_lease_ends(store: Store, owner: str) -> None:
    claimed(store)
    with store.begin() as connection:
        connection.execute(update(windows).values(lease_owner=owner))

    assert waiting.unfinished(store, NOON) == []
    assert ledger.claim(store, "orders", window(), LEASE) is None


def test_the_window_of_a_living_process_of_our_host_is_left(store: Store) -> None:
    claimed(store)
    with store.begin() as connection:
        connection.execute(update(windows).values(lease_owner=leases.owner().replace(str(os.getpid()), str(os.getppid()))))

    assert ledger.claim(store, "orders", window(), LEASE) is None


def _dead_process() -> int:
    child = multiprocessing.get_context("spawn").Process(target=int)
    child.start()
    child.join(30)
    assert child.pid is not None
    return child.pid


def test_a_window_that_is_given_back_is_free(store: Store) -> None:
    claim = claimed(store)

    ledger.give_back(store, [claim])

    assert waiting.unfinished(store, NOON) == [("orders", window().start, window().end)]
    assert claimed(store).token != claim.token


@pytest.mark.parametrize("state", ["done", "no_data"])
def test_a_finished_window_is_not_claimed_again_unless_asked(store: Store, state: Any) -> None:
    ledger.record(store, claimed(store), Measured(state, [passed()], 1), NOON, ["orders"], None)

    assert ledger.claim(store, "orders", window(), LEASE) is None
    assert ledger.claim(store, "orders", window(), LEASE, again=True) is not None


def test_an_errored_window_is_tried_again_when_its_time_has_come(store: Store) -> None:
    broken = Measured("errored", [], error="no route")
    ledger.record(store, claimed(store), broken, NOON, ["orders"], None, retry_at=NOON + MINUTE)

    assert waiting.unfinished(store, NOON) == []
    assert waiting.unfinished(store, NOON, anyway=True) == [("orders", window().start, window().end)]
    assert waiting.unfinished(store, NOON + MINUTE) == [("orders", window().start, window().end)]
    assert claimed(store).attempts == 2


def test_windows_to_try_again_come_oldest_first(store: Store) -> None:
    for hours in (2, 0, 1):
        ledger.record(store, claimed(store, window(hours)), Measured("errored", []), NOON, ["orders"], None, retry_at=NOON)

    assert [start for _, start, _ in waiting.unfinished(store, NOON)] == [window(n).start for n in range(3)]


def test_the_last_end_of_each_dataset_is_known(store: Store) -> None:
    for hours in (3, 1):
        claimed(store, window(hours))
    claimed(store, window(7), "refunds")

    assert waiting.last_ends(store) == {"orders": window(3).end, "refunds": window(7).end}


# Recording.


def test_everything_a_window_came_to_is_recorded(store: Store) -> None:
    decision = recorded(store, window(), failed(), passed("country"))

    assert decision is not None
    assert [c.incident.name for c in decision.news.changes] == ["INC-1"]
    stored = {r.column: r for r in looking.found_results(store)}
    assert stored["amount"].status == "failed"
    assert (stored["amount"].value, stored["amount"].at_most, stored["amount"].score) == (0.38, 0.02, 19.0)
    assert (stored["amount"].window_start, stored["amount"].window_end) == (window().start, window().end)
    assert stored["country"].severity is None
    [incident] = looking.found_incidents(store)
    assert (incident.subject, incident.severity, incident.since) == ("orders", "critical", window().start)
    [problem] = looking.members(store, incident.id)
    assert (problem.state, problem.message) == ("firing", failed().message)
    [event] = looking.story(store, incident.id)
    assert (event.happened, event.text, event.at) == ("opened", failed().message, NOON)
    row = row_of(store)
    assert (row.state, row.rows, row.seconds, row.finished_at, row.told) == ("done", 100, 0.5, NOON, True)
    assert (row.lease_token, row.lease_until) == (None, None)
    assert past.history(store, "orders", window().end, 9) == [(window().start, window().end, b"profile")]


def test_recording_a_window_again_replaces_its_results(store: Store) -> None:
    recorded(store, window(), failed(), failed("country"))
    claim = claimed(store, again=True)

    ledger.record(store, claim, measured(passed(), body=b"newer"), NOON, ["orders"], None)

    assert [(r.column, r.status) for r in looking.found_results(store)] == [("amount", "passed")]
    assert [body for *_, body in past.history(store, "orders", window().end, 9)] == [b"newer"]


def test_a_replayed_window_moves_no_problem_and_tells_nothing_twice(store: Store) -> None:
    recorded(store, window(0), failed())
    recorded(store, window(1), failed())
    before = _state(store)

    again = [recorded(store, window(hours), failed(), again=True) for hours in (0, 1, 0)]

    assert [d.news if d else None for d in again] == [News()] * 3
    assert _state(store) == before


def _state(store: Store) -> Any:
    with store.reading() as connection:
        return [connection.execute(select(table)).all() for table in (problems, incidents, events, deliveries)]


def test_a_delivery_key_is_written_once_whoever_comes_again(store: Store) -> None:
    said = Delivery("inc:1:open", None, "team", "root", harmless("team", NOON))
    for hours in (0, 1):
        ledger.record(store, claimed(store, window(hours)), measured(), NOON, ["orders"], lambda _: Decision(News(), [said, said]))

    assert count(store, deliveries) == 1


TABLES = (results, profiles, incidents, problems, events, deliveries)


@pytest.mark.parametrize("step", ["_write_measured", "before", "_write_problem", "write_delivery"])
def test_a_fault_in_the_middle_leaves_nothing_and_the_window_can_be_recorded_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    room = ledger if hasattr(ledger, step) else decisions
    claim, work = claimed(store), getattr(room, step)

    def dies(*given: Any) -> Any:
        work(*given)
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(room, step, dies)
        with pytest.raises(RuntimeError, match="killed"):
            ledger.record(store, claim, measured(failed()), NOON, ["orders"], telling(window(), failed()))

    assert [count(store, table) for table in TABLES] == [0] * len(TABLES)
    assert row_of(store).state == "running"

    assert ledger.record(store, claim, measured(failed()), NOON, ["orders"], telling(window(), failed())) is not None
    assert [count(store, table) for table in TABLES] == [1] * len(TABLES)


def test_a_decision_that_raises_leaves_nothing(store: Store) -> None:
    def decide(_: Before) -> Decision:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        ledger.record(store, claimed(store), measured(failed()), NOON, ["orders"], decide)

    assert [count(store, table) for table in TABLES] == [0] * len(TABLES)


def test_a_window_of_the_past_tells_nobody(store: Store) -> None:
    ledger.record(store, claimed(store), measured(failed()), NOON, ["orders"], None)

    assert count(store, results) == 1
    assert (count(store, problems), count(store, incidents), count(store, deliveries)) == (0, 0, 0)
    assert row_of(store).told is False


def test_two_results_of_the_same_identity_are_refused_by_the_database(store: Store) -> None:
    from sqlalchemy.exc import IntegrityError

    with pytest.raises(IntegrityError):
        ledger.record(store, claimed(store), measured(failed(), failed()), NOON, ["orders"], None)


# Problems and incidents through the store.


def test_an_incident_is_resolved_after_two_good_windows(store: Store) -> None:
    recorded(store, window(0), failed())
    recorded(store, window(1), passed())
    assert [i.resolved_at for i in looking.found_incidents(store)] == [None]

    decision = recorded(store, window(2), passed())

    assert decision is not None
    assert [str(c.happened) for c in decision.news.changes] == ["resolved"]
    [incident] = looking.found_incidents(store, everything=True)
    assert incident.resolved_at == NOON
    assert looking.members(store, incident.id) == []
    assert looking.found_incidents(store) == []


def test_what_fails_again_after_the_end_is_a_new_incident_with_a_number_of_its_own(store: Store) -> None:
    for hours, result in ((0, failed()), (1, passed()), (2, passed()), (9, failed())):
        recorded(store, window(hours), result)

    assert [(i.id, i.resolved_at is None) for i in looking.found_incidents(store, everything=True)] == [(2, True), (1, False)]
    assert [d.incident for d in _state(store)[3]] == [1, 1, 2]


def test_the_decision_is_told_in_which_channels_an_incident_was_told(store: Store) -> None:
    recorded(store, window(), failed())
    seen: list[Before] = []

    def decide(before: Before) -> Decision:
        seen.append(before)
        return Decision(News())

    ledger.record(store, claimed(store, window(1)), measured(), NOON, ["orders"], decide)
    ledger.record(store, claimed(store, window(1), "refunds"), measured(), NOON, ["refunds"], decide)

    assert seen[0].stand.rooted == {1: frozenset({"team"})}
    assert [p.state for p in seen[0].standing.problems] == [State.FIRING]
    assert (seen[1].stand.rooted, seen[1].standing.problems, seen[1].standing.incidents) == ({}, [], [])
    assert [before.standing.next_id for before in seen] == [2, 2]


def unreachable() -> Result:
    return Result("reachable", "reachable", Family.SOURCE, Status.FAILED, "connection refused", severity=Severity.CRITICAL)


def reached() -> Result:
    return replace(unreachable(), status=Status.PASSED, severity=None)


def test_datasets_that_lose_their_source_at_once_open_exactly_one_incident(store: Store) -> None:
    names = [f"dataset_{n}" for n in range(4)]
    claims = [claimed(store, dataset=name) for name in names]
    gate = threading.Barrier(len(names))

    def lose(claim: Claim) -> int:
        gate.wait(30)
        decide = telling(claim.window, unreachable(), subject="source:shop")
        done = ledger.record(store, claim, measured(), NOON, [claim.dataset, "source:shop"], decide)
        return len(done.news.changes) if done else -1

    with ThreadPoolExecutor(len(names)) as pool:
        changes = list(pool.map(lose, claims))

    assert sorted(changes) == [0, 0, 0, 1]
    assert (count(store, incidents), count(store, problems), count(store, deliveries), count(store, events)) == (1, 1, 1, 1)
    assert {row.state for row in looking.last_windows(store).values()} == {"done"}


def test_a_source_that_comes_back_for_one_and_not_for_another_never_leaves_a_problem_without_an_open_incident(
    store: Store,
) -> None:
    """The one that recovers must see what the other one just wrote, or a firing problem would hang on a closed incident."""
    subjects = ["source:shop"]

    def told(at: Window, result: Result) -> Callable[[Before], Decision]:
        return telling(at, result, subject="source:shop")

    for hours, result in enumerate((unreachable(), reached())):
        ledger.record(store, claimed(store, window(hours), "a"), measured(), NOON, subjects, told(window(hours), result))
    late, early = claimed(store, window(3), "a"), claimed(store, window(2), "b")
    inside, go = threading.Event(), threading.Event()

    def slowly(before: Before) -> Decision:
        inside.set()
        go.wait(30)
        return told(window(2), reached())(before)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ledger.record, store, early, measured(), NOON, subjects, slowly)
        assert inside.wait(30)
        second = pool.submit(ledger.record, store, late, measured(), NOON, subjects, told(window(3), unreachable()))
        go.set()
        first.result(30)
        second.result(30)

    opened = {i.id for i in looking.found_incidents(store)}
    with store.reading() as connection:
        firing = connection.execute(select(problems.c.incident).where(problems.c.state == "firing")).scalars().all()
    assert firing == [1]
    assert opened == {1}


# History.


def test_history_comes_oldest_first_the_last_ones_and_only_what_ended_before(store: Store) -> None:
    for hours in (4, 1, 3, 0, 2):
        ledger.record(store, claimed(store, window(hours)), measured(body=bytes([hours])), NOON, ["orders"], None)
    ledger.record(store, claimed(store, window(1), "refunds"), measured(body=b"x"), NOON, ["refunds"], None)

    def bodies(before: datetime, most: int) -> list[int]:
        return [body[0] for *_, body in past.history(store, "orders", before, most)]

    assert bodies(window(4).end, 99) == [0, 1, 2, 3, 4]
    assert bodies(window(4).start, 99) == [0, 1, 2, 3]
    assert bodies(window(4).start, 2) == [2, 3]
    assert bodies(window(3).end - MINUTE, 1) == [2]
    assert bodies(window(0).start, 99) == []
    inside = past.between(store, "orders", window(1).start, window(3).end)
    assert [body[0] for *_, body in inside] == [1, 2, 3]
    assert (inside[0][0], inside[-1][1]) == (window(1).start, window(3).end)


def test_a_window_without_a_profile_leaves_the_old_history_alone(store: Store) -> None:
    recorded(store, window(), passed())

    ledger.record(store, claimed(store, again=True), Measured("errored", []), NOON, ["orders"], None, retry_at=NOON)

    assert [body for *_, body in past.history(store, "orders", window().end, 9)] == [b"profile"]


# Values no store would take as they are.

ODD = "NUL \x00, half a pair \ud83d, snow \u2603, \U0001f534"


def test_nul_bytes_and_half_characters_are_stored_readably(store: Store) -> None:
    odd = replace(failed(ODD, ODD), segment=ODD, details={"values": [ODD], ODD: 1})
    ledger.record(store, claimed(store), Measured("errored", [odd], error=ODD), NOON, ["orders"], None)

    [row] = looking.found_results(store)
    assert row.message == "NUL \\0, half a pair ?, snow \u2603, \U0001f534"
    assert (row.column, row.segment) == (row.message, row.message)
    assert json.loads(row.details) == {"values": [row.message], row.message: 1}
    assert row_of(store).error == row.message


def test_a_message_with_nul_bytes_goes_through_problems_events_and_deliveries(store: Store) -> None:
    odd = fit.result(replace(failed(ODD, ODD), segment=ODD))
    said = replace(harmless("team", NOON), text=ODD, todo=(ODD,))

    def decide(before: Before) -> Decision:
        found = telling(window(), odd)(before)
        return Decision(found.news, [replace(found.deliveries[0], message=said)])

    ledger.record(store, claimed(store), measured(odd), NOON, ["orders"], decide)

    [[problem], _, [event], [delivery]] = _state(store)
    assert "\\0" in problem.message
    assert "\\0" in event.text
    stored = json.loads(delivery.payload)
    assert stored["text"] == stored["todo"][0] == fit.text(ODD)
    stored["text"].encode()


def test_long_names_that_differ_only_at_their_ends_stay_apart(store: Store) -> None:
    long = ["x" * 3000 + end for end in "ab"]
    both = [replace(failed(), check=name, segment=name, column=name, message=name * 2) for name in long]

    ledger.record(store, claimed(store), measured(*both), NOON, ["orders"], telling(window(), *map(fit.result, both)))

    rows = looking.found_results(store)
    assert len({r.check for r in rows}) == len({r.segment for r in rows}) == len({r.column for r in rows}) == 2
    assert count(store, problems) == 2


def test_numbers_no_json_knows_are_stored_as_nothing(store: Store) -> None:
    odd = failed(value=float("nan"), bounds=Bounds(float("-inf"), float("inf")), score=1e6)

    recorded(store, window(), odd)

    [row] = looking.found_results(store)
    assert (row.value, row.at_least, row.at_most, row.score) == (None, None, None, 1e6)
