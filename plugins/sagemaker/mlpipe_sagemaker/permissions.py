"""What the verbs do at AWS, for the policy that ``mlpipe iam`` writes."""

from mlpipe import Permission, Target
from mlpipe_aws import Settings, settings
from mlpipe_aws.permissions import objects, of_containers, of_pass_role, of_store


def to_store(target: Target) -> tuple[Permission, ...]:
    """To put files into the target's store, each once."""
    if target.type != "aws":
        return ()
    return of_store(settings(target))


def to_train(target: Target) -> tuple[Permission, ...]:
    """To make a training job, follow it, and fetch what it left."""
    if target.type != "aws":
        return ()
    found = settings(target)
    jobs = ("CreateTrainingJob", "DescribeTrainingJob", "StopTrainingJob", "AddTags")
    return (
        *of_store(found),
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
        *of_store(found),
        Permission(_sagemaker(jobs), (_arn(found, "hyper-parameter-tuning-job"),)),
        Permission(_sagemaker(("DescribeTrainingJob",)), (_arn(found, "training-job"),)),
        *_following(found),
        *_of_jobs(found),
    )


def _following(found: Settings) -> tuple[Permission, ...]:
    group = f"arn:aws:logs:{found.region}:*:log-group:/aws/sagemaker/TrainingJobs:*"
    return (
        Permission(("logs:DescribeLogStreams", "logs:GetLogEvents"), (group,)),
        of_pass_role(found),
    )


def _of_jobs(found: Settings) -> tuple[Permission, ...]:
    """What the role that jobs assume must be allowed."""
    bucket = f"arn:aws:s3:::{found.bucket}"
    return (
        Permission(("s3:GetObject", "s3:PutObject"), (objects(found),), "job"),
        Permission(("s3:ListBucket",), (bucket,), "job"),
        *of_containers(found),
    )


def _sagemaker(operations: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"sagemaker:{name}" for name in operations)


def _arn(found: Settings, kind: str) -> str:
    return f"arn:aws:sagemaker:{found.region}:*:{kind}/*"
