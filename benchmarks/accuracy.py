"""How exact distances from profiles are, beside exact ones on all rows; `make bench` prints it.

Every pair of shapes of the accuracy test goes through Parquet, DuckDB and the reference's pinned grid; Evidently's methods are held
against Evidently's own functions.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from checks.distance import methods
from monitor.testing import accuracy, shapes

THEIRS = ["psi", "jensenshannon", "kl_div", "hellinger", "ks", "anderson", "cramer_von_mises", "mannw", "t_test", "ed", "es"]


def table() -> Iterator[tuple[str, str, float, float, float]]:
    """Pair, method, value from profiles, exact value on all rows, difference; where Evidently refuses a pair there is no row."""
    pairs, every = shapes.pairs(), methods()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asked = ((sides.reference, sides.current, "num", THEIRS) for sides in pairs)
        theirs, masses = accuracy.by_evidently(asked, folder), accuracy.masses(pairs, folder)
        for sides, found in zip(pairs, theirs, strict=True):
            current, reference = masses[sides.name]
            ours = {method: accuracy.exact(method, sides) for method in accuracy.OURS}
            for method, exact in {**ours, **found}.items():
                if not isinstance(exact, str):
                    value = every[method](current, reference)
                    yield sides.name, method, value, exact, value - exact


def printed(rows: list[tuple[str, str, float, float, float]], whole: bool) -> Iterator[str]:
    """Lines of Markdown: the worst pair of each method, and with `whole` every pair."""
    yield "| method | pairs | median difference | largest | of which pair |"
    yield "|---|---|---|---|---|"
    for method in dict.fromkeys(row[1] for row in rows):
        of = sorted((abs(off), pair) for pair, name, _, _, off in rows if name == method and not math.isnan(off))
        yield f"| `{method}` | {len(of)} | {of[len(of) // 2][0]:.5f} | {of[-1][0]:.5f} | {of[-1][1]} |"
    if whole:
        yield "\n| pair | method | from profiles | exact | difference |\n|---|---|---|---|---|"
        for pair, method, value, exact, off in rows:
            yield f"| {pair} | `{method}` | {value:.6g} | {exact:.6g} | {off:.6f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--whole", action="store_true", help="every pair and method, not the worst of each method alone")
    whole = parser.parse_args().whole
    sys.stdout.write("\n".join(printed(list(table()), whole)) + "\n")


if __name__ == "__main__":
    main()
