"""A chart small enough for a mail. matplotlib is heavy: call this in a process of its own, never in the daemon's."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime

INK, LIMIT, PAPER = "#1f5fa8", "#a15c00", "#ffffff"


def small(points: Sequence[tuple[datetime, float]], bounds: tuple[float | None, float | None] = (None, None)) -> bytes:
    """A PNG of 560 x 112 pixels (shown at half of that): a line over time and, dashed, the bounds. Needs one point at least."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.8, 0.56), dpi=200, facecolor=PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.01, 0.06, 0.98, 0.88))
    axes.set_axis_off()
    xs, ys = [at.timestamp() for at, _ in points], [value for _, value in points]
    axes.plot(xs, ys, color=INK, linewidth=1.4, solid_capstyle="round")
    axes.plot(xs[-1:], ys[-1:], marker="o", markersize=3.2, color=INK)
    for bound in bounds:
        if bound is not None:
            axes.axhline(bound, color=LIMIT, linewidth=1, linestyle=(0, (4, 3)))
    axes.margins(x=0.03, y=0.15)
    out = io.BytesIO()
    # Without the name and version of the library: the same points are the same bytes.
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()
