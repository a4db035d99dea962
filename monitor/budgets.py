"""A dataset's budget of false alarms beside what really happened."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import and_, exists, func, select

from monitor.dataset import Dataset
from monitor.store.store import Store
from monitor.store.tables import feedback, incidents, results


def spent(store: Store, dataset: Dataset, until: datetime) -> dict[str, Any] | None:
    """Incidents that opened on learned limits in one period of the budget before `until`, and those of them that somebody called
    not useful. None without a budget."""
    if dataset.budget is None:
        return None
    since = until - dataset.budget.per
    row, found = results.c, incidents.c
    by_learned = exists().where(
        and_(row.dataset == found.subject, row.family == found.family, row.window_end >= found.since),
        and_(row.at <= found.opened_at, row.status == "failed", row.learned.is_(True)),
    )
    useless = exists().where(feedback.c.incident == found.id, feedback.c.said == "not_useful")
    opened = and_(found.subject == dataset.name, found.opened_at > since, found.opened_at <= until, by_learned)
    query = select(func.count()).select_from(incidents).where(opened)
    with store.reading() as connection:
        told, noise = connection.execute(query).scalar_one(), connection.execute(query.where(useless)).scalar_one()
    budget = {"alarms": dataset.budget.alarms, "period": dataset.budget.period}
    return {**budget, "since": since, "incidents": told, "not_useful": noise, "over": noise > dataset.budget.alarms}


def words(spent_: Mapping[str, Any]) -> str:
    """`budget 1 per month: 3 incidents on learned limits in the last month, 2 of them called not useful: over the budget`."""
    said, noise = spent_["incidents"], spent_["not_useful"]
    told = f"{said or 'no'} incident{'s' * (said != 1)} on learned limits in the last {spent_['period']}"
    called = f", {noise} of them called not useful" if said else ""
    hint = ': over the budget; sensitivity = "low", or a bound of your own, tells less' if spent_["over"] else ""
    more = " (more than the budget, if none was real)" if not spent_["over"] and said > spent_["alarms"] else ""
    return f"budget {spent_['alarms']} per {spent_['period']}: {told}{called}{hint}{more}"
