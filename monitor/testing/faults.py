"""How a service misbehaves, on order or at random."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

Do = Literal["rate_limit", "server_error", "drop", "cut", "hang", "drip", "not_json", "redirect", "error"]

RANDOM: tuple[dict[str, Any], ...] = (
    {"do": "rate_limit", "retry_after": "1"},
    {"do": "server_error", "accepted": True},
    {"do": "server_error", "accepted": False},
    {"do": "drop", "accepted": True},
    {"do": "drop", "accepted": False},
    {"do": "not_json", "accepted": True},
    {"do": "error", "error": "internal_error", "accepted": True},
)


@dataclass(frozen=True)
class Fault:
    """One misbehaviour, used up by the next request.

    rate_limit: 429 with `retry_after` as its header (None: without one). server_error: `status` with an HTML body. drop: the
    connection ends without an answer. cut: in the middle of one. hang: silence for `seconds`, then dropped. drip: a
    byte each `seconds`. not_json: 200 with HTML. redirect: 302. error: 200 with `ok: false` and `error`.
    `accepted`: the request was carried out all the same. `method`: only for requests of this method (`chat.postMessage`).
    """

    do: Do
    accepted: bool = False
    retry_after: str | None = None
    status: int = 500
    seconds: float = 1.0
    error: str = "internal_error"
    method: str | None = None

    @classmethod
    def of(cls, order: Fault | dict[str, Any] | str) -> Fault:
        """From a Fault, its fields as a dict, or the bare word. Raises ValueError for anything else."""
        if isinstance(order, Fault):
            return order
        given = {"do": order} if isinstance(order, str) else dict(order)
        unknown = set(given) - {f.name for f in fields(cls)}
        if unknown or given.get("do") not in Do.__args__:  # type: ignore[attr-defined]
            raise ValueError(f"{order!r} is no fault; `do` is one of {', '.join(Do.__args__)}")  # type: ignore[attr-defined]
        return cls(**given)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Faults:
    """Those that were ordered, first come first served, then one in `1 / rate` at random."""

    def __init__(self, rate: float = 0.0, seed: int = 0) -> None:
        self.rate = rate
        self.ordered: list[Fault] = []
        self._random = random.Random(seed)  # noqa: S311 - repeatable trouble, not a secret

    def order(self, orders: Iterable[Fault | dict[str, Any] | str]) -> None:
        self.ordered += [Fault.of(order) for order in orders]

    def next(self, method: str) -> Fault | None:
        for fault in self.ordered:
            if fault.method in {None, method}:
                self.ordered.remove(fault)
                return fault
        if self.rate and self._random.random() < self.rate:
            return Fault.of(self._random.choice(RANDOM))
        return None
