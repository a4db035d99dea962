"""What people do about incidents: the first one wins, after the end it is only recorded, and everybody sees who it was."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from alerts.message import Message
from alerts.telling import Delivery, key_of
from checks.result import Severity
from monitor import actions, reference
from monitor.config import Config
from monitor.dataset import Dataset
from monitor.store import outbox
from monitor.store.store import Store
from monitor.store.tables import deliveries, events, feedback, incidents, problems, references, silences

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SAID = Message("open", "orders · bad values", "CRIT orders: missing(amount) is 38.2 %", NOON, Severity.CRITICAL, incident="INC-1")


@pytest.fixture(autouse=True)
def an_incident(store: Store) -> None:
    """INC-1, open, its root sent to `team` and held back for `other`."""
    row = {"subject": "orders", "family": "quality", "severity": "critical", "since": NOON, "opened_at": NOON, "revision": 1}
    bad = {"subject": "orders", "kind": "missing", "family": "quality", "state": "firing", "incident": 1, "last_end": NOON}
    with store.begin() as connection:
        connection.execute(insert(incidents).values(id=1, **row))
        for n, column in enumerate(("amount", "country")):
            connection.execute(insert(problems).values(fingerprint=str(n), check=f"missing({column})", column=column, **bad))
    for channel, wait in (("team", None), ("other", NOON + HOUR)):
        key = key_of(1, NOON, channel, "open:1")
        outbox.put(store, Delivery(key, 1, channel, "root", SAID, 1, not_before=wait), NOON)
    claimed = outbox.claim(store, "team", NOON, HOUR)
    assert claimed is not None
    outbox.finish(store, claimed, state="sent", provider_ref="C1:1.0", sent_at=NOON)


def rows(store: Store, table: Any) -> list[Any]:
    with store.reading() as connection:
        return list(connection.execute(select(table).order_by(table.c.id)))


def resolve(store: Store) -> None:
    with store.begin() as connection:
        connection.execute(incidents.update().values(resolved_at=NOON + HOUR))
        connection.execute(problems.update().values(incident=None, state="ok"))


def told(store: Store) -> list[tuple[str, str, Message]]:
    """What was written down after the opening: channel, form, message."""
    later = [row for row in rows(store, deliveries) if not row.key.endswith("open:1")]
    return [(row.channel, row.form, Message.from_json(json.loads(row.payload))) for row in later]


def happened(store: Store) -> list[tuple[str, str, str]]:
    return [(row.happened, row.actor, row.text) for row in rows(store, events)]


def test_an_acknowledgement_is_kept_and_everybody_sees_it(store: Store) -> None:
    assert actions.acknowledge(store, 1, "ann", NOON + HOUR).changed
    (incident,) = rows(store, incidents)
    assert (incident.acked_by, incident.acked_at, incident.revision) == ("ann", NOON + HOUR, 2)
    edit, line = told(store)
    assert edit[:2] == ("team", "edit")
    assert line[:2] == ("team", "line")
    assert edit[2].marks == ("acknowledged by ann",)
    assert line[2].note == "acknowledged by ann"
    assert happened(store) == [("acked", "ann", "acknowledged by ann")]


def test_what_is_said_of_a_call_does_not_call_again(store: Store) -> None:
    with store.begin() as connection:
        loud = json.dumps(replace(SAID, calls=True).as_json())
        connection.execute(deliveries.update().values(payload=loud))
    actions.acknowledge(store, 1, "ann", NOON)
    assert [message.calls for _, _, message in told(store)] == [False, False]


def test_a_root_that_is_not_out_yet_is_not_overtaken_by_its_edit(store: Store) -> None:
    actions.acknowledge(store, 1, "ann", NOON)
    assert {channel for channel, _, _ in told(store)} == {"team"}


def test_a1_of_two_people_the_first_one_has_it(store: Store) -> None:
    actions.acknowledge(store, 1, "ann", NOON)
    done = actions.acknowledge(store, 1, "bob", NOON + HOUR)
    assert (done.said, done.changed) == ("ann has acknowledged INC-1 already", False)
    assert rows(store, incidents)[0].acked_by == "ann"
    assert happened(store)[1] == ("acked", "bob", "after ann")
    assert len(told(store)) == 2


def test_a1_of_many_at_once_exactly_one_is_first(store: Store) -> None:
    done: list[actions.Done] = []
    threads = [threading.Thread(target=lambda n=n: done.append(actions.acknowledge(store, 1, f"p{n}", NOON))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [d.changed for d in done].count(True) == 1
    assert len(done) == 8
    assert len(told(store)) == 2


def test_a1_after_the_end_it_is_only_recorded(store: Store) -> None:
    resolve(store)
    for done in (
        actions.acknowledge(store, 1, "ann", NOON + 2 * HOUR),
        actions.silence(store, 1, "ann", NOON + 9 * HOUR, "", NOON + 2 * HOUR),
    ):
        assert not done.changed
    assert told(store) == []
    assert rows(store, silences) == []
    assert rows(store, incidents)[0].acked_by is None
    assert [event[2] for event in happened(store)] == ["after it was resolved"] * 2


def test_a_silence_has_an_author_a_reason_and_an_end(store: Store) -> None:
    done = actions.silence(store, 1, "ann", NOON + 4 * HOUR, "known\x00 outage", NOON)
    assert done.said.startswith("INC-1 is silenced until 2026-11-23 16:00 UTC")
    (row,) = rows(store, silences)
    assert (row.incident, row.author, row.reason, row.ends_at) == (1, "ann", "known outage", NOON + 4 * HOUR)
    assert told(store)[0][2].marks == ("silenced by ann until 2026-11-23 16:00 UTC",)


def test_a_shorter_silence_inside_a_longer_one_changes_nothing_and_a_longer_one_does(store: Store) -> None:
    actions.silence(store, 1, "ann", NOON + 4 * HOUR, "", NOON)
    assert not actions.silence(store, 1, "bob", NOON + 3 * HOUR, "", NOON).changed
    assert actions.silence(store, 1, "bob", NOON + 9 * HOUR, "", NOON).changed
    assert len(rows(store, silences)) == 2
    # One mark: the newest.
    assert told(store)[-1][2].marks == ("silenced by bob until 2026-11-23 21:00 UTC",)


def test_a_silence_can_be_taken_back(store: Store) -> None:
    assert not actions.lift(store, 1, "ann", NOON).changed
    actions.silence(store, 1, "ann", NOON + 4 * HOUR, "", NOON)
    assert actions.lift(store, 1, "bob", NOON + HOUR).changed
    assert rows(store, silences)[0].ends_at == NOON + HOUR
    assert told(store)[-1][2].marks == ()
    assert told(store)[-1][2].note == "the silence was lifted by bob"


def test_not_useful_counts_once_per_person_and_finding_also_after_the_end(store: Store) -> None:
    assert actions.not_useful(store, 1, "ann", NOON, "planned").changed
    assert not actions.not_useful(store, 1, "ann", NOON).changed
    assert actions.not_useful(store, 1, "bob", NOON).changed
    resolve(store)
    assert actions.not_useful(store, 1, "cat", NOON + 2 * HOUR).changed
    found = [(row.author, row.check, row.note) for row in rows(store, feedback)]
    assert found == [
        (who, f"missing({column})", note)
        for who, note in (("ann", "planned"), ("bob", None), ("cat", None))
        for column in ("amount", "country")
    ]


def test_accepting_makes_a_version_for_each_column_which_can_be_rolled_back(store: Store) -> None:
    config = Config(Path(), datasets={"orders": Dataset(name="orders", table="o/{start}.csv")})
    done = actions.accept(store, config, 1, "ann", NOON, "new prices")
    assert done.changed
    assert "undo: datavigil reference rollback orders --version 2" in done.said
    found = [(row.column, row.author, row.note) for row in rows(store, references)]
    assert found == [("amount", "ann", "new prices"), ("country", "ann", "new prices")]
    assert told(store)[0][2].marks == ("accepted as new normal by ann",)
    assert reference.rollback(store, config, "orders", "bob", NOON) == 2
    again = actions.accept(store, config, 1, "bob", NOON)
    assert (again.said, again.changed) == ("ann has accepted INC-1 already", False)
    assert len(rows(store, references)) == 2


def test_what_is_no_level_of_a_dataset_cannot_be_accepted(store: Store) -> None:
    assert "nothing to accept" in actions.accept(store, Config(Path()), 1, "ann", NOON).said
    resolve(store)
    assert "over already" in actions.accept(store, Config(Path()), 1, "ann", NOON).said
    assert rows(store, references) == []


def test_marks_stand_side_by_side_and_outlive_each_other(store: Store) -> None:
    actions.acknowledge(store, 1, "ann", NOON)
    actions.silence(store, 1, "ann", NOON + 4 * HOUR, "", NOON)
    actions.not_useful(store, 1, "bob", NOON)
    marks = told(store)[-1][2].marks
    assert marks == ("acknowledged by ann", "silenced by ann until 2026-11-23 16:00 UTC", "called not useful by bob")


@pytest.mark.parametrize(
    ("number", "opened"), [(2, None), (1, NOON + HOUR)], ids=["no such number", "that number of another store"]
)
def test_an_incident_that_is_not_ours_is_left_alone(store: Store, number: int, opened: datetime | None) -> None:
    with pytest.raises(actions.NoSuchIncident, match="datavigil incidents"):
        actions.acknowledge(store, number, "ann", NOON, opened)
    assert happened(store) == []


def test_a_name_can_do_no_harm(store: Store) -> None:
    actions.acknowledge(store, 1, "a\x00b\u202e" + "x" * 1000, NOON)
    assert len(rows(store, incidents)[0].acked_by) <= 255
    actions.not_useful(store, 1, "", NOON)
    assert rows(store, feedback)[0].author == "somebody"


@pytest.mark.parametrize(
    ("now", "zone", "end"),
    [
        ("2026-11-23T02:04+00:00", "Europe/Berlin", "2026-11-23T07:00+00:00"),
        ("2026-11-23T06:30+00:00", "Europe/Berlin", "2026-11-24T07:00+00:00"),
        ("2026-11-23T20:00+00:00", "Europe/Berlin", "2026-11-24T07:00+00:00"),
        ("2026-03-29T00:30+00:00", "Europe/Berlin", "2026-03-29T06:00+00:00"),
        ("2026-10-24T22:30+00:00", "Europe/Berlin", "2026-10-25T07:00+00:00"),
        ("2026-11-23T21:30+00:00", "America/New_York", "2026-11-24T13:00+00:00"),
    ],
)
def test_until_morning_is_the_next_one_that_is_an_hour_off(now: str, zone: str, end: str) -> None:
    assert actions.ends(datetime.fromisoformat(now), None, "morning", zone) == datetime.fromisoformat(end)


@pytest.mark.parametrize(("length", "until"), [("4h", "morning"), ("0h", None), (None, NOON - HOUR), ("900d", None), ("x", None)])
def test_an_end_that_is_none_is_refused(length: str | None, until: Any) -> None:
    with pytest.raises(ValueError, match=r"silence|--for|duration"):
        actions.ends(NOON, length, until, "UTC")


def test_a_cause_is_noted_also_after_the_end_and_everybody_sees_it(store: Store) -> None:
    assert actions.note_cause(store, 1, "ann", "a deploy\nof <payments>", NOON).changed
    resolve(store)
    assert actions.note_cause(store, 1, "bob", "v812 writes no amount", NOON + 2 * HOUR).changed
    again = actions.note_cause(store, 1, "cid", "v812 writes no amount", NOON + 3 * HOUR)

    assert (again.said, again.changed) == ("that is noted of INC-1 already", False)
    assert happened(store) == [("cause", "ann", "a deploy of <payments>"), ("cause", "bob", "v812 writes no amount")]
    marks = [message.marks for _, form, message in told(store) if form == "edit"]
    assert marks == [("cause noted by ann: a deploy of <payments>",), ("cause noted by bob: v812 writes no amount",)]


@pytest.mark.parametrize("text", ["", "  \n", "\x00"])
def test_no_text_is_no_cause(store: Store, text: str) -> None:
    with pytest.raises(ValueError, match="write what the cause was"):
        actions.note_cause(store, 1, "ann", text, NOON)
    assert happened(store) == []
