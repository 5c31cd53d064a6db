"""Taking what a stage has written into the store, and to its declared places."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from mlpipe.errors import StageError
from mlpipe.plugins.stage import Stage
from mlpipe.store.artifacts import ArtifactStore
from mlpipe.store.digests import status
from mlpipe.store.results import Output
from mlpipe.types import Artifact


def ingest(
    outputs: Mapping[str, Path | Artifact], stage: Stage, artifacts: ArtifactStore
) -> dict[str, Output]:
    """Record all outputs of a stage: all are looked at before the first is moved.

    Raises:
        StageError: An output was not written, or is not where ``stage.output()`` said.
    """
    for name, value in outputs.items():
        if isinstance(value, Path):
            _check(name, value, stage)
    return {
        name: _reference(value, stage)
        if isinstance(value, Artifact)
        else _take(value, stage.places.get(name, ""), stage.root, artifacts)
        for name, value in outputs.items()
    }


def _check(name: str, path: Path, stage: Stage) -> None:
    if not path.exists():
        place = stage.places.get(name)
        raise StageError(
            f'output "{name}" was not written',
            where=stage.name,
            fix="Write it to the path that the stage is given for it"
            + (f" (it is placed at {place} afterwards)." if place else "."),
        )
    if ".." in path.parts or not path.is_relative_to(stage.scratch):
        raise StageError(
            f'output "{name}" is at {path}, not where stage.output() said',
            where=stage.name,
            fix="Return the path that stage.output() gave, or an Artifact for a reference.",
        )


def _take(path: Path, place: str, root: Path, artifacts: ArtifactStore) -> Output:
    digest, stored, size = artifacts.take(path)
    placed = status(artifacts.place(stored, place)) if place else None
    return Output(
        digest=digest,
        location=stored.relative_to(root).as_posix(),
        place=place,
        status=status(stored) or "",
        place_status=placed or "",
        size=size,
    )


def _reference(artifact: Artifact, stage: Stage) -> Output:
    remote = len(urlsplit(artifact.location).scheme) > 1
    return Output(
        digest=artifact.digest,
        location=artifact.location,
        stored=False,
        status="" if remote else status(stage.root / artifact.location) or "",
        size=artifact.size,
    )
