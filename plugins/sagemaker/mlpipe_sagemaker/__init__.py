"""SageMaker's script mode: the same training script, on this machine and on SageMaker."""

from mlpipe import Stage, StageResult, hookimpl
from mlpipe_sagemaker.config import BuildConfig, TrainConfig, TuneConfig


@hookimpl
def build(config: BuildConfig, stage: Stage) -> StageResult:
    """Package training scripts and what they import; the package is the output ``code``."""
    from mlpipe_sagemaker.building import run

    return run(config, stage)


@hookimpl
def train(config: TrainConfig, stage: Stage) -> StageResult:
    """Run the training script in SageMaker's contract; its model is the output ``model``."""
    from mlpipe_sagemaker.training import run

    return run(config, stage)


@hookimpl
def tune(config: TuneConfig, stage: Stage) -> StageResult:
    """Train with many hyperparameters; the best model is the output ``model``."""
    from mlpipe_sagemaker.tuning import run

    return run(config, stage)


@hookimpl
def explain_error(error: BaseException) -> str | None:
    """Say what to do about an error of AWS's."""
    import mlpipe_aws

    return mlpipe_aws.explain(error)
