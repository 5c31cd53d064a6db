"""Describe, plan, execute, read back, probe: the same for every backend."""

from dataclasses import replace
from pathlib import Path

from mlpipe import Action, Release, RollbackContext, Stage, StageResult
from mlpipe.errors import StageError
from mlpipe_endpoint import experimenting, plan
from mlpipe_endpoint.config import EndpointConfig
from mlpipe_endpoint.contract import Backend
from mlpipe_endpoint.values import Deployment, Model, Probe, shares
from mlpipe_endpoint.wanted import probe_of, wanted_of


def deploy(config: EndpointConfig, stage: Stage) -> StageResult:
    """Serve the stage's inputs; see ``EndpointConfig``.

    Raises:
        StageError: The endpoint does not serve what was asked for afterwards.
    """
    wanted, decided = wanted_of(config, stage), config.plan
    if decided is not None:
        experimenting.check(decided, wanted, stage)
    backend = _backend(stage.root, stage.state_dir)
    with backend.exclusively(wanted.name):
        settled = plan.settle(wanted, backend.describe(wanted.name))
        result = _put_in_service(backend, settled, probe_of(config, stage))
        if decided is not None:
            experimenting.begin(decided, wanted, stage)
    return result


def preview(config: EndpointConfig, stage: Stage) -> tuple[Action, ...]:
    """List what ``deploy`` would do."""
    wanted, decided = wanted_of(config, stage), config.plan
    found = _backend(stage.root, stage.state_dir).describe(wanted.name)
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
    if (now.variants, now.weights, now.salt) != (wanted.variants, wanted.weights, wanted.salt):
        raise StageError(
            f'endpoint "{wanted.name}" serves {shares(now.weights)} after the deploy, '
            f"wanted {shares(wanted.weights)}",
            fix="Something else changed it meanwhile. Run the recipe again.",
        )
    return now


def _result(now: Deployment) -> StageResult:
    payload = now.to_json()
    release = Release(
        kind="endpoint",
        name=now.name,
        payload={key: payload[key] for key in ("variants", "weights", "port", "salt")},
    )
    return StageResult(
        values={"endpoint": now.name, "url": now.url, "port": now.port},
        releases=(release,),
        summary=shares(now.weights),
    )


def _released(release: Release) -> Deployment:
    try:
        variants = {
            name: Model(model["digest"], model["location"])
            for name, model in release.payload["variants"].items()
        }
        weights = {name: float(weight) for name, weight in release.payload["weights"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise StageError(
            f"the release holds no variants and weights ({error!r})",
            where=release.label or release.name,
            fix="Roll back to another one: mlpipe releases list",
        ) from error
    salt = str(release.payload.get("salt", ""))
    return Deployment(release.name, variants, weights, declared=weights, salt=salt)
