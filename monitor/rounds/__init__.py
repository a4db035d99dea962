"""What is due by time rather than by a window: digests, storms, reminders, the ends of silences. Each is one transaction."""

from __future__ import annotations

from datetime import datetime

from monitor.config import Config
from monitor.rounds import digests, releases, reminders, storms
from monitor.store.store import Store


def due(config: Config, store: Store, now: datetime) -> None:
    """All that is due at `now`, each once per local period, incident and channel: keys see to that, whoever asks how often."""
    with store.reading() as connection:
        works = [work for turn in (releases, storms, reminders, digests) for work in turn.due(connection, config, now)]
    for work in works:
        store.attempt(work)
