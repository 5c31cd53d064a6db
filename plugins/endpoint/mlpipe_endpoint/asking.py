"""Sending one request to an endpoint, for ``mlpipe endpoint invoke``."""

import http.client
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from mlpipe import MlpipeError, UserError
from mlpipe.errors import StageError
from mlpipe_endpoint.replies import KEY_HEADER, VARIANT_HEADER

#: The variant that a request names.
TARGET_HEADER = "X-Amzn-SageMaker-Target-Variant"

_TYPES = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/jsonlines",
    ".npy": "application/x-npy",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What to send.

    Attributes:
        body: The bytes.
        headers: What they are, and what is wanted back.
    """

    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back.

    Attributes:
        body: The bytes.
        variant: Which variant they are from.
    """

    body: bytes
    variant: str


def request_from(
    file: Path, content_type: str, accept: str, variant: str, key: str = ""
) -> Request:
    """Make a request of a file; ``-`` is stdin.

    Raises:
        UserError: The file cannot be read.
    """
    try:
        body = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read it: {error.strerror}", where=str(file)) from error
    guessed = content_type or _TYPES.get(file.suffix, "application/json")
    headers = {"Content-Type": guessed, "Accept": accept}
    if variant:
        headers[TARGET_HEADER] = variant
    if key:
        headers[KEY_HEADER] = key
    return Request(body, headers)


def bearer(token: str) -> dict[str, str]:
    """Give the header that shows a token, where there is one."""
    return {"Authorization": f"Bearer {token}"} if token else {}


def over_http(name: str, host: str, port: int, request: Request) -> Answered:
    """Send a request to an endpoint of this machine.

    Raises:
        StageError: The endpoint does not answer.
        MlpipeError: It answers with an error.
    """
    connection = http.client.HTTPConnection(host, port, timeout=70)
    try:
        connection.request("POST", f"/endpoints/{name}/invocations", request.body, request.headers)
        answer = connection.getresponse()
        body = answer.read()
    except OSError as error:
        raise StageError(f'endpoint "{name}" does not answer: {error}') from error
    finally:
        connection.close()
    if answer.status != 200:
        raise MlpipeError(_message(answer.status, body))
    return Answered(body, answer.headers.get(VARIANT_HEADER, ""))


def _message(status: int, body: bytes) -> str:
    try:
        details = json.loads(body)
        return f"{details['__type']} ({status}): {details['Message']}"
    except (ValueError, KeyError, TypeError):
        return f"status {status}: {body[:500].decode(errors='replace')}"
