"""What recipes say to ``sagemaker.train``."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from mlpipe import Declares, InputFile, Scalar, Script, StageConfig

HyperparameterName = Annotated[str, Field(min_length=1)]


class TrainConfig(StageConfig):
    """Train with a script in SageMaker's script mode.

    Each input of the stage is a channel of its name: the script finds its files in the folder
    ``SM_CHANNEL_<NAME>``. It leaves its model in ``SM_MODEL_DIR``.
    """

    backends: ClassVar[tuple[str, ...]] = ("local", "aws")

    script: Script = Field(description="The training script; it also loads the model for serving.")
    source_dir: InputFile | None = Field(
        default=None,
        description="The folder that the script is in; all of it goes with the model. Left out, "
        "the script and the project's modules that it imports do.",
    )
    hyperparameters: dict[HyperparameterName, Scalar] = Field(
        default_factory=dict,
        description="Passed to the script as arguments, --name value, as SageMaker does.",
    )
    metrics: dict[str, str] = Field(
        default_factory=dict,
        description="A regular expression for each metric. Its one group catches the number in "
        "a line that the script prints; the last one caught is the result.",
    )
    python: str | None = Field(
        default=None,
        description="The interpreter to train with: a name, or a path from the project's "
        "folder. The one that runs mlpipe when left out.",
    )

    @field_validator("metrics")
    @classmethod
    def _one_group_each(cls, metrics: dict[str, str]) -> dict[str, str]:
        for name, pattern in metrics.items():
            try:
                groups = re.compile(pattern).groups
            except re.error as error:
                raise ValueError(f'"{name}" is no regular expression: {error}') from None
            if groups != 1:
                raise ValueError(
                    f'the expression of "{name}" has {groups} groups; one is wanted, around the '
                    "number: further ones are written (?:…)"
                )
        return metrics

    @model_validator(mode="after")
    def _script_within(self) -> Self:
        if self.source_dir is not None:
            folder, script = PurePosixPath(self.source_dir), PurePosixPath(self.script)
            if script.parent != folder:  # SageMaker finds it nowhere else
                raise ValueError(f'script: "{script}" is not directly in source_dir "{folder}"')
        return self

    def declares(self, inputs: Mapping[str, str]) -> Declares:
        """A model, what the script left in ``SM_OUTPUT_DATA_DIR``, and the named metrics."""
        return Declares(outputs=("model", "output"), metrics=tuple(self.metrics), values=())

    def sources(self) -> tuple[str, ...]:
        """The requirements file beside the script, which goes with the model."""
        return (str(PurePosixPath(self.script).with_name("requirements.txt")),)
