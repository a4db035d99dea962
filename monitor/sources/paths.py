"""Paths of files: those that hold a window in their name, globs, and what is there."""

from __future__ import annotations

import glob
import re
from pathlib import Path

from checks.window import Window
from monitor.sources.base import NoData, SourceError

FIELD = re.compile(r"\{(?:start|end)(?::[^{}]*)?\}")
WILD = re.compile(r"[*?\[{]")


def has_fields(path: str) -> bool:
    """The path holds `{start...}` or `{end...}`: one file (or glob) per window."""
    return FIELD.search(path) is not None


def of_window(path: str, window: Window, timezone: str) -> list[str]:
    """The files of a path with fields for this window. Raises NoData where they are not there though others are, and
    SourceError where no file ever fitted."""
    wanted = filled(path, window, timezone)
    files = matching(wanted)
    if files or remote(path):
        return files
    if matching(FIELD.sub("*", path)):
        raise NoData(f"there is no file {wanted}")
    raise SourceError(f"there is no file {wanted}, and none ever: {_why_none(path)}")


def always(path: str) -> list[str]:
    """The files of a path or glob without fields. Raises SourceError where there is none."""
    files = matching(path)
    if not files:
        raise SourceError(f"there is no file {path}: {_why_none(path)}")
    return files


def filled(path: str, window: Window, timezone: str) -> str:
    """The path with the window's times, in the dataset's zone, in its fields. Raises SourceError for a field that is none."""
    local = Window(window.start, window.end, timezone)
    try:
        return FIELD.sub(lambda field: field[0].format(start=local.local_start, end=local.local_end), path)
    except (ValueError, KeyError) as error:
        raise SourceError(f"{path}: a field is not a date format, such as {{start:%Y-%m-%d}} ({error})") from None


def matching(path: str) -> list[str]:
    """The files that are there, sorted; a remote path as it is. Raises SourceError for a folder."""
    if remote(path):
        return [path]
    if Path(path).is_dir():
        raise SourceError(f"{path} is a folder; name its files, such as {path.rstrip('/')}/*.parquet")
    if Path(path).is_file():
        return [path]
    return sorted(file for file in glob.glob(path, recursive=True) if Path(file).is_file())  # noqa: PTH207 - takes absolute ones


def remote(path: str) -> bool:
    return "://" in path


def _why_none(path: str) -> str:
    """The folder is missing, or nothing in it has such a name."""
    fixed = Path(WILD.split(path)[0] + "x").parent
    return f"nothing in {fixed} has such a name" if fixed.is_dir() else f"there is no folder {fixed}"
