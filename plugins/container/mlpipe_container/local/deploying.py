"""Describe, plan, change, look again: a service of this machine."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mlpipe import Action, Release, RollbackContext, Stage, StageResult
from mlpipe.errors import StageError
from mlpipe_container import engines, pulling, services
from mlpipe_container.config import DeployConfig
from mlpipe_container.engines import Engine, EngineFailed
from mlpipe_container.images import parsed
from mlpipe_container.local.backend import LocalService, kept
from mlpipe_container.services import KIND, Service


def preview(config: DeployConfig, stage: Stage) -> tuple[Action, ...]:
    """List what ``deploy`` would do. Read-only."""
    wanted, local = _meant(config, stage)
    return local.actions(wanted, local.describe())


def deploy(config: DeployConfig, stage: Stage) -> StageResult:
    """Serve the stage's image; see ``DeployConfig``.

    Raises:
        StageError: The service is not well with it; what was in service still is.
    """
    wanted, local = _meant(config, stage)
    return _put_in_service(wanted, local, stage.scratch)


def rollback(release: Release, context: RollbackContext) -> StageResult:
    """Serve what a release served, at the service's present port.

    Raises:
        StageError: It cannot be served; what was serving still is.
    """
    wanted = _released(release)
    engine = _engine_of(wanted, context.state_dir)
    for name in wanted.secrets:
        _check_secret(name, context.secrets)
    local = LocalService(wanted.name, context.state_dir, engine, context.secrets)
    with tempfile.TemporaryDirectory() as folder:
        return _put_in_service(wanted, local, Path(folder))


def _meant(config: DeployConfig, stage: Stage) -> tuple[Service, LocalService]:
    for name in config.secrets:
        stage.secret(name)
    wanted = services.wanted(config, stage)
    engine = _engine_of(wanted, stage.state_dir)
    local = LocalService(wanted.name, stage.state_dir, engine, stage.secrets)
    return replace(wanted, version=wanted.version or _version(engine, wanted)), local


def _engine_of(wanted: Service, state_dir: Path) -> Engine:
    """Give the engine that is meant: as the recipe says, or the one that has the image.

    Else the one that runs the service already, for its containers are there.
    """
    named = wanted.engine or parsed(wanted.image).engine
    return engines.find(named or kept(state_dir, wanted.name).get("engine"))


def _put_in_service(wanted: Service, local: LocalService, scratch: Path) -> StageResult:
    with local.exclusively():
        for action in local.actions(wanted, local.describe()):
            print(action.summary, flush=True)
        identifier = pulling.here(local.engine, parsed(wanted.image), scratch)
        port = local.put(wanted, identifier)
        _read_back(wanted, local)
    release = Release(KIND, wanted.name, wanted.payload(), version=wanted.version)
    url = f"http://127.0.0.1:{port}"
    values = {"service": wanted.name, "url": url, "port": port, "version": wanted.version}
    return StageResult(values=values, releases=(release,), summary=f"{wanted.version} at {url}")


def _read_back(wanted: Service, local: LocalService) -> None:
    left = local.actions(wanted, local.describe())
    if left:
        raise StageError(
            f"after the deploy there is still to do: {left[0].summary}",
            where=f"service {wanted.name}",
            fix="Something else changed it meanwhile. Run the recipe again.",
        )


def _version(engine: Engine, wanted: Service) -> str:
    """Give the version that the image's labels name, or else the start of its digest."""
    image = parsed(wanted.image)
    form = "--format={{json .Config.Labels}}"
    try:
        labels = json.loads(engine.run("image", "inspect", form, image.reference)) or {}
    except EngineFailed:
        labels = {}
    return labels.get("org.opencontainers.image.version") or image.digest[7:19]


def _released(release: Release) -> Service:
    try:
        return Service.from_payload(release.payload)
    except TypeError as error:
        raise StageError(
            f"the release holds no service ({error})",
            where=release.label or release.name,
            fix="Roll back to another one: mlpipe releases list",
        ) from error


def _check_secret(name: str, values: Mapping[str, str]) -> None:
    if name not in values:
        raise StageError(
            f"the secret {name} of the service is not there",
            fix=f"Set it in the environment: export {name}=…",
        )
