"""The command ``git``, and what it means when it fails."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlpipe import Stage
from mlpipe.errors import StageError
from mlpipe_git.config import CheckoutConfig

#: Seconds that a command may take.
_SECONDS = 3600.0

# Nothing of the user's or the repository's configuration runs a program or changes a file's bytes.
_SETTINGS = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.autocrlf=false"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "advice.detachedHead=false"),
    *("-c", "gc.auto=0"),
    *("-c", "safe.directory=*"),
)
_ASKPASS = """#!/bin/sh
case "$1" in
  Username*) printf '%s\\n' "$MLPIPE_GIT_USERNAME" ;;
  *) printf '%s\\n' "$MLPIPE_GIT_TOKEN" ;;
esac
"""


class GitFailed(Exception):
    """A command of Git failed.

    Args:
        command: Its name, as ``fetch``.
        said: What it wrote to stderr.
    """

    def __init__(self, command: str, said: str) -> None:
        super().__init__(f"git {command}: {said}")
        self.command = command
        self.said = said


@dataclass(frozen=True, slots=True)
class Git:
    """Runs Git, with the credentials of a stage.

    Attributes:
        variables: The environment's, on top of this process's.
    """

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    def run(self, *arguments: str, folder: Path | None = None, **variables: str) -> str:
        """Run a command; give what it wrote.

        Args:
            arguments: The command's name and its arguments.
            folder: Where it runs.
            variables: Of its environment.

        Raises:
            GitFailed: It failed.
            StageError: Git is not installed.
        """
        place = ["-C", str(folder)] if folder is not None else []
        try:
            done = subprocess.run(
                ["git", *_SETTINGS, *place, *arguments],
                env={**_environment(), **self.variables, **variables},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=_SECONDS,
            )
        except FileNotFoundError:
            raise StageError(
                "git is not installed", fix="Install it, as: apt-get install git"
            ) from None
        except subprocess.TimeoutExpired:
            raise GitFailed(arguments[0], f"it took more than {_SECONDS:g} s") from None
        if done.returncode:
            raise GitFailed(arguments[0], done.stderr.decode(errors="replace").strip())
        return done.stdout.decode(errors="surrogateescape")


def git_of(config: CheckoutConfig, stage: Stage) -> Git:
    """Give Git with the credentials that a stage names. They reach it by its environment only."""
    variables: dict[str, str] = {}
    if config.token is not None:
        script = stage.scratch / "askpass"
        script.write_text(_ASKPASS)
        script.chmod(0o700)
        variables["GIT_ASKPASS"] = str(script)
        variables["MLPIPE_GIT_USERNAME"] = config.username
        variables["MLPIPE_GIT_TOKEN"] = stage.secret(config.token)
    if config.is_ssh:
        variables["GIT_SSH_COMMAND"] = _ssh(config, stage)
    return Git(variables)


def _ssh(config: CheckoutConfig, stage: Stage) -> str:
    options = ["ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]
    if config.ssh_key is not None:
        key = stage.scratch / "ssh_key"
        key.touch(0o600)
        key.write_text(stage.secret(config.ssh_key).rstrip("\n") + "\n")
        options += ["-o", "IdentitiesOnly=yes", "-i", f"'{key}'"]
    if config.known_hosts is not None:
        options += ["-o", f"UserKnownHostsFile='{stage.root / config.known_hosts}'"]
    return " ".join(options)


def _environment() -> dict[str, str]:
    """Give this process's environment, without what would send Git elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {
        **kept,
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "https:http:ssh:file",
        "GCM_INTERACTIVE": "never",
    }
