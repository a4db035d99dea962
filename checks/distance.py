"""How far two distributions are apart, from their profiles alone, and what mere chance makes of it.

A method is a class in a file `distances_*.py` of this package: its name in snake case is the `method` of a check, its
docstring says what it measures, its range and its source, `many` computes it. Nothing else has to be touched.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import checks
from checks.masses import Masses
from checks.pair import Pair

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


class Distance:
    """One way to say how far `current` is from `reference`; a number per comparison, NaN where it is not defined."""

    name: ClassVar[str]
    title: ClassVar[str]
    """As messages say it."""
    numbers: ClassVar[bool] = True
    categories: ClassVar[bool] = True
    p_value: ClassVar[bool] = False
    """It is the probability of a gap like this by chance: low where the two differ."""
    threshold: ClassVar[float | None] = None
    """Evidently's own; None for what Evidently does not have."""
    sampled: ClassVar[bool] = False
    """It needs rows: Evidently itself computes it, on samples."""
    coarse: ClassVar[float] = 1 / 1000
    """For windows of a history, buckets are put together until each has this share of all rows; 0: never."""
    costly: ClassVar[bool] = False
    """Too slow for ninety windows of history: those are left out where the bounds are given."""
    undefined: ClassVar[str] = "it is not defined for these values"
    """Why it may be NaN."""

    def __init_subclass__(cls) -> None:
        snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__).lower()
        cls.name = cls.__dict__.get("name", snake)
        cls.title = cls.__dict__.get("title", cls.name.replace("_", "-") + (" p-value" if cls.p_value else " distance"))

    def many(self, pair: Pair) -> Array:
        """The distance of each comparison."""
        raise NotImplementedError

    def noise(self, pair: Pair) -> Array:
        """About what it is on average where nothing but chance tells the two apart, at these row counts."""
        raise NotImplementedError

    def between(self, pair: Pair) -> Array:
        """The distances; that of values near the end of a float's range is held where a float ends."""
        import numpy as np

        with np.errstate(over="ignore"):
            return self.many(pair)

    def __call__(self, current: Masses, reference: Masses) -> float:
        """The distance of two aligned masses."""
        return float(self.between(Pair.of(current, reference))[0])

    def floor(self, current: Masses, reference: Masses) -> float:
        """The noise of two aligned masses."""
        return self.noise_of(Pair.of(current, reference))

    def noise_of(self, pair: Pair) -> float:
        """That of the first comparison."""
        import numpy as np

        with np.errstate(over="ignore"):
            return float(self.noise(pair)[0])


class PValue(Distance):
    """A two-sample test: the probability of a gap at least like this if both came from one distribution, 0 to 1."""

    p_value = True

    def noise(self, pair: Pair) -> Array:
        """By chance alone every p-value is as likely as any other: one half on average."""
        import numpy as np

        return np.full(len(pair.current.rows), 0.5)


@cache
def methods() -> dict[str, Distance]:
    """Name -> method, of every one in a file `distances_*.py`. Raises ValueError where two have one name."""
    found: dict[str, Distance] = {}
    for info in sorted(pkgutil.iter_modules(checks.__path__), key=lambda i: i.name):
        if info.name.startswith("distances_"):
            module = importlib.import_module(f"{checks.__name__}.{info.name}")
            for _, kind in inspect.getmembers(module, inspect.isclass):
                if issubclass(kind, Distance) and kind.__module__ == module.__name__ and not kind.__name__.startswith("_"):
                    if kind.name in found:
                        raise ValueError(f"two drift methods are called {kind.name}")
                    found[kind.name] = kind()
    return found


def moved(current: Masses, reference: Masses) -> tuple[str, float, float] | None:
    """What changed most, for a message: the value with its share now and before, or "mean" with the two means."""
    import numpy as np

    if current.sums is not None and reference.sums is not None:
        now, before = ((m.sums / m.total).sum() + m.origin for m in (current, reference) if m.sums is not None)
        return "mean", float(now), float(before)
    p, q = current.rows / current.total, reference.rows / reference.total
    most = int(np.argmax(np.abs(p - q)))
    return (current.places[most], float(p[most]), float(q[most])) if most < len(current.places) else None
