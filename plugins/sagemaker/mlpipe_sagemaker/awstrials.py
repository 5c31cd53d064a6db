"""The training jobs of a tuning job, as trials."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from mlpipe_sagemaker import awsspace
from mlpipe_sagemaker.config import TuneConfig
from mlpipe_sagemaker.contract import Trial

_UNDER_WAY = ("InProgress", "Stopping", "Deleting")


def listed(sagemaker: Any, name: str) -> list[Mapping[str, Any]]:
    """Give the training jobs that a tuning job has made so far, in the order of their beginnings.

    Args:
        sagemaker: A client.
        name: The tuning job's name.
    """
    pages = sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
        HyperParameterTuningJobName=name, SortBy="CreationTime", SortOrder="Ascending"
    )
    found = [each for page in pages for each in page["TrainingJobSummaries"]]
    return sorted(found, key=lambda each: (each["CreationTime"], each["TrainingJobName"]))


def has_ended(summary: Mapping[str, Any]) -> bool:
    """Tell whether a training job is over."""
    return summary["TrainingJobStatus"] not in _UNDER_WAY


def trial_of(
    number: int,
    summary: Mapping[str, Any],
    description: Mapping[str, Any],
    config: TuneConfig,
    *,
    scripted: bool = True,
) -> Trial:
    """Make a training job that has ended a trial.

    Args:
        number: The trial's.
        summary: The training job as the tuning job lists it, with what was tuned.
        description: Of the training job, with all its metrics.
        config: What is searched.
        scripted: Whether a script is trained, not with what an image brings.

    Raises:
        StageError: It tried what is not in the search space.
    """
    metrics = {
        str(each["MetricName"]): float(each["Value"])
        for each in description.get("FinalMetricDataList", ())
    }
    objective = summary.get("FinalHyperParameterTuningJobObjectiveMetric", {}).get("Value")
    objective = metrics.get(config.objective) if objective is None else float(objective)
    if objective is not None:
        metrics[config.objective] = objective
    state, error = _ending(description, objective, config)
    return Trial(
        number=number,
        state=state,
        parameters=awsspace.decode(
            config.space, summary["TunedHyperParameters"], scripted=scripted
        ),
        objective=objective if state == "complete" else None,
        metrics=metrics,
        started=_seconds(summary.get("TrainingStartTime") or summary["CreationTime"]),
        finished=_seconds(summary.get("TrainingEndTime") or description["LastModifiedTime"]),
        job=str(summary["TrainingJobName"]),
        error=error,
    )


def _ending(
    description: Mapping[str, Any], objective: float | None, config: TuneConfig
) -> tuple[str, str]:
    """Give a trial's state, and why it failed."""
    status, secondary = description["TrainingJobStatus"], description.get("SecondaryStatus", "")
    if status == "Completed" and objective is not None:
        return "complete", ""
    if status == "Completed":
        pattern = config.metrics.get(config.objective, "")
        said = f'no line of the log had a number for "{config.objective}": {pattern}'
        return "failed", said.rstrip(": ")
    if status == "Failed":
        return "failed", str(description.get("FailureReason") or "SageMaker does not say why")
    if secondary in ("MaxRuntimeExceeded", "MaxWaitTimeExceeded"):
        return "failed", f"SageMaker stopped it: {secondary}"
    ends_early = config.early_stopping or config.strategy == "hyperband"
    return ("pruned" if ends_early and objective is not None else "stopped"), ""


def best_of(trials: Iterable[Trial], config: TuneConfig) -> Trial | None:
    """Give the best of the trials that are complete; of equals the first."""
    sign = 1 if config.direction == "maximize" else -1
    complete = [trial for trial in trials if trial.objective is not None]
    return max(complete, key=lambda t: (sign * (t.objective or 0.0), -t.number), default=None)


def summary_of(trial: Trial, config: TuneConfig) -> str:
    """Write a trial as a line of the log."""
    given = ", ".join(f"{name} {value}" for name, value in trial.parameters.items())
    value = "" if trial.objective is None else f" {config.objective} {trial.objective:.6g}"
    reason = f": {trial.error.splitlines()[0]}" if trial.error else ""
    return f"[{trial.number}] {trial.state}{value} ({given}){reason}"


def _seconds(when: datetime | float) -> float:
    return when.timestamp() if isinstance(when, datetime) else float(when)
