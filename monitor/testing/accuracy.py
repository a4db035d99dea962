"""Distances from profiles beside exact ones on all rows: measured as the product measures, and computed by the definition."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checks.grid import Grid
from checks.histogram import Histogram
from checks.masses import Masses, aligned
from checks.question import Distribution, Population
from checks.window import Window
from monitor.measuring.measure import measure, reading
from monitor.sources.base import Place
from monitor.sources.files import Files
from monitor.testing.shapes import Sides

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[Any]
BY_EVIDENTLY = """
import json, sys, warnings
warnings.simplefilter("ignore")
import numpy as np, pandas as pd
from evidently.legacy.calculations.stattests import get_stattest
from evidently.legacy.core import ColumnType

found = []
for line in sys.stdin:
    reference, current, kind, methods = json.loads(line)
    if isinstance(reference, str):
        reference, current = np.load(reference), np.load(current)
    for method in methods:
        sides = [pd.Series(side) for side in (reference, current)]
        try:
            value = float(get_stattest(*sides, kind, method)(*sides, ColumnType(kind), None).drift_score)
        except Exception as fault:
            value = f"{type(fault).__name__}: {fault}"
        found.append(value)
json.dump(found, sys.stdout)
"""
REGISTRY = """
import json, sys, warnings
warnings.simplefilter("ignore")
from evidently.legacy.calculations.stattests import registry
tests = {name: next(iter(kinds.values())) for name, kinds in registry._registered_stat_tests.items()}
json.dump({name: test.default_threshold for name, test in tests.items()}, sys.stdout)
"""
"""A process of its own: Evidently takes ten seconds to import, and has telemetry that must be off before."""
DAY = Window(datetime(2024, 3, 5, tzinfo=UTC), datetime(2024, 3, 6, tzinfo=UTC))


def masses(pairs: Iterable[Sides], folder: Path) -> dict[str, tuple[Masses, Masses]]:
    """Current and reference of every pair through Parquet, DuckDB and histograms, the current windows on the references'
    pinned grids."""
    alike: dict[tuple[int, int], list[Sides]] = {}
    for sides in pairs:
        alike.setdefault((len(sides.reference), len(sides.current)), []).append(sides)
    found = {}
    for group in alike.values():
        references = _histograms({sides.name: sides.reference for sides in group}, folder, {})
        grids = {Distribution(name).key: histogram.grid for name, histogram in references.items()}
        currents = _histograms({sides.name: sides.current for sides in group}, folder, grids)
        for name, reference in references.items():
            before, now = aligned([reference, currents[name]])
            found[name] = now, before
    return found


def _histograms(columns: dict[str, Values], folder: Path, grids: dict[str, Grid]) -> dict[str, Histogram]:
    """Columns of one table as the product measures them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    asked, file = [Distribution(name) for name in columns], folder / "window.parquet"
    pq.write_table(pa.table(columns), file)
    with reading(Files(), Place(table=str(file)), DAY, timedelta(minutes=5)) as opened:
        answers = measure(opened, {Population(): asked}, grids).answers()
    found = {}
    for question in asked:
        answer = answers[question.key]
        if not isinstance(answer, Histogram):
            raise TypeError(f"{question.column} has no distribution: {answer}")
        found[question.column] = answer
    return found


def exact(method: str, sides: Sides) -> float:
    """Our own distance by its definition, on all rows."""
    import numpy as np

    current, reference = (
        side - sides.reference[0] if side.dtype == np.int64 else side for side in (sides.current, sides.reference)
    )
    return OURS[method](current.astype(np.float64), reference.astype(np.float64))


def by_evidently(asked: Iterable[tuple[Any, Any, str, list[str]]], folder: Path) -> list[dict[str, float | str]]:
    """(reference, current, `num` or `cat`, methods) -> each method's value on all rows by Evidently's own functions; its
    error as text."""
    import numpy as np

    lines, wanted = [], []
    for number, (reference, current, kind, methods) in enumerate(asked):
        sides = []
        for name, values in (("reference", reference), ("current", current)):
            file = folder / f"{number}-{name}.npy"
            np.save(file, np.asarray(values))
            sides.append(str(file))
        lines.append(json.dumps([*sides, kind, methods]))
        wanted.append(methods)
    values = iter(_run(BY_EVIDENTLY, "\n".join(lines)))
    return [{method: next(values) for method in methods} for methods in wanted]


def registry() -> dict[str, float]:
    """Every method of the installed Evidently and its default threshold."""
    return dict(_run(REGISTRY, ""))


def _run(code: str, given: str) -> Any:
    run = subprocess.run(  # noqa: S603 - a command of ours
        [sys.executable, "-c", code],
        input=given,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "DO_NOT_TRACK": "1"},
    )
    return json.loads(run.stdout)


def _kolmogorov_smirnov(current: Values, reference: Values) -> float:
    from scipy.stats import ks_2samp

    return float(ks_2samp(current, reference, method="asymp").statistic)


def _wasserstein(current: Values, reference: Values) -> float:
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(current, reference) / max(reference.std(), 0.001))


def _asinh_wasserstein(current: Values, reference: Values) -> float:
    import numpy as np
    from scipy.stats import wasserstein_distance

    low, center, high = np.quantile(reference, [0.25, 0.5, 0.75], method="inverted_cdf")
    scale = (high - low) / 1.349 or reference.std()
    # The deviation of equal values is what their mean was rounded by.
    scale = scale if scale > abs(center) * 1e-15 else max(abs(center), 1.0) * 1e-3
    moved = wasserstein_distance(*(np.arcsinh((side - center) / scale) for side in (current, reference)))
    return -math.expm1(-moved)


def _shares(current: Values, reference: Values) -> tuple[Values, Values]:
    """Per value where the reference has few, and all that are new as one; else per tenth of the reference."""
    import numpy as np

    known = np.unique(reference)
    if len(known) <= 20:
        found = [np.array([(side == v).mean() for v in known]) for side in (current, reference)]
        return np.append(found[0], 1 - found[0].sum()), np.append(found[1], 0.0)
    edges = np.quantile(reference, np.arange(1, 10) / 10, method="inverted_cdf")
    p, q = (np.bincount(np.searchsorted(edges, side), minlength=10) / len(side) for side in (current, reference))
    return p, q


def _psi_tenths(current: Values, reference: Values) -> float:
    import numpy as np

    p, q = (np.maximum(shares, 1e-4) for shares in _shares(current, reference))
    return float(((p - q) * np.log(p / q)).sum())


def _jensen_shannon(current: Values, reference: Values) -> float:
    from scipy.spatial.distance import jensenshannon

    return float(jensenshannon(*_shares(current, reference)))


def _total_variation(current: Values, reference: Values) -> float:
    import numpy as np

    p, q = _shares(current, reference)
    return float(np.abs(p - q).sum() / 2)


def _hellinger_tenths(current: Values, reference: Values) -> float:
    import numpy as np

    p, q = _shares(current, reference)
    return float(np.sqrt(max(1 - np.sqrt(np.abs(p * q)).sum(), 0.0)))


OURS: dict[str, Callable[[Values, Values], float]] = {
    "kolmogorov_smirnov": _kolmogorov_smirnov,
    "wasserstein": _wasserstein,
    "asinh_wasserstein": _asinh_wasserstein,
    "psi_tenths": _psi_tenths,
    "jensen_shannon": _jensen_shannon,
    "total_variation": _total_variation,
    "hellinger_tenths": _hellinger_tenths,
}
