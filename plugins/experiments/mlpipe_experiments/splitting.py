"""Whether units came in the planned shares: where they did not, nothing else can be trusted."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

#: How much is known beforehand, in units: a mismatch is looked for around this size of sample.
CONCENTRATION = 10_000.0


@dataclass(frozen=True, slots=True)
class Shares:
    """How units came, against how they should have.

    Attributes:
        p: The always-valid p-value of the planned shares.
        p_fixed: The chi-square test's, which holds for one look only: the last.
    """

    p: float
    p_fixed: float

    def mismatch(self, alpha: float, *, final: bool) -> bool:
        """Tell whether the shares are wrong.

        While an experiment runs, the always-valid test decides; it finds small mismatches late. At
        the end half of ``alpha`` goes to the chi-square test, so that both together are wrong no
        more often than ``alpha``.

        Args:
            alpha: How often right shares may be called wrong.
            final: Whether this is the one look at the end.
        """
        return self.p <= alpha / 2 or (final and self.p_fixed <= alpha / 2)


def shares(counts: Mapping[str, int], weights: Mapping[str, float]) -> Shares:
    """Hold units that came against the planned shares.

    The always-valid test is that of Lindon and Malek ("Anytime-valid inference for multinomial
    count data", NeurIPS 2022): a Dirichlet mixture around the planned shares.

    Args:
        counts: Units by variant.
        weights: Planned shares by variant, in any unit; all above 0.

    Raises:
        ValueError: The variants are not the same.
    """
    if counts.keys() != weights.keys():
        raise ValueError(f"units of {sorted(counts)}, shares of {sorted(weights)}")
    import numpy as np

    names = sorted(weights)
    observed = np.array([[counts[name] for name in names]], dtype=float)
    planned = np.array([weights[name] for name in names], dtype=float)
    planned /= planned.sum()
    evidence = float(log_evidence(observed, planned)[0])
    return Shares(math.exp(-max(0.0, evidence)), float(fixed(observed, planned)[0]))


def log_evidence(observed: "Array", planned: "Array") -> "Array":
    """Give the logarithm of the e-value against the planned shares.

    Args:
        observed: Units, of shape (looks, variants).
        planned: Shares that add up to 1, of shape (variants,).
    """
    import numpy as np
    from scipy.special import gammaln

    before = CONCENTRATION * planned
    total = observed.sum(axis=-1)
    found: Array = (
        gammaln(CONCENTRATION)
        - gammaln(CONCENTRATION + total)
        + (gammaln(before + observed) - gammaln(before)).sum(axis=-1)
        - (observed * np.log(planned)).sum(axis=-1)
    )
    return found


def fixed(observed: "Array", planned: "Array") -> "Array":
    """Give the chi-square test's p-values.

    Args:
        observed: As with ``log_evidence``.
        planned: The same.
    """
    import numpy as np
    from scipy.stats import chi2

    expected = observed.sum(axis=-1, keepdims=True) * planned
    with np.errstate(invalid="ignore"):
        statistic = np.nan_to_num((observed - expected) ** 2 / expected).sum(axis=-1)
    found: Array = chi2.sf(statistic, len(planned) - 1)
    return found
