"""Building an image."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlpipe import Stage, StageResult
from mlpipe.errors import StageError
from mlpipe_container import bases, contexts, engines, failures, names, python, sbom
from mlpipe_container.config import BuildConfig
from mlpipe_container.engines import Engine, EngineFailed
from mlpipe_container.images import Image

#: Of the specification's names for what is known of an image.
_OCI = "org.opencontainers.image."
#: The first with a BuildKit that gives the same bytes for SOURCE_DATE_EPOCH.
_REPRODUCIBLE_DOCKER = 23


@dataclass(frozen=True, slots=True)
class Builder:
    """How an engine builds.

    Attributes:
        engine: The engine.
        kit: Whether it is Docker with BuildKit.
    """

    engine: Engine
    kit: bool

    @property
    def mounts_secrets(self) -> bool:
        """Whether RUN can be given secrets that do not stay."""
        return self.kit or self.engine.is_podman

    @property
    def is_reproducible(self) -> bool:
        """Whether the same files can give the same bytes."""
        major = int(self.engine.version.partition(".")[0] or 0)
        return self.engine.is_podman or (self.kit and major >= _REPRODUCIBLE_DOCKER)


def run(config: BuildConfig, stage: Stage) -> StageResult:
    """Build the image, and list what is in it.

    Raises:
        StageError: There is no engine or Dockerfile, or it does not build.
    """
    builder = _builder(config)
    source = bases.source_of(config, stage)
    written = _dockerfile(config, stage, source)
    when = contexts.seconds(config.created) if config.created else None
    context = contexts.copied(source, stage.scratch / "context", _more(stage), when)
    try:
        image = _built(builder, config, stage, context, written)
        return _result(builder.engine, stage, image, written)
    except EngineFailed as error:
        raise failures.of_build(error, config) from error


def _more(stage: Stage) -> dict[str, Path]:
    """Give the stage's other inputs, as a model, by their names."""
    return {name: each.path() for name, each in stage.inputs.items() if name != "source"}


def _builder(config: BuildConfig) -> Builder:
    engine = engines.find(config.engine)
    builder = Builder(engine, not engine.is_podman and _has_buildkit(engine))
    if config.secrets and not builder.mounts_secrets:
        raise StageError(
            "Docker has no BuildKit here, and secrets need it",
            where="with.secrets",
            fix="Install Docker's plugin buildx, or build with Podman: engine: podman.",
        )
    if config.reproducible and not builder.is_reproducible:
        raise StageError(
            f"{engine.name} {engine.version} cannot build the same bytes twice",
            where="with.reproducible",
            fix=f"It takes Docker {_REPRODUCIBLE_DOCKER} or later with BuildKit, or Podman.",
        )
    return builder


def _has_buildkit(engine: Engine) -> bool:
    try:
        engine.run("buildx", "version")
    except EngineFailed:
        # Before 23, the command speaks to the server's own BuildKit, and needs no plugin.
        return int(engine.run("--version").split("version ")[1].partition(".")[0]) < 23
    return True


def _dockerfile(config: BuildConfig, stage: Stage, source: Path) -> Path:
    """Give the Dockerfile as it is an output, written or read."""
    if config.python is None:
        text = bases.read(source, config)
    else:
        text = python.dockerfile(config.python, source)
    given = stage.output("dockerfile", file="Dockerfile")
    given.write_text(text)
    return given


def _built(
    builder: Builder, config: BuildConfig, stage: Stage, context: Path, dockerfile: Path
) -> str:
    """Build; give the image's ID."""
    identifier = stage.scratch / "image-id"
    options = [
        f"--iidfile={identifier}",
        f"--tag={names.of_build(stage.recipe, stage.name)}",
        f"--file={dockerfile}",
        *_options(builder, config, stage),
    ]
    variables = {} if builder.engine.is_podman else {"DOCKER_BUILDKIT": str(int(builder.kit))}
    if builder.kit:
        variables["BUILDKIT_PROGRESS"] = "plain"
    builder.engine.stream("build", *options, str(context), **variables)
    return identifier.read_text().strip()


def _options(builder: Builder, config: BuildConfig, stage: Stage) -> Sequence[str]:
    given = [
        *(f"--build-arg={name}={_text(value)}" for name, value in config.build_args.items()),
        *engines.labelled(_labels(config)),
        *_secrets(config, stage),
    ]
    places = {"network": config.network, "platform": config.platform, "target": config.target}
    given += [f"--{name}={value}" for name, value in places.items() if value]
    if config.pull:
        given.append("--pull")
    if builder.engine.is_podman:
        # OCI's has no HEALTHCHECK, and Docker's keeps the name of a container that was built in.
        given.append(f"--format={'oci' if config.reproducible else 'docker'}")
    if config.reproducible:
        given.append("--no-cache")
        given += _dated(builder, contexts.seconds(config.created))
    return given


def _dated(builder: Builder, when: int) -> list[str]:
    if builder.engine.is_podman:
        # Layers in between have random names, which the image's history would keep.
        return [f"--timestamp={when}", "--layers=false"]
    return [f"--build-arg=SOURCE_DATE_EPOCH={when}"]


def _labels(config: BuildConfig) -> dict[str, str]:
    known = {
        "created": config.created,
        "revision": config.revision,
        "source": config.repository,
        "version": config.version,
    }
    found = {f"{_OCI}{name}": value for name, value in known.items() if value}
    return {**found, **config.labels}


def _secrets(config: BuildConfig, stage: Stage) -> list[str]:
    """Write secrets to files of the stage's own, which are removed with it."""
    folder = stage.scratch / "secrets"
    folder.mkdir(mode=0o700, exist_ok=True)
    options = []
    for name, secret in config.secrets.items():
        path = folder / name
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(stage.secret(secret))
        options.append(f"--secret=id={name},src={path}")
    return options


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _result(engine: Engine, stage: Stage, identifier: str, dockerfile: Path) -> StageResult:
    facts = json.loads(engine.run("image", "inspect", identifier))[0]
    # Podman leaves "sha256:" out.
    image = Image(f"sha256:{facts['Id'].removeprefix('sha256:')}", engine.name)
    size, layers = int(facts["Size"]), len(facts["RootFS"]["Layers"] or ())
    found, system = sbom.packages(engine, image.reference)
    bill = stage.output("sbom", file="sbom.cdx.json")
    bill.write_bytes(
        sbom.document(names.of_build(stage.recipe, stage.name), image.digest, found, system)
    )
    return StageResult(
        outputs={"image": image.artifact(size), "sbom": bill, "dockerfile": dockerfile},
        metrics={"size": size, "layers": layers, "packages": len(found)},
        values={"id": image.digest, "engine": engine.name},
        summary=f"{size / 1e6:,.1f} MB, {layers} layers, {len(found)} packages",
    )
