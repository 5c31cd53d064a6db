"""Intervals and p-values that hold however often, and whenever, one looks.

Let ``d`` be the difference of two means, ``V`` its estimated variance and ``n`` the units of both
variants. The e-value of a mixture of normal effects, whose spread is ``r`` times ``V``,

    (1 + r) ** -1/2 * exp(d ** 2 / (2 V) * r / (1 + r))

is at most 1 on average where there is no effect, whenever one stops. With ``r = rho ** 2 * n`` it
is the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas
("Time-uniform central limit theory and asymptotic confidence sequences", arXiv:2103.06476); with
``r = tau ** 2 / V`` the mixture sequential probability ratio test of Johari, Koomen, Pekelis and
Walsh ("Always valid inference", arXiv:1512.04922). The former is used here: it needs no guess of
the effect, only of how many units there will be.

Both are limits for many units. Three things keep them honest with fewer, each because simulations
were wrong without it. Nothing is concluded before ``LEAST`` units of each variant. The variance of
a difference is the larger of two estimates, with each variant's own spread and with a common one:
where outcomes are skewed and one variant has few, its own spread comes out too small just when its
mean does. And a share that is held against a margin has at least the variance of one that is at
the margin (Farrington and Manning, "Test statistics and sample size formulae for comparative
binomial trials", Statistics in Medicine 1990): few failures would else look like certainty.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlpipe_experiments.moments import Summary

if TYPE_CHECKING:
    import numpy as np

    Numbers = float | np.ndarray[Any, Any]

#: Units of each variant before anything is concluded.
LEAST = 100


@dataclass(frozen=True, slots=True)
class Interval:
    """What is known of a difference: treatment less control.

    Attributes:
        estimate: The difference of the means.
        lower: The truth is above this, and
        upper: below this, at all looks together with the confidence that was asked for.
        p: The p-value, always-valid where the interval is: at most ``alpha`` where the interval of
            that ``alpha`` leaves out 0.
    """

    estimate: float
    lower: float
    upper: float
    p: float


def tuning(planned: float, alpha: float) -> float:
    """Give ``rho ** 2``, which makes intervals narrowest at a number of units.

    Args:
        planned: That number, of both variants.
        alpha: 1 less the confidence.
    """
    log = -2 * math.log(alpha)
    return (log + math.log(log + 1)) / planned


def log_evidence(z: "Numbers", r: "Numbers") -> "Numbers":
    """Give the logarithm of the e-value against no difference.

    Args:
        z: The difference in units of its standard error.
        r: The mixture's spread in units of the difference's variance.
    """
    import numpy as np

    return z**2 / 2 * r / (1 + r) - np.log1p(r) / 2


def log_evidence_above(z: "Numbers", r: "Numbers") -> "Numbers":
    """Give the same against a difference of 0 or less: the mixture has positive effects only."""
    import numpy as np
    from scipy.special import log_ndtr

    above: Numbers = log_ndtr(z * np.sqrt(r / (1 + r)))
    return log_evidence(z, r) + math.log(2) + above


def half_width(variance: "Numbers", r: "Numbers", alpha: float) -> "Numbers":
    """Give how far an interval reaches to either side.

    Args:
        variance: Of the difference.
        r: As with ``log_evidence``.
        alpha: 1 less the confidence.
    """
    import numpy as np

    return np.sqrt(2 * variance * (1 + r) / r * (np.log1p(r) / 2 - math.log(alpha)))


def difference(control: Summary, treatment: Summary, alpha: float, planned: float) -> Interval:
    """Compare two variants.

    Args:
        control: What is in service.
        treatment: What may replace it.
        alpha: How often an interval may be wrong, over all looks.
        planned: Units of both variants at which it shall be narrowest.
    """
    estimate = treatment.mean - control.mean
    variance = _variance(control, treatment)
    if min(control.count, treatment.count) < LEAST or not 0 < variance < math.inf:
        return Interval(estimate, -math.inf, math.inf, 1.0)
    r = tuning(planned, alpha) * (control.count + treatment.count)
    reach = float(half_width(variance, r, alpha))
    p = math.exp(-max(0.0, float(log_evidence(estimate / math.sqrt(variance), r))))
    return Interval(estimate, estimate - reach, estimate + reach, p)


def difference_once(control: Summary, treatment: Summary, alpha: float) -> Interval:
    """Compare two variants at one look that was fixed beforehand: the interval of a z-test.

    Args:
        control: What is in service.
        treatment: What may replace it.
        alpha: How often this one interval may be wrong.
    """
    from scipy.stats import norm

    estimate = treatment.mean - control.mean
    variance = _variance(control, treatment)
    if min(control.count, treatment.count) < LEAST or not 0 < variance < math.inf:
        return Interval(estimate, -math.inf, math.inf, 1.0)
    error = math.sqrt(variance)
    reach = float(norm.isf(alpha / 2)) * error
    p = 2 * float(norm.sf(abs(estimate) / error))
    return Interval(estimate, estimate - reach, estimate + reach, p)


def worse(
    control: Summary, treatment: Summary, margin: float, alpha: float, planned: float
) -> tuple[float, float]:
    """Hold a guardrail: is the treatment's share above the control's by more than a margin?

    Args:
        control: What is in service; its mean is a share.
        treatment: What may replace it.
        margin: By how much its share may be larger.
        alpha: How often either answer may be wrong, over all looks.
        planned: As with ``difference``.

    Returns:
        Always-valid p-values: that it is larger by no more than the margin (small where the
        guardrail is breached), and that it is larger by at least that (small where it holds).
    """
    apart = treatment.mean - control.mean - margin
    variance = max(_variance(control, treatment), _variance_at(margin, control, treatment))
    if min(control.count, treatment.count) < LEAST or not 0 < variance < math.inf:
        return 1.0, 1.0
    r = tuning(planned, alpha) * (control.count + treatment.count)
    z = apart / math.sqrt(variance)
    return _p(float(log_evidence_above(z, r))), _p(float(log_evidence_above(-z, r)))


def pooled(counts: "tuple[Numbers, Numbers]", variances: "tuple[Numbers, Numbers]") -> "Numbers":
    """Give a difference's variance, were the spread of both variants the same.

    Args:
        counts: Units of each.
        variances: Of a unit's outcome, of each.
    """
    (n, m), (v, w) = counts, variances
    return ((n - 1) * v + (m - 1) * w) / (n + m - 2) * (1 / n + 1 / m)


def _variance(control: Summary, treatment: Summary) -> float:
    """Give the variance of the difference; infinite where there is none yet."""
    own = control.variance_of_mean + treatment.variance_of_mean
    if min(control.count, treatment.count) < 2:
        return math.inf
    counts, variances = zip(*((s.count, s.variance) for s in (control, treatment)), strict=True)
    return max(own, float(pooled(counts, variances)))


def _variance_at(margin: float, control: Summary, treatment: Summary) -> float:
    """Give the variance of two shares' difference, were they apart by just the margin."""
    n, m = (each.count * each.events for each in (control, treatment))
    if not (n and m):
        return math.inf
    common = (n * control.mean + m * (treatment.mean - margin)) / (n + m)
    before = min(max(common, 0.0), 1.0 - margin)
    after = before + margin
    return before * (1 - before) / n + after * (1 - after) / m


def _p(log_evidence: float) -> float:
    return math.exp(-max(0.0, log_evidence))
