"""What recipes say to ``sagemaker.train``."""

import re
from collections.abc import Mapping
from typing import ClassVar

from pydantic import field_validator

from mlpipe import Declares, Scalar, Script, StageConfig


class TrainConfig(StageConfig):
    """Train with a script in SageMaker's script mode.

    Each input of the stage is a channel of its name: the script finds its files in the folder
    ``SM_CHANNEL_<NAME>``. It leaves its model in ``SM_MODEL_DIR``.

    Attributes:
        script: The training script. It and the project modules that it imports are shipped
            with the model.
        hyperparameters: Passed as ``--name value``, as SageMaker does.
        metrics: Regular expressions by metric name; the first group of a line of the log that
            matches is the metric, and the last one counts.
        python: The interpreter to train with; the one that runs mlpipe when left out.
    """

    backends: ClassVar[tuple[str, ...]] = ("local", "aws")

    script: Script
    hyperparameters: dict[str, Scalar] = {}
    metrics: dict[str, str] = {}
    python: str | None = None

    @field_validator("metrics")
    @classmethod
    def _have_one_group(cls, metrics: dict[str, str]) -> dict[str, str]:
        for name, pattern in metrics.items():
            try:
                groups = re.compile(pattern).groups
            except re.error as error:
                raise ValueError(
                    f"the pattern of {name} is no regular expression: {error}"
                ) from None
            if groups != 1:
                raise ValueError(f"the pattern of {name} has {groups} groups, and one is wanted")
        return metrics

    def declares(self, inputs: Mapping[str, str]) -> Declares:
        """A model, what the script left in ``SM_OUTPUT_DATA_DIR``, and the named metrics."""
        return Declares(outputs=("model", "output"), metrics=tuple(self.metrics), values=())
