"""What a training backend is given and gives: the same for every type of target."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mlpipe import Input, Scalar


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """A training job, described.

    Attributes:
        name: Unique; the same when a run that was killed is continued.
        program: The entry script's name within ``sources``.
        sources: Files of the code, by path below the source folder.
        channels: By name. A backend takes a path or a URI of each, as it needs.
        hyperparameters: By name.
        metrics: Regular expressions on the log, by metric name.
        root: The project's folder.
        scratch: A folder of the job's own.
        python: The interpreter, or ``None`` for the present one.
    """

    name: str
    program: str
    sources: Mapping[str, Path]
    channels: Mapping[str, Input]
    hyperparameters: Mapping[str, Scalar]
    metrics: Mapping[str, str]
    root: Path
    scratch: Path
    python: str | None = None


@dataclass(frozen=True, slots=True)
class FinishedJob:
    """What a training job left.

    Attributes:
        model_dir: Content of ``SM_MODEL_DIR``.
        output_dir: Content of ``SM_OUTPUT_DATA_DIR``.
        metrics: The last value of each metric that was seen.
    """

    model_dir: Path
    output_dir: Path
    metrics: Mapping[str, float] = field(default_factory=dict)


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
