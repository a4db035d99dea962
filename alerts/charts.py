"""Charts as PNG: a metric over time, a column against its reference. Sober, readable at the width of a phone, and the same in
print: what is bad has a mark of its own and a word, not only a colour.

Colours by Okabe and Ito (2008), told apart by every eye. Draw in a worker or a short-lived process: matplotlib is large.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from checks.histogram import Histogram
from checks.profile import Counts
from checks.result import Bounds
from checks.wording import Unit, amount

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, PALE, LINE, BAD, NORMAL, AIR = "#1f2933", "#9aa5b1", "#0072b2", "#d55e00", "#b8c2cc", "#eef2f5"
WIDE, HIGH, DPI = 5.0, 2.75, 144
"""Inches and dots per inch: 720 x 396 points, of which a phone shows every second one."""
BINS, MOST_VALUES = 40, 6
LARGEST = 1e100
"""Beyond it an axis has no ticks; what is farther out is drawn there."""
MARKED = 40
"""Points up to which each one is marked; more would hide the line."""


@dataclass(frozen=True)
class Point:
    """A window's value (None: there was none), and whether it was judged bad."""

    at: datetime
    value: float | None
    bad: bool = False


Shape = Histogram | Counts


def over_time(points: Sequence[Point], bounds: Bounds, title: str, unit: Unit = "number") -> bytes:
    """The values over time as PNG, the bounds as labelled lines, the bad windows marked. Raises ValueError without a value."""
    seen = _seen(points)
    with _figure(WIDE, HIGH) as (figure, drawn):
        axes = figure.add_axes((0.13, 0.15, 0.84, 0.65))
        _bounds(axes, bounds, unit)
        _line(axes, points, width=1.6, marked=len(seen) <= MARKED)
        bad = [p for p in seen if p.bad]
        _mark(axes, bad, size=52)
        _room(axes, seen, bounds)
        _dates(axes, seen)
        _values(axes, unit)
        count = f"{len(bad)} of {len(seen)} windows bad (◆)" if bad else f"none of {len(seen)} windows bad"
        _titled(figure, title, f"{count} · last {amount(seen[-1].value or 0.0, unit)}")
        drawn.append(figure)
    return _png(drawn[0])


def small(points: Sequence[Point], bounds: Bounds) -> bytes:
    """The same without words: a sparkline for a line of a mail, 300 x 72 points. Raises ValueError without a value."""
    seen = _seen(points)
    with _figure(300 / DPI, 72 / DPI) as (figure, drawn):
        axes = figure.add_axes((0.02, 0.06, 0.96, 0.88))
        axes.set_axis_off()
        _limits(axes, bounds)
        _line(axes, points, width=1.3, marked=False)
        _mark(axes, [p for p in seen if p.bad], size=20)
        _room(axes, seen, bounds)
        if not any(p.bad for p in seen):
            axes.plot([_day(seen[-1].at)], [_held(seen[-1].value)], "o", color=LINE, markersize=3)
        drawn.append(figure)
    return _png(drawn[0])


def against_reference(current: Shape, reference: Shape, title: str) -> bytes:
    """A column's distribution on top of its reference's, both as shares of their rows, as PNG.

    Raises ValueError where either has no value, or one is of numbers and the other of categories.
    """
    with _figure(WIDE, HIGH) as (figure, drawn):
        if isinstance(current, Histogram) and isinstance(reference, Histogram):
            _numbers(figure.add_axes((0.13, 0.15, 0.84, 0.60)), current, reference)
            missing = (current.missing + current.nan, reference.missing + reference.nan)
            rows = (current.finite, reference.finite)
        elif isinstance(current, Counts) and isinstance(reference, Counts):
            _categories(figure.add_axes((0.22, 0.03, 0.52, 0.72)), current, reference)
            missing, rows = (current.missing, reference.missing), (current.total, reference.total)
        else:
            raise ValueError("numbers and categories cannot be drawn on top of each other")
        absent = [_share(m, n + m) for m, n in zip(missing, rows, strict=True)]
        note = f" · missing {absent[0]}, was {absent[1]}" if any(missing) else ""
        _titled(figure, title, f"{amount(rows[0], 'rows')} rows now, {amount(rows[1], 'rows')} in the reference{note}")
        drawn.append(figure)
    return _png(drawn[0])


@contextmanager
def _figure(wide: float, high: float) -> Iterator[tuple[Figure, list[Figure]]]:
    """A figure of its own, none of pyplot's: nothing is kept between two charts, and no window system is asked for."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style: Any = {"font.family": "DejaVu Sans", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False}
    # Text of the data is no formula, whatever signs are in it.
    style |= {"text.parse_math": False, "axes.unicode_minus": True, "hatch.linewidth": 0.7}
    with rc_context(style):
        yield Figure(figsize=(wide, high), dpi=DPI, facecolor="white"), []


def _png(figure: Figure) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    out = io.BytesIO()
    with warnings.catch_warnings():
        # A sign that the font lacks is drawn as a box; that is no reason to go without the chart.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        FigureCanvasAgg(figure).print_png(out)
    return out.getvalue()


def _seen(points: Sequence[Point]) -> list[Point]:
    seen = [p for p in points if p.value is not None and math.isfinite(p.value)]
    if not seen:
        raise ValueError("there is no value to draw")
    return seen


def _held(value: float | None) -> float:
    return math.nan if value is None or not math.isfinite(value) else max(min(value, LARGEST), -LARGEST)


def _day(at: datetime) -> Any:
    # All in one zone; matplotlib takes times and its types do not know it.
    return at.astimezone(UTC).replace(tzinfo=None)


def _line(axes: Axes, points: Sequence[Point], width: float, marked: bool) -> None:
    """A window without a value interrupts the line: no line means no data."""
    days = [_day(p.at) for p in points]
    axes.plot(days, [_held(p.value) for p in points], color=LINE, lw=width, marker="o" if marked else "", ms=3, zorder=3)


def _mark(axes: Axes, bad: Sequence[Point], size: float) -> None:
    days = [_day(p.at) for p in bad]
    axes.scatter(days, [_held(p.value) for p in bad], s=size, marker="D", color=BAD, edgecolor="white", lw=0.8, zorder=4)


def _limits(axes: Axes, bounds: Bounds) -> list[tuple[str, float]]:
    limits = [("at least", bounds.at_least), ("at most", bounds.at_most)]
    drawn = [(word, _held(limit)) for word, limit in limits if limit is not None and math.isfinite(limit)]
    for _, limit in drawn:
        axes.axhline(limit, color=INK, lw=0.9, ls=(0, (4, 3)), zorder=2)
    if len(drawn) == 2:
        axes.axhspan(drawn[0][1], drawn[1][1], color=AIR, zorder=0)
    return drawn


def _bounds(axes: Axes, bounds: Bounds, unit: Unit) -> None:
    for word, limit in _limits(axes, bounds):
        place: dict[str, Any] = {"va": "top", "xytext": (4, -2)} if word == "at least" else {"va": "bottom", "xytext": (4, 2)}
        said, where = f"{word} {amount(limit, unit)}", ("axes fraction", "data")
        axes.annotate(said, (0, limit), xycoords=where, textcoords="offset points", fontsize=9, color=INK, **place)


def _room(axes: Axes, seen: Sequence[Point], bounds: Bounds) -> None:
    """All values and both bounds with air around them; a flat line lies in the middle."""
    limits = [_held(b) for b in (bounds.at_least, bounds.at_most) if b is not None and math.isfinite(b)]
    values = [_held(p.value) for p in seen] + limits
    low, high = min(values), max(values)
    air = (high - low) * 0.16 or abs(high) * 0.1 or 1.0
    axes.set_ylim(low - air, high + air)


def _dates(axes: Axes, seen: Sequence[Point]) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    if seen[0].at == seen[-1].at:
        axes.set_xticks([_day(seen[0].at)], [f"{seen[0].at.astimezone(UTC):%d %b %H:%M}"])
    else:
        locator = AutoDateLocator(minticks=3, maxticks=6)
        axes.xaxis.set_major_locator(locator)
        # A day without its month is no date.
        formats = ["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%H:%M:%S"]
        zero = ["%Y", "%b %Y", "%d %b", "%d %b", "%H:%M", "%H:%M"]
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, formats=formats, zero_formats=zero, show_offset=False))


def _values(axes: Axes, unit: Unit) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: amount(value, unit)))
    axes.grid(axis="y", color=AIR, lw=1)
    axes.set_axisbelow(True)
    _quiet(axes)


def _quiet(axes: Axes) -> None:
    axes.tick_params(length=0, labelsize=9, colors=INK)
    for spine in axes.spines.values():
        spine.set_color(PALE)


def _titled(figure: Figure, title: str, below: str) -> None:
    figure.text(0.02, 0.975, _short(title, 58), va="top", fontsize=11, fontweight="bold", color=INK)
    figure.text(0.02, 0.895, _short(below, 78), va="top", fontsize=9, color=INK)


def _short(text: str, most: int) -> str:
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def _share(some: float, every: float) -> str:
    return amount(some / every, "share") if every else "0 %"


def _numbers(axes: Axes, current: Histogram, reference: Histogram) -> None:
    import numpy as np

    low, high = _ends(current, reference)
    edges = np.linspace(low, high, BINS + 1)
    shares = []
    for shape in (reference, current):
        values, rows = shape.points()
        counted, _ = np.histogram(np.clip(values, low, high), edges, weights=rows)
        shares.append(counted / rows.sum())
    axes.stairs(shares[0], edges, fill=True, color=NORMAL, label="reference", zorder=1)
    axes.stairs(shares[1], edges, color=LINE, lw=1.8, label="now", zorder=3)
    axes.set_xlim(low, high)
    _legend(axes)
    _values(axes, "share")
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: amount(value, "number")))


def _ends(current: Histogram, reference: Histogram) -> tuple[float, float]:
    """What holds nearly all of both; a few values far out would squeeze the rest into one bar, and are drawn at the ends."""
    ends = [(shape.quantile(0.005), shape.quantile(0.995)) for shape in (current, reference)]
    known = [(_held(low), _held(high)) for low, high in ends if low is not None and high is not None]
    if len(known) < 2:
        raise ValueError("there is no value to draw")
    low, high = min(k[0] for k in known), max(k[1] for k in known)
    air = (high - low) * 0.02 or abs(high) * 0.1 or 1.0
    return low - air, high + air


def _categories(axes: Axes, current: Counts, reference: Counts) -> None:
    if not current.total or not reference.total:
        raise ValueError("there is no value to draw")
    rows = _most(current, reference)
    places = range(len(rows))
    looks: tuple[dict[str, Any], ...] = ({"color": LINE}, {"color": NORMAL, "hatch": "////", "edgecolor": PALE})
    for which in (1, 0):
        at = [p + (0.4 * which - 0.2) for p in places]
        axes.barh(at, [row[1 + which] for row in rows], height=0.38, label=("now", "reference")[which], **looks[which])
    for place, (_, now, before) in enumerate(rows):
        said = f"{amount(now, 'share')}, was {amount(before, 'share')}"
        axes.annotate(said, (max(now, before), place), (4, 0), textcoords="offset points", va="center", fontsize=9, color=INK)
    axes.set_yticks(list(places), [_short(row[0], 20) or "''" for row in rows])
    axes.set_xticks([])
    axes.invert_yaxis()
    axes.spines["bottom"].set_visible(False)
    _legend(axes)
    _quiet(axes)


def _most(current: Counts, reference: Counts) -> list[tuple[str, float, float]]:
    """(value, share now, share in the reference): those that changed most or are most frequent, the rest as one."""
    now, before = _shares(current), _shares(reference)

    def most(value: str) -> float:
        return max(now.get(value, 0.0), before.get(value, 0.0))

    names = sorted({*now, *before}, key=lambda v: (-most(v) - abs(now.get(v, 0.0) - before.get(v, 0.0)), v))
    kept = sorted(names[:MOST_VALUES], key=lambda v: -most(v))
    rows = [(v, now.get(v, 0.0), before.get(v, 0.0)) for v in kept]
    # What rounding left of a sum of shares is nobody's.
    rest = [left if left > 1e-9 else 0.0 for left in (1 - sum(r[1] for r in rows), 1 - sum(r[2] for r in rows))]
    return [*rows, ("others", rest[0], rest[1])] if any(rest) else rows


def _shares(counts: Counts) -> Mapping[str, float]:
    return {value: n / counts.total for value, n in counts.counts.items()}


def _legend(axes: Axes) -> None:
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False, fontsize=9, handlelength=1.4, borderpad=0)
