"""Asking an endpoint for users, each answered by the same variant, on either target.

An endpoint of this machine assigns keys itself. SageMaker draws a variant for each request; so the
client assigns the key there, by the same hash, and names the variant (``TargetVariant``).
"""

import json
import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from mlpipe_endpoint.asking import bearer
from mlpipe_endpoint.records import Invocation
from mlpipe_experiments.assignment import fingerprint, ranked

_MODEL_ERROR = 424


@dataclass(frozen=True, slots=True)
class Answer:
    """An endpoint's answer.

    Attributes:
        body: The bytes.
        content_type: What they are.
        variant: Which variant they are from.
        id: Of the invocation; outcomes may name it.
    """

    body: bytes
    content_type: str
    variant: str
    id: str


class Client(Protocol):
    """Asks one endpoint."""

    def invoke(
        self,
        body: bytes,
        key: str,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Answer:
        """Send a request for a user.

        Args:
            body: The bytes.
            key: Whom it is for; the same key is answered by the same variant.
            content_type: What the bytes are.
            accept: The type of answer wanted.
        """
        ...


class HttpClient:
    """Asks an endpoint of ``mlpipe``'s own over HTTP; one connection, for one thread.

    Args:
        name: The endpoint's.
        host: Where it answers.
        port: And at which port.
        token: What it asks callers to show, if it does.
        timeout: Seconds that an answer may take.
    """

    def __init__(
        self, name: str, host: str, port: int, token: str = "", timeout: float = 70.0
    ) -> None:
        import http.client

        self._path = f"/endpoints/{name}/invocations"
        self._shown = bearer(token)
        self._connection = http.client.HTTPConnection(host, port, timeout=timeout)

    def invoke(
        self,
        body: bytes,
        key: str,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Answer:
        """Send a request; see ``Client``.

        Raises:
            RuntimeError: The answer is an error.
            OSError: There is no answer.
        """
        from mlpipe_endpoint.replies import KEY_HEADER, VARIANT_HEADER

        said = {"Content-Type": content_type, "Accept": accept, KEY_HEADER: key}
        try:
            self._connection.request("POST", self._path, body, {**said, **self._shown})
            answer = self._connection.getresponse()
            content = answer.read()
        except OSError:
            self._connection.close()  # the next request opens it again
            raise
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {content.decode(errors='replace')}")
        came = answer.headers
        return Answer(content, came["Content-Type"], came[VARIANT_HEADER], came["x-amzn-RequestId"])


class SagemakerClient:
    """Asks an endpoint at SageMaker that ``endpoint.deploy`` made; for any number of threads.

    Args:
        name: The endpoint's.
        region: Where it is; as the AWS configuration says when left out.
        endpoint_url: Another address than AWS's own.
        records: A file to append invocations to, one JSON line each, as an experiment reads them.
        fresh: Seconds for which its weights and salt are taken as known.
    """

    def __init__(
        self,
        name: str,
        region: str | None = None,
        endpoint_url: str | None = None,
        records: Path | None = None,
        fresh: float = 30.0,
    ) -> None:
        import boto3

        made = boto3.Session(region_name=region)
        self._name = name
        self._sagemaker = made.client("sagemaker", endpoint_url=endpoint_url)
        self._runtime = made.client("sagemaker-runtime", endpoint_url=endpoint_url)
        self._records = records
        self._fresh = fresh
        self._weights: Mapping[str, float] = {}
        self._salt = ""
        self._known = 0.0

    def invoke(
        self,
        body: bytes,
        key: str,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Answer:
        """Send a request; see ``Client``.

        Raises:
            botocore.exceptions.ClientError: SageMaker answers with an error.
        """
        from botocore.exceptions import ClientError

        self._refresh()
        variant, began, started = self._assigned(key), time.time(), time.perf_counter()
        identifier = str(uuid.uuid4())
        status = 200
        try:
            answer = self._runtime.invoke_endpoint(
                EndpointName=self._name,
                Body=body,
                ContentType=content_type,
                Accept=accept,
                TargetVariant=variant,
                InferenceId=identifier,
            )
            content = answer["Body"].read()
        except ClientError as error:
            status = int(error.response["ResponseMetadata"]["HTTPStatusCode"])
            raise
        finally:
            self._record(key, variant, identifier, status, began, time.perf_counter() - started)
        return Answer(content, answer["ContentType"], variant, identifier)

    def _refresh(self) -> None:
        """Read weights and salt from SageMaker, at most every so often."""
        if time.monotonic() - self._known < self._fresh and self._weights:
            return
        from mlpipe_endpoint.awsnames import from_tags

        found = self._sagemaker.describe_endpoint(EndpointName=self._name)
        pages = self._sagemaker.get_paginator("list_tags")
        tags = {
            tag["Key"]: tag["Value"]
            for page in pages.paginate(ResourceArn=found["EndpointArn"])
            for tag in page["Tags"]
        }
        self._weights = {
            each["VariantName"]: each["CurrentWeight"] for each in found["ProductionVariants"]
        }
        self._salt = from_tags(tags)["salt"] or self._name
        self._known = time.monotonic()

    def _assigned(self, key: str) -> str:
        return ranked(key, self._weights, self._salt)[0]

    def _record(
        self, key: str, variant: str, identifier: str, status: int, began: float, seconds: float
    ) -> None:
        if self._records is None or 400 <= status < _MODEL_ERROR:  # it reached no variant
            return
        invocation = Invocation(
            id=identifier,
            time=began,
            variant=variant,
            model="",
            targeted=False,  # it was assigned by its key
            key=fingerprint(key, self._salt),
            inference=None,
            status=status,
            latency=round(seconds, 6),
        )
        self._records.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(asdict(invocation)).encode() + b"\n"
        descriptor = os.open(self._records, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line)  # one write, so that threads and processes mix no lines
        finally:
            os.close(descriptor)


def client(name: str, *, root: str | Path = ".", target: str = "local") -> Client:
    """Give a client of an endpoint that a project has deployed.

    Args:
        name: The endpoint's.
        root: The project's folder.
        target: On which of its targets. At SageMaker invocations are recorded in the project, for
            the endpoint's experiment.

    Raises:
        UserError: The project has no such endpoint.
    """
    from mlpipe_endpoint.aws import AwsBackend
    from mlpipe_endpoint.local import host_of
    from mlpipe_endpoint.places import Place
    from mlpipe_endpoint.views import found

    backend = Place(Path(root), target).backend
    now: Any = found(backend, name).deployment
    if not isinstance(backend, AwsBackend):
        return HttpClient(name, host_of(now), now.port, os.environ.get(now.access.token, ""))
    settings = backend.settings
    return SagemakerClient(name, settings.region, settings.endpoint_url, backend.records(name))
