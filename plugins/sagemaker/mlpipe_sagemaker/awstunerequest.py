"""Asking SageMaker for a tuning job: its name, its price, the request.

The training jobs of a tuning job are described as a training job is, with one difference: nobody
can say which program their containers start. It is the image's ``train``, which in SageMaker's
framework images is their training toolkit; an image of one's own needs ``sagemaker-training`` in
it. The toolkit is given ``starter.py`` as the script, which starts what a training job starts.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlpipe import StageError
from mlpipe_aws import Settings, Store
from mlpipe_sagemaker import awsspace
from mlpipe_sagemaker.config import TuneConfig
from mlpipe_sagemaker.contract import TrainingJob
from mlpipe_sagemaker.packaging import ARCHIVE, pack_sources

_LONGEST_NAME = 32
_PARENTS = 5
#: Seconds that a tuning job may be limited to.
_SHORTEST, _LONGEST = 120, 15_768_000
_WARM = {"identical": "IdenticalDataAndAlgorithm", "transfer": "TransferLearning"}
_STARTER, _CHANNEL = "mlpipe_start.py", "mlpipe_start"
#: What a training job's request and a tuning job's training definition have in common. Not
#: checkpoints: SageMaker does not say that trials keep theirs apart.
_SHARED = (
    "RoleArn",
    "VpcConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "StoppingCondition",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "RetryStrategy",
    "Environment",
)
_ALGORITHM = ("TrainingImage", "AlgorithmName", "TrainingInputMode", "MetricDefinitions")


def tuning_name(key: str, part: int = 0) -> str:
    """Name a tuning job.

    Args:
        key: The stage's key.
        part: Counts the tuning jobs that continue a stopped one.
    """
    if part == 0 and len(key) <= _LONGEST_NAME:
        return key
    digest = hashlib.sha256(f"{key}/{part}".encode()).hexdigest()[:8]
    return f"{key[: _LONGEST_NAME - 9].rstrip('-')}-{digest}"


def tuning_config(
    config: TuneConfig, trials: int, part: int = 0, *, scripted: bool = True
) -> dict[str, Any]:
    """Give a tuning job's configuration.

    Args:
        config: What is searched, and how.
        trials: How many are still to be tried.
        part: As with ``tuning_name``; each has a seed of its own, or it would repeat the first.
        scripted: Whether a script is trained, not with what an image brings.

    Raises:
        StageError: SageMaker cannot do what the configuration says.
    """
    strategy = awsspace.strategy_config(config.strategy, config.hyperparameters)
    limits = {"MaxNumberOfTrainingJobs": trials, "MaxParallelTrainingJobs": config.budget.parallel}
    if config.budget.time is not None:
        limits["MaxRuntimeInSeconds"] = _seconds(config.budget.time)
    # Hyperband ends trials early by itself, and wants to be the only one that does.
    stops = config.early_stopping and config.strategy != "hyperband"
    return {
        "Strategy": config.strategy.capitalize(),
        **({"StrategyConfig": strategy} if strategy else {}),
        "HyperParameterTuningJobObjective": {
            "Type": config.direction.capitalize(),
            "MetricName": config.objective,
        },
        "ResourceLimits": limits,
        "ParameterRanges": awsspace.ranges(config.space, config.strategy, scripted=scripted),
        "TrainingJobEarlyStoppingType": "Auto" if stops else "Off",
        **({} if config.seed is None else {"RandomSeed": config.seed + part}),
    }


def _seconds(time: float) -> int:
    if not _SHORTEST <= time <= _LONGEST:
        raise StageError(
            f"SageMaker limits tuning to between 2 minutes and half a year, not to {time:g} s",
            where="with.budget.time",
            fix="Say a time between them, or limit the trials alone.",
        )
    return int(time)


def check_money(job: TrainingJob, config: TuneConfig) -> None:
    """Hold the worst case against the budget.

    Raises:
        StageError: It may cost more, or nobody knows what it costs.
    """
    allowed = config.budget.money
    if allowed is None:
        return
    worst = 0.0
    for usage in config.worst_case(job.target, job.root):
        if usage.price is None:
            raise StageError(
                f"the price table does not know {usage.resource}",
                where="with.budget.money",
                fix=f"Write a table that does, and name it: targets.{job.target.name}.prices.",
            )
        worst += usage.hours * usage.price
    if worst > allowed:
        raise StageError(
            f"the trials may cost {worst:.2f}, more than {allowed:g}",
            where="with.budget.money",
            fix="Have fewer trials, or allow each less time: with.compute.max_runtime.",
        )


def check_hyperparameters(job: TrainingJob, config: TuneConfig) -> None:
    """Look whether the hyperparameters that stay as they are reach the script.

    Raises:
        StageError: They do not.
    """
    if job.program:
        for name, value in job.hyperparameters.items():
            awsspace.check_name(name, f"with.hyperparameters.{name}")
            awsspace.check_value(value, f"with.hyperparameters.{name}")
    awsspace.check_count(config.space, _static(job))


def _static(job: TrainingJob) -> dict[str, str]:
    scripted = bool(job.program)
    static = {n: awsspace.encode(v, scripted=scripted) for n, v in job.hyperparameters.items()}
    if scripted:
        archive = f"/opt/ml/input/data/{_CHANNEL}/{ARCHIVE}"
        static["sagemaker_program"] = awsspace.encode(_STARTER)
        static["sagemaker_submit_directory"] = awsspace.encode(archive)
    return static


def training_definition(
    request: Mapping[str, Any], job: TrainingJob, store: Store
) -> dict[str, Any]:
    """Make a training job's request the definition of a tuning job's training jobs.

    Args:
        request: The parameters of CreateTrainingJob.
        job: The training.
        store: The target's store; the starter is put there.
    """
    algorithm = request["AlgorithmSpecification"]
    channels = list(request.get("InputDataConfig", ()))
    if job.program:
        channels.append(_starter(job, store))
    return {
        **{name: request[name] for name in _SHARED if name in request},
        "AlgorithmSpecification": {n: algorithm[n] for n in _ALGORITHM if n in algorithm},
        **({"InputDataConfig": channels} if channels else {}),
        "StaticHyperParameters": _static(job),
    }


def _starter(job: TrainingJob, store: Store) -> dict[str, Any]:
    """Give the channel that the starter comes in: containers may have no network."""
    source = Path(__file__).with_name("starter.py")
    archive = job.scratch / "starter" / ARCHIVE
    archive.parent.mkdir(parents=True, exist_ok=True)
    uri = store.put(archive, pack_sources({_STARTER: source}, (_STARTER,), archive))
    where = {
        "S3DataType": "S3Prefix",
        "S3Uri": uri,
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"ChannelName": _CHANNEL, "DataSource": {"S3DataSource": where}, "InputMode": "File"}


def warm_start(parents: Iterable[str], kind: str) -> dict[str, Any]:
    """Give a tuning job's ``WarmStartConfig``, empty where it has no parents.

    Args:
        parents: Names of tuning jobs.
        kind: ``identical`` or ``transfer``.

    Raises:
        StageError: They are too many.
    """
    names = list(parents)
    if not names:
        return {}
    if len(names) > _PARENTS:
        raise StageError(
            f"SageMaker starts warm from {_PARENTS} tuning jobs at most, not {len(names)}",
            where="inputs.earlier",
        )
    return {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": n} for n in names],
        "WarmStartType": _WARM[kind],
    }


def tuning_request(
    job: TrainingJob,
    settings: Settings,
    store: Store,
    name: str,
    configured: Mapping[str, Any],
    warm: Mapping[str, Any],
) -> dict[str, Any]:
    """Upload what the trials read, and write the request that makes the tuning job.

    Args:
        job: The training.
        settings: The target's.
        store: The target's store.
        name: The tuning job's name.
        configured: Of ``tuning_config``.
        warm: Of ``warm_start``, or empty.

    Returns:
        The parameters of CreateHyperParameterTuningJob.

    Raises:
        StageError: The SDK is not installed, a setting is missing, or an upload failed.
    """
    from mlpipe_sagemaker.awsrequest import tags, training_request

    request = training_request(replace(job, name=name), settings, store)
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": dict(configured),
        "TrainingJobDefinition": training_definition(request, job, store),
        **({"WarmStartConfig": dict(warm)} if warm else {}),
        "Tags": tags(job, settings),
    }
