"""Where a file source's database lies: `scheme:///relative.db` and `scheme:////absolute.db`."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from monitor.sources.base import SourceDown, SourceError


def database_file(url: str) -> Path:
    """The file a url names. Raises SourceError for a url without one, SourceDown where the file is not there."""
    scheme, _, rest = url.partition("://")
    name = unquote(rest.partition("?")[0])
    if not name.strip("/") or not name.startswith("/"):
        raise SourceError(f"the url must name a file: {scheme}:///relative.db or {scheme}:////absolute.db")
    relative, absolute = Path(name[1:]), Path(name)
    # Half of all tools read three slashes as absolute; what is there decides.
    found = next((path for path in (relative, absolute) if path.is_file()), None)
    if found is None:
        raise SourceDown(f"there is no file {relative} (an absolute path has four slashes: {scheme}:////...)")
    return found
