"""A real ``Stage`` without a run around it, for calling one verb in a test."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlpipe.plugins.stage import Input, Stage
from mlpipe.types import Artifact, Target


@dataclass(frozen=True)
class StageProbe:
    """A stage, and what it said.

    Attributes:
        stage: The handle to pass to a verb.
        said: (kind, payload) of all that the verb emitted, in order.
    """

    stage: Stage
    said: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def payloads(self, kind: str) -> list[dict[str, Any]]:
        """Give the payloads of one kind."""
        return [payload for said, payload in self.said if said == kind]


def make_stage(
    root: Path,
    verb: str,
    *,
    name: str = "stage",
    inputs: Mapping[str, Path | Artifact] | None = None,
    params: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    target: Target | None = None,
) -> StageProbe:
    """Make a stage in a project folder.

    Args:
        root: The project's folder, usually ``tmp_path``.
        verb: The verb it is for.
        name: The stage's name.
        inputs: By name; a path becomes an artifact with its real digest.
        params: The recipe's parameters.
        env: Variables that the recipe sets; not set here.
        secrets: Values by name.
        target: Where it runs; the local target when left out.
    """
    scratch = root / ".mlpipe" / "scratch" / name
    scratch.mkdir(parents=True, exist_ok=True)
    said: list[tuple[str, dict[str, Any]]] = []
    stage = Stage(
        name=name,
        verb=verb,
        recipe="test",
        run="test-run",
        attempt=1,
        key=f"test-{name}",
        root=root,
        state_dir=root / ".mlpipe",
        scratch=scratch,
        target=target or Target(),
        params=params or {},
        inputs={key: _input(root, key, value) for key, value in (inputs or {}).items()},
        env=env or {},
        secrets=secrets or {},
        _send=lambda kind, payload: said.append((kind, payload)),
    )
    return StageProbe(stage, said)


def _input(root: Path, name: str, value: Path | Artifact) -> Input:
    if isinstance(value, Path):
        digest = "sha256:" + hashlib.sha256(value.read_bytes()).hexdigest()
        value = Artifact(name, digest, str(value), value.stat().st_size)
    return Input(name, value, root)
