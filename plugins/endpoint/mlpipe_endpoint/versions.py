"""Unpacked models by digest, so that serving and rolling back need no archive."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path

from mlpipe import Artifact, Input, MlpipeError
from mlpipe.errors import StageError
from mlpipe_endpoint.values import Model

#: How many models that no variant uses are kept for rolling back.
KEPT = 10


def folder_of(versions: Path, digest: str) -> Path:
    """Give the folder that holds, or would hold, the model with a digest."""
    return versions / digest.replace(":", "-")


def ensure(versions: Path, variant: str, model: Model, root: Path) -> Path:
    """Give the folder of an unpacked model, unpacking its archive if need be.

    A folder that MLflow saved is copied: where it is, it may be removed.

    Args:
        versions: Where unpacked models are.
        variant: Who wants it, for messages.
        model: What is wanted.
        root: The project's folder.

    Raises:
        StageError: The archive is missing, changed, or no model.
    """
    folder = folder_of(versions, model.digest)
    if folder.is_dir():
        os.utime(folder)
        return folder
    given = Input(variant, Artifact(variant, model.digest, model.location), root).path()
    _check(given, variant, model)
    versions.mkdir(parents=True, exist_ok=True)
    _place(given, folder)
    return folder


def prune(versions: Path, used: Collection[str]) -> None:
    """Remove the models that were used longest ago, beyond ``KEPT``."""
    names = {folder_of(versions, digest).name for digest in used}
    idle = [path for path in versions.iterdir() if path.name not in names]
    idle.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in idle[KEPT:]:
        shutil.rmtree(path, ignore_errors=True)


def _check(archive: Path, variant: str, model: Model) -> None:
    if (archive / "MLmodel").is_file():
        return
    if archive.is_dir():
        raise StageError(
            f'input "{variant}" is a folder without an MLmodel, not a model',
            where=model.location,
            fix="Give it the output of a training stage, model.tar.gz, or what MLflow saved.",
        )
    algorithm, _, expected = model.digest.partition(":")
    with archive.open("rb") as file:
        actual = hashlib.file_digest(file, algorithm).hexdigest()
    if actual != expected:
        raise StageError(
            f"the model archive has changed: {algorithm}:{actual[:8]}…, wanted {model.short}",
            where=model.location,
            fix="Run the recipe again: the stage that makes it will notice.",
        )


def _place(given: Path, folder: Path) -> None:
    """Unpack or copy a model beside its folder, and put it there when it is whole."""
    import mlpipe_scriptmode

    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".unpacking-"))
    writing = temporary / "model"
    try:
        if given.is_dir():
            shutil.copytree(given, writing)
        else:
            writing = mlpipe_scriptmode.unpack(given, writing)
        os.rename(writing, folder)
    except MlpipeError:
        raise
    except Exception as error:
        raise StageError(
            f"this is no model archive: {error}",
            where=str(given),
            fix="Give the endpoint the output of a training stage: model.tar.gz.",
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
