"""What is decided before an experiment starts, and not changed while it runs."""

import hashlib
import json
import math
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mlpipe_experiments.outcomequery import OutcomeQuery

#: Guardrails that invocations answer by themselves.
ERROR_RATE, LATENCY = "error_rate", "latency"

_Probability = Annotated[float, Field(gt=0, lt=1)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Metric(_Part):
    """What an experiment is about: the mean outcome of a unit, or a ratio of two means."""

    name: str = Field(min_length=1, description="As conversion.")
    kind: Literal["binary", "continuous", "ratio"] = Field(
        default="binary", description="0 or 1, a number, or a numerator and a denominator."
    )
    direction: Literal["increase", "decrease"] = Field(
        default="increase", description="Which way is better."
    )
    baseline: Annotated[float, Field(allow_inf_nan=False)] = Field(
        description="What it is now: the share of ones, the mean, or the ratio."
    )
    deviation: _Positive | None = Field(
        default=None,
        description="The standard deviation of a unit's outcome. A binary metric needs none.",
    )

    @model_validator(mode="after")
    def _has_a_variance(self) -> Self:
        if self.kind == "binary":
            if not 0 < self.baseline < 1:
                raise ValueError(f"baseline: {self.baseline:g} is no share between 0 and 1")
            if self.deviation is not None:
                raise ValueError("deviation: that of a binary metric follows from its baseline")
        elif self.deviation is None:
            raise ValueError(f"deviation is missing: a {self.kind} metric needs it for planning")
        return self

    def variance(self, mean: float) -> float:
        """Give the variance of a unit's outcome, were this the mean."""
        return mean * (1 - mean) if self.deviation is None else self.deviation**2


class Guardrail(_Part):
    """A share that must not become larger by more than a margin.

    As that of requests that fail, or that take longer than a second.
    """

    metric: str = Field(min_length=1, description="Its name.")
    margin: Annotated[float, Field(ge=0, lt=1)] = Field(
        description="By how much a treatment's share may be larger than the control's."
    )
    alpha: _Probability = Field(
        default=0.05, description="How often a treatment within the margin may be stopped."
    )
    seconds: _Positive | None = Field(
        default=None, description="Of latency: requests that take longer are what is counted."
    )

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if (self.metric == LATENCY) != (self.seconds is not None):
            raise ValueError("seconds goes with the metric latency: give both or neither")
        return self


class ExperimentPlan(_Part):
    """An experiment: which variants are compared by what, and how often the answer may be wrong."""

    metric: Metric
    effect: _Positive = Field(
        description="The smallest difference that matters, in the metric's own unit."
    )
    control: str = Field(description="The variant in service.")
    weights: dict[str, _Positive] = Field(
        min_length=2, description="Share of the units by variant, in any unit."
    )
    alpha: _Probability = Field(
        default=0.05, description="How often an experiment without any effect may be decided."
    )
    power: _Probability = Field(
        default=0.8, description="How often the smallest effect that matters is found."
    )
    guardrails: tuple[Guardrail, ...] = ()
    alpha_of_shares: _Probability = Field(
        default=0.01, description="How often right shares may be called wrong."
    )
    units_a_day: _Positive | None = Field(
        default=None, description="All variants together; for the days that it will take."
    )
    horizon: Annotated[int, Field(gt=0)] | None = Field(
        default=None,
        description="Units of all variants after which it ends. As many as the power needs, when "
        "left out.",
    )
    outcomes: OutcomeQuery | None = Field(
        default=None, description="The query that gives outcomes; they come in files when left out."
    )

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.control not in self.weights:
            known = ", ".join(self.weights)
            raise ValueError(f'control: "{self.control}" is none of the variants {known}')
        after = self.metric.baseline + self.sign * self.effect
        if self.metric.kind == "binary" and not 0 < after < 1:
            raise ValueError(
                f"effect: {self.metric.baseline:g} would become {after:g}, which is no share"
            )
        names = [guardrail.metric for guardrail in self.guardrails]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"guardrails: {', '.join(sorted(twice))} is there twice")
        return self

    @property
    def sign(self) -> int:
        """1 where more is better, else -1."""
        return 1 if self.metric.direction == "increase" else -1

    @property
    def treatments(self) -> tuple[str, ...]:
        """The variants that may replace the control."""
        return tuple(name for name in self.weights if name != self.control)

    @property
    def alpha_of_part(self) -> float:
        """The part of ``alpha`` that either half of a treatment's comparison has (Bonferroni).

        One half is for all looks while the experiment runs, the other for the one at its end.
        """
        return self.alpha / len(self.treatments) / 2

    def share(self, variant: str) -> float:
        """Give a variant's planned share of all units."""
        return self.weights[variant] / math.fsum(self.weights.values())

    def digest(self) -> str:
        """Give what tells this plan from any other, as ``sha256:<hex>``."""
        # Plans from before there were queries keep their digest.
        left_out = {"outcomes"} if self.outcomes is None else None
        text = json.dumps(self.model_dump(mode="json", exclude=left_out), sort_keys=True)
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
