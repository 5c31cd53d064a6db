"""The plugin ``container``: images from a commit to a service, and back."""

from collections.abc import Mapping, Sequence

from mlpipe import Action, Check, Release, RollbackContext, Stage, StageResult, hookimpl
from mlpipe_container.config import BuildConfig, DeployConfig, PushConfig


@hookimpl
def build(config: BuildConfig, stage: Stage) -> StageResult:
    """Build an image."""
    from mlpipe_container.building import run

    return run(config, stage)


@hookimpl
def push(config: PushConfig, stage: Stage) -> StageResult:
    """Store an image in a registry under its version."""
    from mlpipe_container.pushing import run

    return run(config, stage)


@hookimpl
def deploy(config: DeployConfig, stage: Stage) -> StageResult:
    """Put an image into service."""
    from mlpipe_container.deploying import deploy as deployed

    return deployed(config, stage)


@hookimpl
def resolve(config: BuildConfig, stage: Stage) -> Mapping[str, str]:
    """Say which images the new one starts from."""
    from mlpipe_container.bases import identities

    return identities(config, stage)


@hookimpl
def preview(config: object, stage: Stage) -> Sequence[Action]:
    """List what ``push`` or ``deploy`` would change. Read-only."""
    if isinstance(config, PushConfig):
        from mlpipe_container import pushing

        return pushing.preview(config, stage)
    from mlpipe_container import deploying

    assert isinstance(config, DeployConfig)
    return deploying.preview(config, stage)


@hookimpl
def rollback(release: Release, context: RollbackContext) -> StageResult:
    """Put the image of an earlier release into service again."""
    from mlpipe_container import deploying

    return deploying.rollback(release, context)


@hookimpl
def explain_error(error: BaseException) -> str | None:
    """Say what to do about an error of AWS's."""
    import mlpipe_aws

    return mlpipe_aws.explain(error)


@hookimpl
def doctor() -> Sequence[Check]:
    """Look for an engine."""
    from mlpipe_container.engines import checks

    return checks()
