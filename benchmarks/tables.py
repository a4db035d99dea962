"""Figures as tables: Markdown, which reads well in a terminal too."""

from __future__ import annotations

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is words, the others are figures and stand on the right."""
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if place else cell.ljust(width) for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * width if not place else "-" * (width - 1) + ":" for place, width in enumerate(widths)]
    return "\n".join([line(head), f"| {' | '.join(rule)} |", *(line(row) for row in rows)])


def seconds(took: float | None) -> str:
    """`125 s`, `1.24 s`, `0.035 s`; a dash where nothing was measured."""
    if took is None:
        return "–"
    return f"{took:.0f} s" if took >= 100 else f"{took:.3g} s" if took >= 1 else f"{took:.3f} s"


def memory(held: int | None) -> str:
    """`2.1 GB`, `340 MB`."""
    if held is None:
        return "–"
    return f"{held / 1e9:.2f} GB" if held >= 1e9 else f"{held / 1e6:.0f} MB"


def ratio(one: float, other: float) -> str:
    """How much of `other` it is: `1/124` where it is less than half, else `1.3 x`."""
    share = one / other
    return f"1/{1 / share:.3g}" if share < 0.5 else f"{share:.2f} x"


def times(one: float, other: float) -> str:
    """`0.43 x`: where how far under or over one is told."""
    return f"{one / other:.2f} x"


def count(number: int) -> str:
    return f"{number:,}"


def met(value: float, at_most: float) -> str:
    return "yes" if value <= at_most else "no"
