"""What boto3 raises, and what a user can do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mlpipe.errors import StageError
from mlpipe_dvc.sources.local import unwritable

_MISSING = {"404", "NoSuchKey", "NotFound"}
_KEYS = "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, as for the AWS CLI."
_CODES = {
    "NoSuchBucket": ("there is no such bucket", "See its name, endpoint_url and region."),
    "403": (
        "access is denied",
        "Its keys may not read this; or it is not there, and they may not list the bucket.",
    ),
    "AccessDenied": ("access is denied", "Its keys may not read this."),
    "InvalidAccessKeyId": ("S3 does not know the access key", _KEYS),
    "SignatureDoesNotMatch": ("the secret access key is wrong", _KEYS),
    "ExpiredToken": ("the session has expired", "Sign in again, as with: aws sso login."),
    "301": ("the bucket is in another region", "Say which with region."),
    "PermanentRedirect": ("the bucket is in another region", "Say which with region."),
}


def is_missing(error: Exception) -> bool:
    """Tell whether an error says that what was asked for is not there."""
    return _code(error) in _MISSING


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn what boto3 raises into a ``StageError``.

    Args:
        where: The address concerned.
    """
    try:
        yield
    except StageError:
        raise
    except OSError as error:
        raise unwritable(error, where) from error
    except Exception as error:
        raise _explain(error, where) from error


def _explain(error: Exception, where: str) -> StageError:
    from botocore import exceptions

    if is_missing(error):
        return _missing(error, where)
    if code := _code(error):
        what, fix = _CODES.get(code, (f"S3 answers: {_message(error)}", None))
        return StageError(what, where=where, fix=fix)
    if isinstance(error, (exceptions.NoCredentialsError, exceptions.PartialCredentialsError)):
        return StageError("there are no AWS credentials", where=where, fix=_KEYS)
    if isinstance(error, (exceptions.ConnectionError, exceptions.HTTPClientError)):
        what = f"the service cannot be reached: {error}"
        return StageError(what, where=where, fix="See endpoint_url, region and the network.")
    return StageError(f"cannot be read: {error}", where=where)


def _missing(error: Exception, where: str) -> StageError:
    if getattr(error, "operation_name", "") == "HeadBucket":
        what, fix = _CODES["NoSuchBucket"]
        return StageError(what, where=where, fix=fix)
    return StageError(
        "there is no such object", where=where, fix=f"For all below a prefix, write {where}/."
    )


def _code(error: Exception) -> str:
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def _message(error: Exception) -> str:
    said = getattr(error, "response", {}).get("Error", {})
    return str(said.get("Message") or said.get("Code"))
