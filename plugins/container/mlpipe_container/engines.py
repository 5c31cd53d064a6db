"""Docker and Podman, by their commands."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

from mlpipe import Check
from mlpipe.errors import StageError
from mlpipe.types import CheckState

NAMES = ("docker", "podman")
#: Seconds that a question may take.
_SECONDS = 60.0
#: Lines of a command's output that are kept to say why it failed.
_KEPT = 200


class EngineFailed(Exception):
    """A command of an engine failed.

    Args:
        engine: Its name.
        command: The command's name, as ``build``.
        said: What it wrote at last.
    """

    def __init__(self, engine: str, command: str, said: str) -> None:
        super().__init__(f"{engine} {command}: {said}")
        self.engine = engine
        self.command = command
        self.said = said


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine.

    Attributes:
        name: ``docker`` or ``podman``, which is its command too.
        version: Of the server, as far as it was asked.
        variables: On top of this process's environment.
    """

    name: str
    version: str = ""
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_podman(self) -> bool:
        """Whether it is Podman, which has no server and builds as Buildah does."""
        return self.name == "podman"

    def run(self, *arguments: str, given: str | None = None, seconds: float = _SECONDS) -> str:
        """Run a command; give what it wrote to stdout.

        Args:
            arguments: The command and its arguments.
            given: Its input.
            seconds: How long it may take.

        Raises:
            EngineFailed: It failed, or took too long.
        """
        try:
            done = subprocess.run(
                [self.name, *arguments],
                input=given or "",
                env={**os.environ, **self.variables},
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired:
            raise EngineFailed(self.name, arguments[0], f"no answer within {seconds:g} s") from None
        except FileNotFoundError:
            raise EngineFailed(self.name, arguments[0], "it is not installed") from None
        if done.returncode:
            raise EngineFailed(self.name, arguments[0], (done.stderr or done.stdout).strip())
        return done.stdout.strip()

    def stream(self, *arguments: str, **variables: str) -> list[str]:
        """Run a command that shows its progress, in the stage's log; give its last lines.

        Raises:
            EngineFailed: It failed.
        """
        with subprocess.Popen(
            [self.name, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **self.variables, **variables},
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None
            lines = _shown(process.stdout)
        if process.returncode:
            raise EngineFailed(self.name, arguments[0], "\n".join(lines))
        return lines

    def opened(self, *arguments: str, joined: bool = False) -> "subprocess.Popen[bytes]":
        """Start a command whose output is read as bytes, with that of stderr if joined."""
        return subprocess.Popen(
            [self.name, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if joined else subprocess.DEVNULL,
            env={**os.environ, **self.variables},
        )


def find(wanted: str | None = None) -> Engine:
    """Give the engine that is wanted, or the first that runs.

    Raises:
        StageError: There is none.
    """
    said = []
    for name in (wanted,) if wanted else NAMES:
        if shutil.which(name) is None:
            continue
        try:
            return _asked(name)
        except EngineFailed as error:
            said.append(f"{name} does not run: {last_line(error.said)}")
    which = {"docker": "Docker is", "podman": "Podman is"}.get(
        wanted or "", "neither Docker nor Podman is"
    )
    not_there = f"{which}{' not' if wanted else ''} installed"
    raise StageError(
        ", and ".join(said) or not_there,
        where="with.engine" if wanted else None,
        fix="Start or install one, as: apt-get install podman"
        + (", or leave engine: out to take any that runs." if wanted else "."),
    )


def checks() -> tuple[Check, ...]:
    """Say for ``mlpipe doctor`` whether there is an engine."""
    try:
        engine = find()
    except StageError as error:
        return (Check("container engine", CheckState.WARNING, str(error)),)
    return (Check("container engine", CheckState.OK, f"{engine.name} {engine.version}"),)


def last_line(text: str) -> str:
    """Give the last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "it does not say why"


def _asked(name: str) -> Engine:
    side = "Client" if name == "podman" else "Server"
    return Engine(name, Engine(name).run("version", f"--format={{{{.{side}.Version}}}}"))


def _shown(stream: IO[str]) -> list[str]:
    kept: list[str] = []
    for line in stream:
        sys.stdout.write(line)
        kept.append(line.rstrip())
        del kept[:-_KEPT]
    return kept


def labelled(labels: Mapping[str, str]) -> Sequence[str]:
    """Give the options that set labels."""
    return [f"--label={name}={value}" for name, value in sorted(labels.items())]
