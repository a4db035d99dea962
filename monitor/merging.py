"""Many profiles as one; it takes a processor a while, so it runs in a worker process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from checks.profile import Answer, Counts, Outdated, Profile, merge

VALUES = 1000
"""Values that are kept of a column: drift looks at no column that has more."""


def together(bodies: Sequence[bytes]) -> tuple[int, bytes]:
    """Rows and profile of all of these, oldest first, as one. Raises ValueError where one, or all of them, cannot be read."""
    found = [profile for body in bodies if (profile := _read(body)) is not None]
    # An empty window adds nothing, and lacks what could not be asked of it. The fullest one's grids have seen most.
    full = sorted((p for p in found if p.rows), key=lambda p: p.rows, reverse=True) or found
    whole = merge(full)
    if whole is None:
        raise ValueError("there is none that this version can read")
    parts = {part: {key: capped(answer) for key, answer in answers.items()} for part, answers in whole.parts.items()}
    return whole.rows, replace(whole, schema=found[-1].schema, parts=parts).to_bytes()


def _read(body: bytes) -> Profile | None:
    """None: from before the present form, which counts as not measured."""
    try:
        return Profile.from_bytes(body)
    except Outdated:
        return None


def capped(answer: Answer, most: int = VALUES) -> Answer:
    """Value counts with only the most frequent values by name; everything else as it is."""
    if not isinstance(answer, Counts) or len(answer.counts) <= most:
        return answer
    ordered = sorted(answer.counts.items(), key=lambda item: (-item[1], item[0]))
    other = answer.other + sum(n for _, n in ordered[most:])
    return replace(answer, counts=dict(ordered[:most]), other=other, error=max(answer.error, ordered[most][1] / answer.total))
