"""What became of calls that change an endpoint."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mlpipe.errors import StageError
from mlpipe_endpoint.awsdescribing import There
from mlpipe_endpoint.values import Deployment, near


@contextmanager
def once(refusal: str) -> Iterator[None]:
    """Pass over a refusal of a call whose attempt before took effect, but was answered too late."""
    from botocore.exceptions import ClientError

    try:
        yield
    except ClientError as error:
        if refusal not in str(error) or not is_repeated(error):
            raise


def is_repeated(error: Exception) -> bool:
    """Tell whether botocore had sent the same call before, without an answer."""
    response: Mapping[str, Any] = getattr(error, "response", {})
    return bool(response.get("ResponseMetadata", {}).get("RetryAttempts"))


def has(there: There, config: str, wanted: Deployment) -> bool:
    """Tell whether an endpoint has a configuration; where none is named, the weights."""
    if there.status != "InService":
        return False
    if config:
        return there.config == config
    return near(there.weights, wanted.answering)


def failed(wanted: Deployment, there: There | None) -> StageError:
    """Say what became of a change that is not there."""
    if there is None:
        return StageError("the endpoint is gone", where=wanted.name)
    serving = "what was in service still is" if there.status == "InService" else there.status
    reason = there.failure or f"SageMaker does not say why; it has {there.config}"
    return StageError(
        f"{reason}\n   {serving}",
        where=f"endpoint {wanted.name}",
        fix=f"Its log: aws logs tail /aws/sagemaker/Endpoints/{wanted.name}",
    )
