"""Requests for jobs, and waiting for their ends."""

import time
from collections.abc import Callable
from typing import Any

from mlpipe_awstest import ROLE

BUCKET = "acme-ml"
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mine:1"


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)


def request(name: str, script: str, **more: Any) -> dict[str, Any]:
    """A job that runs a shell script."""
    algorithm = {
        "TrainingImage": IMAGE,
        "TrainingInputMode": "File",
        "ContainerEntrypoint": ["/bin/bash", "-c"],
        "ContainerArguments": [script],
        **more.pop("algorithm", {}),
    }
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": algorithm,
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large",
            "InstanceCount": 1,
            "VolumeSizeInGB": 10,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        **more,
    }


def ended(client: Any, name: str) -> dict[str, Any]:
    """Wait until a training job has ended; describe it."""

    def describe() -> dict[str, Any]:
        found: dict[str, Any] = client.describe_training_job(TrainingJobName=name)
        return found

    wait_until(lambda: describe()["TrainingJobStatus"] not in ("InProgress", "Stopping"))
    return describe()


def reach(client: Any, name: str, secondary: str) -> None:
    """Wait until a training job is that far."""
    wait_until(
        lambda: client.describe_training_job(TrainingJobName=name)["SecondaryStatus"] == secondary
    )


def tuning(name: str, script: str, ranges: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A tuning job whose training jobs run a shell script by way of their image's ``train``."""
    config = {
        "Strategy": "Random",
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "score"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 2},
        "ParameterRanges": ranges,
        "RandomSeed": 7,
        **more.pop("config", {}),
    }
    definition = {
        "AlgorithmSpecification": {
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "score", "Regex": "score=([-0-9.e]+)"}],
        },
        "StaticHyperParameters": {"kind": "tree"},
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large",
            "InstanceCount": 1,
            "VolumeSizeInGB": 1,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        "Environment": {"SCRIPT": script},
        **more.pop("definition", {}),
    }
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": config,
        "TrainingJobDefinition": definition,
        **more,
    }


def tuned(client: Any, name: str) -> dict[str, Any]:
    """Wait until a tuning job has ended; describe it."""

    def describe() -> dict[str, Any]:
        found: dict[str, Any] = client.describe_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name
        )
        return found

    wait_until(
        lambda: describe()["HyperParameterTuningJobStatus"] not in ("InProgress", "Stopping")
    )
    return describe()


def trials(client: Any, name: str, **asked: Any) -> list[dict[str, Any]]:
    """List a tuning job's training jobs, one a page."""
    pages = client.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
        HyperParameterTuningJobName=name, PaginationConfig={"PageSize": 1}, **asked
    )
    return [each for page in pages for each in page["TrainingJobSummaries"]]
