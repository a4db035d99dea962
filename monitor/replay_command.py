"""`datavigil backtest` as people see it: reads the store if there is one, replays, prints."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy.engine import make_url

from monitor import backtest, daemon, printing, replay_months, replay_printing
from monitor.config import Config
from monitor.store.store import Store, StoreError


def run(
    config: Config,
    other: Config | None,
    names: Sequence[str] | None,
    start: datetime | None,
    end: datetime | None,
    plot: Path | None,
    json: bool,
) -> int:
    """The exit code: 0, or 3 where there is nothing to replay, or it cannot be drawn at `plot`."""
    until = min(end or daemon.now(), daemon.now())
    if start is not None and start >= until:
        return _refused(f"--from {start:%Y-%m-%d %H:%M} is not before --to {until:%Y-%m-%d %H:%M}")
    if plot is not None and plot.suffix not in {".html", ".png"}:
        return _refused(f"--plot {plot} cannot be drawn: give it a name that ends in .png or .html")
    if plot is not None and not plot.absolute().parent.is_dir():
        return _refused(f"--plot {plot} cannot be drawn: there is no folder {plot.parent}")
    try:
        found = _replayed(config, list(names or config.datasets), start, until)
        same = [name for name in (names or config.datasets) if other and name in other.datasets]
        changed = _replayed(other, same, start, until) if other and same else None
    except (backtest.CannotReplay, StoreError) as fault:
        return _refused(str(fault))
    if other and not same:
        return _refused(f"{other.path} has none of these datasets: there is nothing to compare")
    if json:
        told = backtest.as_json(found) | {"months": replay_months.months(found)}
        print(printing.as_lines(told | ({"against": replay_printing.difference(found, changed)} if changed else {})))
    else:
        print("\n".join(replay_printing.report(found)))
        if changed and other:
            print("\n".join(replay_printing.compared(found, changed, other.path)))
    return _drawn(found, plot) if plot is not None else 0


def _drawn(found: backtest.Backtest, plot: Path) -> int:
    from monitor import replay_drawing

    try:
        if plot.suffix == ".png":
            replay_drawing.draw(found, plot)
        else:
            plot.write_text(replay_printing.page(found), encoding="utf-8")
    except OSError as fault:
        return _refused(f"{plot} cannot be written: {fault.strerror}")
    print(f"drawn in {plot}", file=sys.stderr)
    return 0


def _replayed(config: Config, names: Sequence[str], start: datetime | None, end: datetime) -> backtest.Backtest:
    bar = printing.Bar("replaying", sys.stderr)
    counting = bar.counting(lambda _: None)
    with _store(config) as store:
        found = backtest.run(config, store, names, start, end, lambda _, total: counting(None, total))
    bar.end()
    return found


@contextmanager
def _store(config: Config) -> Iterator[Store | None]:
    """The config's store, brought to this version; None where none was made yet: a replay makes none."""
    url = config.store.url.get_secret_value()
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        yield None
        return
    store = Store(url)
    try:
        store.migrate()
        yield store
    finally:
        store.close()


def _refused(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 3
