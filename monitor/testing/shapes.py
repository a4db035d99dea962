"""Pairs of columns of every shape that distances find hard, for the accuracy test and `make bench`."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values = NDArray[Any]
    Draw = Callable[[np.random.Generator, int], Values]
REFERENCE, CURRENT = 4000, 3000
"""Rows of a pair, unless it is about their number."""


@dataclass(frozen=True)
class Sides:
    """A pair of columns: what was, and what is now."""

    name: str
    reference: Values
    current: Values


def _spike(rng: np.random.Generator, rows: int, share: float, value: float, rest: Values) -> Values:
    import numpy as np

    return np.where(rng.random(rows) < share, value, rest)


SHAPES: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "offset 1000 +- 0.001": lambda rng, n: 1000 + rng.normal(size=n) * 1e-3,
    "offset 1e9 +- 0.001": lambda rng, n: 1e9 + rng.normal(size=n) * 1e-3,
    "log-normal, sigma 2": lambda rng, n: rng.lognormal(0, 2, n),
    "Pareto 1": lambda rng, n: rng.pareto(1, n) + 1,
    "Cauchy": lambda rng, n: rng.standard_cauchy(n),
    "two far narrow modes": lambda rng, n: rng.normal(0, 1e-3, n) + (rng.random(n) < 0.4) * 1000.0,
    "bimodal": lambda rng, n: rng.normal(size=n) + (rng.random(n) < 0.3) * 6.0,
    "Poisson 4": lambda rng, n: rng.poisson(4, n).astype(float),
    "Poisson 400": lambda rng, n: rng.poisson(400, n).astype(float),
    "zero-inflated": lambda rng, n: _spike(rng, n, 0.6, 0.0, rng.exponential(1, n)),
    "sentinel -999": lambda rng, n: _spike(rng, n, 0.05, -999.0, rng.normal(20, 3, n)),
    "epoch seconds": lambda rng, n: 1.75e9 + rng.random(n) * 86400,
    "mostly constant": lambda rng, n: _spike(rng, n, 0.9, 5.0, rng.normal(5, 1, n)),
    "rounded prices": lambda rng, n: rng.lognormal(3, 0.6, n).round(2),
    "exponential": lambda rng, n: rng.exponential(10, n),
    "uniform": lambda rng, n: rng.random(n),
    "with outliers": lambda rng, n: rng.normal(size=n) * (1 + 99 * (rng.random(n) < 0.02)),
    "student t 3": lambda rng, n: rng.standard_t(3, n),
    "gamma 0.3": lambda rng, n: rng.gamma(0.3, 1, n),
}
CHANGES: dict[str, Callable[[Values, float], Values]] = {
    "as it was": lambda values, _: values,
    "shifted by 1 %": lambda values, spread: values + 0.01 * spread,
    "shifted by 10 %": lambda values, spread: values + 0.1 * spread,
    "scaled by 1.2": lambda values, _: values.mean() + (values - values.mean()) * 1.2,
}


def _drawn(shape: str, change: str) -> Sides:
    import numpy as np

    rng = np.random.default_rng(zlib.crc32(f"{shape}, {change}".encode()))
    reference, current = (SHAPES[shape](rng, rows) for rows in (REFERENCE, CURRENT))
    low, high = np.quantile(reference, [0.05, 0.95])
    changed = CHANGES[change](current, float(high - low) / 3.3 or float(reference.std()))
    return Sides(f"{shape}, {change}", reference, np.round(changed, 2) if shape == "rounded prices" else changed)


def _special() -> Iterator[Sides]:
    import numpy as np

    rng = np.random.default_rng(20)
    big = 2**60
    yield Sides("uniform against beta", rng.random(REFERENCE), rng.beta(1.3, 1.1, CURRENT))
    yield Sides("integers beyond 2^53", big + rng.poisson(50, REFERENCE), big + rng.poisson(52, CURRENT))
    yield Sides("constant, as it was", np.full(REFERENCE, 0.1), np.full(CURRENT, 0.1))
    yield Sides("constant, another", np.full(REFERENCE, 0.1), np.full(CURRENT, 0.2))
    yield Sides("yes and no", (rng.random(REFERENCE) < 0.3) * 1.0, (rng.random(CURRENT) < 0.33) * 1.0)
    yield Sides("normal against Cauchy", rng.normal(size=REFERENCE), rng.standard_cauchy(CURRENT))
    yield Sides("tiny, normal", rng.normal(size=30), rng.normal(0.3, 1, 30))
    yield Sides("tiny, log-normal", rng.lognormal(0, 2, 40), rng.lognormal(0.5, 2, 25))
    yield Sides("tiny, whole numbers", rng.poisson(5, 30).astype(float), rng.poisson(6, 30).astype(float))
    yield Sides("small, normal", rng.normal(size=300), rng.normal(0.1, 1, 250))
    yield Sides("small, exponential", rng.exponential(1, 1000), rng.exponential(1.1, 150))
    yield Sides("medium, normal", rng.normal(size=1000), rng.normal(0.1, 1, 1000))


def pairs() -> list[Sides]:
    """Every shape with every change, and pairs of a kind of their own; the same at each call. All but `huge()`."""
    return [*(_drawn(shape, change) for shape in SHAPES for change in CHANGES), *_special()]


def huge() -> Sides:
    """A million rows on each side."""
    import numpy as np

    rng = np.random.default_rng(21)
    return Sides("huge, gamma", rng.gamma(2, 1, 1_000_000), rng.gamma(2.02, 1, 1_000_000))
