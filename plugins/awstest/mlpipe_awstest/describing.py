"""What is answered about training jobs."""

from typing import Any

from mlpipe_awstest.training import TrainingJob


def describe(job: TrainingJob) -> dict[str, Any]:
    """Give what DescribeTrainingJob answers."""
    ended, transitions = job.ended, [dict(each) for each in job.transitions]
    seconds = max(1, round(ended - job.started)) if ended and job.started else None
    warm = ended and job.request["ResourceConfig"].get("KeepAlivePeriodInSeconds")
    stored = job.status == "Completed" or (job.status == "Stopped" and job.started)
    model = f"{job.output}/model.tar.gz"
    return {
        **{name: value for name, value in job.request.items() if name != "Tags"},
        "TrainingJobArn": job.arn,
        "TuningJobArn": job.tuning or None,
        "HyperParameters": job.hyperparameters,
        "TrainingJobStatus": job.status,
        "SecondaryStatus": job.secondary,
        "FailureReason": job.reason or None,
        "CreationTime": job.created,
        "LastModifiedTime": transitions[-1]["StartTime"],
        "TrainingStartTime": job.started,
        "TrainingEndTime": ended,
        "TrainingTimeInSeconds": seconds,
        "BillableTimeInSeconds": seconds,
        "WarmPoolStatus": {"Status": "Available"} if warm else None,
        "SecondaryStatusTransitions": transitions,
        "FinalMetricDataList": [
            {"MetricName": name, "Value": value, "Timestamp": when}
            for name, (value, when) in job.metrics.items()
        ],
        "ModelArtifacts": {"S3ModelArtifacts": model} if stored else None,
    }


def summarise(job: TrainingJob) -> dict[str, Any]:
    """Give what ListTrainingJobs answers."""
    return {
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "CreationTime": job.created,
        "TrainingEndTime": job.ended,
        "LastModifiedTime": job.transitions[-1]["StartTime"],
        "TrainingJobStatus": job.status,
        "SecondaryStatus": job.secondary,
    }


def summarise_trial(job: TrainingJob, objective: str) -> dict[str, Any]:
    """Give what is said of a tuning job's training job.

    Args:
        job: The training job.
        objective: The objective metric's name.
    """
    found: dict[str, Any] = {
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "CreationTime": job.created,
        "TrainingStartTime": job.started,
        "TrainingEndTime": job.ended,
        "TrainingJobStatus": job.status,
        "TunedHyperParameters": dict(job.tuned),
        "FailureReason": job.reason or None,
        "ObjectiveStatus": "Pending",
    }
    if job.is_over:
        found["ObjectiveStatus"] = "Succeeded" if objective in job.metrics else "Failed"
    if objective in job.metrics:
        found["FinalHyperParameterTuningJobObjectiveMetric"] = {
            "MetricName": objective,
            "Value": job.metrics[objective][0],
        }
    return found
