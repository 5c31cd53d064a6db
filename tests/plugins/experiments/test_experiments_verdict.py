"""What an experiment says: promote, keep, inconclusive or invalid, and why."""

from typing import Any

import pytest

from mlpipe_experiments import Observed, Summary, Verdict, decide, thompson
from mlpipe_experiments.plan import ExperimentPlan
from tests.plugins.experiments.experiments_plans import plan

ERRORS: dict[str, Any] = {"guardrails": [{"metric": "error rate", "margin": 0.005}]}
COUNT = 40_000


def ones(rate: float, count: int = COUNT) -> Summary:
    return Summary(count, rate, rate * (1 - rate))


def seen(made: ExperimentPlan, *rates: float, errors: tuple[float, ...] = ()) -> Observed:
    names = [made.control, *made.treatments]
    counts = {name: round(COUNT * len(names) * made.share(name)) for name in names}
    outcomes = {name: ones(r, counts[name]) for name, r in zip(names, rates, strict=True)}
    guardrails = {
        name: ones(r, counts[name]) for name, r in zip(names, errors, strict=bool(errors))
    }
    return Observed(counts, outcomes, {"error rate": guardrails} if errors else {})


def judged(*rates: float, errors: tuple[float, ...] = (), **more: Any) -> Verdict:
    made = plan(**more)
    return decide(made, seen(made, *rates, errors=errors))


@pytest.mark.parametrize(
    ("rates", "kind", "reason"),
    [
        (
            (0.100, 0.112),
            "promote",
            "challenger: conversion +0.012, always-valid 97.5 % interval [+",
        ),
        ((0.100, 0.088), "keep", "less than 0.01, which would matter"),
        ((0.100, 0.1005), "keep", "less than 0.01, which would matter"),
        ((0.100, 0.106), "inconclusive", "challenger: conversion +0.006"),
    ],
)
def test_verdicts(rates: tuple[float, float], kind: str, reason: str) -> None:
    found = judged(*rates)
    assert found.kind == kind
    assert reason in found.reason
    assert found.winner == ("challenger" if kind == "promote" else None)


def test_less_is_better_where_the_plan_says_so() -> None:
    churn: dict[str, Any] = {"metric": {"name": "churn", "baseline": 0.1, "direction": "decrease"}}
    assert judged(0.100, 0.088, **churn).kind == "promote"
    assert judged(0.100, 0.112, **churn).kind == "keep"


@pytest.mark.parametrize(
    ("errors", "kind", "state"),
    [
        ((0.010, 0.030), "keep", "breached"),
        ((0.010, 0.010), "promote", "ok"),
        ((0.010, 0.0145), "promote", "unknown"),
        ((), "promote", "unknown"),
    ],
)
def test_a_breached_guardrail_keeps_the_control(
    errors: tuple[float, ...], kind: str, state: str
) -> None:
    found = judged(0.10, 0.12, errors=errors, **ERRORS)
    assert found.kind == kind
    ((guardrail,),) = found.guardrails.values()
    assert guardrail.state == state
    if kind == "keep":
        assert "error rate is worse by 0.02, more than its margin" in found.reason


def test_wrong_shares_make_everything_else_invalid() -> None:
    made = plan()
    observed = seen(made, 0.10, 0.12)
    wrong = Observed({"champion": 41_500, "challenger": 38_500}, observed.outcomes)
    found = decide(made, wrong)
    assert (found.kind, found.winner) == ("invalid", None)
    assert "champion 51.8750% of 50.0000%" in found.reason
    slightly = Observed({"champion": 40_500, "challenger": 39_500}, observed.outcomes)
    assert decide(made, slightly).kind == "promote"
    assert decide(made, slightly, closing=True).kind == "invalid"


def test_the_best_of_several_treatments() -> None:
    weights = {"champion": 50, "one": 25, "two": 25}
    found = judged(0.10, 0.12, 0.125, weights=weights)
    assert (found.kind, found.winner) == ("promote", "two")
    assert judged(0.10, 0.085, 0.08, weights=weights).kind == "keep"
    assert judged(0.10, 0.105, 0.08, weights=weights).kind == "inconclusive"


def test_the_closing_look_says_that_nothing_follows() -> None:
    made = plan(effect=0.005)
    assert decide(made, seen(made, 0.1, 0.103), closing=True).reason.endswith(
        "this was the last look"
    )


def test_before_the_first_units_it_waits() -> None:
    nothing = {"champion": Summary(0, 0.0, 0.0), "challenger": Summary(0, 0.0, 0.0)}
    found = decide(plan(), Observed({"champion": 0, "challenger": 0}, nothing))
    assert found.kind == "inconclusive"


# -- bandits --------------------------------------------------------------------------------


def test_traffic_goes_to_what_is_better() -> None:
    outcomes = {"a": ones(0.10), "b": ones(0.103), "c": ones(0.08)}
    found = thompson(outcomes, seed=1)
    assert sum(found.values()) == pytest.approx(1)
    assert found["b"] > found["a"] > found["c"]
    assert found["b"] == pytest.approx(0.92, abs=0.03)  # P(b > a): 1.41 standard errors
    assert thompson(outcomes, sign=-1)["c"] > 0.99
    assert thompson(outcomes, least=0.1)["c"] == pytest.approx(0.1, abs=1e-3)
    assert thompson(outcomes, seed=1) == found


def test_before_there_are_outcomes_all_get_the_same() -> None:
    assert thompson({"a": ones(0.1), "b": Summary(1, 1.0, 0.0)}) == {"a": 0.5, "b": 0.5}


def test_least_shares_that_cannot_be() -> None:
    with pytest.raises(ValueError, match=r"3 variants cannot each have 0\.4"):
        thompson(dict.fromkeys("abc", ones(0.1)), least=0.4)
