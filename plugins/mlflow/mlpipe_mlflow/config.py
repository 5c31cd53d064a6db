"""What recipes say to ``mlflow.evaluate`` and to the observer ``mlflow``."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from mlpipe import Declares, ObserverConfig, Scalar, StageConfig
from mlpipe_mlflow.location import refused

#: The input that holds the rows to predict; every other input is a model.
TEST = "test"

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

_TagName = Annotated[str, Field(pattern=r"^[\w.\- :]+$", max_length=250)]


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

    @model_validator(mode="after")
    def _positive_is_a_class(self) -> Self:
        if self.task == "regression" and "positive" in self.model_fields_set:
            raise ValueError('"positive" goes with task: classification only')
        return self

    def declares(self, inputs: Mapping[str, str]) -> Declares:
        """One report; metrics are named by model where there are several."""
        if TEST not in inputs:
            raise ValueError(f'one input must be called "{TEST}": the rows to predict')
        models = models_of(inputs)
        if not models:
            raise ValueError(f'there is no model: every input but "{TEST}" is one')
        metrics = tuple(
            prefix(model, models) + metric for model in models for metric in METRICS[self.task]
        )
        return Declares(outputs=("report",), metrics=metrics, values=())


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
