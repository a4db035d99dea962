"""The words and tables of `comparing`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from benchmarks.comparing import BARE, ONCE, WARM, Compared, Measure
from benchmarks.tables import count, memory, met, ratio, seconds, table

JUDGED = 1_000_000
"""The number of rows for which the limits are wanted."""
DRIFT_AND_SUMMARY = "Evidently"
WORK = {
    WARM: "reads the history from the store, measures, judges every automatic check (drift of every column), records",
    ONCE: "the same as a command: start of three processes, imports, reading the config, sending messages",
    BARE["parquet"]: "rows, missing, extremes, sums, approximate distinct counts, grids, top values; no judging",
    BARE["table"]: "the same from a copy in memory",
    "Evidently": "`DataDriftPreset` and `DataSummaryPreset` on two frames that are in memory already",
    "whylogs": "the profile of one frame that is in memory already; no comparison",
    "NannyML": "`UnivariateDriftCalculator`, Wasserstein and Jensen-Shannon, one chunk, frames in memory; no summary",
}


def section(sizes: Sequence[Compared]) -> str:
    """All of it, for the terminal and for the docs."""
    names = [name for name in WORK if any(name in size.found for size in sizes)]
    parts = [
        table(["who", "what is timed"], [[name, WORK[name]] for name in names]),
        "Seconds, the median of three turns (of one, where it takes more than 20 s):",
        grid(sizes, names, lambda measure, _: seconds(measure.typical)),
        "The most memory that the process and all below it held at once, tables included:",
        grid(sizes, names, lambda measure, _: memory(measure.peak)),
        "Start-up of a process, imports and reading of tables, once in its life and in no time above but that of `datavigil once`:",
        grid(sizes, names, lambda measure, _: seconds(measure.startup)),
        *(wanted(size) for size in sizes if size.rows == JUDGED),
        "Against the others, warm (1/100: a hundredth of their time; 2.00 x: twice of it):",
        grid(sizes, [n for n in names if n not in (WARM, ONCE)], lambda measure, own: ratio(own.typical, measure.typical)),
        *lost(sizes),
        *left_out(sizes),
    ]
    return "\n\n".join(parts)


def grid(sizes: Sequence[Compared], names: Sequence[str], show: Callable[[Measure, Measure], str]) -> str:
    """A row per program, a column per number of rows; `show` makes a cell of a program's measure and of ours, warm."""
    rows = []
    for name in names:
        found = [(size.found.get(name), size.found[WARM]) for size in sizes]
        rows.append([name, *(show(measure, own) if measure else "–" for measure, own in found)])
    return table(["", *(f"{count(size.rows)} rows" for size in sizes)], rows)


def wanted(size: Compared) -> str:
    """The limits that we set ourselves, beside what was measured."""
    warm, once = size.found[WARM], size.found[ONCE]
    rows = [limit("datavigil, warm, against DuckDB by hand (the faster plan)", warm.typical, size.bare, 2.0, "2 x")]
    evidently = size.found.get(DRIFT_AND_SUMMARY)
    if evidently is not None:
        rows += [
            limit("datavigil, warm, against Evidently's drift + summary", warm.typical, evidently.typical, 0.01, "1/100"),
            limit("datavigil once, whole, against Evidently's drift + summary", once.typical, evidently.typical, 0.02, "1/50"),
        ]
    for name, measure in ((WARM, warm), (ONCE, once)):
        rows.append([f"{name}, memory", memory(measure.peak), "at most 600 MB", met(measure.peak, 0.6e9)])
    return "\n\n".join([f"What is wanted at {count(size.rows)} rows:", table(["", "measured", "wanted", "met"], rows)])


def limit(what: str, ours: float, theirs: float, at_most: float, words: str) -> list[str]:
    return [what, ratio(ours, theirs), f"at most {words}", met(ours / theirs, at_most)]


def lost(sizes: Sequence[Compared]) -> Iterator[str]:
    """Where somebody else is faster or smaller than we are."""
    lines = []
    for size in sizes:
        for name, measure in size.found.items():
            for mine in (WARM, ONCE):
                own = size.found[mine]
                if name not in (WARM, ONCE) and measure.typical < own.typical:
                    lines.append(
                        f"- {count(size.rows)} rows: {name} takes {seconds(measure.typical)}, {mine} {seconds(own.typical)}"
                    )
            own = size.found[ONCE]
            if name not in (WARM, ONCE) and measure.peak < own.peak:
                lines.append(f"- {count(size.rows)} rows: {name} holds {memory(measure.peak)}, {ONCE} {memory(own.peak)}")
    if lines:
        yield "Where we lose:"
        yield "\n".join(lines)


def left_out(sizes: Sequence[Compared]) -> Iterator[str]:
    reasons = dict.fromkeys(f"- {name}: {why}" for size in sizes for name, why in size.left_out.items())
    if reasons:
        yield "Not measured:"
        yield "\n".join(reasons)


def versions(sizes: Sequence[Compared]) -> str:
    """`whylogs 1.6.4`: of all that took part."""
    named = {name: text for size in sizes for m in size.found.values() for name, text in m.said.get("versions", {}).items()}
    return ", ".join(f"{name} {text}" for name, text in sorted(named.items(), key=lambda item: item[0].lower()))
