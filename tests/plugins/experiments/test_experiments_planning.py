"""What is decided before: how many units, by another implementation; what no plan may be."""

import math
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats
from statsmodels.stats.power import normal_sample_size_one_tail

from mlpipe_experiments import size
from mlpipe_experiments.planning import NARROWEST, planned
from tests.plugins.experiments.experiments_plans import plan

REVENUE = {"name": "revenue", "kind": "continuous", "baseline": 20.0, "deviation": 45.0}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"weights": {"champion": 90, "challenger": 10}, "alpha": 0.01, "power": 0.9},
        {"metric": REVENUE, "effect": 1.5},
        {"metric": {"name": "churn", "baseline": 0.2, "direction": "decrease"}, "effect": 0.02},
    ],
)
def test_the_size_for_one_look_is_that_of_another_implementation(more: dict[str, Any]) -> None:
    made = plan(**more)
    after = made.metric.baseline + made.sign * made.effect
    per_unit = made.metric.variance(made.metric.baseline) / made.share("champion")
    per_unit += made.metric.variance(after) / made.share("challenger")
    wanted = normal_sample_size_one_tail(
        made.effect, made.power, made.alpha / 2, std_null=math.sqrt(per_unit)
    )
    assert size(made).fixed == pytest.approx(wanted, rel=1e-6, abs=1)


def test_the_closing_look_has_the_planned_power_by_itself() -> None:
    made = plan()
    total = size(made).horizon
    error = math.sqrt((0.1 * 0.9 + 0.11 * 0.89) / (total / 2))
    closing = stats.norm.sf(stats.norm.isf(made.alpha / 4) - made.effect / error)
    assert closing == pytest.approx(made.power, abs=1e-3)
    assert 1.15 < total / size(made).fixed < 1.25


def test_the_horizon_may_be_given() -> None:
    made = plan(horizon=5000, units_a_day=1000)
    assert (size(made).horizon, size(made).days) == (5000, 5.0)
    assert size(made).fixed == size(plan()).fixed
    with pytest.raises(ValidationError, match="greater than 0"):
        plan(horizon=0)


def test_days_and_several_treatments() -> None:
    two = plan(units_a_day=5000)
    assert size(two).days == size(two).horizon / 5000
    assert size(plan()).days is None
    three = plan(weights={"champion": 50, "one": 25, "two": 25})
    assert three.alpha_of_part == 0.0125
    assert size(three).fixed > 2 * size(two).fixed / 1.5
    assert planned(three, "one") == pytest.approx(0.75 * NARROWEST * size(three).horizon)


def test_a_plan_has_a_digest_of_its_own() -> None:
    digests = [plan(**more).digest() for more in ({}, {"effect": 0.02}, {"alpha": 0.1}, {})]
    assert digests[0] == digests[3]
    assert len(set(digests)) == 3


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"control": "old"}, 'control: "old" is none of the variants champion, challenger'),
        ({"metric": {"name": "c", "baseline": 1.5}}, "1.5 is no share between 0 and 1"),
        ({"metric": {"name": "c", "baseline": 0.1, "deviation": 1}}, "follows from its baseline"),
        ({"metric": {**REVENUE, "deviation": None}}, "a continuous metric needs it"),
        ({"effect": 0.95}, "0.1 would become 1.05, which is no share"),
        ({"effect": -1}, "greater than 0"),
        ({"effect": np.inf}, "finite"),
        ({"weights": {"champion": 1}}, "at least 2"),
        ({"weights": {"champion": 1, "challenger": 0}}, "greater than 0"),
        ({"guardrails": [{"metric": "e", "margin": 0}] * 2}, "e is there twice"),
    ],
)
def test_what_no_plan_may_be(more: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        plan(**more)
