"""The statistics of A/B experiments between the variants of a service."""

from mlpipe_experiments.bandit import thompson
from mlpipe_experiments.moments import Moments, RatioMoments, Summary
from mlpipe_experiments.outcomequery import OutcomeQuery
from mlpipe_experiments.plan import ExperimentPlan, Guardrail, Metric
from mlpipe_experiments.planning import Size, size
from mlpipe_experiments.sequential import Interval, difference, worse
from mlpipe_experiments.splitting import Shares, shares
from mlpipe_experiments.verdict import Checked, Observed, Verdict, decide

__all__ = [
    "Checked",
    "ExperimentPlan",
    "Guardrail",
    "Interval",
    "Metric",
    "Moments",
    "Observed",
    "OutcomeQuery",
    "RatioMoments",
    "Shares",
    "Size",
    "Summary",
    "Verdict",
    "decide",
    "difference",
    "shares",
    "size",
    "thompson",
    "worse",
]
