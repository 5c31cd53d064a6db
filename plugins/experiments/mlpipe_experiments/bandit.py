"""Weights that follow what is found: more traffic for what is better, at the price of inference."""

from collections.abc import Mapping

from mlpipe_experiments.moments import Summary


def thompson(
    outcomes: Mapping[str, Summary],
    *,
    sign: int = 1,
    least: float = 0.0,
    draws: int = 10_000,
    seed: int = 0,
) -> dict[str, float]:
    """Weigh variants by how likely each is the best (Thompson, Biometrika 1933).

    The units that come afterwards depend on the outcomes before, so that no interval or p-value of
    this library holds for such an experiment.

    Args:
        outcomes: By variant. A variant that has fewer than two outcomes may be anything.
        sign: 1 where more is better, else -1.
        least: Share that each variant keeps, so that one that was unlucky at first can recover.
        draws: How often the means are drawn from what is known of them.
        seed: Where the random numbers start.

    Returns:
        Shares that add up to 1.

    Raises:
        ValueError: The least shares add up to more than 1.
    """
    import numpy as np

    if not 0 <= least * len(outcomes) <= 1:
        raise ValueError(f"least: {len(outcomes)} variants cannot each have {least:g}")
    if any(each.count < 2 for each in outcomes.values()):
        return dict.fromkeys(outcomes, 1 / len(outcomes))
    random = np.random.default_rng(seed)
    means = np.array([each.mean for each in outcomes.values()])
    errors = np.sqrt([each.variance_of_mean for each in outcomes.values()])
    drawn = random.normal(sign * means, errors, size=(draws, len(outcomes)))
    best = np.bincount(drawn.argmax(axis=1), minlength=len(outcomes)) / draws
    rest = 1 - least * len(outcomes)
    return {name: float(least + rest * share) for name, share in zip(outcomes, best, strict=True)}
