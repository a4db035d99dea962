"""Pictures into a thread of Slack's, in the three steps it asks for: an address each, the bytes there, then all shown at once.

Only the last step shows anything, so whatever goes wrong before it leaves no trace.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from alerts.base import Unknown
from alerts.message import Chart
from alerts.plain import clean
from alerts.slack_calls import answer
from alerts.wire import on_this_machine, post, remaining

if TYPE_CHECKING:
    from slack_sdk import WebClient

TITLE, TEXT = 150, 900
"""Characters of a picture's title and of its words for who cannot see it; Slack takes 1000 of those."""


def uploaded(client: WebClient, channel: str, thread: str, charts: Sequence[Chart], timeout: float, where: str) -> str:
    """Puts the charts into a thread as one message; the id of the first file. `timeout` is seconds for all of it.

    Raises SlackRefusal with Slack's name for what it refused, or a DeliveryError.
    """
    until = time.monotonic() + timeout
    files = [{"id": _left(client, n, chart, until, where), "title": clean(chart.title, TITLE)} for n, chart in enumerate(charts, 1)]
    shown = {"files": json.dumps(files), "channel_id": channel, "thread_ts": thread}
    answer(client, "files.completeUploadExternal", params=shown)
    return files[0]["id"]


def _left(client: WebClient, number: int, chart: Chart, until: float, where: str) -> str:
    """The id of a file whose bytes Slack has; nobody sees it yet."""
    about = {"filename": f"chart-{number}.png", "length": len(chart.png), "alt_txt": clean(chart.text, TEXT)}
    asked = answer(client, "files.getUploadURLExternal", params=about)
    url, name = asked.get("upload_url"), asked.get("file_id")
    if not isinstance(url, str) or not isinstance(name, str) or not _safe(url):
        raise Unknown(f"{where} did not say where a file is to go")
    # The address is the key to it; our token is not sent along.
    said = post(url, chart.png, {"Content-Type": "image/png"}, remaining(until), where)
    if said.status != 200:
        raise Unknown(f"{where} answered {said.status} to a file")
    return name


def _safe(url: str) -> bool:
    return urlsplit(url).scheme == "https" or (urlsplit(url).scheme == "http" and on_this_machine(url))
