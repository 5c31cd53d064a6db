"""Plans of experiments, as recipes would have them."""

from typing import Any

from mlpipe_experiments import ExperimentPlan


def plan(**more: Any) -> ExperimentPlan:
    """Plan the usual experiment: does the challenger convert one point more than ten?"""
    given = {
        "metric": {"name": "conversion", "baseline": 0.10},
        "effect": 0.01,
        "control": "champion",
        "weights": {"champion": 50, "challenger": 50},
    }
    return ExperimentPlan.model_validate({**given, **more})
