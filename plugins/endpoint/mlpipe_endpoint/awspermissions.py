"""What deploys do at AWS, for the policy that ``mlpipe iam`` writes."""

from mlpipe import Permission, Target
from mlpipe_aws import Settings, settings
from mlpipe_aws.permissions import objects, of_containers, of_pass_role, of_store
from mlpipe_endpoint.hostingconfig import Hosting


def to_deploy(
    target: Target, name: str, hosting: Hosting, *, probed: bool
) -> tuple[Permission, ...]:
    """To make an endpoint, change it and look at it; and what its containers need.

    Args:
        target: Of type ``aws``.
        name: The endpoint's.
        hosting: What it runs in.
        probed: Whether its variants are asked something.
    """
    found = settings(target)
    permissions = [
        *of_store(found),
        _made(found, "model", f"{name}-*", ("CreateModel", "DescribeModel")),
        _made(
            found,
            "endpoint-config",
            f"{name}-*",
            ("CreateEndpointConfig", "DescribeEndpointConfig"),
        ),
        _made(found, "endpoint-config", f"{name}-*", ("CreateEndpoint", "UpdateEndpoint")),
        _made(found, "endpoint", name, _changing(probed=probed)),
        Permission(
            ("sagemaker:AddTags", "sagemaker:ListTags"),
            tuple(
                _arn(found, kind, f"{name}*") for kind in ("endpoint", "endpoint-config", "model")
            ),
        ),
        of_pass_role(found),
        *_watching(found, name, hosting),
        *_of_containers(found, name, hosting),
    ]
    return tuple(permissions)


def to_monitor(target: Target, name: str) -> tuple[Permission, ...]:
    """To read what SageMaker captured of an endpoint, and to ask it the baseline.

    Args:
        target: Of type ``aws``.
        name: The endpoint's.
    """
    found = settings(target)
    looks = ("DescribeEndpoint", "InvokeEndpoint", "ListTags")
    return (*of_store(found), _made(found, "endpoint", name, looks))


def _changing(*, probed: bool) -> tuple[str, ...]:
    names = (
        "CreateEndpoint",
        "DeleteEndpoint",
        "DescribeEndpoint",
        "UpdateEndpoint",
        "UpdateEndpointWeightsAndCapacities",
    )
    return (*names, "InvokeEndpoint") if probed else names


def _made(found: Settings, kind: str, name: str, operations: tuple[str, ...]) -> Permission:
    actions = tuple(f"sagemaker:{operation}" for operation in operations)
    return Permission(actions, (_arn(found, kind, name),))


def _arn(found: Settings, kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{found.region}:*:{kind}/{name}"


def _watching(found: Settings, name: str, hosting: Hosting) -> list[Permission]:
    permissions = []
    if hosting.rollout is not None:
        alarms = f"arn:aws:cloudwatch:{found.region}:*:alarm:mlpipe-{name}-*"
        permissions.append(
            Permission(("cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm"), (alarms,))
        )
    if hosting.autoscaling is not None:
        scaling = ("PutScalingPolicy", "RegisterScalableTarget")
        actions = tuple(f"application-autoscaling:{operation}" for operation in scaling)
        permissions.append(Permission((*actions, "iam:CreateServiceLinkedRole"), ("*",)))
    return permissions


def _of_containers(found: Settings, name: str, hosting: Hosting) -> list[Permission]:
    permissions = [Permission(("s3:GetObject",), (objects(found),), "job"), *of_containers(found)]
    if hosting.capture is not None:
        captures = objects(found, f"captures/{name}/")
        permissions.append(Permission(("s3:PutObject",), (captures,), "job"))
    return permissions
