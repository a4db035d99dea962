"""The words and tables of `comparing`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from benchmarks.comparing import BARE, ONCE, WARM, Compared, Measure
from benchmarks.tables import count, memory, met, ratio, seconds, table

JUDGED = 1_000_000
"""The number of rows for which the limits are wanted."""
EVIDENTLY, HAND = "Evidently", "DuckDB by hand"
WORK = {
    WARM: "history from the store, measuring, judging every automatic check (drift of every column), recording",
    ONCE: "the same as a command: processes, imports, config, messages",
    HAND: "rows, missing, extremes, sums, approximate distinct counts, grids and top values; no judging; the faster of two plans",
    EVIDENTLY: "`DataDriftPreset` and `DataSummaryPreset`, frames in memory",
    "whylogs": "the profile of one frame in memory; no comparison",
    "NannyML": "`UnivariateDriftCalculator` (Wasserstein, Jensen-Shannon; one chunk), frames in memory; no summary",
}


def section(sizes: Sequence[Compared]) -> str:
    """All of it, for the terminal and for the docs."""
    shown = [faster_plan(size) for size in sizes]
    names = [name for name in WORK if any(name in size.found for size in shown)]
    parts = [
        *(wanted(size) for size in shown if size.rows == JUDGED),
        "Time, the median of five turns (of three where it takes long, of one where it takes a minute):",
        grid(shown, names, lambda measure, _: seconds(measure.typical)),
        "Our time, warm, against theirs (1/100: a hundredth of it; 2.00 x: twice of it):",
        grid(shown, [n for n in names if n not in (WARM, ONCE)], lambda measure, own: ratio(own.typical, measure.typical)),
        "Processor time, all threads and processes together; another program on the machine lengthens it far less than the time:",
        grid(shown, names, lambda measure, _: seconds(measure.work)),
        "Our processor time, warm, against theirs:",
        grid(shown, [n for n in names if n not in (WARM, ONCE)], lambda measure, own: ratio(own.work, measure.work)),
        "Memory, the most that the process and all below it held at once:",
        grid(shown, names, lambda measure, _: memory(measure.peak)),
        "Start-up, once in a process's life and in no time above but that of `datavigil once`: imports, frames read, configs read:",
        grid(shown, [n for n in names if n != ONCE], lambda measure, _: seconds(measure.startup)),
        "What each does:",
        "\n".join(f"- {name}: {WORK[name]}" for name in names),
        *lost(shown),
        *left_out(shown),
    ]
    return "\n\n".join(parts)


def faster_plan(size: Compared) -> Compared:
    """The same with DuckDB by hand as one: whichever of its plans was faster here."""
    best = min((size.found[plan] for plan in BARE.values()), key=lambda measure: measure.typical)
    others = {name: measure for name, measure in size.found.items() if name not in BARE.values()}
    return Compared(size.rows, {**others, HAND: best}, size.left_out)


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
    rows = [limit("datavigil, warm, against DuckDB by hand", warm.typical, size.found[HAND].typical, 2.0, "2 x")]
    evidently = size.found.get(EVIDENTLY)
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
    """Where somebody else is faster or smaller than we are, a line for each of them."""
    lines = []
    for name in WORK:
        for mine in (WARM, ONCE):
            slower = [(s.rows, s.found[name], s.found[mine]) for s in sizes if name in s.found and name not in (WARM, ONCE)]
            times = [
                f"{seconds(m.typical)} to our {seconds(o.typical)} at {count(n)} rows"
                for n, m, o in slower
                if m.typical < o.typical
            ]
            holds = [f"{memory(m.peak)} to our {memory(o.peak)} at {count(n)} rows" for n, m, o in slower if m.peak < o.peak]
            lines += [f"- {name} is faster than {mine}: {', '.join(times)}"] if times else []
            lines += [f"- {name} is smaller than {mine}: {', '.join(holds)}"] if holds else []
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
