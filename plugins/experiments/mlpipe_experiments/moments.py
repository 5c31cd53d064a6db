"""What is kept of outcomes: enough for every test, small, and able to be added up.

Sums of squares lose all digits where the mean is large beside the spread; so means and sums of
squared deviations are kept, and merged as Chan, Golub and LeVeque do ("Updating formulae and a
pairwise algorithm for computing sample variances", 1979).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Summary:
    """A variant's outcomes, as the tests see them.

    Attributes:
        count: How many units: users, or whatever is assigned.
        mean: Of a unit's outcome; of a ratio metric, the ratio.
        variance: Of a unit's outcome, so that the mean's is ``variance / count``.
        events: Of a unit, on average: a ratio metric's denominator.
    """

    count: int
    mean: float
    variance: float
    events: float = 1.0

    @property
    def variance_of_mean(self) -> float:
        """The variance of the mean; infinite where there is none yet."""
        return self.variance / self.count if self.count else math.inf


@dataclass(frozen=True, slots=True)
class Moments:
    """Outcomes of single units: 0 or 1, or numbers.

    Attributes:
        count: How many.
        mean: Theirs.
        squares: Sum of squared deviations from it.
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, outcomes: Iterable[float]) -> Self:
        """Take up outcomes.

        Raises:
            ValueError: One of them is no finite number.
        """
        values = _finite(outcomes)
        if not values:
            return cls()
        mean = math.fsum(values) / len(values)
        return cls(len(values), mean, math.fsum((value - mean) ** 2 for value in values))

    def __add__(self, other: "Moments") -> "Moments":
        """Take both together."""
        count = self.count + other.count
        if not (self.count and other.count):
            return self if self.count else other
        apart = other.mean - self.mean
        mean = self.mean + apart * other.count / count
        between = apart**2 * self.count * other.count / count
        return Moments(count, mean, self.squares + other.squares + between)

    def summary(self) -> Summary:
        """Give count, mean and variance."""
        spread = self.squares / (self.count - 1) if self.count > 1 else math.inf
        return Summary(self.count, self.mean, spread)


@dataclass(frozen=True, slots=True)
class RatioMoments:
    """Outcomes that are sums over a unit's events, as clicks by views.

    Attributes:
        tops: Of the numerators.
        bottoms: Of the denominators.
        products: Sum of products of both deviations.
    """

    tops: Moments = Moments()
    bottoms: Moments = Moments()
    products: float = 0.0

    @classmethod
    def of(cls, outcomes: Iterable[tuple[float, float]]) -> Self:
        """Take up pairs of a unit's numerator and denominator.

        Raises:
            ValueError: One of them is no finite number.
        """
        pairs = list(outcomes)
        tops = Moments.of(top for top, _ in pairs)
        bottoms = Moments.of(bottom for _, bottom in pairs)
        products = math.fsum((t - tops.mean) * (b - bottoms.mean) for t, b in pairs)
        return cls(tops, bottoms, products)

    def __add__(self, other: "RatioMoments") -> "RatioMoments":
        """Take both together."""
        mine, others = self.tops.count, other.tops.count
        if not (mine and others):
            return self if mine else other
        apart = (other.tops.mean - self.tops.mean) * (other.bottoms.mean - self.bottoms.mean)
        products = self.products + other.products + apart * mine * others / (mine + others)
        return RatioMoments(self.tops + other.tops, self.bottoms + other.bottoms, products)

    def summary(self) -> Summary:
        """Give the ratio of the means, and its variance by the delta method.

        Events of one unit depend on each other; so the unit that is assigned is the one that
        counts (Deng, Knoblich and Lu, "Applying the delta method in metric analytics", KDD 2018).
        """
        count, bottom = self.tops.count, self.bottoms.mean
        if count < 2 or bottom == 0:
            return Summary(count, 0.0, math.inf)
        ratio = self.tops.mean / bottom
        spread = self.tops.squares - 2 * ratio * self.products + ratio**2 * self.bottoms.squares
        return Summary(count, ratio, max(0.0, spread) / (count - 1) / bottom**2, bottom)


def _finite(outcomes: Iterable[float]) -> list[float]:
    values = [float(outcome) for outcome in outcomes]
    for value in values:
        if not math.isfinite(value):
            raise ValueError(f"an outcome is {value}; outcomes are finite numbers")
    return values
