"""The images that a Dockerfile starts from, and what they are right now."""

import io
from collections.abc import Mapping
from pathlib import Path

from mlpipe import Stage
from mlpipe.errors import StageError
from mlpipe_container import engines, registries
from mlpipe_container.config import BuildConfig
from mlpipe_container.engines import Engine, EngineFailed
from mlpipe_container.images import folder_of


def identities(config: BuildConfig, stage: Stage) -> Mapping[str, str]:
    """Say which images the bases' names mean now: a tag may mean another one tomorrow.

    Raises:
        StageError: There is no Dockerfile, no engine, or a base is nowhere.
    """
    engine = engines.find(config.engine)
    found = {"engine": engine.name}
    for name in _bases(config, stage):
        if "@sha256:" not in name:
            found[f"base {name}"] = _identity(engine, name, newest=config.pull)
    return found


def source_of(config: BuildConfig, stage: Stage) -> Path:
    """Give the folder of the sources.

    Raises:
        StageError: It is not there.
    """
    if config.context is not None:
        return folder_of(stage.root / config.context, config.folder)
    if "source" not in stage.inputs:
        raise StageError("the sources are not known yet", where="inputs.source")
    return folder_of(stage.inputs["source"].path(), config.folder)


def parents(dockerfile: str, build_args: Mapping[str, object]) -> list[str]:
    """List the images that a Dockerfile's text names, without its own stages and ``scratch``.

    Args:
        dockerfile: The text.
        build_args: Values of ARG.
    """
    from dockerfile_parse import DockerfileParser

    parser = DockerfileParser(
        fileobj=io.BytesIO(dockerfile.encode()),
        build_args={name: str(value) for name, value in build_args.items()},
    )
    own = {"scratch"}
    found = []
    for image, line in zip(parser.parent_images, _froms(parser.structure), strict=False):
        if image not in own and image not in found:
            found.append(image)
        words = line.split()
        if len(words) > 2 and words[-2].lower() == "as":
            own.add(words[-1])
    return found


def _froms(structure: list[dict[str, str]]) -> list[str]:
    return [each["value"] for each in structure if each["instruction"] == "FROM"]


def _bases(config: BuildConfig, stage: Stage) -> list[str]:
    if config.python is not None:
        return [config.python.base]
    return parents(read(source_of(config, stage), config), config.build_args)


def read(folder: Path, config: BuildConfig) -> str:
    """Read the Dockerfile.

    Raises:
        StageError: There is none.
    """
    path = folder / config.dockerfile
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        near = sorted(each.name for each in folder.glob("*ockerfile*"))
        seen = f"There is {', '.join(near)}: dockerfile: {near[0]}." if near else ""
        raise StageError(
            f"there is no Dockerfile ({error.__class__.__name__})",
            where=config.dockerfile,
            fix=seen or "Write one, or let mlpipe write it for a Python project: python: {…}.",
        ) from None


def _identity(engine: Engine, name: str, *, newest: bool) -> str:
    here = "" if newest else _local(engine, name)
    if here:
        return here
    repository, reference = registries.split(name)
    manifest = registries.client(engine, repository).manifest(reference)
    if manifest is None:
        raise StageError(f"there is no image {name}", where="FROM", fix="Look at its name.")
    return manifest.digest


def _local(engine: Engine, name: str) -> str:
    """Give the digest of an image by which its registry knows it, or else its ID."""
    form = "{{if .RepoDigests}}{{index .RepoDigests 0}}{{else}}{{.Id}}{{end}}"
    try:
        return engine.run("image", "inspect", f"--format={form}", name).rpartition("@")[2]
    except EngineFailed:
        return ""
