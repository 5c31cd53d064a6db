"""What several plugins do at AWS, for the policies that ``mlpipe iam`` writes."""

from mlpipe import Permission
from mlpipe_aws.settings import Settings

_SERVICE = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
_LOGS = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")
_IMAGES = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetAuthorizationToken",
    "ecr:GetDownloadUrlForLayer",
)
_NETWORK = (
    "ec2:CreateNetworkInterface",
    "ec2:CreateNetworkInterfacePermission",
    "ec2:DeleteNetworkInterface",
    "ec2:DeleteNetworkInterfacePermission",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
)


def of_store(found: Settings) -> tuple[Permission, ...]:
    """To read and write the target's store, also with its key."""
    return (
        Permission(("s3:GetObject", "s3:PutObject"), (objects(found),)),
        _listing(found),
        *_keys(found),
    )


def objects(found: Settings, below: str = "") -> str:
    """Give the ARN of a store's objects: all, or those below a prefix that ends in a slash."""
    return f"arn:aws:s3:::{found.bucket}/{found.prefix}/{below}*"


def _listing(found: Settings) -> Permission:
    """Without it, S3 answers 403 where an object is not there yet."""
    only = {"StringLike": {"s3:prefix": [f"{found.prefix}/*"]}}
    return Permission(("s3:ListBucket",), (f"arn:aws:s3:::{found.bucket}",), condition=only)


def _keys(found: Settings) -> tuple[Permission, ...]:
    if found.kms_key is None:
        return ()
    key = found.kms_key if found.kms_key.startswith("arn:") else "*"
    actions = ("kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey")
    return (
        Permission((*actions, "kms:CreateGrant"), (key,)),
        Permission(actions, (key,), holder="job"),
    )


def of_pass_role(found: Settings) -> Permission:
    """To have SageMaker assume the target's role."""
    return Permission(("iam:PassRole",), (found.role or "*",), condition=_SERVICE)


def of_containers(found: Settings) -> tuple[Permission, ...]:
    """What any container of SageMaker's needs: its image, logs, metrics and network.

    The role that it assumes holds them.
    """
    group = f"arn:aws:logs:{found.region}:*:log-group:/aws/sagemaker/*"
    common = (
        Permission(_LOGS, (group,), "job"),
        Permission(("cloudwatch:PutMetricData",), ("*",), "job"),
        Permission(_IMAGES, ("*",), "job"),
    )
    return (*common, Permission(_NETWORK, ("*",), "job")) if found.subnets else common
