"""Clients of AWS's services, as a target's settings say."""

import os
from typing import Any

from mlpipe import StageError
from mlpipe_aws.settings import Settings

_ATTEMPTS = 6


def client(settings: Settings, service: str) -> Any:
    """Make a boto3 client.

    Calls that fail for a passing reason (throttling, a fault of the service, a lost connection) are
    tried again, later and later; ``AWS_MAX_ATTEMPTS`` says how often.

    Args:
        settings: The target's.
        service: As boto3 names it.

    Raises:
        StageError: boto3 is not installed, or there is no such profile.
    """
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import ProfileNotFound
    except ImportError as error:
        raise missing("boto3") from error
    attempts = int(os.environ.get("AWS_MAX_ATTEMPTS") or _ATTEMPTS)
    config = Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=10,
        read_timeout=settings.read_timeout,
        user_agent_extra="mlpipe",
    )
    try:
        session = boto3.Session(profile_name=settings.profile, region_name=settings.region)
        return session.client(service, endpoint_url=settings.endpoint_url, config=config)
    except ProfileNotFound as error:
        name = error.kwargs["profile"]
        raise StageError(
            f'the AWS configuration has no profile "{name}"',
            where="profile" if settings.profile else "AWS_PROFILE",
            fix=f"Make it: aws configure --profile {name}",
        ) from error


def missing(package: str) -> StageError:
    """Say that a package is not installed."""
    return StageError(
        f"{package} is not installed, and targets of type aws need it",
        fix="pip install 'mlpipe-framework-sagemaker[aws]'",
    )
