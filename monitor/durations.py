"""Durations as the config writes them; routes have some too, so they are read in `alerts`."""

from __future__ import annotations

from alerts.durations import Duration, Span, parse, words

__all__ = ["Duration", "Span", "parse", "words"]
