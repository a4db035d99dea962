"""The start-up guard: are the three packages ours?

`monitor`, `checks` and `alerts` are names another distribution may use too. One installed later overwrites ours without
a word, and what then fails is anything. So the command line asks here first.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

OURS = {"monitor": "guard.py", "checks": "result.py", "alerts": "message.py"}
"""A module of each package that no stranger's package of that name is likely to have as well."""
REMEDY = "install datavigil in a virtual environment of its own"


def fault(find: Callable[[str], ModuleSpec | None] = find_spec) -> str | None:
    """One sentence for the user if a package is not ours, else None. Imports none of them.

    `find` gives a package's spec by name; tests hand in one that looks in folders of their own.
    """
    folders: dict[str, Path] = {}
    for name, module in OURS.items():
        folder = _folder(find(name))
        if folder is None or not (folder / module).is_file():
            where = f" in {folder}" if folder else ""
            return f"datavigil's package '{name}' is missing or another distribution's{where}; {REMEDY}"
        folders[name] = folder.parent
    if len(set(folders.values())) > 1:
        places = ", ".join(f"{name} in {folder}" for name, folder in folders.items())
        return f"datavigil's packages do not lie in one folder ({places}), so another distribution has taken a name; {REMEDY}"
    return None


def _folder(spec: ModuleSpec | None) -> Path | None:
    """The folder of a package; None for a module, for nothing, and for a namespace package spread over several."""
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]).resolve() if len(places) == 1 else None
