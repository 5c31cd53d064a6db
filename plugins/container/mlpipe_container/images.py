"""Where an image is: in an engine by its ID, or in a registry by its digest."""

from dataclasses import dataclass
from pathlib import Path

from mlpipe import Artifact
from mlpipe.errors import StageError
from mlpipe_container.engines import Engine, EngineFailed

# As skopeo and Podman name these places.
_ENGINES = {"docker-daemon": "docker", "containers-storage": "podman"}
_SCHEMES = {engine: scheme for scheme, engine in _ENGINES.items()}
_REGISTRY = "docker"


@dataclass(frozen=True, slots=True)
class Image:
    """An image, by what does not change.

    Attributes:
        reference: What an engine knows it by: ``sha256:…``, or ``host/name@sha256:…``.
        engine: That has it; empty where it is in a registry.
    """

    reference: str
    engine: str = ""

    @property
    def digest(self) -> str:
        """Its ID in an engine, or its manifest's digest in a registry."""
        return self.reference.rpartition("@")[2]

    @property
    def location(self) -> str:
        """A URI, as an artifact's location."""
        return f"{_SCHEMES.get(self.engine, _REGISTRY)}://{self.reference}"

    def artifact(self, size: int | None = None) -> Artifact:
        """Give it as a stage's output."""
        return Artifact("image", self.digest, self.location, size)


def parsed(location: str) -> Image:
    """Read a location.

    Raises:
        StageError: It is none of an image.
    """
    scheme, _, reference = location.partition("://")
    if scheme == _REGISTRY and "@sha256:" in reference:
        return Image(reference)
    if scheme in _ENGINES and reference.startswith("sha256:"):
        return Image(reference, _ENGINES[scheme])
    raise StageError(
        f'"{location}" is no image',
        where="inputs.image",
        fix="Take what container.build or container.push made: inputs: {image: build.image}",
    )


def missing(location: str) -> str:
    """Say that an engine no longer has an image, or ``""``. Other locations are not looked at."""
    scheme, _, reference = location.partition("://")
    if scheme not in _ENGINES:
        return ""
    engine = Engine(_ENGINES[scheme])
    try:
        engine.run("image", "inspect", "--format={{.Id}}", reference)
    except (EngineFailed, StageError):
        return f"is no longer in {engine.name}"
    return ""


def folder_of(source: Path, folder: str) -> Path:
    """Give a folder of the sources.

    Raises:
        StageError: There is none of that name.
    """
    found = source / folder
    if found.is_dir():
        return found
    folders = sorted(each.name for each in source.iterdir() if each.is_dir())
    raise StageError(
        f'the sources have no folder "{folder}"',
        where="with.folder",
        fix=f"Their folders: {', '.join(folders) or 'none'}.",
    )
