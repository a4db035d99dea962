"""Tables whose rows have no time of their own, but belong to rows of another table that have one: order lines to orders."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.proposing import Proposal

PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
"""A name that every database takes as it stands."""


@dataclass(frozen=True)
class Parent:
    """The table that a row belongs to, by which column, and the query that gives each row its parent's time."""

    name: str
    column: str
    query: str
    time_column: str


def parents(child: Proposal, others: Sequence[Proposal]) -> Iterator[Parent]:
    """Tables with a time whose key the child holds under the key's name, or under the table's (`order_id` of `orders.id`)."""
    for other in others:
        time, key = other.time_column, other.key
        if other.skipped or time is None or key is None or time in child.columns:
            continue
        column = f"{other.name.removesuffix('s')}_id" if key == "id" else key
        if column in child.columns and all(map(PLAIN.fullmatch, (child.name, other.name, time, key, column))):
            query = f"select c.*, p.{time} from {child.name} c join {other.name} p on p.{key} = c.{column}"
            yield Parent(other.name, column, query, time)
