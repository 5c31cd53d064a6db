"""Where a service is put: on this machine, or into a cluster at EKS on a target of type aws."""

from mlpipe import Action, Release, RollbackContext, Stage, StageResult
from mlpipe.errors import StageError
from mlpipe_container.config import DeployConfig
from mlpipe_container.services import KIND

_AWS = "aws"


def preview(config: DeployConfig, stage: Stage) -> tuple[Action, ...]:
    """List what ``deploy`` would do. Read-only."""
    if stage.target.type == _AWS:
        from mlpipe_container.kubernetes import of_recipe

        return of_recipe.preview(config, stage)
    from mlpipe_container.local import deploying

    return deploying.preview(config, stage)


def deploy(config: DeployConfig, stage: Stage) -> StageResult:
    """Serve the stage's image; see ``DeployConfig``.

    Raises:
        StageError: The service is not well with it; what was in service still is.
    """
    if stage.target.type == _AWS:
        from mlpipe_container.kubernetes import of_recipe

        return of_recipe.deploy(config, stage)
    from mlpipe_container.local import deploying

    return deploying.deploy(config, stage)


def rollback(release: Release, context: RollbackContext) -> StageResult:
    """Serve what a release served.

    Raises:
        StageError: It cannot be served; what was serving still is.
    """
    if release.kind != KIND:
        raise StageError(
            f"{release.kind}/{release.name} is kept, not in service",
            fix="Roll back the service that runs it: mlpipe rollback container/NAME --to "
            f"{release.label}",
        )
    _check_place(release, context)
    if context.target.type == _AWS:
        from mlpipe_container.kubernetes import deploying as at_eks

        return at_eks.rollback(release, context)
    from mlpipe_container.local import deploying

    return deploying.rollback(release, context)


def _check_place(release: Release, context: RollbackContext) -> None:
    if ("cluster" in release.payload) != (context.target.type == _AWS):
        raise StageError(
            f'release {release.label} is not for target "{context.target.name}"',
            where=f"service {release.name}",
            fix="Run the recipe on the target that is meant; then repeat.",
        )
