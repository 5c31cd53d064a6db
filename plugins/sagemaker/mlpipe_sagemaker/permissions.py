"""What the verbs do at AWS, for the policy that ``mlpipe iam`` writes."""

from mlpipe import Permission, Target
from mlpipe_aws import Settings, settings

_SERVICE = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


def to_store(target: Target) -> tuple[Permission, ...]:
    """To put files into the target's store, each once."""
    if target.type != "aws":
        return ()
    found = settings(target)
    return (_objects(found), _listing(found), *_keys(found))


def to_train(target: Target) -> tuple[Permission, ...]:
    """To make a training job, follow it, and fetch what it left."""
    if target.type != "aws":
        return ()
    found = settings(target)
    jobs = ("CreateTrainingJob", "DescribeTrainingJob", "StopTrainingJob", "AddTags")
    return (
        _objects(found),
        _listing(found),
        *_keys(found),
        Permission(_sagemaker(jobs), (_arn(found, "training-job"),)),
        *_following(found),
        *_of_jobs(found),
    )


def to_tune(target: Target) -> tuple[Permission, ...]:
    """To make a tuning job, follow its trials, and fetch what the best one left."""
    if target.type != "aws":
        return ()
    found = settings(target)
    jobs = (
        "CreateHyperParameterTuningJob",
        "DescribeHyperParameterTuningJob",
        "ListTrainingJobsForHyperParameterTuningJob",
        "StopHyperParameterTuningJob",
        "AddTags",
    )
    return (
        _objects(found),
        _listing(found),
        *_keys(found),
        Permission(_sagemaker(jobs), (_arn(found, "hyper-parameter-tuning-job"),)),
        Permission(_sagemaker(("DescribeTrainingJob",)), (_arn(found, "training-job"),)),
        *_following(found),
        *_of_jobs(found),
    )


def _objects(found: Settings) -> Permission:
    place = f"arn:aws:s3:::{found.bucket}/{found.prefix}/*"
    return Permission(("s3:GetObject", "s3:PutObject"), (place,))


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


def _following(found: Settings) -> tuple[Permission, ...]:
    group = f"arn:aws:logs:{found.region}:*:log-group:/aws/sagemaker/TrainingJobs:*"
    return (
        Permission(("logs:DescribeLogStreams", "logs:GetLogEvents"), (group,)),
        _pass_role(found),
    )


def _pass_role(found: Settings) -> Permission:
    return Permission(("iam:PassRole",), (found.role or "*",), condition=_SERVICE)


def _of_jobs(found: Settings) -> tuple[Permission, ...]:
    """What the role that jobs assume must be allowed."""
    group = f"arn:aws:logs:{found.region}:*:log-group:/aws/sagemaker/*"
    bucket = f"arn:aws:s3:::{found.bucket}"
    permissions = [
        Permission(("s3:GetObject", "s3:PutObject"), (f"{bucket}/{found.prefix}/*",), "job"),
        Permission(("s3:ListBucket",), (bucket,), "job"),
        Permission(
            ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"), (group,), "job"
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
    if found.subnets:
        network = (
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
        permissions.append(Permission(network, ("*",), "job"))
    return tuple(permissions)


def _sagemaker(operations: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"sagemaker:{name}" for name in operations)


def _arn(found: Settings, kind: str) -> str:
    return f"arn:aws:sagemaker:{found.region}:*:{kind}/*"
