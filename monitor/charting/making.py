"""Drawing, in a process of its own: matplotlib and the profiles never come into the daemon's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from alerts.charts import Shape, against_reference, over_time
from alerts.message import Chart
from checks.profile import Answer, Counts, Histogram, Outdated, Profile, merge
from monitor.charting.picking import Order, Shapes


def draw(order: Order) -> Iterator[Chart]:
    """The metric over time, then the column against its reference where both are known."""
    yield Chart(over_time(order.points, order.bounds, order.title, order.unit), f"the last {len(order.points)} windows", order.text)
    shapes = order.shapes
    pair = _pair(shapes) if shapes else None
    if shapes is not None and pair is not None:
        # Of a column that was retyped, or is empty now, there is nothing to lay on top of each other.
        with suppress(ValueError):
            yield Chart(against_reference(*pair, shapes.title), "the last window on top of its reference", shapes.text)


def _pair(shapes: Shapes) -> tuple[Shape, Shape] | None:
    current = _only(shapes.current, shapes)
    normal = merge(part for body in shapes.normal if (part := _only(body, shapes)) is not None)
    if current is None or normal is None:
        return None
    for key in (f"distribution({shapes.column})", f"categories({shapes.column})"):
        now, before = (profile.answers(shapes.where, shapes.segment).get(key) for profile in (current, normal))
        if _drawable(now) and _drawable(before):
            return now, before  # type: ignore[return-value]
    return None


def _drawable(answer: Answer | None) -> bool:
    return isinstance(answer, Histogram | Counts)


def _only(body: bytes, shapes: Shapes) -> Profile | None:
    """What there is of the column; the rest of a wide table need not be merged."""
    try:
        whole = Profile.from_bytes(body)
    except Outdated:
        return None
    about = {f"distribution({shapes.column})", f"categories({shapes.column})"}
    answers = {key: a for key, a in whole.answers(shapes.where, shapes.segment).items() if key in about}
    return Profile(whole.schema, whole.rows, {(shapes.where, shapes.segment): answers}) if answers else None
