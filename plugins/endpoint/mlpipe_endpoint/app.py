"""The HTTP face of an endpoint: an ASGI application."""

import base64
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mlpipe_endpoint.admission import Receive, is_shown, read, refused, too_many, unauthorized
from mlpipe_endpoint.hosting import Host
from mlpipe_endpoint.identifiers import request_id
from mlpipe_endpoint.link import ModelFailed
from mlpipe_endpoint.metrics import Metrics
from mlpipe_endpoint.patience import HEADER_LIMIT, headers_too_long
from mlpipe_endpoint.records import Capture, Invocation, is_drawn
from mlpipe_endpoint.replies import (
    KEY_HEADER,
    VARIANT_HEADER,
    Reply,
    model_failure,
    refusal,
    success,
)
from mlpipe_endpoint.routing import NoneReady, UnknownVariant
from mlpipe_endpoint.service import Service
from mlpipe_experiments.assignment import fingerprint

_READING = ("GET", "HEAD")

Send = Callable[[dict[str, Any]], Awaitable[None]]


class App:
    """Serves ``/ping``, ``/metrics``, ``/invocations`` and ``/endpoints/NAME/invocations``.

    Args:
        service: What is in service.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._metrics = Metrics()
        self._in_flight = 0
        self._chance = random.Random()  # noqa: S311 - nothing secret depends on it

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        identifier = request_id(self._chance)
        try:
            reply = await self._reply(scope, receive, identifier)
        except ConnectionError:
            return
        headers = {
            **reply.headers,
            "x-amzn-RequestId": identifier,
            "Content-Length": str(len(reply.body)),
        }
        await send(
            {
                "type": "http.response.start",
                "status": reply.status,
                "headers": [(k.encode(), v.encode("latin-1")) for k, v in headers.items()],
            }
        )
        await send({"type": "http.response.body", "body": reply.body})

    async def _reply(self, scope: Mapping[str, Any], receive: Receive, identifier: str) -> Reply:
        path, method = scope["path"], scope["method"]
        if path == "/ping":
            return self._ping() if method in _READING else _wrong_method("GET")
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADER_LIMIT:
            return await refused(receive, headers_too_long())
        if not is_shown(self._service.token, scope["headers"]):
            return await refused(receive, unauthorized())
        if path == "/metrics":
            page = self._metrics.page
            return page(self._service.table) if method in _READING else _wrong_method("GET")
        endpoint = _endpoint_in(path)
        if path != "/invocations" and endpoint is None:
            return refusal(404, "UnknownOperationException", f"There is nothing at {path}")
        if method != "POST":
            return _wrong_method("POST")
        reply = await self._invocation(scope, receive, identifier, endpoint)
        if VARIANT_HEADER not in reply.headers:
            self._metrics.refused(reply.status)
        return reply

    async def _invocation(
        self, scope: Mapping[str, Any], receive: Receive, identifier: str, endpoint: str | None
    ) -> Reply:
        access = self._service.deployment.access
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        body = await read(receive, headers, access.body)
        if isinstance(body, Reply):
            return body
        if endpoint not in (None, self._service.name):
            return refusal(400, "ValidationError", f"Endpoint {endpoint} not found.")
        # Counted from here, so that who sends slowly takes no one's place; none waits in a queue.
        if self._in_flight >= access.concurrency:
            return too_many(access.concurrency)
        self._in_flight += 1
        try:
            return await self._invoke(headers, body, identifier, runtime=endpoint is not None)
        finally:
            self._in_flight -= 1

    def _ping(self) -> Reply:
        if self._service.table.ready:
            return Reply(200, b"{}", {"Content-Type": "application/json"})
        return refusal(503, "ServiceUnavailable", "no variant of the endpoint is ready")

    async def _invoke(
        self, headers: Mapping[str, str], body: bytes, identifier: str, *, runtime: bool
    ) -> Reply:
        target, key = headers.get("x-amzn-sagemaker-target-variant"), headers.get(KEY_HEADER)
        table = self._service.table
        arrived, started = time.time(), time.perf_counter()
        try:
            host = table.pick(target, key, self._chance)
        except UnknownVariant as error:
            return refusal(400, "ValidationError", str(error))
        except NoneReady as error:
            return refusal(503, "ServiceUnavailable", str(error))
        reply = await _ask(host, headers, body, runtime=runtime)
        latency = time.perf_counter() - started
        self._metrics.answered(host.variant, reply.status, latency)
        invocation = Invocation(
            id=identifier,
            time=arrived,
            variant=host.variant,
            model=host.model.digest,
            targeted=target is not None,
            inference=headers.get("x-amzn-sagemaker-inference-id"),
            key=None if key is None else fingerprint(key, table.salt),
            status=reply.status,
            latency=round(latency, 6),
        )
        try:
            if target is None and is_drawn(identifier, self._service.deployment.capture):
                await self._service.captures.record(_capture(invocation, headers, body, reply))
            await self._service.recorder.record(invocation)
        except OSError as error:
            return refusal(500, "InternalFailure", f"The answer could not be recorded: {error}")
        return reply


def _capture(
    invocation: Invocation, headers: Mapping[str, str], body: bytes, reply: Reply
) -> Capture:
    return Capture(
        id=invocation.id,
        time=invocation.time,
        variant=invocation.variant,
        content_type=headers.get("content-type") or "application/json",
        body=base64.b64encode(body).decode(),
        answer_type=reply.headers["Content-Type"] if reply.status == 200 else "",
        answer=base64.b64encode(reply.body).decode() if reply.status == 200 else "",
    )


async def _ask(host: Host, headers: Mapping[str, str], body: bytes, *, runtime: bool) -> Reply:
    content_type = headers.get("content-type") or "application/json"
    accept = headers.get("accept") or "*/*"
    try:
        answer = await host.invoke(body, content_type, accept)
    except ModelFailed as error:
        return model_failure(error, host.variant, runtime=runtime)
    return success(answer, host.variant)


def _endpoint_in(path: str) -> str | None:
    match path.split("/"):
        case ["", "endpoints", name, "invocations"]:
            return name
    return None


def _wrong_method(wanted: str) -> Reply:
    reply = refusal(405, "MethodNotAllowed", f"Use {wanted}")
    return Reply(reply.status, reply.body, {**reply.headers, "Allow": wanted})
