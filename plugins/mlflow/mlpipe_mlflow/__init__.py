"""The plugin ``mlflow``: evaluation, tracking and the model registry."""

from collections.abc import Mapping
from pathlib import Path

from mlpipe import Event, ObserverContext, Stage, StageResult, hookimpl
from mlpipe_mlflow.config import EvaluateConfig, TrackingConfig


@hookimpl
def evaluate(config: EvaluateConfig, stage: Stage) -> StageResult:
    """Measure one or more models on rows that they have not seen."""
    from mlpipe_mlflow.evaluation import run

    return run(config, stage)


@hookimpl
def resolve(config: EvaluateConfig, stage: Stage) -> Mapping[str, str]:
    """Say which model of the registry is the champion right now."""
    from mlpipe_mlflow.incumbent import identify

    return identify(config, stage)


@hookimpl
def stage_environment(
    config: TrackingConfig, recipe: str, run: str, stage: str, root: Path
) -> Mapping[str, str]:
    """Let a stage's own MLflow calls find the experiment and the stage's run."""
    from mlpipe_mlflow.location import environment

    return environment(config, recipe, run, stage, root)


@hookimpl
def run_started(config: TrackingConfig, event: Event, context: ObserverContext) -> None:
    """Make the parent run of a pipeline run."""
    _tell(config, event, context)


@hookimpl
def stage_started(config: TrackingConfig, event: Event, context: ObserverContext) -> None:
    """Make the nested run of a stage, with its settings as parameters."""
    _tell(config, event, context)


@hookimpl
def stage_event(config: TrackingConfig, event: Event, context: ObserverContext) -> None:
    """Log metrics, data sets and artifacts, register models."""
    _tell(config, event, context)


@hookimpl
def stage_finished(config: TrackingConfig, event: Event, context: ObserverContext) -> None:
    """End a stage's run, with its final metrics and its log."""
    _tell(config, event, context)


@hookimpl
def run_finished(config: TrackingConfig, event: Event, context: ObserverContext) -> None:
    """End the parent run, and whatever it left running."""
    _tell(config, event, context)


@hookimpl
def gate_failed(config: TrackingConfig, event: Event, context: ObserverContext) -> None:
    """Note the missed bound on the runs of stage and pipeline."""
    _tell(config, event, context)


@hookimpl
def released(config: TrackingConfig, event: Event, context: ObserverContext) -> None:
    """Move the registered model's aliases to the versions in service."""
    _tell(config, event, context)


@hookimpl
def rolled_back(config: TrackingConfig, event: Event, context: ObserverContext) -> None:
    """Move the aliases back."""
    _tell(config, event, context)


def _tell(config: TrackingConfig, event: Event, context: ObserverContext) -> None:
    from mlpipe_mlflow.observer import tell

    tell(config, event, context)
