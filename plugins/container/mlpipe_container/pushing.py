"""Storing an image under a version, once."""

from mlpipe import Action, Release, Stage, StageResult
from mlpipe.errors import StageError
from mlpipe_container import attaching, engines, pulling, registries, shelves
from mlpipe_container.config import PushConfig
from mlpipe_container.engines import Engine
from mlpipe_container.images import Image, parsed
from mlpipe_container.shelves import Shelf, Stored

KIND = "image"


def preview(config: PushConfig, stage: Stage) -> tuple[Action, ...]:
    """List what ``run`` would do.

    Raises:
        StageError: The version is another image.
    """
    shelf = shelves.shelf_of(config, stage)
    found = _kept(shelf, config, stage)
    named = f"image {shelf.repository}:{config.version}"
    bill = attaching.bill_of(stage)
    actions: tuple[Action, ...] = ()
    if found is None:
        actions = (*shelf.preparations(), Action("create", named))
    registry = shelf.registry
    if bill is None or registry is None:
        return actions
    if found is not None and attaching.is_attached(registry, found.image.digest, bill):
        return actions
    return (*actions, Action("create", f"bill of materials of {named}"))


def run(config: PushConfig, stage: Stage) -> StageResult:
    """Push the image, unless its version is there; read back what is there then.

    Raises:
        StageError: The version is another image, or the registry does not take it.
    """
    shelf = shelves.shelf_of(config, stage)
    found = _kept(shelf, config, stage)
    if found is None:
        image = parsed(stage.inputs["image"].uri())
        engine = engines.find(image.engine or None)
        identifier = pulling.here(engine, image, stage.scratch)
        shelf.put(engine, identifier, config.version)
        found = _read_back(shelf, config, identifier)
    bill, registry = attaching.bill_of(stage), shelf.registry
    if bill is not None and registry is not None:
        attaching.attach(registry, found.image.digest, bill)
    return _result(shelf, config, found)


def _kept(shelf: Shelf, config: PushConfig, stage: Stage) -> Stored | None:
    found = shelf.find(config.version)
    if found is None:
        return None
    identifier = _identifier(parsed(stage.inputs["image"].uri()))
    if found.identifier != identifier:
        raise shelves.taken(shelf, config.version, found, identifier)
    return found


def _identifier(image: Image) -> str:
    if image.engine:
        return image.digest
    repository, digest = registries.split(image.reference)
    manifest = registries.client(Engine("docker"), repository).manifest(digest)
    return manifest.config if manifest else ""


def _read_back(shelf: Shelf, config: PushConfig, identifier: str) -> Stored:
    found = shelf.find(config.version)
    if found is None:
        raise StageError(
            f"version {config.version} is not there after the push", where=shelf.repository
        )
    if found.identifier != identifier:
        raise shelves.taken(shelf, config.version, found, identifier)
    return found


def _result(shelf: Shelf, config: PushConfig, found: Stored) -> StageResult:
    facts = {
        "reference": found.reference,
        "repository": shelf.repository,
        "version": config.version,
        "digest": found.image.digest,
    }
    release = Release(KIND, shelf.repository, {**facts, "id": found.identifier}, config.version)
    print(f"{found.reference} is {found.image.digest}")
    return StageResult(
        outputs={"image": found.image.artifact()},
        values=facts,
        releases=(release,),
        summary=f"{config.version} · {found.image.digest[:19]}",
    )
