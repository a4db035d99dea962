"""What is compared: windows, and what each is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from checks.masses import Masses
from checks.stack import Stack

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Pair:
    """What is compared: the windows of `current`, each with its own of `reference` or all with its only one."""

    current: Stack
    reference: Stack

    @classmethod
    def of(cls, current: Masses, reference: Masses) -> Pair:
        return cls(Stack.of([current]), Stack.of([reference]))

    @property
    def numbers(self) -> bool:
        return self.reference.numbers

    def newest(self, windows: int) -> Pair:
        """The last comparisons alone."""
        return Pair(self.current.part(slice(-windows, None)), self.reference.part(slice(-windows, None)))

    @cached_property
    def chance(self) -> Array:
        """1/n + 1/m of each comparison."""
        found: Array = 1 / self.current.total[:, 0] + 1 / self.reference.total[:, 0]
        return found

    @cached_property
    def after(self) -> Array:
        """How far the current cumulative share is above the reference's, at the upper end of each place."""
        import numpy as np

        return np.cumsum(self.current.shares - self.reference.shares, axis=1)

    @cached_property
    def before(self) -> Array:
        """The same at the lower end of each place."""
        found: Array = self.after - self.current.shares + self.reference.shares
        return found

    def each(self) -> list[tuple[Stack, Stack]]:
        """One comparison at a time, for what cannot be done for all at once."""
        lone = len(self.reference.rows) == 1
        every = range(len(self.current.rows))
        return [
            (self.current.part(slice(i, i + 1)), self.reference if lone else self.reference.part(slice(i, i + 1))) for i in every
        ]

    def spread(self, chosen: Flags) -> tuple[Array, Array, Array]:
        """How the shares add up inside the chosen (window, place)s: six points of the place (0 to 1, rising), what the
        current and what the reference has up to there; each 6 x as many as were chosen, straight between the points."""
        import numpy as np

        def of(amounts: NDArray[Any]) -> NDArray[Any]:
            return np.broadcast_to(amounts, chosen.shape)[chosen]

        now, once, half, other = of(self.current.at), of(self.reference.at), of(self.current.half), of(self.reference.half)
        one_value = (np.abs(now - once) <= of(self.current.grain)) & of(self.current.exact & self.reference.exact)
        once = np.where(one_value, now, once)
        ends = now - half, now + half, once - other, once + other
        points = np.sort(np.clip(np.stack([np.zeros_like(now), *ends, np.ones_like(now)]), 0.0, 1.0), axis=0)
        up = of(self.current.shares) * np.clip((points - ends[0]) / (2 * half), 0.0, 1.0)
        down = of(self.reference.shares) * np.clip((points - ends[2]) / (2 * other), 0.0, 1.0)
        return points, up, down
