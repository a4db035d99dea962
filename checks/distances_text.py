"""Evidently's methods for the words of a text column: run by Evidently itself, on samples."""

from __future__ import annotations

from typing import ClassVar

from checks.distance import Distance


class _OfWords(Distance):
    numbers: ClassVar[bool] = False
    sampled: ClassVar[bool] = True


class AbsTextContentDrift(_OfWords):
    """How well a classifier tells the window's texts from the reference's by their words, 0.5 (not at all) to 1: the area
    under its ROC curve.

    Source: Rabanser, Guennemann and Lipton (2019). Noise: 0.5 and a little.
    """

    title = "text content"
    threshold = 0.55


class PercTextContentDrift(_OfWords):
    """The same as `abs_text_content_drift`; without bounds it is held against what a classifier that guesses reaches once
    in twenty times.

    Source: Rabanser, Guennemann and Lipton (2019). Noise: 0.5 and a little.
    """

    title = "text content"
    threshold = 0.95
