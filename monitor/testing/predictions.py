"""Generated predictions with their labels, the same on every machine: a test's and NannyML's."""

from __future__ import annotations

import random

CLASSES = ("cat", "dog", "owl")
Rows = dict[str, list[float | int | str]]


def binary(name: str, part: str, rows: int) -> Rows:
    """Scores of a rare class: `sound` ones are calibrated, `too_sure` ones too far from a half; `part` is reference or analysis."""
    source = random.Random(f"{name} {part}")  # noqa: S311
    made: Rows = {"said": [], "was": [], "p": []}
    for _ in range(rows):
        true = source.betavariate(1.2, 3.0 if part == "reference" else 2.0)
        odds = (true / (1 - true)) ** (1.0 if name == "sound" else 2.0)
        p = round(odds / (1 + odds), 9)
        made["p"].append(p)
        made["said"].append(int(p >= 0.5))
        made["was"].append(int(source.random() < true))
    return made


def several(part: str, rows: int) -> Rows:
    """Probabilities of three classes, calibrated."""
    source = random.Random(f"several {part}")  # noqa: S311
    made: Rows = {"said": [], "was": [], **{f"p_{name}": [] for name in CLASSES}}
    for _ in range(rows):
        weights = [source.gammavariate(0.8 + 0.2 * place, 1.0) + 1e-9 for place in range(len(CLASSES))]
        shares = [round(w / sum(weights), 9) for w in weights]
        for name, share in zip(CLASSES, shares, strict=True):
            made[f"p_{name}"].append(share)
        made["said"].append(CLASSES[shares.index(max(shares))])
        made["was"].append(source.choices(CLASSES, shares)[0])
    return made
