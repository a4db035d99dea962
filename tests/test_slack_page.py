"""The page about Slack: its pictures are there and small, and it names every button and command there is."""

from __future__ import annotations

import re
from pathlib import Path

from alerts.buttons import WORDS

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "slack.md").read_text()


def test_every_picture_is_there_and_small() -> None:
    shown = re.findall(r"\((images/[\w-]+\.png)\)", PAGE)
    assert len(shown) == len(set(shown)) == 9
    for name in shown:
        picture = (DOCS / name).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < 200_000


def test_every_button_is_explained() -> None:
    for words in WORDS.values():
        assert f"| {words} | `datavigil " in PAGE
