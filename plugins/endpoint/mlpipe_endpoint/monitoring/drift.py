"""Whether two samples of a feature come from the same distribution, and how far apart they are.

Both questions are asked of counts in the same bins, so that any number of rows needs little memory.
How far apart: the population stability index, the symmetric relative entropy of the two shares of
each bin; the field reads 0.1 as a small change and 0.25 as a large one (Siddiqi, "Credit Risk
Scorecards", 2006). Whether it is more than chance: the chi-square test of homogeneity, over all
features with the false discovery rate controlled (Benjamini and Hochberg, J. R. Stat. Soc. B 1995).

A feature has drifted when both say so. Tests alone call any difference significant once there are
enough rows; an index alone is large by chance while there are few.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, Any]

#: Bins of a number, by quantiles of the baseline; and the most that a category has.
BINS, MOST_CATEGORIES = 10, 30
#: Added to each count, so that no share is 0.
_PRIOR = 0.5


@dataclass(frozen=True, slots=True)
class Bins:
    """How a feature's values are counted.

    Attributes:
        edges: Inner bounds of bins, ascending, for a number; nothing for categories.
        categories: Known ones, for texts and truth values; any other is counted apart.
    """

    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def labels(self) -> list[str]:
        """What the bins are called; the last is of missing values."""
        if self.categories:
            return [*self.categories, "other", "missing"]
        low = [f"≤ {edge:.4g}" for edge in self.edges]
        return [*low, f"> {self.edges[-1]:.4g}" if self.edges else "all", "missing"]

    def count(self, values: "pd.Series[Any]") -> "Array":
        """Count values by bin."""
        import numpy as np

        missing = values.isna()
        known = values[~missing]
        if self.categories:
            places = {category: place for place, category in enumerate(self.categories)}
            found = known.astype(str).map(places).fillna(len(places)).to_numpy(dtype=int)
        else:
            found = np.searchsorted(self.edges, known.to_numpy(dtype=float), side="left")
        counts = np.bincount(found, minlength=len(self.labels) - 1)
        return np.append(counts, missing.sum())


@dataclass(frozen=True, slots=True)
class Drift:
    """What became of a feature.

    Attributes:
        name: The feature's.
        index: The population stability index.
        p: The chi-square test's p-value, adjusted for all features.
        drifted: Whether it has.
        bins: How values were counted.
        before: Share of each bin in the baseline.
        after: And now.
    """

    name: str
    index: float
    p: float
    drifted: bool
    bins: Bins
    before: tuple[float, ...]
    after: tuple[float, ...]


def bins_of(values: "pd.Series[Any]") -> Bins:
    """Choose how a feature is counted, by its baseline."""
    import numpy as np
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    known = values.dropna()
    if not is_numeric_dtype(known) or is_bool_dtype(known):
        common = known.astype(str).value_counts().index[:MOST_CATEGORIES]
        return Bins(categories=tuple(sorted(str(each) for each in common)))
    distinct = np.unique(known.to_numpy(dtype=float))
    if len(distinct) <= BINS:
        return Bins(edges=tuple(float(each) for each in distinct[:-1]))
    steps = np.linspace(0, 1, BINS + 1)[1:-1]
    return Bins(edges=tuple(float(e) for e in np.unique(np.quantile(known, steps))))


def compare(
    baseline: "pd.DataFrame", window: "pd.DataFrame", effect: float, alpha: float
) -> list[Drift]:
    """Compare all columns of a baseline with those of the same name in a window.

    Args:
        baseline: What the model was trained on.
        window: What it is asked now.
        effect: The index from which a feature may have drifted.
        alpha: Share of wrong ones among those that are said to have.

    Returns:
        By feature, the largest index first.
    """
    names = [str(name) for name in baseline.columns]
    bins = [bins_of(baseline[name]) for name in names]
    counts = [
        (each.count(baseline[name]), each.count(window[name]))
        for name, each in zip(names, bins, strict=True)
    ]
    return judged(names, bins, counts, effect, alpha)


def judged(
    names: Sequence[str],
    bins: Sequence[Bins],
    counts: Sequence[tuple["Array", "Array"]],
    effect: float,
    alpha: float,
) -> list[Drift]:
    """Judge counted features; see ``compare``."""
    from scipy.stats import false_discovery_control

    adjusted = false_discovery_control([significance(*each) for each in counts])
    found = []
    for name, each, (before, after), p in zip(names, bins, counts, adjusted, strict=True):
        index = stability_index(before, after)
        drifted = bool(index >= effect and p <= alpha)
        shares = [tuple((c / max(c.sum(), 1)).tolist()) for c in (before, after)]
        found.append(Drift(name, index, float(p), drifted, each, shares[0], shares[1]))
    return sorted(found, key=lambda drift: -drift.index)


def stability_index(before: "Array", after: "Array") -> float:
    """Give the population stability index of two samples' counts."""
    import numpy as np

    p, q = ((c + _PRIOR) / (c.sum() + _PRIOR * len(c)) for c in (before, after))
    return float(((q - p) * np.log(q / p)).sum())


def significance(before: "Array", after: "Array") -> float:
    """Give the p-value of the chi-square test that both samples' shares are the same."""
    import numpy as np
    from scipy.stats import chi2_contingency

    table = np.stack([before, after])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return 1.0
    return float(chi2_contingency(table, correction=False).pvalue)
