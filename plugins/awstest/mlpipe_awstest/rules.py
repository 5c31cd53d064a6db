"""What SageMaker demands of jobs beyond its service model: what its documentation says."""

from collections.abc import Mapping
from typing import Any

from mlpipe_awstest.containers import namespace
from mlpipe_awstest.errors import invalid, not_emulated

_RANGES = ("ContinuousParameterRanges", "IntegerParameterRanges", "CategoricalParameterRanges")


def check_training(request: Mapping[str, Any]) -> None:
    """Check a training job, or a tuning job's definition of one.

    Raises:
        Refused: It is wrong, or cannot be emulated.
    """
    if not namespace():
        raise not_emulated("a job, on a machine that lets nobody make namespaces (unshare),")
    algorithm = request["AlgorithmSpecification"]
    if ("TrainingImage" in algorithm) == ("AlgorithmName" in algorithm):
        raise invalid("You must specify either a TrainingImage or an AlgorithmName, not both.")
    _check_spot(request)
    channels = request.get("InputDataConfig", ())
    names = [each["ChannelName"] for each in channels]
    if len(set(names)) < len(names):
        raise invalid("Channel names must be unique.")
    for each in channels:
        source = each["DataSource"].get("S3DataSource", {})
        if source.get("S3DataType") != "S3Prefix":
            raise not_emulated("a channel that is no S3Prefix")
    local = request.get("CheckpointConfig", {}).get("LocalPath", "/opt/ml/checkpoints")
    if not local.startswith("/opt/ml/"):
        raise not_emulated("a LocalPath of checkpoints outside /opt/ml")


def _check_spot(request: Mapping[str, Any]) -> None:
    if not request.get("EnableManagedSpotTraining"):
        return
    stopping = request["StoppingCondition"]
    if stopping.get("MaxWaitTimeInSeconds", 0) < stopping.get("MaxRuntimeInSeconds", 86_400):
        raise invalid("MaxWaitTimeInSeconds must be no less than MaxRuntimeInSeconds.")
    if request["ResourceConfig"].get("KeepAlivePeriodInSeconds"):
        raise invalid("Warm pools cannot be used with managed spot training.")


def check_tuning(request: Mapping[str, Any]) -> None:
    """Check a tuning job.

    Raises:
        Refused: It is wrong, or cannot be emulated.
    """
    if "TrainingJobDefinitions" in request:
        raise not_emulated("TrainingJobDefinitions, more than one,")
    if "TrainingJobDefinition" not in request:
        raise invalid("TrainingJobDefinition is required.")
    config = request["HyperParameterTuningJobConfig"]
    if "HyperParameterTuningJobObjective" not in config:
        raise invalid("HyperParameterTuningJobObjective is required.")
    definition = training_of(request)
    check_training(definition)
    ranges = config.get("ParameterRanges", {})
    _check_limits(config, ranges)
    _check_ranges(ranges)
    names = [each["Name"] for kind in _RANGES for each in ranges.get(kind, ())]
    names += request["TrainingJobDefinition"].get("StaticHyperParameters", {})
    if len(set(names)) < len(names):
        raise invalid("Hyperparameter names must be unique among static ones and ranges.")


def _check_limits(config: Mapping[str, Any], ranges: Mapping[str, Any]) -> None:
    limits = config["ResourceLimits"]
    if config["Strategy"] == "Grid":
        if ranges.get("ContinuousParameterRanges") or ranges.get("IntegerParameterRanges"):
            raise invalid("Grid search supports categorical parameters only.")
    elif "MaxNumberOfTrainingJobs" not in limits:
        raise invalid("MaxNumberOfTrainingJobs is required for this strategy.")


def _check_ranges(ranges: Mapping[str, Any]) -> None:
    for kind in _RANGES[:2]:
        for each in ranges.get(kind, ()):
            low, high = float(each["MinValue"]), float(each["MaxValue"])
            scaling = each.get("ScalingType")
            if low >= high:
                raise invalid(f"MinValue of {each['Name']} must be less than its MaxValue.")
            if scaling == "Logarithmic" and low <= 0:
                raise invalid(f"Logarithmic scaling of {each['Name']} needs MinValue above 0.")
            if scaling == "ReverseLogarithmic":
                if kind == "IntegerParameterRanges":
                    raise invalid("Reverse logarithmic scaling is for continuous ranges only.")
                if not 0 <= low < high < 1:
                    raise invalid(
                        f"Reverse logarithmic scaling of {each['Name']} needs 0 <= x < 1."
                    )


def training_of(request: Mapping[str, Any]) -> dict[str, Any]:
    """Give the training jobs' common request from a tuning job's, without hyperparameters."""
    definition = dict(request["TrainingJobDefinition"])
    for name in ("StaticHyperParameters", "TuningObjective", "HyperParameterRanges"):
        definition.pop(name, None)
    flexible = definition.pop("HyperParameterTuningResourceConfig", None)
    if flexible is not None:
        definition["ResourceConfig"] = flexible
    if "ResourceConfig" not in definition:
        raise invalid("ResourceConfig is required.")
    return definition


def check_warm_start(request: Mapping[str, Any], parent: Mapping[str, Any], status: str) -> None:
    """Check a tuning job against one that it starts warm from.

    Args:
        request: The new job's.
        parent: The earlier job's.
        status: The earlier job's.

    Raises:
        Refused: They do not go together.
    """
    name = parent["HyperParameterTuningJobName"]
    if status not in ("Completed", "Stopped", "Failed"):
        raise invalid(f"Parent tuning job {name} has not ended: it is {status}.")
    if _objective(request) != _objective(parent):
        raise invalid(f"The objective metric must be the one of parent tuning job {name}.")
    if len(_names(request)) != len(_names(parent)):
        raise invalid(f"There must be as many hyperparameters as in parent tuning job {name}.")
    identical = request["WarmStartConfig"]["WarmStartType"] == "IdenticalDataAndAlgorithm"
    if identical and _image(request) != _image(parent):
        raise invalid(f"IdenticalDataAndAlgorithm needs the image of parent tuning job {name}.")


def _objective(request: Mapping[str, Any]) -> Any:
    return request["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]


def _names(request: Mapping[str, Any]) -> set[str]:
    ranges = request["HyperParameterTuningJobConfig"].get("ParameterRanges", {})
    searched = {each["Name"] for kind in ranges.values() for each in kind}
    return searched | set(request["TrainingJobDefinition"].get("StaticHyperParameters", {}))


def _image(request: Mapping[str, Any]) -> Any:
    algorithm = request["TrainingJobDefinition"]["AlgorithmSpecification"]
    return algorithm.get("TrainingImage", algorithm.get("AlgorithmName"))
