"""Finds every check, channel and source by looking in the packages; no list is kept by hand."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache
from types import ModuleType
from typing import Any

import alerts
import checks
import monitor.sources
from alerts.base import Channel
from checks.base import Check
from monitor.sources.base import Source


@cache
def check_kinds() -> dict[str, type[Check]]:
    """Kind -> class of every check."""
    return {c.kind: c for c in _found(checks, Check)}


@cache
def channel_kinds() -> dict[str, type[Channel]]:
    """Kind -> class of every channel."""
    return {c.kind: c for c in _found(alerts, Channel)}


@cache
def source_kinds() -> tuple[type[Source], ...]:
    """Every class of source."""
    return tuple(_found(monitor.sources, Source))


def _found(package: ModuleType, base: type[Any]) -> list[type[Any]]:
    """Every public subclass of `base` that is defined in a module of the package, by name of the module."""
    out: list[type[Any]] = []
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda i: i.name):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        classes = inspect.getmembers(module, inspect.isclass)
        out += [
            c for name, c in classes if issubclass(c, base) and c is not base and c.__module__ == module.__name__ and name[0] != "_"
        ]
    return out
