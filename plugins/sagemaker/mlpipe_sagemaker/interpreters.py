"""Which interpreter a script is run with."""

import subprocess
import sys

from mlpipe import StageError
from mlpipe_sagemaker.contract import TrainingJob

#: Prints what makes one interpreter differ from another.
_IDENTITY = "import sys; print(sys.version, sys.base_prefix)"


def interpreter(job: TrainingJob) -> str:
    """Give a job's interpreter as a command.

    That is the one that the recipe names, whose path starts from the project's folder, or the one
    that runs mlpipe; or one of an environment that is made from the script's requirements, once.

    Raises:
        StageError: The environment cannot be made.
    """
    named = _named(job)
    if job.requirements is None:
        return named
    from mlpipe_scriptmode import environments

    home = job.state_dir.absolute() / "environments"
    requirements = job.sources[job.requirements]
    return str(environments.ensure(home, named, _identity(named), requirements, job.sources))


def _named(job: TrainingJob) -> str:
    if job.python is None:
        return sys.executable
    # Not resolved: a virtual environment's interpreter is a link, and knows itself by its path.
    return str(job.root.absolute() / job.python) if "/" in job.python else job.python


def _identity(python: str) -> str:
    try:
        done = subprocess.run(
            [python, "-I", "-c", _IDENTITY], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise StageError(
            f'"{python}" cannot be started: {error.strerror}',
            where="with.python",
            fix="Name another one, or leave it out to train with the one that runs mlpipe.",
        ) from error
    return done.stdout
