"""The plugin ``checks``: unit tests, quality and security of sources."""

from collections.abc import Mapping

from mlpipe import Stage, StageResult, hookimpl
from mlpipe_checks.config import CheckConfig


@hookimpl
def check(config: CheckConfig, stage: Stage) -> StageResult:
    """Run all tools side by side, and report what they found at once."""
    from mlpipe_checks.checking import run

    return run(config, stage)


@hookimpl
def resolve(config: CheckConfig, stage: Stage) -> Mapping[str, str]:
    """Say which tools, packages and files it would be."""
    from mlpipe_checks.identities import identities

    return identities(config, stage)
