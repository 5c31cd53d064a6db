"""Describe, plan, execute, read back, probe: the same for every backend."""

from dataclasses import replace

from mlpipe import Action, Release, RollbackContext, Stage, StageResult, Target
from mlpipe.errors import StageError
from mlpipe_endpoint import experimenting, places, plan
from mlpipe_endpoint.config import EndpointConfig
from mlpipe_endpoint.contract import Backend
from mlpipe_endpoint.values import Deployment, Probe, near, shares
from mlpipe_endpoint.wanted import probe_of, wanted_of

#: Of the releases that are made here.
KIND = "endpoint"


def deploy(config: EndpointConfig, stage: Stage) -> StageResult:
    """Serve the stage's inputs; see ``EndpointConfig``.

    Raises:
        StageError: The endpoint does not serve what was asked for afterwards.
    """
    backend = places.backend(stage.target, stage.root, stage.state_dir, stage.secrets)
    with backend.exclusively(config.endpoint):
        found = backend.describe(config.endpoint)
        wanted = wanted_of(config, stage, found)
        decided = experimenting.plan_of(config, wanted)
        if decided is not None:
            experimenting.check(decided, wanted, stage)
        places.remember(stage.target, stage.state_dir)
        result = _put_in_service(backend, plan.settle(wanted, found), probe_of(config, stage))
        if decided is not None:
            experimenting.begin(decided, wanted, stage, backend.records(wanted.name))
    return result


def preview(config: EndpointConfig, stage: Stage) -> tuple[Action, ...]:
    """List what ``deploy`` would do."""
    backend = places.backend(stage.target, stage.root, stage.state_dir, stage.secrets)
    found = backend.describe(config.endpoint)
    wanted = wanted_of(config, stage, found)
    decided = experimenting.plan_of(config, wanted)
    actions = backend.actions(plan.settle(wanted, found), found)
    return (
        actions if decided is None else (*actions, *experimenting.actions(decided, wanted, stage))
    )


def rollback(release: Release, context: RollbackContext) -> StageResult:
    """Serve what a release served, with its weights, at the endpoint's present port.

    Raises:
        StageError: The release cannot be served; what was serving still is.
    """
    wanted = _released(release)
    _check_place(wanted, release, context.target)
    backend = places.backend(context.target, context.root, context.state_dir, context.secrets)
    with backend.exclusively(wanted.name):
        return _put_in_service(backend, wanted, None)


def _check_place(wanted: Deployment, release: Release, target: Target) -> None:
    if bool(wanted.hosting) != (target.type == places.AWS):
        raise StageError(
            f'release {release.label} is not for target "{target.name}"',
            where=f"endpoint {wanted.name}",
            fix="Run the recipe on the target that is meant; then repeat.",
        )


def _put_in_service(backend: Backend, wanted: Deployment, probe: Probe | None) -> StageResult:
    found = backend.describe(wanted.name)
    if found is not None:
        wanted = replace(wanted, port=wanted.port or found.deployment.port)
    before = backend.verified(wanted.name)
    for action in backend.actions(wanted, found):
        print(action.summary, flush=True)
    try:
        backend.apply(wanted, found, probe)
    except StageError:
        if found is not None and not found.verified:  # what serves, nobody has probed
            _put_back(backend, wanted.name, before)
        raise
    now = _read_back(backend, wanted)
    try:
        backend.check(now, probe)
    except StageError:
        _put_back(backend, now.name, before)
        raise
    backend.confirm(now.name)
    return _result(now, backend.address(now))


def _put_back(backend: Backend, name: str, before: Deployment | None) -> None:
    """Serve again what last answered the probe, where models that may not have its traffic."""
    if before is not None:
        print("what was in service is put back", flush=True)
        backend.apply(before, backend.describe(name), None)
        backend.confirm(name)


def _read_back(backend: Backend, wanted: Deployment) -> Deployment:
    found = backend.describe(wanted.name)
    if found is None or not found.running:
        raise StageError(f'endpoint "{wanted.name}" stopped again after the deploy')
    now = found.deployment
    alike = replace(now, port=wanted.port, weights=wanted.weights)
    if alike != wanted or not near(now.weights, wanted.weights):
        raise StageError(
            f'endpoint "{wanted.name}" serves {shares(now.weights)} after the deploy, '
            f"wanted {shares(wanted.weights)}",
            fix="Something else changed it meanwhile. Run the recipe again.",
        )
    return now


def _result(now: Deployment, address: str) -> StageResult:
    release = Release(kind=KIND, name=now.name, payload=now.payload())
    return StageResult(
        values={"endpoint": now.name, "url": address, "port": now.port},
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
