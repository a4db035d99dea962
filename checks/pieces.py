"""The rows of two distributions in rising order, in pieces that a rank statistic can be summed over."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from checks.pair import Pair
from checks.stack import SAME

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Pieces:
    """Rows of the current and of the reference window per piece, comparisons x pieces, in rising order.

    The rows of a piece that is `tied` hold one value. Those of another one all differ, and lie among each other as chance
    has it but for `lean`: how much more than one half is the share of pairs in which the current row is the larger, as
    their means tell.
    """

    current: Array
    reference: Array
    tied: Flags
    lean: Array

    @classmethod
    def of(cls, pair: Pair) -> Pieces:
        """Every place is one piece; or two where each side holds one value of its own; or three where one side's only value
        lies somewhere in what the other has there."""
        import numpy as np

        now, once = pair.current, pair.reference
        shape = now.rows.shape
        c, r, c_at, r_at, c_exact, r_exact = (
            _wide(a, shape) for a in (now.rows, once.rows, now.at, once.at, now.exact, once.exact)
        )
        both = (c > 0) & (r > 0)
        apart = both & c_exact & r_exact & (np.abs(c_at - r_at) > now.grain)
        c_single, r_single = both & c_exact & ~r_exact, both & r_exact & ~c_exact
        c_first = np.round(c * _below(r_at, c_at, now.half))
        r_first = np.round(r * _below(c_at, r_at, once.half))
        c_later, r_later = c_single | (apart & (c_at > r_at)), r_single | (apart & (r_at > c_at))
        none = np.zeros(shape)
        c_parts = [
            np.where(r_single, c_first, np.where(c_later, 0, c)),
            np.where(c_later, c, 0),
            np.where(r_single, c - c_first, 0),
        ]
        r_parts = [
            np.where(c_single, r_first, np.where(r_later, 0, r)),
            np.where(r_later, r, 0),
            np.where(c_single, r - r_first, 0),
        ]
        tied = np.where(both, c_exact & r_exact, np.where(c > 0, c_exact, r_exact))
        lean = np.where(both & ~c_exact & ~r_exact, np.clip(c_at - r_at, -0.5, 0.5), 0.0)
        return cls(
            _in_line(c_parts),
            _in_line(r_parts),
            _in_line([tied, np.ones(shape, dtype=bool), np.zeros(shape, dtype=bool)]),
            _in_line([lean, none, none]),
        )

    @cached_property
    def current_before(self) -> Array:
        """Current rows below each piece."""
        import numpy as np

        found: Array = np.cumsum(self.current, axis=1) - self.current
        return found

    @cached_property
    def reference_before(self) -> Array:
        """Reference rows below each piece."""
        import numpy as np

        found: Array = np.cumsum(self.reference, axis=1) - self.reference
        return found

    @cached_property
    def both(self) -> Array:
        found: Array = self.current + self.reference
        return found

    @property
    def varied(self) -> Flags:
        """Of each comparison: not all rows of both hold one value."""
        import numpy as np

        return np.asarray((self.both > 0).sum(axis=1) > 1) | (~self.tied & (self.both > 1)).any(axis=1)


def _below(x: Array, at: Array, half: Array) -> Array:
    """The share of rows spread over at +- half that lies below x."""
    import numpy as np

    found: Array = np.clip((x - at + half) / (2 * np.maximum(half, SAME / 4)), 0.0, 1.0)
    return found


def _wide(part: Array, shape: tuple[int, ...]) -> Array:
    import numpy as np

    return np.broadcast_to(part, shape)


def _in_line(parts: list[Array]) -> Array:
    """Three arrays comparisons x places as one of comparisons x pieces."""
    import numpy as np

    return np.stack(parts, axis=2).reshape(len(parts[0]), -1)
