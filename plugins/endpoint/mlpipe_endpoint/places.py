"""Where endpoints are: on this machine, or at SageMaker under a target of type ``aws``."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlpipe import Target, UserError
from mlpipe_endpoint.contract import Backend
from mlpipe_endpoint.state import write_json

AWS, LOCAL = "aws", "local"
_FOLDER, _AWS_FOLDER, _TARGET = "endpoints", "endpoints-aws", "target.json"


def backend(
    target: Target, root: Path, state_dir: Path, secrets: Mapping[str, str] | None = None
) -> Backend:
    """Give who serves on a target.

    Args:
        target: The target.
        root: The project's folder.
        state_dir: Its ``.mlpipe``.
        secrets: Values by name, for tokens of endpoints of this machine.

    Raises:
        StageError: The target's settings are wrong.
    """
    if target.type != AWS:
        from mlpipe_endpoint.local import LocalBackend

        return LocalBackend(root, state_dir / _FOLDER, secrets or {})
    from mlpipe_aws import settings
    from mlpipe_endpoint.aws import AwsBackend

    return AwsBackend(settings(target), root, state_dir / _AWS_FOLDER / target.name)


def remember(target: Target, state_dir: Path) -> None:
    """Keep a target's settings, by which commands find its endpoints again."""
    if target.type == AWS:
        folder = state_dir / _AWS_FOLDER / target.name
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / _TARGET, {"name": target.name, "settings": dict(target.settings)})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command looks for endpoints.

    Attributes:
        root: The project's folder.
        target: The target's name.
    """

    root: Path
    target: str

    @property
    def backend(self) -> Backend:
        """Who serves there.

        Raises:
            UserError: Nothing was deployed on such a target.
        """
        state = self.root / ".mlpipe"
        if self.target == LOCAL:
            return backend(Target(), self.root, state, os.environ)
        try:
            facts = json.loads((state / _AWS_FOLDER / self.target / _TARGET).read_bytes())
        except (OSError, ValueError):
            raise UserError(
                f'no endpoint was deployed on a target "{self.target}" from here',
                fix=f"Targets with endpoints: {', '.join(targets(self.root))}.",
            ) from None
        return backend(Target(facts["name"], AWS, facts["settings"]), self.root, state)

    def names(self) -> list[str]:
        """List the endpoints that this project has there, running or not."""
        if self.target == LOCAL:
            from mlpipe_endpoint.local import LocalBackend

            return LocalBackend(self.root, self.root / ".mlpipe" / _FOLDER).names()
        folder = self.root / ".mlpipe" / _AWS_FOLDER / self.target
        return sorted(path.name for path in folder.iterdir() if path.is_dir())


def targets(root: Path) -> list[str]:
    """Name the targets that this project deployed endpoints on."""
    found = (root / ".mlpipe" / _AWS_FOLDER).glob(f"*/{_TARGET}")
    return [LOCAL, *sorted(path.parent.name for path in found)]
