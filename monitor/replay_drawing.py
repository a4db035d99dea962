"""A replay as a PNG: per dataset a lane for each check that found something, and below them the incidents as bars.

What is critical has a sign of its own, not only a colour (Okabe and Ito, 2008). Drawn in the command's own process, at its end:
matplotlib is large, and the workers and the daemon never load it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checks.result import Result, Severity
from checks.window import Window
from monitor.backtest import Backtest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LANES, DATASETS = 20, 30
WIDE, LANE, AROUND, DPI = 12.0, 0.24, 1.3, 110
"""Inches of the picture's width, of a lane, and of a dataset's title and axis."""
INK, COLOURS, SIGNS = "#1f2933", {"warning": "#e69f00", "critical": "#d55e00"}, {"warning": "o", "critical": "D"}


def draw(found: Backtest, path: Path) -> None:
    """Write the picture. Raises OSError where it cannot be written."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [s.dataset.name for s in found.stretches if s.windows][:DATASETS]
    lanes = {name: _lanes(found, name) for name in names}
    heights = [AROUND + LANE * (len(lanes[name]) + 1) for name in names]
    # Names are the user's: no sign in them is a formula.
    with rc_context({"font.size": 9, "text.parse_math": False, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(WIDE, sum(heights)), dpi=DPI, facecolor="white", layout="constrained")
        grid = figure.subplots(len(names), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
        for axes, name in zip(grid[:, 0], names, strict=True):
            _dataset(axes, found, name, lanes[name])
        FigureCanvasAgg(figure).print_png(str(path))


def _lanes(found: Backtest, name: str) -> list[str]:
    """The checks that found most."""
    return [check for check, _ in Counter(r.check for d, _, r in found.failed if d.name == name).most_common(LANES)]


def _dataset(axes: Axes, found: Backtest, name: str, lanes: Sequence[str]) -> None:
    windows = [w for d, w, _ in found.windows if d.name == name]
    here = [(w, r) for d, w, r in found.failed if d.name == name]
    own = [h.incident for h in found.telling.incidents.values() if h.incident.subject == name]
    for severity in (Severity.WARNING, Severity.CRITICAL):
        _marks(axes, [(w, r) for w, r in here if r.severity is severity and r.check in lanes], lanes, str(severity))
    end = windows[-1].end
    for incident in own:
        span = [_at(incident.opened_at), _at(incident.resolved_at or max(end, incident.opened_at))]
        axes.plot(span, [len(lanes)] * 2, lw=5, color=COLOURS[str(incident.severity)], solid_capstyle="butt", marker="|", ms=9)
    axes.set_yticks(range(len(lanes) + 1), [*(_short(check) for check in lanes), "incidents"])
    axes.set_ylim(len(lanes) + 0.6, -0.6)
    axes.set_xlim(_at(windows[0].start), _at(end))
    axes.grid(axis="y", color="#eef2f5", lw=6)
    axes.set_axisbelow(True)
    counted = f"{len(windows)} windows, {len(here)} findings, {len(own)} incidents"
    axes.set_title(f"{name}: {counted}   (● warning, ◆ critical)", loc="left", color=INK, fontweight="bold")


def _marks(axes: Axes, marked: Sequence[tuple[Window, Result]], lanes: Sequence[str], severity: str) -> None:
    where = [_at(window.start) for window, _ in marked]
    places = [lanes.index(result.check) for _, result in marked]
    axes.scatter(where, places, s=26, marker=SIGNS[severity], color=COLOURS[severity], edgecolor="white", lw=0.5, zorder=3)


def _short(check: str) -> str:
    return check if len(check) <= 44 else check[:43] + "…"


def _at(moment: datetime) -> Any:
    # All in one zone; matplotlib takes times and its types do not know it.
    return moment.astimezone(UTC).replace(tzinfo=None)
