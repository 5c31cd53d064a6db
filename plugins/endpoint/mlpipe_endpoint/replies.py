"""Answers over HTTP, in the two dialects of SageMaker hosting.

``POST /invocations`` is the container's: the model's own status codes. ``POST
/endpoints/NAME/invocations`` is the Runtime's, where whatever the model refuses or breaks is a
``ModelError`` that carries the container's status.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from mlpipe_endpoint.link import Answer, ModelFailed

#: Whom a request is for, so that the same variant answers it each time.
KEY_HEADER = "x-mlpipe-key"
#: The id that a request is recorded by.
ID_HEADER = "x-amzn-RequestId"
#: Which variant answered.
VARIANT_HEADER = "x-Amzn-Invoked-Production-Variant"


class Reply(NamedTuple):
    """An HTTP answer.

    Attributes:
        status: The code.
        body: The bytes.
        headers: Beside Content-Length.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = MappingProxyType({})

    def beside(self, **headers: str) -> "Reply":
        """Give this with more headers."""
        return Reply(self.status, self.body, {**self.headers, **headers})

    def identified(self, identifier: str) -> "Reply":
        """Give this with the request's id."""
        return Reply(self.status, self.body, {**self.headers, ID_HEADER: identifier})


def success(answer: Answer, variant: str) -> Reply:
    """Pass on what a model answered."""
    headers = {"Content-Type": answer.content_type, VARIANT_HEADER: variant}
    return Reply(200, answer.body, headers)


def refusal(status: int, kind: str, message: str, **details: Any) -> Reply:
    """Say why a request is not served, in the form that AWS SDKs read.

    Args:
        status: The HTTP code.
        kind: The exception that an SDK raises.
        message: What is wrong.
        details: Further members of that exception.
    """
    body = json.dumps({"__type": kind, "ErrorCode": kind, "Message": message, **details})
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": kind}
    return Reply(status, body.encode(), headers)


def model_failure(error: ModelFailed, variant: str, *, runtime: bool) -> Reply:
    """Say what a model refused or broke, in the dialect asked for."""
    reply = _for_runtime(error, variant) if runtime else _for_container(error)
    return Reply(reply.status, reply.body, {**reply.headers, VARIANT_HEADER: variant})


def _for_runtime(error: ModelFailed, variant: str) -> Reply:
    client = error.status < 500
    return refusal(
        424,
        "ModelError",
        f"Received {'client' if client else 'server'} error ({error.status}) from {variant} "
        f'with message "{error.message}".',
        ErrorCode="CLIENT_ERROR_FROM_MODEL" if client else "SERVER_ERROR_FROM_MODEL",
        OriginalStatusCode=error.status,
        OriginalMessage=error.message,
    )


def _for_container(error: ModelFailed) -> Reply:
    kinds = {400: "ValidationError", 415: "UnsupportedMediaType", 503: "ServiceUnavailable"}
    return refusal(error.status, kinds.get(error.status, "ModelError"), error.message)
