"""Model endpoints for mlpipe: ``endpoint.deploy`` and ``endpoint.monitor``."""

from collections.abc import Sequence

from mlpipe import Action, Release, RollbackContext, Stage, StageResult, hookimpl
from mlpipe_endpoint.config import EndpointConfig, MonitorConfig


@hookimpl
def deploy(config: EndpointConfig, stage: Stage) -> StageResult:
    """Put the input models into service as the variants of one endpoint."""
    from mlpipe_endpoint import deploying

    return deploying.deploy(config, stage)


@hookimpl
def monitor(config: MonitorConfig, stage: Stage) -> StageResult:
    """Compare captured requests and answers with the training data."""
    from mlpipe_endpoint.monitoring import looking

    return looking.monitor(config, stage)


@hookimpl
def preview(config: EndpointConfig, stage: Stage) -> Sequence[Action]:
    """List what ``deploy`` would change. Read-only."""
    from mlpipe_endpoint import deploying

    return deploying.preview(config, stage)


@hookimpl
def rollback(release: Release, context: RollbackContext) -> StageResult:
    """Serve the variants and weights of an earlier release again."""
    from mlpipe_endpoint import deploying

    return deploying.rollback(release, context)
