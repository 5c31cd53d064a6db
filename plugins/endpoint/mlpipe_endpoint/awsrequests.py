"""From a deployment to SageMaker's requests. Pure."""

from collections.abc import Mapping
from typing import Any

from mlpipe_aws import Settings
from mlpipe_endpoint.awsnames import (
    OWNER,
    alarm_name,
    captures_prefix,
    config_name,
    listed,
    model_name,
)
from mlpipe_endpoint.hostingconfig import Autoscaling, Hosting, Rollout
from mlpipe_endpoint.values import Deployment, Model

_MICROSECONDS = 1_000_000
_MINUTE = 60


def hosting_of(deployment: Deployment) -> Hosting:
    """Give a deployment's hosting block."""
    return Hosting.model_validate(dict(deployment.hosting))


def model_request(
    deployment: Deployment, model: Model, settings: Settings, image: str, url: str, program: str
) -> dict[str, Any]:
    """Write CreateModel.

    Args:
        deployment: Whose it is.
        model: What is served.
        settings: The target's.
        image: To serve in.
        url: Where the model's archive is.
        program: Its script, below ``code/``.
    """
    environment = {
        "SAGEMAKER_PROGRAM": program,
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
    }
    network = {
        "Subnets": list(settings.subnets),
        "SecurityGroupIds": list(settings.security_groups),
    }
    return {
        "ModelName": model_name(deployment, model, settings),
        "PrimaryContainer": {"Image": image, "ModelDataUrl": url, "Environment": environment},
        "ExecutionRoleArn": settings.role,
        "EnableNetworkIsolation": settings.network_isolation,
        "Tags": own_tags(deployment, settings),
        **({"VpcConfig": network} if settings.subnets else {}),
    }


def config_request(deployment: Deployment, settings: Settings) -> dict[str, Any]:
    """Write CreateEndpointConfig."""
    hosting = hosting_of(deployment)

    def variant(name: str, weight: float) -> dict[str, Any]:
        model = model_name(deployment, deployment.variants[name], settings)
        said = {"VariantName": name, "ModelName": model, "InitialVariantWeight": float(weight)}
        return {**said, **_capacity(hosting)}

    request: dict[str, Any] = {
        "EndpointConfigName": config_name(deployment, settings),
        "ProductionVariants": [variant(n, w) for n, w in deployment.answering.items()],
        "Tags": own_tags(deployment, settings),
    }
    if deployment.shadow:
        # SageMaker copies the part of the requests that one weight is of the other.
        whole = sum(deployment.answering.values())
        shadows = [variant(name, whole * share) for name, share in deployment.shadow.items()]
        request["ShadowProductionVariants"] = shadows
    if settings.kms_key and hosting.serverless is None:
        request["KmsKeyId"] = settings.kms_key
    if hosting.capture is not None:
        request["DataCaptureConfig"] = _capture(deployment.name, hosting.capture, settings)
    return request


def _capacity(hosting: Hosting) -> dict[str, Any]:
    if hosting.serverless is not None:
        memory, most = hosting.serverless.memory, hosting.serverless.concurrency
        return {"ServerlessConfig": {"MemorySizeInMB": memory, "MaxConcurrency": most}}
    least = hosting.autoscaling.least if hosting.autoscaling else hosting.count
    return {"InstanceType": hosting.instance, "InitialInstanceCount": least}


def _capture(name: str, share: float, settings: Settings) -> dict[str, Any]:
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": max(1, round(100 * share)),
        "DestinationS3Uri": f"s3://{settings.bucket}/{captures_prefix(settings, name)}",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {
            "CsvContentTypes": ["text/csv"],
            "JsonContentTypes": ["application/json", "application/jsonlines"],
        },
    }


def own_tags(deployment: Deployment, settings: Settings) -> list[dict[str, str]]:
    """Give the tags of what is made: the target's, and whose it is."""
    return listed({**settings.tags, OWNER: deployment.name})


def alarm_requests(deployment: Deployment) -> list[dict[str, Any]]:
    """Write PutMetricAlarm for each alarm by which a rollout is led back."""
    rollout = hosting_of(deployment).rollout
    if rollout is None:
        return []
    return [
        request
        for variant, weight in deployment.weights.items()
        if weight > 0
        for request in _alarms(deployment.name, variant, rollout)
    ]


def _alarms(endpoint: str, variant: str, rollout: Rollout) -> list[dict[str, Any]]:
    common = {
        "Namespace": "AWS/SageMaker",
        "Dimensions": [
            {"Name": "EndpointName", "Value": endpoint},
            {"Name": "VariantName", "Value": variant},
        ],
        "Period": _MINUTE,
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }
    return [
        {
            **common,
            "AlarmName": alarm_name(endpoint, variant, "errors"),
            "MetricName": "Invocation5XXErrors",
            "Statistic": "Average",  # of ones and zeros: the share of requests
            "Threshold": rollout.errors,
        },
        {
            **common,
            "AlarmName": alarm_name(endpoint, variant, "latency"),
            "MetricName": "ModelLatency",
            "ExtendedStatistic": "p99",
            "Threshold": rollout.latency * _MICROSECONDS,
        },
    ]


def update_request(deployment: Deployment, settings: Settings) -> dict[str, Any]:
    """Write UpdateEndpoint.

    Weights are those of the new configuration, into which live ones went before. The number of
    instances that autoscaling has arrived at is kept.
    """
    hosting = hosting_of(deployment)
    request: dict[str, Any] = {
        "EndpointName": deployment.name,
        "EndpointConfigName": config_name(deployment, settings),
    }
    if hosting.autoscaling is not None:
        left_out = ("DesiredWeight", "DataCaptureConfig")
        request["RetainAllVariantProperties"] = True
        request["ExcludeRetainedVariantProperties"] = [
            {"VariantPropertyType": name} for name in left_out
        ]
    if hosting.rollout is not None:
        request["DeploymentConfig"] = _rollout(deployment, hosting.rollout)
    return request


def _rollout(deployment: Deployment, rollout: Rollout) -> dict[str, Any]:
    routing: dict[str, Any] = {
        "Type": rollout.type.upper(),
        "WaitIntervalInSeconds": int(rollout.wait),
    }
    step = {"Type": "CAPACITY_PERCENT", "Value": round(100 * rollout.share)}
    if rollout.type != "all_at_once":
        routing["CanarySize" if rollout.type == "canary" else "LinearStepSize"] = step
    alarms = [{"AlarmName": each["AlarmName"]} for each in alarm_requests(deployment)]
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": int(rollout.wait),
        },
        "AutoRollbackConfiguration": {"Alarms": alarms},
    }


def weights_request(name: str, weights: Mapping[str, float]) -> dict[str, Any]:
    """Write UpdateEndpointWeightsAndCapacities."""
    wanted = [{"VariantName": n, "DesiredWeight": float(w)} for n, w in weights.items()]
    return {"EndpointName": name, "DesiredWeightsAndCapacities": wanted}


def scaling_requests(
    deployment: Deployment, scaling: Autoscaling, variant: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write RegisterScalableTarget and PutScalingPolicy of a variant."""
    subject = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{deployment.name}/variant/{variant}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    policy = {
        "TargetValue": scaling.invocations,
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
        },
    }
    return (
        {**subject, "MinCapacity": scaling.least, "MaxCapacity": scaling.most},
        {
            **subject,
            "PolicyName": f"mlpipe-{deployment.name}-{variant}",
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": policy,
        },
    )
