"""What the rows of some keys hold: of windows with the same keys, the same ones."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Hashes = NDArray[np.uint64]
    Places = NDArray[np.int64]

DIGITS = 16
"""Hexadecimal digits of a key's hash that are kept: never the key itself."""


@dataclass(frozen=True, eq=False)
class Keyed:
    """The hashes of keys, rising, and per column the value of each (NaN: missing; of texts a number that stands for it).

    `full`: there are more keys in the window, with larger hashes.
    """

    keys: tuple[str, ...]
    values: Mapping[str, Array]
    full: bool = False

    @cached_property
    def hashes(self) -> Hashes:
        import numpy as np

        return np.array([int(key, 16) for key in self.keys], dtype=np.uint64)

    def common(self, other: Keyed) -> float:
        """The share of keys that both have, of the larger side; of those that both would show, where one is full."""
        ends = [side.hashes[-1] for side in (self, other) if side.full and len(side.keys)]
        ours, theirs = [side.hashes[side.hashes <= min(ends)] if ends else side.hashes for side in (self, other)]
        both = int((other.places(ours) < len(other.keys)).sum())
        return both / max(len(ours), len(theirs), 1)

    def places(self, hashes: Hashes) -> Places:
        """Where these keys stand among its own; one behind the last for those that it has not."""
        import numpy as np

        if not len(self.keys):
            return np.zeros(len(hashes), dtype=np.int64)
        place = np.minimum(np.searchsorted(self.hashes, hashes), len(self.keys) - 1)
        return np.asarray(np.where(self.hashes[place] == hashes, place, len(self.keys)))

    def at(self, places: Places, column: str) -> Array:
        """The column's values there; NaN where there is none."""
        import numpy as np

        known = self._padded.get(column)
        return np.full(len(places), np.nan) if known is None else known[places]

    @cached_property
    def _padded(self) -> dict[str, Array]:
        """The values and, behind the last, the one that is not there."""
        import numpy as np

        return {name: np.append(values, np.nan) for name, values in self.values.items()}

    def packed(self) -> dict[str, Any]:
        """As JSON; the values are little-endian arrays, compressed, in base 64."""
        columns = {
            name: base64.b64encode(zlib.compress(values.astype("<f8").tobytes())).decode() for name, values in self.values.items()
        }
        return {"k": "".join(self.keys), "f": self.full, "v": columns}

    @classmethod
    def unpacked(cls, packed: Mapping[str, Any]) -> Keyed:
        import numpy as np

        joined = packed["k"]
        keys = tuple(joined[start : start + DIGITS] for start in range(0, len(joined), DIGITS))
        values = {
            name: np.frombuffer(zlib.decompress(base64.b64decode(body)), "<f8").astype(np.float64)
            for name, body in packed["v"].items()
        }
        return cls(keys, values, packed["f"])

    def __eq__(self, other: object) -> bool:
        import numpy as np

        if not isinstance(other, Keyed) or (self.keys, self.full, list(self.values)) != (
            other.keys,
            other.full,
            list(other.values),
        ):
            return False
        return all(np.array_equal(mine, other.values[name], equal_nan=True) for name, mine in self.values.items())

    __hash__ = None  # type: ignore[assignment]
