"""What to do about the errors of AWS's client library."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mlpipe import StageError

_BY_CODE = {
    "ExpiredToken": "The credentials have expired: sign in again (aws sso login), then repeat.",
    "ExpiredTokenException": "The credentials have expired: sign in again, then repeat.",
    "InvalidAccessKeyId": "AWS does not know the access key: look at the credentials.",
    "InvalidClientTokenId": "AWS does not know the access key: look at the credentials.",
    "SignatureDoesNotMatch": "The secret access key is wrong: look at the credentials.",
    "UnrecognizedClientException": "AWS does not know the credentials: look at them.",
    "NoSuchBucket": "Make the bucket, or name another: targets.<name>.bucket.",
    "ResourceLimitExceeded": "Ask AWS for a higher quota, or use another instance type.",
    "ThrottlingException": "AWS asks for fewer calls: run the same command again in a minute.",
}
#: Codes of refusals that say nothing about the next call. The services do not agree on them.
_PASSING = frozenset(
    {
        "ExpiredToken",  # whoever has signed in again is known again
        "ExpiredTokenException",
        "InternalError",
        "InternalFailure",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_SERVER_FAULT = 500
_DENIED = ("AccessDenied", "AccessDeniedException", "AllAccessDisabled", "403", "Forbidden")


def explain(error: BaseException) -> str | None:
    """Say what to do about an error, or ``None`` where nothing better than itself can be said."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        code = str(response.get("Error", {}).get("Code", ""))
        if code in _DENIED:
            operation = getattr(error, "operation_name", "this")
            return (
                f"The credentials may not call {operation}. "
                "`mlpipe iam RECIPE --target TARGET` writes the policy that is needed."
            )
        return _BY_CODE.get(code)
    names = _kinds(error)
    if "NoCredentialsError" in names or "PartialCredentialsError" in names:
        return "There are no AWS credentials here: aws configure, or set AWS_PROFILE."
    if "TokenRetrievalError" in names or "SSOTokenLoadError" in names:
        return "The sign-in has expired: aws sso login."
    if "ConnectionError" in names or "HTTPClientError" in names:
        return "AWS cannot be reached: look at the network, the region and endpoint_url."
    return None


def passing(error: BaseException) -> bool:
    """Tell whether the same call may succeed later: AWS is busy, broken, or out of reach.

    Args:
        error: An error of botocore's, or one that ``failing`` made of it.
    """
    cause = error.__cause__ if isinstance(error, StageError) else error
    if cause is None:
        return False
    response = getattr(cause, "response", None)
    if isinstance(response, dict):
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return response.get("Error", {}).get("Code") in _PASSING or int(status) >= _SERVER_FAULT
    return not _kinds(cause).isdisjoint({"ConnectionError", "HTTPClientError"})


def _kinds(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


@contextmanager
def failing(what: str, where: str | None = None) -> Iterator[None]:
    """Turn errors of botocore's, in a block, into errors of the stage's.

    Args:
        what: What cannot be done then, as ``the model cannot be fetched``.
        where: The setting or object concerned.
    """
    try:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:  # then the block itself says so
        yield
        return
    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError) as error:
        cause = _cause(error)
        raise StageError(f"{what}: {_said(cause)}", where=where, fix=explain(cause)) from cause


def _cause(error: BaseException) -> BaseException:
    """Give what went wrong: transfers of large objects wrap it."""
    if not _kinds(error).isdisjoint({"S3UploadFailedError", "RetriesExceededError"}):
        return getattr(error, "last_exception", None) or error.__context__ or error
    return error


def _said(error: Any) -> str:
    response = getattr(error, "response", None)
    if isinstance(response, dict) and response.get("Error", {}).get("Message"):
        return f"{response['Error'].get('Code', 'error')}: {response['Error']['Message']}"
    return str(error)
