"""What recipes say to ``mlflow.evaluate`` and to the observer ``mlflow``."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mlpipe import Declares, Function, ObserverConfig, Scalar, StageConfig
from mlpipe_mlflow.location import refused

#: The input that holds the rows to predict; every other input is a model.
TEST = "test"

#: What a champion from the registry is called in metrics and reports.
CHAMPION = "champion"
_REGISTERED = re.compile(r"models:/(?P<name>[^/@:]+)@(?P<alias>[\w.-]+)")

#: Metrics by task. ``roc_auc`` and ``log_loss`` need a model that gives probabilities.
METRICS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "classification": (
            "accuracy",
            "balanced_accuracy",
            "precision",
            "recall",
            "f1",
            "roc_auc",
            "log_loss",
        ),
        "regression": ("rmse", "mae", "r2"),
    }
)

#: Metrics of which less is better; a custom one is among them where the recipe says so.
LOWER_IS_BETTER = frozenset({"log_loss", "rmse", "mae"})

_MetricName = Annotated[str, Field(pattern=r"^[A-Za-z_][\w-]*$", max_length=100)]
_TagName = Annotated[str, Field(pattern=r"^[\w.\- :]+$", max_length=250)]


class Bootstrap(BaseModel):
    """How sure a metric is: measured again on rows drawn with replacement, many times."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    samples: int = Field(
        default=1000, ge=100, le=100_000, description="How often rows are drawn anew."
    )
    confidence: float = Field(
        default=0.95, ge=0.5, lt=1, description="The share of samples between the two bounds."
    )
    seed: int = Field(default=0, ge=0, description="Where the random numbers start.")


class EvaluateConfig(StageConfig):
    """Measure models on a table: the input ``test`` is the table, the others are models."""

    label: str = Field(description="The column to predict. All other columns are features.")
    task: Literal["classification", "regression"] = Field(
        description="Whether the label is a class or a number."
    )
    positive: Scalar = Field(
        default=1,
        description="The positive class, where there are two: what precision and recall are of.",
    )

    custom: dict[_MetricName, Function] = Field(
        default_factory=dict,
        description="Further metrics by name: module:function, called with truth, predictions "
        "and the probabilities of each class (or None); gives a number.",
    )
    lower_is_better: tuple[str, ...] = Field(
        default=(), description="The custom metrics of which less is better, as a cost."
    )
    bootstrap: Bootstrap | None = Field(
        default=None,
        description="Bounds of each metric, as <metric>.lower and <metric>.upper, "
        "from rows drawn with replacement.",
    )
    champion: str | None = Field(
        default=None,
        description="The model in service: an input, or models:/NAME@ALIAS in MLflow's registry. "
        "By how much each other model is better on the same rows becomes <model>.<metric>.gain; "
        "infinite where nothing has the alias yet.",
    )

    @model_validator(mode="after")
    def _positive_is_a_class(self) -> Self:
        if self.task == "regression" and "positive" in self.model_fields_set:
            raise ValueError('"positive" goes with task: classification only')
        return self

    @field_validator("champion")
    @classmethod
    def _is_a_name(cls, champion: str | None) -> str | None:
        if champion and champion.startswith("models:") and not _REGISTERED.fullmatch(champion):
            raise ValueError(f'"{champion}" is no alias: write models:/churn@champion')
        return champion

    @model_validator(mode="after")
    def _custom_metrics_have_names_of_their_own(self) -> Self:
        for name in self.custom:
            if name in METRICS[self.task]:
                raise ValueError(f'"{name}" is a metric of task {self.task}: rename the custom one')
        for name in self.lower_is_better:
            if name not in self.custom:
                raise ValueError(f'"{name}" in lower_is_better is no custom metric')
        return self

    def declares(self, inputs: Mapping[str, str]) -> Declares:
        """Report and plots; metrics are named by model where there are several."""
        if TEST not in inputs:
            raise ValueError(f'one input must be called "{TEST}": the rows to predict')
        models = models_of(inputs)
        if not models:
            raise ValueError(f'there is no model: every input but "{TEST}" is one')
        self._check_champion(models)
        measured = self.measured(models)
        metrics = tuple(
            prefix(model, measured) + metric for model in measured for metric in self.names(model)
        )
        return Declares(outputs=("report", "plots"), metrics=metrics, values=())

    def _check_champion(self, models: tuple[str, ...]) -> None:
        if self.champion is None:
            return
        if self.registered is not None:
            if CHAMPION in models:
                raise ValueError(
                    f'the champion comes from the registry: call the input "{CHAMPION}" something '
                    "else"
                )
            return
        if self.champion not in models:
            near = get_close_matches(self.champion, models, 1)
            hint = f'did you mean "{near[0]}"?' if near else f"models: {', '.join(models)}"
            raise ValueError(f'the champion "{self.champion}" is no input; {hint}')
        if len(models) == 1:
            raise ValueError("the champion is the only model, so nothing is compared with it")

    def outside(self) -> bool:
        """Whether the champion is in the registry, where it can change."""
        return self.registered is not None

    @property
    def registered(self) -> tuple[str, str] | None:
        """The registered model and the alias that are the champion, where it is in the registry."""
        match = _REGISTERED.fullmatch(self.champion or "")
        return (match["name"], match["alias"]) if match else None

    @property
    def reference(self) -> str | None:
        """What the champion is called among the models."""
        return CHAMPION if self.registered else self.champion

    def measured(self, models: tuple[str, ...]) -> tuple[str, ...]:
        """Name all models that are measured: the inputs, and one of the registry."""
        return (*models, CHAMPION) if self.registered else models

    def names(self, model: str) -> Iterator[str]:
        """Name a model's metrics, each with its bounds and its gain over the champion."""
        for metric in (*METRICS[self.task], *self.custom):
            yield from self._with_bounds(metric)
            if self.reference not in (None, model):
                yield from self._with_bounds(f"{metric}.gain")

    def _with_bounds(self, name: str) -> Iterator[str]:
        yield name
        if self.bootstrap is not None:
            yield from (f"{name}.lower", f"{name}.upper")

    def sign(self, metric: str) -> int:
        """Give 1 for a metric of which more is better, -1 for one of which less is."""
        return -1 if metric in LOWER_IS_BETTER or metric in self.lower_is_better else 1


def models_of(inputs: Mapping[str, object]) -> tuple[str, ...]:
    """Name the inputs that are models."""
    return tuple(name for name in inputs if name != TEST)


def prefix(model: str, models: tuple[str, ...]) -> str:
    """Give what stands before a model's metrics: nothing where it is the only one."""
    return f"{model}." if len(models) > 1 else ""


class TrackingConfig(ObserverConfig):
    """Track runs, metrics, data sets and models in MLflow."""

    experiment: str | None = Field(
        default=None,
        min_length=1,
        max_length=500,
        description="The MLflow experiment; the recipe's name when left out.",
    )
    tracking_uri: str | None = Field(
        default=None,
        description="Where to track: a database or a tracking server. When left out, "
        "MLFLOW_TRACKING_URI, else mlflow.db in the project.",
    )
    model: str | None = Field(
        default=None,
        pattern=r"^[^/:]+$",
        description="The registered model; the recipe's name when left out.",
    )
    tags: dict[_TagName, str] = Field(
        default_factory=dict, description="Tags that every run of this recipe gets."
    )

    @field_validator("tracking_uri")
    @classmethod
    def _no_folder(cls, uri: str | None) -> str | None:
        if uri is not None and (reason := refused(uri)):
            raise ValueError(reason)
        return uri
