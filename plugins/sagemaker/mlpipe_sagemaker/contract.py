"""What the backends are given and give: the same for every type of target."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mlpipe import Input, Scalar, Target
from mlpipe_sagemaker.blocks import Compute, Distribution, Framework
from mlpipe_sagemaker.config import TuneConfig


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """A training job, described.

    Attributes:
        name: Unique; the same when a run that was killed is continued. At most 40 characters.
        program: The entry script's name within ``sources``; empty where the image
            brings its own: an algorithm, or a program called ``train``.
        sources: Files of the code, by path below the source folder.
        channels: By name. A backend takes a path or a URI of each, as it needs.
        hyperparameters: By name.
        metrics: Regular expressions on the log, by metric name.
        root: The project's folder.
        scratch: A folder of the job's own.
        target: Where it runs.
        run: The run's identifier, and
        stage: the stage's name; for tags and for ``mlpipe replay``.
        state_dir: A folder of the plugin's that outlives the stage.
        code: URI of the sources as a ``sourcedir.tar.gz`` in the target's store, where a stage
            has put them there already.
        image: URI of the image to run in, or empty.
        framework: Or a prebuilt image of SageMaker's.
        algorithm: Or a built-in algorithm of SageMaker's.
        environment: Variables that the recipe sets for the script.
        python: The interpreter, or ``None`` for the present one; on this machine only.
        requirements: The requirements file's name within ``sources`` that the interpreter's
            environment is made from, or ``None``.
        container: Whether to run in the image on this machine too.
        distribution: How many processes work together, or ``None`` for one.
        compute: Instances, limits and the rest that is SageMaker's.
    """

    name: str
    program: str
    sources: Mapping[str, Path]
    channels: Mapping[str, Input]
    hyperparameters: Mapping[str, Scalar]
    metrics: Mapping[str, str]
    root: Path
    scratch: Path
    target: Target = field(default_factory=Target)
    run: str = ""
    stage: str = ""
    state_dir: Path = Path(".mlpipe/sagemaker")
    code: str = ""
    image: str = ""
    framework: Framework | None = None
    algorithm: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    python: str | None = None
    requirements: str | None = None
    container: bool = False
    distribution: Distribution | None = None
    compute: Compute = field(default_factory=Compute)


@dataclass(frozen=True, slots=True)
class FinishedJob:
    """What a training job left.

    Attributes:
        model_dir: Content of ``SM_MODEL_DIR``.
        output_dir: Content of ``SM_OUTPUT_DATA_DIR``.
        metrics: The last value of each metric that was seen.
        values: JSON that later stages may refer to, as ``job`` and ``model_uri`` on SageMaker.
    """

    model_dir: Path
    output_dir: Path
    metrics: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)


class Trainer(Protocol):
    """Runs training jobs on one type of target."""

    def train(
        self, job: TrainingJob, on_metrics: Callable[[Mapping[str, float]], None]
    ) -> FinishedJob:
        """Run a job to its end.

        Args:
            job: What to run.
            on_metrics: Called with the metrics of each line of the log that has some.

        Raises:
            StageError: The job failed; says why, in the script's own words.
        """
        ...


@dataclass(frozen=True, slots=True)
class Trial:
    """One training of a tuning job, ended.

    Attributes:
        number: From 0, in the order of their beginnings.
        state: ``complete``, ``pruned`` (stopped early), ``failed`` or ``stopped``.
        parameters: What was tried, with their types, without the static hyperparameters.
        objective: The objective's last value, or ``None`` when there was none.
        metrics: The last value of each metric.
        started: Unix time in seconds.
        finished: The same.
        job: The training job's name on SageMaker, else empty.
        error: Why it failed, else empty.
    """

    number: int
    state: str
    parameters: Mapping[str, Scalar]
    objective: float | None
    metrics: Mapping[str, float] = field(default_factory=dict)
    started: float = 0.0
    finished: float = 0.0
    job: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a tuning job found.

    Attributes:
        best: The best trial.
        finished: What the best trial's training left.
        trials: All of them, by number.
        values: JSON that later stages may refer to, as ``tuning_job`` on SageMaker.
    """

    best: Trial
    finished: FinishedJob
    trials: tuple[Trial, ...]
    values: Mapping[str, Any] = field(default_factory=dict)


class Tuner(Protocol):
    """Runs tuning jobs on one type of target."""

    def tune(
        self,
        job: TrainingJob,
        config: TuneConfig,
        earlier: tuple[Trial, ...],
        on_trial: Callable[[Trial], None],
    ) -> Tuned:
        """Run a tuning job to its end, or continue the one that a killed run began.

        Args:
            job: The training to repeat; its hyperparameters are the static ones. Its name is the
                tuning job's.
            config: Search space, objective, budget and strategy.
            earlier: Trials to start warm from.
            on_trial: Called with each trial as it ends, once.

        Raises:
            StageError: No trial ended well, or the target cannot do what the configuration says.
        """
        ...
