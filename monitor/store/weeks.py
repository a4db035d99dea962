"""What a week's summary is made from, and the summaries that were made. Reads, and one write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, case, distinct, func, insert, or_, select

from alerts.telling import Delivery
from monitor.store import decisions
from monitor.store.decisions import LIVE
from monitor.store.outbox import OVER
from monitor.store.store import Store
from monitor.store.tables import channels, deliveries, events, incidents, problems, results, summaries, windows

Record = Row[Any]
Key = tuple[str, str, str, str]
"""Dataset, check, column, segment."""
KEY = (results.c.dataset, results.c.check, results.c.column, results.c.segment)
JUDGED = results.c.status.in_(("passed", "failed"))
NOT_USEFUL = ("not useful", "not_useful")


def of_week(store: Store, week: str) -> str | None:
    """The stored summary as JSON."""
    with store.reading() as connection:
        found: str | None = connection.execute(select(summaries.c.body).where(summaries.c.week == week)).scalar()
    return found


def last_due(store: Store) -> datetime | None:
    with store.reading() as connection:
        return connection.execute(select(func.max(summaries.c.due_at))).scalar()


def at_work(store: Store, at: datetime) -> bool:
    """Whether any window had been measured by then."""
    with store.reading() as connection:
        return connection.execute(select(windows.c.id).where(windows.c.finished_at <= at).limit(1)).first() is not None


def write(
    store: Store, week: str, due_at: datetime, made_at: datetime, body: str, deliveries_of: Callable[[str], Sequence[Delivery]]
) -> bool:
    """The summary and the deliveries that tell it, in one transaction; False where the week had one, and that one is told."""

    def work(connection: Any) -> bool:
        there = connection.execute(select(summaries.c.body).where(summaries.c.week == week)).scalar()
        if there is None:
            connection.execute(insert(summaries).values(week=week, due_at=due_at, made_at=made_at, body=body))
        for delivery in deliveries_of(there or body):
            decisions.write_delivery(connection, delivery, made_at)
        return there is None

    return store.attempt(work)


def incidents_of(store: Store, start: datetime, end: datetime) -> list[Record]:
    """Incidents that were open at some time of the week, oldest first."""
    here = and_(incidents.c.opened_at < end, or_(incidents.c.resolved_at.is_(None), incidents.c.resolved_at > start))
    with store.reading() as connection:
        return list(connection.execute(select(incidents).where(here).order_by(incidents.c.opened_at, incidents.c.id)))


def said_of(store: Store, ids: Sequence[int]) -> dict[int, list[Record]]:
    """Incident -> what happened to it, oldest first."""
    out: dict[int, list[Record]] = {}
    with store.reading() as connection:
        for row in connection.execute(select(events).where(events.c.incident.in_(ids)).order_by(events.c.id)):
            out.setdefault(row.incident, []).append(row)
    return out


def firing(store: Store, ids: Sequence[int]) -> list[Record]:
    """The problems of these incidents, the farthest out first."""
    with store.reading() as connection:
        rows = connection.execute(
            select(problems).where(problems.c.incident.in_(ids)).order_by(problems.c.score.desc().nulls_last())
        )
        return list(rows)


def first_starts(store: Store) -> dict[str, datetime]:
    """Dataset -> the start of its first window in the ledger."""
    query = select(windows.c.dataset, func.min(windows.c.start).label("first")).where(windows.c.lane == LIVE)
    with store.reading() as connection:
        return {row.dataset: row.first for row in connection.execute(query.group_by(windows.c.dataset))}


def measured(store: Store, start: datetime, end: datetime) -> dict[str, int]:
    """Dataset -> how many of its windows that ended in the week were measured, empty ones included."""
    done = windows.c.state.in_(("done", "no_data"))
    query = select(windows.c.dataset, func.count().label("n")).where(_in_week(start, end), done).group_by(windows.c.dataset)
    with store.reading() as connection:
        return {row.dataset: row.n for row in connection.execute(query)}


def unmeasured(store: Store, start: datetime, end: datetime) -> list[Record]:
    """(dataset, error, n): why windows of the week were not measured, the most frequent reason first."""
    number = func.count().label("n")
    query = select(windows.c.dataset, windows.c.error, number).where(_in_week(start, end), windows.c.state == "errored")
    with store.reading() as connection:
        return list(connection.execute(query.group_by(windows.c.dataset, windows.c.error).order_by(number.desc())))


def _in_week(start: datetime, end: datetime) -> ColumnElement[bool]:
    return and_(windows.c.lane == LIVE, windows.c.end > start, windows.c.end <= end)


def by_status(store: Store, start: datetime, end: datetime) -> list[Record]:
    """(dataset, check, column, segment, kind, judged, failed, errored, message): each check's verdicts of the week."""

    def number(status: str) -> Any:
        return func.sum(case((results.c.status == status, 1), else_=0))

    columns = (
        (number("passed") + number("failed")).label("judged"),
        number("failed").label("failed"),
        number("errored").label("errored"),
        func.max(results.c.message).label("message"),
    )
    query = select(*KEY, results.c.kind, *columns).where(results.c.window_end > start, results.c.window_end <= end)
    odd = or_(number("passed") + number("failed") == 0, number("failed") > 0)
    with store.reading() as connection:
        return list(connection.execute(query.group_by(*KEY, results.c.kind).having(odd).order_by(*KEY)))


def verdicts(store: Store, key: Key, start: datetime, end: datetime) -> list[Record]:
    """One check's verdicts, oldest first."""
    here = [column == value for column, value in zip(KEY, key, strict=True)]
    query = select(results).where(*here, JUDGED, results.c.window_end > start, results.c.window_end <= end)
    with store.reading() as connection:
        return list(connection.execute(query.order_by(results.c.window_start)))


def daily_scores(store: Store, families: Sequence[str], start: datetime, end: datetime) -> dict[Key, list[tuple[datetime, float]]]:
    """How far out each check was on each day (UTC, noon), on average: 1 is on the bound."""
    column = results.c.window_start if store.sqlite else func.timezone("UTC", results.c.window_start)
    day = func.date(column).label("day")
    query = (
        select(*KEY, day, func.avg(results.c.score).label("score"))
        .where(results.c.window_end > start, results.c.window_end <= end, JUDGED)
        .where(results.c.family.in_(families), results.c.score.is_not(None))
        .group_by(*KEY, day)
        .order_by(day)
    )
    out: dict[Key, list[tuple[datetime, float]]] = {}
    with store.reading() as connection:
        for row in connection.execute(query):
            noon = datetime.fromisoformat(str(row.day)).replace(tzinfo=UTC) + timedelta(hours=12)
            out.setdefault((row.dataset, row.check, row.column, row.segment), []).append((noon, float(row.score)))
    return out


def alerts(store: Store, start: datetime, end: datetime) -> dict[str, int]:
    """Channel -> how often it spoke up about an incident in the week; quiet edits and lines in a thread do not count."""
    loud = or_(deliveries.c.form.in_(("root", "message")), deliveries.c.broadcast)
    here = and_(deliveries.c.sent_at > start, deliveries.c.sent_at <= end, deliveries.c.incident.is_not(None), loud)
    query = select(deliveries.c.channel, func.count().label("n")).where(here).group_by(deliveries.c.channel)
    with store.reading() as connection:
        return {row.channel: row.n for row in connection.execute(query)}


def noise(store: Store, start: datetime, end: datetime) -> dict[str, int]:
    """Channel -> incidents told there that somebody called not useful in the week."""
    query = (
        select(deliveries.c.channel, func.count(distinct(events.c.incident)).label("n"))
        .join(events, events.c.incident == deliveries.c.incident)
        .where(events.c.happened.in_(NOT_USEFUL), events.c.at > start, events.c.at <= end, deliveries.c.state == "sent")
        .group_by(deliveries.c.channel)
    )
    with store.reading() as connection:
        return {row.channel: row.n for row in connection.execute(query)}


def messages(store: Store, start: datetime, end: datetime, now: datetime) -> dict[str, int]:
    """State -> how many deliveries of before the week's end are in it: `unsent`, `unknown`, `given up` (of the week itself)."""
    known = {"unknown": "unknown", "dead": "given up", "expired": "given up"}
    waits = or_(deliveries.c.not_before.is_(None), deliveries.c.not_before <= now)
    lost = and_(deliveries.c.state.in_(("dead", "expired")), deliveries.c.created_at > start)
    query = select(deliveries.c.state, func.count().label("n")).where(deliveries.c.created_at <= end)
    query = query.where(or_(and_(deliveries.c.state.not_in(OVER), waits), lost)).group_by(deliveries.c.state)
    out: dict[str, int] = {}
    with store.reading() as connection:
        for row in connection.execute(query):
            word = known.get(row.state, "unsent")
            out[word] = out.get(word, 0) + row.n
    return out


def prevented(store: Store, start: datetime, end: datetime) -> int:
    """Messages of the week that a look-up found already there: without it they would have been told twice."""
    query = select(func.count()).where(deliveries.c.found, deliveries.c.sent_at > start, deliveries.c.sent_at <= end)
    with store.reading() as connection:
        return connection.execute(query).scalar_one()


def broken_channels(store: Store) -> list[Record]:
    with store.reading() as connection:
        return list(connection.execute(select(channels).where(channels.c.blocked_since.is_not(None)).order_by(channels.c.name)))
