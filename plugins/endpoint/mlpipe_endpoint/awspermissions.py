"""What deploys do at AWS, for the policy that ``mlpipe iam`` writes."""

from mlpipe import Permission, Target
from mlpipe_aws import Settings, settings
from mlpipe_endpoint.hostingconfig import Hosting

_PASSED = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


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
    prefix = f"arn:aws:s3:::{found.bucket}/{found.prefix}"
    only = {"StringLike": {"s3:prefix": [f"{found.prefix}/*"]}}
    permissions = [
        Permission(("s3:GetObject", "s3:PutObject"), (f"{prefix}/*",)),
        Permission(("s3:ListBucket",), (f"arn:aws:s3:::{found.bucket}",), condition=only),
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
        Permission(("iam:PassRole",), (found.role or "*",), condition=_PASSED),
        *_watching(found, name, hosting),
        *_of_containers(found, name, hosting),
    ]
    return tuple(permissions)


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
    prefix = f"arn:aws:s3:::{found.bucket}/{found.prefix}"
    logs = f"arn:aws:logs:{found.region}:*:log-group:/aws/sagemaker/*"
    permissions = [
        Permission(("s3:GetObject",), (f"{prefix}/*",), "job"),
        Permission(
            ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"), (logs,), "job"
        ),
        Permission(("cloudwatch:PutMetricData",), ("*",), "job"),
        Permission(
            (
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:GetAuthorizationToken",
                "ecr:GetDownloadUrlForLayer",
            ),
            ("*",),
            "job",
        ),
    ]
    if hosting.capture is not None:
        permissions.append(Permission(("s3:PutObject",), (f"{prefix}/captures/{name}/*",), "job"))
    return permissions
