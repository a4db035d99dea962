"""What the verdicts of `benchmarks.detection` come to, by table and by fault, as Markdown.

    python -m benchmarks.detected DATA OUT/verdicts.json [--persist]

Every table weighs the same, and within a table every kind of fault. A healthy window stands in several streams, so the intervals
(95 %) come from drawing distinct windows anew, not verdicts (the cluster bootstrap, Cameron, Gelbach and Miller 2008).
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.detection import persisting, read

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Places = NDArray[np.bool_]

DRAWS = 400
SEED = 20260105
LEVELS = {"warning": {"warning", "critical"}, "critical": {"critical"}}
SIZES = ("small", "medium", "large")


@dataclass(frozen=True)
class Judged:
    """One judged window of a stream: what it was, and what was said of it. `path` tells distinct windows apart."""

    table: str
    path: str
    faulty: bool
    fault: str
    size: str
    flagged: bool
    score: float
    named: bool


def flagged(window: dict[str, Any], level: str) -> tuple[bool, float, str | None]:
    """Whether a window was told at this level, its highest score, and the column of the worst finding ("": the table)."""
    failed = [r for r in window["results"] if r["status"] == "failed" and r["severity"] in LEVELS[level]]
    told = bool(failed) or window["state"] != "done"
    score = max((r["score"] for r in window["results"] if r["score"] is not None), default=0.0)
    worst = max(failed, key=lambda r: r["score"] or 0.0, default=None)
    return told, score, (worst["column"] or "") if worst else None


def judged(data: Path, windows: Iterable[dict[str, Any]], level: str) -> list[Judged]:
    """The windows that count: not the warm-up, nor those of which nobody can say whether they were healthy."""
    said = {(w["dataset"], w["start"][:10]): flagged(w, level) for w in windows}
    sizes = {row["episode"]: row["size"] for row in read(data / "truth.csv")}
    found = []
    for row in read(data / "streams.csv"):
        known = said.get((row["stream"], row["start"]))
        if known is None or row["phase"] == "warmup" or row["kind"] not in {"clean", "fault"}:
            continue
        told, score, column = known
        right = {"" if c == "<table>" else c for c in json.loads(row["columns"] or "[]")}
        table, faulty = row["stream"].rsplit("-", 1)[0], row["kind"] == "fault"
        fault, size = f"{row['fault']} {row['magnitude']}".strip(), sizes.get(row["episode"], "")
        found.append(Judged(table, row["path"], faulty, fault, size, told, score, column in right))
    return found


def figures(windows: Sequence[Judged], weights: Array) -> dict[str, float]:
    """False alarm, recall (every kind of fault alike), recall by size, area under the ROC curve, right column; NaN: none there."""
    import numpy as np

    faulty = np.array([w.faulty for w in windows])
    told, score = np.array([w.flagged for w in windows]), np.array([w.score for w in windows])

    def share(of: Places, among: Places) -> float:
        total = float(weights[among].sum())
        return float(weights[among & of].sum()) / total if total else math.nan

    kinds, size = np.array([w.fault.partition(" ")[0] for w in windows]), np.array([w.size for w in windows])
    recalls = [share(told, faulty & (kinds == kind)) for kind in sorted(set(kinds[faulty]))]
    return {
        "false alarm": share(told, ~faulty),
        "recall": _mean(recalls),
        **{name: share(told, faulty & (size == name)) for name in SIZES},
        "AUC": area(score[~faulty], weights[~faulty], score[faulty], weights[faulty]),
        "right column": share(np.array([w.named for w in windows]), faulty & told),
    }


def area(healthy: Array, healthy_weights: Array, faulty: Array, faulty_weights: Array) -> float:
    """The weighted area under the ROC curve: how often a faulty window's score is above a healthy one's; ties count half."""
    import numpy as np

    total = float(healthy_weights.sum() * faulty_weights.sum())
    if not total:
        return math.nan
    order = np.argsort(healthy, kind="stable")
    upto = np.concatenate([[0.0], np.cumsum(healthy_weights[order])])
    below, not_above = (upto[np.searchsorted(healthy[order], faulty, side)] for side in ("left", "right"))
    return float((faulty_weights * (below + not_above) / 2).sum()) / total


def overall(windows: Sequence[Judged]) -> dict[str, tuple[float, float, float]]:
    """Name -> figure and its interval; of several tables the mean."""
    import numpy as np

    groups = [[w for w in windows if w.table == table] for table in sorted({w.table for w in windows})]
    chance = np.random.default_rng(SEED)
    places = [np.unique([w.path for w in group], return_inverse=True)[1] for group in groups]
    told = _averaged([figures(group, np.ones(len(group))) for group in groups])
    draws = []
    for _ in range(DRAWS):
        counts = [np.bincount(chance.integers(0, p.max() + 1, p.max() + 1), minlength=p.max() + 1)[p] for p in places]
        draws.append(_averaged([figures(g, c.astype(np.float64)) for g, c in zip(groups, counts, strict=True)]))
    found = {}
    for name, value in told.items():
        low, high = np.nanquantile([draw[name] for draw in draws], [0.025, 0.975]) if not math.isnan(value) else (value, value)
        found[name] = (value, float(low), float(high))
    return found


def _averaged(found: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: _mean([one[name] for one in found]) for name in found[0]}


def _mean(values: Iterable[float]) -> float:
    known = [v for v in values if not math.isnan(v)]
    return sum(known) / len(known) if known else math.nan


def by_table(data: Path, windows: Sequence[dict[str, Any]]) -> Iterable[str]:
    names = ["false alarm", "recall", *SIZES, "AUC", "right column"]
    yield f"| table | level | verdicts | {' | '.join(names)} |"
    yield "|---" * (len(names) + 3) + "|"
    for level in LEVELS:
        all_ = judged(data, windows, level)
        for table in ["all", *sorted({w.table for w in all_})]:
            part = [w for w in all_ if table in ("all", w.table)]
            cells = [f"{value:.3f} ({low:.3f}-{high:.3f})" for value, low, high in map(overall(part).get, names)]  # type: ignore[misc]
            distinct = len({w.path for w in part})
            yield f"| {table} | {level} | {len(part)} on {distinct} windows | {' | '.join(cells)} |"


def by_fault(data: Path, windows: Sequence[dict[str, Any]]) -> Iterable[str]:
    warned, paged = ([w for w in judged(data, windows, level) if w.faulty] for level in LEVELS)
    yield "| fault | size | windows | warning | critical |"
    yield "|---|---|---|---|---|"
    for fault, size in sorted({(w.fault, w.size) for w in warned}):
        told, woke = ([w.flagged for w in level if (w.fault, w.size) == (fault, size)] for level in (warned, paged))
        yield f"| {fault} | {size} | {len(told)} | {_of(told)} | {_of(woke)} |"


def _of(told: Sequence[bool]) -> str:
    low, high = wilson(sum(told), len(told))
    return f"{sum(told) / len(told):.2f} ({low:.2f}-{high:.2f})"


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927); each faulty window is there once, so there are no clusters."""
    z = 1.96
    middle = (hits + z * z / 2) / (of + z * z)
    half = z / (of + z * z) * math.sqrt(hits * (of - hits) / of + z * z / 4)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def of_persisting(data: Path, windows: Sequence[dict[str, Any]]) -> Iterable[str]:
    """Of faults that stay for seven windows: how many were told within them, and after how many windows in the middle."""
    faults = {row["episode"]: f"{row['fault']} {row['magnitude']}" for row in read(data / "truth.csv")}
    episodes = {name: [row["start"] for row in rows[-7:]] for name, rows in persisting(data).items()}
    yield "| fault | level | found in seven windows | median delay, windows |"
    yield "|---|---|---|---|"
    for level in LEVELS:
        said = {(w["dataset"], w["start"][:10]): flagged(w, level)[0] for w in windows}
        delays = {
            name: next((i for i, start in enumerate(starts) if said[name, start]), None)
            for name, starts in episodes.items()
            if (name, starts[0]) in said
        }
        for fault in ["all", *sorted({faults[name] for name in delays})]:
            part = [delay for name, delay in delays.items() if fault in ("all", faults[name])]
            found = sorted(d for d in part if d is not None)
            low, high = wilson(len(found), len(part))
            middle = found[(len(found) - 1) // 2] if found else "-"
            yield f"| {fault} | {level} | {len(found)} of {len(part)} ({low:.2f}-{high:.2f}) | {middle} |"


def told(data: Path, files: Sequence[Path], persist: bool) -> Iterable[str]:
    windows = [window for file in files for window in json.loads(file.read_text())["windows"]]
    if persist:
        yield from of_persisting(data, windows)
        return
    yield from by_table(data, windows)
    yield ""
    yield from by_fault(data, windows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("verdicts", type=Path, nargs="+")
    parser.add_argument("--persist", action="store_true", help="the verdicts are on faults that stay for seven windows")
    given = parser.parse_args()
    print(*told(given.data, given.verdicts, given.persist), sep="\n")  # noqa: T201
