"""What a change of an incident sends where, and under which key."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.incident import Change, Happened, Incident
from alerts.message import Message
from alerts.outcome import Heard, Outcome, Times, channels_of, ruling
from alerts.problem import Problem, State
from alerts.routing import Route
from alerts.telling import EXPIRES, Delivery, Subject, deliveries, harmless, message
from checks.result import Family, Severity

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
NIGHT = datetime(2026, 11, 23, 23, tzinfo=UTC)
INC = "inc:7-20261123T120000000000"
"""How the keys of an incident begin that opened at noon."""
WARNING, CRITICAL = Severity.WARNING, Severity.CRITICAL
THREADS = {"slack": True, "mail": False, "oncall": True}
SUBJECT = Subject(
    "orders", owner="ann", runbook="https://wiki.example.com/orders", downstream=("billing",), window="2026-11-22", rows=12345
)


def problem(column: str = "amount", severity: Severity = WARNING, **more: Any) -> Problem:
    text = f"missing({column}) is 38.2 %, at most 2 % allowed"
    made = Problem(column, "orders", f"missing({column})", "missing", Family.QUALITY, column, state=State.FIRING, message=text)
    return replace(made, severity=severity, since=NOON - timedelta(days=1), **more)


def change(happened: Happened = Happened.OPENED, revision: int = 1, severity: Severity = WARNING, **more: Any) -> Change:
    incident = Incident(7, "orders", Family.QUALITY, severity, NOON - timedelta(days=1), NOON, None, revision)
    if happened is Happened.RESOLVED:
        return Change(replace(incident, resolved_at=NOON), happened, (), (problem(severity=severity),), **more)
    gone = (problem("price"),) if happened is Happened.LEFT else ()
    return Change(incident, happened, (problem(severity=severity),), gone, **more)


def sent(
    what: Change, *to: str, rooted: tuple[str, ...] = (), now: datetime = NOON, quiet: str | None = None, threads: Any = THREADS
) -> list[Delivery]:
    """What goes out now, as the deciding would have it."""
    route, times = Route.model_validate({"to": to, "quiet": quiet}), Times(now)
    heard = {name: Heard(threads[name], name in rooted) for name in threads}
    said = message(what, SUBJECT, route, now)
    out: list[Delivery] = []
    for channel in channels_of(route, heard):
        if ruling(what, heard[channel], None, route, times).outcome is Outcome.TOLD:
            out += deliveries(what, said, channel, heard[channel], route, times)
    return out


def forms(rows: list[Delivery]) -> list[tuple[str, str]]:
    return [(row.form, row.key) for row in rows]


@pytest.mark.parametrize(
    ("happened", "rooted", "expected"),
    [
        (Happened.OPENED, False, [("root", f"{INC}:slack:open:1")]),
        (Happened.JOINED, False, [("root", f"{INC}:slack:open:1")]),
        (Happened.WORSE, False, [("root", f"{INC}:slack:open:1")]),
        (Happened.LEFT, False, []),
        (Happened.RESOLVED, False, []),
        (
            Happened.JOINED,
            True,
            [("edit", f"{INC}:slack:rev:3"), ("line", f"{INC}:slack:line:3")],
        ),
        (
            Happened.WORSE,
            True,
            [("edit", f"{INC}:slack:rev:3"), ("line", f"{INC}:slack:line:3")],
        ),
        (
            Happened.LEFT,
            True,
            [("edit", f"{INC}:slack:rev:3"), ("line", f"{INC}:slack:line:3")],
        ),
        (
            Happened.RESOLVED,
            True,
            [("edit", f"{INC}:slack:rev:3"), ("line", f"{INC}:slack:resolved:1")],
        ),
    ],
)
def test_a_threading_channel_gets_one_root_then_edits_and_lines(
    happened: Happened, rooted: bool, expected: list[tuple[str, str]]
) -> None:
    assert forms(sent(change(happened, 3), "slack", rooted=("slack",) if rooted else ())) == expected


@pytest.mark.parametrize(
    ("happened", "rooted", "expected"),
    [
        (Happened.OPENED, False, [("message", f"{INC}:mail:open:1")]),
        (Happened.JOINED, True, [("message", f"{INC}:mail:rev:3")]),
        (Happened.WORSE, True, [("message", f"{INC}:mail:rev:3")]),
        (Happened.LEFT, True, []),
        (Happened.RESOLVED, True, [("message", f"{INC}:mail:resolved:1")]),
        (Happened.RESOLVED, False, []),
    ],
)
def test_a_channel_without_threads_gets_messages(happened: Happened, rooted: bool, expected: list[tuple[str, str]]) -> None:
    assert forms(sent(change(happened, 3), "mail", rooted=("mail",) if rooted else ())) == expected


def test_only_what_got_worse_or_began_again_is_shown_in_the_channel_too() -> None:
    shown = {h: [r.broadcast for r in sent(change(h, 2), "slack", rooted=("slack",)) if r.form == "line"] for h in Happened}
    loud = {Happened.WORSE, Happened.REOPENED, Happened.RELEASED}
    assert shown == {h: [h in loud] for h in Happened}


def test_who_was_told_hears_of_the_end_whatever_the_route_says_by_then() -> None:
    rows = sent(change(Happened.RESOLVED, 4), "mail", rooted=("slack", "mail"))
    assert forms(rows) == [
        ("message", f"{INC}:mail:resolved:1"),
        ("edit", f"{INC}:slack:rev:4"),
        ("line", f"{INC}:slack:resolved:1"),
    ]


def test_a_worse_incident_opens_where_its_new_route_leads_and_goes_on_where_it_was() -> None:
    rows = sent(change(Happened.WORSE, 2, CRITICAL), "oncall", rooted=("slack",))
    assert forms(rows) == [
        ("root", f"{INC}:oncall:open:1"),
        ("edit", f"{INC}:slack:rev:2"),
        ("line", f"{INC}:slack:line:2"),
    ]


def test_a_channel_that_is_no_longer_in_the_config_gets_nothing() -> None:
    assert sent(change(Happened.RESOLVED, 2), "slack", rooted=("slack",), threads={}) == []


def test_an_empty_route_mutes() -> None:
    assert sent(change()) == []


# When.


def test_a_warning_is_not_sent_in_quiet_hours() -> None:
    assert sent(change(), "slack", now=NIGHT, quiet="22:00-08:00") == []


def test_what_was_told_by_day_goes_on_at_night_in_its_thread_and_not_aloud() -> None:
    for happened in (Happened.WORSE, Happened.JOINED, Happened.RESOLVED):
        rows = sent(change(happened, 2), "slack", rooted=("slack",), now=NIGHT, quiet="22:00-08:00")
        assert [(row.form, row.broadcast) for row in rows] == [("edit", False), ("line", False)]


@pytest.mark.parametrize("happened", list(Happened))
def test_what_is_critical_goes_at_once_also_at_night(happened: Happened) -> None:
    rows = sent(change(happened, 2, CRITICAL), "slack", "mail", rooted=("slack",), now=NIGHT, quiet="22:00-08:00")
    assert rows
    assert {row.not_before for row in rows} == {None}
    assert {row.expires_at for row in rows} == {NIGHT + EXPIRES}


# Keys.

changes = st.builds(change, st.sampled_from(list(Happened)), st.integers(1, 9), st.sampled_from([WARNING, CRITICAL]))
told = st.frozensets(st.sampled_from(list(THREADS)))
named = st.lists(st.sampled_from(list(THREADS)), unique=True)


@given(changes, named, told)
def test_keys_are_unique_within_a_change(what: Change, to: list[str], rooted: frozenset[str]) -> None:
    keys = [row.key for row in sent(what, *to, rooted=tuple(rooted))]
    assert len(set(keys)) == len(keys)


@given(changes, named, told, st.integers(0, 10_000))
def test_the_same_change_has_the_same_keys_whenever_it_is_told(
    what: Change, to: list[str], rooted: frozenset[str], later: int
) -> None:
    once = sent(what, *to, rooted=tuple(rooted))
    again = sent(what, *to, rooted=tuple(rooted), now=NOON + timedelta(minutes=later))
    assert forms(again) == forms(once)


@given(st.integers(2, 9), st.integers(2, 9), st.sampled_from([Happened.JOINED, Happened.WORSE, Happened.LEFT]))
def test_different_revisions_have_different_keys(one: int, other: int, happened: Happened) -> None:
    keys = [
        {row.key for row in sent(change(happened, revision), "slack", "mail", rooted=("slack", "mail"))}
        for revision in (one, other)
    ]
    assert (keys[0] == keys[1]) == (one == other)
    assert one == other or not keys[0] & keys[1]


@given(changes, named, told)
def test_each_channel_is_rooted_at_most_once_and_before_anything_else(what: Change, to: list[str], rooted: frozenset[str]) -> None:
    rows = sent(what, *to, rooted=tuple(rooted))
    for channel in THREADS:
        here = [row for row in rows if row.channel == channel]
        opening = [row for row in here if row.key.endswith(":open:1")]
        assert len(opening) <= 1
        assert not opening or (channel not in rooted and here == opening)


# What.


def test_one_line_tells_what_how_bad_and_since_when() -> None:
    said = message(change(severity=CRITICAL), SUBJECT, Route(to=("slack",)), NOON)
    assert said.text == "CRIT orders: missing(amount) is 38.2 %, at most 2 % allowed, since 2026-11-22 12:00 UTC"
    assert said.state == "open"
    assert said.incident == "INC-7"
    assert "route" in said.why


def test_further_problems_are_counted_in_the_line_and_listed_in_full() -> None:
    both = replace(change(), members=(problem("amount"), problem("price", segment="DE")))
    said = message(both, SUBJECT, Route(to=("slack",)), NOON)
    assert said.text.endswith("(+1 more)")
    assert [f.text for f in said.findings] == [
        "missing(amount) is 38.2 %, at most 2 % allowed",
        "missing(price) is 38.2 %, at most 2 % allowed [DE]",
    ]


def test_the_end_is_told_with_how_long_it_lasted_and_why() -> None:
    said = message(change(Happened.RESOLVED, 3, reason="no longer checked"), SUBJECT, Route(to=("slack",)), NOON)
    assert said.state == "resolved"
    assert said.text == "RESOLVED orders: bad values, over after 1 d (was WARN), no longer checked"
    assert said.note == "resolved: no longer checked"
    assert all(f.resolved for f in said.findings)
    assert said.todo == ()


def test_what_left_is_shown_as_over_beside_what_goes_on() -> None:
    said = message(change(Happened.LEFT, 3), SUBJECT, Route(to=("slack",)), NOON)
    assert [(f.column, f.resolved) for f in said.findings] == [("amount", False), ("price", True)]
    assert said.note.startswith("over: missing(price)")


def test_the_facts_name_owner_rows_window_and_who_it_feeds() -> None:
    facts = {f.label: f.value for f in message(change(), SUBJECT, Route(to=("slack",)), NOON).facts}
    assert facts == {
        "Since": NOON - timedelta(days=1),
        "Window": "2026-11-22",
        "Rows": "12 345",
        "Owner": "ann",
        "Feeds": "billing",
    }


def test_the_first_steps_are_the_runbook_and_a_command() -> None:
    said = message(change(), SUBJECT, Route(to=("slack",)), NOON)
    assert said.todo == ("Runbook: https://wiki.example.com/orders", "datavigil results --dataset orders --failed")
    source = message(change(), Subject("source shop"), Route(to=("slack",)), NOON)
    assert source.todo == ("datavigil results --failed",)


@given(changes)
def test_a_message_comes_back_from_the_store_as_it_was(what: Change) -> None:
    said = message(what, SUBJECT, Route(to=("slack",)), NOON)
    assert Message.from_json(said.as_json()) == said


def test_the_test_message_says_that_nothing_is_wrong() -> None:
    said = harmless("team", NOON)
    assert said.state == "info"
    assert "team" in said.text
    assert "Nothing is wrong" in said.text


def test_what_joins_is_named_and_not_the_worst_that_was_there() -> None:
    joined = problem("country")
    worst = [problem(f"column_{n}", CRITICAL) for n in range(4)]
    told = message(
        replace(change(Happened.JOINED, 2), members=(*worst, joined), fresh=(joined,)), SUBJECT, Route(to=("slack",)), NOON
    )
    assert told.note.startswith("also: missing(country) is 38.2 %")


def test_a_part_that_ends_is_told_as_good_news() -> None:
    over = problem("country")
    told = message(replace(change(Happened.LEFT, 2), gone=(over,)), SUBJECT, Route(to=("slack",)), NOON)
    assert told.text.startswith("orders: over: missing(country)")


@pytest.mark.parametrize(
    ("heard", "outcome"),
    [
        (Heard(True), Outcome.TOLD),
        (Heard(True, earlier=frozenset({Outcome.INHIBITED})), Outcome.TOLD),
        (Heard(True, earlier=frozenset({Outcome.DIGEST})), Outcome.FLAPPING),
        (Heard(True, rooted=True), Outcome.FLAPPING),
    ],
    ids=["never told", "kept quiet", "in a digest", "told"],
)
def test_a_turn_of_what_flaps_is_kept_from_those_who_know_that_it_does(heard: Heard, outcome: Outcome) -> None:
    joined = change(Happened.JOINED, 4)
    # What joins is the problem that flaps.
    flaps = replace(joined.members[0], flapping_since=NOON)
    what = replace(joined, incident=replace(joined.incident, flapping_since=NOON), members=(flaps,), fresh=(flaps,))
    assert ruling(what, heard, None, Route(to=("slack",)), Times(NOON)).outcome is outcome
