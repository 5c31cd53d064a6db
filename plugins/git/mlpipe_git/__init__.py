"""The plugin ``git``: the sources of one exact commit."""

from collections.abc import Mapping

from mlpipe import Stage, StageResult, hookimpl
from mlpipe_git.config import CheckoutConfig


@hookimpl
def checkout(config: CheckoutConfig, stage: Stage) -> StageResult:
    """Bring in the sources of a commit."""
    from mlpipe_git.bringing import run

    return run(config, stage)


@hookimpl
def resolve(config: CheckoutConfig, stage: Stage) -> Mapping[str, str]:
    """Say which commit it is now."""
    from mlpipe_git.revisions import resolve as resolved

    return resolved(config, stage).identities()
