"""How a script is started: alone, as several processes together, or in a container."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlpipe_sagemaker.containers import container_of
from mlpipe_sagemaker.contract import TrainingJob
from mlpipe_sagemaker.distributed import MPI_VARIABLES, launcher
from mlpipe_sagemaker.environment import Layout, arguments, variables
from mlpipe_sagemaker.interpreters import interpreter


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Launch:
    """A command that trains.

    Attributes:
        command: What to start.
        environment: Variables beside those of this process.
        setting: What to blame if that is not there.
        fix: And what to do then.
        clean_up: To be called when it has ended.
    """

    command: list[str]
    environment: Mapping[str, str]
    setting: str = "python"
    fix: str = "Name another one, or leave it out to train with the one that runs mlpipe."
    clean_up: Callable[[], None] = _nothing


def launch_of(job: TrainingJob, layout: Layout) -> Launch:
    """Say how to start a job's script.

    Args:
        job: The job.
        layout: Its folders, which are there.

    Raises:
        StageError: What it is to run with cannot be had.
    """
    script = [job.program, *arguments(job.hyperparameters)]
    more = MPI_VARIABLES if _uses_mpi(job) else {}
    if job.container:
        told = {**more, **job.environment, **variables(job, Layout(Path("/opt/ml")))}
        container = container_of(job, layout)
        container.remove()  # a run that was killed may have left it
        inside = [*_launcher(job, "python3", here=False), *script] if job.program else []
        command = container.command(inside, told)
        return Launch(command, told, "container", clean_up=container.remove)
    told = {**more, **variables(job, layout)}
    command = [*_launcher(job, interpreter(job), here=True), *script]
    if _uses_mpi(job):
        fix = "Install an MPI, as with apt-get install openmpi-bin, or use torchrun."
        return Launch(command, told, "distribution", fix)
    return Launch(command, told)


def _uses_mpi(job: TrainingJob) -> bool:
    return job.distribution is not None and job.distribution.type == "mpi"


def _launcher(job: TrainingJob, python: str, *, here: bool) -> list[str]:
    if job.distribution is None:
        return [python]
    return launcher(job.distribution, job.compute.instances, python, here=here)
