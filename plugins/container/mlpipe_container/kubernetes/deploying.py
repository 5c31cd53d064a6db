"""Describe, plan, apply, wait, probe, note: a service in a cluster at EKS, and back."""

from dataclasses import dataclass

from mlpipe import Action, Release, RollbackContext, Stage, StageResult, Target
from mlpipe.errors import StageError
from mlpipe_aws import settings
from mlpipe_container.kubernetes import records
from mlpipe_container.kubernetes.access import access
from mlpipe_container.kubernetes.api import Api
from mlpipe_container.kubernetes.comparing import differences, noted
from mlpipe_container.kubernetes.config import KubernetesConfig
from mlpipe_container.kubernetes.probing import probe
from mlpipe_container.kubernetes.rollout import Limits, Overtaken, Waiting
from mlpipe_container.kubernetes.values import Difference, Image, Service, State, Wanted
from mlpipe_container.kubernetes.wanting import wanted as wanted_of
from mlpipe_container.services import KIND


@dataclass(frozen=True, slots=True)
class Manner:
    """How a service is brought into a cluster.

    Attributes:
        force: Whether fields are taken from others.
        limits: How long it may take.
        run: That does it.
    """

    force: bool
    limits: Limits
    run: str = ""


def deploy(config: KubernetesConfig, service: Service, image: Image, stage: Stage) -> StageResult:
    """Bring an image into service.

    Raises:
        StageError: It does not run, or does not answer; what was verified before runs again.
    """
    wanted = wanted_of(config, service, image, stage.root)
    return _put_in_service(_api(stage.target, wanted), wanted, _manner(config, stage.run))


def preview(
    config: KubernetesConfig, service: Service, image: Image, stage: Stage
) -> tuple[Action, ...]:
    """List what ``deploy`` would do. Read-only."""
    wanted = wanted_of(config, service, image, stage.root)
    return planned(wanted, described(_api(stage.target, wanted), wanted, force=config.force))


def rollback(release: Release, context: RollbackContext) -> StageResult:
    """Bring what a release ran into service again, by its digest.

    Raises:
        StageError: It cannot; what was verified before runs again.
    """
    wanted = Wanted.from_payload(release.payload)
    limits = Limits(release.payload.get("timeout", 600.0), release.payload.get("patience", 30.0))
    manner = Manner(bool(release.payload.get("force")), limits, release.run)
    return _put_in_service(_api(context.target, wanted), wanted, manner)


def described(api: Api, wanted: Wanted, *, force: bool) -> State:
    """Look at what the cluster has. Read-only."""
    verified = records.read(api, wanted.service, wanted.namespace)
    return State(differences(api, wanted, force=force), verified)


def planned(wanted: Wanted, state: State) -> tuple[Action, ...]:
    """List what there is to do; nothing where all is as wanted, and verified."""
    actions = tuple(_action(each) for each in state.differences)
    if not actions and (state.verified is None or state.verified.digest != wanted.digest):
        return (Action("verify", f"service {wanted.service}", wanted.image.reference),)
    return actions


def carry_out(api: Api, wanted: Wanted, state: State, manner: Manner) -> None:
    """Apply what differs, wait for the rollout, probe, and note that all is well.

    Raises:
        Overtaken: Somebody else deploys the same service; nothing is brought back then.
        StageError: It did not become so; what was verified before runs again.
    """
    _check_owners(state, force=manner.force)
    try:
        _bring(api, wanted, state.differences, manner)
    except Overtaken:
        raise
    except StageError as error:
        raise _put_back(api, state, manner, error) from error
    records.write(api, wanted)


# -------------------------------------------------------------------------------------------------


def _put_in_service(api: Api, wanted: Wanted, manner: Manner) -> StageResult:
    state = described(api, wanted, force=manner.force)
    for action in planned(wanted, state):
        print(action.summary, flush=True)
    carry_out(api, wanted, state, manner)
    limits = {"timeout": manner.limits.timeout, "patience": manner.limits.patience}
    payload = {**wanted.payload(), **limits, "force": manner.force}
    version = wanted.image.version or wanted.image.digest[7:19]
    place = f"{wanted.cluster}/{wanted.namespace}"
    return StageResult(
        values={
            "service": wanted.service,
            "digest": wanted.image.digest,
            "version": version,
            "place": place,
        },
        releases=(Release(KIND, wanted.service, payload, version=version),),
        summary=f"{version} in {place}",
    )


def _api(target: Target, wanted: Wanted) -> Api:
    return Api(access(settings(target), wanted.cluster))


def _manner(config: KubernetesConfig, run: str) -> Manner:
    return Manner(config.force, Limits(config.timeout, config.patience), run)


def _bring(api: Api, wanted: Wanted, changes: tuple[Difference, ...], manner: Manner) -> None:
    for change in changes:
        body = noted(change.body, wanted.image.commit, manner.run)
        api.apply(change.path, body, force=manner.force)
    Waiting(api, wanted, manner.limits).wait()
    probe(api, wanted, manner.limits.timeout)


def _put_back(api: Api, state: State, manner: Manner, error: StageError) -> StageError:
    """Bring back what was verified last; give the error that says what became of all."""
    before = state.verified
    if before is None:
        return _with(error, "nothing was in service before; it is left as it is, to be looked at")
    said = before.image.version or before.image.digest[:19]
    print(f"{said} is brought back", flush=True)
    try:
        _bring(api, before, differences(api, before, force=manner.force), manner)
    except StageError as second:
        return _with(error, f"{said} could not be brought back: {second.what}")
    return _with(error, f"{said} is in service again, its digest read back")


def _with(error: StageError, line: str) -> StageError:
    return StageError(f"{error.what}\n   {line}", where=error.where, fix=error.fix)


def _action(change: Difference) -> Action:
    if change.new:
        return Action("create", change.subject)
    if change.taken:
        return Action("take", change.subject, ", ".join(change.taken))
    return Action("update", change.subject, ", ".join(change.fields))


def _check_owners(state: State, *, force: bool) -> None:
    taken = [f"{each.subject}: {field}" for each in state.differences for field in each.taken]
    if taken and not force:
        raise StageError(
            "somebody else has set fields to other values:\n   " + "\n   ".join(taken),
            where="kubernetes",
            fix="Leave these fields out of the manifests, or take them: force: true.",
        )
