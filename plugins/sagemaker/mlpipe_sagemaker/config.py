"""What recipes say to the verbs ``build``, ``train`` and ``tune``."""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from mlpipe import (
    Declares,
    InputFile,
    Permission,
    Scalar,
    Script,
    StageConfig,
    Target,
    Usage,
)
from mlpipe_sagemaker.blocks import Compute, Distribution, Framework, TrialBudget
from mlpipe_sagemaker.packaging import REQUIREMENTS
from mlpipe_sagemaker.space import Parameter, check_space

HyperparameterName = Annotated[str, Field(min_length=1, max_length=256)]

#: Inputs that are no channels.
CODE, IMAGE, EARLIER = "code", "image", "earlier"


def requirements_beside(script: str) -> str:
    """Give the path of the requirements file that goes with a script, if it is there."""
    return str(PurePosixPath(script).with_name(REQUIREMENTS))


def _check_within(script: str, source_dir: str | None) -> None:
    if source_dir is not None and PurePosixPath(script).parent != PurePosixPath(source_dir):
        # SageMaker finds it nowhere else.
        raise ValueError(f'script: "{script}" is not directly in source_dir "{source_dir}"')


class BuildConfig(StageConfig):
    """Package training code as a ``sourcedir.tar.gz``: the same bytes for the same sources."""

    backends: ClassVar[tuple[str, ...]] = ("local", "aws")

    scripts: list[Script] = Field(
        min_length=1,
        description="Training scripts. Modules of the project that they import go with them.",
    )
    source_dir: InputFile | None = Field(
        default=None, description="The folder that the scripts are in; all of it is packaged."
    )

    @model_validator(mode="after")
    def _scripts_within(self) -> Self:
        for script in self.scripts:
            _check_within(script, self.source_dir)
        return self

    def sources(self) -> tuple[str, ...]:
        """The requirements files beside the scripts, which go with them."""
        return tuple(requirements_beside(script) for script in self.scripts)

    def permissions(self, target: Target, inputs: Mapping[str, str]) -> tuple[Permission, ...]:
        """To put the package into the target's store."""
        from mlpipe_sagemaker.permissions import to_store

        return to_store(target)

    def declares(self, inputs: Mapping[str, str]) -> Declares:
        """The package."""
        return Declares(outputs=(CODE,), metrics=(), values=("programs", "uri"))


class TrainConfig(StageConfig):
    """Train with a script in SageMaker's script mode, or with a built-in algorithm.

    Each input of the stage is a channel of its name: the script finds its files in the folder
    ``SM_CHANNEL_<NAME>``. It leaves its model in ``SM_MODEL_DIR``. The inputs ``code`` (a package
    of ``sagemaker.build``) and ``image`` are no channels. Without script and code, the image's
    own program ``train`` runs, and finds all of it below ``/opt/ml``.
    """

    backends: ClassVar[tuple[str, ...]] = ("local", "aws")

    script: Script | None = Field(
        default=None,
        description="The training script; it also loads the model for serving.",
    )
    program: str | None = Field(
        default=None,
        description="With the input code: the script's name within the package, where it has "
        "several.",
    )
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
        description="On this machine: the interpreter to train with: a name, or a path from the "
        "project's folder. The one that runs mlpipe when left out.",
    )
    requirements: bool = Field(
        default=False,
        description="On this machine: train in an environment of its own, made from the "
        "requirements.txt beside the script. SageMaker always installs it.",
    )
    image: str | None = Field(
        default=None, description="The image to train in: its URI. Or the input image."
    )
    framework: Framework | None = Field(
        default=None, description="Or a prebuilt image of SageMaker's."
    )
    algorithm: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9-]+(:[\w.-]+)?$",
        description="Or an algorithm that SageMaker has built in, as xgboost:1.7-1, which needs "
        "no script. It runs on SageMaker only.",
    )
    container: bool = Field(
        default=False, description="On this machine: train in the image, with Docker or Podman."
    )
    distribution: Distribution | None = Field(
        default=None, description="Train with several processes together."
    )
    compute: Compute = Field(default_factory=Compute, description="SageMaker's instances.")

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
        if self.script is not None:
            _check_within(self.script, self.source_dir)
        return self

    @model_validator(mode="after")
    def _one_image(self) -> Self:
        named = [n for n in ("image", "framework", "algorithm") if getattr(self, n) is not None]
        if len(named) > 1:
            raise ValueError(f"{' and '.join(named)} exclude each other: name one")
        if self.algorithm is not None and self.script is not None:
            raise ValueError("algorithm and script exclude each other: name one")
        return self

    def declares(self, inputs: Mapping[str, str]) -> Declares:
        """A model, what the script left in ``SM_OUTPUT_DATA_DIR``, and the named metrics."""
        self._check_code(inputs)
        return Declares(
            outputs=("model", "output"), metrics=tuple(self.metrics), values=("job", "model_uri")
        )

    def _check_code(self, inputs: Mapping[str, str]) -> None:
        given = [self.script is not None, CODE in inputs, self.algorithm is not None]
        has_image = self.image is not None or IMAGE in inputs
        if sum(given) > 1 or not (any(given) or has_image):
            raise ValueError(
                f"give one of script, algorithm and the input {CODE}, or an image with a program "
                f"train; there {'are several' if any(given) else 'is none'}"
            )
        if self.program is not None and CODE not in inputs:
            raise ValueError(f"program goes with the input {CODE}; without it, say script")
        if self.container and not has_image:
            raise ValueError(f"container: true needs an image, or the input {IMAGE}")

    def hours(self) -> float:
        """Give the instance-hours of the longest that it may take; a warm pool is paid for, too.

        SageMaker's own retries are within ``max_runtime``.
        """
        compute = self.compute
        seconds = compute.max_runtime + (compute.keep_alive or 0)
        return seconds * compute.instances / 3600

    def worst_case(self, target: Target, root: Path) -> tuple[Usage, ...]:
        """Instances for as long as they may be used, at the price table's prices."""
        if target.type != "aws":
            return ()
        from mlpipe_aws import Prices, settings

        own = settings(target).prices
        table = Prices.load(root / own if own else None)
        instance = self.compute.instance
        return (Usage(instance, self.hours(), table.of(instance), table.currency),)

    def permissions(self, target: Target, inputs: Mapping[str, str]) -> tuple[Permission, ...]:
        """What making, following and fetching a job takes; and what the job itself does."""
        from mlpipe_sagemaker.permissions import to_train

        return to_train(target)

    def sources(self) -> tuple[str, ...]:
        """The requirements file beside the script, which goes with the model."""
        if self.script is None:
            return ()
        return (requirements_beside(self.script),)


class TuneConfig(TrainConfig):
    """Search hyperparameters: train again and again, keep the best model.

    Takes all that ``train`` takes; ``hyperparameters`` are those that stay as they are. The input
    ``earlier`` (the output ``trials`` of another tuning) starts the search warm.
    """

    space: dict[HyperparameterName, Parameter] = Field(
        min_length=1, max_length=30, description="What to search, by hyperparameter."
    )
    objective: str = Field(description="The metric to optimise: one of metrics.")
    direction: Literal["maximize", "minimize"] = Field(description="Which way is better.")
    budget: TrialBudget = Field(default_factory=TrialBudget, description="When to end.")
    strategy: Literal["random", "grid", "bayesian", "hyperband"] = Field(
        default="bayesian", description="How the next trial is chosen."
    )
    seed: int | None = Field(
        default=None, ge=0, le=2_147_483_647, description="The same one tries the same values."
    )
    early_stopping: bool = Field(
        default=False, description="Stop trials that will not be among the best."
    )
    warm_start: Literal["identical", "transfer"] | None = Field(
        default=None,
        description="With the input earlier: the data and script are the same, or similar.",
    )

    @model_validator(mode="after")
    def _searchable(self) -> Self:
        if self.objective not in self.metrics and self.algorithm is None:
            raise ValueError(
                f'objective: "{self.objective}" is not among metrics ({", ".join(self.metrics)})'
            )
        if both := self.space.keys() & self.hyperparameters.keys():
            raise ValueError(
                f"{', '.join(sorted(both))}: in space and in hyperparameters; keep one of them"
            )
        check_space(self.space, self.strategy)
        return self

    def hours(self) -> float:
        """Give the instance-hours of all trials, or of what the budget of time allows."""
        each = super().hours()
        trials = self.budget.trials * each
        if self.budget.time is None:
            return trials
        longest = self.budget.time / 3600 + self.compute.max_runtime / 3600
        return min(trials, self.budget.parallel * self.compute.instances * longest)

    def permissions(self, target: Target, inputs: Mapping[str, str]) -> tuple[Permission, ...]:
        """The same for a tuning job."""
        from mlpipe_sagemaker.permissions import to_tune

        return to_tune(target)

    def declares(self, inputs: Mapping[str, str]) -> Declares:
        """The best model, all trials, the plots, and the best trial's metrics."""
        self._check_code(inputs)
        if (EARLIER in inputs) != (self.warm_start is not None):
            raise ValueError(f"warm_start goes with the input {EARLIER}: give both or neither")
        metrics = (*self.metrics, "trials")
        if self.algorithm is not None and self.objective not in self.metrics:
            metrics = (*metrics, self.objective)
        return Declares(
            outputs=("model", "output", "trials", "plots"),
            metrics=metrics,
            values=("job", "model_uri", "tuning_job", "hyperparameters"),
        )
