"""Training in an image on this machine, with Docker or Podman."""

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mlpipe import StageError
from mlpipe_sagemaker.contract import TrainingJob
from mlpipe_sagemaker.environment import Layout, kept_checkpoints

_ENGINES = ("docker", "podman")
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Container:
    """A container to run.

    Attributes:
        engine: ``docker`` or ``podman``.
        name: The container's.
        image: Its image.
        folder: What it sees as ``/opt/ml``.
        checkpoints: What it sees as ``/opt/ml/checkpoints``.
    """

    engine: str
    name: str
    image: str
    folder: Path
    checkpoints: Path

    def command(self, inside: list[str], variables: Iterable[str]) -> list[str]:
        """Give the command that runs it to its end.

        Args:
            inside: The command in it; where there is none, the image is asked to ``train``.
            variables: Names of variables that it takes over from the command's environment, so
                that no list of processes shows their values.
        """
        volumes = [f"{self.folder}:/opt/ml", f"{self.checkpoints}:/opt/ml/checkpoints"]
        # Files in the mounted folders would else be root's with Docker; Podman maps users itself.
        owner = [f"--user={os.getuid()}:{os.getgid()}"] if self.engine == "docker" else []
        return [
            *(self.engine, "run", "--rm", "--init", f"--name={self.name}"),
            *("--network=host", "--security-opt=label=disable"),
            *owner,
            *(f"--volume={volume}" for volume in volumes),
            *(f"--env={name}" for name in (*variables, "PYTHONUNBUFFERED")),
            *self._what(inside),
        ]

    def _what(self, inside: list[str]) -> list[str]:
        if not inside:
            return [self.image, "train"]
        entry, *arguments = inside
        return ["--workdir=/opt/ml/code", f"--entrypoint={entry}", self.image, *arguments]

    def remove(self) -> None:
        """End it, if it runs: the command that started it may have been killed before it."""
        _run(self.engine, "rm", "-f", self.name)


def container_of(job: TrainingJob, layout: Layout) -> Container:
    """Describe the container of a job.

    Raises:
        StageError: There is no engine, or it does not run.
    """
    checkpoints = kept_checkpoints(job).absolute()
    return Container(_engine(), job.name, job.image, layout.base.absolute(), checkpoints)


def _engine() -> str:
    said = ""
    for engine in _ENGINES:
        if shutil.which(engine) is None:
            continue
        done = _run(engine, "info")
        if done.returncode == 0:
            return engine
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["it does not say why"]
        said += f"{', and ' if said else ''}{engine} does not run: {last[0]}"
    raise StageError(
        said or "neither Docker nor Podman is installed",
        where="with.container",
        fix="Start or install one, or leave container out to train without.",
    )


def _run(*command: str) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        said = f"no answer within {_SECONDS} s"
        return subprocess.CompletedProcess(command, 1, stdout="", stderr=said)
