"""Having an image in an engine."""

from pathlib import Path

from mlpipe_container import failures, reaching, registries
from mlpipe_container.engines import Engine, EngineFailed
from mlpipe_container.images import Image


def here(engine: Engine, image: Image, scratch: Path) -> str:
    """Give an image's ID in an engine; it is pulled where it is not there.

    Args:
        engine: The engine.
        image: The image.
        scratch: A folder of the caller's own, for a login.

    Raises:
        StageError: It cannot be had.
    """
    reference = image.reference
    try:
        if not image.engine and not has(engine, reference):
            _pull(engine, reference, scratch)
        return identifier(engine, reference)
    except EngineFailed as error:
        raise failures.explained(error, reference) from error


def has(engine: Engine, reference: str) -> bool:
    """Tell whether an engine has an image."""
    try:
        identifier(engine, reference)
    except EngineFailed:
        return False
    return True


def identifier(engine: Engine, reference: str) -> str:
    """Give the ID by which an engine knows an image.

    Raises:
        EngineFailed: It does not know it.
    """
    said = engine.run("image", "inspect", "--format={{.Id}}", reference)
    return f"sha256:{said.removeprefix('sha256:')}"  # Podman leaves it out


def _pull(engine: Engine, reference: str, scratch: Path) -> None:
    repository, _ = registries.split(reference)
    login = registries.client(engine, repository).login
    reached = reaching.reach(engine, repository, login, scratch)
    reached.stream("pull", *reaching.plain(engine, repository), reference)
