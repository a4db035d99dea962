"""Evidently's tests of value counts, as its version 0.7 has them: p-values, for categories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from checks.distance import PValue
from checks.pair import Pair

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
DRAWS = 1000


class _OfCounts(PValue):
    """Any test of two lists of counts."""

    numbers = False

    def many(self, pair: Pair) -> Array:
        import numpy as np

        found = []
        for current, reference in pair.each():
            there = (current.rows[0] > 0) | (reference.rows[0] > 0)
            found.append(self.p(current.rows[0][there], reference.rows[0][there]))
        return np.array(found)

    def p(self, current: Array, reference: Array) -> float:
        """The p-value of counts of the same values, none of them without rows in both; those are in rising order, the others
        last."""
        raise NotImplementedError


class Chisquare(_OfCounts):
    """Pearson's chi-square test of the window's counts against the reference's shares, taken as given: a p-value, 0 to 1,
    and 0 where a value is new. As Evidently has it, the reference's own noise is not counted, so p is too low where the
    reference is small.

    Source: Pearson (1900).
    """

    title = "chi-square p-value"
    threshold = 0.05

    def p(self, current: Array, reference: Array) -> float:
        import numpy as np
        from scipy.special import chdtrc

        expected = reference * (current.sum() / reference.sum())
        with np.errstate(divide="ignore"):
            return float(chdtrc(len(current) - 1, ((current - expected) ** 2 / expected).sum())) if len(current) > 1 else 1.0


class GTest(_OfCounts):
    """The likelihood-ratio test of the window's counts against the reference's shares, taken as given: a p-value, 0 to 1,
    and 0 where a value is new. Evidently computes it only where both have as many rows; here the reference is brought to as
    many.

    Source: Wilks (1938), Sokal and Rohlf (1981).
    """

    threshold = 0.1

    def p(self, current: Array, reference: Array) -> float:
        from scipy.special import chdtrc, rel_entr

        if len(current) < 2:
            return 1.0
        expected = reference * (current.sum() / reference.sum())
        # Both have the same sum, so this is not below 0 but for rounding.
        return float(chdtrc(len(current) - 1, max(2 * rel_entr(current, expected).sum(), 0.0)))


class Z(_OfCounts):
    """The z-test of two shares: that of the first value in alphabetical order, in the window and in the reference; a
    p-value, 0 to 1. For columns of two values; of more, all but the first count as one, as in Evidently.

    Source: the pooled two-proportion test, Fleiss (1981).
    """

    threshold = 0.05

    def p(self, current: Array, reference: Array) -> float:
        from scipy.special import ndtr

        if len(current) == 1:
            return 1.0
        n, m = current.sum(), reference.sum()
        share, other = 1 - current[0] / n, 1 - reference[0] / m
        both = (share * n + other * m) / (n + m)
        return float(2 * (1 - ndtr(abs(other - share) / (both * (1 - both) * (1 / n + 1 / m)) ** 0.5)))


class FisherExact(_OfCounts):
    """Fisher's exact test of a column of two values: a p-value, 0 to 1. Evidently computes it only where both have as many
    rows; here they need not.

    Source: Fisher (1922).
    """

    threshold = 0.1
    undefined = "fisher_exact needs a column of at most two values; take chisquare"

    def p(self, current: Array, reference: Array) -> float:
        from scipy.stats import fisher_exact

        if len(current) > 2:
            return float("nan")
        if len(current) < 2:
            return 1.0
        return float(fisher_exact([[int(n) for n in current], [int(n) for n in reference]])[1])


class Tvd(_OfCounts):
    """The permutation test of the total variation distance: the share of 1000 random splits of all rows whose distance is
    at least that of the window from the reference; a p-value, 0 to 1, in steps of 0.001. The draws are seeded, so the same
    counts give the same p; it is Evidently's to what 1000 draws are worth, at most 0.016 of standard deviation on each
    side.

    Source: Pitman (1937) for the test.
    """

    name = "TVD"
    title = "total-variation p-value"
    threshold = 0.1
    costly = True

    def p(self, current: Array, reference: Array) -> float:
        import numpy as np

        every, n, m = (current + reference).astype(np.int64), int(current.sum()), int(reference.sum())
        # Drawing gets slow and is refused above a thousand million rows; there a split has no noise to speak of.
        fit = max(1.0, (n + m) / 9e8)
        every, n, m = (every / fit).astype(np.int64), int(n / fit), int(m / fit)
        drawn = np.random.default_rng(0).multivariate_hypergeometric(every, min(m, int(every.sum())), size=DRAWS)
        chance = np.abs(drawn / m - (every - drawn) / n).sum(axis=1) / 2
        observed = np.abs(current / current.sum() - reference / reference.sum()).sum() / 2
        return float((chance >= observed - 1e-12).mean())
