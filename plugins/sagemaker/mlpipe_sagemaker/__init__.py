"""SageMaker's script mode: the same training script, on this machine and on SageMaker."""

from mlpipe import Stage, StageResult, hookimpl
from mlpipe_sagemaker.config import TrainConfig


@hookimpl
def train(config: TrainConfig, stage: Stage) -> StageResult:
    """Run the training script in SageMaker's contract; its model is the output ``model``."""
    from mlpipe_sagemaker.training import run

    return run(config, stage)
