"""Values of a config that come from outside of it: `${NAME}` from the environment, `<key>_file` from a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

Fault = Callable[[str], None]
"""Takes a sentence about what is wrong."""


class Outside:
    """Fills such values in, and remembers them, so that none shows in a fault."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder, self.environment = folder, environment
        self.used: dict[str, str] = {}

    def filled(self, value: Any, fault: Fault) -> Any:
        """`${NAME}` replaced everywhere in a value; a name that is not set is a fault and stays as it is."""
        if isinstance(value, dict):
            return {key: self.filled(part, fault) for key, part in value.items()}
        if isinstance(value, list):
            return [self.filled(part, fault) for part in value]
        if not isinstance(value, str):
            return value

        def replaced(found: re.Match[str]) -> str:
            name = found[1]
            if not self.environment.get(name):
                how = "is empty" if name in self.environment else "is not set"
                fault(f"${{{name}}} {how} in the environment; export {name} before the start")
                return found[0]
            self.used[found[0]] = content = self.environment[name]
            if "://" in value[: found.start()] and "@" in value[found.end() :] and not re.search("%[0-9A-Fa-f]{2}", content):
                # A user's name or password in a url: what is special in a url must not be so there.
                self.used[f"{found[0]} (encoded)"] = quote(content, safe="")
                return quote(content, safe="")
            return content

        return re.sub(r"\$\{(\w+)\}", replaced, value)

    def read(self, body: Mapping[str, Any], keys: set[str], fault: Fault) -> dict[str, Any]:
        """`<key>_file` replaced by `key` with the content of that file, where `key` is one of `keys` and `<key>_file` is not."""
        out: dict[str, Any] = {}
        for key, value in body.items():
            plain = key.removesuffix("_file")
            if key == plain or key in keys or plain not in keys:
                out[key] = value
            elif plain in body:
                fault(f"{plain} and {key} are both given; keep one")
            else:
                out[plain] = self._content(key, value, fault)
        return out

    def _content(self, key: str, value: Any, fault: Fault) -> str:
        """An unreadable file is a fault; the key then counts as given, so that it is not called missing as well."""
        unread = f"${{{key}}}"
        if not isinstance(value, str):
            fault(f"{key} must be the path of a file, in quotes")
            return unread
        try:
            content = (self.folder / value).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            fault(f"{key}: {value} cannot be read: {reason}")
            return unread
        if not content:
            fault(f"{key}: {value} is empty")
            return unread
        self.used[f"<{key}>"] = content
        return content

    def hidden(self, text: str) -> str:
        """What came from outside is shown by the name it came from; one or two letters only where they stand in quotes."""
        for name, value in sorted(self.used.items(), key=lambda item: -len(item[1])):
            for shown in {value, repr(value)[1:-1]} if len(value) > 2 else ():
                text = text.replace(shown, name)
            text = text.replace(repr(value), f"'{name}'").replace(f'"{value}"', f'"{name}"')
        return text
