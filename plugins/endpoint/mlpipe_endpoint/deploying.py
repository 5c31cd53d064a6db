"""Describe, plan, execute, read back, probe: the same for every backend."""

from dataclasses import replace
from pathlib import Path

from mlpipe import Action, Release, RollbackContext, Stage, StageResult
from mlpipe.errors import StageError
from mlpipe_endpoint import experimenting, plan
from mlpipe_endpoint.config import EndpointConfig
from mlpipe_endpoint.contract import Backend
from mlpipe_endpoint.values import Deployment, Probe, shares
from mlpipe_endpoint.wanted import probe_of, wanted_of

#: Of the releases that are made here.
KIND = "endpoint"


def deploy(config: EndpointConfig, stage: Stage) -> StageResult:
    """Serve the stage's inputs; see ``EndpointConfig``.

    Raises:
        StageError: The endpoint does not serve what was asked for afterwards.
    """
    backend = _backend(stage.root, stage.state_dir)
    with backend.exclusively(config.endpoint):
        found = backend.describe(config.endpoint)
        wanted = wanted_of(config, stage, found)
        decided = experimenting.plan_of(config, wanted)
        if decided is not None:
            experimenting.check(decided, wanted, stage)
        result = _put_in_service(backend, plan.settle(wanted, found), probe_of(config, stage))
        if decided is not None:
            experimenting.begin(decided, wanted, stage)
    return result


def preview(config: EndpointConfig, stage: Stage) -> tuple[Action, ...]:
    """List what ``deploy`` would do."""
    found = _backend(stage.root, stage.state_dir).describe(config.endpoint)
    wanted = wanted_of(config, stage, found)
    decided = experimenting.plan_of(config, wanted)
    actions = plan.actions(plan.settle(wanted, found), found)
    return (
        actions if decided is None else (*actions, *experimenting.actions(decided, wanted, stage))
    )


def rollback(release: Release, context: RollbackContext) -> StageResult:
    """Serve what a release served, with its weights, at the endpoint's present port.

    Raises:
        StageError: The release cannot be served; what was serving still is.
    """
    wanted = _released(release)
    backend = _backend(context.root, context.state_dir)
    with backend.exclusively(wanted.name):
        return _put_in_service(backend, wanted, None)


def _backend(root: Path, state_dir: Path) -> Backend:
    """Give what serves: this machine, under any target."""
    from mlpipe_endpoint.local import LocalBackend

    return LocalBackend(root, state_dir / "endpoints")


def _put_in_service(backend: Backend, wanted: Deployment, probe: Probe | None) -> StageResult:
    found = backend.describe(wanted.name)
    if found is not None:
        wanted = replace(wanted, port=wanted.port or found.deployment.port)
    for action in plan.actions(wanted, found):
        print(action.summary, flush=True)
    backend.apply(wanted, found, probe)
    now = _read_back(backend, wanted)
    backend.check(now, probe)
    backend.confirm(now.name)
    return _result(now)


def _read_back(backend: Backend, wanted: Deployment) -> Deployment:
    found = backend.describe(wanted.name)
    if found is None or not found.running:
        raise StageError(f'endpoint "{wanted.name}" stopped again after the deploy')
    now = found.deployment
    if replace(now, port=wanted.port) != wanted:
        raise StageError(
            f'endpoint "{wanted.name}" serves {shares(now.weights)} after the deploy, '
            f"wanted {shares(wanted.weights)}",
            fix="Something else changed it meanwhile. Run the recipe again.",
        )
    return now


def _result(now: Deployment) -> StageResult:
    release = Release(kind=KIND, name=now.name, payload=now.payload())
    return StageResult(
        values={"endpoint": now.name, "url": now.url, "port": now.port},
        releases=(release,),
        summary=shares(now.weights),
    )


def _released(release: Release) -> Deployment:
    try:
        found = Deployment.from_json({**release.payload, "name": release.name})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StageError(
            f"the release holds no variants and weights ({error!r})",
            where=release.label or release.name,
            fix="Roll back to another one: mlpipe releases list",
        ) from error
    return replace(found, port=0)  # the endpoint stays where it is
