"""Where versions of an image are kept: a registry, ECR, or the engine's own images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mlpipe import Action, Stage
from mlpipe.errors import StageError
from mlpipe_container import engines, failures, pulling, reaching, registries
from mlpipe_container.config import PushConfig, has_host
from mlpipe_container.credentials import Login
from mlpipe_container.engines import Engine, EngineFailed
from mlpipe_container.images import Image, parsed
from mlpipe_container.registries import Registry, Repository


@dataclass(frozen=True, slots=True)
class Stored:
    """A version that is kept.

    Attributes:
        image: Where, by what does not change.
        identifier: The image's ID in an engine, which its configuration's digest is.
        reference: What people and engines name it by.
    """

    image: Image
    identifier: str
    reference: str


class Shelf(Protocol):
    """Keeps versions."""

    @property
    def repository(self) -> str:
        """Its name, with the host where it has one."""

    @property
    def registry(self) -> Registry | None:
        """Its client, where it is in a registry."""

    def find(self, version: str) -> Stored | None:
        """Give what a version is."""

    def preparations(self) -> tuple[Action, ...]:
        """List what must be made before a version can be put there."""

    def put(self, engine: Engine, identifier: str, version: str) -> None:
        """Put an image of an engine there."""


@dataclass(frozen=True, slots=True)
class EngineShelf:
    """The engine's own images: on a machine that has no registry.

    Attributes:
        repository: The name.
        engine: The engine.
        registry: There is none.
    """

    repository: str
    engine: Engine
    registry: None = None

    def find(self, version: str) -> Stored | None:
        """Ask the engine for the tag."""
        reference = f"{self.repository}:{version}"
        try:
            identifier = pulling.identifier(self.engine, reference)
        except EngineFailed:
            return None
        return Stored(Image(identifier, self.engine.name), identifier, reference)

    def preparations(self) -> tuple[Action, ...]:
        """Nothing is needed."""
        return ()

    def put(self, engine: Engine, identifier: str, version: str) -> None:
        """Tag it."""
        engine.run("tag", identifier, f"{self.repository}:{version}")


@dataclass(frozen=True, slots=True)
class RegistryShelf:
    """A repository of a registry.

    Attributes:
        registry: The registry's client.
        scratch: A folder of the stage's own, for a login.
    """

    registry: Registry
    scratch: Path

    @property
    def repository(self) -> str:
        """Host and name."""
        return str(self.registry.repository)

    def find(self, version: str) -> Stored | None:
        """Ask the registry for the tag."""
        manifest = self.registry.manifest(version)
        if manifest is None:
            return None
        reference = f"{self.repository}@{manifest.digest}"
        return Stored(Image(reference), manifest.config, f"{self.repository}:{version}")

    def preparations(self) -> tuple[Action, ...]:
        """Registries make repositories by themselves."""
        return ()

    def put(self, engine: Engine, identifier: str, version: str) -> None:
        """Push it. The manifest goes last: until then there is no such version.

        Raises:
            StageError: It does not get there.
        """
        reference = f"{self.repository}:{version}"
        here = reaching.reach(engine, self.registry.repository, self.registry.login, self.scratch)
        try:
            here.run("tag", identifier, reference)
            here.stream("push", *reaching.plain(here, self.registry.repository), reference)
        except EngineFailed as error:
            raise failures.explained(error, reference) from error


def shelf_of(config: PushConfig, stage: Stage) -> Shelf:
    """Give the place that a recipe means.

    Raises:
        StageError: The target's settings are wrong, or there is no engine.
    """
    name = config.repository
    host = str(stage.target.settings.get("registry", ""))
    if has_host(name):
        return _registry(config, stage, registries.split(name)[0])
    if stage.target.type == "aws":
        from mlpipe_container.ecr import EcrShelf

        return EcrShelf.of(name, stage, scan=config.scan)
    if host:
        return _registry(config, stage, Repository(host.rstrip("/"), name))
    return EngineShelf(f"localhost/{name}", engines.find(_engine_of(stage)))


def _registry(config: PushConfig, stage: Stage, repository: Repository) -> RegistryShelf:
    if config.password is not None:
        login = Login(config.username, stage.secret(config.password))
        return RegistryShelf(Registry(repository, login), stage.scratch)
    engine = Engine(_engine_of(stage) or "docker")
    return RegistryShelf(registries.client(engine, repository), stage.scratch)


def _engine_of(stage: Stage) -> str | None:
    return parsed(stage.inputs["image"].uri()).engine or None


def taken(shelf: Shelf, version: str, found: Stored, identifier: str) -> StageError:
    """Say that a version stands for another image."""
    return StageError(
        f"version {version} is another image there: {found.identifier[:19]}, and this one is "
        f"{identifier[:19]}",
        where=shelf.repository,
        fix="A version is never overwritten. Give this one another: tag the commit, or commit "
        "what changed.",
    )
