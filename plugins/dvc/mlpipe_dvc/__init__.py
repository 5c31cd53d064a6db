"""The plugin ``dvc``: data that is prepared, checked, split and versioned."""

from collections.abc import Mapping

from mlpipe import Stage, StageResult, hookimpl
from mlpipe_dvc.config import PrepareConfig


@hookimpl
def prepare(config: PrepareConfig, stage: Stage) -> StageResult:
    """Make data sets from a source and put them under DVC."""
    from mlpipe_dvc.preparing import run

    return run(config, stage)


@hookimpl
def resolve(config: PrepareConfig, stage: Stage) -> Mapping[str, str]:
    """Say what a source outside the project is right now."""
    from mlpipe_dvc.sources import identify

    return identify(config.source, stage)
